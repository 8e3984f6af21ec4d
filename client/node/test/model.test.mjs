// The live set of workers is what `list` says, whatever happened in between.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "gob-client";
import { client as clientOf, failure, fake } from "./support/fake.mjs";
import { Gob, until } from "./support/gob.mjs";

async function gobAndClient(t, options = {}) {
  const gob = new Gob(t).adopt();
  const client = await connect({ owner: "electron", ...options });
  t.after(() => client.close());
  return { gob, client };
}

/** A job of this name, whose command is its own. */
const job = (gob, name) => ({ command: ["sleep", `1000.${Buffer.from(name).readUIntBE(0, Math.min(name.length, 6))}`], cwd: gob.dir, name, env: gob.env });
/** The time of the last output has no event. */
const shown = (workers) => workers.map(({ last_output_at, ...worker }) => worker);

async function assertAsListed(client, model) {
  await until("the model is as listed", async () => {
    const [before, { workers }, after] = await Promise.all([client.status({}), client.list({}), client.status({})]);
    // A list between two changes, and a model that has had the first and not the second.
    if (model.instance !== after.instance || before.events_seq !== after.events_seq || model.seq !== after.events_seq) return false;
    assert.deepEqual(shown(model.workers), shown(workers));
    return true;
  });
}

test("a model is a map of the workers, and follows them", async (t) => {
  const { gob, client } = await gobAndClient(t);
  await client.create(job(gob, "b"));
  const model = await client.model();
  assert.deepEqual([model.size, model.has("b"), model.get("b").state, model.get("x"), [...model.keys()]], [1, true, "idle", undefined, ["b"]]);
  const changes = [];
  model.on("change", (change) => changes.push(change));
  await client.add(job(gob, "a"));
  await assertAsListed(client, model);
  await client.remove({ name: "b" });
  await assertAsListed(client, model);
  assert.deepEqual([...model].map(([name, worker]) => [name, worker.state, worker.owned]), [["a", "ready", true]]);
  assert.deepEqual(changes.at(-1), { change: "removed", name: "b" });
  assert.deepEqual(changes[0].change, "worker");
  let each = 0;
  model.forEach((worker, name, self) => (each += worker.name === name && self === model ? 1 : 0));
  assert.equal(each, 1);
  await model.close();
  assert.deepEqual([model.isConnected, model.size], [false, 1]);
});

test("names are ordered by their bytes, as list orders them", async (t) => {
  const { gob, client } = await gobAndClient(t);
  for (const graph of ["ﬀ", "😀", "a", "Z", "é", "zz"]) await client.start({ graph, env: gob.env });
  const model = await client.model();
  assert.deepEqual([...model.keys()], (await client.list({})).workers.map(({ name }) => name));
});

test("a model outlives its supervisor, and is again what list says", async (t) => {
  const { gob, client } = await gobAndClient(t);
  for (const name of ["a", "b", "c"]) await client.add(job(gob, name));
  const model = await client.model();
  const changes = [];
  model.on("change", ({ change }) => changes.push(change));
  for (let n = 0; n < 3; n += 1) {
    const { instance } = model;
    process.kill(client.hello.server.pid, "SIGKILL");
    await until("another life", () => model.instance !== instance && model.isConnected);
    await until("a successor", () => client.ping({}).then(() => true, () => false));
    await client.add(job(gob, "a"));
    await assertAsListed(client, model);
  }
  assert.ok(changes.filter((change) => change === "disconnected").length >= 3);
  assert.ok(changes.filter((change) => change === "everything").length >= 3);
});

test("random changes by several clients leave the model as listed", async (t) => {
  const { gob, client } = await gobAndClient(t);
  const model = await client.model();
  const others = await Promise.all([connect({ owner: "electron" }), connect({ owner: "electron" })]);
  t.after(() => Promise.all(others.map((other) => other.close())));
  let seed = 7;
  const random = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const steps = [
    (of, name) => of.add(job(gob, name)),
    (of, name) => of.create(job(gob, name)),
    (of, name) => of.stop({ name, force: true }),
    (of, name) => of.remove({ name }),
    (of, name) => of.lease({ name }),
    (of, name) => of.release({ name }),
    (of, name) => of.restart({ name, env: gob.env }),
    (of) => of.cleanup({}),
  ];
  for (let round = 0; round < 15; round += 1) {
    const all = Array.from({ length: 12 }, () => steps[random(steps.length)]([client, ...others][random(3)], `w${random(6)}`));
    for (const result of await Promise.allSettled(all)) {
      if (result.status === "rejected") assert.match(result.reason.code, /^(server-|graph-conflict)/);
    }
    await assertAsListed(client, model);
  }
});

test("a model of some workers has these alone", async (t) => {
  const { gob, client } = await gobAndClient(t);
  const model = await client.model({ names: ["a", "later"] });
  for (const name of ["a", "b", "later"]) await client.create(job(gob, name));
  await until("both", () => model.size === 2);
  assert.deepEqual([...model.keys()], ["a", "later"]);
});

test("a model that can't be had says why; a signal and close end one", async (t) => {
  const { client } = await gobAndClient(t);
  assert.equal((await failure(client.model({ owner: "Not An Owner" }))).code, "invalid-owner");
  const control = new AbortController();
  const model = await client.model({ signal: control.signal });
  const ended = new Promise((resolve) => model.once("end", resolve));
  control.abort();
  assert.equal(await ended, undefined);
  assert.equal((await failure(client.model({ signal: control.signal }))).code, "aborted");
  const other = await client.model();
  const over = new Promise((resolve) => other.once("end", resolve));
  await client.close();
  assert.equal(await over, undefined);
  assert.equal((await failure(client.model())).code, "client-closed");
});

test("old events change nothing, and those of tomorrow are taken by their worker", async (t) => {
  const view = (name, state) => ({ name, state });
  const server = await fake(t, (request, peer) => {
    peer.line({ id: request.id, success: true, data: { seq: 5, instance: "i", workers: [view("a", "ready")] } });
    const event = (event, seq, worker) => peer.line({ event, seq, time: "", actor: "supervisor", worker });
    event("worker_failed", 5, view("a", "failed"));
    event("worker_of_tomorrow", 6, view("b", "ready"));
    event("supervisor_healed", 7);
    event("worker_removed", 8, view("a", "idle"));
  });
  const model = await (await clientOf(t, server)).model();
  await until("the last event", () => model.seq === 8);
  assert.deepEqual([...model], [["b", view("b", "ready")]]);
});
