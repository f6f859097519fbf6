import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { createLhcms, type FeedEvent, ok } from "../src/index.js";

// A running service: `make check-clients` starts one.
const { LHCMS_URL: baseUrl, LHCMS_TOKEN: token } = process.env;
const options = { skip: baseUrl === undefined || token === undefined ? "LHCMS_URL and LHCMS_TOKEN are not set" : false };

/** Waits until something is so. */
async function until(isSo: () => boolean | Promise<boolean>, why: () => string): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await isSo()); ) {
    assert.ok(Date.now() < deadline, why());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const lhcms = createLhcms({ baseUrl: baseUrl ?? "", token: () => token ?? "" });

// With push the feed is read each minute, so only a signal is quick enough for the second test.
for (const [name, watch] of [
  ["without push", { push: false, interval: 50 }],
  ["by push", { interval: 60_000 }],
] as const) {
  test(`a watcher hears ${name} of a case that is created, moved and deleted`, options, async () => {
    const end = new AbortController();
    const heard: string[] = [];
    let isReady = () => {};
    const ready = new Promise<void>((resolve) => (isReady = resolve));
    const record = (event: FeedEvent) => {
      assert.equal(event.type, "changes");
      for (const change of event.changes) {
        heard.push(`${change.id} version ${change.version} ${change.deleted ? "deleted" : change.case?.status}`);
      }
    };
    const watching = (async () => {
      for await (const event of lhcms.watch({ ...watch, signal: end.signal })) {
        isReady();
        record(event);
      }
    })();
    const hears = (line: string) => until(() => heard.includes(line), () => `${line} is not in ${heard.join(", ")}`);
    await ready;
    const created = await ok(lhcms.api.POST("/api/v1/cases", { body: { procedure_type: "Crown", patient_name: "Erika Muster" } }));
    const path = { id: created.id };
    await hears(`${created.id} version 1 pending`);
    await ok(lhcms.api.PATCH("/api/v1/cases/{id}/status", { params: { path }, body: { status: "in_progress" } }));
    await hears(`${created.id} version 2 in_progress`);
    await ok(lhcms.api.DELETE("/api/v1/cases/{id}", { params: { path } }));
    await hears(`${created.id} version 3 deleted`);
    end.abort();
    await watching;
  });
}

for (const [name, size] of [["with one request", 1_000_000], ["in parts", 110_000_000]] as const) {
  test(`a file that is sent ${name} can be downloaded when it is scanned`, options, async () => {
    const { id } = await ok(lhcms.api.POST("/api/v1/cases", { body: { procedure_type: "Crown" } }));
    const file = new File([new Uint8Array(size).fill(7)], "upper jaw.stl");
    const sent = await lhcms.upload(id, file, { kind: "scan" });
    assert.deepEqual([sent.file_name, sent.size], ["upper jaw.stl", size]);
    const path = { id, attachment_id: sent.id };
    const read = () => ok(lhcms.api.GET("/api/v1/cases/{id}/attachments/{attachment_id}", { params: { path } }));
    let found = await read();
    await until(async () => (found = await read()).attachment.state === "clean", () => `the file is ${found.attachment.state}`);
    const answer = await fetch(found.download?.url ?? "");
    const hash = createHash("sha256").update(Buffer.from(await answer.arrayBuffer())).digest("hex");
    assert.deepEqual([answer.status, hash], [200, sent.sha256]);
  });
}

test("an upload that was aborted is resumed", options, async () => {
  const { id } = await ok(lhcms.api.POST("/api/v1/cases", { body: { procedure_type: "Crown" } }));
  const file = new File([new Uint8Array(140_000_000)], "lower jaw.ply");
  const end = new AbortController();
  let resume: string | undefined;
  const cut = lhcms.upload(id, file, {
    kind: "scan",
    signal: end.signal,
    onProgress: ({ step, done, attachmentId }) => {
      resume = attachmentId;
      if (step === "send" && done > 0) {
        end.abort(new Error("cut"));
      }
    },
  });
  await assert.rejects(cut, { message: "cut" });
  assert.ok(resume);
  const steps = new Set<string>();
  const sent = await lhcms.upload(id, file, { kind: "scan", resume, onProgress: ({ step }) => steps.add(step) });
  assert.deepEqual([sent.id, sent.size, [...steps]], [resume, file.size, ["send"]]);
});

test("a retry with the same key creates no second case", options, async () => {
  const call = () => ok(lhcms.api.POST("/api/v1/cases", { params: { header }, body: { procedure_type: "Bridge" } }));
  const header = { "Idempotency-Key": crypto.randomUUID() };
  assert.equal((await call()).id, (await call()).id);
});

test("errors have the service's codes", options, async () => {
  const missing = lhcms.api.GET("/api/v1/cases/{id}", { params: { path: { id: 9_999_999 } } });
  await assert.rejects(ok(missing), { status: 404, code: "case_not_found" });
  const anonymous = createLhcms({ baseUrl: baseUrl ?? "", token: () => "no.token.atall" });
  await assert.rejects(ok(anonymous.api.GET("/api/v1/cases")), { status: 401, code: "unauthorized" });
});

test("all cases of a list are read, page by page", options, async () => {
  const ids = [];
  for (const procedure_type of ["Crown", "Bridge", "Veneer"] as const) {
    ids.push((await ok(lhcms.api.POST("/api/v1/cases", { body: { procedure_type, doctor_id: "doctor_654" } }))).id);
  }
  const found = [];
  for await (const one of lhcms.cases({ doctor_id: ["doctor_654"], limit: 2 })) {
    found.push(one.id);
  }
  assert.deepEqual(found.slice(0, 3), ids.reverse());
});
