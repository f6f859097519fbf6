import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

/** The largest file that is one part, in bytes, and the size of the parts of a larger one. The contract says so. */
const MAX_SINGLE = 104_857_600;
const PART_SIZE = 67_108_864;
/** How much is hashed before the page can do something else, in bytes. */
const BLOCK = 1_048_576;

/** What the announcement of a file says of its content. */
export interface Hashes {
  sha256: string;
  part_sha256?: string[];
}

/** The hashes of a file. It is read in parts, so that a large file needs little memory. `onHashed` gets the number of bytes that are done. */
export async function hash(file: Blob, onHashed: (bytes: number) => void, signal?: AbortSignal): Promise<Hashes> {
  if (file.size <= MAX_SINGLE) {
    const whole = await digest(await file.arrayBuffer());
    onHashed(file.size);
    return { sha256: whole };
  }
  // WebCrypto cannot hash a file that is longer than the memory.
  const whole = sha256.create();
  const parts: string[] = [];
  for (let start = 0; start < file.size; start += PART_SIZE) {
    const part = new Uint8Array(await file.slice(start, start + PART_SIZE).arrayBuffer());
    const partHash = digest(part.buffer);
    for (let offset = 0; offset < part.length; offset += BLOCK) {
      signal?.throwIfAborted();
      whole.update(part.subarray(offset, offset + BLOCK));
      onHashed(Math.min(start + offset + BLOCK, file.size));
      await new Promise((resolve) => setTimeout(resolve));
    }
    parts.push(await partHash);
  }
  return { sha256: bytesToHex(whole.digest()), part_sha256: parts };
}

async function digest(bytes: ArrayBuffer): Promise<string> {
  return bytesToHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}
