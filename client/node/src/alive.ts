/**
 * Whether a process of this machine has any thread left.
 *
 * A process that has ended and was not waited for still takes signals, so that signal 0 alone would keep a dead holder's lock.
 */

import { existsSync, readFileSync } from "node:fs";

/** Returns whether the process lives. One that may not be signalled does. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    // Gone since the signal; or a system without /proc, where the signal is all there is. Whatever else it is tells nothing.
    const isGone = ["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "");
    return !isGone || !existsSync("/proc/self/stat");
  }
  // The name is in parentheses and may contain any byte, parentheses too.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const threads = Number(fields[17]);
  // A process whose main thread alone has ended is shown as a zombie while others go on.
  return state === "Z" ? threads > 1 : state !== "X" && state !== "x";
}
