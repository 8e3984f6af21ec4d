// The programs of this checkout, which the tests that need a supervisor run.
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), "../../../..");

/** Returns the path of a program of gob: in $GOB_LIBEXEC, else in the target directory of the checkout. */
export function program(name) {
  const folders = [process.env.GOB_LIBEXEC, join(process.env.CARGO_TARGET_DIR ?? join(repository, "target"), "debug")];
  const found = folders.filter(Boolean).map((folder) => join(folder, name)).find(existsSync);
  if (!found) throw new Error(`${name} is not in ${folders.filter(Boolean)}: build it first, cargo build --workspace --bins`);
  return found;
}
