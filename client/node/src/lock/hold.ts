/**
 * A lock that is held, on a connection of its own. When that is lost, the lock is claimed from the next supervisor by its token
 * (PROTOCOL 5, Locks): 3 s are left for that, and the holder has 2 s more to stop its work.
 */
import type { Client } from "../client.js";
import type { Connection, ConnectionEvents } from "../connection.js";
import { asyncDispose } from "../dispose.js";
import { GobError } from "../error.js";
import type { Event, Lagged, LockAcquireData, LockAcquirePayload, LockMode, SubscribePayload } from "../generated/types.js";
import { MAX_DELAY_MS } from "../limits.js";
import type { Opened } from "../open.js";
import { reconnect } from "../reconnect.js";
import { onAbort } from "../signals.js";

/** A claim must be sent by then. */
const CLAIM_WITHIN_MS = 3_000;
/** Claims are answered 6 s after the supervisor has started. */
const ANSWER_WITHIN_MS = 12_000;
const RELEASE_WITHIN_MS = 5_000;

/** The events that end a hold without its holder. */
export const ENDS: SubscribePayload["events"] = ["lock_released", "lock_broken"];

/** A lock that this program holds. */
export class HeldLock {
  private state: "held" | "lost" | "released" = "held";
  private expiry: string | null;
  private renewal: NodeJS.Timeout | undefined;
  private unlisten: () => void = () => undefined;
  private readonly losing = new AbortController();
  private readonly leaving = new AbortController();

  /** Takes over a connection over which the lock was just granted. */
  constructor(
    private readonly client: Client,
    private connection: Connection,
    /** The request without its wait: renewals and claims repeat it. */
    private readonly asked: LockAcquirePayload,
    granted: LockAcquireData,
    private readonly closing: AbortSignal,
  ) {
    this.token = granted.token;
    this.expiry = granted.expires_at;
    this.renewLater();
    if (closing.aborted) this.closed();
    else this.unlisten = onAbort(closing, () => this.closed());
  }

  /** The fencing token: higher than those of all earlier holders. A store that remembers the highest one can refuse others. */
  readonly token: number;

  get name(): string {
    return this.asked.lock;
  }

  get mode(): LockMode {
    return this.asked.mode ?? "exclusive";
  }

  /** When the lock is lost unless it is renewed, which happens by itself; null without a TTL. */
  get expiresAt(): string | null {
    return this.expiry;
  }

  /** Is aborted, with the reason, when the lock is lost: another program has it, or will have it in 2 s. */
  get signal(): AbortSignal {
    return this.losing.signal;
  }

  /** False once it is lost or was given back. */
  get isHeld(): boolean {
    return this.state === "held";
  }

  /** Gives the lock back; false if it was lost before, or was given back already. */
  async release(): Promise<boolean> {
    if (this.state !== "held") return false;
    this.end("released");
    const { connection } = this;
    const payload = { lock: this.name, token: this.token };
    try {
      if (connection.error === null) await connection.request("lock_release", payload, { timeoutMs: RELEASE_WITHIN_MS });
      return true;
    } catch (error) {
      // With the connection it is given back, too.
      return !(GobError.is(error) && error.code === "lock-not-held");
    } finally {
      await connection.close(given(this.name));
    }
  }

  async [asyncDispose](): Promise<void> {
    await this.release();
  }

  /** Takes in an event of its connection. */
  heard(event: Event | Lagged): void {
    if (event.event === "lagged") return this.renewNow();
    const { token, reason, actor } = event as Event;
    if (token !== this.token || this.state !== "held") return;
    const by = typeof actor === "string" ? actor : (actor.client ?? actor.owner);
    const why = event.event === "lock_broken" ? `${by} broke the lock ${this.name}` : `the time of the lock ${this.name} is over`;
    this.lose(new GobError({ code: "lock-not-held", message: why, details: { lock: this.name, token, reason } }));
  }

  /** Its connection was lost. */
  gone(connection: Connection, error: GobError): void {
    if (connection === this.connection && this.state === "held") void this.claim(error);
  }

  private async claim(lost: GobError): Promise<void> {
    clearTimeout(this.renewal);
    try {
      // The supervisor that has a claim may go, too: then it is claimed from the next one.
      while (!(await this.claimOnce())) continue;
    } catch (cause) {
      if (this.state !== "held") return;
      const isRefused = GobError.is(cause) && cause.request === "lock_acquire";
      const why = isRefused ? cause.message : "no other one served in time";
      const message = `the lock ${this.name} was lost with its supervisor: ${why}`;
      this.lose(new GobError({ code: "lock-not-held", message, cause: isRefused ? cause : lost }));
    }
  }

  /** Claims the lock from the next supervisor; false if that one went before it answered. */
  private async claimOnce(): Promise<boolean> {
    const on = {
      onWarning: this.client.onWarning,
      onEvent: (event: Event | Lagged) => this.heard(event),
      onEnd: (error: GobError) => this.gone(opened.connection, error),
    };
    const opened = await this.connect(on);
    const { connection } = opened;
    connection.request("subscribe", { events: ENDS }).catch(() => undefined);
    try {
      // Of the same mode and the same party as the first request.
      const claim = { ...this.asked, token: this.token };
      const granted = (await connection.request("lock_acquire", claim, { timeoutMs: ANSWER_WITHIN_MS, signal: this.leaving.signal })) as LockAcquireData;
      this.expiry = granted.expires_at;
    } catch (error) {
      await connection.close(error as GobError);
      if (GobError.is(error) && error.code === "connection-lost") return false;
      throw error;
    }
    // It may have been given back meanwhile, or the connection ended in the turn of the answer.
    if (this.state !== "held") await connection.close(given(this.name));
    this.connection = connection;
    if (connection.error === null) this.renewLater();
    return connection.error === null || this.state !== "held";
  }

  /** Connects in time for a claim, also where something accepts and answers nothing. */
  private async connect(on: ConnectionEvents): Promise<Opened> {
    const late = new AbortController();
    const end = (): void => late.abort();
    const timer = setTimeout(end, CLAIM_WITHIN_MS);
    this.leaving.signal.addEventListener("abort", end);
    try {
      return await reconnect(this.client, on, { signal: late.signal, autostart: false });
    } finally {
      clearTimeout(timer);
      this.leaving.signal.removeEventListener("abort", end);
    }
  }

  /** Renews the TTL every third of it. */
  private renewLater(): void {
    const { ttl_ms } = this.asked;
    clearTimeout(this.renewal);
    if (ttl_ms !== undefined) this.renewal = setTimeout(() => this.renewNow(), Math.min(ttl_ms / 3, MAX_DELAY_MS));
  }

  private renewNow(): void {
    if (this.state !== "held" || this.connection.error !== null) return;
    this.connection.request("lock_acquire", { ...this.asked, token: this.token }).then(
      (granted) => {
        this.expiry = (granted as LockAcquireData).expires_at;
      },
      (error: GobError) => {
        if (error.code === "lock-not-held" && this.state === "held") this.lose(error);
      },
    );
    this.renewLater();
  }

  private closed(): void {
    this.lose(this.closing.reason as GobError);
  }

  private lose(error: GobError): void {
    const { connection } = this;
    this.end("lost");
    this.losing.abort(error);
    void connection.close(error);
  }

  private end(state: "lost" | "released"): void {
    this.state = state;
    clearTimeout(this.renewal);
    this.leaving.abort();
    this.unlisten();
  }
}

function given(name: string): GobError {
  return new GobError({ code: "lock-not-held", message: `the lock ${name} was given back` });
}
