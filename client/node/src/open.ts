/** From nothing to a connection that has said hello: finds the supervisor, starts it where that is wanted (PROTOCOL 1, 4). */
import type { Duplex } from "node:stream";
import { startSupervisor } from "./autostart.js";
import { Connection, type ConnectionEvents } from "./connection.js";
import { GobError } from "./error.js";
import type { ClientInfo, HelloData } from "./generated/types.js";
import { PROTOCOL_VERSION } from "./generated/words.js";
import { bridge } from "./host.js";
import { CONNECT_MS, HOST_MS } from "./limits.js";
import { type Places, readLockFile, resolvePlaces } from "./places.js";
import { connectSocket } from "./socket.js";

/** Time until the next try after a supervisor that left while it was greeted. */
const AGAIN_MS = 20;

/** How connections are made; the same for all connections of a client. */
export interface Settings {
  owner: string | undefined;
  client: ClientInfo;
  timeoutMs: number;
  runtimeDir: string | undefined;
  /** The address of another machine. */
  host: string | undefined;
}

/** A connection and its answer to hello. */
export interface Opened {
  connection: Connection;
  hello: HelloData;
}

/** Connects and says hello. A supervisor is started at most once, and only with `autostart`. */
export async function open(settings: Settings, autostart: boolean, on: ConnectionEvents, signal?: AbortSignal): Promise<Opened> {
  if (settings.host !== undefined) return openThere(settings.host, settings, autostart, on, signal);
  const places = resolvePlaces(settings.runtimeDir);
  let until = performance.now() + CONNECT_MS;
  let mayStart = autostart;
  for (;;) {
    const found = await find(places, until, signal);
    if (found === null) {
      if (!mayStart) throw nobody(places);
      mayStart = false;
      await startSupervisor(places.runtime, settings.runtimeDir, signal);
      until = performance.now() + CONNECT_MS;
      continue;
    }
    try {
      return await greet(found.socket, found.path, settings, on, signal);
    } catch (error) {
      // A supervisor on its way out may still accept.
      const isLeaving = GobError.is(error) && (error.code === "connection-lost" || error.code === "shutting-down");
      if (!isLeaving || performance.now() > until) throw error;
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }
}

/** Connects to another machine. Its gobctl starts the supervisor there, and tries again where one leaves. */
async function openThere(host: string, settings: Settings, autostart: boolean, on: ConnectionEvents, signal?: AbortSignal): Promise<Opened> {
  const { stream, why } = bridge(host, autostart);
  try {
    return await greet(stream, host, settings, on, signal, HOST_MS);
  } catch (error) {
    if (GobError.is(error) && error.code === "connection-lost") throw await why();
    throw error;
  }
}

interface Found {
  socket: Duplex;
  path: string;
}

/** Tries the socket in the runtime directory, then the one that the lock file names. */
async function find(places: Places, until: number, signal: AbortSignal | undefined): Promise<Found | null> {
  const own = await connectSocket(places.socket, until, signal);
  if (own !== null) return { socket: own, path: places.socket };
  const elsewhere = readLockFile(places)?.socket;
  if (elsewhere === undefined || elsewhere === places.socket) return null;
  const socket = await connectSocket(elsewhere, until, signal);
  return socket === null ? null : { socket, path: elsewhere };
}

async function greet(
  socket: Duplex,
  path: string,
  settings: Settings,
  on: ConnectionEvents,
  signal: AbortSignal | undefined,
  timeoutMs?: number,
): Promise<Opened> {
  let isGreeted = false;
  let closed: GobError | null = null;
  const connection: Connection = new Connection(
    socket,
    {
      onEvent: (event) => on.onEvent(event),
      onEnd: (error) => {
        closed = error;
        if (isGreeted) on.onEnd(error);
      },
      onWarning: (message, line) => {
        // Before hello is answered, a line of another form comes from another program.
        if (!isGreeted && !line.includes('"error"')) void connection.close(foreign(path, line));
        else on.onWarning(message, line);
      },
    },
    settings.timeoutMs,
  );
  const { owner, client } = settings;
  try {
    const hello = (await connection.request("hello", { protocol: PROTOCOL_VERSION, client, owner }, { signal, timeoutMs })) as HelloData;
    isGreeted = true;
    // Both can come in one turn of the event loop.
    if (closed !== null) on.onEnd(closed);
    return { connection, hello };
  } catch (error) {
    await connection.close(error as GobError);
    throw GobError.is(error) && GobError.is(error.cause) ? error.cause : error;
  }
}

function foreign(path: string, said: string): GobError {
  return new GobError({
    code: "supervisor-unreachable",
    message: `another program answers on ${path}`,
    hint: "choose another directory for gob: GOB_RUNTIME_DIR=/path/to/a/private/directory",
    details: { said },
    request: "hello",
  });
}

function nobody(places: Places): GobError {
  return new GobError({
    code: "supervisor-unreachable",
    message: "no supervisor is running",
    hint: "gobctl daemon start starts it",
    details: { socket: places.socket },
  });
}
