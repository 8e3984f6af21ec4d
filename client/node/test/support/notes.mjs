// The example docs/examples/node-worker as an app would have it: a copy beside its node_modules, and its kind in config.d.
import * as fs from "node:fs";
import { join } from "node:path";
import { repository } from "./programs.mjs";

export const examples = join(repository, "docs/examples");

/** Copies an example into the test's directory, with gob-client as its dependency; returns the folder. */
export function copy(gob, example) {
  const folder = join(gob.dir, example);
  fs.cpSync(join(examples, example), folder, { recursive: true });
  fs.mkdirSync(join(folder, "node_modules"), { recursive: true });
  fs.symlinkSync(join(repository, "client/node"), join(folder, "node_modules/gob-client"));
  return folder;
}

/** Installs the worker's kind `notes`, as the file says it but for the path of the program. */
export function installNotes(gob) {
  const folder = copy(gob, "node-worker");
  const kind = fs.readFileSync(join(folder, "notes.toml"), "utf8");
  const installed = kind.replace("~/notes-worker/worker.mjs", join(folder, "worker.mjs"));
  if (installed === kind) throw new Error("notes.toml has another path");
  gob.config(installed, "config.d/notes.toml");
  return folder;
}
