/**
 * A client of the supervisor: a method for each request, over one connection that is made anew by the next request after it
 * was lost. What belongs to a connection (leases, locks, claims, a subscription) ends with it.
 */
import { basename } from "node:path";
import { checkedFunction, checkedOptionalText, checkedOptions, checkedPositive, checkedSignal, checkedText, usage } from "./checked.js";
import type { CallOptions, Connection } from "./connection.js";
import { asyncDispose } from "./dispose.js";
import { Emitter } from "./emitter.js";
import { aborted, GobError } from "./error.js";
import { Events, type EventsOptions } from "./events.js";
import { Graph, type GraphOptions } from "./graph.js";
import { JobWorker, type JobWorkerOptions, type Work } from "./job-worker.js";
import { Lock, type LockOptions, type WithLock } from "./lock.js";
import { Methods, type Requests, type RequestType } from "./generated/methods.js";
import type { ClientInfo, Event, HelloData, Lagged } from "./generated/types.js";
import { REQUEST_MS } from "./limits.js";
import { Model, type ModelOptions } from "./model.js";
import { open, type Settings } from "./open.js";
import { unlessAborted } from "./signals.js";

/** Options of {@link connect}. */
export interface ConnectOptions {
  /** The owner to speak for, such as `electron`; `unknown` without one, which owns nothing that it starts. */
  owner?: string | undefined;
  /** The program, for events and for people; at most 64 bytes each. */
  client?: ClientInfo | undefined;
  /** Starts the supervisor when none runs. True unless told otherwise. */
  autostart?: boolean | undefined;
  /** The time limit of an ordinary request and of each ping, 10 s at first; `start` and the like have their own rules. */
  timeoutMs?: number | undefined;
  /** An absolute path in place of `$GOB_RUNTIME_DIR`. */
  runtimeDir?: string | undefined;
  /** The supervisor of another machine, `ssh://[USER@]HOST[:PORT]`, over the system's OpenSSH. */
  host?: string | undefined;
  /** Gives the connecting up; later it has no effect. */
  signal?: AbortSignal | undefined;
  /** Gets a sentence for each line of the supervisor that can't be used, and is dropped. */
  onWarning?: ((message: string) => void) | undefined;
}

/** Events of a {@link Client}. */
export type ClientEvents = {
  /** There is a connection, with a new instance if another supervisor answered. */
  connected: [hello: HelloData];
  /** The connection was lost, and with it every lease, lock and claim. */
  disconnected: [error: GobError];
  /** An event of the client's own `subscribe`. */
  event: [event: Event | Lagged];
};

/** Connects to the supervisor, and starts it when none runs. */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const client = new Client(options);
  try {
    await client.connection(checkedSignal(options.signal));
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** A client; {@link connect} makes one. */
export class Client extends Methods<CallOptions> {
  /** The answer to the last hello: the supervisor, and the features that it has. */
  hello: HelloData | null = null;
  /** @internal */
  readonly settings: Settings;
  /** @internal */
  readonly autostart: boolean;
  /** @internal */
  readonly onWarning: (message: string) => void;
  private current: Connection | null = null;
  private opening: Promise<Connection> | null = null;
  private readonly emitter = new Emitter<ClientEvents>("client");
  private readonly closing = new AbortController();

  constructor(options: ConnectOptions = {}) {
    super();
    const { runtimeDir, host, timeoutMs = REQUEST_MS } = checkedOptions("connect", options);
    if (runtimeDir !== undefined && host !== undefined) throw usage("runtimeDir is a directory of this machine, and host another machine");
    this.settings = {
      owner: checkedOptionalText("owner", options.owner),
      client: options.client ?? { name: programName(process.argv[1]), version: "" },
      timeoutMs: checkedPositive("timeoutMs", timeoutMs),
      runtimeDir: checkedOptionalText("runtimeDir", runtimeDir),
      host: checkedOptionalText("host", host),
    };
    this.autostart = options.autostart ?? true;
    const onWarning = options.onWarning === undefined ? undefined : checkedFunction("onWarning", options.onWarning);
    // In a turn of its own: what a listener throws must not end the reading of a chunk in its middle.
    this.onWarning = onWarning === undefined ? () => undefined : (message) => queueMicrotask(() => onWarning(message));
    this.emitter.setMaxListeners(0);
  }

  /** Sends one request and waits for its data. Without a connection it makes one first. */
  request<K extends RequestType>(type: K, payload: Requests[K]["payload"], options: CallOptions = {}): Promise<Requests[K]["data"]> {
    const { current } = this;
    if (current !== null) return current.request(type, payload, options) as Promise<Requests[K]["data"]>;
    let signal: AbortSignal | undefined;
    try {
      signal = checkedSignal(checkedOptions("a request", options).signal);
    } catch (error) {
      return Promise.reject(error as GobError);
    }
    if (signal?.aborted === true) return Promise.reject(aborted(`\`${type}\``, signal.reason, type));
    const sent = this.connection(signal).then((connection) => connection.request(type, payload, options));
    return sent as Promise<Requests[K]["data"]>;
  }

  /** The events from now on, over the lives of connections and supervisors. */
  events(options: EventsOptions = {}): Events {
    return new Events(this, options, this.closing.signal);
  }

  /** The live set of workers, once it is there. */
  model(options: ModelOptions = {}): Promise<Model> {
    return Model.open(this, options, this.closing.signal);
  }

  /** A graph that this program uses; `ensure()` brings it up and holds it. */
  graph(name: string, options: GraphOptions = {}): Graph {
    return new Graph(this, checkedText("the name of a graph", name), options, this.closing.signal);
  }

  /** A lock of the supervisor; to await it takes it. */
  lock(name: string, options: LockOptions = {}): Lock {
    return new Lock(this, checkedText("the name of a lock", name), options, this.closing.signal);
  }

  /** Does something while it holds a lock. Throws `lock-not-held` where that was lost meanwhile, after it was done. */
  withLock<T>(name: string, work: WithLock<T>): Promise<T>;
  withLock<T>(name: string, options: LockOptions, work: WithLock<T>): Promise<T>;
  async withLock<T>(name: string, ...args: [WithLock<T>] | [LockOptions, WithLock<T>]): Promise<T> {
    const [options, work] = args.length === 1 ? [{}, args[0]] : args;
    return this.lock(name, options).with(work);
  }

  /** A worker for a lane of the queue, which begins at once. */
  worker(lane: string, work: Work, options: JobWorkerOptions = {}): JobWorker {
    return new JobWorker(this, checkedText("a lane", lane), work, options, this.closing.signal);
  }

  /** Returns the connection, and makes one where there is none. All that wait for a new one share it. @internal */
  connection(signal?: AbortSignal): Promise<Connection> {
    if (this.closing.signal.aborted) return Promise.reject(closedError());
    if (this.current !== null) return Promise.resolve(this.current);
    this.opening ??= this.open().finally(() => (this.opening = null));
    return unlessAborted(this.opening, signal, "connecting");
  }

  /** Tells whether there is a connection now. */
  get isConnected(): boolean {
    return this.current !== null;
  }

  on<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => void): this {
    this.emitter.on(event, listener);
    return this;
  }

  once<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => void): this {
    this.emitter.once(event, listener);
    return this;
  }

  off<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => void): this {
    this.emitter.off(event, listener);
    return this;
  }

  /** Ends the connection, all that is pending, and every iterator and model of this client. Workers go on. */
  async close(): Promise<void> {
    if (!this.closing.signal.aborted) this.closing.abort(closedError());
    await this.opening?.catch(() => undefined);
    await this.current?.close(closedError());
  }

  [asyncDispose](): Promise<void> {
    return this.close();
  }

  private async open(): Promise<Connection> {
    const on = {
      onWarning: this.onWarning,
      onEvent: (event: Event | Lagged) => this.emit("event", event),
      onEnd: (error: GobError) => {
        this.current = null;
        this.emit("disconnected", error);
      },
    };
    const { connection, hello } = await open(this.settings, this.autostart, on, this.closing.signal);
    if (this.closing.signal.aborted) {
      await connection.close(closedError());
      throw closedError();
    }
    this.hello = hello;
    if (connection.error === null) {
      this.current = connection;
      this.emit("connected", hello);
    }
    return connection;
  }

  private emit<E extends keyof ClientEvents>(event: E, ...args: ClientEvents[E]): void {
    if (this.emitter.listenerCount(event) > 0) queueMicrotask(() => this.emitter.emit(event, ...args));
  }
}

function closedError(): GobError {
  return new GobError({ code: "client-closed", message: "the client was closed" });
}

/** Bytes of the name in hello. */
const MAX_NAME_BYTES = 64;

/** Returns a name for this program that hello takes: without control characters, and cut between two characters. */
export function programName(path: string | undefined): string {
  let name = "";
  for (const character of basename(path ?? "")) {
    const next = name + (/\p{Cc}/u.test(character) ? "?" : character);
    if (Buffer.byteLength(next) > MAX_NAME_BYTES) break;
    name = next;
  }
  return name === "" || name === "." ? "node" : name;
}
