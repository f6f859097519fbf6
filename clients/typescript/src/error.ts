import type { components } from "./schema.js";

/** A field of the request that breaks a rule: where, which rule (a stable word), and its parameters. */
export type FieldError = NonNullable<components["schemas"]["Problem"]["errors"]>[number];

/** An answer that is not a success: a problem of the service, or a message of the gateway. */
export class LhcmsError extends Error {
  override readonly name = "LhcmsError";

  constructor(
    /** The HTTP status; 0 if the store of files does not answer. */
    readonly status: number,
    /** The stable word for the cause, such as `not_found`. Answers of the gateway have none. */
    readonly code: string | undefined,
    message: string,
    /** All members of the problem, for those that only some problems have. */
    readonly problem: Readonly<Record<string, unknown>>,
    /** The seconds after which the request may be sent again. */
    readonly retryAfter: number | undefined,
  ) {
    super(message);
  }

  /** What is wrong with single fields of the request. */
  get errors(): readonly FieldError[] {
    return Array.isArray(this.problem["errors"]) ? (this.problem["errors"] as FieldError[]) : [];
  }

  /** The id of the request, which support can look up in the log. */
  get requestId(): string | undefined {
    return typeof this.problem["request_id"] === "string" ? this.problem["request_id"] : undefined;
  }

  /** The error of an answer with this body. */
  static of(response: Response, body: unknown): LhcmsError {
    const problem = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
    const text = (name: string) => (typeof problem[name] === "string" ? (problem[name] as string) : undefined);
    const message = text("detail") ?? text("title") ?? text("message") ?? `The answer has the status ${response.status}.`;
    return new LhcmsError(response.status, text("code"), message, problem, retryAfter(response));
  }
}

/** The seconds in `Retry-After`. The service never sends a date. */
export function retryAfter(response: Response): number | undefined {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return Number.isNaN(seconds) ? undefined : seconds;
}

/** The data of a call of `api`, or an exception with the error. */
export async function ok<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) {
    throw LhcmsError.of(response, error);
  }
  return data as T;
}

/** Whether the service refuses the request, so that sending it again would not help. */
export function isRefusal(error: unknown): error is LhcmsError {
  return error instanceof LhcmsError && error.status < 500 && error.status !== 429;
}
