/** Where gob's files are (PROTOCOL 1): read from the environment, never made. */
import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, normalize } from "node:path";
import { GobError } from "./error.js";

/** The directories that a client needs. */
export interface Places {
  runtime: string;
  state: string;
  /** The supervisor's socket in the runtime directory. */
  socket: string;
  /** The file whose lock decides which supervisor lives. */
  lockFile: string;
}

/** The line of the lock file about a supervisor that runs, or that was killed. */
export interface LockHolder {
  pid: number;
  instance: string;
  socket: string;
}

/** Returns this user's id; gob runs on systems that have one. */
export function me(): number {
  const id = process.geteuid?.();
  if (id === undefined) {
    throw new GobError({ code: "supervisor-unreachable", message: "gob runs on Linux and macOS, not on this system" });
  }
  return id;
}

/** Resolves the places; `runtimeDir` comes before the environment. */
export function resolvePlaces(runtimeDir?: string, env: NodeJS.ProcessEnv = process.env): Places {
  const set = (name: string): string | undefined => env[name] || undefined;
  const own = (name: string): string | undefined => {
    const path = set(name);
    return path === undefined ? undefined : absolute(name, path);
  };
  // A relative path of these counts as unset (XDG Base Directory Specification).
  const xdg = (name: string): string | undefined => {
    const path = set(name);
    return path !== undefined && isAbsolute(path) ? path : undefined;
  };
  const xdgRuntime = xdg("XDG_RUNTIME_DIR");
  const usual = xdgRuntime === undefined ? `/tmp/gob-${me()}` : join(xdgRuntime, "gob");
  const given = runtimeDir === undefined ? own("GOB_RUNTIME_DIR") : absolute("runtimeDir", runtimeDir);
  const runtime = trimmed(given ?? usual);
  const home = () => xdg("HOME") ?? homedir();
  const state = trimmed(own("GOB_STATE_DIR") ?? join(xdg("XDG_STATE_HOME") ?? join(home(), ".local/state"), "gob"));
  return { runtime, state, socket: join(runtime, "daemon.sock"), lockFile: join(state, "gobd.lock") };
}

function absolute(name: string, path: string): string {
  if (isAbsolute(path)) return path;
  throw new GobError({ code: "usage", message: `${name} must be an absolute path, not \`${path}\`` });
}

/** A slash behind the name would follow a link. */
function trimmed(path: string): string {
  const clean = normalize(path);
  return clean.length > 1 && clean.endsWith("/") ? clean.slice(0, -1) : clean;
}

/** Reads the lock file; null when it is missing, empty (an orderly end), another user's, or garbage: it decides nothing. */
export function readLockFile(places: Places): LockHolder | null {
  try {
    if (statSync(places.lockFile).uid !== me()) return null;
    const { pid, instance, socket } = JSON.parse(readFileSync(places.lockFile, "utf8")) as Partial<LockHolder>;
    if (typeof pid !== "number" || typeof socket !== "string" || !isAbsolute(socket)) return null;
    return { pid, instance: typeof instance === "string" ? instance : "", socket };
  } catch {
    return null;
  }
}
