// The supervisor's locks: the line, parties, losses, and claims from the next supervisor (docs/LOCKS.md).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as net from "node:net";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connect, FileLock, guarded, GobError } from "gob-client";
import { Gob, until } from "./support/gob.mjs";
import { program } from "./support/programs.mjs";

const fixture = fileURLToPath(new URL("fixtures/lock-holder.mjs", import.meta.url));
const code = (expected) => (error) => GobError.is(error) && error.code === expected;

function case_(name, run) {
  test(name, { timeout: 120_000 }, async (t) => {
    const gob = new Gob(t).adopt();
    const client = await connect({ owner: "desktop", client: { name: "app", version: "1" } });
    t.after(() => client.close());
    await run({ gob, client });
  });
}

const status = async (client, lock) => (await client.lockStatus({ lock })).locks[0];

case_("a lock is taken by awaiting it, held, refused to others, and given back", async ({ gob, client }) => {
  const lock = client.lock("build");
  assert.deepEqual([lock.token, (await status(client, "build")).holders], [null, []]);
  const held = await lock;
  assert.ok(held.token > 0 && held.isHeld && held.name === "build" && held.expiresAt === null && !held.signal.aborted);
  const [holder] = (await status(client, "build")).holders;
  assert.deepEqual([holder.token, holder.process, holder.owner, holder.pid], [held.token, "app", "desktop", process.pid]);
  assert.equal(await lock, held);
  await assert.rejects(lock.acquire(), code("lock-deadlock"));
  await assert.rejects(client.lock("build").acquire({ timeoutMs: 0 }), (error) => {
    return error.code === "lock-timeout" && error.details.holders[0].token === held.token;
  });
  const refused = await gob.run("lock", "run", "build", "--timeout", "0", "--", "true");
  assert.equal(refused.code, 124);
  assert.deepEqual([await held.release(), await held.release(), await lock.release()], [true, false, false]);
  await gob.ctl("lock", "run", "build", "--timeout", "0", "--", "true");
  const again = await lock.acquire();
  assert.ok(again.token > held.token && lock.token === again.token);
  assert.equal(await lock.release(), true);
});

case_("withLock holds it while it works, and gives it back whatever happens", async ({ client }) => {
  const done = await client.withLock("build", async (signal, lock) => {
    assert.ok(signal instanceof AbortSignal && !signal.aborted && lock.isHeld);
    return (await status(client, "build")).holders[0].token === lock.token;
  });
  assert.equal(done, true);
  const broken = client.withLock("build", { timeoutMs: 1_000, process: "make" }, async () => {
    assert.equal((await status(client, "build")).holders[0].process, "make");
    throw new Error("broken");
  });
  await assert.rejects(broken, /^Error: broken$/);
  assert.deepEqual((await status(client, "build")).holders, []);
});

case_("pieces that run side by side stand in line, and what runs inside is one party", async ({ client }) => {
  let holders = 0;
  const order = [];
  await Promise.all([1, 2, 3, 4, 5].map((piece) => client.withLock("build", async () => {
    assert.equal((holders += 1), 1);
    await pause(5);
    order.push(piece);
    holders -= 1;
  })));
  assert.equal(order.length, 5);
  await client.withLock("outer", async (_signal, outer) => {
    await client.withLock("inner", async (_signal, inner) => assert.ok(inner.token > outer.token));
    await assert.rejects(client.withLock("outer", () => assert.fail("never")), (error) => {
      return error.code === "lock-deadlock" && error.details.cycle[0].lock === "outer";
    });
  });
  // What was begun inside and goes on outside holds nothing any more.
  let later;
  await client.withLock("outer", () => void (later = pause(20).then(() => client.withLock("outer", () => "later"))));
  assert.equal(await later, "later");
  const held = await client.lock("outer");
  await assert.rejects(client.lock("outer", { within: [held] }).acquire(), code("lock-deadlock"));
  await held.release();
});

case_("shared holders are there at once, an exclusive one alone", async ({ client }) => {
  const [one, other] = await Promise.all([client.lock("docs", { mode: "shared" }), client.lock("docs", { mode: "shared" })]);
  await assert.rejects(client.lock("docs").acquire({ timeoutMs: 20 }), code("lock-timeout"));
  assert.deepEqual([one.mode, await one.release(), await other.release()], ["shared", true, true]);
  await (await client.lock("docs", { timeoutMs: 0 })).release();
});

case_("a wait that is aborted leaves the line", async ({ client }) => {
  const held = await client.lock("build");
  const ends = new AbortController();
  const waiting = client.lock("build", { signal: ends.signal }).acquire();
  await until("the waiter", async () => (await status(client, "build")).waiters.length === 1);
  ends.abort();
  await assert.rejects(waiting, code("aborted"));
  await until("nobody", async () => (await status(client, "build")).waiters.length === 0);
  await held.release();
});

case_("a lock that is broken is lost, with the reason", async ({ gob, client }) => {
  const lost = [];
  const work = client.withLock("build", async (signal) => {
    await gob.ctl("lock", "break", "build", "--owner", "desktop");
    if (!signal.aborted) await once(signal, "abort");
    lost.push(signal.reason.message);
    return "done";
  });
  await assert.rejects(work, code("lock-not-held"));
  assert.match(lost[0], /gobctl broke the lock build/);
});

case_("a TTL is renewed while the program lives, and over when its event loop does not run", async ({ client }) => {
  const held = await client.lock("build", { ttlMs: 2_000 });
  const first = held.expiresAt;
  await pause(3_000);
  assert.ok(held.isHeld && held.expiresAt > first);
  const busy = performance.now() + 4_000;
  while (performance.now() < busy);
  if (!held.signal.aborted) await once(held.signal, "abort");
  assert.match(held.signal.reason.message, /time of the lock build is over|not held/);
  assert.equal(await held.release(), false);
});

case_("a holder that is killed gives its lock back at once", async ({ gob, client }) => {
  const holder = spawn(process.execPath, [fixture, "build"], { stdio: ["ignore", "pipe", "inherit"] });
  gob.kills(holder);
  await once(holder.stdout, "data");
  const waiting = client.lock("build").acquire();
  await until("the waiter", async () => (await status(client, "build")).waiters.length === 1);
  holder.kill("SIGKILL");
  await (await waiting).release();
});

case_("after kill -9 of the supervisor the lock is claimed, and nobody has it meanwhile", async ({ gob, client }) => {
  const shared = await client.lock("docs", { mode: "shared" });
  let inner;
  await client.withLock("build", async (signal, lock) => {
    inner = await client.lock("inner");
    await gob.killSupervisor();
    // The next supervisor grants nothing for 6 s.
    await assert.rejects(client.lock("build").acquire({ timeoutMs: 0 }), code("lock-timeout"));
    await until("the claim", async () => (await client.lockStatus({ lock: "build" })).locks[0].holders[0]?.token === lock.token);
    assert.ok(!signal.aborted && lock.isHeld && inner.isHeld && shared.isHeld);
    await gob.killSupervisor();
    await until("the claim", async () => (await client.lockStatus({ lock: "build" })).locks[0].holders[0]?.token === lock.token);
    assert.ok(!signal.aborted);
  });
  assert.deepEqual([await inner.release(), await shared.release()], [true, true]);
  const next = await client.lock("build", { timeoutMs: 30_000 });
  assert.ok(next.token > inner.token);
  await next.release();
});

case_("a waiter waits on over a supervisor that was killed", async ({ gob, client }) => {
  const held = await client.lock("build");
  const waiting = client.lock("build").acquire();
  await until("the waiter", async () => (await status(client, "build")).waiters.length === 1);
  await gob.killSupervisor();
  await until("the claim", async () => (await client.lockStatus({ lock: "build" })).locks[0].holders[0]?.token === held.token);
  await held.release();
  const next = await waiting;
  assert.ok(next.token > held.token);
  await next.release();
});

case_("without another supervisor within 3 s the lock is lost", async ({ gob, client }) => {
  const held = await client.lock("build");
  await gob.ctl("shutdown", "--force");
  const began = performance.now();
  if (!held.signal.aborted) await once(held.signal, "abort");
  const took = performance.now() - began;
  assert.ok(took > 2_000 && took < 4_900, `${took} ms`);
  assert.match(held.signal.reason.message, /lost with its supervisor: no other one served in time/);
  assert.equal(await held.release(), false);
});

case_("a program that answers nothing in the supervisor's place keeps no lock beyond 3 s", async ({ gob, client }) => {
  const held = await client.lock("build");
  await gob.ctl("shutdown", "--force");
  const began = performance.now();
  const silent = net.createServer(() => {}).listen(`${gob.dir}/run/daemon.sock`);
  await once(silent, "listening");
  fs.chmodSync(`${gob.dir}/run/daemon.sock`, 0o600);
  if (!held.signal.aborted) await once(held.signal, "abort");
  const took = performance.now() - began;
  silent.close();
  assert.ok(took > 2_000 && took < 4_900, `${took} ms`);
});

case_("a closed client gives its locks back, and they are lost", async ({ client }) => {
  const other = await connect({ owner: "desktop" });
  const held = await client.lock("build");
  await client.close();
  assert.equal(held.signal.reason.code, "client-closed");
  await (await other.lock("build", { timeoutMs: 10_000 })).release();
  await assert.rejects(client.lock("build").acquire(), code("client-closed"));
  await other.close();
});

class Account {
  sum = 0;
  inside = 0;
  async add(amount) {
    assert.equal((this.inside += 1), 1);
    await pause(2);
    this.sum += amount;
    this.inside -= 1;
    return this.sum;
  }
  async twice(amount) {
    await this.add(amount);
    return this.add(amount);
  }
  fail() {
    throw new Error("no");
  }
}

case_("each method call of a guarded object holds the lock, alone or of a file", async ({ gob, client }) => {
  for (const lock of [client.lock("account"), new FileLock(`${gob.dir}/account.lock`)]) {
    const account = guarded(new Account(), lock);
    const sums = await Promise.all([account.add(1), account.twice(10), account.add(100)]);
    assert.deepEqual([sums, account.sum], [[1, 21, 121], 121]);
    await assert.rejects(account.fail(), /^Error: no$/);
    assert.equal(account.add, account.add);
    assert.equal(await account.add(1), 122);
  }
  assert.equal((await status(client, "account")).acquired, 5);
  assert.deepEqual((await status(client, "account")).holders, []);
  // One that is held already is needed, and not taken again.
  const held = await client.lock("account");
  const open = guarded(new Account(), held);
  assert.deepEqual(await Promise.all([open.add(1), open.add(2)]), [1, 3]);
  await held.release();
  await assert.rejects(open.add(1), code("lock-not-held"));
  // Another program that holds it is waited for.
  const account = guarded(new Account(), client.lock("account"));
  const holder = spawn(program("gobctl"), ["lock", "run", "account", "--", "sh", "-c", "echo here; read line"], { env: gob.env, stdio: ["pipe", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  let isAdded = false;
  const adding = account.add(1).then(() => (isAdded = true));
  await until("the waiter", async () => (await status(client, "account")).waiters.length === 1);
  assert.equal(isAdded, false);
  holder.stdin.end();
  await adding;
});

case_("of many programs one has the lock, with supervisors and holders killed in the middle", async ({ gob, client }) => {
  const [mark, log] = [`${gob.dir}/stamp`, `${gob.dir}/tokens`];
  const rounds = 60;
  const programs = fileURLToPath(new URL("fixtures/lock-rounds.mjs", import.meta.url));
  let kills = 0;
  /** A program that is killed once or not, and begun again for the rounds that are left. */
  async function rounder(isKilled) {
    for (let left = rounds; left > 0; ) {
      const child = gob.kills(spawn(process.execPath, [programs, "storm", mark, log, String(left)], { env: gob.env, stdio: ["ignore", "pipe", "inherit"] }));
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text) => {
        said += text;
        if (isKilled && !child.killed && said.length > 60 && child.kill("SIGKILL")) kills += 1;
      });
      const [code, signal] = await once(child, "close");
      assert.ok(code === 0 || (isKilled && signal === "SIGKILL"), `${code} ${signal} ${said}`);
      left -= Math.max(said.split("round\n").length - 1, 1);
      isKilled = false;
    }
  }
  const all = Promise.all([true, true, false, false, false].map(rounder));
  for (const share of [20, 120]) {
    await until("rounds", () => fs.existsSync(log) && fs.readFileSync(log, "utf8").split("\n").length > share);
    await gob.killSupervisor();
  }
  await all;
  const tokens = fs.readFileSync(log, "utf8").trim().split("\n").map(Number);
  assert.ok(tokens.length >= 5 * rounds - kills && kills === 2, `${tokens.length} rounds, ${kills} kills`);
  assert.ok(tokens.every((token, at) => at === 0 || token > tokens[at - 1]), "tokens only grow");
  assert.deepEqual((await status(client, "storm")).holders, []);
});

case_("times of any length are kept to", async ({ client }) => {
  const warned = [];
  const warn = ({ message }) => warned.push(message);
  process.on("warning", warn);
  // A third of it is more than a timer of Node takes.
  const held = await client.lock("build", { ttlMs: 100 * 86_400_000, timeoutMs: Infinity }).acquire();
  await pause(50);
  const acquired = (await status(client, "build")).acquired;
  process.off("warning", warn);
  assert.deepEqual([warned, acquired, await held.release()], [[], 1, true]);
});

case_("a client that is closed while its lock is claimed leaves nothing behind", async ({ gob, client }) => {
  const held = await client.lock("build");
  await gob.killSupervisor();
  // The claim is sent, and answered only seconds later.
  const other = await connect({ owner: "other" });
  // On a busy machine it is seen only when it was granted.
  const claims = async () => {
    const { waiters, holders } = await status(other, "build");
    return [...waiters, ...holders].filter(({ token }) => token === held.token).length;
  };
  await until("the claim", async () => (await claims()) === 1);
  await client.close();
  assert.equal(held.isHeld, false);
  await until("no claim", async () => (await claims()) === 0, 3_000);
  await other.close();
});
