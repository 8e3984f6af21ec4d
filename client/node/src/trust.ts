/**
 * Whether a runtime directory and a socket are this user's alone (PROTOCOL 1, Whose).
 *
 * Node can't ask the kernel for the user of a peer (SO_PEERCRED), as the Rust client does. In a directory that only this
 * user may enter, only this user and root can have made the socket, which is what is checked here: before the connect, and
 * once more between the connect and the first byte.
 */
import { lstatSync, type Stats } from "node:fs";
import { dirname } from "node:path";
import { GobError } from "./error.js";
import { me } from "./places.js";

const OTHERS = 0o077;

/** Checks the directory of a socket and the socket. Returns false when one of them is not there. */
export function isThereAndOurs(socket: string): boolean {
  const dir = dirname(socket);
  const found = lstat(dir);
  if (found === null) return false;
  refuse(`the runtime directory ${dir}`, dir, found, found.isDirectory(), "a directory", "0700");
  const file = lstat(socket);
  if (file === null) return false;
  refuse(`the socket ${socket}`, socket, file, file.isSocket(), "a socket", "0600");
  return true;
}

function refuse(what: string, path: string, found: Stats, isKind: boolean, kind: string, wanted: string): void {
  const [owner, mode, uid] = [found.uid, found.mode & 0o7777, me()];
  let flaw: string;
  if (found.isSymbolicLink()) flaw = `is a symbolic link; gob uses only ${kind} itself`;
  else if (!isKind) flaw = `is not ${kind}`;
  else if (owner !== uid) flaw = `belongs to uid ${owner}, not to you (uid ${uid})`;
  else if ((mode & OTHERS) !== 0) flaw = `is open to others (mode ${mode.toString(8).padStart(4, "0")}); it has to be ${wanted}`;
  else return;
  throw new GobError({
    code: "permission-denied",
    message: `${what} ${flaw}`,
    hint: "gobctl doctor says how to repair it; or choose another directory for gob: GOB_RUNTIME_DIR=/path/to/a/private/directory",
    details: { path, owner, mode },
  });
}

function lstat(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new GobError({ code: "permission-denied", message: `cannot look at ${path}: ${(error as Error).message}`, cause: error });
  }
}
