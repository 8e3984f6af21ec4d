/**
 * A lock as a file that is there or not, for programs that know nothing of gob (docs/LOCKS.md, Lock files).
 *
 * The file holds `{pid,timestamp,host,process}` as JSON and is made exclusively. A holder renews its time stamp; one that is dead
 * on this host, or silent for the stale time, does not count, and the next one takes the lock from it. No supervisor is needed,
 * and none helps: nobody stands in a line, and a holder whose process was stopped, or whose event loop was busy, for longer than
 * the stale time has lost the lock and learns of it only when it goes on. The supervisor's locks ({@link Lock}) have no such faults.
 */

import * as fs from "node:fs";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { isAlive } from "./alive.js";
import { checkedFunction, checkedOptions, checkedPositive, checkedSignal, checkedText, checkedTime } from "./checked.js";
import { asyncDispose } from "./dispose.js";
import { Emitter } from "./emitter.js";
import { GobError } from "./error.js";
import { underFlock } from "./file-lock/directory.js";
import { giveBack, ownFile, Place } from "./file-lock/place.js";
import type { Made, Sight } from "./file-lock/place.js";
import { judge, named, same } from "./file-lock/record.js";
import type { FileLockHolder, Standing } from "./file-lock/record.js";
import { Renewal } from "./file-lock/renewal.js";
import { Backoff, Watch } from "./file-lock/wait.js";

export type { FileLockHolder } from "./file-lock/record.js";

/** The rules of a lock file, which all its programs share, and this program's patience. */
export interface FileLockOptions {
  /** The holder's name for itself, for people; `node` where it is left out. */
  process?: string;
  /** The time of silence after which a holder does not count any more: 30,000. The time stamp is renewed every third of it. */
  staleAfterMs?: number;
  /** So often is a held lock looked at again: 50; without end where a time limit is given. */
  retries?: number;
  /** The first pause between two looks: 100. Later ones grow to ten times that, and chance shortens each by up to a half. */
  retryDelayMs?: number;
  /** The longest wait; 0 tries once. */
  timeoutMs?: number;
}

/** Patience of one `acquire`. */
export interface FileLockWait {
  /** As in {@link FileLockOptions}, for this time. */
  timeoutMs?: number;
  /** Ends the wait. */
  signal?: AbortSignal;
  /** Is told of the holder before each pause. */
  onWait?: (status: FileLockStatus) => void;
}

/** A lock file as it is now: the answer of `gobctl lock status --file PATH --json`. */
export interface FileLockStatus {
  path: string;
  state: "free" | "held" | "stale" | "unreadable";
  holder: FileLockHolder | null;
  /** Time since the holder's last sign; null where there is none. */
  age_ms: number | null;
}

/** Events of a lock file. */
export type FileLockEvents = {
  /** The lock was held, and another program has it or may have it. */
  lost: [error: GobError];
};

/** Most bytes of a holder's name for itself. */
const MAX_PROCESS_BYTES = 1_024;

/** A lock file, which this program holds or not. The program's exit gives it back. */
export class FileLock extends Emitter<FileLockEvents> {
  /** The path, absolute. */
  readonly path: string;
  private readonly place: Place;
  private readonly host = hostname();
  private readonly process: string;
  private readonly staleAfterMs: number;
  private readonly retries: number;
  private readonly retryDelayMs: number;
  private readonly timeoutMs: number;
  private held: Renewal | null = null;
  private watch: Watch | null = null;
  private losing = new AbortController();
  private isAcquiring = false;

  constructor(path: string, options: FileLockOptions = {}) {
    super("FileLock");
    checkedOptions("FileLock", options);
    this.path = resolve(checkedText("the path of a lock file", path));
    this.place = new Place(this.path, this.host);
    this.process = checkedText("process", options.process ?? "node");
    if (Buffer.byteLength(this.process) > MAX_PROCESS_BYTES) throw this.error("usage", `process has at most ${MAX_PROCESS_BYTES} bytes`);
    this.staleAfterMs = checkedPositive("staleAfterMs", options.staleAfterMs ?? 30_000);
    this.retries = checkedTime("retries", options.retries) ?? (options.timeoutMs === undefined ? 50 : Infinity);
    this.retryDelayMs = checkedTime("retryDelayMs", options.retryDelayMs) ?? 100;
    this.timeoutMs = checkedTime("timeoutMs", options.timeoutMs) ?? Infinity;
  }

  /** This program's own record while it holds the lock, else null. */
  get info(): FileLockHolder | null {
    return this.held?.holder ?? null;
  }

  /** True if this program had the lock and another one has it or may take it. */
  get isLost(): boolean {
    return this.held?.isLost ?? false;
  }

  /** Is aborted when the lock is lost; a new one for each `acquire`. */
  get signal(): AbortSignal {
    return this.losing.signal;
  }

  /**
   * Takes the lock, and waits for it.
   *
   * Throws `lock-timeout` with `details` `{holders}`, `lock-deadlock` if this lock is taken already, `aborted`, and
   * `lock-file-unusable` where the file can't be made, read or taken.
   */
  async acquire(wait: FileLockWait = {}): Promise<FileLockHolder> {
    checkedOptions("acquire", wait);
    if (this.held !== null || this.isAcquiring) {
      throw this.error("lock-deadlock", `${this.path} is held by this lock already`);
    }
    this.isAcquiring = true;
    const watch = new Watch(this.path, this.place.dir);
    try {
      this.held = await this.take(watch, wait);
      this.watch = watch;
      const held = this.held;
      watch.onChange(() => held.hurry());
      return held.holder;
    } finally {
      this.isAcquiring = false;
      if (this.held === null) watch.close();
    }
  }

  /** Gives the lock back; false if it was not this program's any more, and the file was left alone. */
  async release(): Promise<boolean> {
    const held = this.held;
    if (held === null) return false;
    this.held = null;
    this.watch?.close();
    this.watch = null;
    return this.attempt("remove", () => held.end());
  }

  /** Returns the lock file as it is now, whoever holds it. */
  async status(): Promise<FileLockStatus> {
    const sight = await this.attempt("read", () => this.place.look());
    sight?.close();
    return this.show(sight === null ? null : this.judge(sight, 0));
  }

  /** Removes the lock file, whoever holds it, and returns its status before. */
  async forceUnlock(): Promise<FileLockStatus> {
    for (let left = 10; left > 0; left -= 1) {
      const sight = await this.attempt("read", () => this.place.look());
      if (sight === null) return this.show(null);
      const status = this.show(this.judge(sight, 0));
      const remove = (): boolean => this.place.remove(sight);
      const removed = await this.attempt("remove", () => underFlock(this.place.dir, remove, remove)).finally(() => sight.close());
      if (removed) return status;
    }
    throw this.error("lock-file-unusable", `cannot remove ${this.path}: it changes all the time`);
  }

  /** Gives the lock back at the end of an `await using`. */
  async [asyncDispose](): Promise<void> {
    await this.release();
  }

  private async take(watch: Watch, wait: FileLockWait): Promise<Renewal> {
    const onWait = wait.onWait === undefined ? undefined : checkedFunction("onWait", wait.onWait);
    const timeoutMs = checkedTime("timeoutMs", wait.timeoutMs) ?? this.timeoutMs;
    const signal = checkedSignal(wait.signal);
    const began = performance.now();
    const deadline = began + timeoutMs;
    const backoff = new Backoff(this.retryDelayMs);
    const watched = new Watched();
    let left = this.retries;
    let until = began;
    try {
      for (;;) {
        if (signal?.aborted === true) throw this.error("aborted", `the wait for ${this.path} was aborted`, signal.reason);
        const tried = await this.attempt("take", () => this.tryOnce(watched));
        if (tried instanceof Renewal) return tried;
        const now = performance.now();
        // A lock that went meanwhile costs no retry: others may have been faster.
        if (until <= now) {
          if (left <= 0 || deadline <= now) throw await this.late(tried, now - began);
          left -= 1;
          until = Math.min(now + backoff.pause(Math.random()), deadline);
          if (tried !== null) onWait?.(this.show(tried));
        }
        await watch.wait(Math.max(until - performance.now(), 0), signal);
      }
    } finally {
      watched.keep(null);
    }
  }

  /** Returns the lock that was taken, the standing of its holder, or null where it went or changed at this moment. */
  private async tryOnce(watched: Watched): Promise<Renewal | Standing | null> {
    const sight = this.place.look();
    const own = { pid: process.pid, timestamp: Date.now(), host: this.host, process: this.process };
    if (sight === null) {
      watched.keep(null);
      const made = this.place.create(own);
      return made === null ? null : this.begin(await this.confirmed(made, own), own);
    }
    const standing = this.judge(sight, watched.unchangedMs(sight));
    watched.keep(sight);
    if (standing.state === "held" || standing.state === "unreadable") return standing;
    // Nobody looks at it under the flock, so that it needs no second look. The time is that of the making: the flock may come late.
    const replace = (): number | null => this.place.replace(sight, Object.assign(own, { timestamp: Date.now() }))?.fd ?? null;
    return this.begin(await underFlock(this.place.dir, () => null, replace), own);
  }

  /**
   * Returns the descriptor of a file that is this program's after all; null where another one has the lock by now.
   *
   * A file without a record counts as broken after a second, and the disk may have been busy for longer than that. The look is under
   * the flock, so that no program of gob has put the file aside for a moment only.
   */
  private async confirmed({ fd, wasSeenUnwritten }: Made, own: FileLockHolder): Promise<number | null> {
    if (!wasSeenUnwritten) return fd;
    const isOurs = (): boolean => ownFile(this.place, fd, own) === "kept";
    // Without the flock it can't be told, and the file is given back.
    const otherwise = (): boolean => {
      giveBack(this.place, fd, own);
      return false;
    };
    try {
      if (await underFlock(this.place.dir, otherwise, isOurs)) return fd;
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
    fs.closeSync(fd);
    return null;
  }

  private begin(fd: number | null, own: FileLockHolder): Renewal | null {
    if (fd === null) return null;
    this.losing = new AbortController();
    return new Renewal(this.place, fd, own, this.staleAfterMs, () => this.lost());
  }

  private lost(): void {
    const error = this.error("lock-not-held", `the lock ${this.path} was lost: its file is gone, another program's, or was not renewed`);
    this.losing.abort(error);
    this.emit("lost", error);
  }

  private judge(sight: Sight, unchangedMs: number): Standing {
    return judge(sight, { host: this.host, now: Date.now(), unchangedMs, staleAfterMs: this.staleAfterMs }, isAlive);
  }

  private show(standing: Standing | null): FileLockStatus {
    const holder = standing?.holder ?? null;
    const state = standing === null ? "free" : standing.state === "broken" ? "unreadable" : standing.state;
    const age_ms = holder === null ? null : Math.max(Date.now() - holder.timestamp, 0);
    return { path: this.path, state, holder, age_ms };
  }

  private async late(standing: Standing | null, waited: number): Promise<GobError> {
    // A holder that came at this moment has a name, too.
    const holder = standing === null ? (await this.status()).holder : standing.holder;
    const message = `${this.path} is held by ${named(holder)}, after a wait of ${Math.round(waited)} ms`;
    return this.error("lock-timeout", message, undefined, { holders: holder === null ? [] : [holder] });
  }

  private async attempt<T>(what: string, call: () => T | Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw this.error("lock-file-unusable", `cannot ${what} ${this.path}: ${why}`, cause);
    }
  }

  private error(code: string, message: string, cause?: unknown, details?: object): GobError {
    return new GobError({ code, message, cause, details });
  }
}

/** For how long a lock file has been as it is, as far as this program has watched it. */
class Watched {
  private last: Sight | null = null;
  private since = 0;

  unchangedMs(now: Sight): number {
    return this.last !== null && same(this.last, now) ? performance.now() - this.since : 0;
  }

  keep(sight: Sight | null): void {
    if (this.last === null || sight === null || !same(this.last, sight)) this.since = performance.now();
    this.last?.close();
    this.last = sight;
  }
}
