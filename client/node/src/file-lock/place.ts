/**
 * The lock file on its disk: seen, made, taken from a holder that does not count, renewed, removed.
 *
 * There is no system call that removes a file only if it still is the one that was judged. So nothing here removes what it has
 * not looked at afterwards, under a name of its own:
 *
 * - A file is made whole under a temporary name and linked to its place, which fails where there is one already.
 * - A stale file is renamed aside under the flock of its directory that gob's programs take, too; only then is it judged again,
 *   and if it is not the one that was judged before, it goes back.
 *
 * Node.js can't exchange two files in one step, as gob's own programs do, so that the place is empty for a moment: a program
 * that makes its file then has the lock. All calls are synchronous: each is a handful of system calls on small files, and two
 * locks of one program can't get between each other's steps.
 */

import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { isAlive } from "../alive.js";
import { MAX_BYTES, encode, same } from "./record.js";
import type { FileLockHolder, Seen } from "./record.js";

/** Begin of the names of temporary files, which all programs of gob share; the host, the pid and more follow. */
const TEMPORARY = ".gob-lock";

/** Most entries of a directory among which the temporary files of dead processes are looked for. */
const MOST_ENTRIES = 10_000;

/** Errors of a file system that has no links. */
const NO_LINKS = ["EINVAL", "ENOSYS", "EOPNOTSUPP", "ENOTSUP", "EPERM"];

/** A lock file that was seen. It is open until `close`, so that no other file has its inode. */
export interface Sight extends Seen {
  close(): void;
}

/** A lock file that was just made. */
export interface Made {
  fd: number;
  /** Others may have seen it before its record was in it, and may have taken it for broken. */
  wasSeenUnwritten: boolean;
}

/** The state of a lock file that a holder has made: it is the holder's; it is none or another's; no file lies there. */
export type Own = "kept" | "gone" | "displaced";

/** Returns the error code of a system call. */
export function errno(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "";
}

/** The place of a lock file. */
export class Place {
  readonly dir: string;

  constructor(
    readonly path: string,
    private readonly host: string,
  ) {
    this.dir = dirname(path);
  }

  /** Looks at the lock file; null where there is none. Throws where it can't be read, or something else is in its place. */
  look(): Sight | null {
    return lookAt(this.path);
  }

  /** Makes the lock file, and returns it; null where there is one already. */
  create(record: FileLockHolder): Made | null {
    const temporary = this.temporary();
    let fd: number | null = null;
    try {
      fd = make(temporary, record);
      fs.linkSync(temporary, this.path);
      return { fd, wasSeenUnwritten: false };
    } catch (error) {
      if (fd !== null) fs.closeSync(fd);
      if (errno(error) === "EEXIST") return null;
      if (fd === null || !NO_LINKS.includes(errno(error))) throw error;
    } finally {
      unlink(temporary);
    }
    return this.createInPlace(record);
  }

  /** For file systems without links: others see the file before it is whole, and take it for broken after a while. */
  private createInPlace(record: FileLockHolder): Made | null {
    try {
      return { fd: make(this.path, record), wasSeenUnwritten: true };
    } catch (error) {
      if (errno(error) === "EEXIST") return null;
      throw error;
    }
  }

  /** Puts a lock file in the place of one whose holder does not count; null where that one has changed meanwhile. */
  replace(judged: Seen, record: FileLockHolder): Made | null {
    if (!this.remove(judged)) return null;
    const made = this.create(record);
    if (made !== null) this.clearUp();
    return made;
  }

  /** Removes a lock file whose holder does not count, or this one's; false where it has changed meanwhile. */
  remove(judged: Seen): boolean {
    if (!isThere(this.path, judged)) return false;
    const aside = this.temporary();
    try {
      fs.renameSync(this.path, aside);
    } catch (error) {
      if (errno(error) === "ENOENT") return false;
      throw error;
    }
    if (isThere(aside, judged)) {
      fs.unlinkSync(aside);
      return true;
    }
    // The file that was taken is of another program, and goes back unless there is a new one by now.
    try {
      fs.linkSync(aside, this.path);
      fs.unlinkSync(aside);
    } catch {
      // Its bytes stay under the other name, for people.
    }
    return false;
  }

  private temporary(): string {
    return join(this.dir, `${TEMPORARY}-${this.hostInNames()}-${process.pid}-${randomBytes(6).toString("hex")}`);
  }

  private hostInNames(): string {
    return [...this.host].map((c) => (/[A-Za-z0-9]/.test(c) ? c : "_")).slice(0, 64).join("");
  }

  /** Removes the temporary files of this host's dead processes. They are left where one was killed in between. */
  private clearUp(): void {
    const begin = `${TEMPORARY}-${this.hostInNames()}-`;
    try {
      for (const name of fs.readdirSync(this.dir).slice(0, MOST_ENTRIES)) {
        const pid = name.startsWith(begin) ? Number(name.slice(begin.length).split("-")[0]) : 0;
        if (Number.isInteger(pid) && pid > 0 && !isAlive(pid)) unlink(join(this.dir, name));
      }
    } catch {
      // A directory that can't be read is left as it is.
    }
  }
}

/** Writes a holder's record anew, into the file that it made and has open. */
export function rewrite(fd: number, record: FileLockHolder): void {
  const bytes = encode(record);
  let written = 0;
  while (written < bytes.length) written += fs.writeSync(fd, bytes, written, bytes.length - written, written);
}

/** Removes a holder's lock file; false if it is not its own any more. */
export function giveBack(place: Place, fd: number, last: FileLockHolder): boolean {
  if (ownFile(place, fd, last) !== "kept") return false;
  return place.remove(ownSight(fd, last));
}

/** Returns whether a holder's lock file, which it made and has open, still is the lock file. */
export function ownFile(place: Place, fd: number, last: FileLockHolder): Own {
  let sight: Sight | null;
  try {
    sight = place.look();
  } catch (error) {
    const state = withoutALook(place, fd);
    if (state === "kept") throw error;
    return state;
  }
  sight?.close();
  return sight !== null && same(sight, ownSight(fd, last)) ? "kept" : "gone";
}

/** The state of a lock file that can't be read, by its name alone; `kept` where that tells nothing. */
function withoutALook(place: Place, fd: number): Own {
  try {
    const found = fs.lstatSync(place.path, { bigint: true });
    if (!found.isFile()) return "displaced";
    return identity(found) === identity(fs.fstatSync(fd, { bigint: true })) ? "kept" : "gone";
  } catch (error) {
    // The directories on the way to it are others now.
    return ["ENOENT", "ENOTDIR", "ELOOP"].includes(errno(error)) ? "gone" : "kept";
  }
}

function ownSight(fd: number, last: FileLockHolder): Seen {
  return { file: identity(fs.fstatSync(fd, { bigint: true })), bytes: encode(last) };
}

function identity({ dev, ino }: fs.BigIntStats): string {
  return `${dev}:${ino}`;
}

function isThere(path: string, judged: Seen): boolean {
  const now = lookAt(path);
  now?.close();
  return now !== null && same(now, judged);
}

function lookAt(path: string): Sight | null {
  // A FIFO in its place would make the open wait.
  const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
  let fd: number;
  try {
    fd = fs.openSync(path, flags);
  } catch (error) {
    if (errno(error) === "ENOENT") return null;
    if (errno(error) === "ELOOP") throw new Error("it is a symbolic link");
    throw error;
  }
  try {
    const found = fs.fstatSync(fd, { bigint: true });
    if (!found.isFile()) throw new Error(found.isDirectory() ? "it is a directory" : "it is no regular file");
    const bytes = Buffer.alloc(Math.min(MAX_BYTES, Number(found.size) + 1));
    let read = 0;
    for (let more = 1; more > 0 && read < bytes.length; read += more) {
      more = fs.readSync(fd, bytes, read, bytes.length - read, read);
    }
    return { file: identity(found), bytes: bytes.subarray(0, read), close: () => fs.closeSync(fd) };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** Makes a file that holds a record, and returns its descriptor. */
function make(path: string, record: FileLockHolder): number {
  const fd = fs.openSync(path, "wx+", 0o666);
  try {
    fs.writeFileSync(fd, encode(record));
    return fd;
  } catch (error) {
    // On a full disk a file without a record would be left, in whose place others wait.
    unlink(path);
    fs.closeSync(fd);
    throw error;
  }
}

function unlink(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // It is gone already, or stays for the next one that clears up.
  }
}
