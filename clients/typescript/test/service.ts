import assert from "node:assert/strict";
import { mock } from "node:test";

import { createLhcms, type Lhcms } from "../src/index.js";

/** A WebSocket that a test holds the other end of. */
export class FakeSocket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  isClosed = false;
  /** Whether the other end answers pings. */
  isAlive = true;
  /** What the client has sent, the newest last. */
  readonly sent: { action: string; ticket?: string; lab_id?: number }[] = [];

  constructor(readonly url: string) {}

  send(text: string): void {
    const message = JSON.parse(text);
    this.sent.push(message);
    if (message.action === "ping" && this.isAlive) {
      queueMicrotask(() => this.receive({ type: "pong", expires_at: later(0) }));
    }
  }

  close(): void {
    this.isClosed = true;
    this.onclose?.();
  }

  receive(message: unknown): void {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  /** Accepts the connection and the subscription. */
  async accept(expiresIn: number): Promise<void> {
    this.onopen?.();
    assert.deepEqual(this.sent, [{ action: "subscribe", lab_id: 123 }]);
    this.receive({ type: "subscribed", lab_id: 123, expires_at: later(expiresIn), cursor: "c" });
    await settle();
  }
}

/** A service with a feed and with push, by the clock of the test. */
export class Service {
  readonly lhcms: Lhcms;
  readonly sockets: FakeSocket[] = [];
  /** The changes: the id of a case, or the answer that a request gets in its place, once. */
  readonly feed: number[] = [];
  /** Answers in place of those of the feed, once. */
  readonly failures: Response[] = [];
  reads = 0;
  tickets = 0;
  /** The answer to requests for tickets, if there are none. */
  refusal: (() => Response) | undefined;

  constructor() {
    this.lhcms = createLhcms({
      baseUrl: "https://api.example.com",
      token: () => "token",
      attempts: 1,
      fetch: async (request) => this.#answer(request),
      webSocket: (url) => {
        const socket = new FakeSocket(url);
        this.sockets.push(socket);
        return socket as unknown as WebSocket;
      },
    });
  }

  /** The newest connection. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    assert.ok(socket, "nothing is connected");
    return socket;
  }

  #answer(request: Request): Response {
    const url = new URL(request.url);
    if (url.pathname === "/api/v1/realtime/tickets") {
      this.tickets += 1;
      const ticket = { url: `wss://push.example.com/live?ticket=123.t${this.tickets}`, lab_id: 123, expires_at: later(30_000) };
      return this.refusal?.() ?? Response.json(ticket, { status: 201 });
    }
    this.reads += 1;
    const failure = this.failures.shift();
    if (failure) {
      return failure;
    }
    const since = url.searchParams.get("since");
    const start = since === "now" ? this.feed.length : Number(since ?? 0);
    const changes = this.feed.slice(start).map((id) => ({ id, version: 1, at: later(0), deleted: false, case: null }));
    return Response.json({ changes, next_cursor: String(this.feed.length), has_more: false });
  }
}

function later(milliseconds: number): string {
  return new Date(Date.now() + milliseconds).toISOString();
}

/** Lets everything happen that waits for no timer. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Lets time pass until something is so, but not longer than this. */
export async function until(isSo: () => boolean, milliseconds: number): Promise<void> {
  for (let left = milliseconds; !isSo(); left -= 1000) {
    assert.ok(left > 0, `after ${milliseconds} ms it is not so: ${isSo}`);
    await passes(1000);
  }
}

/** Lets time pass, as for a computer that is awake. */
export async function passes(milliseconds: number): Promise<void> {
  await settle();
  for (let left = milliseconds; left > 0; left -= 1000) {
    mock.timers.tick(Math.min(left, 1000));
    await settle();
  }
}
