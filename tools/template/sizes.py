"""Zips what `sam build` made, as a deployment does, checks that it is for arm64 and prints the sizes."""

import sys
import zipfile

from expand import ROOT, rows

ARM64 = 183  # e_machine of an ELF file
LIMIT = 50 << 20  # what Lambda takes without S3; a Rust function far above 10 MiB has caught a wrong dependency

BUILD = ROOT / ".aws-sam" / "build"
ZIPS = ROOT / ".aws-sam" / "zip"


def main():
    ZIPS.mkdir(parents=True, exist_ok=True)
    print(f"{'function':<28}{'binary KiB':>12}{'zip KiB':>10}")
    faults = []
    for name in (f"{row}Function" for row in rows()):
        binary = BUILD / name / "bootstrap"
        if not binary.is_file():
            faults.append(f"{name}: not built, run `make build`")
            continue
        if int.from_bytes(binary.read_bytes()[18:20], "little") != ARM64:
            faults.append(f"{name}: not an arm64 binary")
        file = ZIPS / f"{name}.zip"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path in sorted((BUILD / name).rglob("*")):
                archive.write(path, path.relative_to(BUILD / name))
        size = file.stat().st_size
        print(f"{name:<28}{binary.stat().st_size / 1024:>12,.0f}{size / 1024:>10,.0f}")
        if size > LIMIT:
            faults.append(f"{name}: the zip is larger than Lambda takes")
    sys.exit("\n".join(faults) or 0)


if __name__ == "__main__":
    main()
