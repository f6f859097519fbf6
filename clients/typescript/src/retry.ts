import { retryAfter } from "./error.js";
import { backoff, pause } from "./pause.js";

/** Sends a request. */
export type Send = (request: Request) => Promise<Response>;

/** The longest pause between two attempts, in milliseconds. */
const LONGEST_PAUSE = 20_000;

/**
 * Sends a request again when that is safe:
 * - after 429, and after 409 with `Retry-After` (a lost race): nothing was done,
 * - after 502, 503, 504 or no answer: only if doing it twice does no harm. That is so for reads, for PUT, and with an
 *   `Idempotency-Key`.
 */
export function withRetries(send: Send, attempts: number): Send {
  return async (request) => {
    for (let attempt = 1; ; attempt += 1) {
      const isLast = attempt >= attempts;
      let wait: number;
      try {
        const response = await send(request.clone());
        if (isLast || !mayRepeat(request, response)) {
          return response;
        }
        await response.body?.cancel();
        wait = Math.max((retryAfter(response) ?? 0) * 1000, backoff(attempt, LONGEST_PAUSE));
      } catch (error) {
        if (isLast || request.signal.aborted || !isHarmlessTwice(request)) {
          throw error;
        }
        wait = backoff(attempt, LONGEST_PAUSE);
      }
      await pause(Math.min(wait, LONGEST_PAUSE), request.signal);
    }
  };
}

function mayRepeat(request: Request, response: Response): boolean {
  switch (response.status) {
    case 429:
      return true;
    case 409:
      return response.headers.has("Retry-After");
    case 502:
    case 503:
    case 504:
      return isHarmlessTwice(request);
    default:
      return false;
  }
}

function isHarmlessTwice(request: Request): boolean {
  return ["GET", "HEAD", "PUT"].includes(request.method) || request.headers.has("Idempotency-Key");
}
