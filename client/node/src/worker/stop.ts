/** The end of a worker in order: asked for by SIGTERM, once, with a deadline of its own below gob's grace. */

import { checkedFunction, checkedOptions, checkedPositive } from "../checked.js";
import { GobError } from "../error.js";

/** Rules of a stop. */
export interface StopOptions {
  /** The program exits with 1 when the stop takes longer: 9,000, since gob kills after 10 s where the kind says nothing else. */
  deadlineMs?: number;
  /** The signals that ask for it: SIGTERM and SIGINT. */
  signals?: NodeJS.Signals[];
}

/**
 * Has the first such signal call `stop`, and the program exit with 0 when that is done, or with 1 when it fails or takes too long.
 * A second signal exits at once, with 1. The call has a signal that is aborted at the deadline. Returns an undo.
 */
export function onStop(stop: (deadline: AbortSignal) => unknown, options: StopOptions = {}): () => void {
  checkedFunction("what is done at the end", stop);
  const { deadlineMs = 9_000, signals = ["SIGTERM", "SIGINT"] } = checkedOptions("onStop", options);
  checkedPositive("deadlineMs", deadlineMs);
  if (!Array.isArray(signals)) throw new GobError({ code: "usage", message: "signals is a list of their names" });
  let isStopping = false;
  const heard = (): void => {
    if (isStopping) process.exit(1);
    isStopping = true;
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort();
      process.stderr.write(`the stop took longer than ${deadlineMs} ms\n`);
      // Listeners have one turn.
      setImmediate(() => process.exit(1));
    }, deadlineMs);
    void run(stop, late.signal).then((code) => {
      clearTimeout(timer);
      process.exit(code);
    });
  };
  for (const signal of signals) process.on(signal, heard);
  return () => {
    for (const signal of signals) process.off(signal, heard);
  };
}

async function run(stop: (deadline: AbortSignal) => unknown, late: AbortSignal): Promise<number> {
  try {
    await stop(late);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
}
