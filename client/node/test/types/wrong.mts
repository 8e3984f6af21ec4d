// What the compiler has to refuse, and what it has to know. Compiled by types.test.mjs, never run.
import { connect, type GobEvent, GobError, type StartData } from "gob-client";

await using client = await connect({ owner: "electron", client: { name: "app", version: "1" }, timeoutMs: 1_000 });

// @ts-expect-error: there is no such option.
await connect({ ownr: "electron" });
// @ts-expect-error: a text is no time.
await connect({ timeoutMs: "10s" });
// @ts-expect-error: the name is missing.
await client.stop({});
// @ts-expect-error: a misspelled key, which the supervisor would refuse.
await client.stop({ name: "notes", grace: 5 });
// @ts-expect-error: durations are numbers.
await client.stop({ name: "notes", grace_ms: "5s" });
// @ts-expect-error: no such state to wait for.
await client.start({ graph: "notes", wait: "done" });
// @ts-expect-error: a payload is not null.
await client.list(null);
// @ts-expect-error: no such state.
await client.list({ state: "running" });
// @ts-expect-error: keys are those of the wire.
await client.queueClaim({ lane: "ci", workerId: "a-1" });
// @ts-expect-error: hello is the client's own.
await client.hello({ protocol: 1 });
// @ts-expect-error: no such request.
await client.request("dance", {});
// @ts-expect-error: the types of events are known.
client.events({ events: ["worker_died"] });

const { worker, outcome, created }: StartData = await client.start({ graph: "notes", env: process.env, lease: undefined });
const words: "started" | "reused" | "taken-over" | "external" = outcome;
const flag: boolean | undefined = created;
// @ts-expect-error: null while it does not live.
const pid: number = worker.pid;
// @ts-expect-error: null where it has none.
worker.endpoint.length;
worker.endpoint satisfies string | null;
if (worker.exit !== null && "code" in worker.exit) worker.exit.code satisfies number;
// @ts-expect-error: null where there was no job.
(await client.queueClaim({ lane: "ci", worker_id: "a-1" })).job.id;
(await client.list({})).next satisfies string | undefined;
await client.list();
await client.status({});

for await (const event of client.events({ since: 4, names: ["notes"] })) {
  if (event.event === "gap") {
    event.workers.length satisfies number;
    break;
  }
  if (event.event === "worker_ready") event.worker.endpoint satisfies string | null;
  if (event.event === "queue_job_added") event.job.lane satisfies string;
  if (event.event === "lock_broken") event.lock satisfies string;
  // @ts-expect-error: not every event has a worker.
  event.worker.name;
  const known: GobEvent = event;
  void known;
}

const model = await client.model();
model.on("change", (change) => {
  if (change.change === "worker") change.worker.state satisfies string;
});
// @ts-expect-error: there is no such event.
model.on("changed", () => undefined);

try {
  await client.get({ name: "notes" });
} catch (error) {
  if (error instanceof GobError && error.code === "server-not-found") error.hint satisfies string | null;
  // @ts-expect-error: unknown until it was looked at.
  error.code;
}
void [words, flag, pid];
