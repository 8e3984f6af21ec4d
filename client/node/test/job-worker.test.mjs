// A worker for a lane of the queue, outside the supervisor (docs/QUEUE.md).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { connect, GobError } from "gob-client";
import { Gob, until } from "./support/gob.mjs";

const fixture = fileURLToPath(new URL("fixtures/job-worker.mjs", import.meta.url));

/** A lane that is left to workers outside. */
function case_(name, run) {
  test(name, { timeout: 120_000 }, async (t) => {
    const gob = new Gob(t);
    gob.config('[lanes.out]\nwidth = 0\n[queue]\nbackoff = ["100ms", "1s"]\n').adopt();
    const client = await connect({ owner: "cli", client: { name: "app", version: "1" } });
    t.after(() => client.close());
    const add = async (word, more = {}) => (await client.queueAdd({ lane: "out", command: ["do", word], cwd: gob.dir, ...more })).job.id;
    const job = async (id) => (await client.queueGet({ job_id: id })).job;
    const ends = (id, status) => until(`${id} ${status}`, async () => {
      const now = await job(id);
      return now.status === status && now;
    });
    await run({ gob, client, add, job, ends });
  });
}

case_("jobs are claimed, done one after the other, and finished", async ({ client, add, ends }) => {
  const done = [];
  let atOnce = 0;
  const worker = client.worker("out", async (job, signal) => {
    assert.equal((atOnce += 1), 1);
    assert.ok(!signal.aborted && job.status === "running" && job.locked_by.endsWith(`-${process.pid}`));
    await new Promise((resolve) => setTimeout(resolve, 5));
    done.push(job.command[1]);
    atOnce -= 1;
    if (job.command[1] === "b") throw new Error("not b");
  });
  const finished = [];
  worker.on("finished", (job) => finished.push(job.id));
  const ids = [];
  for (const word of ["a", "b", "c"]) ids.push(await add(word, { max_attempts: 2 }));
  await ends(ids[0], "completed");
  await ends(ids[2], "completed");
  const failed = await ends(ids[1], "failed");
  assert.deepEqual([failed.error, failed.attempts], ["not b", 2]);
  assert.deepEqual(done.sort(), ["a", "b", "b", "c"]);
  await worker.stop();
  await worker.done;
  assert.equal(finished.length, 4);
  const left = await add("d");
  assert.equal((await ends(left, "pending")).attempt, 0);
});

case_("more at once where that is asked for", async ({ client, add, ends }) => {
  let atOnce = 0;
  let most = 0;
  let go;
  const all = new Promise((resolve) => (go = resolve));
  const worker = client.worker("out", async () => {
    most = Math.max(most, (atOnce += 1));
    if (atOnce === 3) go();
    await all;
    atOnce -= 1;
  }, { concurrency: 3 });
  const ids = await Promise.all(["a", "b", "c", "d"].map((word) => add(word)));
  for (const id of ids) await ends(id, "completed");
  assert.equal(most, 3);
  await worker.stop();
});

case_("a job that is cancelled aborts its work at once, and the next one is done", async ({ client, add, ends, job }) => {
  const reasons = [];
  const left = [];
  const worker = client.worker("out", async (job, signal) => {
    if (job.command[1] === "quick") return;
    await once(signal, "abort");
    reasons.push(signal.reason.code);
  });
  worker.on("left", (job, error) => left.push([job.id, error.code]));
  const slow = await add("slow");
  await ends(slow, "running");
  await client.queueCancel({ job_id: slow });
  const quick = await add("quick");
  await ends(quick, "completed");
  assert.deepEqual([reasons, left, (await job(slow)).status], [["job-not-claimed"], [[slow, "job-not-claimed"]], "cancelled"]);
  await worker.stop();
});

case_("a stop waits for the work; one at once gives it back without counting", async ({ client, add, ends, job }) => {
  let go;
  const first = client.worker("out", () => new Promise((resolve) => (go = resolve)));
  const id = await add("a");
  // The job is running before its claimant hears of it.
  await until("the work", () => go);
  const stopped = first.stop();
  go();
  await stopped;
  assert.equal((await job(id)).status, "completed");
  const second = client.worker("out", (_job, signal) => once(signal, "abort"));
  const other = await add("b");
  await ends(other, "running");
  await second.stop({ now: true });
  const back = await ends(other, "pending");
  assert.deepEqual([back.attempt, back.attempts], [1, 0]);
});

case_("a claim outlives the supervisor, and its end is told to the next one", async ({ gob, client, add, ends, job }) => {
  let go;
  const worker = client.worker("out", (_job, signal) => new Promise((resolve, reject) => {
    go = resolve;
    signal.addEventListener("abort", () => reject(signal.reason));
  }), { heartbeatMs: 200 });
  const left = [];
  worker.on("left", (job, error) => left.push([job.id, error.message]));
  const id = await add("a");
  await until("the work", () => go);
  for (let times = 0; times < 2; times += 1) {
    await gob.killSupervisor();
    await until("the worker's connection", async () => (await gob.json("status")).connections >= 2);
  }
  go();
  const done = await ends(id, "completed");
  assert.deepEqual([done.attempt, left], [1, []]);
  // It goes on claiming, too.
  go = undefined;
  const next = await add("b");
  await until("the work", () => go);
  go();
  await ends(next, "completed");
  await worker.stop();
});

case_("work that nobody may hear of is given up in time", async ({ gob, client, add, ends }) => {
  const ended = [];
  const worker = client.worker("out", async (_job, signal) => {
    await once(signal, "abort");
    ended.push(signal.reason.code);
  }, { heartbeatMs: 50, giveUpMs: 500 });
  const id = await add("a");
  await ends(id, "running");
  await gob.ctl("shutdown", "--force");
  await until("the end", () => ended.length === 1);
  assert.deepEqual(ended, ["job-not-claimed"]);
  await worker.stop({ now: true });
});

case_("of a worker that is killed, another one gets the job", async ({ gob, client, add, ends }) => {
  const log = join(gob.dir, "log");
  const start = () => {
    const child = spawn(process.execPath, [fixture, "out", log], { env: gob.env, stdio: ["ignore", "inherit", "inherit"] });
    gob.kills(child);
    return child;
  };
  const lines = () => (fs.existsSync(log) ? fs.readFileSync(log, "utf8").split("\n").filter(Boolean) : []);
  const first = start();
  const id = await add("slow", { max_attempts: 1 });
  await until("the begin", () => lines().length === 1);
  first.kill("SIGKILL");
  await once(first, "exit");
  start();
  await until("the second begin", () => lines().length === 2);
  assert.deepEqual(lines().map((line) => line.split(" ").slice(0, 2)), [[id, "1"], [id, "2"]]);
  await ends(id, "running");
  await client.queueCancel({ job_id: id });
});

case_("a worker that can't claim says so", async ({ client }) => {
  const worker = client.worker("no lane!", () => undefined);
  await assert.rejects(worker.done, (error) => GobError.is(error) && error.request === "queue_claim");
});

case_("any reason of a failure is told", async ({ client, add, ends }) => {
  const id = await add("fail", { max_attempts: 1 });
  const reasons = ["half a character: \ud83d", "a\0b\nc", "é".repeat(2_000)];
  const worker = client.worker("out", () => {
    throw new Error(reasons.shift());
  });
  assert.match((await ends(id, "failed")).error, /half a character: \ufffd/);
  for (const expected of [/a.*b/s, /é+/]) assert.match((await ends(await add("fail", { max_attempts: 1 }), "failed")).error, expected);
  await worker.stop();
});

case_("a worker whose failure nobody looks at is told of by onWarning", async () => {
  const warnings = [];
  const client = await connect({ owner: "cli", onWarning: (message) => warnings.push(message) });
  client.worker("no lane!", () => 1, { concurrency: 3 });
  await until("the warning", () => warnings.length > 0);
  await client.close();
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /nothing is claimed from the lane no lane!/);
});

case_("work that does not end when it is told to keeps neither its job nor its program", async ({ gob, add, ends, job }) => {
  const id = await add("never");
  const text = `
    import { connect } from "gob-client";
    const client = await connect({ owner: "worker" });
    const worker = client.worker("out", () => new Promise(() => {}));
    worker.once("claimed", async () => {
      await client.close();
      console.log("closed");
    });
  `;
  const program = join(fileURLToPath(new URL(".", import.meta.url)), "fixtures");
  const child = gob.kills(spawn(process.execPath, ["--input-type=module", "-e", text], { cwd: program, env: gob.env, stdio: ["ignore", "pipe", "inherit"] }));
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
  await ends(id, "pending");
  assert.equal((await job(id)).attempts, 0);
});
