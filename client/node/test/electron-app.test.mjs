// The main process of docs/examples/electron-app as it is, with stand-in windows, the real supervisor, and gobctl beside it.
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { App } from "./support/app.mjs";
import { Gob, lives, until } from "./support/gob.mjs";
import { invoke } from "./support/http.mjs";
import { copy, examples } from "./support/notes.mjs";

const electron = fileURLToPath(new URL("fixtures/electron", import.meta.url));

/** The app with its dependencies, where a package manager would have put them. */
function install(gob) {
  const folder = copy(gob, "electron-app");
  fs.symlinkSync(copy(gob, "node-worker"), join(folder, "node_modules/notes-worker"));
  fs.symlinkSync(electron, join(folder, "node_modules/electron"));
  return folder;
}

function case_(name, run) {
  test(name, { timeout: 120_000 }, async (t) => {
    const gob = new Gob(t);
    const folder = install(gob);
    await run({ gob, folder, start: (graph) => new App(gob, folder, graph) });
  });
}

const leases = async (gob, name = "diary") => (await gob.worker(name))?.leases;

case_("a window brings its graph up, and what the app started ends with it", async ({ gob, start }) => {
  const app = start();
  const { endpoint, owner, stop } = await app.state(0, ({ state }) => state === "ready");
  assert.deepEqual([owner, stop], ["electron", { can: true, why: null }]);
  assert.deepEqual(await app.call(0, "put", "a", "from the app"), { value: null });
  // The command line has the same graph.
  const { worker } = await gob.json("start", "diary");
  assert.deepEqual([worker.endpoint, worker.owned], [endpoint, false]);
  assert.deepEqual(await invoke(worker.endpoint, "list"), [{ id: "a", text: "from the app" }]);
  const refused = await gob.run("stop", "diary");
  assert.equal(refused.code, 5);
  await app.quit();
  assert.ok(!lives(worker.pid));
  assert.equal((await gob.worker("diary")).state, "idle");
});

case_("what the command line started is used, can't be stopped, and outlives the app", async ({ gob, start }) => {
  // The first run of the app has installed its kind.
  const first = start();
  await first.state(0, ({ state }) => state === "ready");
  await first.quit();
  await gob.ctl("start", "diary");
  const { pid } = await gob.worker("diary");
  const app = start();
  const { owner, stop } = await app.state(0, ({ windows }) => windows === 1);
  assert.deepEqual([owner, stop], ["cli", { can: false, why: "owned by cli: you can use it, not stop it" }]);
  assert.deepEqual(await app.call(0, "put", "a", "mine"), { value: null });
  const { error } = await app.call(0, "stop");
  assert.equal(error.code, "server-owned-by-other");
  assert.match(error.message, /diary is owned by cli, you are electron/);
  await app.quit();
  assert.ok(lives(pid));
  assert.deepEqual([(await gob.worker("diary")).owner, await leases(gob)], ["cli", 0]);
});

case_("a window is a lease, and closing it gives that back", async ({ gob, start }) => {
  const app = start();
  await app.state(0, ({ state }) => state === "ready");
  await app.open("diary");
  await app.open("ideas");
  await app.state(1, ({ windows }) => windows === 2);
  assert.deepEqual([await leases(gob), await leases(gob, "ideas")], [2, 1]);
  const { others } = await app.state(2, ({ others }) => others.length === 2);
  assert.deepEqual(others.map(({ name, owner }) => [name, owner]), [["diary", "electron"], ["ideas", "electron"]]);
  app.close(1);
  await until("one lease", async () => (await leases(gob)) === 1);
  app.close(2);
  await until("no lease", async () => (await leases(gob, "ideas")) === 0);
  assert.equal((await gob.worker("ideas")).state, "ready");
  // The last window ends the app; a graph that another program holds goes on.
  const held = gob.kills(fork(fileURLToPath(new URL("fixtures/lease-holder.mjs", import.meta.url)), ["diary"], { env: gob.env }));
  await until("its lease", async () => (await leases(gob)) === 2);
  app.close(0);
  assert.deepEqual(await app.ended, [0, null]);
  assert.deepEqual([(await gob.worker("diary")).state, await leases(gob)], ["ready", 1]);
  held.kill("SIGKILL");
});

case_("a hand-over is told to the windows, in both directions", async ({ gob, start }) => {
  const app = start();
  await app.state(0, ({ state }) => state === "ready");
  const { pid } = await gob.worker("diary");
  assert.equal((await app.call(0, "handOver", "cli")).error, undefined);
  await app.state(0, ({ owner, stop }) => owner === "cli" && !stop.can);
  await gob.ctl("hand-over", "diary", "electron");
  await app.state(0, ({ owner, stop }) => owner === "electron" && stop.can);
  assert.equal((await app.call(0, "stop")).error, undefined);
  await app.state(0, ({ state, error }) => state === "idle" && error !== null);
  assert.ok(!lives(pid));
  // What was stopped is not brought back by reading.
  assert.match((await app.call(0, "list")).error.message, /does not run/);
  await app.call(0, "start");
  await app.state(0, ({ state }) => state === "ready");
  assert.deepEqual(await app.call(0, "list"), { value: [] });
  await app.quit();
});

case_("kill -9 of the worker and of the supervisor: the window's graph comes back, with its notes and its lease", async ({ gob, start }) => {
  const app = start();
  await app.state(0, ({ state }) => state === "ready");
  await app.call(0, "put", "a", "kept");
  process.kill((await gob.worker("diary")).pid, "SIGKILL");
  await until("the second run", async () => (await gob.worker("diary")).run === 2);
  await app.state(0, ({ endpoint, state }) => endpoint !== null && state === "ready");
  await gob.killSupervisor();
  await until("the third run", async () => (await gob.worker("diary"))?.run === 3);
  await app.state(0, ({ endpoint, state, isConnected }) => endpoint !== null && state === "ready" && isConnected);
  assert.deepEqual(await app.call(0, "list"), { value: [{ id: "a", text: "kept" }] });
  assert.equal(await leases(gob), 1);
  await app.quit();
});

case_("a crash of the app gives its leases back, and the next app has its graph again", async ({ gob, start }) => {
  const app = start();
  await app.state(0, ({ state }) => state === "ready");
  const { pid } = await gob.worker("diary");
  app.child.kill("SIGKILL");
  await until("no lease", async () => (await leases(gob)) === 0);
  assert.ok(lives(pid));
  const next = start();
  const { stop } = await next.state(0, ({ windows }) => windows === 1);
  assert.ok(stop.can && (await gob.worker("diary")).pid === pid);
  await next.quit();
  assert.ok(!lives(pid));
});

case_("the app's kind is a file of its own, written once", async ({ gob, folder, start }) => {
  gob.config('[kind.mine]\ncommand = ["sleep", "600"]\n');
  const app = start();
  await app.state(0, ({ state }) => state === "ready");
  const file = join(gob.dir, "config/gob/config.d/notes-app.toml");
  const before = fs.statSync(file);
  assert.match(fs.readFileSync(file, "utf8"), /\[kind\.notes\]/);
  assert.deepEqual((await gob.json("status")).config.invalid, []);
  await app.quit();
  const next = start();
  await next.state(0, ({ state }) => state === "ready");
  assert.equal(fs.statSync(file).mtimeMs, before.mtimeMs);
  // A window's call that there is none of.
  assert.equal((await next.call(0, "constructor")).error.code, "usage");
  await next.quit();
  assert.ok(fs.existsSync(join(folder, "preload.cjs")));
});

/** A document of elements that keep what they were given. */
function page(html) {
  const elements = new Map([...html.matchAll(/id="([\w-]+)"/g)].map(([, id]) => [id, element()]));
  return {
    createElement: element,
    getElementById(id) {
      assert.ok(elements.has(id), `index.html has no ${id}`);
      return elements.get(id);
    },
  };
}

function element() {
  const made = { textContent: "", value: "", disabled: false, children: [] };
  made.append = (...more) => made.children.push(...more);
  made.replaceChildren = (...all) => (made.children = all);
  return made;
}

test("a window shows what it may not do, and why, and calls nothing that is not there", async (t) => {
  const folder = join(examples, "electron-app");
  const document = page(fs.readFileSync(join(folder, "index.html"), "utf8"));
  const state = {
    graph: "diary", endpoint: "unix:/run/diary.sock", state: "ready", owner: "cli", windows: 1, error: null, isConnected: true,
    stop: { can: false, why: "owned by cli: you can use it, not stop it" },
    others: [{ name: "ideas", owner: "electron", state: "ready" }],
  };
  const calls = [];
  let told;
  const gob = {
    call: async (name, ...args) => {
      calls.push([name, ...args]);
      if (name === "stop") return { error: { code: "server-owned-by-other", message: "diary is owned by cli", hint: "ask its owner" } };
      return { value: name === "state" ? state : name === "list" ? [{ id: "a", text: "first" }] : null };
    },
    onTold: (listener) => (told = listener),
  };
  Object.assign(globalThis, { document, window: { gob } });
  t.after(() => Object.assign(globalThis, { document: undefined, window: undefined }));
  await import(join(folder, "window.js"));
  const shown = (id) => document.getElementById(id);
  assert.deepEqual(
    [shown("graph").textContent, shown("state").textContent, shown("why").textContent, shown("stop").disabled, shown("start").disabled],
    ["diary", "ready, owned by cli, 1 in use", state.stop.why, true, true],
  );
  assert.deepEqual(shown("notes").children.map(({ textContent }) => textContent), ["first"]);
  await shown("stop").onclick();
  assert.equal(shown("why").textContent, "diary is owned by cli – ask its owner");
  await shown("others").children[0].children[0].onclick();
  shown("text").value = "second";
  await shown("form").onsubmit({ preventDefault() {} });
  await shown("start").onclick();
  await shown("hand-over").onclick();
  told({ ...state, endpoint: null, state: "idle", owner: "electron", error: "its worker has ended", isConnected: false, stop: { can: true, why: null } });
  assert.deepEqual(
    [shown("state").textContent, shown("stop").disabled, shown("start").disabled],
    ["the supervisor is away: its worker has ended", false, false],
  );
  const known = fs.readFileSync(join(folder, "desktop.js"), "utf8");
  for (const name of new Set(calls.map(([name]) => name))) assert.match(known, new RegExp(`^    ${name}: `, "m"));
  assert.deepEqual(calls.filter(([name]) => name === "open" || name === "handOver"), [["open", "ideas"], ["handOver", "cli"]]);
  assert.equal(calls.find(([name]) => name === "put")[2], "second");
});
