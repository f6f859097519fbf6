import assert from "node:assert/strict";
import { test } from "node:test";

import { createLhcms, type FeedEvent, ok } from "../src/index.js";

// A running service: `make check-clients` starts one.
const { LHCMS_URL: baseUrl, LHCMS_TOKEN: token } = process.env;
const options = { skip: baseUrl === undefined || token === undefined ? "LHCMS_URL and LHCMS_TOKEN are not set" : false };
const lhcms = createLhcms({ baseUrl: baseUrl ?? "", token: () => token ?? "" });

test("a watcher hears of a case that is created, moved and deleted", options, async () => {
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
    for await (const event of lhcms.watch({ interval: 50, signal: end.signal })) {
      isReady();
      record(event);
    }
  })();
  const until = async (line: string) => {
    for (const deadline = Date.now() + 20_000; !heard.includes(line); ) {
      assert.ok(Date.now() < deadline, `${line} is not in ${heard.join(", ")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await ready;
  const created = await ok(lhcms.api.POST("/api/v1/cases", { body: { procedure_type: "Crown", patient_name: "Erika Muster" } }));
  const path = { id: created.id };
  await until(`${created.id} version 1 pending`);
  await ok(lhcms.api.PATCH("/api/v1/cases/{id}/status", { params: { path }, body: { status: "in_progress" } }));
  await until(`${created.id} version 2 in_progress`);
  await ok(lhcms.api.DELETE("/api/v1/cases/{id}", { params: { path } }));
  await until(`${created.id} version 3 deleted`);
  end.abort();
  await watching;
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
