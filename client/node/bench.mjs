// Measures the client against a real supervisor of its own, next to a bare `net` echo with JSON in the same process and run.
//
//   npm run build && node bench.mjs [--quick]
//
// Samples alternate, and medians are compared. gobd comes from $GOB_LIBEXEC, else from target/release of the checkout.
import { execFileSync, fork } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "./dist/esm/index.js";

const here = dirname(fileURLToPath(import.meta.url));
const quick = process.argv.includes("--quick");
const [ROUNDS, TRIPS, PIPELINED, EVENTS] = quick ? [3, 200, 2_000, 2_000] : [15, 2_000, 20_000, 20_000];

/** Events of one replay: the supervisor keeps 1 MiB of them. */
const REPLAYED = 600;

if (process.argv[2] === "--echo") echo(process.argv[3]);
else await measure();

/** The floor: each line is parsed, and its answer written, by Node and nothing else. In a process of its own, as gobd is. */
function echo(path) {
  const event = { event: "lease_granted", seq: 0, time: "2026-11-20T10:00:00.131Z", actor: { owner: "electron", client: "bench", pid: 1 }, worker: JSON.parse(process.argv[4]) };
  net.createServer((socket) => {
    lines(socket, (text) => {
      const { id, events } = JSON.parse(text);
      if (events === undefined) return socket.write(`${JSON.stringify({ id, success: true, data: { pong: true, uptime_ms: 1 } })}\n`);
      for (let seq = 1; seq <= events; seq += 1) socket.write(`${JSON.stringify({ ...event, seq })}\n`);
    });
  }).listen(path, () => process.send("ready"));
}

function lines(socket, each) {
  let rest = "";
  socket.setEncoding("utf8").on("data", (chunk) => {
    const all = (rest + chunk).split("\n");
    rest = all.pop();
    for (const line of all) each(line);
  });
}

/** A client of the echo, as small as one can be. */
function bare(path) {
  return new Promise((resolve) => {
    const socket = net.createConnection(path, () => resolve(client));
    const pending = new Map();
    const client = {
      id: 0,
      onEvent: () => {},
      ping: () => new Promise((done) => {
        pending.set((client.id += 1), done);
        socket.write(`${JSON.stringify({ id: client.id, type: "ping", payload: {} })}\n`);
      }),
      events: (count) => socket.write(`${JSON.stringify({ id: 0, events: count })}\n`),
      close: () => socket.destroy(),
    };
    lines(socket, (text) => {
      const value = JSON.parse(text);
      if (value.event !== undefined) return client.onEvent(value);
      pending.get(value.id)(value.data);
      pending.delete(value.id);
    });
  });
}

async function measure() {
  const dir = fs.mkdtempSync(join(tmpdir(), "gobb-"));
  const bin = process.env.GOB_LIBEXEC ?? join(here, "../../target/release");
  for (const name of ["run", "state", "data"]) process.env[`GOB_${{ run: "RUNTIME", state: "STATE", data: "DATA" }[name]}_DIR`] = join(dir, name);
  process.env.GOB_LIBEXEC = bin;
  const gob = await connect({ owner: "electron", client: { name: "bench", version: "1" } });
  await gob.create({ command: ["true"], cwd: dir, name: "w" });
  const { worker } = await gob.get({ name: "w" });
  const path = join(dir, "echo.sock");
  const child = fork(fileURLToPath(import.meta.url), ["--echo", path, JSON.stringify(worker)]);
  await new Promise((done) => child.once("message", done));
  const floor = await bare(path);
  try {
    const figures = [
      ["round trip", "µs", TRIPS, (of) => trips(of), gob, floor],
      [`${PIPELINED} requests at once`, "requests/s", PIPELINED, (of) => pipelined(of), gob, floor],
      ["events read", "events/s", EVENTS, (of) => of(), () => replayed(gob, EVENTS), () => counted(floor, EVENTS)],
    ];
    // As many events as are replayed have to be there.
    for (let n = 0; n < REPLAYED; n += 1) await Promise.all([gob.lease({ name: "w" }), gob.release({ name: "w" })]);
    console.log("| figure | gob-client | bare echo | ratio |\n|---|---|---|---|");
    for (const [name, unit, count, run, ours, theirs] of figures) {
      const [mine, bares] = [[], []];
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const which of round % 2 === 0 ? [0, 1] : [1, 0]) (which === 0 ? mine : bares).push(await run(which === 0 ? ours : theirs));
      }
      const [a, b] = [median(mine), median(bares)];
      const shown = (ms) => (unit === "µs" ? ((ms * 1_000) / count).toFixed(1) : Math.round((count * 1_000) / ms).toLocaleString("en"));
      console.log(`| ${name} | ${shown(a)} ${unit} | ${shown(b)} ${unit} | ${(a / b).toFixed(2)} × |`);
    }
  } finally {
    floor.close();
    child.kill();
    await gob.close();
    execFileSync(join(bin, "gobctl"), ["nuke", "--force"], { stdio: "ignore" });
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

async function trips(client) {
  const begun = performance.now();
  for (let n = 0; n < TRIPS; n += 1) await client.ping({});
  return performance.now() - begun;
}

async function pipelined(client) {
  const begun = performance.now();
  await Promise.all(Array.from({ length: PIPELINED }, () => client.ping({})));
  return performance.now() - begun;
}

/** Reads the kept events again and again, each time over a connection of its own, whose making counts. */
async function replayed(client, count) {
  const { events_seq: seq, instance } = await client.status({});
  const begun = performance.now();
  for (let seen = 0; seen < count; ) {
    const events = client.events({ since: seq - REPLAYED, instance });
    for await (const event of events) {
      seen += 1;
      if (event.seq === seq || seen === count) break;
    }
  }
  return performance.now() - begun;
}

function counted(client, count) {
  return new Promise((done) => {
    const begun = performance.now();
    let seen = 0;
    client.onEvent = () => {
      if ((seen += 1) === count) done(performance.now() - begun);
    };
    client.events(count);
  });
}

function median(times) {
  return times.sort((a, b) => a - b)[times.length >> 1];
}
