import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import type { WatchOptions } from "../src/index.js";
import { type FakeSocket, passes, Service, settle, until } from "./service.js";

const MINUTE = 60_000;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.parse("2026-11-28T12:00:00Z") });
  mock.method(Math, "random", () => 0.5);
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

/** Watches, and remembers the ids of the changed cases. */
function watching(service: Service, options: WatchOptions = {}) {
  const end = new AbortController();
  const heard: number[] = [];
  const ended = (async () => {
    for await (const event of service.lhcms.watch({ signal: end.signal, ...options })) {
      heard.push(...(event.type === "changes" ? event.changes.map(({ id }) => id) : []));
    }
  })();
  return { heard, ended, stop: () => (end.abort(), ended) };
}

/** A watcher whose connection is subscribed for 15 minutes. */
async function subscribed(options: WatchOptions = {}) {
  const service = new Service();
  const watcher = watching(service, options);
  await settle();
  await service.socket.accept(15 * MINUTE);
  await passes(2000);
  return { service, ...watcher };
}

test("a signal makes the watcher read the feed at once", async () => {
  const { service, heard, stop } = await subscribed();
  service.feed.push(42);
  service.socket.receive({ type: "changes", lab_id: 123, changes: [{ case_id: 42, version: 1 }], cursor: "c" });
  await passes(1);
  assert.deepEqual(heard, [42]);
  await stop();
  assert.equal(service.socket.isClosed, true);
});

test("many signals at the same time are few requests, and no change is missed", async () => {
  const { service, heard, stop } = await subscribed();
  const before = service.reads;
  for (let id = 1; id <= 100; id += 1) {
    service.feed.push(id);
    service.socket.receive({ type: "changes", lab_id: 123, changes: [{ case_id: id, version: 1 }], cursor: "c" });
    await passes(10);
  }
  await passes(1000);
  assert.deepEqual(heard, Array.from({ length: 100 }, (_, index) => index + 1));
  assert.equal(service.reads - before, 3);
  await stop();
});

test("a watcher reads the feed after it has subscribed, because a change can come between", async () => {
  const service = new Service();
  const { heard, stop } = watching(service);
  await settle();
  assert.equal(service.reads, 1);
  service.feed.push(7);
  await service.socket.accept(15 * MINUTE);
  await passes(1000);
  assert.deepEqual(heard, [7]);
  await stop();
});

test("with push the feed is also read each minute, because a signal can be lost", async () => {
  const { service, heard, stop } = await subscribed();
  const before = service.reads;
  service.feed.push(42);
  await passes(57_000);
  assert.deepEqual(heard, []);
  await passes(3000);
  assert.deepEqual([heard, service.reads - before], [[42], 1]);
  await stop();
});

test("without a connection the feed is read at the interval, and a new connection is opened", async () => {
  const { service, heard, stop } = await subscribed();
  const before = service.reads;
  service.socket.close();
  service.feed.push(1);
  await passes(500);
  assert.deepEqual(heard, [1]);
  service.feed.push(2);
  await passes(5000);
  assert.deepEqual([heard, service.reads - before], [[1, 2], 2]);
  assert.deepEqual(service.sockets.map(({ url }) => url), ["wss://push.example.com/live?ticket=123.t1", "wss://push.example.com/live?ticket=123.t2"]);
  await service.socket.accept(15 * MINUTE);
  service.feed.push(3);
  service.socket.receive({ type: "changes", lab_id: 123, changes: [{ case_id: 3, version: 1 }], cursor: "c" });
  await passes(1000);
  assert.deepEqual(heard, [1, 2, 3]);
  await stop();
});

test("connections that fail at once are tried again after longer and longer pauses", async () => {
  const service = new Service();
  const { stop } = watching(service);
  await settle();
  const opened: number[] = [];
  for (let minute = 0; minute < 5; minute += 1) {
    for (let second = 0; second < 60; second += 1) {
      if (!service.socket.isClosed) {
        service.socket.close();
      }
      await passes(1000);
    }
    opened.push(service.sockets.length);
  }
  assert.deepEqual(opened, [7, 9, 11, 13, 15]);
  await stop();
});

/** Whether the client has sent its newest message for this. */
const asks = (socket: FakeSocket, action: string) => () => socket.sent.at(-1)?.action === action;

test("a silent connection is pinged, and replaced when no answer comes", async () => {
  const { service, stop } = await subscribed();
  const { socket } = service;
  await passes(9 * MINUTE);
  assert.deepEqual(socket.sent.slice(1), [{ action: "ping" }, { action: "ping" }]);
  assert.equal(service.sockets.length, 1);
  socket.isAlive = false;
  socket.receive({ type: "changes", lab_id: 123, changes: [], cursor: "c" });
  await until(() => service.sockets.length === 2, 5 * MINUTE);
  assert.equal(socket.isClosed, true);
  await stop();
});

test("a connection is renewed with a new ticket before it ends", async () => {
  const { service, stop } = await subscribed();
  const { socket } = service;
  for (let renewal = 2; renewal <= 9; renewal += 1) {
    await until(asks(socket, "renew"), 11 * MINUTE);
    assert.deepEqual(socket.sent.at(-1), { action: "renew", ticket: `123.t${renewal}` });
    socket.receive({ type: "renewed", expires_at: new Date(Date.now() + 15 * MINUTE).toISOString() });
    await until(asks(socket, "ping"), 5 * MINUTE);
  }
  assert.deepEqual([service.sockets.length, service.tickets], [1, 9]);
  await stop();
});

test("a connection that cannot be renewed any more is replaced", async () => {
  const { service, stop } = await subscribed();
  const { socket } = service;
  await until(asks(socket, "renew"), 11 * MINUTE);
  socket.receive({ type: "renewed", expires_at: "2026-11-28T12:15:00.000Z" });
  await passes(2000);
  assert.deepEqual([socket.isClosed, service.sockets.length, service.tickets], [true, 2, 3]);
  await stop();
});

test("a watcher of a computer that wakes up reads the feed, and replaces a connection that has died meanwhile", async () => {
  const { service, heard, stop } = await subscribed();
  service.socket.isAlive = false;
  service.feed.push(42);
  mock.timers.tick(8 * 60 * MINUTE);
  await passes(1000);
  assert.deepEqual(heard, [42]);
  await until(() => service.sockets.length === 2, 20_000);
  assert.equal(service.sockets[0]?.isClosed, true);
  await stop();
});

test("a connection that works goes on after the computer has slept", async () => {
  const { service, stop } = await subscribed();
  mock.timers.tick(5 * MINUTE);
  await passes(3 * MINUTE);
  assert.deepEqual([service.sockets.length, service.socket.sent.at(-1)], [1, { action: "ping" }]);
  await stop();
});

test("an error, or an answer that is none of this service, does not stop the watcher", async () => {
  const { service, heard, stop } = await subscribed();
  service.socket.receive('{"message":"Internal server error","connectionId":"x","requestId":"y"}');
  service.socket.receive("no JSON");
  service.socket.receive({ type: "later", lab_id: 123 });
  await passes(1000);
  assert.equal(service.sockets.length, 1);
  service.socket.receive({ type: "error", code: "unauthorized", detail: "Get another ticket." });
  await passes(2000);
  assert.equal(service.sockets.length, 2);
  service.feed.push(1);
  await passes(6000);
  assert.deepEqual(heard, [1]);
  await stop();
});

test("a service without push is asked once for a ticket, and its feed is read at the interval", async () => {
  const service = new Service();
  service.refusal = () => Response.json({ code: "not_found" }, { status: 404 });
  const { heard, stop } = watching(service);
  await settle();
  service.feed.push(1);
  await passes(6 * MINUTE);
  assert.deepEqual([heard, service.tickets, service.reads], [[1], 1, 73]);
  await stop();
});

test("a service that fails to give tickets is asked again", async () => {
  const service = new Service();
  service.refusal = () => Response.json({ code: "service_unavailable" }, { status: 503 });
  const { stop } = watching(service);
  await passes(2000);
  assert.ok(service.tickets > 1);
  service.refusal = undefined;
  await passes(5000);
  await service.socket.accept(15 * MINUTE);
  await stop();
});

test("signals do not make the watcher ask a failing service more often", async () => {
  const { service, heard, stop } = await subscribed();
  service.failures.push(Response.json({ code: "service_unavailable" }, { status: 503, headers: { "Retry-After": "3" } }));
  service.feed.push(1, 2);
  const before = service.reads;
  for (let second = 0; second < 4; second += 1) {
    service.socket.receive({ type: "changes", lab_id: 123, changes: [{ case_id: 1, version: 1 }], cursor: "c" });
    await passes(1000);
  }
  assert.deepEqual([heard, service.reads - before], [[], 1]);
  await passes(2000);
  assert.deepEqual(heard, [1, 2]);
  await stop();
});

test("push can be turned off", async () => {
  const service = new Service();
  const { heard, stop } = watching(service, { push: false, interval: 1000 });
  await settle();
  service.feed.push(1);
  await passes(3000);
  assert.deepEqual([heard, service.tickets, service.sockets.length], [[1], 0, 0]);
  await stop();
});

test("a watcher that is refused ends its connection too", async () => {
  const { service, ended } = await subscribed();
  service.failures.push(Response.json({ code: "lab_forbidden" }, { status: 403 }));
  service.socket.receive({ type: "changes", lab_id: 123, changes: [{ case_id: 1, version: 1 }], cursor: "c" });
  await Promise.all([assert.rejects(ended, { status: 403, code: "lab_forbidden" }), passes(1000)]);
  assert.equal(service.socket.isClosed, true);
  await passes(5 * MINUTE);
  assert.deepEqual([service.sockets.length, service.tickets], [1, 1]);
});
