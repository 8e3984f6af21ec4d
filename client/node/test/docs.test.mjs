// docs/NODE.md, as a reader types it: each named block is a file, each console block a session in one directory.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Gob } from "./support/gob.mjs";
import { repository } from "./support/programs.mjs";

const page = fs.readFileSync(join(repository, "docs/NODE.md"), "utf8");

/** The fenced blocks: word behind the fence, and text. */
const blocks = [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, kind, text]) => ({ kind, text }));

/** Writes what differs from run to run as the page has it. */
function alike(text, gob) {
  return text
    .replaceAll(`${gob.dir}/run`, "/run/user/1000/gob")
    .replace(/pid \d+/g, "pid PID")
    .replace(/\b\d+(\.\d+)? ?(ms|s)\b/g, "TIME")
    .replace(/ +/g, " ")
    .replace(/ +$/gm, "");
}

test("the page about Node.js works line by line", { timeout: 120_000 }, async (t) => {
  const gob = new Gob(t);
  fs.mkdirSync(join(gob.dir, "node_modules"));
  fs.symlinkSync(join(repository, "client/node"), join(gob.dir, "node_modules/gob-client"));
  let typed = 0;
  for (const { kind, text } of blocks) {
    const [, name] = /^(?:\/\/|#) (\S+\.\w+)\n/.exec(text) ?? [];
    if (kind === "toml") gob.config(text);
    else if (name !== undefined) fs.writeFileSync(join(gob.dir, name), text);
    if (kind !== "console") continue;
    for (const step of text.split(/^\$ /m).slice(1)) {
      const [command, ...expected] = step.split("\n");
      const { stdout, stderr } = spawnSync("sh", ["-c", command], { cwd: gob.dir, env: gob.env, encoding: "utf8", timeout: 30_000 });
      assert.equal(alike(stdout + stderr, gob), alike(expected.join("\n"), gob), command);
      typed += 1;
    }
  }
  assert.equal(typed, 13);
});

test("every file that the page leads to is there", () => {
  const links = [...page.matchAll(/\]\(([^)#]+)\)/g)].map(([, link]) => link);
  for (const link of links) assert.ok(fs.existsSync(join(repository, "docs", link)), link);
});
