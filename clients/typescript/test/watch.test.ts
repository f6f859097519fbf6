import assert from "node:assert/strict";
import { test } from "node:test";

import { createLhcms, type FeedEvent, type WatchOptions } from "../src/index.js";

/** Watches a feed without push that gives these answers, and returns what the watcher hears and which cursors it sends. */
async function watched(answers: (Response | Error)[], options: WatchOptions = {}) {
  const end = new AbortController();
  const sinces: (string | null)[] = [];
  const lhcms = createLhcms({
    baseUrl: "https://api.example.com",
    token: () => "token",
    attempts: 1,
    fetch: async (request) => {
      sinces.push(new URL(request.url).searchParams.get("since"));
      const answer = answers.shift();
      if (answers.length === 0) {
        end.abort();
      }
      if (answer instanceof Error || answer === undefined) {
        throw answer ?? new Error("no answer is left");
      }
      return answer;
    },
  });
  const events: FeedEvent[] = [];
  for await (const event of lhcms.watch({ interval: 1, push: false, signal: end.signal, ...options })) {
    events.push(event);
  }
  return { events, sinces };
}

const change = (id: number) => ({ id, version: 1, at: "2026-11-28T12:00:00Z", deleted: false, case: null });

function page(ids: number[], cursor: string, more = false): Response {
  return Response.json({ changes: ids.map(change), next_cursor: cursor, has_more: more });
}

test("a watcher hears each change once, and where it could go on", async () => {
  const { events, sinces } = await watched([page([], "a"), page([1, 2], "b", true), page([3], "c"), page([], "c"), page([], "c")]);
  assert.deepEqual(events, [
    { type: "changes", changes: [], cursor: "a" },
    { type: "changes", changes: [change(1), change(2)], cursor: "b" },
    { type: "changes", changes: [change(3)], cursor: "c" },
  ]);
  assert.deepEqual(sinces, ["now", "a", "b", "c", "c"]);
});

test("a watcher starts where it is told", async () => {
  assert.deepEqual((await watched([page([1], "a"), page([], "a")], { since: "start" })).sinces, [null, "a"]);
  assert.deepEqual((await watched([page([1], "b"), page([], "b")], { since: "a" })).sinces, ["a", "b"]);
});

test("a watcher goes on after failures, and misses nothing", async () => {
  const failures = [new TypeError("fetch failed"), new Response("", { status: 503, headers: { "Retry-After": "0" } })];
  const { events, sinces } = await watched([page([1], "a"), ...failures, page([2], "b"), page([], "b")], { since: "start" });
  assert.deepEqual(events.map((event) => event.cursor), ["a", "b"]);
  assert.deepEqual(sinces, [null, "a", "a", "a", "b"]);
});

test("a watcher of data that was restored hears from when on to read again, and goes on", async () => {
  const problem = { code: "feed_restarted", restored_to: "2026-11-28T11:00:00Z", next_cursor: "r" };
  const { events, sinces } = await watched([page([1], "a"), Response.json(problem, { status: 410 }), page([2], "b"), page([], "b")], { since: "start" });
  assert.deepEqual(events.slice(1), [
    { type: "restart", restoredTo: "2026-11-28T11:00:00Z", cursor: "r" },
    { type: "changes", changes: [change(2)], cursor: "b" },
  ]);
  assert.deepEqual(sinces, [null, "a", "r", "b"]);
});

test("a watcher ends with the error when the service refuses the request", async () => {
  const refused = Response.json({ code: "lab_forbidden" }, { status: 403 });
  await assert.rejects(watched([page([], "a"), refused, page([], "b")]), { status: 403, code: "lab_forbidden" });
});

test("a watcher ends without an error when it is told to", async () => {
  const { events } = await watched([page([1], "a")]);
  assert.deepEqual(events.length, 1);
});
