// Arguments of careless callers: told at once, as an error of this package, and nothing is sent.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, FileLock, GobError } from "gob-client";
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
