/** The live set of workers: a snapshot, and the events after it (PROTOCOL 7). The same as `list`, without asking. */
import { checkedOptions, checkedSignal } from "./checked.js";
import type { Client } from "./client.js";
import { asyncDispose } from "./dispose.js";
import { Emitter } from "./emitter.js";
import { GobError } from "./error.js";
import type { View } from "./generated/types.js";
import { onAbort } from "./signals.js";
import { type Filter, type Item, Subscription } from "./subscription.js";

/** Options of `client.model()`. */
export interface ModelOptions extends Omit<Filter, "events"> {
  /** Ends the model; what it has stays readable. */
  signal?: AbortSignal | undefined;
}

/** The change of a model. Fields that a change does not have are undefined, so that a listener can take it apart at once. */
export type Change =
  /** This worker is new or different. */
  | { change: "worker"; name: string; worker: View; error?: undefined }
  /** This worker is gone. */
  | { change: "removed"; name: string; worker?: undefined; error?: undefined }
  /** Anything may be different: events were missed, or another supervisor answers. */
  | { change: "everything"; name?: undefined; worker?: undefined; error?: undefined }
  /** Nothing answers: the workers are those of the last event. */
  | { change: "disconnected"; error: GobError; name?: undefined; worker?: undefined }
  /** A supervisor answers again, and no event was missed. */
  | { change: "connected"; name?: undefined; worker?: undefined; error?: undefined };

/** Events of a {@link Model}. */
export type ModelEvents = {
  change: [change: Change];
  /** The model has ended, with the error that another try would not mend, or without one. */
  end: [error: GobError | undefined];
};

/** Every worker as of {@link Model.seq}, by name and ordered by it. */
export class Model extends Emitter<ModelEvents> {
  /** The supervisor's life that the model belongs to. */
  instance = "";
  /** The last event that it includes. */
  seq = 0;
  /** Whether it follows a supervisor now. */
  isConnected = false;
  /** Why it follows nothing any more. */
  error: GobError | undefined;
  private workersByName = new Map<string, View>();
  private order: View[] | null = null;
  private isOver = false;
  private readonly undo: (() => void)[] = [];
  private readonly done: Promise<void>;

  private constructor(private readonly subscription: Subscription, first: Item, signals: AbortSignal[]) {
    super("model");
    this.setMaxListeners(0);
    this.take(first);
    this.done = this.follow();
    for (const signal of signals) {
      if (signal.aborted) this.end();
      else this.undo.push(onAbort(signal, this.end));
    }
  }

  /** Waits for the first snapshot. */
  static async open(client: Client, options: ModelOptions, closing: AbortSignal): Promise<Model> {
    const { signal: own, ...filter } = checkedOptions("model", options);
    const signal = checkedSignal(own);
    const subscription = new Subscription(client, filter, null, true);
    const signals = signal === undefined ? [closing] : [closing, signal];
    const end = () => subscription.close();
    const undo = signals.map((of) => onAbort(of, end));
    if (signals.some((of) => of.aborted)) end();
    try {
      const first = await subscription.next();
      if (first !== null) return new Model(subscription, first, signals);
      const isClosed = closing.aborted;
      const message = isClosed ? "the client was closed" : "`model` was aborted";
      throw new GobError({ code: isClosed ? "client-closed" : "aborted", message, cause: signal?.reason });
    } finally {
      for (const each of undo) each();
    }
  }

  get size(): number {
    return this.workersByName.size;
  }

  get(name: string): View | undefined {
    return this.workersByName.get(name);
  }

  has(name: string): boolean {
    return this.workersByName.has(name);
  }

  /** All workers, as `list` orders them. */
  get workers(): readonly View[] {
    // Names are ordered by their bytes, which is not the order of UTF-16.
    this.order ??= [...this.workersByName.values()].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    return this.order;
  }

  *entries(): IterableIterator<[string, View]> {
    for (const worker of this.workers) yield [worker.name, worker];
  }

  *keys(): IterableIterator<string> {
    for (const worker of this.workers) yield worker.name;
  }

  *values(): IterableIterator<View> {
    yield* this.workers;
  }

  [Symbol.iterator](): IterableIterator<[string, View]> {
    return this.entries();
  }

  forEach(each: (worker: View, name: string, model: this) => void, self?: unknown): void {
    for (const [name, worker] of this) each.call(self, worker, name, this);
  }

  /** Ends it; what it has stays readable. */
  async close(): Promise<void> {
    this.end();
    await this.done;
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  private readonly end = (): void => {
    if (this.isOver) return;
    this.isOver = true;
    for (const undo of this.undo) undo();
    this.subscription.close();
  };

  private async follow(): Promise<void> {
    try {
      for (;;) {
        const item = await this.subscription.next();
        if (item === null || this.isOver) break;
        const change = this.take(item);
        if (change !== null) this.tell("change", change);
      }
    } catch (error) {
      this.error = error as GobError;
      this.end();
    }
    this.isConnected = false;
    this.tell("end", this.error);
  }

  private take(item: Item): Change | null {
    switch (item.kind) {
      case "subscribed": {
        const { instance, seq, workers } = item.data;
        this.isConnected = true;
        this.instance = instance;
        if (workers === undefined) return { change: "connected" };
        return this.replace(seq, workers);
      }
      case "lagged":
        return this.replace(item.lagged.seq, item.lagged.workers);
      case "disconnected":
        this.isConnected = false;
        return { change: "disconnected", error: item.error };
      case "event": {
        const { seq, event, worker } = item.event;
        if (seq <= this.seq) return null;
        this.seq = seq;
        if (worker === undefined) return null;
        const { name } = worker;
        this.order = null;
        if (event === "worker_removed") {
          this.workersByName.delete(name);
          return { change: "removed", name };
        }
        this.workersByName.set(name, worker);
        return { change: "worker", name, worker };
      }
    }
  }

  private replace(seq: number, workers: View[]): Change {
    this.seq = seq;
    this.order = null;
    this.workersByName = new Map(workers.map((worker) => [worker.name, worker]));
    return { change: "everything" };
  }

  /** In a turn of its own: what a listener throws must not end the model. */
  private tell<E extends keyof ModelEvents>(event: E, ...args: ModelEvents[E]): void {
    if (this.listenerCount(event) > 0) queueMicrotask(() => this.emit(event, ...args));
  }
}
