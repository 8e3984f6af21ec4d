/** Arguments of careless callers: what can't be used is told as `usage` by its name, where it comes in. */
import { isAbsolute } from "node:path";
import type { ClientEvents, ConnectOptions } from "./client.js";
import type { CallOptions } from "./connection.js";
import { GobError } from "./error.js";
import type { EventsOptions } from "./events.js";
import type { FileLockEvents, FileLockOptions, FileLockWait } from "./file-lock.js";
import type { EnsureOptions, GraphEvents, GraphOptions } from "./graph/options.js";
import type { JobWorkerEvents, JobWorkerOptions } from "./job-worker.js";
import type { LockOptions } from "./lock.js";
import type { ModelEvents, ModelOptions } from "./model.js";
import type { Ready } from "./worker/ready.js";
import type { ServeOptions } from "./worker/serve.js";
import type { StopOptions } from "./worker/stop.js";

/** The options of each function. A misspelt one would be ignored, and what it was to change stay as it is. */
interface Options {
  connect: ConnectOptions;
  "a request": CallOptions;
  events: EventsOptions;
  model: ModelOptions;
  graph: GraphOptions;
  ensure: EnsureOptions;
  lock: LockOptions;
  worker: JobWorkerOptions;
  stop: { now?: boolean };
  FileLock: FileLockOptions;
  acquire: FileLockWait;
  serve: ServeOptions;
  ready: Ready;
  onStop: StopOptions;
}

/** The events that each object tells. */
interface Tells {
  client: ClientEvents;
  graph: GraphEvents;
  model: ModelEvents;
  worker: JobWorkerEvents;
  FileLock: FileLockEvents;
}

/** An object with options or events; its name is that of the function or the object. */
export type Telling = keyof Tells;

/** The compiler sees to it that none is missing here. */
const OPTIONS: { readonly [F in keyof Options]: Readonly<Record<keyof Options[F], true>> } = {
  connect: { owner: true, client: true, autostart: true, timeoutMs: true, runtimeDir: true, host: true, signal: true, onWarning: true },
  "a request": { timeoutMs: true, signal: true },
  events: { since: true, instance: true, names: true, events: true, owner: true, cwd: true, signal: true },
  model: { names: true, owner: true, cwd: true, signal: true },
  graph: { rootDir: true, kind: true, workerName: true, env: true },
  ensure: { timeoutMs: true, signal: true },
  lock: { mode: true, timeoutMs: true, priority: true, ttlMs: true, process: true, within: true, signal: true },
  worker: { concurrency: true, heartbeatMs: true, giveUpMs: true, waitMs: true, workerId: true, signal: true },
  stop: { now: true },
  FileLock: { process: true, staleAfterMs: true, retries: true, retryDelayMs: true, timeoutMs: true },
  acquire: { timeoutMs: true, signal: true, onWait: true },
  serve: {
    socket: true, port: true, host: true, version: true, meta: true, stop: true, close: true, onWarning: true, deadlineMs: true, signals: true,
  },
  ready: { endpoint: true, socketPath: true, port: true, host: true, version: true, meta: true },
  onStop: { deadlineMs: true, signals: true },
};

const EVENTS: { readonly [O in Telling]: Readonly<Record<keyof Tells[O], true>> } = {
  client: { connected: true, disconnected: true, event: true },
  graph: { ready: true, unhealthy: true, moved: true, gone: true, changed: true },
  model: { change: true, end: true },
  worker: { claimed: true, finished: true, left: true },
  FileLock: { lost: true },
};

/** Events of every EventEmitter; `once` of node:events listens for `error`. */
const OF_ALL: readonly string[] = ["error", "newListener", "removeListener"];

/** The error of an argument that can't be used. */
export function usage(message: string, hint?: string): GobError {
  return new GobError({ code: "usage", message, hint });
}

/** Returns the options of a function, each of which it has. */
export function checkedOptions<F extends keyof Options>(of: F, options: Options[F]): Options[F] {
  const isObject = typeof options === "object" && options !== null && !Array.isArray(options);
  if (!isObject) throw usage(`the options of ${of} are an object, not ${shown(options)}`);
  // A signal has no properties of its own to be seen below.
  if ("addEventListener" in options) throw usage(`the options of ${of} are an object, not a signal`, "did you mean { signal }?");
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(OPTIONS[of], name)) throw unknown(`${of} has no option`, name, Object.keys(OPTIONS[of]));
  }
  return options;
}

/** Refuses a listener for an event that is never told. */
export function checkEvent(of: Telling, event: unknown, listener: unknown): void {
  if (typeof event === "string" && !Object.hasOwn(EVENTS[of], event) && !OF_ALL.includes(event)) {
    throw unknown(`a ${of} has no event`, event, Object.keys(EVENTS[of]));
  }
  checkedFunction("a listener", listener);
}

function unknown(message: string, name: string, known: string[]): GobError {
  const near = nearest(name, known);
  return usage(`${message} ${name}`, near === null ? `there is ${known.join(", ")}` : `did you mean ${near}?`);
}

/** The word that was meant: a beginning of it or the other way round, or one that is few changes away. */
function nearest(word: string, known: string[]): string | null {
  const [given, most] = [word.toLowerCase(), Math.max(1, Math.min(3, Math.floor(word.length / 2)))];
  const near = (other: string): number => {
    const lower = other.toLowerCase();
    const isPart = given.length > 2 && (lower.startsWith(given) || given.startsWith(lower));
    return isPart ? 0 : distance(given, lower);
  };
  const [best] = known.map((other) => ({ other, changes: near(other) })).sort((a, b) => a.changes - b.changes);
  return best !== undefined && best.changes <= most ? best.other : null;
}

/** Characters to change, add, leave out, or swap with their neighbour. */
function distance(a: string, b: string): number {
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const steps = [(last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1)];
      row.push(Math.min(...steps, isSwapped ? (before[j - 2] ?? 0) + 1 : Infinity));
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}

/** Returns a signal, or undefined where there is none. Its controller is an easy mistake. */
export function checkedSignal(signal: AbortSignal | null | undefined): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined;
  if (typeof signal.addEventListener === "function" && typeof signal.aborted === "boolean") return signal;
  throw usage("signal is an AbortSignal, such as `controller.signal`");
}

/** Returns a time or number, 0 and `Infinity` included, or undefined where there is none. */
export function checkedTime(name: string, ms: number | undefined): number | undefined {
  if (ms === undefined || (typeof ms === "number" && ms >= 0)) return ms;
  throw usage(`${name} is a number of at least 0, not ${shown(ms)}`);
}

/** Returns a time or number above 0. */
export function checkedPositive(name: string, value: number): number {
  if (typeof value === "number" && value > 0) return value;
  throw usage(`${name} is a number above 0, not ${shown(value)}`);
}

/** Returns a function that is called later, where its absence would be noticed too late. */
export function checkedFunction<F>(name: string, value: F): F {
  if (typeof value === "function") return value;
  throw usage(`${name} is a function, not ${shown(value)}`);
}

/** Returns a text. */
export function checkedText(name: string, value: string): string {
  if (typeof value === "string" && !value.includes("\0")) return value;
  throw usage(typeof value === "string" ? `${name} has a NUL in it` : `${name} is a text, not ${shown(value)}`);
}

/** Returns a text, or undefined where there is none. */
export function checkedOptionalText(name: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : checkedText(name, value);
}

/** Returns a port, or undefined where there is none. 0 is any free one. */
export function checkedPort(port: number | undefined): number | undefined {
  if (port === undefined || (Number.isInteger(port) && port >= 0 && port <= 65_535)) return port;
  throw usage(`port is a number from 0 to 65535, not ${shown(port)}`);
}

/** Returns an absolute path. */
export function checkedPath(name: string, path: string): string {
  if (isAbsolute(checkedText(name, path))) return path;
  throw usage(`${name} is an absolute path, not ${shown(path)}`);
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : typeof value === "object" && value !== null ? "an object" : String(value);
}
