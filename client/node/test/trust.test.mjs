// Whose the directory and the socket are is looked at before a byte is written; where they are follows from the environment.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "gob-client";
import { findGobctl } from "../dist/esm/autostart.js";
import { readLockFile, resolvePlaces } from "../dist/esm/places.js";
import { client, failure, fake } from "./support/fake.mjs";

const pong = (request, peer) => peer.line({ id: request.id, success: true, data: { pong: true } });
const asRoot = process.geteuid() === 0;

async function refusal(server, runtime = server.runtime) {
  const error = await failure(connect({ runtimeDir: runtime, autostart: false, timeoutMs: 500 }));
  assert.deepEqual(server.received, { bytes: 0, connections: 0 }, "something was written");
  assert.equal(error.code, "permission-denied");
  return error;
}

test("a directory that others may enter is refused", async (t) => {
  const server = await fake(t, pong);
  for (const mode of [0o710, 0o701, 0o750, 0o777]) {
    fs.chmodSync(server.runtime, mode);
    const { message, hint, details } = await refusal(server);
    assert.match(message, new RegExp(`is open to others \\(mode 0${mode.toString(8)}\\); it has to be 0700`));
    assert.deepEqual([details.path, details.mode], [server.runtime, mode]);
    assert.match(hint, /gobctl doctor/);
  }
  fs.chmodSync(server.runtime, 0o700);
  assert.ok(await (await client(t, server)).ping());
});

test("a link in place of the directory, or a file, is refused", async (t) => {
  const server = await fake(t, pong);
  const [link, file] = ["link", "file"].map((name) => join(server.dir, name));
  fs.symlinkSync(server.runtime, link);
  fs.writeFileSync(file, "");
  assert.match((await refusal(server, link)).message, /is a symbolic link/);
  // A slash behind the name would follow it.
  assert.match((await refusal(server, `${link}/`)).message, /is a symbolic link/);
  assert.match((await refusal(server, file)).message, /is not a directory/);
});

test("a socket that others may use, and a link to one, are refused", async (t) => {
  const server = await fake(t, pong, { mode: 0o666 });
  assert.match((await refusal(server)).message, /the socket .* is open to others \(mode 0666\)/);
  fs.renameSync(server.path, join(server.dir, "elsewhere"));
  fs.symlinkSync(join(server.dir, "elsewhere"), server.path);
  assert.match((await refusal(server)).message, /the socket .* is a symbolic link/);
});

test("another user's directory or socket is refused", async (t) => {
  const server = await fake(t, pong);
  if (asRoot) {
    fs.chownSync(server.path, 65534, 65534);
    assert.match((await refusal(server)).message, /the socket .* belongs to uid 65534, not to you \(uid 0\)/);
    fs.chownSync(server.runtime, 65534, 65534);
    assert.match((await refusal(server)).message, /the runtime directory .* belongs to uid 65534/);
  } else {
    assert.match((await refusal(server, "/usr")).message, /belongs to uid 0, not to you/);
  }
});

test("without a supervisor the error says so, and names the socket", async (t) => {
  const server = await fake(t, pong);
  const nowhere = join(server.dir, "nowhere");
  const { code, message, hint, details } = await failure(connect({ runtimeDir: nowhere, autostart: false }));
  assert.deepEqual([code, message], ["supervisor-unreachable", "no supervisor is running"]);
  assert.deepEqual([hint, details.socket], ["gobctl daemon start starts it", join(nowhere, "daemon.sock")]);
  assert.ok(!fs.existsSync(nowhere));
  // A socket whose process has died.
  const stale = await fake(t, pong);
  await new Promise((done) => stale.server.close(done));
  assert.equal((await failure(connect({ runtimeDir: stale.runtime, autostart: false }))).code, "supervisor-unreachable");
  assert.equal((await failure(connect({ runtimeDir: "run", autostart: false }))).code, "usage");
});

test("the socket in the lock file is found, and checked in the same way", async (t) => {
  const server = await fake(t, pong);
  const state = process.env.GOB_STATE_DIR;
  fs.mkdirSync(state, { mode: 0o700 });
  const lock = join(state, "gobd.lock");
  const elsewhere = { runtimeDir: join(server.dir, "elsewhere"), autostart: false };
  for (const text of ["", "\n", "garbage", '{"pid":1}', '{"pid":1,"socket":"relative"}', "null"]) {
    fs.writeFileSync(lock, text);
    assert.equal((await failure(connect(elsewhere))).code, "supervisor-unreachable", text);
  }
  fs.writeFileSync(lock, `${JSON.stringify({ pid: process.pid, instance: "i", started_at: "", socket: server.path, protocol: 1, later: 1 })}\n`);
  const made = await connect(elsewhere);
  assert.ok(await made.ping());
  await made.close();
  fs.chmodSync(server.runtime, 0o755);
  assert.equal((await failure(connect(elsewhere))).code, "permission-denied");
});

test("a path that is too long for an address is reached through its directory", async (t) => {
  const server = await fake(t, pong);
  const long = join(server.dir, "x".repeat(100));
  fs.renameSync(server.runtime, long);
  const made = await connect({ runtimeDir: long, autostart: false });
  assert.ok(await made.ping());
  await made.close();
});

test("places follow from the environment as PROTOCOL 1 says", () => {
  const uid = process.geteuid();
  const of = (env, runtimeDir) => {
    const { runtime, state } = resolvePlaces(runtimeDir, env);
    return [runtime, state];
  };
  const home = { HOME: "/home/ada" };
  assert.deepEqual(of(home), [`/tmp/gob-${uid}`, "/home/ada/.local/state/gob"]);
  assert.deepEqual(of({ ...home, XDG_RUNTIME_DIR: "/run/user/1000", XDG_STATE_HOME: "/s" }), ["/run/user/1000/gob", "/s/gob"]);
  assert.deepEqual(of({ ...home, XDG_RUNTIME_DIR: "run", XDG_STATE_HOME: "s" }), [`/tmp/gob-${uid}`, "/home/ada/.local/state/gob"]);
  assert.deepEqual(of({ ...home, XDG_RUNTIME_DIR: "", GOB_RUNTIME_DIR: "", GOB_STATE_DIR: "/st/" }), [`/tmp/gob-${uid}`, "/st"]);
  assert.deepEqual(of({ ...home, GOB_RUNTIME_DIR: "/r/../q" }), ["/q", "/home/ada/.local/state/gob"]);
  assert.deepEqual(of({ ...home, GOB_RUNTIME_DIR: "/r" }, "/given"), ["/given", "/home/ada/.local/state/gob"]);
  for (const name of ["GOB_RUNTIME_DIR", "GOB_STATE_DIR"]) {
    assert.throws(() => of({ ...home, [name]: "x" }), { code: "usage", message: `${name} must be an absolute path, not \`x\`` });
  }
  assert.equal(readLockFile(resolvePlaces("/nowhere", { HOME: "/nowhere" })), null);
});

test("gobctl is looked for in GOB_LIBEXEC, then on PATH, and never by a relative path", async (t) => {
  const { dir } = await fake(t, pong);
  const make = (name, mode) => {
    const folder = join(dir, name);
    fs.mkdirSync(folder);
    fs.writeFileSync(join(folder, "gobctl"), "#!/bin/sh\n", { mode });
    return folder;
  };
  const [first, second, closed] = [make("a", 0o755), make("b", 0o755), make("c", 0o644)];
  assert.equal(findGobctl({ GOB_LIBEXEC: first, PATH: second }), join(first, "gobctl"));
  assert.equal(findGobctl({ GOB_LIBEXEC: "/nowhere", PATH: `rel:${closed}:${second}` }), join(second, "gobctl"));
  assert.throws(() => findGobctl({ PATH: `.:${closed}` }), { code: "supervisor-unreachable", details: { looked: [closed] } });
});
