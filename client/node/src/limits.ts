/** Time limits (CLI, Defaults), as the Rust client has them in `call/` and `pulse.rs`. */
import type { AddPayload, LockAcquirePayload, QueueClaimPayload, StartPayload, StopPayload } from "./generated/types.js";

/** An ordinary request, unless `connect` was told another time. */
export const REQUEST_MS = 10_000;
/** Connecting, without the start of a supervisor. */
export const CONNECT_MS = 5_000;
/** The first answer of another machine: of its network, its sshd, and a supervisor that starts there. */
export const HOST_MS = 45_000;
/** Time between two pings of a request without a limit of its own. */
export const PING_EVERY_MS = 5_000;
/** Added to the limit that a request has in its payload. */
const SLACK_MS = 2_000;
/** Added to the grace of a stop. */
const STOP_SLACK_MS = 7_000;
/** The longest delay that a timer of Node takes; a longer one would fire at once. */
export const MAX_DELAY_MS = 0x7fff_ffff;

/** Waits as long as the supervisor answers pings. */
export const WHILE_ALIVE = "while-alive";

/** A time in milliseconds, or {@link WHILE_ALIVE}. */
export type Limit = number | typeof WHILE_ALIVE;

/** Returns the time limit of a request that the caller set none for; `usual` is that of an ordinary one. */
export function limitOf(type: string, payload: unknown, usual: number): Limit {
  const of = (payload ?? {}) as Partial<StartPayload & AddPayload & StopPayload & QueueClaimPayload & LockAcquirePayload>;
  switch (type) {
    case "start":
    case "restart":
      return bounded(of.timeout_ms, SLACK_MS);
    case "stop":
      return bounded(of.force === true ? 0 : of.grace_ms, STOP_SLACK_MS);
    case "add":
    case "nuke":
    case "shutdown":
      return WHILE_ALIVE;
    case "queue_claim":
      return bounded(of.wait_ms ?? 0, usual);
    case "lock_acquire":
      if (of.token !== undefined) return Math.max(usual, REQUEST_MS);
      return bounded(of.timeout_ms === undefined ? undefined : Math.max(of.timeout_ms, usual), SLACK_MS);
    default:
      return usual;
  }
}

function bounded(own: number | undefined, slack: number): Limit {
  return own === undefined ? WHILE_ALIVE : own + slack;
}

/** Writes a time for people: `1.5 s`, `30 ms`. */
export function inWords(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}
