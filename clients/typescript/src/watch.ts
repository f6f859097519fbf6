import type { Client } from "openapi-fetch";

import { LhcmsError, ok } from "./error.js";
import { backoff, pause } from "./pause.js";
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
  /** The pause between two requests when there is nothing new, in milliseconds. Default: 5,000. */
  interval?: number;
  /** The lab, if the user has several. */
  labId?: number;
}

/** The most changes that the service gives in one answer. */
const LIMIT = 100;
/** The longest pause after failures, in milliseconds. */
const LONGEST_PAUSE = 60_000;

/**
 * Follows the changes of a lab. It goes on after failures of the network and of the service, and after the computer has slept. It
 * ends with an exception when the service refuses the request, for example because the user has left the lab.
 */
export async function* watch(api: Client<paths>, options: WatchOptions = {}): AsyncGenerator<FeedEvent, void> {
  const { signal, interval = 5_000, labId } = options;
  let since = options.since === "start" ? undefined : (options.since ?? "now");
  let failures = 0;
  while (!signal?.aborted) {
    let wait = interval;
    try {
      const query = { limit: LIMIT, ...(since === undefined ? {} : { since }) };
      const header = labId === undefined ? {} : { "X-Lab-Id": labId };
      const call = api.GET("/api/v1/cases/changes", { params: { query, header }, signal: signal ?? null });
      const page = await ok(call);
      failures = 0;
      const isNew = since !== page.next_cursor;
      since = page.next_cursor;
      if (page.changes.length > 0 || isNew) {
        yield { type: "changes", changes: page.changes, cursor: page.next_cursor };
      }
      const { response } = await call;
      const later = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
      if (page.has_more) {
        wait = Number.isNaN(later) ? 0 : later * 1000;
      }
    } catch (error) {
      if (signal?.aborted) {
        return;
      }
      if (error instanceof LhcmsError && error.code === "feed_restarted") {
        const { restored_to: restoredTo, next_cursor: cursor } = error.problem as { restored_to?: string; next_cursor: string };
        since = cursor;
        yield { type: "restart", restoredTo, cursor };
        continue;
      }
      if (error instanceof LhcmsError && error.status < 500 && error.status !== 429) {
        throw error;
      }
      failures += 1;
      const least = error instanceof LhcmsError ? (error.retryAfter ?? 0) * 1000 : 0;
      wait = Math.max(least, interval, backoff(failures, LONGEST_PAUSE));
    }
    try {
      await pause(wait, signal);
    } catch {
      return;
    }
  }
}
