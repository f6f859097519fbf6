import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { afterEach, beforeEach, mock, test } from "node:test";

import type { UploadProgress } from "../src/index.js";
import { PART_SIZE, Store } from "./store.js";

const SCAN = { kind: "scan", fileName: "upper jaw.STL" } as const;
// Three parts, the last one small.
const MEBIBYTES = 130;
const chunk = randomBytes(1_048_576);
const large = new Blob(Array.from({ length: MEBIBYTES }, (_, index) => new Uint8Array(chunk).fill(index, 0, 1)));
const [ALL, NUMBERS] = [large.size, [1, 2, 3]];

beforeEach(() => mock.method(Math, "random", () => 0));
afterEach(() => mock.restoreAll());

async function sha256(blob: Blob): Promise<string> {
  return createHash("sha256").update(Buffer.from(await blob.arrayBuffer())).digest("hex");
}

test("a file is hashed, announced, sent with one request, and completed", async () => {
  const store = new Store();
  const file = new File(["solid jaw"], "jaw.stl");
  const progress: UploadProgress[] = [];
  const sent = await store.lhcms.upload(1, file, { kind: "scan", onProgress: (now) => progress.push(now) });
  assert.deepEqual(sent, { id: store.id, state: "scanning" });
  const hash = await sha256(file);
  assert.deepEqual(store.announced, { file_name: "jaw.stl", content_type: "model/stl", size: 9, kind: "scan", sha256: hash });
  assert.deepEqual([...store.parts], [[1, hash]]);
  assert.deepEqual(store.calls, ["POST ", "POST /{id}/complete"]);
  assert.deepEqual(progress, [
    { step: "hash", done: 9, size: 9, attachmentId: undefined },
    { step: "send", done: 0, size: 9, attachmentId: store.id },
    { step: "send", done: 9, size: 9, attachmentId: store.id },
    { step: "send", done: 9, size: 9, attachmentId: store.id },
  ]);
});

test("a large file is sent in parts, three at the same time, and each part is hashed", async () => {
  const store = new Store();
  const progress: UploadProgress[] = [];
  await store.lhcms.upload(1, large, { ...SCAN, onProgress: (now) => progress.push(now) });
  const parts = await Promise.all(NUMBERS.map((number) => sha256(large.slice((number - 1) * PART_SIZE, number * PART_SIZE))));
  const { part_sha256: announced, ...rest } = store.announced ?? {};
  assert.deepEqual(rest, { file_name: "upper jaw.STL", content_type: "model/stl", size: ALL, kind: "scan", sha256: await sha256(large) });
  assert.deepEqual(announced, parts);
  assert.deepEqual(NUMBERS.map((number) => store.parts.get(number)), parts);
  assert.equal(store.simultaneous.most, 3);
  assert.equal(progress.filter(({ step }) => step === "hash").at(-1)?.done, ALL);
  assert.equal(progress.at(-1)?.done, ALL);
  assert.equal(store.isComplete, true);
});

test("a part that fails is sent again", async () => {
  const store = new Store();
  store.faults.set(1, [new TypeError("fetch failed"), 503, 400, 500]);
  await store.lhcms.upload(1, new Blob(["jaw"]), SCAN);
  assert.equal(store.isComplete, true);
  assert.deepEqual(store.calls, ["POST ", "POST /{id}/complete"]);
});

test("a part that was sent, and whose answer was lost, is not an error", async () => {
  const store = new Store();
  store.faults.set(1, [new TypeError("fetch failed"), 412]);
  store.parts.set(1, "sent");
  await store.lhcms.upload(1, new Blob(["jaw"]), SCAN);
  assert.equal(store.isComplete, true);
});

test("expired requests are replaced by new ones", async () => {
  const store = new Store();
  store.onPart = () => {
    store.onPart = () => {};
    store.signature = 2;
  };
  await store.lhcms.upload(1, new Blob(["jaw"]), SCAN);
  assert.deepEqual(store.calls, ["POST ", "GET /{id}/upload", "POST /{id}/complete"]);
});

test("a store that does not accept a part ends the upload, and nothing more is sent", async () => {
  const store = new Store();
  store.faults.set(1, [503, 503, 503, 503, 503]);
  const failed = store.lhcms.upload(1, new Blob(["jaw"]), SCAN);
  await assert.rejects(failed, { name: "LhcmsError", status: 503, message: "Part 1 of the file cannot be sent: the store answers 503." });
  assert.deepEqual(store.calls, ["POST "]);
});

test("an upload that was ended is resumed with what is missing, without hashing the file again", async () => {
  const store = new Store();
  const end = new AbortController();
  let attempts = 0;
  store.faults.set(2, Array(4).fill(new TypeError("fetch failed")));
  store.onPart = (number) => number === 2 && (attempts += 1) === 4 && end.abort(new Error("cut"));
  let id: string | undefined;
  const cut = store.lhcms.upload(1, large, { ...SCAN, signal: end.signal, onProgress: ({ attachmentId }) => (id = attachmentId) });
  await assert.rejects(cut, { message: "cut" });
  assert.deepEqual([id, store.parts.has(2), store.isComplete], [store.id, false, false]);

  const before = store.parts.size;
  const requests: number[] = [];
  store.faults.clear();
  store.onPart = (number) => requests.push(number);
  const progress: UploadProgress[] = [];
  assert.ok(id);
  await store.lhcms.upload(1, large, { ...SCAN, resume: id, onProgress: (now) => progress.push(now) });
  assert.equal(requests.length, NUMBERS.length - before);
  assert.deepEqual([...new Set(progress.map(({ step }) => step))], ["send"]);
  assert.ok(progress[0]?.done, "what was sent counts");
  assert.deepEqual([progress.at(-1)?.done, store.parts.size, store.isComplete], [ALL, 3, true]);
  assert.deepEqual(store.calls, ["POST ", "GET /{id}/upload", "POST /{id}/complete"]);
});

test("an upload whose completion was answered to nobody is resumed by completing it again", async () => {
  const store = new Store();
  await store.lhcms.upload(1, new Blob(["jaw"]), SCAN);
  const again = await store.lhcms.upload(1, new Blob(["jaw"]), { ...SCAN, resume: store.id });
  assert.deepEqual(again, { id: store.id, state: "scanning" });
  assert.deepEqual(store.calls.slice(2), ["GET /{id}/upload", "POST /{id}/complete"]);
});

test("an upload is not resumed with another file", async () => {
  const store = new Store();
  store.faults.set(1, [503, 503, 503, 503, 503]);
  await assert.rejects(store.lhcms.upload(1, new Blob(["jaw"]), SCAN), { status: 503 });
  const other = store.lhcms.upload(1, new Blob(["other jaw"]), { ...SCAN, resume: store.id });
  await assert.rejects(other, { name: "TypeError", message: /it has 3 bytes, and this file has 9/ });
  assert.equal(store.parts.size, 0);
});

test("a file of another type is rejected before anything is sent", async () => {
  const store = new Store();
  await assert.rejects(store.lhcms.upload(1, new File(["MZ"], "jaw.exe"), { kind: "scan" }), { name: "TypeError", message: /The types are: stl, / });
  await assert.rejects(store.lhcms.upload(1, new Blob(["jaw"]), { kind: "scan" }), { name: "TypeError", message: /has no name/ });
  assert.deepEqual(store.calls, []);
});

test("an aborted upload is not announced", async () => {
  const store = new Store();
  await assert.rejects(store.lhcms.upload(1, large, { ...SCAN, signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.deepEqual(store.calls, []);
});
