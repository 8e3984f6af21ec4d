/** Events as an async iterator that outlives connections and supervisors. */
import { checkedOptions, checkedSignal } from "./checked.js";
import type { Client } from "./client.js";
import { asyncDispose } from "./dispose.js";
import type { Event, EventKind, QueueJob, View } from "./generated/types.js";
import { onAbort } from "./signals.js";
import { type Filter, type Item, type Place, Subscription } from "./subscription.js";

/** Options of `client.events()`. */
export interface EventsOptions extends Filter {
  /** The events after this one are replayed first; without it they begin with the call of `events`. */
  since?: number | undefined;
  /** The supervisor's life that `since` belongs to. */
  instance?: string | undefined;
  /** Ends the iteration. */
  signal?: AbortSignal | undefined;
}

type WithWorker = Extract<EventKind, `worker_${string}` | `lease_${string}`>;
type WithJob = Extract<EventKind, `queue_job_${string}`>;
type WithLock = Extract<EventKind, `lock_${string}`>;
type OfSupervisor = Extract<EventKind, `supervisor_${string}`>;

/** An event of the wire, by what it is about. */
export type GobEvent =
  | (Omit<Event, "event" | "worker"> & { event: WithWorker; worker: View })
  | (Omit<Event, "event" | "job"> & { event: WithJob; job: QueueJob })
  | (Omit<Event, "event" | "lock"> & { event: WithLock; lock: string })
  | (Omit<Event, "event"> & { event: OfSupervisor });

/** In place of events that are lost: every subscribed worker as of `seq`. */
export interface Gap {
  event: "gap";
  /** `restarted`: another supervisor answers; `lagged`: this consumer was too slow; `lost`: the events are kept no longer. */
  reason: "restarted" | "lagged" | "lost";
  /** The number of missed events, where it is known. */
  missed: number | null;
  seq: number;
  instance: string;
  workers: View[];
}

/** The events; a `for await` ends by `break`, by `return()`, by the signal, or with the client. */
export class Events implements AsyncIterableIterator<GobEvent | Gap> {
  /** Settles once the supervisor has the subscription. */
  readonly ready: Promise<void>;
  private readonly subscription: Subscription;
  private last: Promise<unknown>;
  private first: Promise<Item | null> | null;
  private isOver = false;
  private readonly undo: (() => void)[] = [];

  constructor(client: Client, options: EventsOptions, closing: AbortSignal) {
    const { since, instance, signal: own, ...filter } = checkedOptions("events", options);
    const signal = checkedSignal(own);
    const place = since === undefined ? now(client) : Promise.resolve({ seq: since, instance });
    this.subscription = new Subscription(client, filter, place, false);
    // Subscribed at once, not at the first `next`.
    this.first = this.subscription.next();
    this.ready = this.first.then(() => undefined);
    this.ready.catch(() => undefined);
    this.last = this.ready;
    for (const of of signal === undefined ? [closing] : [closing, signal]) {
      if (of.aborted) this.end();
      else this.undo.push(onAbort(of, this.end));
    }
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<GobEvent | Gap, undefined>> {
    // One after the other, also where a caller does not wait.
    const next = this.last.then(() => this.step(), () => this.step());
    this.last = next;
    return next;
  }

  return(): Promise<IteratorResult<GobEvent | Gap, undefined>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  async [asyncDispose](): Promise<void> {
    await this.return();
  }

  private readonly end = (): void => {
    this.isOver = true;
    for (const undo of this.undo) undo();
    this.subscription.close();
  };

  private async step(): Promise<IteratorResult<GobEvent | Gap, undefined>> {
    while (!this.isOver) {
      const { first } = this;
      this.first = null;
      let item: Item | null;
      try {
        item = await (first ?? this.subscription.next());
      } catch (error) {
        this.end();
        throw error;
      }
      if (item === null || this.isOver) break;
      const value = toldBy(item);
      if (value !== null) return { done: false, value };
    }
    this.end();
    return { done: true, value: undefined };
  }
}

/**
 * The place of the last event, asked for before anything that the caller sends next on the same connection: what follows from
 * that is among the events, although they come over another connection. Null where nothing answers: then they begin with the
 * subscription.
 */
async function now(client: Client): Promise<Place | null> {
  if (!client.isConnected) return null;
  try {
    const { events_seq: seq, instance } = await client.status();
    return { seq, instance };
  } catch {
    return null;
  }
}

function toldBy(item: Item): GobEvent | Gap | null {
  switch (item.kind) {
    case "event":
      return item.event as GobEvent;
    case "lagged": {
      const { missed, seq, workers } = item.lagged;
      return { event: "gap", reason: "lagged", missed, seq, instance: item.instance, workers };
    }
    case "subscribed": {
      const { gap, seq, instance, workers } = item.data;
      if (gap !== true) return null;
      const isOther = item.before?.instance !== undefined && item.before.instance !== instance;
      return { event: "gap", reason: isOther ? "restarted" : "lost", missed: null, seq, instance, workers: workers ?? [] };
    }
    case "disconnected":
      return null;
  }
}
