// The supervisor of another machine: through gobctl, and an ssh that runs the command line over there on this machine.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connect } from "gob-client";
import { failure } from "./support/fake.mjs";
import { Gob, until } from "./support/gob.mjs";

/** A gob over there, and a directory here with an ssh that leads to it, or does what `script` says. */
function there(t, script) {
  const gob = new Gob(t);
  const bin = join(gob.dir, "ssh-bin");
  fs.mkdirSync(bin);
  const variables = Object.entries(gob.env).map(([name, value]) => `${name}='${value}'`);
  const leads = `for word; do last=$word; done\nexec env -i ${variables.join(" ")} sh -c "$last"`;
  fs.writeFileSync(join(bin, "ssh"), `#!/bin/sh\necho "$@" >>'${gob.dir}/calls'\n${script ?? leads}\n`, { mode: 0o755 });
  const before = { ...process.env };
  for (const name of Object.keys(process.env)) if (name.startsWith("GOB_") || name.startsWith("XDG_")) delete process.env[name];
  const here = join(gob.dir, "here");
  Object.assign(process.env, { PATH: `${bin}:${gob.env.PATH}`, HOME: here, GOB_RUNTIME_DIR: join(here, "run"), GOB_STATE_DIR: join(here, "state") });
  t.after(() => {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  });
  return gob;
}

test("a client works with the supervisor over there, and starts it", async (t) => {
  const gob = there(t);
  const client = await connect({ owner: "electron", host: "ssh://me@build:2222" });
  t.after(() => client.close());
  assert.match(fs.readFileSync(join(gob.dir, "calls"), "utf8"), /-p 2222 -l me -- build exec sh -c/);
  assert.equal(client.hello.server.pid, (await gob.json("status")).pid);
  const { worker } = await client.add({ command: ["sleep", "1000"], cwd: gob.dir, name: "nap", env: gob.env });
  assert.equal((await gob.worker("nap")).pid, worker.pid);
  assert.ok(!fs.existsSync(join(gob.dir, "here/run")), "nothing was started here");

  // Events go on behind a supervisor that is killed over there.
  const events = client.events({ names: ["nap"] });
  const seen = [];
  const reading = (async () => {
    for await (const event of events) seen.push(event.event);
  })();
  await client.stop({ name: "nap" });
  await until("an event", () => seen.includes("worker_stopped"));
  const lost = new Promise((done) => client.once("disconnected", done));
  await gob.killSupervisor();
  assert.equal((await lost).code, "connection-lost");
  await until("the events that were missed", () => seen.includes("gap"));
  await client.start({ name: "nap" });
  await until("an event of the next supervisor", () => seen.includes("worker_ready"));
  await client.close();
  await reading;
});

test("what leads nowhere is told with what ssh and gobctl say", async (t) => {
  const gob = there(t, "echo 'me@build: Permission denied (publickey).' >&2; exit 255");
  const refused = await failure(connect({ host: "ssh://build" }));
  assert.equal(refused.code, "supervisor-unreachable");
  assert.match(refused.message, /^ssh to ssh:\/\/build failed/);
  assert.deepEqual(refused.details, { cause: "me@build: Permission denied (publickey)." });
  assert.match(refused.hint, /ssh -- build true/);
  const wrong = await failure(connect({ host: "me@build" }));
  assert.match(wrong.message, /"me@build" is no address of another machine: did you mean ssh:\/\/me@build\?/);
  const two = await failure(connect({ host: "ssh://build", runtimeDir: gob.dir }));
  assert.equal(two.code, "usage");
  // A machine without an answer takes no other time than the caller gives it.
  fs.writeFileSync(join(gob.dir, "ssh-bin/ssh"), "#!/bin/sh\nwhile :; do sleep 0.1; done\n", { mode: 0o755 });
  const late = await failure(connect({ host: "ssh://build", signal: AbortSignal.timeout(300) }));
  assert.equal(late.code, "aborted");
  const isThere = () => spawnSync("pgrep", ["-f", join(gob.dir, "ssh-bin/ssh")]).stdout.length > 0;
  await until("the end of the ssh that waits", () => !isThere());
});

test("without autostart a client over there says that nobody runs", async (t) => {
  there(t);
  const refused = await failure(connect({ host: "ssh://build", autostart: false }));
  assert.equal(refused.code, "supervisor-unreachable");
  assert.match(refused.message, /no supervisor is running/);
});

test("a program ends with its client", (t) => {
  there(t);
  const client = JSON.stringify(import.meta.resolve("gob-client"));
  const text = `import { connect } from ${client}; const c = await connect({ host: "ssh://build" }); await c.ping({}); await c.close();`;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", text], { encoding: "utf8", timeout: 60_000 });
  assert.deepEqual([status, stderr], [0, ""]);
});
