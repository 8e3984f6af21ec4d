// Installs the kind of worker that serves this app's graphs, in a file of the app's own: docs/CONFIGURATION.md, More files.
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The file that the app writes, and that its uninstaller removes. */
const FILE = "notes-app.toml";

/** Writes the file where it is missing or another one, and has the supervisor read it. */
export async function installKind(client) {
  const { dirs } = await client.status();
  const path = join(dirname(dirs.config), "config.d", FILE);
  const text = kind(process.execPath, createRequire(import.meta.url).resolve("notes-worker/worker.mjs"));
  if ((await readFile(path, "utf8").catch(() => null)) === text) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  // In one step: the supervisor never reads half of it.
  await writeFile(`${path}.new`, text, { mode: 0o644 });
  await rename(`${path}.new`, path);
  await client.reload();
}

/** In an app that is packaged the program is the app itself, which is Node.js with ELECTRON_RUN_AS_NODE. */
function kind(program, worker) {
  const command = [program, worker, "--graph", "{graph}", "--data-dir", "{data_dir}", "--socket", "{socket}"];
  return `# Written by notes-app; removed with it.
[kind.notes]
command = ${JSON.stringify(command)}
env = { ELECTRON_RUN_AS_NODE = "1" }
readiness = { type = "handshake", timeout = "20s" }
description = "notes, one file for each graph"
`;
}
