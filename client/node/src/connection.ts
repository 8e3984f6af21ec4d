/**
 * One connection: requests out, answers and events in (PROTOCOL 1 to 3). It ends once, with one error for all that is pending.
 *
 * At most 256 requests are unanswered on the wire, since the supervisor reads no more; later ones wait here in their order, as
 * many as {@link MAX_WAITING} and {@link MAX_WAITING_BYTES} allow, and are refused beyond that with `client-busy`.
 */
import type { Duplex } from "node:stream";
import { checkedOptions, checkedSignal, checkedTime } from "./checked.js";
import { aborted, GobError } from "./error.js";
import { Framer, type Line } from "./framer.js";
import type { Event, Lagged } from "./generated/types.js";
import { MAX_UNANSWERED } from "./generated/words.js";
import { limitOf, MAX_DELAY_MS, REQUEST_MS, WHILE_ALIVE } from "./limits.js";
import { busy, lostConnection, type Pending, silent, unanswered, watch } from "./pending.js";
import { Pulse } from "./pulse.js";
import { decode, encode, type Id, type Incoming, idOf, refused } from "./wire.js";

/** Requests that wait here for a place on the wire. */
export const MAX_WAITING = 100_000;
/** Their bytes, also those that the kernel has not taken yet. */
export const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** Options of one request. */
export interface CallOptions {
  /** The time limit, in place of the one that the request has by itself. */
  timeoutMs?: number | undefined;
  /** Gives the wait for the answer up. A request that was sent goes on. */
  signal?: AbortSignal | undefined;
}

/** Reports of a connection. */
export interface ConnectionEvents {
  /** A line that is no answer to a request of this connection, and no event. */
  onWarning: (message: string, line: string) => void;
  onEvent: (event: Event | Lagged) => void;
  onEnd: (error: GobError) => void;
}

/** A connection to the supervisor that accepted on `socket`. */
export class Connection {
  private readonly framer = new Framer();
  private readonly pending = new Map<number, Pending>();
  private readonly waiting: number[] = [];
  private waitingFrom = 0;
  private waitingBytes = 0;
  private unanswered = 0;
  private nextId = 1;
  private isFlushing = false;
  private readonly pulse: Pulse;
  private ended: GobError | null = null;
  /** The last refusal without an id: the reason why the supervisor ends the connection. */
  private lastRefusal: GobError | null = null;

  constructor(
    private readonly socket: Duplex,
    private readonly on: ConnectionEvents,
    private readonly usualMs: number = REQUEST_MS,
  ) {
    this.pulse = new Pulse(() => this.ping(), (silentMs) => this.stalled(silentMs), usualMs);
    socket.on("data", (chunk: Buffer) => this.take(chunk));
    socket.on("drain", () => this.flush());
    socket.on("error", (error) => this.end(this.lost(error)));
    socket.on("close", () => this.end(this.lost(undefined)));
    socket.on("end", () => this.end(this.lost(undefined)));
  }

  /** The reason why the connection has ended; null while it has not. */
  get error(): GobError | null {
    return this.ended;
  }

  /** Sends a request and waits for its data. */
  request(type: string, payload: unknown, options: CallOptions = {}): Promise<unknown> {
    let signal: AbortSignal | undefined;
    let own: number | undefined;
    try {
      signal = checkedSignal(checkedOptions("a request", options).signal);
      own = checkedTime("timeoutMs", options.timeoutMs);
    } catch (error) {
      return Promise.reject(error as GobError);
    }
    if (signal?.aborted === true) return Promise.reject(aborted(`\`${type}\``, signal.reason, type));
    if (this.ended !== null) return Promise.reject(unanswered(type, this.ended));
    const id = this.nextId;
    let line: string;
    try {
      line = encode(id, type, payload);
    } catch (error) {
      return Promise.reject(error as GobError);
    }
    const bytes = line.length;
    if (this.waiting.length - this.waitingFrom >= MAX_WAITING || this.waitingBytes + bytes > MAX_WAITING_BYTES) {
      return Promise.reject(busy(type));
    }
    this.nextId += 1;
    const limit = own ?? limitOf(type, payload, this.usualMs);
    return new Promise((resolve, reject) => {
      const of: Pending = { type, line, bytes, isSent: false, limit, resolve, reject, settle: undefined };
      this.pending.set(id, of);
      watch(of, this.pulse, signal, (error) => this.giveUp(id, of, error));
      this.waiting.push(id);
      this.waitingBytes += bytes;
      this.flushSoon();
    });
  }

  /** Reads no more until {@link resume}: the supervisor then notices that its subscriber is slow. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Ends the connection; all that is pending fails with `error`. */
  close(error: GobError): Promise<void> {
    const { socket } = this;
    const closed = socket.closed ? Promise.resolve() : new Promise<void>((done) => socket.once("close", () => done()));
    this.end(error);
    return closed;
  }

  /** Answers the caller without the supervisor. One that was sent keeps its place until its answer comes. */
  private giveUp(id: number, of: Pending, error: GobError): void {
    of.settle?.();
    if (!of.isSent) this.forget(id, of);
    of.reject(error);
  }

  private forget(id: number, of: Pending): void {
    this.pending.delete(id);
    this.waitingBytes -= of.bytes;
  }

  private flushSoon(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    // All requests of one turn of the event loop go out in one write.
    queueMicrotask(() => {
      this.isFlushing = false;
      this.flush();
    });
  }

  private flush(): void {
    let text = "";
    while (this.ended === null && !this.socket.writableNeedDrain && this.unanswered < MAX_UNANSWERED) {
      const id = this.waiting[this.waitingFrom];
      if (id === undefined) break;
      this.waitingFrom += 1;
      const of = this.pending.get(id);
      if (of === undefined) continue;
      of.isSent = true;
      this.unanswered += 1;
      this.waitingBytes -= of.bytes;
      text += of.line;
      of.line = "";
      if (text.length >= 64 * 1024) {
        this.socket.write(text);
        text = "";
      }
    }
    if (text !== "") this.socket.write(text);
    if (this.waitingFrom === this.waiting.length || this.waitingFrom > 1_024) {
      this.waiting.splice(0, this.waitingFrom);
      this.waitingFrom = 0;
    }
  }

  private take(chunk: Buffer): void {
    for (const line of this.framer.take(chunk)) {
      if (this.ended !== null) return;
      this.line(line);
    }
    if (this.ended === null) this.flush();
  }

  private line(line: Line): void {
    if ("flaw" in line) {
      const why = line.flaw === "too-long" ? "it is longer than 64 MiB" : "it is not UTF-8";
      this.unknown(idOf(line.head), why, line.head);
      return;
    }
    const incoming = decode(line.text);
    switch (incoming.kind) {
      case "event":
        this.on.onEvent(incoming.event);
        return;
      case "unknown":
        this.unknown(incoming.id, incoming.why, line.text);
        return;
      case "answer":
      case "refusal":
        this.answer(incoming, line.text);
    }
  }

  private answer(incoming: Incoming & { kind: "answer" | "refusal" }, text: string): void {
    const of = this.answered(incoming.id);
    if (of === undefined) {
      if (incoming.kind === "refusal" && incoming.id === null) this.lastRefusal = refused(incoming.error, null);
      this.warn("an answer to no request of this connection", text);
      return;
    }
    of.settle?.();
    if (incoming.kind === "answer") of.resolve(incoming.data);
    else of.reject(refused(incoming.error, of.type));
  }

  /** Drops a line that can't be read. If it was an answer, its request fails now and not by its time limit. */
  private unknown(id: Id | null, why: string, text: string): void {
    const of = this.answered(id);
    if (of !== undefined) {
      of.settle?.();
      of.reject(new GobError({ code: "answer-invalid", message: `the answer to \`${of.type}\` can't be read: ${why}`, request: of.type }));
    }
    this.warn(why, text);
  }

  private answered(id: Id | null): Pending | undefined {
    if (typeof id !== "number") return undefined;
    const of = this.pending.get(id);
    if (of === undefined || !of.isSent) return undefined;
    this.pending.delete(id);
    this.unanswered -= 1;
    this.pulse.heard();
    return of;
  }

  private warn(why: string, text: string): void {
    const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
    this.on.onWarning(`a line of the supervisor was dropped: ${why}: ${shown}`, shown);
  }

  /** Asks whether the supervisor lives; false where a connection that is full would prove nothing. */
  private ping(): boolean {
    if (this.unanswered >= MAX_UNANSWERED || this.socket.isPaused()) return false;
    this.request("ping", {}, { timeoutMs: MAX_DELAY_MS }).then(() => this.pulse.answered(), () => undefined);
    return true;
  }

  private stalled(silentMs: number): void {
    for (const [id, of] of this.pending) {
      if (of.settle === undefined || of.limit !== WHILE_ALIVE) continue;
      this.giveUp(id, of, silent(of.type, silentMs));
    }
  }

  private lost(cause: Error | undefined): GobError {
    return lostConnection(this.lastRefusal, cause);
  }

  private end(error: GobError): void {
    if (this.ended !== null) return;
    this.ended = error;
    this.socket.destroy();
    const all = [...this.pending.values()];
    this.pending.clear();
    this.waiting.length = 0;
    this.waitingFrom = 0;
    for (const of of all) {
      const isOpen = of.settle !== undefined;
      of.settle?.();
      if (isOpen) of.reject(unanswered(of.type, error));
    }
    this.pulse.stop();
    this.on.onEnd(error);
  }
}
