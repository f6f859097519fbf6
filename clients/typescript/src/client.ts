import createClient, { type Client } from "openapi-fetch";

import type { OpenSocket } from "./connection.js";
import { ok } from "./error.js";
import { putByFetch, putByXhr } from "./put.js";
import { type Send, withRetries } from "./retry.js";
import type { components, operations, paths } from "./schema.js";
import { upload, type UploadOptions } from "./upload.js";
import { type FeedEvent, watch, type WatchOptions } from "./watch.js";

type Attachment = components["schemas"]["Attachment"];
type Case = components["schemas"]["Case"];
type Page = components["schemas"]["CaseList"];
/** The filters and the order of a list. */
type ListQuery = NonNullable<operations["listCases"]["parameters"]["query"]>;

/** What the client needs. */
export interface LhcmsOptions {
  /** The URL of the API, such as `https://api.example.com`. */
  baseUrl: string;
  /** Gives the access token. It is asked again, with `isRejected`, when the service has rejected the token. */
  token: (isRejected: boolean) => string | Promise<string>;
  /** The lab of all requests, if the user has several. */
  labId?: number;
  /** How often a request is sent at most. Default: 4. */
  attempts?: number;
  /** Sends requests. Default: `fetch`. */
  fetch?: Send;
  /** Opens the connections of push. Default: the `WebSocket` of browsers, and of Node 22. */
  webSocket?: OpenSocket;
}

/** A client of the API for one user. */
export interface Lhcms {
  /** All operations of the contract, with types. `ok()` takes the data out of an answer. */
  readonly api: Client<paths>;
  /** All cases of a list, page by page. */
  cases(query?: ListQuery): AsyncGenerator<Case, void>;
  /** Follows the changes of the lab. */
  watch(options?: WatchOptions): AsyncGenerator<FeedEvent, void>;
  /** Sends a file to a case. Returns it when the store has it; then it is scanned. */
  upload(caseId: number, file: Blob, options: UploadOptions): Promise<Attachment>;
}

/** Makes a client. It sends the token and the lab, gives each POST an idempotency key, and sends requests again when that is safe. */
export function createLhcms(options: LhcmsOptions): Lhcms {
  const send: Send = options.fetch ?? ((request) => globalThis.fetch(request));
  const retrying = withRetries(withToken(send, options.token), options.attempts ?? 4);
  const api = createClient<paths>({ baseUrl: options.baseUrl, fetch: retrying });
  api.use({
    onRequest({ request }) {
      if (options.labId !== undefined && !request.headers.has("X-Lab-Id")) {
        request.headers.set("X-Lab-Id", String(options.labId));
      }
      if (request.method === "POST" && !request.headers.has("Idempotency-Key")) {
        request.headers.set("Idempotency-Key", crypto.randomUUID());
      }
      return request;
    },
  });
  // A `fetch` of the user's own is used for everything. Otherwise, in a browser, there is one that shows the progress.
  const put = options.fetch === undefined && typeof XMLHttpRequest !== "undefined" ? putByXhr : putByFetch(send);
  return {
    api,
    cases: (query) => cases(api, query),
    watch: (watchOptions) => watch(api, options.webSocket ?? globalSocket(), watchOptions),
    upload: (caseId, file, uploadOptions) => upload(api, put, caseId, file, uploadOptions),
  };
}

function globalSocket(): OpenSocket | undefined {
  return typeof WebSocket === "undefined" ? undefined : (url) => new WebSocket(url);
}

/** Sends the token. After 401 it asks for another one, once. */
function withToken(send: Send, token: LhcmsOptions["token"]): Send {
  return async (request) => {
    const copy = request.clone();
    request.headers.set("Authorization", `Bearer ${await token(false)}`);
    const response = await send(request);
    if (response.status !== 401) {
      return response;
    }
    copy.headers.set("Authorization", `Bearer ${await token(true)}`);
    await response.body?.cancel();
    return send(copy);
  };
}

async function* cases(api: Client<paths>, query: ListQuery = {}): AsyncGenerator<Case, void> {
  let cursor: string | null | undefined = query.cursor;
  do {
    const page: Page = await ok(api.GET("/api/v1/cases", { params: { query: { ...query, ...(cursor ? { cursor } : {}) } } }));
    yield* page.cases;
    cursor = page.pagination.next_cursor;
  } while (cursor);
}
