// A stand-in for the supervisor: a Unix server whose lines a test writes by hand.
import * as fs from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "gob-client";

export const HELLO = {
  protocol: 1,
  server: { version: "0.1.0", pid: process.pid, instance: "i", started_at: "2026-11-20T09:58:00.000Z" },
  owner: "unknown",
  features: ["jobs", "locks", "queue"],
};

/**
 * Serves in a directory of the test's own. `answer` gets each request but hello, and `peer` to write with: `peer.line(value)`,
 * `peer.raw(bytes)`, `peer.end()`. `greet` answers hello in its place.
 */
export async function fake(t, answer = () => {}, { greet, mode = 0o600 } = {}) {
  const dir = fs.mkdtempSync(join(tmpdir(), "gobf-"));
  const runtime = join(dir, "run");
  fs.mkdirSync(runtime, { mode: 0o700 });
  const [peers, requests, received] = [new Set(), [], { bytes: 0, connections: 0 }];
  const server = net.createServer((socket) => {
    received.connections += 1;
    const peer = {
      socket,
      raw: (bytes) => socket.write(bytes),
      line: (value) => socket.write(`${JSON.stringify(value)}\n`),
      end: () => socket.destroy(),
    };
    peers.add(peer);
    socket.on("close", () => peers.delete(peer)).on("error", () => {});
    let rest = "";
    socket.on("data", (chunk) => {
      received.bytes += chunk.length;
      const lines = (rest + chunk).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const request = JSON.parse(line);
        if (request.type === "hello") {
          if (greet) greet(request, peer);
          else peer.line({ id: request.id, success: true, data: { ...HELLO, owner: request.payload.owner ?? "unknown" } });
          continue;
        }
        requests.push(request);
        answer(request, peer);
      }
    });
  });
  const path = join(runtime, "daemon.sock");
  await new Promise((done) => server.listen(path, done));
  fs.chmodSync(path, mode);
  // The lock file of this user's own supervisor must not be found.
  const state = process.env.GOB_STATE_DIR;
  process.env.GOB_STATE_DIR = join(dir, "state");
  t.after(async () => {
    if (state === undefined) delete process.env.GOB_STATE_DIR;
    else process.env.GOB_STATE_DIR = state;
    for (const peer of peers) peer.end();
    await new Promise((done) => server.close(done));
    fs.rmSync(dir, { recursive: true, force: true });
  });
  return { dir, runtime, path, server, peers, requests, received };
}

/** Connects to a fake, with its warnings in `client.warnings`; closed when the test ends. */
export async function client(t, { runtime }, options = {}) {
  const warnings = [];
  const made = await connect({ runtimeDir: runtime, autostart: false, onWarning: (message) => warnings.push(message), ...options });
  t.after(() => made.close());
  return Object.assign(made, { warnings });
}

/** Returns the error that a promise is rejected with. */
export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it succeeded");
}
