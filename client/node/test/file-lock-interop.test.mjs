// Lock files that programs of three languages share: this package, gobctl, and the implementation in Python of tests/interop.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { FileLock } from "gob-client";
import { program, repository } from "./support/programs.mjs";

const run = promisify(execFile);
const ROUNDS = 40;

/** One round of a holder in sh, under `gobctl lock run`: the same stamp as the others make. */
const HELD = `
until ln -sn $$ "$1" 2>/dev/null; do
  p=$(readlink "$1") || { echo "$1 went, so that another one holds the lock" >&2; exit 1; }
  case $(sed 's/.*)//' "/proc/$p/stat" 2>/dev/null) in ''|' Z'*|' X'*) rm -f "$1" ;; *) echo "held by $p, too" >&2; exit 1 ;; esac
done
sleep 0.001
rm -f "$1"
`;

function directory(t) {
  const dir = fs.mkdtempSync(join(tmpdir(), "gob-interop-"));
  // A lock that is held keeps no program alive.
  const alive = setInterval(() => {}, 1_000);
  t.after(() => {
    clearInterval(alive);
    fs.rmSync(dir, { recursive: true, force: true });
  });
  return { dir, path: join(dir, "a.lock"), mark: join(dir, "stamp") };
}

test("gobctl and a lock of this package keep each other out", { timeout: 60_000 }, async (t) => {
  const { path } = directory(t);
  const gobctl = program("gobctl");
  const lock = new FileLock(path);
  await lock.acquire();
  const status = JSON.parse((await run(gobctl, ["lock", "status", "--file", path, "--json"])).stdout);
  assert.deepEqual([status.state, status.holder], ["held", lock.info]);
  assert.deepEqual(Object.keys(await lock.status()).sort(), Object.keys(status).filter((key) => key !== "broken").sort());
  const refused = await run(gobctl, ["lock", "run", "--file", path, "--timeout", "0", "--", "true"]).catch((error) => error);
  assert.equal(refused.code, 124);
  assert.match(refused.stderr, /held by node \(pid/);
  await lock.release();
  const holder = spawn(gobctl, ["lock", "run", "--file", path, "--", "sh", "-c", "echo here; exec sleep 600"], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => holder.kill("SIGKILL"));
  await once(holder.stdout, "data");
  await assert.rejects(lock.acquire({ timeoutMs: 0 }), (error) => error.details.holders[0].process === "gobctl");
  // The guard gives the lock back when the command's tree is gone.
  holder.kill("SIGKILL");
  await lock.acquire({ timeoutMs: 30_000 });
  await lock.release();
});

test("a lock of this package that gobctl breaks is lost", { timeout: 60_000 }, async (t) => {
  const { path } = directory(t);
  const lock = new FileLock(path);
  await lock.acquire();
  const lost = once(lock, "lost");
  await run(program("gobctl"), ["lock", "break", "--file", path]);
  await lost;
  assert.equal(await lock.release(), false);
});

test("holders in three languages, a third of them killed, are never two at once", { timeout: 300_000 }, async (t) => {
  const { dir, path, mark } = directory(t);
  const node = [process.execPath, join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "fixtures/file-lock-rounds.mjs"), path, mark];
  const python = ["python3", join(repository, "tests/interop/file_lock.py"), path, mark];
  const gobctl = [program("gobctl"), "lock", "run", "--file", path, "--retry-delay", "2ms", "--timeout", "140s", "--", "sh", "-c", HELD, "sh", mark];
  let rounds = 0;
  let kills = 0;

  /** Runs a program of many rounds; kills it after some of them, and runs it again for the rest. */
  async function rounder(argv, seed, killed, slow = 0) {
    let left = ROUNDS;
    while (left > 0) {
      const child = spawn(argv[0], [...argv.slice(1), String(left), String(seed), String(slow)], { stdio: ["ignore", "pipe", "inherit"] });
      const ended = once(child, "exit");
      let said = "";
      let mine = 0;
      child.stdout.setEncoding("utf8").on("data", (text) => {
        said += text;
        const now = said.split("round\n").length - 1;
        rounds += now - mine;
        mine = now;
        if (killed && mine >= 3) {
          kills += child.kill("SIGKILL") ? 1 : 0;
          killed = false;
        }
      });
      const [code, signal] = await ended;
      assert.ok(code === 0 || signal === "SIGKILL", `${argv[1]}: ${code} ${said}`);
      left -= Math.max(mine, 1);
      killed = left > ROUNDS / 2;
    }
  }
  async function commands() {
    for (let round = 0; round < ROUNDS / 4; round += 1) {
      await run(gobctl[0], gobctl.slice(1), { cwd: dir });
      rounds += 1;
    }
  }
  await Promise.all([
    ...[1, 2, 3].map((seed) => rounder(node, seed, seed === 1)),
    rounder(python, 4, true),
    // A maker that is slower than others wait for a record has lost its file to one of them, and notices.
    rounder(python, 5, false, ROUNDS / 5),
    commands(),
  ]);
  assert.ok(rounds >= ROUNDS * 5 && kills >= 2, `${rounds} rounds, ${kills} kills`);
  const lock = new FileLock(path, { timeoutMs: 0 });
  await lock.acquire();
  await lock.release();
  // A holder that was killed may have been the last one to leave a stamp.
  assert.deepEqual(fs.readdirSync(dir).filter((name) => !name.startsWith(".gob-lock-") && name !== "stamp"), []);
});
