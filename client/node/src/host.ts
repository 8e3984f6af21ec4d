/**
 * The supervisor of another machine, over `gobctl --host ADDRESS proxy`: it runs the system's ssh, and knows addresses, words for
 * shells, and the errors of both.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { findGobctl, toldBy } from "./autostart.js";
import { GobError } from "./error.js";

/** Characters that are kept of what gobctl says on standard error. */
const MAX_SAID = 4_096;

/** A connection through gobctl. */
export interface Bridge {
  stream: Duplex;
  /** Returns the error for a connection that ended before its first answer. */
  why(): Promise<GobError>;
}

/** Begins a connection to the supervisor over there, and starts that with `autostart`. */
export function bridge(host: string, autostart: boolean): Bridge {
  const program = findGobctl();
  const args = ["--json", "--host", host, ...(autostart ? [] : ["--no-autostart"]), "proxy"];
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], cwd: "/" });
  // The connection keeps the program alive, and not the process that ends behind it.
  child.unref();
  let said = "";
  child.stderr.setEncoding("utf8");
  child.stderr.on("data", (text: string) => (said = (said + text).slice(-MAX_SAID)));
  const ended = endOf(child);
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  // Its last words keep no program alive.
  stream.once("close", () => (child.stderr as unknown as Socket).unref());
  return {
    stream,
    async why() {
      const end = await ended;
      const told = said.split("\n").map(toldBy).find((error) => error !== undefined);
      if (told !== undefined) return new GobError({ ...told, request: "hello" });
      const message = `gobctl, which leads to ${host}, ${end}`;
      return new GobError({ code: "supervisor-unreachable", message, hint: "gobctl --version", details: { said: said.trim() } });
    },
  };
}

/** Returns how a process ended, in words. */
function endOf(child: ChildProcessWithoutNullStreams): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(`cannot be run: ${error.message}`));
    child.once("close", (code, signal) => resolve(signal === null ? `ended with ${code}` : `was ended by ${signal}`));
  });
}
