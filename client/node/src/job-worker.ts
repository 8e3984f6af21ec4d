/**
 * A worker for a lane of the queue, outside the supervisor (docs/QUEUE.md): claims a job, works, says what became of it.
 *
 * Delivery is at least once, and never twice at once. A claim outlives its supervisor: the work goes on, and the next supervisor
 * is told which attempt this is. When the attempt is not this worker's any more, the work is told to stop by its signal.
 */
import { hostname } from "node:os";
import { checkedFunction, checkedOptionalText, checkedOptions, checkedPositive, checkedSignal } from "./checked.js";
import type { Client } from "./client.js";
import { asyncDispose } from "./dispose.js";
import { Emitter } from "./emitter.js";
import { GobError } from "./error.js";
import type { QueueJob } from "./generated/types.js";
import { Claimant } from "./job-worker/claimant.js";
import { MAX_DELAY_MS } from "./limits.js";
import { onAbort } from "./signals.js";

/** Does one job. Its signal is aborted when the job was cancelled, the claim is lost, or the worker is to stop at once. */
export type Work = (job: QueueJob, signal: AbortSignal) => unknown;

/** Rules of a worker. */
export interface JobWorkerOptions {
  /** So many jobs at once: 1. Each has a connection of its own. */
  concurrency?: number | undefined;
  /** 10,000, the setting `queue.heartbeat`. */
  heartbeatMs?: number | undefined;
  /** Without any answer for so long the work is given up: 45,000, below the setting `queue.stale_after`. */
  giveUpMs?: number | undefined;
  /** The longest wait of one claim: 30,000. The next one follows. */
  waitMs?: number | undefined;
  /** The name of the claimant; `host-pid`. */
  workerId?: string | undefined;
  /** Stops it, as `stop()` does. */
  signal?: AbortSignal | undefined;
}

/** Events of a worker. */
export type JobWorkerEvents = {
  claimed: [job: QueueJob];
  /** An attempt has ended, and that is on the disk; `job.status` tells whether it is tried again. */
  finished: [job: QueueJob];
  /** The attempt is not this worker's any more: cancelled, or too long without a sign. */
  left: [job: QueueJob, error: GobError];
};

/** Most bytes of the reason of a failure. */
const MAX_ERROR_BYTES = 1_024;

/** Work that was told to stop at once has so long; then its job goes back, whether or not it has ended. */
const LEAVE_WITHIN_MS = 5_000;

/** A worker for a lane; `client.worker(lane, work)` makes one, which begins at once. */
export class JobWorker extends Emitter<JobWorkerEvents> {
  /** Settles when it has stopped; fails where it can't claim at all. */
  readonly done: Promise<void>;
  private readonly stopping = new AbortController();
  private readonly leaving = new AbortController();

  constructor(
    client: Client,
    /** The lane. */
    readonly lane: string,
    private readonly work: Work,
    options: JobWorkerOptions,
    closing: AbortSignal,
  ) {
    super("worker");
    const { heartbeatMs = 10_000, giveUpMs = 45_000, waitMs = 30_000 } = checkedOptions("worker", options);
    checkedFunction("the work of a worker", work);
    const signal = checkedSignal(options.signal);
    const concurrency = checkedPositive("concurrency", options.concurrency ?? 1);
    const rules = {
      heartbeatMs: Math.min(checkedPositive("heartbeatMs", heartbeatMs), MAX_DELAY_MS),
      giveUpMs: checkedPositive("giveUpMs", giveUpMs),
      waitMs: checkedPositive("waitMs", waitMs),
      workerId: checkedOptionalText("workerId", options.workerId) ?? `${hostname()}-${process.pid}`,
    };
    const onStop = (): void => void this.stop();
    const onClose = (): void => void this.stop({ now: true });
    if (signal?.aborted === true) onStop();
    if (closing.aborted) onClose();
    const undo = [onAbort(closing, onClose), signal === undefined ? undefined : onAbort(signal, onStop)];
    const claimants = Array.from({ length: Math.ceil(concurrency) }, () => this.run(new Claimant(client, lane, rules)));
    // Where one can't go on, the others can't either.
    const gaveUp = (error: unknown): void => {
      // Told to those, too, who do not look at `done`; once.
      if (!this.stopping.signal.aborted) client.onWarning(`nothing is claimed from the lane ${lane}: ${(error as Error).message}`);
      this.abort(error, true);
    };
    for (const claimant of claimants) claimant.catch(gaveUp);
    this.done = Promise.allSettled(claimants).then((ends) => {
      const failed = ends.find((end): end is PromiseRejectedResult => end.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    });
    void this.done.catch(() => undefined).then(() => undo.forEach((each) => each?.()));
  }

  /**
   * Claims nothing more, and returns when the jobs at work have ended. With `now`, as when the client is closed, they are told to
   * stop, and go back: at the latest 5 s later, also where the work has not ended.
   */
  async stop(options: { now?: boolean } = {}): Promise<void> {
    const { now = false } = checkedOptions("stop", options);
    this.abort(new GobError({ code: "aborted", message: `the worker of ${this.lane} was stopped` }), now);
    await this.done?.catch(() => undefined);
  }

  private abort(reason: unknown, now: boolean): void {
    this.stopping.abort(reason);
    if (now) this.leaving.abort(reason);
  }

  [asyncDispose](): Promise<void> {
    return this.stop();
  }

  private async run(claimant: Claimant): Promise<void> {
    try {
      for (;;) {
        const job = await claimant.claim(this.stopping.signal);
        if (job === null) return;
        this.tell("claimed", job);
        await this.attempt(claimant, job);
      }
    } finally {
      await claimant.close();
    }
  }

  private async attempt(claimant: Claimant, job: QueueJob): Promise<void> {
    const ending = new AbortController();
    const leave = (): void => ending.abort(this.leaving.signal.reason);
    if (this.leaving.signal.aborted) leave();
    const undo = onAbort(this.leaving.signal, leave);
    const beating = claimant.beat(job, ending);
    const error = await this.untilLate(this.failure(job, ending.signal));
    undo();
    beating.stop();
    try {
      // With the connection the job goes back, and the attempt does not count.
      if (this.leaving.signal.aborted) await claimant.close();
      else if (ending.signal.aborted) throw ending.signal.reason;
      else this.tell("finished", await claimant.finish(job, error, this.leaving.signal));
    } catch (left) {
      this.tell("left", job, left as GobError);
    }
  }

  /** Waits for the work; when it was told to stop at once, for so long as it may take. */
  private async untilLate(work: Promise<string | null>): Promise<string | null> {
    const { signal } = this.leaving;
    let timer: NodeJS.Timeout | undefined;
    let undo = (): void => undefined;
    const late = new Promise<null>((resolve) => {
      const begin = (): void => void (timer = setTimeout(resolve, LEAVE_WITHIN_MS, null));
      if (signal.aborted) begin();
      else undo = onAbort(signal, begin);
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      undo();
      clearTimeout(timer);
    }
  }

  /** Runs the work; the reason why it failed, or null. */
  private async failure(job: QueueJob, signal: AbortSignal): Promise<string | null> {
    try {
      await this.work(job, signal);
      return null;
    } catch (error) {
      return cut((error instanceof Error ? error.message : String(error)) || "failed");
    }
  }

  private tell<K extends keyof JobWorkerEvents & string>(event: K, ...args: JobWorkerEvents[K]): void {
    queueMicrotask(() => this.emit(event, ...args));
  }
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  // A half of a character, which JSON can't carry, became a replacement character by now.
  if (bytes.length <= MAX_ERROR_BYTES) return bytes.toString();
  // Without the part of a character that was cut.
  return bytes.toString("utf8", 0, MAX_ERROR_BYTES).replace(/\uFFFD+$/, "");
}
