import type { Client } from "openapi-fetch";

import { LhcmsError, ok } from "./error.js";
import { hash } from "./hash.js";
import { backoff, pause } from "./pause.js";
import type { Put } from "./put.js";
import type { components, paths } from "./schema.js";

type Attachment = components["schemas"]["Attachment"];
type FileType = components["schemas"]["FileType"];
type Announced = components["schemas"]["AttachmentUpload"];
type Part = components["schemas"]["UploadPart"];

/** The file of an upload, and how to send it. */
export interface UploadOptions {
  /** What the file is for. */
  kind: components["schemas"]["FileKind"];
  /** The name. Default: that of a `File`. */
  fileName?: string;
  /** The type. Default: that of the extension of the name. */
  contentType?: FileType;
  /** Gets the progress. */
  onProgress?: (progress: UploadProgress) => void;
  /** Ends the upload. */
  signal?: AbortSignal;
  /** The id of an upload of the same file that has failed, or that was ended: only what is missing is sent. */
  resume?: string;
  /** The lab, if the user has several. */
  labId?: number;
}

/** How far an upload is. */
export interface UploadProgress {
  /** Whether the file is being hashed, before it is announced, or sent. */
  step: "hash" | "send";
  /** The bytes that are done in this step. */
  done: number;
  /** The bytes of the file. */
  size: number;
  /** The id of the file, once it is announced. Keep it to resume the upload. */
  attachmentId: string | undefined;
}

/** How many parts are sent at the same time, and how often one is sent at most. */
const PARALLEL = 3;
const ATTEMPTS = 5;
/** The longest pause before a part is sent again, in milliseconds. */
const LONGEST_PAUSE = 20_000;

const TYPES: Record<string, FileType> = {
  stl: "model/stl",
  ply: "model/ply",
  obj: "model/obj",
  dcm: "application/dicom",
  pdf: "application/pdf",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  png: "image/png",
  heic: "image/heic",
  zip: "application/zip",
};

/** Sends a file to a case: hashes it, announces it, sends its parts to the store, and completes it. Returns the file, which is not scanned yet. */
export async function upload(api: Client<paths>, put: Put, caseId: number, file: Blob, options: UploadOptions): Promise<Attachment> {
  const { signal, resume } = options;
  const header = options.labId === undefined ? {} : { "X-Lab-Id": options.labId };
  const of = (attachmentId: string) => ({ params: { path: { id: caseId, attachment_id: attachmentId }, header }, signal: signal ?? null });
  const ask = (attachmentId: string) => ok(api.GET("/api/v1/cases/{id}/attachments/{attachment_id}/upload", of(attachmentId)));
  const complete = (attachmentId: string) => ok(api.POST("/api/v1/cases/{id}/attachments/{attachment_id}/complete", of(attachmentId)));

  let announced: Announced;
  if (resume === undefined) {
    const body = await describe(file, options);
    announced = await ok(api.POST("/api/v1/cases/{id}/attachments", { params: { path: { id: caseId }, header }, body, signal: signal ?? null }));
  } else {
    try {
      announced = await ask(resume);
    } catch (error) {
      // Everything was sent, and only the answer was lost.
      if (error instanceof LhcmsError && error.code === "upload_finished") {
        return complete(resume);
      }
      throw error;
    }
    if (announced.attachment.size !== file.size) {
      throw new TypeError(`The upload ${resume} is of another file: it has ${announced.attachment.size} bytes, and this file has ${file.size}.`);
    }
  }
  const { id } = announced.attachment;
  await sendParts(file, announced, { put, ask: () => ask(id), options });
  return complete(id);
}

/** The announcement of a file. */
async function describe(file: Blob, options: UploadOptions): Promise<components["schemas"]["AttachmentCreate"]> {
  const { kind, fileName = (file as Partial<File>).name, onProgress, signal } = options;
  if (!fileName) {
    throw new TypeError("Say `fileName`: the file has no name.");
  }
  const type = options.contentType ?? TYPES[fileName.split(".").at(-1)?.toLowerCase() ?? ""];
  if (!type) {
    throw new TypeError(`Files of this type cannot be sent. The types are: ${Object.keys(TYPES).join(", ")}.`);
  }
  const hashes = await hash(file, (done) => onProgress?.({ step: "hash", done, size: file.size, attachmentId: undefined }), signal);
  return { file_name: fileName, content_type: type, size: file.size, kind, ...hashes };
}

/** What sending needs: the store, and newly signed requests. */
interface Sending {
  put: Put;
  ask: () => Promise<Announced>;
  options: UploadOptions;
}

/** Sends the parts that the store does not have. */
async function sendParts(file: Blob, announced: Announced, { put, ask, options }: Sending): Promise<void> {
  const { attachment, upload } = announced;
  const requests = new Map(upload.parts.map((part) => [part.number, part]));
  const sent = new Map(upload.parts.map((part) => [part.number, part.is_sent ? part.size : 0]));
  const waiting = upload.parts.filter((part) => !part.is_sent).map((part) => part.number);
  const report = () => {
    const done = [...sent.values()].reduce((sum, bytes) => sum + bytes, 0);
    options.onProgress?.({ step: "send", done, size: file.size, attachmentId: attachment.id });
  };
  report();

  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal ? [options.signal] : [])]);
  const onSent = (number: number) => (bytes: number) => {
    sent.set(number, bytes);
    report();
  };
  const sendOne = async (number: number): Promise<void> => {
    const start = (number - 1) * upload.part_size;
    for (let attempt = 1; ; attempt += 1) {
      const { url, headers, size } = requests.get(number) as Part;
      const status = await put(url, headers, file.slice(start, start + size), onSent(number), signal).catch(() => undefined);
      signal.throwIfAborted();
      // 412: an attempt whose answer was lost has sent it.
      if (status === 412 || (status !== undefined && status < 300)) {
        onSent(number)(size);
        return;
      }
      if (attempt === ATTEMPTS) {
        throw new LhcmsError(status ?? 0, undefined, `Part ${number} of the file cannot be sent: the store ${status ? `answers ${status}` : "does not answer"}.`, {}, undefined);
      }
      onSent(number)(0);
      await pause(backoff(attempt, LONGEST_PAUSE), signal);
      if (status === 403) {
        // The requests have expired.
        (await ask()).upload.parts.forEach((part) => requests.set(part.number, part));
      }
    }
  };
  const sendSome = async () => {
    for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) {
      await sendOne(number);
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, sendSome));
  } catch (error) {
    failed.abort(error);
    throw error;
  }
}
