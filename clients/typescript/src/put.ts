/**
 * Sends bytes to the store. Returns the status of the answer. It fails without an answer, and when `signal` is aborted. `onSent` gets the
 * number of bytes that are sent, at least when all are.
 */
export type Put = (url: string, headers: Record<string, string>, bytes: Blob, onSent: (bytes: number) => void, signal: AbortSignal) => Promise<number>;

/** Sends bytes with `fetch`, which does not tell how far it is. */
export function putByFetch(send: (request: Request) => Promise<Response>): Put {
  return async (url, headers, bytes, onSent, signal) => {
    const response = await send(new Request(url, { method: "PUT", headers: settable(headers), body: bytes, signal }));
    await response.body?.cancel();
    if (response.ok) {
      onSent(bytes.size);
    }
    return response.status;
  };
}

/** Sends bytes with the one interface of browsers that tells how far it is. */
export const putByXhr: Put = (url, headers, bytes, onSent, signal) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    request.open("PUT", url);
    for (const [name, value] of Object.entries(settable(headers))) {
      request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onload = () => resolve(request.status);
    request.onerror = () => reject(new TypeError("The store does not answer."));
    request.onabort = () => reject(signal.reason);
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.send(bytes);
  });

/** The headers without the length, which browsers and `fetch` set themselves. */
function settable(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== "content-length"));
}
