// The types as a user's compiler sees them, in each module system and with its strictest settings.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");

/** Compiles a program that has the package as its dependency; the compiler's output. */
function compile(t, name, text, options) {
  const dir = fs.mkdtempSync(join(tmpdir(), "gobt-"));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  fs.mkdirSync(join(dir, "node_modules"));
  fs.symlinkSync(here, join(dir, "node_modules/gob-client"));
  fs.symlinkSync(join(here, "node_modules/@types"), join(dir, "node_modules/@types"));
  fs.writeFileSync(join(dir, name), text);
  try {
    return execFileSync(process.execPath, [tsc, "--noEmit", "--strict", "--types", "node", ...options, name], { cwd: dir, encoding: "utf8" });
  } catch (error) {
    return error.stdout;
  }
}

const strictest = ["--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--target", "es2022"];
const wrong = fs.readFileSync(join(here, "test/types/wrong.mts"), "utf8");

test("wrong programs do not compile, and right ones do", (t) => {
  const options = [...strictest, "--module", "nodenext", "--lib", "es2022,esnext.disposable"];
  assert.equal(compile(t, "wrong.mts", wrong, options), "");
});

test("graphs, locks and jobs have their types", (t) => {
  const options = [...strictest, "--module", "nodenext", "--lib", "es2022,esnext.disposable"];
  assert.equal(compile(t, "parts.mts", fs.readFileSync(join(here, "test/types/parts.mts"), "utf8"), options), "");
});

test("the programs in the README compile", (t) => {
  const options = [...strictest, "--module", "nodenext", "--lib", "es2022,esnext.disposable"];
  const blocks = [...fs.readFileSync(join(here, "README.md"), "utf8").matchAll(/^```js\n(.*?)^```$/gms)].map(([, text]) => text);
  assert.equal(blocks.length, 2);
  for (const text of blocks) assert.equal(compile(t, "readme.mts", text, options), "");
});

test("a check that finds nothing wrong fails", (t) => {
  const options = [...strictest, "--module", "nodenext", "--lib", "es2022,esnext.disposable"];
  const output = compile(t, "right.mts", wrong.replace("await client.stop({});", 'await client.stop({ name: "notes" });'), options);
  assert.match(output, /Unused '@ts-expect-error' directive/);
});

test("both module systems and both resolutions find the types, also without the library of disposables", (t) => {
  const text = 'import { connect } from "gob-client";\nimport * as worker from "gob-client/worker";\nexport const made = connect({}).then((client) => client.list({}));\nvoid worker;\n';
  assert.equal(compile(t, "a.mts", text, [...strictest, "--module", "nodenext", "--lib", "es2022"]), "");
  assert.equal(compile(t, "a.cts", text, [...strictest, "--module", "nodenext", "--lib", "es2022"]), "");
  assert.equal(compile(t, "a.ts", text, [...strictest, "--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022"]), "");
  assert.equal(compile(t, "a.ts", text, ["--target", "es2022", "--module", "commonjs", "--moduleResolution", "node10", "--lib", "es2022"]), "");
});
