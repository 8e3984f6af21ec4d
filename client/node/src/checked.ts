/** Arguments of careless callers: what can't be used is told as `usage` by its name, where it comes in. */
import { GobError } from "./error.js";

function usage(message: string): GobError {
  return new GobError({ code: "usage", message });
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

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : typeof value === "object" && value !== null ? "an object" : String(value);
}
