/** The way back to a supervisor: connections of their own for what belongs to a connection, made again after a loss. */
import { watch } from "node:fs";
import type { Client } from "./client.js";
import type { ConnectionEvents } from "./connection.js";
import { aborted, GobError } from "./error.js";
import { open, type Opened } from "./open.js";
import { onAbort } from "./signals.js";
import { readLockFile, resolvePlaces } from "./places.js";

/** Pauses between tries to connect; a change of the runtime directory ends one early. */
const SHORTEST_MS = 50;
const LONGEST_MS = 2_000;

/** How long is tried to connect, and who may be started. */
export interface Again {
  /** Ends the tries. */
  signal: AbortSignal;
  /** A supervisor that runs no more is started. */
  autostart: boolean;
  /** One that was killed is started in any case, where the client starts one: true unless told otherwise. */
  revives?: boolean;
  /** By then there has to be a connection, by `performance.now()`. */
  until?: number | undefined;
  /** Is told of each failure after which it is tried again. */
  onFailure?: (error: GobError) => void;
}

/** Connects, over and over, until a supervisor answers or another try would not help. */
export async function reconnect(client: Client, on: ConnectionEvents, again: Again): Promise<Opened> {
  const { signal, until = Infinity } = again;
  for (let pause = SHORTEST_MS; ; pause = Math.min(pause * 2, LONGEST_MS)) {
    if (signal.aborted) throw aborted("connecting", signal.reason);
    try {
      return await open(client.settings, again.autostart || (again.revives !== false && wasKilled(client)), on, signal);
    } catch (error) {
      if (signal.aborted || !mayPass(error) || performance.now() >= until) throw error;
      again.onFailure?.(error as GobError);
    }
    await waitForChange(client, Math.min(pause, until - performance.now()), signal);
  }
}

/** Whether a supervisor was killed, which leaves its line in the lock file, and this client may start another one. */
export function wasKilled({ autostart, settings }: Client): boolean {
  return autostart && settings.host === undefined && readLockFile(resolvePlaces(settings.runtimeDir)) !== null;
}

/** Within this time after a loss another supervisor serves, or what was asked for is given up. */
const BACK_WITHIN_MS = 10_000;
export const PAUSE_MS = 50;

/**
 * Tries something that begins with a connection until it works, also where supervisors are killed meanwhile: over and over as
 * long as each try reaches one. Where none ran before and none can be started, no other try is made. `attempt` is told until when
 * it may try to connect.
 */
export async function persist<T>(client: Client, signal: AbortSignal, attempt: (until: number) => Promise<T>): Promise<T> {
  let until = performance.now();
  let bound = until + BACK_WITHIN_MS;
  for (;;) {
    try {
      return await attempt(until);
    } catch (error) {
      if (signal.aborted || !GobError.is(error)) throw error;
      const now = performance.now();
      if (["connection-lost", "shutting-down", "busy"].includes(error.code)) {
        until = bound = now + BACK_WITHIN_MS;
      } else if (error.code === "supervisor-unreachable" && mayPass(error) && wasKilled(client) && now < bound) {
        until = now;
      } else {
        throw error;
      }
    }
    await waitForChange(client, PAUSE_MS, signal);
  }
}

/** Tells whether the same may work later without any action. */
export function mayPass(error: unknown): boolean {
  if (!GobError.is(error)) return false;
  const isForeign = error.code === "supervisor-unreachable" && error.request === "hello";
  const codes = ["supervisor-unreachable", "connection-lost", "client-timeout", "shutting-down", "busy"];
  return codes.includes(error.code) && !isForeign;
}

/** Waits for a while, for a change where the socket is, or for the signal. */
export function waitForChange({ settings }: Client, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let watcher: ReturnType<typeof watch> | undefined;
    const done = (): void => {
      clearTimeout(timer);
      watcher?.close();
      undo();
      resolve();
    };
    const timer = setTimeout(done, ms);
    const undo = onAbort(signal, done);
    if (settings.host !== undefined) return;
    try {
      watcher = watch(resolvePlaces(settings.runtimeDir).runtime, done);
      watcher.on("error", () => watcher?.close());
    } catch {
      // Without a directory, or where too much is watched already, the timer does it.
    }
  });
}
