/**
 * Waits, but not longer than the computer sleeps: in a browser it ends early when the page is looked at again or the network is
 * back.
 */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const page = typeof document === "undefined" ? undefined : document;
    const onVisible = () => page?.visibilityState === "visible" && end(resolve);
    const onOnline = () => end(resolve);
    const onAbort = () => end(() => reject(signal?.reason));
    const timer = setTimeout(() => end(resolve), milliseconds);

    function end(then: () => void) {
      clearTimeout(timer);
      page?.removeEventListener("visibilitychange", onVisible);
      globalThis.removeEventListener?.("online", onOnline);
      signal?.removeEventListener("abort", onAbort);
      then();
    }

    page?.addEventListener("visibilitychange", onVisible);
    globalThis.addEventListener?.("online", onOnline);
    signal?.addEventListener("abort", onAbort);
  });
}

/** A random part of a time that doubles with each attempt, so that many clients do not come back at the same moment. */
export function backoff(attempt: number, longest: number): number {
  return Math.random() * Math.min(longest, 500 * 2 ** attempt);
}
