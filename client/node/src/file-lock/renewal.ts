/** A lock file that is held: its time stamp is renewed beside the program until it is given back. */

import * as fs from "node:fs";
import { underFlock } from "./directory.js";
import { giveBack, ownFile, rewrite } from "./place.js";
import type { Own, Place } from "./place.js";
import type { FileLockHolder } from "./record.js";

/** Looks at a lock file that seems to be another one's: one that was renamed aside and is put back looks so for a moment. */
const LOOKS = 4;
const BETWEEN_LOOKS_MS = 25;

/** The locks that this program holds: they are given back when it exits in order. */
const held = new Set<Renewal>();

function giveAllBack(): void {
  for (const renewal of held) renewal.endNow();
}

/** A lock that is held. */
export class Renewal {
  private state: "holds" | "lost" | "ended" = "holds";
  private looks = 0;
  private renewed = performance.now();
  private timer: NodeJS.Timeout | undefined;
  private isBusy = false;

  /** Begins to renew a lock file that was just made. `onLost` is called once, where another program may have the lock. */
  constructor(
    private readonly place: Place,
    private readonly fd: number,
    private record: FileLockHolder,
    private readonly staleAfterMs: number,
    private readonly onLost: () => void,
  ) {
    if (held.size === 0) process.on("exit", giveAllBack);
    held.add(this);
    this.plan();
  }

  /** The record in the file. */
  get holder(): FileLockHolder {
    return { ...this.record };
  }

  get isLost(): boolean {
    return this.state === "lost";
  }

  /** Looks at the file now: something has happened to it, which may have been its making. */
  hurry(): void {
    if (this.state !== "holds" || this.isBusy || this.isThere()) return;
    void this.tick();
  }

  /** Ends the renewal and removes the file; false if it is not this holder's any more. */
  async end(): Promise<boolean> {
    if (!this.close()) return false;
    try {
      const remove = (): boolean => giveBack(this.place, this.fd, this.record);
      // Another program may put its file there at any moment: without the flock a stale one is left to it.
      const otherwise = (): boolean => this.silentMs() < this.staleAfterMs && remove();
      return this.isDoubtful() ? await underFlock(this.place.dir, otherwise, remove) : remove();
    } finally {
      fs.closeSync(this.fd);
    }
  }

  /** As `end`, for a process that exits. An error leaves a file whose holder is dead soon. */
  endNow(): void {
    if (!this.close()) return;
    try {
      giveBack(this.place, this.fd, this.record);
    } catch {
      // Its holder is dead soon.
    }
  }

  private isThere(): boolean {
    try {
      return ownFile(this.place, this.fd, this.record) === "kept";
    } catch {
      return false;
    }
  }

  private close(): boolean {
    if (this.state === "ended") return false;
    this.state = "ended";
    clearTimeout(this.timer);
    held.delete(this);
    if (held.size === 0) process.off("exit", giveAllBack);
    return true;
  }

  /** True if another program may be about to take the lock: this one has been silent for long. */
  private isDoubtful(): boolean {
    return this.silentMs() > this.staleAfterMs / 2;
  }

  /** Others go by the clock on the wall, which may have been set. */
  private silentMs(): number {
    return Math.max(Date.now() - this.record.timestamp, performance.now() - this.renewed);
  }

  private plan(): void {
    const every = Math.max(this.staleAfterMs / 3, 1);
    const left = Math.max(this.staleAfterMs - (performance.now() - this.renewed), 1);
    const ms = this.looks === 0 ? Math.min(every, left) : BETWEEN_LOOKS_MS;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.tick(), Math.min(ms, 0x7fff_ffff)).unref();
  }

  private async tick(): Promise<void> {
    if (this.isBusy) return;
    this.isBusy = true;
    clearTimeout(this.timer);
    try {
      this.take(await this.renewOnce());
    } catch {
      // A disk that fails now may work at the next time.
      this.looks = 0;
      if (this.state === "holds" && this.silentMs() >= this.staleAfterMs) this.lose();
    }
    this.isBusy = false;
    if (this.state === "holds") this.plan();
  }

  private renewOnce(): Own | null | Promise<Own | null> {
    const once = (): Own | null => {
      if (this.state !== "holds") return null;
      const before = ownFile(this.place, this.fd, this.record);
      if (before !== "kept") return before;
      const next = { ...this.record, timestamp: Date.now() };
      rewrite(this.fd, next);
      // It is in the file, whether or not that can be looked at now.
      this.record = next;
      return ownFile(this.place, this.fd, next);
    };
    // Without the flock it is still better to write: silence would lose the lock.
    return this.isDoubtful() ? underFlock(this.place.dir, once, once) : once();
  }

  private take(own: Own | null): void {
    if (own === null || this.state !== "holds") return;
    if (own === "kept") {
      this.looks = 0;
      this.renewed = performance.now();
    } else if (own === "gone" && this.looks < LOOKS) {
      this.looks += 1;
    } else {
      this.lose();
    }
  }

  private lose(): void {
    this.state = "lost";
    clearTimeout(this.timer);
    this.onLost();
  }
}
