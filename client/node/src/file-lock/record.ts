/**
 * The contents of a lock file, and the judgement whether its holder still counts (docs/LOCKS.md, Lock files). No I/O, no clock.
 */

/** Most bytes of a lock file that are read; no program's record is that long. */
export const MAX_BYTES = 64 * 1024;

/** So long must a file that can't be read stay as it is before it counts as broken: its maker may be writing it. */
export const BEING_WRITTEN_MS = 1_000;

/** The holder of a lock file, as the file names it. */
export interface FileLockHolder {
  /** Its process id on its host. */
  pid: number;
  /** When it last said that it holds the lock, in milliseconds since the epoch. */
  timestamp: number;
  /** Its host's name. */
  host: string;
  /** Its own name for itself. */
  process: string;
}

/** A lock file as it was seen at one moment. */
export interface Seen {
  /** Device and inode, which no other file has while this one is open. */
  readonly file: string;
  /** All of its bytes, or the first {@link MAX_BYTES}. */
  readonly bytes: Buffer;
}

/** Returns whether both are the same file with the same contents. */
export function same(one: Seen, other: Seen): boolean {
  return one.file === other.file && one.bytes.equals(other.bytes);
}

/** The standing of a lock file: `stale` and `broken` ones may be taken, by any program. */
export interface Standing {
  state: "held" | "stale" | "unreadable" | "broken";
  holder: FileLockHolder | null;
}

/** Facts beside the file itself. */
export interface Facts {
  /** This machine's name. */
  host: string;
  /** Milliseconds since the epoch. */
  now: number;
  /** For how long the file is known to have been as it is, by a clock that does not jump. */
  unchangedMs: number;
  /** The time of silence after which a holder does not count any more. */
  staleAfterMs: number;
}

/** Returns the record in the bytes of a lock file; null where they hold none. */
export function parse(bytes: Uint8Array): FileLockHolder | null {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const { pid, timestamp, host = "", process = "" } = value as Record<string, unknown>;
  const isPid = typeof pid === "number" && Number.isInteger(pid) && pid > 0 && pid <= 0x7fff_ffff;
  const isTime = typeof timestamp === "number" && timestamp >= 0 && Number.isFinite(timestamp);
  if (!isPid || !isTime || typeof host !== "string" || typeof process !== "string") return null;
  return { pid, timestamp: Math.round(timestamp), host, process };
}

/** Returns the bytes of a record. They are as long for every time of the next centuries: one can be written over an older one. */
export function encode({ pid, timestamp, host, process }: FileLockHolder): Buffer {
  return Buffer.from(`${JSON.stringify({ pid, timestamp, host, process })}\n`);
}

/**
 * Judges what was seen. `isAlive` tells of a process of this machine.
 *
 * The clocks of two hosts differ, and a clock may be set back: a time in the future does not count. A file that was watched for
 * the whole stale time without a change is stale whatever it says.
 */
export function judge(seen: Seen, facts: Facts, isAlive: (pid: number) => boolean): Standing {
  const holder = parse(seen.bytes);
  if (holder === null) return { state: facts.unchangedMs < BEING_WRITTEN_MS ? "unreadable" : "broken", holder };
  const age = facts.now - holder.timestamp;
  const isSilent = age > facts.staleAfterMs || facts.unchangedMs > facts.staleAfterMs;
  const isDead = holder.host === facts.host && !isAlive(holder.pid);
  return { state: isSilent || isDead ? "stale" : "held", holder };
}

/** Names a holder in at most a line: `psql (pid 4242 on ada)`. */
export function named(holder: FileLockHolder | null): string {
  if (holder === null) return "a program that is writing it";
  const short = (text: string) => [...text.slice(0, 128)].slice(0, 64).join("").replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
  const host = holder.host === "" ? "" : ` on ${short(holder.host)}`;
  return holder.process === "" ? `pid ${holder.pid}${host}` : `${short(holder.process)} (pid ${holder.pid}${host})`;
}
