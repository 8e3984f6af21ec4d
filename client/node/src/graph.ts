/**
 * A graph that this program uses: brought up, held by a lease, followed over the lives of its workers and of supervisors.
 *
 * Each graph has a connection of its own, to which its lease belongs: several windows of one program are several leases. It asks
 * for the worker, and never stops one.
 */
import { checkedOptionalText, checkedOptions, checkedSignal, checkedTime } from "./checked.js";
import type { Client } from "./client.js";
import type { Connection } from "./connection.js";
import { asyncDispose } from "./dispose.js";
import { Emitter } from "./emitter.js";
import { environment } from "./environment.js";
import { aborted, GobError } from "./error.js";
import type { Event, Lagged, StartData, StartPayload, State, SubscribeData, View, WorkerData } from "./generated/types.js";
import type { EnsureOptions, GraphEvents, GraphOptions } from "./graph/options.js";
import { mayPass, PAUSE_MS, persist, reconnect, waitForChange } from "./reconnect.js";
import { onAbort, unlessAborted } from "./signals.js";

export type { EnsureOptions, GraphEvents, GraphOptions } from "./graph/options.js";

/** States in which an end was not asked for: where the supervisor was killed in one of them, the worker is asked for again. */
const WANTED: readonly State[] = ["starting", "ready", "unhealthy", "backoff", "external"];
/** States in which clients are served. */
const UP: readonly State[] = ["ready", "unhealthy", "external"];

/** A graph; `client.graph(name)` makes one. Nothing is asked for before the first `ensure`. */
export class Graph extends Emitter<GraphEvents> {
  private view: View | null = null;
  private connection: Connection | null = null;
  private ensuring: Promise<string> | null = null;
  private life = new AbortController();
  private releasing: Promise<void> = Promise.resolve();
  /** Ends the way back to a supervisor, and returns once that holds no connection. */
  private stopResuming: () => Promise<void> = () => Promise.resolve();
  private unlisten: () => void = () => undefined;
  /** The event that was told last. */
  private told: { state: State | null; endpoint: string | null } = { state: null, endpoint: null };
  /** Counts views, so that an answer does not undo a later event. */
  private views = 0;
  private isAsking = false;
  /** Whether the next supervisor is asked for the worker: no, where that was stopped in order. */
  private isWanted = true;
  /** Whether the present supervisor was asked all that it had to be: before that, its view does not tell what is wanted. */
  private isSettled = false;
  /** The worker's owner when its supervisor was killed: the next one gives it to the program that asks first. Null if this program's. */
  private formerOwner: string | null = null;
  private handing: Promise<void> | null = null;
  /** The worker's name, which another program may have chosen. */
  private workerName: string;

  constructor(
    private readonly client: Client,
    /** Its name. */
    readonly name: string,
    private readonly options: GraphOptions,
    private readonly closing: AbortSignal,
  ) {
    super("graph");
    const { rootDir, kind, workerName } = checkedOptions("graph", options);
    for (const [name, text] of Object.entries({ rootDir, kind, workerName })) checkedOptionalText(name, text);
    this.workerName = workerName ?? name;
  }

  /** Its worker as of now; null before the first `ensure`, after `release`, and while no supervisor answers. */
  get worker(): View | null {
    return this.connection === null || this.life.signal.aborted ? null : this.view;
  }

  /** Where it is served now; null while it is not. */
  get endpoint(): string | null {
    const { worker } = this;
    return worker !== null && UP.includes(worker.state) ? worker.endpoint : null;
  }

  /** Whether this program may stop its worker. */
  get isOwned(): boolean {
    return this.worker?.owned ?? false;
  }

  /**
   * Has its worker run, takes the lease, and returns the endpoint once it is ready. At once where it is ready already; a second
   * call meanwhile waits for the same.
   *
   * Throws what `start` throws, and `endpoint-unknown` for a worker that tells no address. Nothing is held then.
   */
  async ensure(options: EnsureOptions = {}): Promise<string> {
    const signal = checkedSignal(checkedOptions("ensure", options).signal);
    const timeoutMs = checkedTime("timeoutMs", options.timeoutMs);
    if (this.closing.aborted) throw this.closing.reason as GobError;
    const { endpoint } = this;
    const isHeld = this.ensuring === null && !this.life.signal.aborted;
    if (isHeld && endpoint !== null && this.view?.state !== "unhealthy") return endpoint;
    if (this.life.signal.aborted) {
      this.life = new AbortController();
      this.ensuring = null;
    }
    if (this.ensuring === null) {
      const work = this.bringUp(timeoutMs, this.life.signal, this.releasing).finally(() => {
        if (this.ensuring === work) this.ensuring = null;
      });
      this.ensuring = work;
    }
    return unlessAborted(this.ensuring, signal, `the wait for ${this.name}`);
  }

  /** Gives the lease back, and follows no more. The worker goes on, as its kind's `on_last_lease` says. */
  release(): Promise<void> {
    const released = new GobError({ code: "aborted", message: `${this.name} was released` });
    this.life.abort(released);
    // An `ensure` that is called from now on waits for this, and begins anew.
    this.releasing = this.leave(this.ensuring, this.releasing, released);
    return this.releasing;
  }

  private async leave(ensuring: Promise<string> | null, earlier: Promise<void>, released: GobError): Promise<void> {
    await earlier;
    await ensuring?.catch(() => undefined);
    await this.stopResuming();
    this.unlisten();
    const { connection } = this;
    this.drop();
    if (connection === null || connection.error !== null) return;
    await connection.request("release", { name: this.workerName }).catch(() => undefined);
    // The lease goes with it in any case.
    await connection.close(released);
  }

  [asyncDispose](): Promise<void> {
    return this.release();
  }

  private drop(): void {
    this.connection = null;
    this.view = null;
    this.formerOwner = null;
    this.told = { state: null, endpoint: null };
  }

  /** From anything to a ready worker. The supervisor may be killed meanwhile: then once more. */
  private async bringUp(timeoutMs: number | undefined, signal: AbortSignal, releasing: Promise<void>): Promise<string> {
    const until = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
    await releasing;
    if (signal.aborted) throw aborted(`the wait for ${this.name}`, signal.reason);
    this.isWanted = true;
    this.unlisten();
    this.unlisten = onAbort(this.closing, () => void this.release());
    try {
      return await persist(this.client, signal, async (back) => {
        for (;;) {
          if (this.connection === null) await this.stopResuming();
          const connection = this.connection ?? (await this.follow(true, signal, Math.min(back, until)));
          await this.start(connection, signal, until);
          this.settle(connection);
          const { endpoint } = this;
          if (endpoint !== null) return endpoint;
          // It has ended since; or it will never tell one.
          if (this.connection === connection && UP.includes(this.view?.state ?? "idle")) throw this.withoutEndpoint();
        }
      });
    } catch (error) {
      if (signal.aborted) throw aborted(`the wait for ${this.name}`, signal.reason);
      await this.letGo(error as GobError);
      throw error;
    }
  }

  private withoutEndpoint(): GobError {
    return new GobError({ code: "endpoint-unknown", message: `the worker of ${this.name} tells no address`, details: { worker: this.view } });
  }

  private async letGo(error: GobError): Promise<void> {
    const { connection } = this;
    this.unlisten();
    this.drop();
    await connection?.close(error);
  }

  /** Connects, and subscribes to the worker. */
  private async follow(autostart: boolean, signal: AbortSignal, until?: number): Promise<Connection> {
    const opened = await reconnect(
      this.client,
      {
        onWarning: this.client.onWarning,
        onEvent: (event) => this.heard(opened.connection, event),
        onEnd: (error) => this.lost(opened.connection, error),
      },
      { signal, autostart: autostart && this.client.autostart, revives: this.isWanted, until },
    );
    const { connection } = opened;
    if (signal.aborted || connection.error !== null) {
      const error = connection.error ?? aborted("connecting", signal.reason);
      await connection.close(error);
      throw error;
    }
    this.connection = connection;
    try {
      await this.subscribe(connection, signal);
      return connection;
    } catch (error) {
      if (this.connection === connection) this.connection = null;
      await connection.close(error as GobError);
      throw error;
    }
  }

  private async subscribe(connection: Connection, signal: AbortSignal): Promise<void> {
    const names = [this.workerName];
    const { workers = [] } = (await connection.request("subscribe", { names, snapshot: true }, { signal })) as SubscribeData;
    // One that is not there yet, or not any more, is told by the answer to `start`.
    if (this.connection === connection) this.take(workers[0] ?? null);
  }

  private async start(connection: Connection, signal: AbortSignal, until = Infinity): Promise<void> {
    const { rootDir, kind, workerName, env = environment() } = this.options;
    const payload: StartPayload = { graph: this.name, name: workerName, kind, root_dir: rootDir, env, lease: true, wait: "ready" };
    if (until !== Infinity) payload.timeout_ms = Math.max(Math.ceil(until - performance.now()), 1);
    const before = this.views;
    const { worker } = (await connection.request("start", payload, { signal })) as StartData;
    if (this.connection !== connection) return;
    await this.took(connection, worker, before, signal);
    await this.handing;
  }

  private async took(connection: Connection, worker: View, before: number, signal: AbortSignal): Promise<void> {
    if (worker.name !== this.workerName) {
      this.workerName = worker.name;
      await connection.request("unsubscribe", {});
      await this.subscribe(connection, signal);
    } else if (this.views === before) {
      this.take(worker);
    }
  }

  private heard(connection: Connection, event: Event | Lagged): void {
    if (connection !== this.connection) return;
    if (event.event === "lagged") {
      const { workers, next } = event as Lagged;
      // One worker fits on a page, so that there is no other.
      if (next === undefined) this.take(workers[0] ?? null);
      return;
    }
    const { worker } = event as Event;
    if (worker !== undefined) this.take(event.event === "worker_removed" ? { ...worker, state: "idle" } : worker);
  }

  private lost(connection: Connection, error: GobError): void {
    if (connection !== this.connection) return;
    const { view } = this;
    if (this.isSettled && view !== null) {
      this.isWanted = WANTED.includes(view.state);
      this.formerOwner = null;
    }
    // Also where it was lost on the way: before this program has asked, the worker is another owner's.
    if (view !== null && isOthers(view) && WANTED.includes(view.state)) this.formerOwner = view.owner;
    this.isSettled = false;
    this.handing = null;
    const wasUp = this.told.state !== null && UP.includes(this.told.state);
    const { endpoint } = this.told;
    this.connection = null;
    this.view = null;
    // The endpoint stays, to be compared with the next one.
    this.told = { state: null, endpoint };
    if (wasUp) this.tell("gone", null, error);
    this.tell("changed", null);
    if (this.ensuring === null && !this.life.signal.aborted) this.resumeLater();
  }

  /** Goes on with the next supervisor, beside everything else, until an `ensure` takes over. */
  private resumeLater(): void {
    const earlier = this.stopResuming();
    const stop = new AbortController();
    const undo = onAbort(this.life.signal, () => stop.abort(this.life.signal.reason));
    const done = earlier.then(() => this.resume(stop.signal)).finally(undo);
    this.stopResuming = () => {
      stop.abort();
      return done;
    };
  }

  /** One that was shut down in order is waited for, and its worker not brought back. */
  private async resume(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const connection = await this.follow(false, signal);
        if (this.isWanted) await this.ask(connection);
        else await connection.request("lease", { name: this.workerName }, { signal }).catch(() => undefined);
        this.settle(connection);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!mayPass(error)) return this.client.onWarning(`${this.name} is not followed any more: ${(error as Error).message}`);
        await waitForChange(this.client, PAUSE_MS, signal);
      }
    }
  }

  private settle(connection: Connection): void {
    if (connection !== this.connection) return;
    this.isSettled = true;
    this.formerOwner = null;
  }

  /** Hands the worker back to the owner that it had. Another program of this owner may have done so by now. */
  private handBack(connection: Connection, to: string): Promise<void> {
    const before = this.views;
    const done = connection.request("hand_over", { name: this.workerName, to }).then(
      (data) => {
        if (connection !== this.connection) return;
        this.formerOwner = null;
        // Changes of this time were not told.
        this.take(this.views === before ? (data as WorkerData).worker : this.view);
      },
      (error: GobError) => {
        if (connection !== this.connection) return;
        this.formerOwner = null;
        const owner = (error.details as { owner?: unknown } | null)?.owner;
        if (owner !== to) this.client.onWarning(`${this.name} could not be handed back to ${to}, its owner before: ${error.message}`);
        this.take(this.view);
      },
    );
    return done;
  }

  /** Asks for the worker again, beside everything else. A failure is told, and the next change of the worker is followed. */
  private async ask(connection: Connection): Promise<void> {
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      await this.start(connection, this.life.signal);
    } catch (error) {
      if (mayPass(error) || this.life.signal.aborted || connection !== this.connection) return;
      this.tell("gone", this.view, error as GobError);
    } finally {
      this.isAsking = false;
    }
  }

  private take(view: View | null): void {
    this.views += 1;
    this.view = view;
    const { connection, formerOwner } = this;
    if (connection !== null && formerOwner !== null && view?.owned === true) {
      this.handing ??= this.handBack(connection, formerOwner);
      // It is told when it is its owner's again.
      if (UP.includes(view.state)) return;
    }
    const before = this.told;
    const state = view?.state ?? null;
    const wasUp = before.state !== null && UP.includes(before.state);
    const isUp = view !== null && state !== null && UP.includes(state);
    const endpoint = isUp ? view.endpoint : before.endpoint;
    this.told = { state, endpoint };
    if (isUp && view.endpoint !== null) {
      const hasMoved = before.endpoint !== null && before.endpoint !== view.endpoint;
      if (hasMoved) this.tell("moved", view.endpoint, view);
      if (state === "unhealthy" && before.state !== "unhealthy") this.tell("unhealthy", view);
      if (state !== "unhealthy" && (!wasUp || before.state === "unhealthy" || hasMoved)) this.tell("ready", view.endpoint, view);
    } else if (wasUp && !isUp) {
      this.tell("gone", view, null);
    }
    this.tell("changed", view);
    if (view !== null && state !== before.state && !view.owned && (state === "unhealthy" || state === "ceded")) this.again();
  }

  private again(): void {
    const { connection } = this;
    if (connection !== null && this.ensuring === null) void this.ask(connection);
  }

  /** In a turn of its own: what a listener throws must not end the reading of a chunk in its middle. */
  private tell<K extends keyof GraphEvents & string>(event: K, ...args: GraphEvents[K]): void {
    if (!this.life.signal.aborted) queueMicrotask(() => this.emit(event, ...args));
  }
}

/** Whether a worker is another owner's, and not nobody's. */
function isOthers({ owner, owned }: View): boolean {
  return !owned && owner !== "unknown";
}
