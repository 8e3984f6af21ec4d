/** The claims of one worker of a lane, over one connection after the other: a claim belongs to its connection (PROTOCOL 5). */
import type { Client } from "../client.js";
import type { CallOptions, Connection } from "../connection.js";
import { GobError } from "../error.js";
import type { Requests } from "../generated/methods.js";
import type { Event, Lagged, QueueJob, SubscribePayload } from "../generated/types.js";
import { mayPass, reconnect, waitForChange } from "../reconnect.js";

/** Rules of the claims. */
export interface ClaimRules {
  heartbeatMs: number;
  giveUpMs: number;
  waitMs: number;
  workerId: string;
}

type QueueRequest = Extract<keyof Requests, `queue_${string}`>;

const PAUSE_MS = 200;
/** Events after which a heartbeat tells whether the attempt still is this worker's. */
const DOUBTS: SubscribePayload["events"] = ["queue_job_finished", "queue_job_recovered"];

/** One claimant, with one job at a time. */
export class Claimant {
  private connection: Connection | null = null;
  private hasConnected = false;
  private heard = performance.now();
  private watched: QueueJob | null = null;
  private doubt: () => void = () => undefined;
  private readonly closing = new AbortController();

  constructor(
    private readonly client: Client,
    private readonly lane: string,
    private readonly rules: ClaimRules,
  ) {}

  /** Waits for a job, for as long as it takes; null once `stopping` is aborted. */
  async claim(stopping: AbortSignal): Promise<QueueJob | null> {
    const { waitMs, workerId } = this.rules;
    while (!stopping.aborted) {
      try {
        const { job } = await this.ask("queue_claim", { lane: this.lane, worker_id: workerId, wait_ms: waitMs }, { signal: stopping });
        if (job !== null) return job;
      } catch (error) {
        if (stopping.aborted) break;
        if (!mayPass(error) || !this.hasConnected) throw error;
        await this.pauseAfter(error as GobError, stopping);
      }
    }
    // A claim that was on its way goes back with its connection.
    await this.close();
    return null;
  }

  /**
   * Says again and again that the work on a job goes on, and aborts `ending` when it must not: the attempt is over, or another
   * worker's, or there was no answer for too long. Returns an undo.
   */
  beat(job: QueueJob, ending: AbortController): { stop(): void } {
    const stopping = new AbortController();
    this.watched = job;
    this.watch(job);
    const beats = async (): Promise<void> => {
      let pause = this.rules.heartbeatMs;
      while (!stopping.signal.aborted) {
        await this.pause(pause, stopping.signal);
        if (stopping.signal.aborted) return;
        try {
          await this.ask("queue_heartbeat", { ...this.attempt(job) });
          pause = this.rules.heartbeatMs;
        } catch (error) {
          if (!mayPass(error)) return ending.abort(error);
          if (this.isTooLate()) return ending.abort(this.late(job, error));
          pause = PAUSE_MS;
        }
      }
    };
    void beats();
    return {
      stop: () => {
        stopping.abort();
        this.watched = null;
        this.doubt();
      },
    };
  }

  /** Says how the attempt ended, until that is on the disk. */
  async finish(job: QueueJob, error: string | null, leaving: AbortSignal): Promise<QueueJob> {
    const end = { ...this.attempt(job), success: error === null, error: error ?? undefined };
    let isRepeated = false;
    for (;;) {
      try {
        return (await this.ask("queue_finish", end, { signal: leaving })).job;
      } catch (failure) {
        if (isRepeated && GobError.is(failure) && failure.code === "job-not-claimed") return this.ended(job, failure);
        if (leaving.aborted || !mayPass(failure)) throw failure;
        if (this.isTooLate()) throw this.late(job, failure);
        isRepeated = true;
        await this.pauseAfter(failure as GobError, leaving);
      }
    }
  }

  /** Gives back what is claimed. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.connection?.close(new GobError({ code: "client-closed", message: `the worker of ${this.lane} has stopped` }));
  }

  /** An answer that was lost may have been that the attempt has ended. */
  private async ended(job: QueueJob, refused: GobError): Promise<QueueJob> {
    const now = (await this.ask("queue_get", { job_id: job.id })).job;
    if (now.attempt === job.attempt && now.status !== "running" && now.status !== "cancelled") return now;
    throw refused;
  }

  private attempt(job: QueueJob): { job_id: string; worker_id: string; attempt: number } {
    return { job_id: job.id, worker_id: this.rules.workerId, attempt: job.attempt };
  }

  private isTooLate(): boolean {
    return performance.now() - this.heard > this.rules.giveUpMs;
  }

  private late(job: QueueJob, cause: unknown): GobError {
    const message = `no supervisor has answered for so long that ${job.id} may be another worker's`;
    return new GobError({ code: "job-not-claimed", message, details: { job: job.id, worker_id: this.rules.workerId }, cause });
  }

  private async ask<K extends QueueRequest>(type: K, payload: Requests[K]["payload"], options: CallOptions = {}): Promise<Requests[K]["data"]> {
    const connection = this.connection ?? (await this.connect());
    try {
      const data = (await connection.request(type, payload, options)) as Requests[K]["data"];
      this.heard = performance.now();
      return data;
    } catch (error) {
      if (GobError.is(error) && error.code !== "connection-lost" && error.code !== "client-timeout") this.heard = performance.now();
      // A late claim must not be missed: closed, its job goes back.
      if (type === "queue_claim" && GobError.is(error) && error.code === "client-timeout") await connection.close(error);
      throw error;
    }
  }

  /** Connects once. A supervisor is started for the first claim; later one that was killed. */
  private async connect(): Promise<Connection> {
    const on = {
      onWarning: this.client.onWarning,
      onEvent: (event: Event | Lagged) => {
        if (event.event === "lagged" || (event as Event).job?.id === this.watched?.id) this.doubt();
      },
      onEnd: () => {
        this.connection = null;
        this.doubt();
      },
    };
    const autostart = this.client.autostart && !this.hasConnected;
    const { connection } = await reconnect(this.client, on, { signal: this.closing.signal, autostart, until: performance.now() });
    if (connection.error !== null) throw connection.error;
    this.connection = connection;
    this.hasConnected = true;
    if (this.watched !== null) this.watch(this.watched);
    return connection;
  }

  /** Has this job's end told at once, and not by the next heartbeat. */
  private watch(job: QueueJob): void {
    const { connection } = this;
    connection?.request("unsubscribe", {}).catch(() => undefined);
    connection?.request("subscribe", { names: [job.id], events: DOUBTS }).catch(() => undefined);
  }

  /** Waits between two heartbeats; a doubt ends the wait. */
  private pause(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.doubt = () => {
        clearTimeout(timer);
        this.doubt = () => undefined;
        resolve();
      };
    });
  }

  private async pauseAfter(error: GobError, signal: AbortSignal): Promise<void> {
    // A change where the socket is may be the next supervisor.
    if (error.code !== "busy") return waitForChange(this.client, PAUSE_MS, signal);
    await this.pause(PAUSE_MS, signal);
  }
}
