// The client against the real supervisor: start, crowds, refusals, kill -9 in the middle.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { connect } from "gob-client";
import { failure } from "./support/fake.mjs";
import { Gob, until } from "./support/gob.mjs";

const fixture = (name) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

/** A gob of this process, and a client of it. */
async function gobAndClient(t, options = {}) {
  const gob = new Gob(t).adopt();
  const client = await connect({ owner: "electron", client: { name: "test", version: "1" }, ...options });
  t.after(() => client.close());
  return { gob, client };
}

/** Sets variables until the end of the test; those of the gobs of later tests are found by them. */
function setVariables(t, variables) {
  const before = Object.keys(variables).map((name) => [name, process.env[name]]);
  Object.assign(process.env, variables);
  t.after(() => before.forEach(([name, value]) => (process.env[name] = value)));
}

const sleep = (gob, name, seconds = "1000") => ({ command: ["sleep", seconds], cwd: gob.dir, name, env: gob.env });

test("a job from its start to its end, with owner, receipt and refusals", async (t) => {
  const { gob, client } = await gobAndClient(t);
  const { worker, outcome } = await client.add(sleep(gob, "nap"));
  assert.deepEqual([outcome, worker.name, worker.owner, worker.owned, worker.state], ["started", "nap", "electron", true, "ready"]);
  assert.deepEqual((await client.get({ name: "nap" })).worker.pid, worker.pid);
  assert.deepEqual((await client.list({})).workers.map(({ name }) => name), ["nap"]);
  const other = await connect({ owner: "agent" });
  t.after(() => other.close());
  const refused = await failure(other.stop({ name: "nap" }));
  assert.deepEqual([refused.code, refused.request], ["server-owned-by-other", "stop"]);
  assert.equal(refused.details.owner, "electron");
  assert.match(refused.hint, /test, pid/);
  const unknown = await failure(client.get({ name: "none" }));
  assert.deepEqual([unknown.code, unknown.details], ["server-not-found", { worker: "none" }]);
  const field = await failure(client.stop({ name: "nap", grace: 1 }));
  assert.deepEqual([field.code, field.details.field], ["invalid-request", "payload.grace"]);
  const { receipt } = await client.stop({ name: "nap", grace_ms: 5_000 });
  assert.deepEqual([receipt.signalled[0].pid, receipt.survivors], [worker.pid, []]);
  assert.deepEqual((await client.remove({ name: "nap" })).removed, ["nap"]);
});

test("every request that reads is answered", async (t) => {
  const { gob, client } = await gobAndClient(t);
  await client.add(sleep(gob, "nap"));
  const { seq, instance } = await client.subscribe({});
  await client.unsubscribe({});
  const place = { after: `${instance}:${seq}` };
  const reads = [client.ping({}), client.status({}), client.list({}), client.get({ name: "nap" }), client.runs({ name: "nap" }), client.stats({ name: "nap" }), client.blame({ name: "nap" }), client.history(place), client.graphs({}), client.ports({}), client.reload({}), client.queueList({}), client.scheduleList({}), client.lockStatus({}), client.cleanup()];
  for (const data of await Promise.all(reads)) assert.equal(typeof data, "object");
});

test("a subscription of the client's own tells its events on its connection", async (t) => {
  const { gob, client } = await gobAndClient(t);
  const seen = [];
  const listener = (event) => seen.push([event.event, event.worker?.name]);
  client.on("event", listener);
  const { seq } = await client.subscribe({ names: ["nap"], snapshot: true });
  assert.equal(typeof seq, "number");
  await client.create(sleep(gob, "nap"));
  await until("its event", () => seen.length > 0);
  assert.deepEqual(seen, [["worker_added", "nap"]]);
  client.off("event", listener);
  await client.unsubscribe({});
});

test("a graph is started, leased, handed over and released", async (t) => {
  const { client } = await gobAndClient(t);
  const { worker } = await client.start({ graph: "notes", lease: true });
  assert.deepEqual([worker.state, worker.leases, worker.owner], ["ready", 1, "electron"]);
  assert.match(worker.endpoint, /^unix:\//);
  const { worker: handed } = await client.handOver({ name: "notes", to: "cli" });
  assert.deepEqual([handed.owner, handed.owned], ["cli", false]);
  assert.equal((await client.release({ name: "notes" })).worker.leases, 0);
});

test("10,000 requests at once are all answered, in bounded memory", async (t) => {
  const { client } = await gobAndClient(t, { timeoutMs: 300_000 });
  const all = Array.from({ length: 10_000 }, (_, n) => (n % 2 === 0 ? client.ping({}) : client.list({})));
  const answers = await Promise.all(all);
  assert.ok(answers.every((data, n) => (n % 2 === 0 ? data.pong === true : Array.isArray(data.workers))));
});

test("twenty processes that find no supervisor get one and the same", async (t) => {
  const gob = new Gob(t).adopt();
  const run = () =>
    new Promise((resolve, reject) => {
      execFile(process.execPath, [fixture("herd.mjs")], { env: gob.env, timeout: 60_000 }, (error, stdout, stderr) => {
        if (error === null) resolve(JSON.parse(stdout));
        else reject(new Error(`${error.message}\n${stderr}`));
      });
    });
  const told = await Promise.all(Array.from({ length: 20 }, run));
  assert.equal(new Set(told.map(({ instance }) => instance)).size, 1, "one supervisor");
  assert.equal(new Set(told.map(({ pid }) => pid)).size, 1, "one process of the worker");
  assert.equal(told.filter(({ outcome }) => outcome === "started").length, 1);
  // The keepers that lost, if there were any, have ended.
  const supervisors = () => gob.processes().filter((pid) => fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "gobd");
  await until("one gobd", () => supervisors().length === 1);
});

test("a crowd of clients in one process starts gobctl once", async (t) => {
  const gob = new Gob(t);
  const folder = join(gob.dir, "bin");
  const [count, real] = [join(gob.dir, "count"), join(gob.env.GOB_LIBEXEC, "gobctl")];
  fs.mkdirSync(folder);
  fs.writeFileSync(join(folder, "gobctl"), `#!/bin/sh\necho "$@" >> ${count}\nGOB_LIBEXEC=${gob.env.GOB_LIBEXEC} exec ${real} "$@"\n`, { mode: 0o755 });
  gob.adopt();
  setVariables(t, { GOB_LIBEXEC: folder });
  const clients = await Promise.all(Array.from({ length: 30 }, () => connect({ owner: "electron" })));
  t.after(() => Promise.all(clients.map((client) => client.close())));
  assert.equal(new Set(clients.map((client) => client.hello.server.instance)).size, 1);
  assert.equal(fs.readFileSync(count, "utf8"), "daemon start --json\n");
});

test("why the supervisor could not be started is told by its code, message and hint", async (t) => {
  const gob = new Gob(t).adopt();
  fs.writeFileSync(join(gob.dir, "file"), "");
  setVariables(t, { GOB_STATE_DIR: join(gob.dir, "file/state") });
  const error = await failure(connect({ owner: "electron" }));
  assert.equal(error.code, "supervisor-unreachable");
  assert.match(error.message, /cannot start|could not start|state/);
  assert.notEqual(error.hint, null);
  setVariables(t, { GOB_LIBEXEC: "/nowhere", PATH: "/nowhere" });
  assert.match((await failure(connect({}))).message, /gobctl, which starts it, is not there/);
});

test("kill -9 of the supervisor fails what is pending, and the next request reaches its successor", async (t) => {
  const { gob, client } = await gobAndClient(t);
  const first = client.hello.server;
  const lost = new Promise((resolve) => client.once("disconnected", resolve));
  const waiting = [client.queueClaim({ lane: "ci", worker_id: "w", wait_ms: 60_000 }), client.lockAcquire({ lock: "a" }).then(() => client.lockAcquire({ lock: "b", timeout_ms: 1 }))];
  await waiting[1];
  process.kill(first.pid, "SIGKILL");
  const pending = await failure(waiting[0]);
  assert.deepEqual([pending.code, pending.request], ["connection-lost", "queue_claim"]);
  assert.equal((await lost).code, "connection-lost");
  const { instance } = await client.status({});
  assert.notEqual(instance, first.instance);
  assert.equal(client.hello.server.instance, instance);
  assert.equal((await client.add(sleep(gob, "nap"))).outcome, "started");
});

test("requests go on through five deaths of the supervisor, and each fails or is answered", async (t) => {
  const { client } = await gobAndClient(t);
  const results = { answered: 0, lost: 0 };
  let isOver = false;
  const work = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      try {
        await client.list({});
        results.answered += 1;
      } catch (error) {
        if (error.code !== "connection-lost") throw error;
        results.lost += 1;
      }
    }
  });
  for (let n = 0; n < 5; n += 1) {
    const { pid, instance } = await client.status({}).catch(() => client.status({}));
    process.kill(pid, "SIGKILL");
    await until("a successor", async () => (await client.status({}).catch(() => ({ instance }))).instance !== instance);
  }
  isOver = true;
  await Promise.all(work);
  assert.ok(results.answered > 20 && results.lost >= 5, JSON.stringify(results));
});

test("a supervisor that stands still is given up by the time limit, and answers again later", async (t) => {
  const { client } = await gobAndClient(t, { timeoutMs: 2_000 });
  const { pid } = client.hello.server;
  let isStopped = process.kill(pid, "SIGSTOP");
  const goOn = () => {
    if (isStopped) process.kill(pid, "SIGCONT");
    isStopped = false;
  };
  // Before the end of the gob, which would wait for it.
  t.signal.addEventListener("abort", goOn);
  const [list, start] = await Promise.all([failure(client.list({})), failure(client.start({ graph: "notes" }))]);
  assert.deepEqual([list.code, list.request], ["client-timeout", "list"]);
  assert.deepEqual([start.code, start.request], ["supervisor-unreachable", "start"]);
  goOn();
  await until("an answer", () => client.ping({}).then(() => true, () => false));
});

test("another version is refused with the versions of both", async (t) => {
  const { gob } = await gobAndClient(t);
  const { open } = await import("../dist/esm/open.js");
  const { Connection } = await import("../dist/esm/connection.js");
  const { connectSocket } = await import("../dist/esm/socket.js");
  const socket = await connectSocket(join(gob.env.GOB_RUNTIME_DIR, "daemon.sock"), performance.now() + 5_000);
  const connection = new Connection(socket, { onEvent() {}, onWarning() {}, onEnd() {} });
  const error = await failure(connection.request("hello", { protocol: 99 }));
  assert.deepEqual([error.code, error.details.client, error.details.server], ["version-mismatch", 99, 1]);
  await connection.close(error);
  await assert.rejects(open({ owner: "Not An Owner", client: { name: "x" }, timeoutMs: 5_000, runtimeDir: undefined }, false, {}), { code: "invalid-owner", request: "hello" });
});
