// The app docs/examples/electron-app as its reader gets it: a checkout without anything built, and `npm install`. Offline.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { App } from "./support/app.mjs";
import { Gob } from "./support/gob.mjs";
import { repository } from "./support/programs.mjs";

const electron = fileURLToPath(new URL("fixtures/electron", import.meta.url));

/** The parts of the repository that the app needs. The compiler is there already, so that npm asks no registry. */
function checkout(gob) {
  const filter = (path) => basename(path) !== "dist" && (basename(path) !== "node_modules" || dirname(path) === join(repository, "client/node"));
  for (const part of ["client/node", "docs/examples/electron-app", "docs/examples/node-worker"]) {
    fs.cpSync(join(repository, part), join(gob.dir, part), { recursive: true, filter, verbatimSymlinks: true });
  }
  const app = join(gob.dir, "docs/examples/electron-app");
  const manifest = JSON.parse(fs.readFileSync(join(app, "package.json"), "utf8"));
  manifest.devDependencies.electron = `file:${electron}`;
  fs.writeFileSync(join(app, "package.json"), JSON.stringify(manifest));
  return app;
}

test("`npm install` is enough for the app to start and to bring a graph up", { timeout: 600_000 }, async (t) => {
  const gob = new Gob(t);
  const folder = checkout(gob);
  const env = { ...gob.env, npm_config_offline: "true", npm_config_cache: join(gob.dir, "cache") };
  await promisify(execFile)("npm", ["install"], { cwd: folder, env, timeout: 400_000 });
  const app = new App(gob, folder);
  const { owner, error } = await app.state(0, ({ state, error }) => state === "ready" || error !== null);
  assert.deepEqual([owner, error], ["electron", null]);
  await app.quit();
});

test("a worker that can't start is told with the remedy and the last lines of its output", { timeout: 180_000 }, async (t) => {
  const gob = new Gob(t);
  const folder = checkout(gob);
  // The app's own dependency is there, and its worker's is not.
  fs.mkdirSync(join(folder, "node_modules"));
  for (const [name, path] of [["gob-client", join(repository, "client/node")], ["notes-worker", join(folder, "../node-worker")], ["electron", electron]]) {
    fs.symlinkSync(path, join(folder, "node_modules", name));
  }
  const app = new App(gob, folder);
  const { error } = await app.state(0, ({ error }) => error !== null && error.includes("ERR_MODULE_NOT_FOUND"));
  assert.match(error, /^diary .* – .*gobctl.*\n/);
  await app.quit();
});
