/** Connects to a Unix socket that {@link isThereAndOurs} accepts, along paths of any length, with a time limit. */
import { closeSync, constants, openSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import { GobError, aborted } from "./error.js";
import { onAbort } from "./signals.js";
import { isThereAndOurs } from "./trust.js";

/** Bytes of a path that fit into the address of a Unix socket. */
const ADDRESS_BYTES = process.platform === "linux" ? 107 : 103;
/** Nobody listens there. */
const NOBODY = new Set(["ENOENT", "ECONNREFUSED", "ENOTSOCK", "EPROTOTYPE", "ENOTDIR"]);
/** Time until the next try where the listener's backlog is full; no event tells when it is not. */
const FULL_MS = 10;

/** Connects; null when nobody listens there. `until` is on the clock of `performance.now()`. */
export async function connectSocket(path: string, until: number, signal?: AbortSignal): Promise<Socket | null> {
  for (;;) {
    if (!isThereAndOurs(path)) return null;
    const result = await attempt(path, until, signal);
    if (typeof result !== "string") {
      // The directory may have been replaced in between.
      if (isThereAndOurs(path)) return result;
      result.destroy();
      return null;
    }
    if (NOBODY.has(result)) return null;
    const isFull = result === "EAGAIN" && performance.now() + FULL_MS < until;
    if (!isFull) throw failed(path, result);
    await new Promise((done) => setTimeout(done, FULL_MS));
  }
}

function failed(path: string, code: string): GobError {
  const why = code === "EAGAIN" || code === "ETIMEDOUT" ? "its queue of waiting connections stayed full" : code;
  return new GobError({ code: "supervisor-unreachable", message: `cannot connect to ${path}: ${why}`, hint: "gobctl doctor" });
}

/** Returns the socket, or the name of the error. */
function attempt(path: string, until: number, signal?: AbortSignal): Promise<Socket | string> {
  return new Promise((resolve, reject) => {
    const address = addressOf(path);
    const socket = createConnection({ path: address.path });
    let undo = (): void => undefined;
    const settle = (end: () => void) => {
      clearTimeout(timer);
      undo();
      socket.off("connect", connected);
      address.close();
      end();
    };
    const connected = () => settle(() => {
      socket.off("error", refused);
      resolve(socket);
    });
    // The listener for errors stays: one may still come after the socket was given up.
    const give = (code: string) => settle(() => {
      socket.destroy();
      resolve(code);
    });
    const refused = (error: NodeJS.ErrnoException) => give(error.code ?? error.message);
    const abort = () => settle(() => {
      socket.destroy();
      reject(aborted(`connecting to ${path}`, signal?.reason));
    });
    const timer = setTimeout(() => give("ETIMEDOUT"), Math.max(1, until - performance.now()));
    socket.once("connect", connected);
    socket.on("error", refused);
    if (signal?.aborted === true) abort();
    else if (signal !== undefined) undo = onAbort(signal, abort);
  });
}

/** A path that is too long for an address goes through its directory, opened. */
function addressOf(path: string): { path: string; close: () => void } {
  if (Buffer.byteLength(path) <= ADDRESS_BYTES || process.platform !== "linux") return { path, close: () => undefined };
  const fd = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  return { path: `/proc/self/fd/${fd}/${basename(path)}`, close: () => closeSync(fd) };
}
