/**
 * The flock of a lock file's directory, under which programs of gob take stale files away (docs/LOCKS.md, Lock files).
 *
 * Node.js has no flock(2). The program flock(1) locks a descriptor that it inherits, and the lock stays with the open file that
 * both share until this process closes it. It costs a process, so it is only taken where two programs may want one file. Where
 * there is no such program, the look after the renaming is all there is.
 */

import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** Tries for the flock, which others hold for some system calls, or for long when they were stopped. */
const TRIES = 20;
const BETWEEN_MS = 5;

type Locked = "locked" | "taken" | "no-flock";

/** Runs something synchronous under the flock of a directory; `otherwise` is the result where another program keeps it. */
export async function underFlock<T>(dir: string, otherwise: () => T, critical: () => T): Promise<T> {
  const fd = fs.openSync(dir, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    for (let left = TRIES; left > 0; left -= 1) {
      if ((await lock(fd)) !== "taken") return critical();
      await pause(BETWEEN_MS);
    }
    return otherwise();
  } finally {
    fs.closeSync(fd);
  }
}

function lock(fd: number): Promise<Locked> {
  return new Promise((resolve) => {
    const child = spawn("flock", ["-x", "-n", "3"], { stdio: ["ignore", "ignore", "ignore", fd] });
    // A system that has no process or descriptor left now may have one at the next try.
    child.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ENOENT" ? "no-flock" : "taken"));
    // 1 says that another program has it, and no code that it was killed; anything else, that this file system or flock can't lock it.
    child.once("exit", (code) => resolve(code === 0 ? "locked" : code === 1 || code === null ? "taken" : "no-flock"));
  });
}
