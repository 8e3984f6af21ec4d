/** A graph's options, and what it tells. */
import type { GobError } from "../error.js";
import type { Env, View } from "../generated/types.js";

/** The graph that is meant. */
export interface GraphOptions {
  /** The directory of graphs that it is in, absolute; gob's own, or that of the kind. */
  rootDir?: string | undefined;
  /** The kind that serves it; else the one that served it last, or the default one. */
  kind?: string | undefined;
  /** The worker's name; the graph's. */
  workerName?: string | undefined;
  /** The environment of which its worker gets a part; this program's. */
  env?: Env | undefined;
}

/** Patience of one `ensure`. */
export interface EnsureOptions {
  /** The longest wait for a worker that is ready; as long as its kind allows. The start itself goes on. */
  timeoutMs?: number | undefined;
  /** Ends the wait. */
  signal?: AbortSignal | undefined;
}

/** Events of a graph. */
export type GraphEvents = {
  /** Its worker is ready for use, at this endpoint: for the first time, or again. */
  ready: [endpoint: string, worker: View];
  /** It is alive, and its liveness probe fails. */
  unhealthy: [worker: View];
  /** It is ready at another endpoint than before; `ready` follows. */
  moved: [endpoint: string, worker: View];
  /**
   * Nothing serves it now: its worker has ended or is being stopped (`worker.state` tells whether gob starts it again), or the
   * supervisor is gone, with `error`. `ready` follows when it is back.
   */
  gone: [worker: View | null, error: GobError | null];
  /** Its worker is another one than before in anything, such as its owner or its leases; null while no supervisor answers. */
  changed: [worker: View | null];
};
