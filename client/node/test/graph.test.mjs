// A graph of an app: brought up, held by a lease, followed over ends of its worker and of the supervisor.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect, GobError } from "gob-client";
import { Gob, lives, until } from "./support/gob.mjs";

/** A test with a gob and a client of the owner `desktop`, whose events of graphs are noted. */
function case_(name, run, options = {}) {
  test(name, { timeout: 120_000 }, async (t) => {
    const gob = new Gob(t).adopt();
    const client = await connect({ owner: "desktop", client: { name: "app", version: "1" }, ...options });
    t.after(() => client.close());
    const graph = (name = "notes", options = {}) => {
      const made = client.graph(name, options);
      made.log = [];
      for (const event of ["ready", "unhealthy", "moved", "gone"]) made.on(event, (...args) => made.log.push([event, ...args]));
      return made;
    };
    await run({ gob, client, graph });
  });
}

/** Waits until a graph has told these events since the last call, in this order. */
async function told(graph, ...expected) {
  await until(() => `${expected}: ${graph.log.map(([event]) => event)}`, () => graph.log.length >= expected.length);
  const told = graph.log.splice(0, expected.length);
  assert.deepEqual(told.map(([event]) => event), expected);
  return told;
}

const leases = async (gob, name = "notes") => (await gob.worker(name)).lease_holders.map(({ owner, client }) => [owner, client]);

case_("ensure brings a graph up, holds it, and release gives it back", async ({ gob, graph }) => {
  const notes = graph();
  assert.deepEqual([notes.worker, notes.endpoint, notes.isOwned], [null, null, false]);
  const endpoint = await notes.ensure();
  assert.equal(endpoint, `unix:${join(gob.dir, "run/graphs/notes.sock")}`);
  assert.deepEqual([notes.endpoint, notes.worker.state, notes.isOwned, notes.worker.owner], [endpoint, "ready", true, "desktop"]);
  await told(notes, "ready");
  assert.deepEqual(await leases(gob), [["desktop", "app"]]);
  assert.equal(await notes.ensure(), endpoint);
  await notes.release();
  assert.deepEqual([await leases(gob), (await gob.worker("notes")).state, notes.worker, notes.log], [[], "ready", null, []]);
  assert.equal(await notes.ensure(), endpoint);
  assert.deepEqual(await leases(gob), [["desktop", "app"]]);
  await notes.release();
  await notes.release();
});

case_("two windows are two leases", async ({ gob, graph }) => {
  const [one, other] = [graph(), graph()];
  assert.equal(new Set(await Promise.all([one.ensure(), other.ensure(), one.ensure()])).size, 1);
  assert.equal((await leases(gob)).length, 2);
  await one.release();
  assert.equal((await leases(gob)).length, 1);
  await other.release();
});

case_("what others started is used and left alone", async ({ gob, client, graph }) => {
  await gob.ctl("start", "notes");
  const { pid } = await gob.worker("notes");
  const notes = graph();
  await notes.ensure();
  assert.deepEqual([notes.isOwned, notes.worker.owner, notes.worker.pid], [false, "cli", pid]);
  await assert.rejects(client.stop({ name: "notes" }), (error) => error.code === "server-owned-by-other");
  await notes.release();
  assert.ok(lives(pid));
  // Its owner stops it: that is told, and it is not started behind its back.
  await notes.ensure();
  await told(notes, "ready", "ready");
  await gob.ctl("stop", "notes");
  const [[, worker, error]] = await told(notes, "gone");
  assert.deepEqual([worker.name, error, notes.endpoint], ["notes", null, null]);
  await until("idle", () => notes.worker.state === "idle");
  await gob.ctl("start", "notes");
  await told(notes, "ready");
  assert.equal(notes.worker.owner, "cli");
  // The lease is still there.
  assert.deepEqual(await leases(gob), [["desktop", "app"]]);
});

case_("a worker that crashes is told as gone and, when gob has started it again, as ready", async ({ gob, graph }) => {
  const notes = graph();
  await notes.ensure();
  process.kill(notes.worker.pid, "SIGKILL");
  const [, [, gone], [, endpoint, again]] = await told(notes, "ready", "gone", "ready");
  assert.ok(["backoff", "starting", "stopping"].includes(gone.state) && again.run === 2 && endpoint === notes.endpoint);
  assert.deepEqual(await leases(gob), [["desktop", "app"]]);
});

case_("after kill -9 of the supervisor the graph is ready again, with its lease", async ({ gob, graph }) => {
  const [notes, other] = [graph(), graph("other")];
  await Promise.all([notes.ensure(), other.ensure()]);
  for (let times = 0; times < 3; times += 1) {
    await Promise.all([told(notes, "ready"), told(other, "ready")]);
    await gob.killSupervisor();
    for (const graph of [notes, other]) {
      const [[, , error]] = await told(graph, "gone");
      assert.equal(error.code, "connection-lost");
      await until("ready", () => graph.endpoint !== null);
    }
    assert.deepEqual([await leases(gob), await leases(gob, "other")], [[["desktop", "app"]], [["desktop", "app"]]]);
  }
});

case_("ensure goes through a supervisor that is killed meanwhile", async ({ gob, graph }) => {
  const kills = (async () => {
    for (let times = 0; times < 4; times += 1) await gob.killSupervisor();
  })();
  let rounds = 0;
  let isOver = false;
  kills.finally(() => (isOver = true));
  while (!isOver) {
    const notes = graph(`g${(rounds += 1) % 3}`);
    await notes.ensure();
    await notes.release();
  }
  await kills;
  const notes = graph("g0");
  await notes.ensure();
  assert.equal(notes.worker.state, "ready");
});

case_("a supervisor that is shut down is not started again behind its back, and the next one is followed", async ({ gob, graph }) => {
  const notes = graph();
  await notes.ensure();
  await told(notes, "ready");
  await gob.ctl("shutdown", "--force");
  await told(notes, "gone");
  await until("no processes", () => gob.processes().length === 0);
  await gob.ctl("ping");
  await gob.ctl("start", "notes");
  await told(notes, "ready");
  assert.deepEqual([notes.isOwned, notes.worker.owner], [false, "cli"]);
  await until("the lease", async () => (await leases(gob)).length === 1);
});

case_("a worker at another endpoint has moved", async ({ gob, graph }) => {
  const script = join(gob.dir, "port.mjs");
  fs.writeFileSync(script, `
    import { createServer } from "node:http";
    import { serve } from ${JSON.stringify(import.meta.resolve("gob-client/worker"))};
    await serve(createServer((_, response) => response.end("here")), { port: 0 });
  `);
  gob.config(`[kind.port]\ncommand = ["node", "${script}"]\nreadiness = "handshake"\n`);
  await gob.ctl("config", "reload");
  const notes = graph("notes", { kind: "port" });
  const first = await notes.ensure();
  process.kill(notes.worker.pid, "SIGKILL");
  const [, , [, second], [, third]] = await told(notes, "ready", "gone", "moved", "ready");
  assert.ok(first !== second && second === third && notes.endpoint === third);
});

case_("an unhealthy worker of another owner is asked for again, and never stopped", async ({ gob, graph }) => {
  const path = join(gob.dir, "health.mjs");
  fs.writeFileSync(path, `
    import { existsSync } from "node:fs";
    import { createServer } from "node:http";
    import { serve } from ${JSON.stringify(import.meta.resolve("gob-client/worker"))};
    const server = createServer((_, response) => response.writeHead(existsSync(${JSON.stringify(join(gob.dir, "ill"))}) ? 500 : 200).end());
    await serve(server, { port: Number(process.argv[2]) });
  `);
  gob.config(`[kind.health]\ncommand = ["node", "${path}", "{port}"]\nreadiness = "http"
liveness = { type = "http", interval = "100ms", failures = 1 }\n`);
  await gob.ctl("config", "reload");
  await gob.ctl("start", "notes", "--kind", "health");
  const notes = graph();
  const endpoint = await notes.ensure();
  const { pid } = notes.worker;
  const starts = async () => (await gob.json("status")).requests;
  fs.writeFileSync(join(gob.dir, "ill"), "");
  await told(notes, "ready", "unhealthy");
  assert.equal(await notes.ensure(), endpoint);
  fs.rmSync(join(gob.dir, "ill"));
  await told(notes, "ready");
  assert.ok(lives(pid) && notes.worker.pid === pid && notes.worker.owner === "cli" && (await starts()) > 0);
  const blamed = await gob.json("blame", "notes");
  assert.ok(!JSON.stringify(blamed).includes('"event":"worker_stopping"'), JSON.stringify(blamed));
});

case_("a worker of another owner that gave way to a peer is asked for again", async ({ gob, graph }) => {
  const path = join(gob.dir, "cede.mjs");
  fs.writeFileSync(path, `
    import { createServer } from "node:net";
    import { serve } from ${JSON.stringify(import.meta.resolve("gob-client/worker"))};
    process.on("SIGHUP", () => process.exit(0));
    await serve(createServer(), { socket: process.argv[2] });
  `);
  gob.config(`[kind.cede]\ncommand = ["node", "${path}", "{socket}"]\nreadiness = "handshake"\nexit_zero = "ceded"\n`);
  await gob.ctl("config", "reload");
  await gob.ctl("start", "notes", "--kind", "cede");
  const notes = graph();
  await notes.ensure();
  process.kill(notes.worker.pid, "SIGHUP");
  await told(notes, "ready", "gone", "ready");
  assert.deepEqual([notes.worker.run, notes.worker.owner, notes.isOwned], [2, "desktop", true]);
  // Now it is this program's: what becomes of it is for the program to say.
  process.kill(notes.worker.pid, "SIGHUP");
  await told(notes, "gone");
  await until("ceded", () => notes.worker.state === "ceded");
  assert.deepEqual(notes.log, []);
});

case_("a start that fails is thrown, and nothing is held", async ({ gob, graph }) => {
  gob.config('[kind.bad]\ncommand = ["sh", "-c", "exit 3"]\nreadiness = "handshake"\nrestart = "never"\n[kind.slow]\ncommand = ["sleep", "600"]\nreadiness = "handshake"\n');
  await gob.ctl("config", "reload");
  const bad = graph("bad", { kind: "bad" });
  await assert.rejects(bad.ensure(), (error) => error.code === "server-start-failed" && error.request === "start" && error.details.exit.code === 3);
  assert.deepEqual([bad.worker, (await gob.worker("bad")).leases], [null, 0]);
  const slow = graph("slow", { kind: "slow" });
  await assert.rejects(slow.ensure({ timeoutMs: 100 }), (error) => error.code === "server-start-timeout");
  const ends = new AbortController();
  const waiting = slow.ensure({ signal: ends.signal });
  ends.abort();
  await assert.rejects(waiting, (error) => error.code === "aborted");
  await slow.release();
  await until("no lease", async () => (await gob.worker("slow")).leases === 0);
  const odd = graph("odd", { kind: "none-such" });
  await assert.rejects(odd.ensure(), (error) => error.code === "kind-not-found");
});

case_("the lease goes when the program crashes, and its owner ten seconds later", async ({ gob, client }) => {
  const program = `
    import { connect } from ${JSON.stringify(import.meta.resolve("gob-client"))};
    const client = await connect({ owner: "electron", client: { name: "crasher", version: "1" } });
    await client.graph("notes").ensure();
    console.log("held");
  `;
  const app = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  gob.kills(app);
  await once(app.stdout, "data");
  assert.deepEqual(await leases(gob), [["electron", "crasher"]]);
  const changed = client.events({ names: ["notes"], events: ["worker_owner_changed", "lease_released"] });
  await changed.ready;
  app.kill("SIGKILL");
  for (const event of ["lease_released", "worker_owner_changed"]) assert.equal((await changed.next()).value.event, event);
  const { owner, state } = await gob.worker("notes");
  assert.deepEqual([owner, state], ["unknown", "ready"]);
});

case_("another name of the worker, and another directory", async ({ gob, graph }) => {
  const rootDir = join(gob.dir, "elsewhere");
  fs.mkdirSync(rootDir);
  await gob.ctl("start", "notes", "--name", "other-name", "--root-dir", rootDir);
  const notes = graph("notes", { rootDir });
  await notes.ensure();
  assert.deepEqual([notes.worker.name, notes.worker.root_dir, notes.isOwned], ["other-name", rootDir, false]);
  await gob.ctl("restart", "other-name");
  await told(notes, "ready", "gone", "ready");
  await gob.killSupervisor();
  await told(notes, "gone", "ready");
  assert.equal(notes.worker.name, "other-name");
});

case_("a closed client lets go of its graphs", async ({ gob, client, graph }) => {
  const notes = graph();
  await notes.ensure();
  await client.close();
  await until("no lease", async () => (await leases(gob)).length === 0);
  await assert.rejects(notes.ensure(), (error) => GobError.is(error) && error.code === "client-closed");
});

case_("an ensure on the way back to a supervisor makes no second lease, and release gives the one back", async ({ gob, client, graph }) => {
  const notes = graph();
  await notes.ensure();
  const asked = [];
  // As an app does that wants it back at once: when it is told, and while the way back is in the middle of things.
  notes.on("gone", () => {
    for (const ms of [0, 20, 100]) setTimeout(() => asked.push(notes.ensure()), ms);
  });
  for (let round = 0; round < 3; round += 1) {
    await gob.killSupervisor();
    await until("the graph", () => notes.endpoint !== null && notes.worker.state === "ready" && asked.length === (round + 1) * 3);
  }
  assert.equal(new Set(await Promise.all(asked)).size, 1);
  await until(async () => `one lease: ${await leases(gob)}`, async () => (await leases(gob)).length === 1);
  await notes.release();
  await until("no lease", async () => (await leases(gob)).length === 0);
  await client.close();
});

case_("ensure after a release that is not over begins anew; the last call counts", async ({ gob, graph }) => {
  const notes = graph();
  await notes.ensure();
  const releasing = notes.release();
  assert.deepEqual([notes.endpoint, notes.worker], [null, null]);
  await Promise.all([notes.ensure(), notes.ensure(), releasing]);
  assert.deepEqual([await leases(gob), notes.endpoint !== null], [[["desktop", "app"]], true]);
  const ends = await Promise.allSettled([notes.release(), notes.ensure(), notes.release(), notes.ensure(), notes.release()]);
  assert.deepEqual(ends.map(({ status, reason }) => reason?.code ?? status), ["fulfilled", "aborted", "fulfilled", "aborted", "fulfilled"]);
  await until("no lease", async () => (await leases(gob)).length === 0);
  assert.equal(notes.endpoint, null);
});

case_("after kill -9 of the supervisor a worker is its former owner's again, before it is told as ready", async ({ gob, client, graph }) => {
  await gob.ctl("start", "notes");
  const [notes, other] = [graph(), graph()];
  await Promise.all([notes.ensure(), other.ensure()]);
  for (let times = 0; times < 3; times += 1) {
    for (const each of [notes, other]) await told(each, "ready");
    await gob.killSupervisor();
    for (const each of [notes, other]) {
      await told(each, "gone");
      await until(() => `ready: ${each.log}`, () => each.log.length > 0);
      const [[event, , worker]] = each.log;
      assert.deepEqual([event, worker.owner, worker.owned, each.isOwned, each.worker.owner], ["ready", "cli", false, false, "cli"]);
    }
    assert.equal((await gob.worker("notes")).owner, "cli");
  }
  assert.equal((await leases(gob)).length, 2);
  await assert.rejects(client.stop({ name: "notes" }), (error) => error.code === "server-owned-by-other");
});

case_("the owner comes back also by an ensure on the way, and what is this program's stays so", async ({ gob, graph }) => {
  await gob.ctl("start", "notes");
  const [notes, own] = [graph(), graph("own")];
  await Promise.all([notes.ensure(), own.ensure()]);
  notes.once("gone", () => void notes.ensure());
  await gob.killSupervisor();
  for (const each of [notes, own]) await told(each, "ready", "gone", "ready");
  assert.deepEqual([notes.worker.owner, notes.isOwned, own.worker.owner, own.isOwned], ["cli", false, "desktop", true]);
  await own.release();
  // What its owner has stopped is this program's when it starts it.
  await gob.ctl("stop", "notes");
  await until("idle", () => notes.worker.state === "idle");
  await notes.ensure();
  assert.deepEqual([notes.worker.owner, notes.isOwned], ["desktop", true]);
});
