import type { Client } from "openapi-fetch";

import { Connection, type OpenSocket, type Ticket } from "./connection.js";
import { isRefusal, ok } from "./error.js";
import { backoff, pause } from "./pause.js";
import type { paths } from "./schema.js";

/** The longest pause before a new connection, in milliseconds. */
const LONGEST_PAUSE = 60_000;
/** A connection that lives so long, in milliseconds, was none that fails at once. */
const STABLE_AFTER = 60_000;

/** Keeps a connection on which the service says that a lab's feed has news. It dispatches an event `signal` each time. */
export class Push extends EventTarget {
  /** How many signals there were. */
  signals = 0;
  /** Whether signals come at the moment. If not, read the feed at intervals. */
  isLive = false;
  readonly #api: Client<paths>;
  readonly #open: OpenSocket;
  readonly #labId: number | undefined;

  constructor(api: Client<paths>, open: OpenSocket, labId: number | undefined) {
    super();
    this.#api = api;
    this.#open = open;
    this.#labId = labId;
  }

  /** Connects, again and again, until `end`. It gives up when the service refuses to give a ticket. */
  async run(end: AbortSignal): Promise<void> {
    let failures = 0;
    try {
      while (!end.aborted) {
        const since = Date.now();
        try {
          await this.#connect(end);
        } catch (error) {
          if (isRefusal(error)) {
            return;
          }
        }
        failures = Date.now() - since >= STABLE_AFTER ? 0 : failures + 1;
        await pause(backoff(failures, LONGEST_PAUSE), end);
      }
    } catch {
      // Ended.
    }
  }

  /** Runs one connection to its end. */
  async #connect(end: AbortSignal): Promise<void> {
    const ticket = await this.#newTicket(end);
    end.throwIfAborted();
    const connection = new Connection(this.#open(ticket.url), ticket.lab_id, {
      onSignal: () => this.#signal(),
      onSubscribed: () => {
        this.isLive = true;
        this.#signal();
      },
      newTicket: () => this.#newTicket(end),
    });
    const close = () => connection.close();
    end.addEventListener("abort", close);
    try {
      await connection.run();
    } finally {
      end.removeEventListener("abort", close);
      if (this.isLive) {
        this.isLive = false;
        this.#signal();
      }
    }
  }

  #newTicket(signal: AbortSignal): Promise<Ticket> {
    const header = this.#labId === undefined ? {} : { "X-Lab-Id": this.#labId };
    return ok(this.#api.POST("/api/v1/realtime/tickets", { params: { header }, signal }));
  }

  #signal(): void {
    this.signals += 1;
    this.dispatchEvent(new Event("signal"));
  }
}
