/** Requests to lines and lines to answers and events (PROTOCOL 3). Keeps nothing and sends nothing. */
import { GobError } from "./error.js";
import type { Event, EventKind, Lagged, WireError } from "./generated/types.js";
import { MAX_REQUEST_BYTES } from "./generated/words.js";

/** The id of a request: an integer, or a string of at most 256 bytes. */
export type Id = number | string;

/** A line of the supervisor. */
export type Incoming =
  | { kind: "answer"; id: Id | null; data: unknown }
  | { kind: "refusal"; id: Id | null; error: WireError }
  | { kind: "event"; event: Event | Lagged }
  /** Not a line of this protocol, or an answer that lacks what it has to have; with its id where that could be read. */
  | { kind: "unknown"; id: Id | null; why: string };

/**
 * Writes a request as a line with its line feed. Undefined values are left out.
 *
 * Fails with `usage` for a payload that is no object or can't be JSON, and with `frame-too-long`.
 */
export function encode(id: Id, type: string, payload: unknown): string {
  const wrong = (message: string, cause?: unknown) => new GobError({ code: "usage", message, request: type, cause });
  if (payload !== undefined && (typeof payload !== "object" || payload === null || Array.isArray(payload))) {
    throw wrong(`the payload of \`${type}\` is not an object`);
  }
  let line: string;
  try {
    line = JSON.stringify({ id, type, payload });
  } catch (cause) {
    throw wrong(`the payload of \`${type}\` can't be written as JSON`, cause);
  }
  if (line.includes("null") && hasNoNumber(payload)) throw wrong(`the payload of \`${type}\` has a number that JSON can't carry (NaN, Infinity)`);
  // A UTF-16 unit has at most three bytes: most requests need not be counted.
  if (line.length * 3 > MAX_REQUEST_BYTES && Buffer.byteLength(line) > MAX_REQUEST_BYTES) {
    const message = `a request may have at most ${MAX_REQUEST_BYTES} bytes; this \`${type}\` was not sent`;
    throw new GobError({ code: "frame-too-long", message, hint: "send large data in several requests", request: type });
  }
  return `${line}\n`;
}

/** JSON would write null for these, and null means that nothing was set. */
function hasNoNumber(value: unknown): boolean {
  if (typeof value === "number") return !Number.isFinite(value);
  return typeof value === "object" && value !== null && Object.values(value).some(hasNoNumber);
}

/** Reads one line. Unknown fields are ignored, and stay in what is handed on. */
export function decode(text: string): Incoming {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: "unknown", id: null, why: `it is not JSON: ${(error as Error).message}` };
  }
  if (!isObject(value)) return { kind: "unknown", id: null, why: "it is not an object" };
  const { id: rawId, success, event } = value;
  const id = typeof rawId === "number" || typeof rawId === "string" ? rawId : null;
  if (success === true && isObject(value["data"])) return { kind: "answer", id, data: value["data"] };
  if (success === false && isWireError(value["error"])) return { kind: "refusal", id, error: value["error"] };
  const isEvent = typeof event === "string" && rawId === undefined && success === undefined;
  if (isEvent && typeof value["seq"] === "number") return { kind: "event", event: value as unknown as Event | Lagged };
  return { kind: "unknown", id, why: success === undefined ? "it is neither an answer nor an event" : "it has neither data nor an error" };
}

/** Reads the id at the beginning of an answer that could not be read whole. */
export function idOf(head: string): Id | null {
  const found = /^\s*\{\s*"id"\s*:\s*(\d{1,15})\s*[,}]/.exec(head);
  return found?.[1] === undefined ? null : Number(found[1]);
}

/** Turns a refusal into the error of a request. */
export function refused(error: WireError, request: string | null): GobError {
  const { code, message, hint, details } = error;
  return new GobError({ code, message, hint, details, request });
}

/** Tells whether an event is the frame in place of missed ones. */
export function isLagged(event: { event: EventKind }): event is Lagged {
  return event.event === "lagged";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWireError(value: unknown): value is WireError {
  return isObject(value) && typeof value["code"] === "string" && typeof value["message"] === "string";
}
