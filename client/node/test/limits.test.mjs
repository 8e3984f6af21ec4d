// The time limits of requests, as CLI's Defaults and the Rust client have them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { REQUEST_TYPES } from "gob-client";
import { inWords, limitOf, WHILE_ALIVE } from "../dist/esm/limits.js";

test("a request that bounds its own work is waited for so long and a little longer", () => {
  for (const [type, payload, wanted] of [
    ["start", {}, WHILE_ALIVE],
    ["start", { timeout_ms: 3_000 }, 5_000],
    ["restart", { timeout_ms: 0 }, 2_000],
    ["stop", {}, WHILE_ALIVE],
    ["stop", { grace_ms: 60_000 }, 67_000],
    ["stop", { grace_ms: 60_000, force: true }, 7_000],
    ["add", {}, WHILE_ALIVE],
    ["create", {}, 10_000],
    ["nuke", undefined, WHILE_ALIVE],
    ["shutdown", {}, WHILE_ALIVE],
    ["queue_claim", {}, 10_000],
    ["queue_claim", { wait_ms: 30_000 }, 40_000],
    ["lock_acquire", {}, WHILE_ALIVE],
    ["lock_acquire", { timeout_ms: 0 }, 12_000],
    ["lock_acquire", { timeout_ms: 20_000 }, 22_000],
    ["lock_acquire", { token: 7 }, 10_000],
  ]) {
    assert.equal(limitOf(type, payload, 10_000), wanted, `${type} ${JSON.stringify(payload)}`);
  }
});

test("every other request has the usual limit", () => {
  const own = ["start", "restart", "stop", "add", "nuke", "shutdown", "queue_claim", "lock_acquire"];
  for (const type of REQUEST_TYPES.filter((type) => !own.includes(type))) assert.equal(limitOf(type, {}, 1_234), 1_234);
});

test("times are written for people", () => {
  assert.deepEqual([30, 999, 1_000, 1_540, 10_000].map(inWords), ["30 ms", "999 ms", "1.0 s", "1.5 s", "10.0 s"]);
});
