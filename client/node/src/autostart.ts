/**
 * Starts the supervisor by `gobctl daemon start`, which does so under the clients' start lock (PROTOCOL 1, Starting it).
 *
 * A program of Node has no directory of gob's own beside it, so that gobctl is found in `$GOB_LIBEXEC`, else on PATH.
 */
import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { GobError } from "./error.js";
import type { WireError } from "./generated/types.js";
import { unlessAborted } from "./signals.js";

const PROGRAM = "gobctl";
/** gobctl waits 5 s for the lock of other starts and 10 s for the supervisor. */
const GIVE_UP_MS = 20_000;

/** The starts of this process that have not ended, by runtime directory: a crowd of clients starts one gobctl. */
const starts = new Map<string, Promise<void>>();

/** Starts the supervisor unless it runs, and returns once it serves. */
export async function startSupervisor(runtime: string, runtimeDir: string | undefined, signal?: AbortSignal): Promise<void> {
  let start = starts.get(runtime);
  if (start === undefined) {
    start = run(findGobctl(), runtimeDir).finally(() => starts.delete(runtime));
    starts.set(runtime, start);
  }
  return unlessAborted(start, signal, "the start of the supervisor");
}

/** Finds gobctl. Relative entries of PATH would name another program in every directory. */
export function findGobctl(env: NodeJS.ProcessEnv = process.env): string {
  const libexec = env["GOB_LIBEXEC"];
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((dir) => isAbsolute(dir));
  const places = libexec ? [libexec, ...onPath] : onPath;
  const found = places.map((dir) => join(dir, PROGRAM)).find(isProgram);
  if (found !== undefined) return found;
  throw new GobError({
    code: "supervisor-unreachable",
    message: `no supervisor is running, and ${PROGRAM}, which starts it, is not there`,
    hint: `install gob, or name the directory of ${PROGRAM} in GOB_LIBEXEC`,
    details: { looked: places },
  });
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function run(program: string, runtimeDir: string | undefined): Promise<void> {
  const env = runtimeDir === undefined ? process.env : { ...process.env, GOB_RUNTIME_DIR: runtimeDir };
  const options = { env, cwd: "/", timeout: GIVE_UP_MS, killSignal: "SIGKILL", encoding: "utf8" } as const;
  return new Promise((resolve, reject) => {
    execFile(program, ["daemon", "start", "--json"], options, (error, stdout, stderr) => {
      if (error === null) resolve();
      else reject(failure(program, error, `${stdout}\n${stderr}`));
    });
  });
}

/** gobctl tells its error as JSON, `{"error":{code,message,hint,details}}`. */
function failure(program: string, cause: Error, output: string): GobError {
  for (const line of output.split("\n").reverse()) {
    const told = toldBy(line);
    if (told !== undefined) return new GobError({ ...told, cause });
  }
  const said = output.trim().slice(0, 500);
  const message = `${program} daemon start could not start the supervisor${said === "" ? `: ${cause.message}` : `: ${said}`}`;
  return new GobError({ code: "supervisor-unreachable", message, hint: "gobctl doctor", cause });
}

/** Returns the error in a line of gobctl. */
export function toldBy(line: string): WireError | undefined {
  try {
    const { error } = JSON.parse(line) as { error?: WireError };
    return typeof error?.code === "string" && typeof error.message === "string" ? error : undefined;
  } catch {
    return undefined;
  }
}
