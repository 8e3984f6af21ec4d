/** A request that waits for its answer: its time limit, its signal, and the errors that answer it in place of the supervisor. */
import { aborted, GobError } from "./error.js";
import { inWords, type Limit, MAX_DELAY_MS, WHILE_ALIVE } from "./limits.js";
import type { Pulse } from "./pulse.js";
import { onAbort } from "./signals.js";

/** One request and its caller. */
export interface Pending {
  readonly type: string;
  line: string;
  readonly bytes: number;
  isSent: boolean;
  readonly limit: Limit;
  readonly resolve: (data: unknown) => void;
  readonly reject: (error: GobError) => void;
  /** Ends the timer and the listener; undefined once the caller was answered. */
  settle: (() => void) | undefined;
}

/** Gives a request up by its time limit, or by the signal. */
export function watch(of: Pending, pulse: Pulse, signal: AbortSignal | undefined, giveUp: (error: GobError) => void): void {
  const { limit } = of;
  let timer: NodeJS.Timeout | undefined;
  if (limit === WHILE_ALIVE) {
    pulse.begin();
  } else {
    const until = performance.now() + limit;
    const expire = () => {
      const left = until - performance.now();
      // A timer of Node has a longest delay, and may fire a little early.
      if (left > 0) timer = setTimeout(expire, Math.min(left + 1, MAX_DELAY_MS));
      else giveUp(timedOut(of, limit));
    };
    timer = setTimeout(expire, Math.min(Math.max(limit, 0), MAX_DELAY_MS));
  }
  const abort = () => giveUp(aborted(`\`${of.type}\``, signal?.reason, of.type));
  const undo = signal === undefined ? undefined : onAbort(signal, abort);
  of.settle = () => {
    clearTimeout(timer);
    undo?.();
    if (limit === WHILE_ALIVE) pulse.end();
    of.settle = undefined;
  };
}

/** The error of a request that is not even kept. */
export function busy(type: string): GobError {
  const message = `too many requests wait for a place on the connection: \`${type}\` was not sent`;
  return new GobError({ code: "client-busy", message, hint: "wait for answers before sending more", request: type });
}

/** The error of a request whose supervisor answers no pings. */
export function silent(type: string, silentMs: number): GobError {
  const message = `no answer to \`${type}\`, and none to a ping for ${inWords(silentMs)}`;
  const hint = "the supervisor may still go on with it; gobctl doctor";
  return new GobError({ code: "supervisor-unreachable", message, hint, details: { silent_ms: silentMs }, request: type });
}

/** The error of a request whose connection has ended with `error`. */
export function unanswered(type: string, error: GobError): GobError {
  const { code, hint, details, cause } = error;
  const message = code === "connection-lost" ? `${error.message} before \`${type}\` was answered` : error.message;
  return new GobError({ code, message, hint, details, cause, request: type });
}

/** The end of a connection; `refusal` is what the supervisor said last without naming a request. */
export function lostConnection(refusal: GobError | null, cause: Error | undefined): GobError {
  const message = refusal === null ? "the connection to the supervisor was lost" : `the supervisor ended the connection: ${refusal.message}`;
  return new GobError({ code: "connection-lost", message, hint: refusal?.hint ?? "gobctl daemon logs", cause: cause ?? refusal ?? undefined });
}

function timedOut({ type, isSent }: Pending, limit: number): GobError {
  const message = `no answer to \`${type}\` within ${inWords(limit)}`;
  const hint = isSent ? "the supervisor goes on with it" : "it was not sent: earlier requests of this connection are not answered";
  return new GobError({ code: "client-timeout", message, hint, details: { timeout_ms: limit, sent: isSent }, request: type });
}
