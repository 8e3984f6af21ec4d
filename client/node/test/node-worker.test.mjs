// The example docs/examples/node-worker under the real supervisor: the kind as it is shipped, its socket, its store, its end.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as http from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { Gob, lives, until } from "./support/gob.mjs";
import { ask, invoke } from "./support/http.mjs";
import { installNotes } from "./support/notes.mjs";

test("a worker in Node.js serves a graph, survives kill -9 with its notes, and stops with a receipt", { timeout: 120_000 }, async (t) => {
  const gob = new Gob(t);
  installNotes(gob);
  const { worker } = await gob.json("start", "diary", "--kind", "notes");
  assert.deepEqual([worker.state, worker.version, worker.meta], ["ready", "1.0.0", { notes: 0 }]);
  assert.equal(worker.endpoint, `unix:${join(gob.dir, "run/graphs/diary.sock")}`);
  const health = await ask(worker.endpoint, "/healthz");
  assert.deepEqual(health, { graph: "diary", status: "ready", pid: worker.pid, notes: 0 });
  await invoke(worker.endpoint, "put", { id: "a", text: "first" });
  await assert.rejects(invoke(worker.endpoint, "sing"), /there is no method sing/);

  // Half a line is what a kill in the middle of a write leaves.
  process.kill(worker.pid, "SIGKILL");
  fs.appendFileSync(join(gob.dir, "data/diary/notes.jsonl"), '{"id":"b"');
  const again = await until("the next run", async () => {
    const now = await gob.worker("diary");
    return now.state === "ready" && now.run === 2 && now;
  });
  await invoke(again.endpoint, "put", { id: "c", text: "third" });
  assert.deepEqual(await invoke(again.endpoint, "list"), [{ id: "a", text: "first" }, { id: "c", text: "third" }]);

  // gob tells of a lost socket; the worker binds it again.
  fs.rmSync(again.endpoint.slice(5));
  await until("the socket again", () => fs.existsSync(again.endpoint.slice(5)));
  assert.equal((await ask(again.endpoint, "/healthz")).pid, again.pid);

  const { receipt } = await gob.json("stop", "diary");
  assert.deepEqual(receipt.signalled.map(({ pid, signals }) => [pid, signals]), [[again.pid, ["SIGTERM"]]]);
  assert.ok(!lives(again.pid) && !fs.existsSync(again.endpoint.slice(5)));
  const stopped = await gob.worker("diary");
  assert.deepEqual([stopped.state, stopped.exit], ["idle", { code: 0 }]);
});

test("the same worker on a port tells its endpoint", { timeout: 60_000 }, async (t) => {
  const gob = new Gob(t);
  const folder = installNotes(gob);
  const command = JSON.stringify(["node", join(folder, "worker.mjs"), "--graph", "{graph}", "--data-dir", "{data_dir}", "--port", "{port}"]);
  gob.config(`[kind.port]\ncommand = ${command}\nreadiness = "handshake"\nstop = { http = "POST /v1/shutdown" }\n`);
  const { worker } = await gob.json("start", "diary", "--kind", "port");
  assert.match(worker.endpoint, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal((await ask(worker.endpoint, "/healthz")).pid, worker.pid);
  await invoke(worker.endpoint, "put", { id: "a", text: "kept" });
  // Asked to end by HTTP, it closes its store, and a client that listens for events does not hold it up.
  const events = http.get(`${worker.endpoint}/v1/events`).on("error", () => {});
  const [response] = await once(events, "response");
  response.resume();
  const { receipt } = await gob.json("stop", "diary");
  assert.deepEqual(receipt.survivors, []);
  const stopped = await gob.worker("diary");
  assert.deepEqual([stopped.exit, fs.readFileSync(join(gob.dir, "data/diary/notes.jsonl"), "utf8")], [{ code: 0 }, '{"id":"a","text":"kept"}\n']);
});

test("a worker that can't open its notes says why", { timeout: 60_000 }, async (t) => {
  const gob = new Gob(t);
  installNotes(gob);
  fs.mkdirSync(join(gob.dir, "data/diary/notes.jsonl"), { recursive: true });
  const { code, stderr } = await gob.run("start", "diary", "--kind", "notes");
  assert.equal(code, 8);
  assert.match(stderr, /cannot open the notes: EISDIR/);
});

/** A kind whose worker runs a script. */
function kind(gob, name, readiness, script) {
  const path = join(gob.dir, `${name}.mjs`);
  fs.writeFileSync(path, script.replace("gob-client/worker", import.meta.resolve("gob-client/worker")));
  const command = JSON.stringify(["node", path]);
  gob.config(`[kind.${name}]\ncommand = ${command}\nreadiness = "${readiness}"\n`, `config.d/${name}.toml`);
}

/** A program that speaks to NOTIFY_SOCKET, for machines without systemd-notify. */
const NOTIFY = `#!/usr/bin/env python3
import os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
    to.sendto("\\n".join(sys.argv[1:]).encode(), os.environ["NOTIFY_SOCKET"])
import time
time.sleep(5)  # Whose it is, is read from the living process.
`;

test("readiness by sd_notify goes through systemd-notify", { timeout: 60_000 }, async (t) => {
  const gob = new Gob(t);
  if (spawnSync("systemd-notify", ["--version"]).error) {
    fs.mkdirSync(join(gob.dir, "bin"));
    fs.writeFileSync(join(gob.dir, "bin/systemd-notify"), NOTIFY, { mode: 0o755 });
    gob.env.PATH = `${join(gob.dir, "bin")}:${gob.env.PATH}`;
  }
  kind(gob, "told", "notify", `
    import { onStop, ready } from "gob-client/worker";
    onStop(() => {});
    console.log(await ready({ endpoint: "unix:/ignored" }));
    setInterval(() => {}, 1000);
  `);
  const { worker } = await gob.json("start", "g", "--kind", "told");
  assert.equal(worker.state, "ready");
  await until("its output", () => fs.readFileSync(worker.stdout_path, "utf8") === "notify\n");
});

test("the lock of the graph is open in the worker, and in its children", { timeout: 60_000 }, async (t) => {
  const gob = new Gob(t);
  kind(gob, "kin", "handshake", `
    import { readlinkSync } from "node:fs";
    import { spawn } from "node:child_process";
    import { ready } from "gob-client/worker";
    const child = spawn("sh", ["-c", "readlink /proc/$$/fd/63; exec sleep 600"], { stdio: ["ignore", "pipe", "inherit"] });
    child.stdout.once("data", (text) => ready({ meta: { own: readlinkSync("/proc/self/fd/63"), child: String(text).trim(), pid: child.pid } }));
  `);
  const { worker } = await gob.json("start", "g", "--kind", "kin");
  assert.match(worker.meta.own, /^\//);
  assert.equal(worker.meta.child, worker.meta.own);
  const { receipt } = await gob.json("stop", "g");
  assert.deepEqual(receipt.survivors, []);
  assert.ok(!lives(worker.meta.pid));
});
