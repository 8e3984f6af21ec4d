/**
 * How a worker says that it is ready, or that it can't be: a line of JSON on standard output, or sd_notify(3).
 *
 * gob sets NOTIFY_SOCKET for a kind with `readiness = "notify"`. It is a datagram socket, and Node.js opens none: the program
 * systemd-notify(1) speaks there for this process. Where it is not installed, the kind has to say `readiness = "handshake"`.
 */

import { execFile } from "node:child_process";
import { checkedOptions } from "../checked.js";
import { GobError } from "../error.js";

/** A line with more bytes is no handshake. */
const MAX_LINE_BYTES = 65_536;
const MAX_ENDPOINT_BYTES = 4_095;
/** systemd-notify waits until its message was read. */
const NOTIFY_WITHIN_MS = 10_000;

/** A worker's words about itself. `endpoint`, `socketPath` and `port` exclude each other. */
export interface Ready {
  /** The address for clients: `unix:/path`, `http://host:port`, or any other text without control characters. */
  endpoint?: string;
  /** Stands for `unix:PATH`. */
  socketPath?: string;
  /** Stands for `http://HOST:PORT`. */
  port?: number;
  /** 127.0.0.1 where it is left out. */
  host?: string;
  /** The worker's own version. */
  version?: string;
  /** The worker's own description of itself, shown in its view. */
  meta?: Record<string, unknown>;
}

/**
 * Says that this worker is ready, and returns the way in which it said so.
 *
 * sd_notify carries no endpoint: the kind's `{socket}` or `{port}` has to tell it. Called again, it is a sign of life for a kind
 * with `liveness = "handshake"`. Throws `usage` for a value that gob would refuse, and `notify-unavailable`.
 */
export async function ready(said: Ready = {}): Promise<"handshake" | "notify"> {
  const line = `${JSON.stringify({ ready: true, pid: process.pid, ...checked(said) })}\n`;
  if (Buffer.byteLength(line) > MAX_LINE_BYTES) throw usage(`a handshake has at most ${MAX_LINE_BYTES} bytes`);
  if (isNotified()) {
    await notify(["READY=1"]);
    return "notify";
  }
  await print(line);
  return "handshake";
}

/**
 * Says that this worker can't become ready, and why. gob ends it then; its exit code is 1 where it ends by itself.
 *
 * sd_notify has no word for that: under a kind with `readiness = "notify"` the text goes to standard error and is the status.
 */
export async function failed(message: string): Promise<void> {
  process.exitCode ??= 1;
  if (!isNotified()) return print(`${JSON.stringify({ ready: false, error: message })}\n`);
  process.stderr.write(`${message}\n`);
  await notify([`STATUS=${message.replace(/\s+/g, " ")}`]).catch(() => {});
}

function isNotified(): boolean {
  return (process.env["NOTIFY_SOCKET"] ?? "") !== "";
}

function checked(said: Ready): Ready {
  checkedOptions("ready", said);
  const ways = [said.endpoint, said.socketPath, said.port].filter((way) => way !== undefined);
  if (ways.length > 1) throw usage("a worker has one of endpoint, socketPath and port");
  for (const text of [said.endpoint, said.socketPath]) {
    if (text === undefined) continue;
    if (typeof text !== "string") throw usage(`${String(text)} is no endpoint: that is a text`);
    const isFit = text !== "" && !/[\u0000-\u001f\u007f-\u009f]/.test(text) && Buffer.byteLength(text) <= MAX_ENDPOINT_BYTES;
    if (!isFit) throw usage(`${JSON.stringify(text)} is no endpoint: it has control characters, no text or more than ${MAX_ENDPOINT_BYTES} bytes`);
  }
  const { port } = said;
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port <= 65_535)) throw usage(`${port} is no port`);
  return said;
}

function usage(message: string): GobError {
  return new GobError({ code: "usage", message });
}

function print(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const { stdout } = process;
    // Without a listener a full disk or a parent that is gone would end the program before it can clear up.
    stdout.once("error", reject);
    stdout.write(line, (error) => {
      // The event follows.
      if (error) return reject(error);
      stdout.off("error", reject);
      resolve();
    });
  });
}

function notify(words: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile("systemd-notify", words, { timeout: NOTIFY_WITHIN_MS }, (cause) => {
      if (cause === null) return resolve();
      const message = "gob waits for sd_notify, and Node.js reaches that socket only by systemd-notify, which failed";
      const hint = 'install it, or set readiness = "handshake" for this kind';
      reject(new GobError({ code: "notify-unavailable", message: `${message}: ${cause.message}`, hint, cause }));
    });
  });
}
