// One connection against a server that does as it likes: lines, time limits, signals, loss, back-pressure.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { getEventListeners } from "node:events";
import { dirname } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { connect, GobError } from "gob-client";
import { programName } from "../dist/esm/client.js";
import { client, failure, fake, HELLO } from "./support/fake.mjs";
import { until } from "./support/gob.mjs";

const pong = (request, peer) => peer.line({ id: request.id, success: true, data: { pong: true, uptime_ms: 1 } });

test("hello tells owner, client and protocol, and nothing else", async (t) => {
  let hello;
  const server = await fake(t, pong, {
    greet: (request, peer) => {
      hello = request;
      peer.line({ id: request.id, success: true, data: HELLO });
    },
  });
  const made = await client(t, server, { owner: "electron", client: { name: "notes-app", version: "2.1" } });
  assert.deepEqual(hello.payload, { protocol: 1, client: { name: "notes-app", version: "2.1" }, owner: "electron" });
  assert.deepEqual(made.hello, HELLO);
  assert.deepEqual(await made.ping({}), { pong: true, uptime_ms: 1 });
  assert.deepEqual(server.requests.map(({ type, payload }) => [type, payload]), [["ping", {}]]);
});

test("a program without a name of its own is called like its file, as far as hello takes it", () => {
  assert.deepEqual([undefined, "", ".", "/a/main.js", "/a/b\n"].map(programName), ["node", "node", "node", "main.js", "b?"]);
  assert.equal(programName(`/${"é".repeat(40)}`), "é".repeat(32));
  assert.equal(programName(`/${"x".repeat(62)}😀`), "x".repeat(62));
});

test("methods are named in camelCase, and send the payload as it is", async (t) => {
  const server = await fake(t, (request, peer) => peer.line({ id: request.id, success: true, data: { of: request.type } }));
  const made = await client(t, server);
  assert.deepEqual(await made.handOver({ name: "notes", to: "cli" }), { of: "hand_over" });
  assert.deepEqual(await made.queueAdd({ lane: "ci", command: ["make"], cwd: "/", env: { A: "1", B: undefined } }), { of: "queue_add" });
  assert.deepEqual(await made.status(), { of: "status" });
  assert.deepEqual(server.requests.map((request) => request.payload), [
    { name: "notes", to: "cli" },
    { lane: "ci", command: ["make"], cwd: "/", env: { A: "1" } },
    {},
  ]);
});

test("a refusal is a GobError with all that the wire has", async (t) => {
  const error = { code: "server-owned-by-other", message: "notes is owned by cli", hint: "ask", details: { owner: "cli" } };
  const server = await fake(t, (request, peer) => peer.line({ id: request.id, success: false, error }));
  const refused = await failure((await client(t, server)).stop({ name: "notes" }));
  assert.ok(refused instanceof GobError && refused instanceof Error && GobError.is(refused));
  const { code, message, hint, details, request } = refused;
  assert.deepEqual({ code, message, hint, details, request }, { ...error, request: "stop" });
  // As a window gets it, which no error reaches whole.
  assert.deepEqual(JSON.parse(JSON.stringify(refused)), { ...error, request: "stop" });
});

test("answers come in any order, and in any division", async (t) => {
  const held = [];
  const server = await fake(t, (request, peer) => {
    held.push(request);
    if (held.length < 3) return;
    const text = held.reverse().map(({ id, payload }) => `${JSON.stringify({ id, success: true, data: { name: payload.name } })}\r\n`).join("\n");
    for (const byte of Buffer.from(text)) peer.raw(Buffer.of(byte));
  });
  const made = await client(t, server);
  const names = ["ä", "😀", "c"];
  const answers = await Promise.all(names.map((name) => made.get({ name })));
  assert.deepEqual(answers.map((answer) => answer.name), names);
});

test("lines that can't be used are told and dropped, and the next answer is read", async (t) => {
  const server = await fake(t, (request, peer) => {
    const bad = ["no JSON", "[1]", "7", "null", '{"id":99,"success":true,"data":{}}', '{"id":"x","success":false,"error":{"code":"busy","message":"m"}}', '{"event":5}', '{"id":null,"success":true,"data":{}}', '{"id":1}', "{}"];
    peer.raw(`${bad.join("\n")}\n`);
    peer.raw(Buffer.concat([Buffer.of(0xc3, 0x28), Buffer.from("\n")]));
    pong(request, peer);
  });
  const made = await client(t, server);
  assert.equal((await made.ping({})).pong, true);
  await until("the warnings", () => made.warnings.length >= 11);
  assert.equal(made.warnings.length, 11);
  assert.ok(made.warnings.every((warning) => warning.startsWith("a line of the supervisor was dropped: ")), String(made.warnings));
});

test("a listener that throws does not disturb the reading", async (t) => {
  const server = await fake(t, (request, peer) => {
    peer.raw(`garbage\n${JSON.stringify({ id: request.id, success: true, data: { pong: true } })}\n`);
  });
  const program = `
    import { connect } from "gob-client";
    const seen = [];
    process.on("uncaughtException", (error) => seen.push(error.message));
    const client = await connect({ runtimeDir: ${JSON.stringify(server.runtime)}, autostart: false, onWarning: () => { throw new Error("thrown") } });
    const answers = [await client.ping({}), await client.ping({})];
    await client.close();
    console.log(JSON.stringify({ seen, answers }));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { cwd: dirname(fileURLToPath(import.meta.url)) });
  assert.deepEqual(JSON.parse(stdout), { seen: ["thrown", "thrown"], answers: [{ pong: true }, { pong: true }] });
});

test("an answer that can't be read fails its request at once", async (t) => {
  const server = await fake(t, (request, peer) => peer.raw(`{"id":${request.id},"success":true}\n`));
  const { code, request } = await failure((await client(t, server)).ping({}));
  assert.deepEqual([code, request], ["answer-invalid", "ping"]);
});

test("an answer of more than 64 MiB is dropped, fails its request, and the connection goes on", async (t) => {
  const chunk = Buffer.alloc(1 << 20, "a");
  const server = await fake(t, (request, peer) => {
    if (request.type === "ping") return pong(request, peer);
    peer.raw(`{"id":${request.id},"success":true,"data":{"x":"`);
    for (let n = 0; n < 65; n += 1) peer.raw(chunk);
    peer.raw('"}}\n');
  });
  const made = await client(t, server);
  const { code, message } = await failure(made.list({}));
  assert.equal(code, "answer-invalid");
  assert.match(message, /longer than 64 MiB/);
  assert.equal((await made.ping({})).pong, true);
});

test("one of 60 MiB is read", async (t) => {
  const server = await fake(t, (request, peer) => {
    peer.raw(`{"id":${request.id},"success":true,"data":{"x":"`);
    for (let n = 0; n < 60; n += 1) peer.raw(Buffer.alloc(1 << 20, "a"));
    peer.raw('"}}\n');
  });
  assert.equal((await (await client(t, server)).list({})).x.length, 60 << 20);
});

test("a request that can't be sent is refused here", async (t) => {
  const server = await fake(t, pong);
  const made = await client(t, server);
  const circular = {};
  circular.self = circular;
  for (const payload of [null, 7, "x", [], circular, { run: 1n }]) {
    const { code, request } = await failure(made.request("ping", payload));
    assert.deepEqual([code, request], ["usage", "ping"]);
  }
  const long = await failure(made.add({ command: ["x".repeat(1 << 20)], cwd: "/" }));
  assert.deepEqual([long.code, long.request], ["frame-too-long", "add"]);
  // Of the same number of characters, and three times as many bytes.
  assert.equal((await failure(made.add({ command: ["€".repeat(400_000)], cwd: "/" }))).code, "frame-too-long");
  assert.equal((await made.ping({})).pong, true);
  assert.equal(server.requests.length, 1);
});

test("a time limit names the request and itself; a late answer is dropped", async (t) => {
  let late;
  const server = await fake(t, (request, peer) => {
    if (request.type === "list") late = () => peer.line({ id: request.id, success: true, data: { workers: [] } });
    else pong(request, peer);
  });
  const made = await client(t, server);
  const { code, message, request, details } = await failure(made.list({}, { timeoutMs: 200 }));
  assert.deepEqual([code, request, details], ["client-timeout", "list", { timeout_ms: 200, sent: true }]);
  assert.equal(message, "no answer to `list` within 200 ms");
  late();
  assert.equal((await made.ping({})).pong, true);
  assert.deepEqual(made.warnings, []);
  assert.equal((await failure(made.list({}, { timeoutMs: 50 }))).details.timeout_ms, 50);
});

test("a start has no limit of its own: pings tell whether the supervisor lives", async (t) => {
  let isAlive = true;
  const server = await fake(t, (request, peer) => {
    if (request.type === "ping" && isAlive) pong(request, peer);
  });
  const made = await client(t, server, { timeoutMs: 2_000 });
  const begun = performance.now();
  const started = made.start({ graph: "notes" });
  await until("some pings", () => server.requests.filter((request) => request.type === "ping").length >= 4);
  isAlive = false;
  const error = await failure(started);
  assert.deepEqual([error.code, error.request], ["supervisor-unreachable", "start"]);
  assert.match(error.message, /no answer to `start`, and none to a ping for/);
  assert.ok(performance.now() - begun > 6_000);
  assert.equal((await failure(made.start({ graph: "notes" }, { timeoutMs: 50 }))).code, "client-timeout");
});

test("a signal gives up the wait, before and after the request is sent", async (t) => {
  const server = await fake(t);
  const made = await client(t, server);
  const control = new AbortController();
  const waiting = failure(made.list({}, { signal: control.signal }));
  await until("the request", () => server.requests.length === 1);
  control.abort(new Error("the window was closed"));
  const error = await waiting;
  assert.deepEqual([error.code, error.request, error.cause.message], ["aborted", "list", "the window was closed"]);
  assert.equal((await failure(made.list({}, { signal: control.signal }))).code, "aborted");
  assert.equal(server.requests.length, 1);
});

test("many requests with one signal cost no more than without, and warn of nothing", async (t) => {
  const warned = [];
  const warn = (warning) => warned.push(warning.message);
  process.on("warning", warn);
  t.after(() => process.off("warning", warn));
  const gob = await client(t, await fake(t, ({ id }, peer) => peer.line({ id, success: true, data: {} })), { timeoutMs: 300_000 });
  const { signal } = new AbortController();
  const took = async (options) => {
    const begun = performance.now();
    await Promise.all(Array.from({ length: 20_000 }, () => gob.ping({}, options)));
    return performance.now() - begun;
  };
  await took({});
  const [without, withSignal] = [await took({}), await took({ signal })];
  assert.ok(withSignal < without * 4 + 200, `${withSignal} ms with a signal, ${without} ms without`);
  assert.deepEqual([warned, getEventListeners(signal, "abort").length], [[], 0]);
});

test("a lost connection fails all that is pending at once, and the next request makes another", async (t) => {
  let isFirst = true;
  const server = await fake(t, (request, peer) => {
    if (!isFirst) return pong(request, peer);
    if (server.requests.length < 3) return;
    isFirst = false;
    peer.raw('{"id":2,"success":true,"data":{"half":');
    peer.end();
  });
  const made = await client(t, server);
  const told = [];
  made.on("connected", () => told.push("connected")).on("disconnected", (error) => told.push(error.code));
  const errors = await Promise.all(["list", "status", "start"].map((type) => failure(made.request(type, {}))));
  assert.deepEqual(errors.map(({ code, request }) => [code, request]), ["list", "status", "start"].map((type) => ["connection-lost", type]));
  assert.ok(!made.isConnected);
  assert.equal((await made.ping({})).pong, true);
  assert.deepEqual(told, ["connection-lost", "connected"]);
  assert.equal(server.received.connections, 2);
});

test("close fails all that is pending, and everything after it", async (t) => {
  const server = await fake(t);
  const made = await client(t, server);
  const pending = failure(made.list({}));
  await made.close();
  assert.equal((await pending).code, "client-closed");
  assert.equal((await failure(made.ping({}))).code, "client-closed");
  await until("the end", () => server.peers.size === 0);
});

test("await using closes", async (t) => {
  const server = await fake(t, pong);
  const made = await client(t, server);
  await made[Symbol.asyncDispose]();
  assert.equal((await failure(made.ping({}))).code, "client-closed");
});

test("256 requests are unanswered at most; the others wait in their order", async (t) => {
  const held = [];
  const server = await fake(t, (request, peer) => held.push(() => pong(request, peer)));
  const made = await client(t, server);
  const all = Array.from({ length: 1_000 }, (_, n) => made.request("get", { name: `w${n}` }));
  const gone = failure(made.get({ name: "gone" }, { timeoutMs: 30 }));
  await until("the first ones", () => held.length === 256);
  const { code, details } = await gone;
  assert.deepEqual([code, details], ["client-timeout", { timeout_ms: 30, sent: false }]);
  assert.equal(held.length, 256);
  let answered = 0;
  while (answered < 1_000) {
    await until("another", () => held.length > answered);
    assert.ok(held.length - answered <= 256);
    held[answered]();
    answered += 1;
  }
  await Promise.all(all);
  assert.deepEqual(server.requests.map((request) => request.payload.name), Array.from({ length: 1_000 }, (_, n) => `w${n}`));
});

test("requests beyond the bound are refused at once, and the memory stays", async (t) => {
  const server = await fake(t, () => {});
  for (const peer of server.peers) peer.socket.pause();
  const made = await client(t, server, { timeoutMs: 300_000 });
  const large = "x".repeat(512 * 1024);
  const results = Array.from({ length: 400 }, () => made.get({ name: large }).catch((error) => error));
  const refused = [];
  for (const result of results) {
    const settled = await Promise.race([result, new Promise((done) => setImmediate(done, null))]);
    if (settled !== null) refused.push(settled);
  }
  // 64 MiB wait here beside the 256 requests on the wire; all are of 512 KiB.
  assert.ok(refused.length >= 10 && refused.every((error) => error.code === "client-busy"), `${refused.length}`);
  await made.close();
});

test("another program at the socket is told from a supervisor", async (t) => {
  for (const said of ["HTTP/1.1 400 Bad Request\n", '{"success":false,"message":"unknown request type: hello"}\n', "\u0000\u0001\n"]) {
    const server = await fake(t, pong, { greet: (_, peer) => peer.raw(said) });
    const { code, message, request } = await failure(connect({ runtimeDir: server.runtime, autostart: false }));
    assert.deepEqual([code, request], ["supervisor-unreachable", "hello"]);
    assert.equal(message, `another program answers on ${server.path}`);
  }
});

test("a refusal of the connection itself is told as it is", async (t) => {
  const error = { code: "busy", message: "all places are taken", details: { limit: "connections" } };
  const server = await fake(t, pong, {
    greet: (_, peer) => {
      peer.line({ id: null, success: false, error });
      peer.socket.end();
    },
  });
  const refused = await failure(connect({ runtimeDir: server.runtime, autostart: false }));
  assert.deepEqual([refused.code, refused.message, refused.details], ["busy", error.message, error.details]);
});

test("a supervisor that does not answer hello is given up by the time limit; a signal does it sooner", async (t) => {
  const server = await fake(t, pong, { greet: () => {} });
  const options = { runtimeDir: server.runtime, autostart: false };
  const { code, request } = await failure(connect({ ...options, timeoutMs: 100 }));
  assert.deepEqual([code, request], ["client-timeout", "hello"]);
  const control = new AbortController();
  const aborted = failure(connect({ ...options, signal: control.signal }));
  setTimeout(() => control.abort(), 50);
  assert.equal((await aborted).code, "aborted");
  await until("the end", () => server.peers.size === 0);
});
