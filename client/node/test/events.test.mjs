// Events over the lives of connections and supervisors: nothing twice, nothing lost without a gap that says so.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
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

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");

/** Collects what an iterator yields, in the background. */
function collect(events) {
  const seen = [];
  seen.over = (async () => {
    for await (const event of events) seen.push(event);
  })();
  return seen;
}

const numbers = (seen) => seen.filter((event) => event.event !== "gap").map((event) => event.seq);

/** Fails where a number comes twice or, without a gap in between, is left out. */
function assertWhole(seen) {
  for (let n = 1; n < seen.length; n += 1) {
    if (seen[n].event !== "gap" && seen[n - 1].instance === undefined) assert.equal(seen[n].seq, seen[n - 1].seq + 1, JSON.stringify(numbers(seen)));
  }
}

test("what is asked for behind the call of events is among them, a hundred times", async (t) => {
  const { gob, client } = await gobAndClient(t);
  for (let n = 0; n < 100; n += 1) {
    const events = client.events();
    const created = client.create({ command: ["true", `${n}`], cwd: gob.dir, name: `w${n}` });
    const { value } = await events.next();
    assert.deepEqual([value.event, value.worker?.name], ["worker_added", `w${n}`]);
    await created;
    await events.return();
  }
});

test("events have the wire's keys, in order and without a gap", async (t) => {
  const { gob, client } = await gobAndClient(t);
  const seen = collect(client.events());
  await client.add(job(gob, "nap"));
  await client.stop({ name: "nap" });
  await until("the end", () => seen.some((event) => event.event === "worker_stopped"));
  const kinds = seen.map((event) => event.event);
  assert.deepEqual(kinds.filter((kind) => kind !== "worker_updated"), ["worker_added", "worker_starting", "worker_started", "worker_ready", "worker_stopping", "worker_stopped"]);
  assertWhole(seen);
  const { actor, time, worker } = seen[0];
  assert.deepEqual([actor.owner, actor.pid, worker.owned], ["electron", process.pid, true]);
  assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test("since replays, names and events choose", async (t) => {
  const { gob, client } = await gobAndClient(t);
  for (const name of ["a", "b", "c"]) await client.create(job(gob, name));
  const { instance } = client.hello.server;
  const chosen = client.events({ since: 0, instance, names: ["a", "c"], events: ["worker_added"] });
  const got = [(await chosen.next()).value, (await chosen.next()).value];
  assert.deepEqual(got.map((event) => [event.event, event.worker.name]), [["worker_added", "a"], ["worker_added", "c"]]);
  await chosen.return();
  // Of another life: a snapshot in place of the events.
  const other = client.events({ since: 1, instance: "0197a2c4-6f00-7a10-8000-3d1f5c2b9a01", names: ["b"] });
  const { value: gap } = await other.next();
  assert.deepEqual([gap.event, gap.reason, gap.missed, gap.instance, gap.workers.map(({ name }) => name)], ["gap", "restarted", null, instance, ["b"]]);
  await other.return();
});

test("events that are kept no longer are a gap", async (t) => {
  const { gob, client } = await gobAndClient(t);
  const { worker } = await client.create(job(gob, "w"));
  const { events_seq: since } = await client.status({});
  // More than the 4,096 events that are kept.
  for (let n = 0; n < 2_100; n += 1) await Promise.all([client.lease({ name: "w" }), client.release({ name: "w" })]);
  const events = client.events({ since, instance: client.hello.server.instance });
  const { value: gap } = await events.next();
  assert.deepEqual([gap.event, gap.reason, gap.workers.map(({ name }) => name)], ["gap", "lost", ["w"]]);
  assert.ok(gap.seq > since + 4_096);
  assert.equal(gap.workers[0].created_at, worker.created_at);
  await events.return();
});

test("after kill -9 of the supervisor comes a gap with the workers, and then its successor's events", async (t) => {
  const { gob, client } = await gobAndClient(t);
  await client.create(job(gob, "kept"));
  const seen = collect(client.events());
  for (let n = 0; n < 3; n += 1) {
    await client.create(job(gob, `w${n}`));
    await until("its event", () => seen.some((event) => event.worker?.name === `w${n}`));
    process.kill(client.hello.server.pid, "SIGKILL");
    await until("the gap", () => seen.filter((event) => event.event === "gap").length === n + 1);
    const gap = seen.findLast((event) => event.event === "gap");
    assert.equal(gap.reason, "restarted");
    assert.ok(gap.workers.some(({ name }) => name === "kept"));
    await until("a successor", () => client.ping({}).then(() => client.hello.server.instance === gap.instance, () => false));
  }
  await client.create(job(gob, "last"));
  await until("the last one", () => seen.some((event) => event.worker?.name === "last"));
  assertWhole(seen);
});

test("a supervisor that was shut down is waited for, and not started", async (t) => {
  const { gob, client } = await gobAndClient(t);
  const events = client.events();
  const seen = collect(events);
  await events.ready;
  await client.shutdown({ force: true });
  await until("the last event", () => seen.some((event) => event.event === "supervisor_stopping"));
  await until("its end", () => gob.processes().length === 0);
  await pause(500);
  assert.deepEqual(gob.processes(), [], "it was started behind the back of the person who ended it");
  await gob.ctl("daemon", "start");
  await until("the gap", () => seen.some((event) => event.event === "gap"));
});

test("return, break, the signal and close end the iteration, also one that waits", async (t) => {
  const { client } = await gobAndClient(t);
  const { connections: before } = await client.status({});
  const control = new AbortController();
  const [returned, aborted, closed] = [client.events(), client.events({ signal: control.signal }), client.events()];
  const waits = [returned, aborted, closed].map((events) => events.next());
  await Promise.all([returned.ready, aborted.ready, closed.ready]);
  await returned.return();
  assert.deepEqual(await waits[0], { done: true, value: undefined });
  assert.deepEqual(await returned.next(), { done: true, value: undefined });
  control.abort();
  assert.equal((await waits[1]).done, true);
  assert.equal((await client.events({ signal: control.signal }).next()).done, true);
  {
    const disposed = client.events();
    await disposed[Symbol.asyncDispose]();
    assert.equal((await disposed.next()).done, true);
  }
  await until("the end of their connections", async () => (await client.status({})).connections === before + 1);
  await client.close();
  assert.equal((await waits[2]).done, true);
  assert.equal((await client.events().next()).done, true);
});

test("several calls of next at once get one event after the other", async (t) => {
  const { gob, client } = await gobAndClient(t);
  const events = client.events({ events: ["worker_added"] });
  const all = Array.from({ length: 20 }, () => events.next());
  for (let n = 0; n < 20; n += 1) await client.create(job(gob, `w${n}`));
  assert.deepEqual((await Promise.all(all)).map(({ value }) => value.worker.name), Array.from({ length: 20 }, (_, n) => `w${n}`));
  await events.return();
});

test("a consumer that stands still is told how many it missed, and nobody waits for it", async (t) => {
  const { gob, client } = await gobAndClient(t);
  await client.create(job(gob, "w"));
  const events = client.events();
  await events.ready;
  const before = process.memoryUsage().rss;
  let sent = 0;
  // Far more than the socket's buffers, the subscriber's 1,024 places and this client hold.
  for (let n = 0; n < 100; n += 1) {
    await Promise.all(Array.from({ length: 50 }, () => [client.lease({ name: "w" }), client.release({ name: "w" })]).flat());
    sent += 100;
  }
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 100 << 20, `${grown} bytes more`);
  let [got, gap] = [0, null];
  for await (const event of events) {
    if (event.event === "gap") gap = event;
    else got += 1;
    if (gap !== null) break;
  }
  assert.deepEqual([gap.reason, gap.workers.map(({ name }) => name)], ["lagged", ["w"]]);
  // Each is either an event or counted as missed.
  assert.equal(got + gap.missed, sent);
  assert.equal((await client.status({})).lagged_events, gap.missed);
});

test("memory is flat over 100,000 events", async (t) => {
  const { gob, client } = await gobAndClient(t);
  await client.create(job(gob, "w"));
  const events = client.events();
  await events.ready;
  let isOver = false;
  const sending = (async () => {
    while (!isOver) await Promise.all(Array.from({ length: 50 }, () => [client.lease({ name: "w" }), client.release({ name: "w" })]).flat());
  })();
  let [seen, missed, last, base, most] = [0, 0, 0, 0, 0];
  for await (const event of events) {
    if (event.event === "gap") missed += event.missed;
    else if (last > 0) assert.equal(event.seq, last + 1);
    last = event.seq;
    seen += 1;
    if (seen % 10_000 === 0) {
      collectGarbage();
      const { heapUsed, external } = process.memoryUsage();
      // What the first half needs at its most is there to stay, such as compiled code; 50,000 events have 50 MB.
      if (seen <= 50_000) base = Math.max(base, heapUsed + external);
      else most = Math.max(most, heapUsed + external - base);
    }
    if (seen === 100_000) break;
  }
  isOver = true;
  await sending;
  assert.ok(most < 4 << 20, `${most} bytes more`);
  assert.ok(missed < 100_000, `${missed} missed`);
});

test("a snapshot that comes in pages is put together, for a gap and for lagged", async (t) => {
  const view = (name) => ({ name, state: "idle" });
  const pages = { b: { workers: [view("c"), view("d")], next: "d" }, d: { workers: [view("e")] } };
  const lists = [];
  const server = await fake(t, (request, peer) => {
    const answer = (data) => peer.line({ id: request.id, success: true, data });
    if (request.type === "subscribe") {
      answer({ seq: 5, instance: "j", gap: true, workers: [view("a"), view("b")], next: "b" });
      // Before the pages, and after them.
      peer.line({ event: "worker_ready", seq: 6, time: "", actor: "supervisor", worker: view("c") });
    } else if (request.type === "list") {
      lists.push(request.payload);
      answer(pages[request.payload.after]);
      if (lists.length === 2) peer.line({ event: "lagged", missed: 3, seq: 9, workers: [view("a")], next: "b" });
    }
  });
  const client = await clientOf(t, server);
  const events = client.events({ since: 1, instance: "i", names: ["a", "c", "e"], owner: "cli" });
  const got = [];
  for await (const event of events) if (got.push(event) === 3) break;
  assert.deepEqual(got[0], { event: "gap", reason: "restarted", missed: null, seq: 5, instance: "j", workers: [view("a"), view("b"), view("c"), view("e")] });
  assert.equal(got[1].seq, 6);
  assert.deepEqual(got[2], { event: "gap", reason: "lagged", missed: 3, seq: 9, instance: "j", workers: [view("a"), view("c"), view("e")] });
  assert.deepEqual(lists, ["b", "d", "b", "d"].map((after) => ({ owner: "cli", after })));
});

test("a snapshot whose pages can't be had is asked for anew, and no event behind it comes before", async (t) => {
  const asked = [];
  const server = await fake(t, (request, peer) => {
    const answer = (data) => peer.line({ id: request.id, success: true, data });
    const event = (seq) => peer.line({ event: "supervisor_healed", seq, time: "", actor: "supervisor" });
    if (request.type === "subscribe") {
      asked.push(request.payload.since);
      if (asked.length > 1) return answer({ seq: 30, instance: "i", gap: true, workers: [{ name: "b" }] });
      answer({ seq: 10, instance: "i" });
      event(11);
      peer.line({ event: "lagged", missed: 8, seq: 20, workers: [{ name: "a" }], next: "a" });
      event(21);
    } else if (request.type === "list") {
      event(22);
      peer.line({ id: request.id, success: false, error: { code: "internal", message: "no page" } });
    }
  });
  const got = [];
  for await (const event of (await clientOf(t, server)).events({ since: 10, instance: "i" })) if (got.push(event) === 2) break;
  assert.deepEqual(got.map(({ event, seq }) => [event, seq]), [["supervisor_healed", 11], ["gap", 30]]);
  assert.deepEqual(asked, [10, 11]);
});

test("events begin with the subscription where the supervisor does not say what the last one was", async (t) => {
  const server = await fake(t, (request, peer) => {
    if (request.type !== "subscribe") return;
    peer.line({ id: request.id, success: true, data: { seq: 7, instance: "i" } });
    peer.line({ event: "supervisor_healed", seq: 8, time: "", actor: "supervisor" });
  });
  const events = (await clientOf(t, server)).events();
  assert.equal((await events.next()).value.seq, 8);
  assert.deepEqual(server.requests.map(({ type, payload }) => [type, payload]), [["status", {}], ["subscribe", {}]]);
  await events.return();
});

test("a connection that is lost between two events is made anew behind the last one", async (t) => {
  const asked = [];
  const server = await fake(t, (request, peer) => {
    asked.push(request.payload);
    peer.line({ id: request.id, success: true, data: { seq: 50, instance: "i" } });
    for (let seq = (request.payload.since ?? 50) + 1; seq < request.payload.since + 4; seq += 1) {
      peer.line({ event: "supervisor_healed", seq, time: "", actor: "supervisor" });
    }
    peer.socket.end();
  });
  const client = await clientOf(t, server);
  const got = [];
  for await (const event of client.events({ since: 40, instance: "i" })) if (got.push(event.seq) === 9) break;
  assert.deepEqual(got, [41, 42, 43, 44, 45, 46, 47, 48, 49]);
  assert.deepEqual(asked.slice(0, 3), [40, 43, 46].map((since) => ({ since, instance: "i" })));
});

test("a refusal that another try would not mend ends the iteration with it", async (t) => {
  const { client } = await gobAndClient(t);
  const events = client.events({ since: 0, owner: "Not An Owner" });
  const error = await failure(events.next());
  assert.deepEqual([error.code, error.request], ["invalid-owner", "subscribe"]);
  assert.equal((await events.next()).done, true);
});
