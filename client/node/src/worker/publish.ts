/**
 * A worker's Unix socket: published in one step, published again after a loss, removed at the end.
 *
 * gob watches the directory of its workers' sockets and sends SIGURG when the file there was deleted, moved or replaced
 * (PROTOCOL 11). Here each listening socket only accepts: the connections go to the worker's own server, which goes on as it is.
 */

import * as fs from "node:fs";
import * as net from "node:net";
import { basename, dirname, join } from "node:path";
import { GobError } from "../error.js";

/** Waits between two tries to publish the socket again, doubled up to the last one. */
const FIRST_WAIT_MS = 10;
const LAST_WAIT_MS = 60_000;
const PROBE_WITHIN_MS = 1_000;

/** A published socket. */
export class Published {
  private bound: Bound | null = null;
  private isClosed = false;
  private isChecking = false;
  private isCheckWanted = false;
  private readonly onUrgent = (): void => void this.check();

  private constructor(
    readonly path: string,
    private readonly accept: (socket: net.Socket) => void,
    private readonly warn: (message: string) => void,
  ) {}

  /** Publishes a socket of mode 0600 at this path, and its directory (0700) where it is missing. A dead socket is replaced. */
  static async at(path: string, accept: (socket: net.Socket) => void, warn: (message: string) => void): Promise<Published> {
    const published = new Published(path, accept, warn);
    published.bound = await bind(path, accept);
    process.on("SIGURG", published.onUrgent);
    return published;
  }

  /** Whether the path still leads to this socket. */
  get isPublished(): boolean {
    return this.bound !== null && identity(this.path) === this.bound.identity;
  }

  /** Stops accepting, and removes the file if it is still this socket's. */
  close(): void {
    this.isClosed = true;
    process.off("SIGURG", this.onUrgent);
    if (this.isPublished) fs.rmSync(this.path, { force: true });
    this.bound?.close();
  }

  /** Publishes the socket again where the path does not lead to it any more, until that works. */
  private async check(): Promise<void> {
    this.isCheckWanted = true;
    if (this.isChecking) return;
    this.isChecking = true;
    for (let wait = FIRST_WAIT_MS; this.isCheckWanted && !this.isClosed; wait = Math.min(wait * 2, LAST_WAIT_MS)) {
      this.isCheckWanted = false;
      if (this.isPublished) continue;
      try {
        const next = await bind(this.path, this.accept);
        // Waiting connections of the old one were accepted: it listened until now.
        this.bound?.close();
        this.bound = next;
        if (this.isClosed) this.close();
      } catch (error) {
        this.warn(error instanceof Error ? error.message : String(error));
        this.isCheckWanted = true;
        await new Promise((resolve) => setTimeout(resolve, wait).unref());
      }
    }
    this.isChecking = false;
  }
}

interface Bound {
  identity: string | null;
  close(): void;
}

async function bind(path: string, accept: (socket: net.Socket) => void): Promise<Bound> {
  const parent = dirname(path);
  fs.mkdirSync(parent, { recursive: true, mode: 0o700 });
  // A short name of the directory, whatever the length of its own, for as long as the socket lives.
  const directory = fs.openSync(parent, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  const through = process.platform === "linux" ? `/proc/self/fd/${directory}` : parent;
  const temporary = join(through, `.gob-${process.pid}`);
  const server = net.createServer({ allowHalfOpen: true }, accept);
  let isClosed = false;
  const close = (): void => {
    // A descriptor that is closed twice may be another file's by then.
    if (isClosed) return;
    isClosed = true;
    server.close(() => fs.closeSync(directory));
  };
  try {
    await refuseIfTaken(path, join(through, basename(path)));
    fs.rmSync(temporary, { force: true });
    await listen(server, temporary);
    fs.chmodSync(temporary, 0o600);
    const bound = identity(temporary);
    fs.renameSync(temporary, join(through, basename(path)));
    return { identity: bound, close };
  } catch (error) {
    close();
    throw error;
  }
}

function listen(server: net.Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      server.on("error", () => {});
      resolve();
    });
  });
}

function identity(path: string): string | null {
  try {
    const { dev, ino } = fs.lstatSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return null;
  }
}

/** Refuses to replace a socket that has a listener, and anything that is no socket of this user. */
async function refuseIfTaken(path: string, target: string): Promise<void> {
  const found = fs.lstatSync(target, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw taken(`${path} exists and is not a socket; it was not touched`);
  if (found.uid !== process.geteuid?.()) throw taken(`${path} is a socket of user ${found.uid}; it was not touched`);
  if (await isAnswered(target)) throw taken(`another process already answers on ${path}`);
}

/** As the kernel defines it; Node.js has no name for it. */
const O_PATH = 0x20_0000;

async function isAnswered(target: string): Promise<boolean> {
  if (process.platform !== "linux") return isAnsweredAt(target);
  // A short name of the socket, whatever the length of its own.
  const fd = fs.openSync(target, O_PATH | fs.constants.O_NOFOLLOW);
  try {
    return await isAnsweredAt(`/proc/self/fd/${fd}`);
  } finally {
    fs.closeSync(fd);
  }
}

function taken(message: string): GobError {
  return new GobError({ code: "socket-taken", message });
}

function isAnsweredAt(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect(path);
    const end = (answer: boolean): void => {
      probe.destroy();
      resolve(answer);
    };
    probe.setTimeout(PROBE_WITHIN_MS, () => end(true));
    probe.once("connect", () => end(true));
    // A full backlog is an answer too.
    probe.once("error", (error: NodeJS.ErrnoException) => end(error.code === "EAGAIN"));
  });
}
