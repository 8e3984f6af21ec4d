// Lock files in one process and between several, with what lies in their place by mistake (docs/LOCKS.md, Lock files).
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { FileLock, GobError } from "gob-client";

const record = (pid, age, host = hostname()) =>
  `${JSON.stringify({ pid, timestamp: Date.now() - age, host, process: "psql" })}\n`;

const code = (expected) => (error) => GobError.is(error) && error.code === expected;

/** A test with a directory of its own. */
function case_(name, run) {
  test(name, { timeout: 60_000 }, async (t) => {
    const dir = fs.mkdtempSync(join(tmpdir(), "gob-file-lock-"));
    // A lock that is held keeps no program alive.
    const alive = setInterval(() => {}, 1_000);
    t.after(() => {
      clearInterval(alive);
      fs.rmSync(dir, { recursive: true, force: true });
    });
    await run({ t, dir, path: join(dir, "a.lock") });
  });
}

/** A process that has ended, and the pid that it had. */
function deadPid() {
  return spawnSync("true").pid;
}

case_("a lock is taken, shown, refused to others, and given back", async ({ dir, path }) => {
  const [one, other] = [new FileLock(path, { process: "one" }), new FileLock(path)];
  assert.equal((await one.status()).state, "free");
  assert.equal(one.info, null);
  await one.acquire();
  const { pid, host } = one.info;
  assert.deepEqual([pid, host, one.info.process, one.path], [process.pid, hostname(), "one", path]);
  assert.deepEqual(JSON.parse(fs.readFileSync(path, "utf8")), one.info);
  const status = await other.status();
  assert.deepEqual([status.state, status.holder, status.path], ["held", one.info, path]);
  assert.ok(status.age_ms >= 0 && status.age_ms < 10_000);
  await assert.rejects(one.acquire(), code("lock-deadlock"));
  await assert.rejects(other.acquire({ timeoutMs: 0 }), (error) => {
    assert.match(error.message, /held by one \(pid \d+ on /);
    return error.code === "lock-timeout" && error.details.holders[0].pid === process.pid;
  });
  assert.equal(await one.release(), true);
  assert.equal(await one.release(), false);
  await other.acquire();
  await other.release();
  assert.deepEqual(fs.readdirSync(dir), []);
});

case_("retries bound the wait, and each is told of", async ({ path }) => {
  fs.writeFileSync(path, record(1, 0));
  const told = [];
  const lock = new FileLock(path, { retries: 2, retryDelayMs: 5 });
  await assert.rejects(lock.acquire({ onWait: (status) => told.push(status.holder.pid) }), code("lock-timeout"));
  assert.deepEqual(told, [1, 1]);
});

case_("a wait ends at once when the lock is given back, or is aborted", async ({ path }) => {
  const [one, other] = [new FileLock(path), new FileLock(path, { retryDelayMs: 50_000 })];
  await one.acquire();
  const ends = new AbortController();
  const refused = assert.rejects(other.acquire({ signal: ends.signal }), code("aborted"));
  ends.abort();
  await refused;
  const taken = other.acquire();
  await pause(50);
  const began = performance.now();
  await one.release();
  await taken;
  assert.ok(performance.now() - began < 10_000);
  await other.release();
});

case_("holders that are dead or silent do not count, others do", async ({ path, dir }) => {
  const dead = deadPid();
  for (const [isFree, ...holder] of [
    [false, process.pid, 29_000],
    [true, process.pid, 31_000],
    [true, dead, 0],
    [false, dead, 0, "elsewhere"],
    [true, dead, 31_000, "elsewhere"],
    [false, 1, -3_600_000],
  ]) {
    const text = record(...holder);
    fs.writeFileSync(path, text);
    const lock = new FileLock(path, { timeoutMs: 0 });
    assert.equal((await lock.status()).state, isFree ? "stale" : "held", text);
    if (isFree) {
      await lock.acquire();
      assert.equal(await lock.release(), true);
    } else {
      await assert.rejects(lock.acquire(), code("lock-timeout"));
      assert.equal(fs.readFileSync(path, "utf8"), text);
    }
  }
  fs.rmSync(path, { force: true });
  assert.deepEqual(fs.readdirSync(dir), []);
});

case_("an flock that was killed locks nothing, and a system without that program does without", async ({ t, dir, path }) => {
  const before = process.env.PATH;
  t.after(() => (process.env.PATH = before));
  const stale = record(deadPid(), 0);
  fs.writeFileSync(path, stale);
  const bin = join(dir, "bin");
  fs.mkdirSync(bin);
  fs.writeFileSync(join(bin, "flock"), "#!/bin/sh\nkill -9 $$\n", { mode: 0o755 });
  process.env.PATH = `${bin}:${before}`;
  const lock = new FileLock(path, { timeoutMs: 0 });
  await assert.rejects(lock.acquire(), code("lock-timeout"));
  assert.equal(fs.readFileSync(path, "utf8"), stale);
  fs.rmSync(join(bin, "flock"));
  process.env.PATH = bin;
  await lock.acquire();
  assert.equal(await lock.release(), true);
});

case_("a process that was not waited for is dead", async ({ t, path }) => {
  // The shell becomes a program that waits for no child.
  const parent = spawn("sh", ["-c", "sleep 0.2 & echo $!; exec sleep 600"], { stdio: ["ignore", "pipe", "ignore"] });
  t.after(() => parent.kill("SIGKILL"));
  const [line] = await once(parent.stdout, "data");
  const pid = Number(String(line));
  while (!/\) Z/.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1"))) await pause(5);
  fs.writeFileSync(path, record(pid, 0));
  await new FileLock(path, { timeoutMs: 0 }).acquire();
});

case_("a file that can't be read is broken after a second, and not before", async ({ path }) => {
  for (const text of ["", "{", '{"pid":0,"timestamp":1}', "[1]"]) {
    fs.writeFileSync(path, text);
    const lock = new FileLock(path, { retryDelayMs: 20 });
    await assert.rejects(lock.acquire({ timeoutMs: 0 }), code("lock-timeout"));
    const began = performance.now();
    await lock.acquire({ timeoutMs: 20_000 });
    assert.ok(performance.now() - began >= 990, text);
    await lock.release();
  }
});

case_("nothing else in its place is touched", async ({ path }) => {
  const lock = new FileLock(path, { timeoutMs: 0 });
  for (const [make, why] of [
    [() => fs.mkdirSync(path), /it is a directory/],
    [() => fs.symlinkSync("/etc/passwd", path), /it is a symbolic link/],
    [() => spawnSync("mkfifo", [path]), /it is no regular file/],
  ]) {
    make();
    await assert.rejects(lock.acquire(), (error) => error.code === "lock-file-unusable" && why.test(error.message));
    fs.rmSync(path, { recursive: true });
  }
  await assert.rejects(new FileLock("/proc/none/a.lock").acquire(), code("lock-file-unusable"));
});

case_("the time stamp is renewed, so that others wait for longer than the stale time", async ({ path }) => {
  const [one, other] = [new FileLock(path, { staleAfterMs: 300 }), new FileLock(path, { staleAfterMs: 3_000, retryDelayMs: 5 })];
  await one.acquire();
  const first = one.info.timestamp;
  await assert.rejects(other.acquire({ timeoutMs: 4_500 }), code("lock-timeout"));
  assert.ok(one.info.timestamp > first && !one.isLost);
  assert.equal(await one.release(), true);
});

case_("a lock that others have taken or removed is lost, and their file stays", async ({ path }) => {
  for (const take of [
    () => fs.rmSync(path),
    () => {
      fs.writeFileSync(`${path}.new`, record(1, 0));
      fs.renameSync(`${path}.new`, path);
    },
    () => {
      fs.rmSync(path);
      fs.mkdirSync(path);
    },
  ]) {
    const lock = new FileLock(path);
    await lock.acquire();
    const lost = once(lock, "lost");
    take();
    const [error] = await lost;
    assert.ok(error.code === "lock-not-held" && lock.isLost && lock.signal.aborted && lock.signal.reason === error);
    const before = fs.existsSync(path);
    assert.equal(await lock.release(), false);
    assert.equal(fs.existsSync(path), before);
    fs.rmSync(path, { recursive: true, force: true });
    await lock.acquire();
    assert.ok(!lock.isLost && !lock.signal.aborted);
    await lock.release();
  }
});

case_("a holder whose event loop was busy for longer than the stale time has lost the lock", async ({ t, path }) => {
  const lock = new FileLock(path, { staleAfterMs: 200 });
  await lock.acquire();
  const other = spawn(process.execPath, ["--input-type=module", "-e", `
    import { FileLock } from ${JSON.stringify(import.meta.resolve("gob-client"))};
    const lock = new FileLock(${JSON.stringify(path)}, { staleAfterMs: 200, retryDelayMs: 5, timeoutMs: 20000 });
    console.log("waits"); await lock.acquire(); console.log("taken"); setInterval(() => {}, 1000);
  `], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => other.kill("SIGKILL"));
  let said = "";
  other.stdout.setEncoding("utf8").on("data", (text) => (said += text));
  const says = async (word) => {
    while (!said.includes(word)) await pause(5);
  };
  // On a busy machine it takes a while to begin.
  await says("waits");
  const busy = performance.now() + 2_000;
  while (performance.now() < busy);
  await says("taken");
  if (!lock.isLost) await once(lock, "lost");
  assert.equal(await lock.release(), false);
  assert.equal(JSON.parse(fs.readFileSync(path, "utf8")).pid, other.pid);
});

case_("the file is removed by an exit in order, and taken at once after any other", async ({ path }) => {
  const script = (end) => `
    import { FileLock } from ${JSON.stringify(import.meta.resolve("gob-client"))};
    await new FileLock(${JSON.stringify(path)}).acquire(); ${end}`;
  for (const [end, isLeft] of [["", false], ["process.exit(3)", false], ["process.kill(process.pid, 'SIGKILL')", true]]) {
    spawnSync(process.execPath, ["--input-type=module", "-e", script(end)]);
    assert.equal(fs.existsSync(path), isLeft, end);
  }
  const lock = new FileLock(path, { timeoutMs: 0 });
  await lock.acquire();
  await lock.release();
});

case_("forceUnlock removes the file of any holder, who learns of it", async ({ path }) => {
  const [one, other] = [new FileLock(path), new FileLock(path)];
  assert.equal((await other.forceUnlock()).state, "free");
  await one.acquire();
  const lost = once(one, "lost");
  const before = await other.forceUnlock();
  assert.deepEqual([before.state, before.holder.pid], ["held", process.pid]);
  await lost;
  assert.equal((await other.status()).state, "free");
});

case_("many of one process have it one after the other", async ({ path }) => {
  let holders = 0;
  await Promise.all(Array.from({ length: 20 }, async () => {
    const lock = new FileLock(path, { retryDelayMs: 2, timeoutMs: 50_000 });
    await lock.acquire();
    assert.equal((holders += 1), 1);
    await pause(1);
    holders -= 1;
    assert.equal(await lock.release(), true);
  }));
});

case_("temporary files of killed processes are cleared up with the next stale file", async ({ dir, path }) => {
  const host = [...hostname()].map((c) => (/[A-Za-z0-9]/.test(c) ? c : "_")).slice(0, 64).join("");
  const [left, ours] = [`.gob-lock-${host}-${deadPid()}-7`, `.gob-lock-${host}-${process.pid}-7`];
  fs.writeFileSync(join(dir, left), "");
  fs.writeFileSync(join(dir, ours), "");
  fs.writeFileSync(path, record(deadPid(), 0));
  const lock = new FileLock(path);
  await lock.acquire();
  await lock.release();
  assert.deepEqual(fs.readdirSync(dir), [ours]);
});

const { Place } = await import(new URL("../dist/esm/file-lock/place.js", import.meta.url));

case_("a stale file that has changed since it was judged stays, whoever changed it", async ({ dir, path }) => {
  const place = new Place(path, hostname());
  const own = JSON.parse(record(process.pid, 0));
  for (const change of [
    () => fs.writeFileSync(path, record(1, 0)),
    () => (fs.rmSync(path), fs.writeFileSync(path, record(1, 0))),
    () => fs.appendFileSync(path, " "),
  ]) {
    fs.writeFileSync(path, record(deadPid(), 0));
    const judged = place.look();
    change();
    const text = fs.readFileSync(path, "utf8");
    assert.deepEqual([place.replace(judged, own), place.remove(judged)], [null, false]);
    assert.equal(fs.readFileSync(path, "utf8"), text);
    judged.close();
    fs.rmSync(path);
  }
  assert.deepEqual(fs.readdirSync(dir), []);
});

case_("a stale file is taken under the flock of its directory, which other programs take, too", async ({ t, dir, path }) => {
  const script = `import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()`;
  const other = spawn("python3", ["-c", script, dir], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => other.kill("SIGKILL"));
  await once(other.stdout, "data");
  const stale = record(deadPid(), 0);
  fs.writeFileSync(path, stale);
  const lock = new FileLock(path, { retryDelayMs: 5 });
  await assert.rejects(lock.acquire({ timeoutMs: 0 }), code("lock-timeout"));
  assert.equal(fs.readFileSync(path, "utf8"), stale);
  const taken = lock.acquire({ timeoutMs: 30_000 });
  other.stdin.end();
  await taken;
  assert.equal(await lock.release(), true);
});
