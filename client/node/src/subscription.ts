/**
 * Events over the lives of connections and supervisors (PROTOCOL 7), on connections of its own: the protocol has one
 * subscription for each, and a slow consumer must hold no request up.
 *
 * At most {@link FULL} events wait here. Beyond that the socket is not read, so that the supervisor counts what this
 * subscriber misses, and tells it with `lagged`.
 */
import type { Client } from "./client.js";
import type { Connection } from "./connection.js";
import { GobError } from "./error.js";
import type { Event, Lagged, ListData, SubscribeData, SubscribePayload, View } from "./generated/types.js";
import { open } from "./open.js";
import { mayPass, waitForChange, wasKilled } from "./reconnect.js";
import { isLagged } from "./wire.js";

/** Waiting events at which the socket is read no more, and those at which it is read again. */
const FULL = 256;
const ROOM = 64;
/** Wait for the place of the beginning, once another connection works. */
const BEGIN_MS = 500;
/** Pauses between tries to connect; a change of the runtime directory ends one early. */
const SHORTEST_MS = 50;
const LONGEST_MS = 2_000;

/** The workers whose events are wanted; an event matches every filter that is given. */
export interface Filter {
  names?: string[] | undefined;
  events?: SubscribePayload["events"];
  owner?: string | undefined;
  cwd?: string | undefined;
}

/** A place in the events of one supervisor's life. */
export interface Place {
  seq: number;
  instance: string | undefined;
}

/** News of a subscription. Snapshots are whole. */
export type Item =
  | { kind: "subscribed"; data: SubscribeData; before: Place | null }
  | { kind: "event"; event: Event }
  | { kind: "lagged"; lagged: Lagged; instance: string }
  | { kind: "disconnected"; error: GobError };

/** A subscription that connects by itself. One caller at a time waits for its items. */
export class Subscription {
  private connection: Connection | null = null;
  private readonly queue: (Event | Lagged)[] = [];
  private isPaging = false;
  private lost: GobError | null = null;
  private wake: (() => void) | null = null;
  private readonly ending = new AbortController();
  private lastWarning = "";
  /** The last event that was handed out. */
  private at: Place | null = null;

  constructor(
    private readonly client: Client,
    private readonly filter: Filter,
    /** The place behind which the events begin; null for the time of the subscription. */
    private begin: Promise<Place | null> | null,
    private readonly wantsSnapshot: boolean,
  ) {}

  /** Waits for the next item; null after {@link close}. Fails only where another try would not help. */
  async next(): Promise<Item | null> {
    for (;;) {
      if (this.ending.signal.aborted) return null;
      if (this.connection === null) return this.connect();
      const frame = this.queue.shift();
      if (frame !== undefined) {
        if (this.queue.length <= ROOM) this.connection.resume();
        const item = isLagged(frame) ? await this.lagged(frame) : this.event(frame);
        if (item !== null) return item;
      } else if (this.lost !== null) {
        const error = this.lost;
        this.drop();
        return { kind: "disconnected", error };
      } else {
        await new Promise<void>((done) => (this.wake = done));
      }
    }
  }

  close(): void {
    if (this.ending.signal.aborted) return;
    this.ending.abort();
    const { connection } = this;
    this.drop();
    void connection?.close(new GobError({ code: "client-closed", message: "the subscription was closed" }));
    this.notify();
  }

  private notify(): void {
    const { wake } = this;
    this.wake = null;
    wake?.();
  }

  private drop(): void {
    this.connection = null;
    this.lost = null;
    this.queue.length = 0;
  }

  private event(event: Event): Item {
    this.at = { seq: Math.max(event.seq, this.at?.seq ?? 0), instance: this.at?.instance };
    return { kind: "event", event };
  }

  private async lagged(lagged: Lagged): Promise<Item | null> {
    const { next, ...whole } = lagged;
    const workers = await this.pages(lagged.workers, next);
    if (workers === null) {
      // The snapshot is asked for anew, on another connection, and stands in for the events behind it too.
      this.queue.length = 0;
      return null;
    }
    this.at = { seq: lagged.seq, instance: this.at?.instance };
    return { kind: "lagged", lagged: { ...whole, workers }, instance: this.at.instance ?? "" };
  }

  private async connect(): Promise<Item | null> {
    let pause = SHORTEST_MS;
    for (;;) {
      try {
        return await this.subscribe();
      } catch (error) {
        if (this.ending.signal.aborted) return null;
        if (!mayPass(error)) throw error;
        this.warn(error);
      }
      await waitForChange(this.client, pause, this.ending.signal);
      if (this.ending.signal.aborted) return null;
      pause = Math.min(pause * 2, LONGEST_MS);
    }
  }

  private async subscribe(): Promise<Item> {
    // One that was killed is replaced. One that was shut down is waited for.
    const autostart = wasKilled(this.client);
    const on = {
      onWarning: this.client.onWarning,
      onEvent: (event: Event | Lagged) => this.arrived(event),
      onEnd: (error: GobError) => {
        this.lost = error;
        this.notify();
      },
    };
    this.drop();
    const { connection } = await open(this.client.settings, autostart, on, this.ending.signal);
    try {
      await this.takeBegin();
      const before = this.at;
      const request: SubscribePayload = { ...this.filter, since: before?.seq, instance: before?.instance };
      if (before === null && this.wantsSnapshot) request.snapshot = true;
      const data = (await connection.request("subscribe", request, { signal: this.ending.signal })) as SubscribeData;
      this.connection = connection;
      const whole = await this.whole(data);
      this.at = { seq: data.workers === undefined && before !== null ? before.seq : data.seq, instance: data.instance };
      return { kind: "subscribed", data: whole, before };
    } catch (error) {
      this.drop();
      await connection.close(error as GobError);
      throw error;
    }
  }

  /** The supervisor has answered hello by now, so that an answer about the beginning is there or won't come. */
  private async takeBegin(): Promise<void> {
    if (this.begin === null) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((done) => (timer = setTimeout(done, BEGIN_MS, null)));
    this.at = await Promise.race([this.begin, late]);
    this.begin = null;
    clearTimeout(timer);
  }

  private async whole(data: SubscribeData): Promise<SubscribeData> {
    if (data.workers === undefined) return data;
    const { next, ...rest } = data;
    const workers = await this.pages(data.workers, next);
    if (workers === null) throw this.lost ?? new GobError({ code: "connection-lost", message: "the snapshot could not be had" });
    return { ...rest, workers };
  }

  /** Collects a snapshot that came in pages (PROTOCOL 5, Pages); null when the connection did not last. */
  private async pages(first: View[], next: string | undefined): Promise<View[] | null> {
    const workers = [...first];
    const { names, owner, cwd } = this.filter;
    const wanted = names === undefined ? null : new Set(names);
    this.isPaging = true;
    try {
      for (let after = next; after !== undefined; ) {
        // The answer comes behind all events before it.
        this.connection?.resume();
        const page = (await this.connection?.request("list", { owner, cwd, after }, { signal: this.ending.signal })) as ListData | undefined;
        if (page === undefined) return null;
        workers.push(...page.workers.filter((worker) => wanted === null || wanted.has(worker.name)));
        // A page that does not advance is the last.
        after = page.next === undefined || page.next === after ? undefined : page.next;
      }
      return workers;
    } catch (error) {
      await this.connection?.close(error as GobError);
      return null;
    } finally {
      this.isPaging = false;
    }
  }

  private arrived(event: Event | Lagged): void {
    this.queue.push(event);
    if (this.queue.length >= FULL && !this.isPaging) this.connection?.pause();
    this.notify();
  }

  private warn(error: unknown): void {
    const { message } = error as Error;
    if (message !== this.lastWarning) this.client.onWarning(`events wait for a supervisor: ${message}`);
    this.lastWarning = message;
  }
}
