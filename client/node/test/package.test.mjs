// The package as its users get it: what is in it, that its folder needs nothing else, and both module systems.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const MAX_BYTES = 200_000;
// Copies of the project's: the folder has to do alone.
const LICENCES = ["LICENSE-APACHE", "LICENSE-MIT"];

async function run(cwd, program, ...args) {
  // Variables of the npm that runs the tests would turn another one to this folder.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm|GOB)_/i.test(name)));
  try {
    return (await promisify(execFile)(program, args, { cwd, env, timeout: 600_000, maxBuffer: 16 << 20 })).stdout;
  } catch (error) {
    throw new Error(`${program} ${args.join(" ")}: ${error.message}\n${error.stdout}\n${error.stderr}`);
  }
}

function temporary(t) {
  const dir = fs.mkdtempSync(join(tmpdir(), "gobp-"));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test("ESM and CommonJS export the same names", async () => {
  const require = createRequire(import.meta.url);
  for (const entry of ["gob-client", "gob-client/worker"]) {
    const [esm, cjs] = [await import(entry), require(entry)];
    assert.deepEqual(Object.keys(cjs).sort(), Object.keys(esm).sort());
    assert.ok(Object.keys(esm).length > 0);
  }
});

test("an error of one module system is known in the other", async () => {
  const { GobError } = await import("gob-client");
  const other = createRequire(import.meta.url)("gob-client").GobError;
  const error = new other({ code: "busy", message: "no place", request: "start" });
  assert.ok(GobError.is(error) && !GobError.is(new Error("no place")));
  assert.deepEqual([error.code, error.hint, error.details, error.request], ["busy", null, null, "start"]);
});

test("the lock file names no host of a registry, and nothing is needed at run time", () => {
  const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(fs.readFileSync(join(here, "package.json"), "utf8"));
  assert.deepEqual([dependencies, optionalDependencies, peerDependencies], [undefined, undefined, undefined]);
  const lock = fs.readFileSync(join(here, "package-lock.json"), "utf8");
  assert.ok(!lock.includes("://"), "package-lock.json is made with the .npmrc that is here");
});

test("a copy of the folder alone is built and packed, and the package works in another one", async (t) => {
  const dir = temporary(t);
  const [copy, user] = [join(dir, "copy"), join(dir, "user")];
  const isOurs = (path) => !["node_modules", "dist"].some((name) => path === join(here, name));
  fs.cpSync(here, copy, { recursive: true, filter: isOurs });
  await run(copy, "npm", "ci", "--prefer-offline");
  await run(copy, "npm", "run", "build");
  const [packed] = JSON.parse(await run(copy, "npm", "pack", "--json", "--silent", "--ignore-scripts"));
  assert.ok(packed.size < MAX_BYTES, `${packed.size} bytes`);
  const files = packed.files.map((file) => file.path);
  const isExpected = (path) => path === "package.json" || path === "README.md" || LICENCES.includes(path) || /^dist\/(esm|cjs)\/([a-z/-]+\.(js|d\.ts)|package\.json)$/.test(path);
  assert.deepEqual(files.filter((path) => !isExpected(path)), []);
  for (const path of [...LICENCES, "README.md", "dist/esm/index.js", "dist/esm/index.d.ts", "dist/esm/worker.js", "dist/cjs/index.js", "dist/cjs/worker.d.ts", "dist/cjs/package.json"]) {
    assert.ok(files.includes(path), path);
  }
  for (const licence of LICENCES) {
    assert.equal(fs.readFileSync(join(here, licence), "utf8"), fs.readFileSync(join(here, "../..", licence), "utf8"));
  }
  fs.mkdirSync(user);
  fs.writeFileSync(join(user, "package.json"), '{"private":true}');
  await run(user, "npm", "install", "--offline", "--no-audit", "--no-fund", join(copy, packed.filename));
  const esm = 'import { connect } from "gob-client"; import { ready } from "gob-client/worker"; console.log(typeof connect, typeof ready);';
  const cjs = 'const { connect } = require("gob-client"); const { ready } = require("gob-client/worker"); console.log(typeof connect, typeof ready);';
  assert.equal(await run(user, process.execPath, "--input-type=module", "-e", esm), "function function\n");
  assert.equal(await run(user, process.execPath, "--input-type=commonjs", "-e", cjs), "function function\n");
});
