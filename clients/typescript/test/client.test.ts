import assert from "node:assert/strict";
import { test } from "node:test";

import { createLhcms, LhcmsError, ok } from "../src/index.js";

type Answer = Response | Error | ((request: Request) => Response);

/** A service that gives these answers, one after the other, and remembers the requests. */
function service(answers: Answer[]) {
  const requests: Request[] = [];
  const fetch = async (request: Request) => {
    requests.push(request);
    const answer = answers.shift();
    assert.ok(answer, `no answer is left for ${request.method} ${request.url}`);
    if (answer instanceof Error) {
      throw answer;
    }
    return typeof answer === "function" ? answer(request) : answer;
  };
  const lhcms = createLhcms({ baseUrl: "https://api.example.com", token: (isRejected) => (isRejected ? "second" : "first"), labId: 123, fetch });
  return { lhcms, requests };
}

function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
}

const BODY = { procedure_type: "Crown" } as const;
const LATER = { "Retry-After": "0" };

test("a request has the token, the lab and, if it creates something, an idempotency key", async () => {
  const { lhcms, requests } = service([json(201, { id: 1 }), json(200, { id: 1 })]);
  await ok(lhcms.api.POST("/api/v1/cases", { body: BODY }));
  await ok(lhcms.api.GET("/api/v1/cases/{id}", { params: { path: { id: 1 } } }));
  const [post, get] = requests;
  assert.equal(post?.headers.get("Authorization"), "Bearer first");
  assert.equal(post?.headers.get("X-Lab-Id"), "123");
  assert.match(post?.headers.get("Idempotency-Key") ?? "", /^[0-9a-f-]{36}$/);
  assert.equal(get?.headers.get("Idempotency-Key"), null);
});

test("a retry after a lost answer has the same body and the same idempotency key", async () => {
  const { lhcms, requests } = service([new TypeError("fetch failed"), json(503, {}, LATER), json(201, { id: 1 })]);
  assert.deepEqual(await ok(lhcms.api.POST("/api/v1/cases", { body: BODY })), { id: 1 });
  const keys = new Set(requests.map((request) => request.headers.get("Idempotency-Key")));
  assert.equal(keys.size, 1);
  assert.deepEqual(await Promise.all(requests.map((request) => request.json())), [BODY, BODY, BODY]);
});

test("a change that is not harmless twice is sent again only if nothing was done", async () => {
  const call = (answers: Answer[]) => {
    const { lhcms, requests } = service(answers);
    const path = { params: { path: { id: 1 } }, body: { status: "completed" as const } };
    return { requests, result: ok(lhcms.api.PATCH("/api/v1/cases/{id}/status", path)) };
  };
  const lost = call([json(503, { code: "service_unavailable" }, LATER)]);
  await assert.rejects(lost.result, { name: "LhcmsError", status: 503, code: "service_unavailable", retryAfter: 0 });
  assert.equal(lost.requests.length, 1);
  const refused = call([json(429, {}, LATER), json(409, {}, LATER), json(200, { id: 1 })]);
  assert.deepEqual(await refused.result, { id: 1 });
  const illegal = call([json(409, { code: "illegal_transition" })]);
  await assert.rejects(illegal.result, { status: 409, code: "illegal_transition" });
});

test("a service that stays away ends the attempts with its last answer", async () => {
  const { lhcms, requests } = service([1, 2, 3, 4].map(() => json(503, { detail: "UMS does not answer." }, LATER)));
  const health = lhcms.api.GET("/api/v1/cases/{id}", { params: { path: { id: 1 } } });
  await assert.rejects(ok(health), { status: 503, message: "UMS does not answer." });
  assert.equal(requests.length, 4);
});

test("a rejected token is replaced once", async () => {
  const { lhcms, requests } = service([json(401, {}), json(200, { id: 1 }), json(401, {}), json(401, { code: "unauthorized" })]);
  const read = () => ok(lhcms.api.GET("/api/v1/cases/{id}", { params: { path: { id: 1 } } }));
  assert.deepEqual(await read(), { id: 1 });
  await assert.rejects(read(), { status: 401, code: "unauthorized" });
  const tokens = requests.map((request) => request.headers.get("Authorization"));
  assert.deepEqual(tokens, ["Bearer first", "Bearer second", "Bearer first", "Bearer second"]);
});

test("an error has the fields of the problem", async () => {
  const errors = [{ pointer: "/procedure_type", code: "required", detail: "Say which.", params: {} }];
  const problem = { title: "Invalid", detail: "1 field is invalid.", code: "validation_failed", request_id: "r-1", errors };
  const { lhcms } = service([json(422, problem)]);
  const error = await ok(lhcms.api.POST("/api/v1/cases", { body: BODY })).catch((error: unknown) => error);
  assert.ok(error instanceof LhcmsError);
  assert.deepEqual(
    { status: error.status, code: error.code, message: error.message, requestId: error.requestId, errors: error.errors },
    { status: 422, code: "validation_failed", message: "1 field is invalid.", requestId: "r-1", errors });
});

test("an answer of the gateway, which has only a message, is an error as well", async () => {
  const { lhcms } = service([json(413, { message: "Request Entity Too Large" })]);
  await assert.rejects(ok(lhcms.api.POST("/api/v1/cases", { body: BODY })), { status: 413, code: undefined, message: "Request Entity Too Large" });
});

test("a list is read to its last page", async () => {
  const page = (ids: number[], cursor: string | null) => json(200, { cases: ids.map((id) => ({ id })), pagination: { next_cursor: cursor } });
  const { lhcms, requests } = service([page([3, 2], "a b"), page([1], null)]);
  const ids: number[] = [];
  for await (const one of lhcms.cases({ status: ["pending"], limit: 2 })) {
    ids.push(one.id);
  }
  assert.deepEqual(ids, [3, 2, 1]);
  assert.deepEqual(requests.map((request) => new URL(request.url).searchParams.get("cursor")), [null, "a b"]);
});
