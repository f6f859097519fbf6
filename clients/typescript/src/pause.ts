/**
 * Waits, but not longer than the computer sleeps: in a browser it ends early when the page is looked at again or the network is
 * back. It also ends early when `signals` has an event `signal`. Returns whether it ended early.
 */
export function pause(milliseconds: number, signal?: AbortSignal, signals?: EventTarget): Promise<boolean> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const page = typeof document === "undefined" ? undefined : document;
    const onVisible = () => page?.visibilityState === "visible" && onEarly();
    const onEarly = () => end(() => resolve(true));
    const onAbort = () => end(() => reject(signal?.reason));
    const timer = setTimeout(() => end(() => resolve(false)), milliseconds);

    function end(then: () => void) {
      clearTimeout(timer);
      page?.removeEventListener("visibilitychange", onVisible);
      globalThis.removeEventListener?.("online", onEarly);
      signals?.removeEventListener("signal", onEarly);
      signal?.removeEventListener("abort", onAbort);
      then();
    }

    page?.addEventListener("visibilitychange", onVisible);
    globalThis.addEventListener?.("online", onEarly);
    signals?.addEventListener("signal", onEarly);
    signal?.addEventListener("abort", onAbort);
  });
}

/** A random part of a time that doubles with each attempt, so that many clients do not come back at the same moment. */
export function backoff(attempt: number, longest: number): number {
  return Math.random() * Math.min(longest, 500 * 2 ** attempt);
}
