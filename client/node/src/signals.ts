/**
 * One listener for each signal, however many wait for it. EventTarget looks through all its listeners for each new one, which
 * took 8 s for 40,000 requests with one signal, and warns of the eleventh.
 */
import { aborted } from "./error.js";

const waits = new WeakMap<AbortSignal, { calls: Set<() => void>; listener: () => void }>();

/** Has the signal's abort call this, which must not throw. Returns an undo. A signal that is aborted already calls nothing. */
export function onAbort(signal: AbortSignal, call: () => void): () => void {
  const wait = waits.get(signal) ?? begin(signal);
  // One of its own, so that an undo takes no equal call away.
  const own = (): void => call();
  wait.calls.add(own);
  return () => {
    wait.calls.delete(own);
    if (wait.calls.size > 0 || waits.get(signal) !== wait) return;
    waits.delete(signal);
    signal.removeEventListener("abort", wait.listener);
  };
}

/** Waits for a promise until a signal is aborted. The work goes on, and its later failure is nobody's. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined, operation: string): Promise<T> {
  if (signal === undefined) return work;
  let undo = (): void => undefined;
  const given = new Promise<never>((_, reject) => {
    const abort = (): void => reject(aborted(operation, signal.reason));
    if (signal.aborted) abort();
    else undo = onAbort(signal, abort);
  });
  try {
    return await Promise.race([work, given]);
  } finally {
    undo();
    work.catch(() => undefined);
  }
}

function begin(signal: AbortSignal): { calls: Set<() => void>; listener: () => void } {
  const calls = new Set<() => void>();
  const listener = (): void => {
    waits.delete(signal);
    for (const call of calls) call();
  };
  const wait = { calls, listener };
  waits.set(signal, wait);
  signal.addEventListener("abort", listener, { once: true });
  return wait;
}
