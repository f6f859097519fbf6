import assert from "node:assert/strict";
import { createHash } from "node:crypto";

import { createLhcms, type Lhcms } from "../src/index.js";

export const PART_SIZE = 64 * 1024 * 1024;
const ID = "att_9fK2mQx7Lb3TzR5w";

/** A service with one case and one file, and the store that the file is sent to. */
export class Store {
  readonly lhcms: Lhcms;
  /** The requests to the service, without those to the store. */
  readonly calls: string[] = [];
  /** The announcement of the file. */
  announced: { file_name: string; content_type: string; size: number; sha256: string; part_sha256?: string[] } | undefined;
  /** What the store has: the number of the part, and its SHA-256. */
  readonly parts = new Map<number, string>();
  isComplete = false;
  /** The signatures that the store accepts. Each answer with requests has the newest one. */
  signature = 1;
  /** Faults of the store: the answers to requests for a part, in their order, before it works. */
  readonly faults = new Map<number, (number | Error)[]>();
  /** Called when a request for a part comes. */
  onPart: (number: number) => unknown = () => {};
  readonly simultaneous = { now: 0, most: 0 };

  constructor() {
    const fetch = (request: Request) => (new URL(request.url).host === "store.example.com" ? this.#store(request) : this.#service(request));
    this.lhcms = createLhcms({ baseUrl: "https://api.example.com", token: () => "token", attempts: 1, fetch });
  }

  get id(): string {
    return ID;
  }

  async #service(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname.replace("/api/v1/cases/1/attachments", "").replace(ID, "{id}");
    this.calls.push(`${request.method} ${path}`);
    switch (`${request.method} ${path}`) {
      case "POST ":
        this.announced = (await request.json()) as NonNullable<Store["announced"]>;
        return Response.json(this.#upload(), { status: 201 });
      case "GET /{id}/upload":
        return this.isComplete ? Response.json({ code: "upload_finished" }, { status: 409 }) : Response.json(this.#upload());
      case "POST /{id}/complete":
        assert.equal(this.parts.size, this.#sizes().length, "the file is not whole");
        this.isComplete = true;
        return Response.json({ id: ID, state: "scanning" });
      default:
        return Response.json({ code: "not_found" }, { status: 404 });
    }
  }

  #sizes(): number[] {
    const size = this.announced?.size ?? 0;
    const count = this.announced?.part_sha256?.length ?? 1;
    return Array.from({ length: count }, (_, index) => (count === 1 ? size : Math.min(PART_SIZE, size - index * PART_SIZE)));
  }

  #upload() {
    const hashes = this.announced?.part_sha256 ?? [this.announced?.sha256 ?? ""];
    const parts = this.#sizes().map((size, index) => ({
      number: index + 1,
      size,
      is_sent: this.parts.has(index + 1),
      url: `https://store.example.com/file?part=${index + 1}&signature=${this.signature}`,
      headers: {
        "content-length": String(size),
        "x-amz-checksum-sha256": Buffer.from(hashes[index] ?? "", "hex").toString("base64"),
        ...(hashes.length === 1 ? { "content-type": this.announced?.content_type, "if-none-match": "*" } : {}),
      },
    }));
    return { attachment: { id: ID, size: this.announced?.size }, upload: { method: "PUT", part_size: hashes.length === 1 ? this.announced?.size : PART_SIZE, parts } };
  }

  async #store(request: Request): Promise<Response> {
    const query = new URL(request.url).searchParams;
    const number = Number(query.get("part"));
    assert.equal(request.headers.get("Authorization"), null, "the store gets no token");
    this.onPart(number);
    this.simultaneous.now += 1;
    this.simultaneous.most = Math.max(this.simultaneous.most, this.simultaneous.now);
    try {
      const bytes = Buffer.from(await request.arrayBuffer());
      request.signal.throwIfAborted();
      const fault = this.faults.get(number)?.shift();
      if (fault instanceof Error) {
        throw fault;
      }
      const sum = createHash("sha256").update(bytes).digest();
      if (fault !== undefined || query.get("signature") !== String(this.signature)) {
        return new Response("<Error/>", { status: fault ?? 403 });
      }
      if (sum.toString("base64") !== request.headers.get("x-amz-checksum-sha256") || bytes.length !== this.#sizes()[number - 1]) {
        return new Response("<Error/>", { status: 400 });
      }
      this.parts.set(number, sum.toString("hex"));
      return new Response("");
    } finally {
      this.simultaneous.now -= 1;
    }
  }
}
