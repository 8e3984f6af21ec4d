/** The wait between two looks at a lock file that is held. */

import { watch } from "node:fs";
import type { FSWatcher } from "node:fs";
import { basename } from "node:path";
import { onAbort } from "../signals.js";

/** The longest pause is so many first ones. */
const MOST = 10;

/**
 * Pauses that grow by half each time, up to ten first ones, each shortened by chance by up to a half: programs that came at once
 * don't look at once.
 */
export class Backoff {
  private readonly most: number;

  constructor(private next: number) {
    this.most = next * MOST;
  }

  /** Returns the next pause. `dice` is from 0 up to 1. */
  pause(dice: number): number {
    const full = this.next;
    this.next = Math.min(full * 1.5, this.most);
    return full - (full / 2) * dice;
  }
}

/**
 * The watch of a lock file's directory, begun before the first look at the file. Where the system gives no watch, waits end by
 * time alone.
 */
export class Watch {
  private watcher: FSWatcher | null = null;
  private hasChanged = false;
  private wake: () => void = () => {};

  constructor(path: string, dir: string) {
    const name = basename(path);
    try {
      this.watcher = watch(dir, { persistent: false }, (_kind, changed) => {
        // A change without a name may be of this file.
        if (changed === null || changed === name) this.changed();
      });
      this.watcher.on("error", () => this.close());
    } catch {
      // The user's watches are used up, or the directory is not there: the look says so.
    }
  }

  /** Has each later change of the file call this. */
  onChange(call: () => void): void {
    this.wake = call;
  }

  /** Returns once the file has changed, after this time, or when the signal is aborted. */
  async wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (!this.hasChanged && signal?.aborted !== true) await this.sleep(ms, signal);
    this.hasChanged = false;
  }

  close(): void {
    this.watcher?.close();
    this.watcher = null;
  }

  private sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        undo?.();
        this.wake = () => {};
        resolve();
      };
      // A timer has no longer time than this.
      const timer = setTimeout(end, Math.min(Math.ceil(ms), 0x7fff_ffff));
      const undo = signal === undefined ? undefined : onAbort(signal, end);
      this.wake = end;
    });
  }

  private changed(): void {
    this.hasChanged = true;
    this.wake();
  }
}
