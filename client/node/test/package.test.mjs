// The package as its users get it: both module systems.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

test("ESM and CommonJS export the same names", async () => {
  const require = createRequire(import.meta.url);
  for (const entry of ["gob-client", "gob-client/worker"]) {
    const [esm, cjs] = [await import(entry), require(entry)];
    assert.deepEqual(Object.keys(cjs).sort(), Object.keys(esm).sort());
    assert.ok(esm.GobError && cjs.GobError);
  }
});

test("an error of one module system is known in the other", async () => {
  const { GobError } = await import("gob-client");
  const other = createRequire(import.meta.url)("gob-client").GobError;
  const error = new other({ code: "busy", message: "no place", request: "start" });
  assert.ok(GobError.is(error) && !GobError.is(new Error("no place")));
  assert.deepEqual([error.code, error.hint, error.details, error.request], ["busy", null, null, "start"]);
});
