// The worker's side without a supervisor: the handshake, its socket, its end.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as http from "node:http";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "./support/gob.mjs";

const fixture = fileURLToPath(new URL("fixtures/serving.mjs", import.meta.url));
const module_ = JSON.stringify(import.meta.resolve("gob-client/worker"));

function case_(name, run) {
  test(name, { timeout: 180_000 }, async (t) => {
    const dir = fs.mkdtempSync(join(tmpdir(), "gob-worker-"));
    t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
    await run({ t, dir, path: join(dir, "run/a.sock") });
  });
}

/** Runs a program, and collects its output. */
function node(t, args, env = {}) {
  const child = spawn(process.execPath, args, { env: { ...process.env, NOTIFY_SOCKET: "", ...env } });
  t.after(() => child.kill("SIGKILL"));
  child.out = child.err = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (child.out += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (child.err += text));
  child.ended = once(child, "close").then(([code, signal]) => code ?? signal);
  return child;
}

const script = (t, text, env) =>
  node(t, ["--input-type=module", "-e", `import { ready, failed, onStop } from ${module_};\n${text}`], env);

/** Starts the fixture, and returns it with its handshake. */
async function serving(t, options) {
  const child = node(t, [fixture, JSON.stringify(options)]);
  await until(() => `a handshake: ${child.out}${child.err}`, () => child.out.includes("\n"));
  child.handshake = JSON.parse(child.out);
  return child;
}

/** One request over a socket or an agent; the text of the answer. */
function get(where, path = "/") {
  return new Promise((resolve, reject) => {
    const request = http.get({ ...where, path }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece) => (text += piece));
      response.on("end", () => resolve(text)).on("error", reject);
    });
    request.on("error", reject);
  });
}

case_("ready writes one line, whatever is in it", async ({ t }) => {
  const said = { endpoint: "unix:/run/a b.sock", version: "1.0", meta: { pages: 12, name: "ü\n" } };
  const child = script(t, `console.log("before"); await ready(${JSON.stringify(said)}); console.log("after");`);
  assert.equal(await child.ended, 0);
  const [before, line, after, ...more] = child.out.split("\n");
  assert.deepEqual([before, after, more], ["before", "after", [""]]);
  assert.deepEqual(JSON.parse(line), { ready: true, pid: child.pid, ...said });
});

case_("serve refuses what it can't serve, and tells gob so", async ({ t }) => {
  for (const args of [
    "", "{}", "undefined, { port: 0 }", "createServer()", "createServer(), null", 'createServer(), { port: "abc" }', "createServer(), { port: 65_536 }",
    'createServer(), { socket: "a.sock" }', "createServer(), {}", 'createServer(), { socket: "/tmp/a.sock", port: 0 }', "createServer(), { scoket: 1 }",
    "createServer(), { port: 0, close: 5 }", "createServer(), { port: 0, deadlineMs: NaN }", 'createServer(), { port: 0, signals: "SIGTERM" }',
  ]) {
    const child = script(t, `
      import { createServer } from "node:http";
      import { GobError, serve } from ${module_};
      await serve(${args}).catch((error) => console.error(GobError.is(error), error.code));
    `);
    assert.deepEqual([await child.ended, child.err, JSON.parse(child.out).ready], [1, "true usage\n", false], `serve(${args})`);
  }
});

case_("ready refuses what gob would refuse, and writes nothing then", async ({ t }) => {
  for (const said of [
    { endpoint: "a\nb" },
    { endpoint: "" },
    { endpoint: "x".repeat(4_096) },
    { endpoint: "a", port: 1 },
    { port: 0 },
    { port: 65_536 },
    { meta: { text: "x".repeat(65_536) } },
  ]) {
    const child = script(t, `await ready(${JSON.stringify(said)}).catch((error) => console.error(error.code));`);
    assert.deepEqual([await child.ended, child.out, child.err], [0, "", "usage\n"]);
  }
});

case_("failed says why, and the exit code is 1", async ({ t }) => {
  const child = script(t, `await failed("no\\nplace");`);
  assert.equal(await child.ended, 1);
  assert.deepEqual(child.out, `${JSON.stringify({ ready: false, error: "no\nplace" })}\n`);
});

case_("a notification that can't be sent is an error that names the remedy", async ({ t, dir }) => {
  const env = { NOTIFY_SOCKET: join(dir, "none.sock"), PATH: dir };
  const child = script(t, `await ready().catch((error) => console.error(error.code, error.hint));`, env);
  assert.equal(await child.ended, 0);
  assert.match(child.err, /^notify-unavailable .*readiness = "handshake"/);
});

case_("the socket is for its user alone, and is gone at the end", async ({ t, dir, path }) => {
  const child = await serving(t, { socket: path, version: "2", meta: { a: 1 } });
  assert.deepEqual(child.handshake, { ready: true, pid: child.pid, endpoint: `unix:${path}`, version: "2", meta: { a: 1 } });
  assert.deepEqual([fs.statSync(path).mode & 0o777, fs.statSync(join(dir, "run")).mode & 0o777], [0o600, 0o700]);
  assert.equal(await get({ socketPath: path }), "here");
  child.kill("SIGTERM");
  assert.equal(await child.ended, 0);
  assert.deepEqual(fs.readdirSync(join(dir, "run")), []);
});

case_("a socket that nobody serves is replaced, anything else refused and left alone", async ({ t, path }) => {
  const first = await serving(t, { socket: path });
  first.kill("SIGKILL");
  await first.ended;
  assert.ok(fs.existsSync(path));
  const second = await serving(t, { socket: path });
  for (const [make, why] of [
    [() => {}, /another process already answers/],
    [() => (fs.rmSync(path), fs.writeFileSync(path, "x")), /is not a socket/],
  ]) {
    make();
    const refused = await serving(t, { socket: path });
    assert.match(refused.handshake.error, why);
    assert.equal(await refused.ended, 1);
  }
  assert.equal(fs.readFileSync(path, "utf8"), "x");
  second.kill("SIGTERM");
  assert.equal(await second.ended, 0);
  assert.equal(fs.readFileSync(path, "utf8"), "x");
});

case_("SIGURG has a lost socket bound again, and open connections go on", async ({ t, dir, path }) => {
  const child = await serving(t, { socket: path, kind: "net" });
  const open = net.connect(path);
  await once(open, "connect");
  const echo = async (socket, text) => {
    socket.write(text);
    assert.equal(String((await once(socket, "data"))[0]), text);
  };
  await echo(open, "one");
  const inode = fs.statSync(path).ino;
  child.kill("SIGURG");
  await echo(open, "two");
  assert.equal(fs.statSync(path).ino, inode, "a signal without a reason changes nothing");
  for (const lose of [
    () => fs.rmSync(path),
    () => fs.rmSync(join(dir, "run"), { recursive: true }),
    () => fs.renameSync(join(dir, "run"), join(dir, "aside")),
    () => (fs.renameSync(path, `${path}.aside`), fs.linkSync(`${path}.aside`, `${path}.other`)),
  ]) {
    // The one before may be handled only now, and has the socket bound again.
    const before = fs.statSync(path).ino;
    lose();
    child.kill("SIGURG");
    await until("another socket", () => fs.existsSync(path) && fs.statSync(path).ino !== before);
    const again = net.connect(path);
    await once(again, "connect");
    await echo(again, "again");
    again.destroy();
    assert.equal(fs.statSync(path).mode & 0o777, 0o600);
  }
  await echo(open, "three");
  child.kill("SIGTERM");
  await once(open.resume(), "close");
  assert.equal(await child.ended, 0);
});

case_("what lies in the place of a lost socket is left alone until it goes", async ({ t, path }) => {
  const child = await serving(t, { socket: path });
  fs.rmSync(path);
  fs.writeFileSync(path, "mine");
  child.kill("SIGURG");
  await until("a warning", () => child.err.includes("is not a socket"));
  assert.equal(fs.readFileSync(path, "utf8"), "mine");
  fs.rmSync(path);
  await until("the socket again", () => fs.existsSync(path));
  assert.equal(await get({ socketPath: path }), "here");
});

case_("paths longer than an address", async ({ t, dir }) => {
  const path = join(dir, "d".repeat(120), `${"n".repeat(200)}.sock`);
  const child = await serving(t, { socket: path });
  assert.ok(fs.lstatSync(path).isSocket());
  // O_PATH; the name is too long for an address.
  const fd = fs.openSync(path, 0x200000);
  assert.equal(await get({ socketPath: `/proc/self/fd/${fd}` }), "here");
  fs.closeSync(fd);
  const refused = await serving(t, { socket: path });
  assert.match(refused.handshake.error, /another process already answers/);
  child.kill("SIGTERM");
  assert.equal(await child.ended, 0);
  assert.ok(!fs.existsSync(path));
});

case_("SIGTERM lets requests that have begun be answered, closes idle connections, and exits 0", async ({ t, path }) => {
  const child = await serving(t, { socket: path });
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  assert.equal(await get({ socketPath: path, agent }), "here");
  const late = get({ socketPath: path }, "/slow");
  await until("the request", () => child.err.includes("slow"));
  child.kill("SIGTERM");
  assert.equal(await late, "at the end");
  assert.equal(await child.ended, 0);
  assert.ok(child.err.endsWith("stopping\nclosed\n"), child.err);
});

case_("a second SIGTERM exits at once, and so does the deadline", async ({ t, path }) => {
  const twice = await serving(t, { socket: path, hang: true });
  twice.kill("SIGTERM");
  await until("the stop", () => twice.err.includes("stopping"));
  twice.kill("SIGTERM");
  assert.equal(await twice.ended, 1);
  const late = await serving(t, { socket: path, hang: true, deadlineMs: 50 });
  late.kill("SIGTERM");
  assert.equal(await late.ended, 1);
  assert.match(late.err, /longer than 50 ms/);
});

case_("a port is told with its number, and a taken one is a failure", async ({ t }) => {
  const child = await serving(t, { port: 0 });
  const { port } = new URL(child.handshake.endpoint);
  assert.match(child.handshake.endpoint, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(await get({ host: "127.0.0.1", port }), "here");
  const taken = await serving(t, { port: Number(port) });
  assert.match(taken.handshake.error, /EADDRINUSE/);
  assert.equal(await taken.ended, 1);
  child.kill("SIGTERM");
  assert.equal(await child.ended, 0);
});

case_("a worker that can't say that it is ready ends with that error, and leaves no socket", async ({ t, dir, path }) => {
  const text = `
    import { createServer } from "node:http";
    import { serve } from ${module_};
    await serve(createServer(), { socket: ${JSON.stringify(path)} });
  `;
  // Its parent is gone: nobody reads from the pipe.
  const child = node(t, ["--input-type=module", "-e", text]);
  child.stdout.destroy();
  assert.equal(await child.ended, 1);
  assert.match(child.err, /EPIPE/);
  assert.doesNotMatch(child.err, /Unhandled 'error' event/);
  assert.ok(!fs.existsSync(path), `${fs.readdirSync(join(dir, "run"))}`);
});
