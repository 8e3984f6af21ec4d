/**
 * The supervisor's locks (docs/LOCKS.md): a fair line, tokens that only grow, and holders that outlive the supervisor.
 *
 * Each hold has a connection of its own, so that pieces of one program that run side by side stand in line like programs. What
 * runs inside of `withLock` is one party with it.
 */
import { checkedFunction, checkedOptionalText, checkedOptions, checkedPositive, checkedSignal, checkedTime } from "./checked.js";
import type { Client } from "./client.js";
import type { Connection } from "./connection.js";
import { asyncDispose } from "./dispose.js";
import { aborted, GobError } from "./error.js";
import type { Event, Lagged, LockAcquireData, LockAcquirePayload, LockMode } from "./generated/types.js";
import { ENDS, HeldLock } from "./lock/hold.js";
import { held, holding } from "./party.js";
import { persist, reconnect } from "./reconnect.js";
import { onAbort } from "./signals.js";

/** How a lock is taken. */
export interface LockOptions {
  /** `exclusive` unless told otherwise; any number of holders have it `shared` at once. */
  mode?: LockMode | undefined;
  /** The longest wait: then `lock-timeout`, with the `holders` in its details. 0 tries once; without it the wait has no end. */
  timeoutMs?: number | undefined;
  /** A higher one comes first; 0. */
  priority?: number | undefined;
  /** The supervisor takes the lock back when it heard nothing for so long. It is renewed while this program lives. */
  ttlMs?: number | undefined;
  /** The program, for people; the client's name. */
  process?: string | undefined;
  /** Locks or tokens that the same party holds, beside those of the `withLock` that this runs in. */
  within?: readonly (HeldLock | number)[] | undefined;
  /** Ends the wait. */
  signal?: AbortSignal | undefined;
}

/** Work under a lock. Its signal is aborted when the lock is lost. */
export type WithLock<T> = (signal: AbortSignal, lock: HeldLock) => T | Promise<T>;

/**
 * A lock that can be taken, again and again; `client.lock(name)` makes one, and asks for nothing yet.
 *
 * To await it takes it: `await using build = await client.lock("build")`.
 */
export class Lock implements PromiseLike<HeldLock> {
  private current: HeldLock | null = null;
  private taking: Promise<HeldLock> | null = null;

  constructor(
    private readonly client: Client,
    readonly name: string,
    private readonly options: LockOptions,
    private readonly closing: AbortSignal,
  ) {
    checkedRules(options);
  }

  /** The token while it is held, else null. */
  get token(): number | null {
    return this.current?.isHeld === true ? this.current.token : null;
  }

  /** Is aborted when the lock is lost; that of the last hold. Null before the first one. */
  get signal(): AbortSignal | null {
    return this.current?.signal ?? null;
  }

  /**
   * Takes the lock, and waits for it, over the lives of supervisors.
   *
   * Throws `lock-timeout`, `lock-deadlock` also if this object holds it already, `aborted`, and what a connection throws.
   */
  async acquire(options: LockOptions = {}): Promise<HeldLock> {
    checkedRules(options);
    if (this.taking !== null || this.current?.isHeld === true) {
      throw new GobError({ code: "lock-deadlock", message: `${this.name} is held by this lock already`, request: "lock_acquire" });
    }
    this.taking = take(this.client, this.name, { ...this.options, ...options }, this.closing);
    try {
      return (this.current = await this.taking);
    } finally {
      this.taking = null;
    }
  }

  /** Gives it back; false if it was lost, or not held. */
  async release(): Promise<boolean> {
    return (await this.current?.release()) ?? false;
  }

  /** Does something while it holds the lock. Throws `lock-not-held` where it was lost meanwhile, after that was done. */
  async with<T>(work: WithLock<T>, options: LockOptions = {}): Promise<T> {
    checkedFunction("the work under a lock", work);
    checkedRules(options);
    const hold = await take(this.client, this.name, { ...this.options, ...options }, this.closing);
    let done: T;
    try {
      done = await holding(hold.token, () => work(hold.signal, hold));
    } catch (error) {
      await hold.release();
      throw error;
    }
    if (await hold.release()) return done;
    throw hold.signal.reason as GobError;
  }

  then<A = HeldLock, B = never>(
    granted?: ((hold: HeldLock) => A | PromiseLike<A>) | null,
    refused?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): PromiseLike<A | B> {
    const { current } = this;
    const hold = this.taking ?? (current?.isHeld === true ? Promise.resolve(current) : this.acquire());
    return hold.then(granted, refused);
  }

  async [asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** Refuses what a lock can't be taken by, before it is asked for. */
function checkedRules(options: LockOptions): void {
  const { timeoutMs, ttlMs, priority, process, within, signal } = checkedOptions("lock", options);
  checkedTime("timeoutMs", timeoutMs);
  checkedSignal(signal);
  checkedOptionalText("process", process);
  if (ttlMs !== undefined) checkedPositive("ttlMs", ttlMs);
  if (priority !== undefined && !Number.isInteger(priority)) throw usage("priority is a whole number");
  if (within !== undefined && !Array.isArray(within)) throw usage("within is a list of locks or tokens");
}

function usage(message: string): GobError {
  return new GobError({ code: "usage", message });
}

/** Takes a lock over a connection of its own. */
async function take(client: Client, name: string, options: LockOptions, closing: AbortSignal): Promise<HeldLock> {
  const asked = payload(name, options);
  const timeoutMs = checkedTime("timeoutMs", options.timeoutMs) ?? Infinity;
  const until = timeoutMs === Infinity ? undefined : performance.now() + timeoutMs;
  const own = checkedSignal(options.signal);
  const ending = new AbortController();
  const end = (): void => ending.abort(own?.aborted === true ? aborted(`the wait for ${name}`, own.reason) : closing.reason);
  const signals = own === undefined ? [closing] : [closing, own];
  if (signals.some((signal) => signal.aborted)) end();
  const undo = signals.map((signal) => onAbort(signal, end));
  try {
    return await persist(client, ending.signal, (back) => takeOnce(client, asked, { until, back, closing, signal: ending.signal }));
  } catch (error) {
    throw ending.signal.aborted ? ending.signal.reason : error;
  } finally {
    for (const each of undo) each();
  }
}

interface Wait {
  until: number | undefined;
  back: number;
  closing: AbortSignal;
  signal: AbortSignal;
}

async function takeOnce(client: Client, asked: LockAcquirePayload, { until, back, closing, signal }: Wait): Promise<HeldLock> {
  let hold: HeldLock | null = null;
  const on = {
    onWarning: client.onWarning,
    onEvent: (event: Event | Lagged) => hold?.heard(event),
    onEnd: (error: GobError) => hold?.gone(connection, error),
  };
  const opened = await reconnect(client, on, { signal, autostart: client.autostart, until: back });
  const connection: Connection = opened.connection;
  try {
    connection.request("subscribe", { events: ENDS }).catch(() => undefined);
    const timeout_ms = until === undefined ? undefined : Math.max(Math.ceil(until - performance.now()), 0);
    const granted = (await connection.request("lock_acquire", { ...asked, timeout_ms }, { signal })) as LockAcquireData;
    if (connection.error !== null) throw connection.error;
    return (hold = new HeldLock(client, connection, asked, granted, closing));
  } catch (error) {
    // A waiter leaves its line with its connection.
    await connection.close(error as GobError);
    throw error;
  }
}

function payload(lock: string, { mode, priority, ttlMs, process, within = [] }: LockOptions): LockAcquirePayload {
  const tokens = [...held(), ...within.map((other) => (typeof other === "number" ? other : other?.token))];
  return { lock, mode, priority, process, ttl_ms: ttlMs, within: tokens.length === 0 ? undefined : tokens };
}
