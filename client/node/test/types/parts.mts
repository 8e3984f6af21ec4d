// Graphs, locks, guards, files and jobs, as the compiler has to know them. Compiled by types.test.mjs, never run.
import { connect, FileLock, guarded, type HeldLock } from "gob-client";
import { onStop, ready, serve } from "gob-client/worker";
import { createServer } from "node:http";

await using client = await connect();

await using graph = client.graph("notes", { kind: "notes", rootDir: "/graphs" });
(await graph.ensure({ timeoutMs: 1_000 })) satisfies string;
// @ts-expect-error: null while it is not served.
graph.endpoint.length;
graph.on("ready", (endpoint, worker) => [endpoint satisfies string, worker.owner satisfies string]);
// @ts-expect-error: no such event.
graph.on("died", () => undefined);
// @ts-expect-error: a graph object never stops a worker.
await graph.stop();

(await client.lock("build")) satisfies HeldLock;
await using held = await client.lock("docs", { mode: "shared", ttlMs: 1_000 });
held.token satisfies number;
// @ts-expect-error: no such mode.
client.lock("build", { mode: "none" });
(await client.withLock("build", (signal) => signal.aborted)) satisfies boolean;
(await client.withLock("build", { within: [held] }, async (_signal, lock) => lock.token)) satisfies number;
// @ts-expect-error: the options come before the work.
await client.withLock("build", () => 1, { timeoutMs: 5 });

class Counter {
  count = 0;
  add(by: number): number {
    return (this.count += by);
  }
}
const counter = guarded(new Counter(), client.lock("counter"));
(await counter.add(1)) satisfies number;
// @ts-expect-error: a call is a promise.
counter.add(1) satisfies number;
guarded(new Counter(), new FileLock("a.lock"));
// @ts-expect-error: that is no lock.
guarded(new Counter(), new Map());

await using file = new FileLock("a.lock", { staleAfterMs: 1_000 });
(await file.acquire({ timeoutMs: 0 })).pid satisfies number;
// @ts-expect-error: null while it is not held.
file.info.pid;
file.on("lost", (error) => error.code);

const worker = client.worker("mail", async (job, signal) => [job.command.length, signal.aborted], { concurrency: 2 });
worker.on("left", (job, error) => [job.id, error.code]);
// @ts-expect-error: a lane and its work.
client.worker("mail");

await serve(createServer(), { socket: "/run/a.sock", meta: { pages: 1 }, close: () => undefined });
(await ready({ port: 5173 })) satisfies "handshake" | "notify";
onStop(() => undefined)();
