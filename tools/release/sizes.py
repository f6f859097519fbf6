"""Prints the sizes of the functions in a folder that `make build` made, as zips as well, and checks that all are there and for arm64."""

import io
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARM64 = 183  # e_machine of an ELF file
LIMIT = 50 << 20  # what Lambda takes without S3; a Rust function far above 10 MiB has caught a wrong dependency


def main(built):
    print(f"{'function':<28}{'binary KiB':>12}{'zip KiB':>10}")
    faults = []
    for name in sorted(path.parent.name for path in ROOT.glob("functions/*/Cargo.toml")):
        file = built / "functions" / name / "bootstrap"
        if not file.is_file():
            faults.append(f"{name}: not built, run `make build`")
            continue
        binary = file.read_bytes()
        if int.from_bytes(binary[18:20], "little") != ARM64:
            faults.append(f"{name}: not an arm64 binary")
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.writestr("bootstrap", binary)
        size = memory.tell()
        print(f"{name:<28}{len(binary) / 1024:>12,.0f}{size / 1024:>10,.0f}")
        if size > LIMIT:
            faults.append(f"{name}: the zip is larger than Lambda takes")
    sys.exit("\n".join(faults) or 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
