import type { Client } from "openapi-fetch";

import type { OpenSocket } from "./connection.js";
import { isRefusal, LhcmsError, ok, retryAfter } from "./error.js";
import { backoff, pause } from "./pause.js";
import { Push } from "./push.js";
import type { components, paths } from "./schema.js";

type Changes = components["schemas"]["FeedPage"]["changes"];

/** What a watcher hears. Keep `cursor`: with it the next watcher goes on where this one has stopped. */
export type FeedEvent =
  | { type: "changes"; changes: Changes; cursor: string }
  /**
   * The service's data was restored to an earlier time. Read the cases again that changed or were deleted at or after
   * `restoredTo`; without it, read all cases again.
   */
  | { type: "restart"; restoredTo: string | undefined; cursor: string };

/** How to watch. */
export interface WatchOptions {
  /** The cursor of an earlier event; `now` for all changes from now on, which is the default; `start` for all changes ever. */
  since?: string;
  /** Ends the watching. */
  signal?: AbortSignal;
  /** The pause between two requests while there is nothing new and no push, in milliseconds. Default: 5,000. */
  interval?: number;
  /** Whether the service says at once that there is something new. Default: true, if there is a `WebSocket`. */
  push?: boolean;
  /** The lab, if the user has several. */
  labId?: number;
}

/** The most changes that the service gives in one answer. */
const LIMIT = 100;
/** The longest pause after failures, in milliseconds. */
const LONGEST_PAUSE = 60_000;
/** The pause beside push, in milliseconds: a signal can be lost. */
const PUSH_INTERVAL = 60_000;
/** The least time between two requests that signals cause, in milliseconds. One request reads the changes of many signals. */
const SIGNAL_INTERVAL = 500;

/**
 * Follows the changes of a lab. The feed says what has changed; push only says when to read it. It goes on after failures of the
 * network and of the service, and after the computer has slept. It ends with an exception when the service refuses the request, for
 * example because the user has left the lab.
 */
export async function* watch(api: Client<paths>, openSocket: OpenSocket | undefined, options: WatchOptions = {}): AsyncGenerator<FeedEvent, void> {
  const { signal, labId } = options;
  const push = options.push === false || openSocket === undefined ? undefined : new Push(api, openSocket, labId);
  const end = new AbortController();
  void push?.run(end.signal);
  try {
    yield* read(api, push, options);
  } catch (error) {
    if (!signal?.aborted) {
      throw error;
    }
  } finally {
    end.abort();
  }
}

async function* read(api: Client<paths>, push: Push | undefined, options: WatchOptions): AsyncGenerator<FeedEvent, void> {
  const { signal, interval = 5_000, labId } = options;
  const header = labId === undefined ? {} : { "X-Lab-Id": labId };
  let since = options.since === "start" ? undefined : (options.since ?? "now");
  let failures = 0;
  while (!signal?.aborted) {
    const [startedAt, signals] = [Date.now(), push?.signals];
    try {
      const query = { limit: LIMIT, ...(since === undefined ? {} : { since }) };
      const call = api.GET("/api/v1/cases/changes", { params: { query, header }, signal: signal ?? null });
      const page = await ok(call);
      failures = 0;
      const isNew = since !== page.next_cursor;
      since = page.next_cursor;
      if (page.changes.length > 0 || isNew) {
        yield { type: "changes", changes: page.changes, cursor: page.next_cursor };
      }
      if (page.has_more) {
        await pause((retryAfter((await call).response) ?? 0) * 1000, signal);
        continue;
      }
    } catch (error) {
      if (error instanceof LhcmsError && error.code === "feed_restarted") {
        const { restored_to: restoredTo, next_cursor: cursor } = error.problem as { restored_to?: string; next_cursor: string };
        since = cursor;
        yield { type: "restart", restoredTo, cursor };
        continue;
      }
      if (signal?.aborted || isRefusal(error)) {
        throw error;
      }
      failures += 1;
      const least = error instanceof LhcmsError ? (error.retryAfter ?? 0) * 1000 : 0;
      await pause(Math.max(least, interval, backoff(failures, LONGEST_PAUSE)), signal);
      continue;
    }
    // A signal during the request can be of a change that the request has missed.
    if (push?.signals === signals) {
      await pause(push?.isLive ? Math.max(interval, PUSH_INTERVAL) : interval, signal, push);
    }
    if (push?.signals !== signals) {
      await pause(startedAt + SIGNAL_INTERVAL - Date.now(), signal);
    }
  }
}
