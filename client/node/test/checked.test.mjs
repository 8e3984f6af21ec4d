// Arguments of careless callers: told at once, as an error of this package, and nothing is sent.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, FileLock, GobError, guarded, Model } from "gob-client";
import { onStop, ready } from "gob-client/worker";
import { client, fake } from "./support/fake.mjs";

const usage = (error) => GobError.is(error) && error.code === "usage";
/** Calls in a promise: some throw at once. */
const call = async (run) => run();

test("connect", async () => {
  const wrong = [{ runtimeDir: 5 }, { runtimeDir: "relative" }, { runtimeDir: "" }, { runtimeDir: "/tmp/\0" }, { timeoutMs: 0 }, { timeoutMs: "10" }, { timeoutMs: NaN }];
  for (const options of [...wrong, { signal: new AbortController() }, { onWarning: "log" }]) {
    await assert.rejects(connect({ autostart: false, ...options }), usage, JSON.stringify(options));
  }
});

test("requests, locks, graphs, workers, events, models", async (t) => {
  const server = await fake(t);
  const gob = await client(t, server);
  const signal = new AbortController();
  const wrong = {
    "a controller as the signal": () => gob.ping({}, { signal }),
    "a word as the limit": () => gob.ping({}, { timeoutMs: "x" }),
    "a limit that is no number": () => gob.ping({}, { timeoutMs: NaN }),
    "a number that JSON has no word for": () => gob.stop({ name: "notes", grace_ms: NaN }),
    "one deep inside": () => gob.request("list", { a: [{ b: Infinity }] }),
    "a lock's controller": () => gob.lock("a", { signal }).acquire(),
    "a lock's limit": () => gob.lock("a", { timeoutMs: NaN }).acquire(),
    "no work": () => gob.withLock("a"),
    "options and no work": () => gob.withLock("a", {}),
    "a graph's limit": () => gob.graph("notes").ensure({ timeoutMs: NaN }),
    "a graph's controller": () => gob.graph("notes").ensure({ signal }),
    "a worker without work": () => gob.worker("lane"),
    "a worker's number": () => gob.worker("lane", () => 1, { concurrency: NaN }),
    "a worker's time": () => gob.worker("lane", () => 1, { heartbeatMs: 0 }),
    "events' controller": () => gob.events({ signal }),
    "a model's controller": () => gob.model({ signal }),
  };
  for (const [what, run] of Object.entries(wrong)) await assert.rejects(call(run), usage, what);
  assert.deepEqual([server.requests, server.received.connections], [[], 1]);
});

/** The error of a call, which is one of usage. */
async function refusal(run, what) {
  try {
    await run();
  } catch (error) {
    assert.ok(usage(error), `${what}: ${error.stack}`);
    return error;
  }
  assert.fail(`${what} was taken`);
}

test("a misspelt option or event is told with the one that was meant", async (t) => {
  const server = await fake(t);
  const gob = await client(t, server);
  const file = new FileLock("/tmp/no-such/x");
  const graph = gob.graph("notes");
  const model = { on: (event) => Model.prototype.on.call(Object.assign(Object.create(Model.prototype), { telling: "model" }), event, () => 1) };
  for (const [run, name, meant] of [
    [() => connect({ onwer: "electron" }), "onwer", "owner"],
    [() => connect({ Owner: "electron" }), "Owner", "owner"],
    [() => connect({ timeout: 5 }), "timeout", "timeoutMs"],
    [() => gob.ping({}, { timeout: 5 }), "timeout", "timeoutMs"],
    [() => gob.request("ping", {}, { sginal: null }), "sginal", "signal"],
    [() => gob.graph("x", { knid: "notes" }), "knid", "kind"],
    [() => gob.graph("x", { rootdir: "/x" }), "rootdir", "rootDir"],
    [() => graph.ensure({ timeoutMS: 5 }), "timeoutMS", "timeoutMs"],
    [() => gob.lock("a", { timeout: 5 }), "timeout", "timeoutMs"],
    [() => gob.lock("a").acquire({ ttl: 5 }), "ttl", "ttlMs"],
    [() => gob.withLock("a", { mod: "shared" }, () => 1), "mod", "mode"],
    [() => gob.worker("mail", () => 1, { concurency: 5 }), "concurency", "concurrency"],
    [() => gob.events({ name: ["notes"] }), "name", "names"],
    [() => gob.model({ names: [], onwer: "cli" }), "onwer", "owner"],
    [() => new FileLock("/tmp/x", { staleAfter: 5 }), "staleAfter", "staleAfterMs"],
    [() => file.acquire({ timeout: 5 }), "timeout", "timeoutMs"],
    [() => ready({ endpiont: "unix:/a" }), "endpiont", "endpoint"],
    [() => onStop(() => 1, { deadline: 5 }), "deadline", "deadlineMs"],
    [() => graph.on("raedy", () => 1), "raedy", "ready"],
    [() => graph.once("redy", () => 1), "redy", "ready"],
    [() => graph.off("movd", () => 1), "movd", "moved"],
    [() => gob.on("disconected", () => 1), "disconected", "disconnected"],
    [() => file.on("losd", () => 1), "losd", "lost"],
    [() => model.on("changed"), "changed", "change"],
  ]) {
    const { message, hint } = await refusal(run, name);
    assert.ok(message.endsWith(` ${name}`), message);
    assert.equal(hint, `did you mean ${meant}?`, message);
  }
  const { hint } = await refusal(() => gob.graph("x", { database: "x" }), "database");
  assert.equal(hint, "there is rootDir, kind, workerName, env");
  for (const name of ["constructor", "__proto__x", "toString"]) await refusal(() => gob.graph("x", { [name]: 1 }), name);
  // Those of every emitter.
  graph.on("error", () => 1).on("newListener", () => 1).on(Symbol("own"), () => 1);
  assert.deepEqual(server.requests, []);
});

test("what is no options, no name, no time and no listener", async (t) => {
  const server = await fake(t);
  const gob = await client(t, server);
  for (const wrong of [null, "electron", 5, [], () => 1, new AbortController().signal]) {
    await refusal(() => connect(wrong), `connect(${String(wrong)})`);
    for (const [what, run] of Object.entries({
      request: () => gob.list({}, wrong), graph: () => gob.graph("x", wrong), ensure: () => gob.graph("x").ensure(wrong), lock: () => gob.lock("a", wrong),
      acquire: () => gob.lock("a").acquire(wrong), withLock: () => gob.withLock("a", wrong, () => 1), worker: () => gob.worker("m", () => 1, wrong),
      events: () => gob.events(wrong), model: () => gob.model(wrong), FileLock: () => new FileLock("/tmp/x", wrong), ready: () => ready(wrong),
      onStop: () => onStop(() => 1, wrong),
    })) await refusal(run, `${what}: ${String(wrong)}`);
  }
  for (const [what, run] of Object.entries({
    "a signal that is a number": () => gob.list({}, { signal: 5 }),
    "no name of a graph": () => gob.graph(),
    "a graph's kind": () => gob.graph("x", { kind: 5 }),
    "no name of a lock": () => gob.lock(),
    "no lane": () => gob.worker(undefined, () => 1),
    "no lock": () => guarded({}),
    "a time below 0": () => gob.ping({}, { timeoutMs: -1 }),
    "a time of a graph below 0": () => gob.graph("x").ensure({ timeoutMs: -1 }),
    "a time of a lock below 0": () => gob.lock("a", { timeoutMs: -1 }),
    "a time of a lock file below 0": () => new FileLock("/tmp/x", { timeoutMs: -1 }),
    "a text as the time": () => gob.lock("a", { timeoutMs: "5" }),
    "a text as a graph's time": () => gob.graph("x").ensure({ timeoutMs: "5" }),
    "a text as the lease of a lock": () => gob.lock("a", { ttlMs: "5" }),
    "no jobs at once": () => gob.worker("m", () => 1, { concurrency: 0 }),
    "a token that is no list": () => gob.lock("a", { within: 5 }),
    "an owner that is no text": () => connect({ owner: 5 }),
    "no listener": () => gob.graph("x").on("ready"),
    "no end": () => onStop(),
  })) await refusal(run, what);
  assert.deepEqual([server.requests, server.received.connections], [[], 1]);
});

test("no signal may be null, too", async (t) => {
  const server = await fake(t, ({ id }, peer) => peer.line({ id, success: true, data: {} }));
  const gob = await client(t, server, { signal: null });
  await gob.ping({}, { signal: null });
});

test("lock files", async () => {
  const wrong = [[5], [undefined], ["/tmp/\0"], ["/tmp/x", { staleAfterMs: NaN }], ["/tmp/x", { staleAfterMs: 0 }], ["/tmp/x", { process: 5 }], ["/tmp/x", { retries: NaN }]];
  // The others' record would be cut by those who read it.
  for (const args of [...wrong, ["/tmp/x", { process: "x".repeat(2_000) }]]) assert.throws(() => new FileLock(...args), usage, JSON.stringify(args));
  for (const wait of [{ signal: new AbortController() }, { timeoutMs: NaN }]) await assert.rejects(new FileLock("/tmp/no-such/x").acquire(wait), usage);
});
