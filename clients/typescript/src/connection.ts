import { pause } from "./pause.js";
import type { components } from "./schema.js";

type Message = components["schemas"]["RealtimeMessage"];
type Request = components["schemas"]["RealtimeRequest"];
/** The URL of a connection, and its lab. */
export type Ticket = components["schemas"]["RealtimeTicket"];

/** Opens a WebSocket. */
export type OpenSocket = (url: string) => WebSocket;

/** What a connection tells and asks. */
export interface ConnectionEvents {
  /** The feed has news, or can have some. */
  onSignal(): void;
  /** Signals come from now on. */
  onSubscribed(): void;
  /** Gets a new ticket. */
  newTicket(): Promise<Ticket>;
}

/** How often a connection is checked, in milliseconds. */
const CHECK_INTERVAL = 10_000;
/** How long an answer can take. */
const ANSWER_TIMEOUT = 10_000;
/** How long a connection can be silent. The gateway closes one that is silent for ten minutes. */
const PING_INTERVAL = 4 * 60_000;
/** How long before its end a connection is renewed. */
const RENEWAL_TIME = 2 * 60_000;
/** The bounds of the time between renewals, in case the clock of this computer is wrong. */
const RENEWAL_BOUNDS = { least: 60_000, most: 10 * 60_000 };

/** One WebSocket of the service, from its ticket to its end. */
export class Connection {
  readonly #socket: WebSocket;
  readonly #events: ConnectionEvents;
  readonly #closed = new AbortController();
  /** When the last message came. */
  #heardAt = Date.now();
  /** Since when an answer is missing. */
  #askedAt: number | undefined = Date.now();
  /** When the connection ends, by the clock of the service. */
  #expiresAt = 0;
  #renewAt = Infinity;

  constructor(socket: WebSocket, labId: number, events: ConnectionEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.onopen = () => this.#ask({ action: "subscribe", lab_id: labId });
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => this.#closed.abort();
    socket.onerror = () => this.close();
  }

  /** Keeps the connection alive. Returns when it has ended. */
  async run(): Promise<void> {
    try {
      while (!this.#closed.signal.aborted) {
        const since = Date.now();
        const isEarly = await pause(CHECK_INTERVAL, this.#closed.signal);
        // A timer that fires late says that the computer has slept.
        this.#check(isEarly || Date.now() - since > 2 * CHECK_INTERVAL);
      }
    } catch {
      // Closed.
    }
  }

  close(): void {
    this.#closed.abort();
    this.#socket.close();
  }

  #check(isAwake: boolean): void {
    const now = Date.now();
    if (isAwake) {
      this.#events.onSignal();
    }
    if (this.#askedAt !== undefined) {
      if (now - this.#askedAt >= ANSWER_TIMEOUT) {
        this.close();
      }
    } else if (now >= this.#renewAt) {
      this.#renewAt = now + RENEWAL_BOUNDS.least;
      void this.#renew();
    } else if (isAwake || now - this.#heardAt >= PING_INTERVAL) {
      this.#ask({ action: "ping" });
    }
  }

  #ask(message: Request): void {
    this.#askedAt ??= Date.now();
    this.#socket.send(JSON.stringify(message));
  }

  async #renew(): Promise<void> {
    try {
      const { url } = await this.#events.newTicket();
      const ticket = new URL(url).searchParams.get("ticket") ?? "";
      if (!this.#closed.signal.aborted) {
        this.#ask({ action: "renew", ticket });
      }
    } catch {
      // The connection ends at its time, and the next one reports why there are no tickets.
    }
  }

  #receive(data: unknown): void {
    this.#heardAt = Date.now();
    this.#askedAt = undefined;
    const message = parse(data);
    switch (message?.type) {
      case "subscribed":
        this.#keepUntil(message.expires_at);
        this.#events.onSubscribed();
        break;
      case "changes":
        this.#events.onSignal();
        break;
      case "renewed":
        // No connection lives longer than two hours, and none longer than its token. Then a new one is needed.
        if (Date.parse(message.expires_at) <= this.#expiresAt) {
          this.close();
        } else {
          this.#keepUntil(message.expires_at);
        }
        break;
      case "error":
        this.close();
    }
  }

  #keepUntil(expiresAt: string): void {
    this.#expiresAt = Date.parse(expiresAt);
    const wait = this.#expiresAt - RENEWAL_TIME - Date.now();
    this.#renewAt = Date.now() + Math.min(Math.max(wait, RENEWAL_BOUNDS.least), RENEWAL_BOUNDS.most);
  }
}

/** Reads a message. One that is not of this service, such as an error of the gateway, has no type. */
function parse(data: unknown): Message | undefined {
  try {
    return JSON.parse(String(data)) ?? undefined;
  } catch {
    return undefined;
  }
}
