/**
 * A worker's whole life around its server: listen, say so, come back after a lost socket, finish when it is asked to end.
 *
 * Descriptors 62 and 63 are the locks of the graph (PROTOCOL 11). Node.js leaves them open, and its children inherit them.
 */

import * as http from "node:http";
import * as net from "node:net";
import { checkedFunction, checkedOptionalText, checkedOptions, checkedPath, checkedPort, checkedPositive } from "../checked.js";
import { GobError } from "../error.js";
import { Published } from "./publish.js";
import { failed, ready } from "./ready.js";
import { onStop } from "./stop.js";
import type { StopOptions } from "./stop.js";

/** A server of `node:net` or `node:http` that does not listen yet. */
export type WorkerServer = net.Server;

/** Where a worker serves, what it says of itself, and what it does at its end. */
export interface ServeOptions extends StopOptions {
  /** The path of its Unix socket, as the kind's `{socket}` gives it. */
  socket?: string;
  /** Or its port, as `{port}` gives it; 0 takes any free one. */
  port?: number;
  /** The address of the port: 127.0.0.1. Every user of the machine reaches a port. */
  host?: string;
  version?: string;
  meta?: Record<string, unknown>;
  /** Is called at the end when no connection is accepted any more: ends what would never end by itself, such as streams. */
  stop?: (deadline: AbortSignal) => unknown;
  /** Is called when all connections are closed: the place to close a store. */
  close?: () => unknown;
  /** Takes what went wrong meanwhile and will be tried again; standard error by default. */
  onWarning?: (message: string) => void;
}

/** A worker that serves. */
export interface Served {
  /** Its address for clients. */
  endpoint: string;
  /** Does what SIGTERM does, but for the exit. */
  stop(): Promise<void>;
}

/**
 * Serves until SIGTERM. A start that fails is told to gob (`ready:false`) and thrown.
 *
 * At the end of an HTTP server, requests that it has begun are answered, and idle connections closed. Connections of another
 * server are closed once `stop` is done and what was written to them is sent.
 */
export async function serve(server: WorkerServer, options: ServeOptions): Promise<Served> {
  try {
    check(server, options);
  } catch (error) {
    await tellFailure(error);
    throw error;
  }
  const connections = new Connections(server);
  let end = (): void => {};
  const stop = async (late: AbortSignal): Promise<void> => {
    end();
    connections.finish();
    await options.stop?.(late);
    await connections.end();
    await options.close?.();
  };
  // Before it is ready: gob may ask for its end at once.
  const { deadlineMs, signals } = options;
  const undo = onStop(stop, { ...(deadlineMs === undefined ? {} : { deadlineMs }), ...(signals === undefined ? {} : { signals }) });
  try {
    const listening = await listen(server, connections, options);
    end = listening.end;
    await ready({ endpoint: listening.endpoint, ...pick(options) });
    return {
      endpoint: listening.endpoint,
      async stop() {
        undo();
        await stop(new AbortController().signal);
      },
    };
  } catch (error) {
    end();
    undo();
    await tellFailure(error);
    throw error;
  }
}

/** Where that can't be told, it is not what went wrong first. */
function tellFailure(error: unknown): Promise<void> {
  return failed(error instanceof Error ? error.message : String(error)).catch(() => undefined);
}

function check(server: WorkerServer, options: ServeOptions): void {
  // Also one of another library that is an EventEmitter and listens as those do.
  const { on, emit, listen: listens } = (server ?? {}) as unknown as Record<string, unknown>;
  if ([on, emit, listens].some((method) => typeof method !== "function")) throw usage("serve takes a server of node:net or node:http, made by createServer()");
  if (options === undefined) throw usage("a worker serves on a socket or on a port: serve(server, { socket })");
  const { socket, port, host, version, stop, close, onWarning, signals, deadlineMs } = checkedOptions("serve", options);
  if ((socket === undefined) === (port === undefined)) throw usage("a worker serves on a socket or on a port");
  // gob and the worker's clients look at the path from other directories.
  if (socket !== undefined) checkedPath("socket", socket);
  checkedPort(port);
  checkedOptionalText("host", host);
  checkedOptionalText("version", version);
  for (const [name, call] of Object.entries({ stop, close, onWarning })) if (call !== undefined) checkedFunction(name, call);
  if (deadlineMs !== undefined) checkedPositive("deadlineMs", deadlineMs);
  if (signals !== undefined && !Array.isArray(signals)) throw usage("signals is a list of their names");
}

function usage(message: string): GobError {
  return new GobError({ code: "usage", message });
}

function pick({ version, meta }: ServeOptions): { version?: string; meta?: Record<string, unknown> } {
  return { ...(version === undefined ? {} : { version }), ...(meta === undefined ? {} : { meta }) };
}

async function listen(
  server: WorkerServer,
  connections: Connections,
  { socket, port, host = "127.0.0.1", onWarning = warn }: ServeOptions,
): Promise<{ end: () => void; endpoint: string }> {
  if (socket !== undefined) {
    const accept = (connection: net.Socket): void => {
      connection.allowHalfOpen = (server as { allowHalfOpen?: boolean }).allowHalfOpen ?? false;
      server.emit("connection", connection);
    };
    const published = await Published.at(socket, accept, onWarning);
    server.emit("listening");
    return { end: () => published.close(), endpoint: `unix:${socket}` };
  }
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address() as net.AddressInfo;
  const scheme = connections.isHttp ? "http" : "tcp";
  const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return { end: () => void server.close(), endpoint: `${scheme}://${shown}:${address.port}` };
}

function warn(message: string): void {
  process.stderr.write(`${message}\n`);
}

/** The connections of a server: which are open, and which of them have an HTTP request to answer. */
class Connections {
  readonly isHttp: boolean;
  private readonly open = new Set<net.Socket>();
  private readonly busy = new Map<net.Socket, number>();
  private isFinishing = false;

  constructor(server: WorkerServer) {
    this.isHttp = server instanceof http.Server;
    server.on("connection", (socket: net.Socket) => {
      this.open.add(socket);
      socket.once("close", () => this.open.delete(socket));
    });
    server.on("request", ({ socket }: http.IncomingMessage, response: http.ServerResponse) => {
      this.busy.set(socket, (this.busy.get(socket) ?? 0) + 1);
      if (this.isFinishing) response.shouldKeepAlive = false;
      response.once("close", () => this.answered(socket));
    });
  }

  /** Closes what is idle now, and what becomes idle. */
  finish(): void {
    this.isFinishing = true;
    if (!this.isHttp) return;
    for (const socket of this.open) if (!this.busy.has(socket)) socket.destroySoon();
  }

  /** Returns when no connection is left. */
  async end(): Promise<void> {
    const closed = [...this.open].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    // Sent is what was written, whether or not the client ends its side.
    if (!this.isHttp) for (const socket of this.open) socket.destroySoon();
    await Promise.all(closed);
  }

  private answered(socket: net.Socket): void {
    const left = (this.busy.get(socket) ?? 1) - 1;
    if (left > 0) {
      this.busy.set(socket, left);
    } else {
      this.busy.delete(socket);
      if (this.isFinishing) socket.destroySoon();
    }
  }
}
