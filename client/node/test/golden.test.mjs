// The golden transcripts of the protocol, through this package both ways, and as values of its types. They are in gob's
// repository: this test can't run in a copy of the folder alone.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Client, ERROR_CODES, EVENT_KINDS, REQUEST_TYPES } from "gob-client";
import { decode, encode, refused } from "../dist/esm/wire.js";
import { client, failure, fake } from "./support/fake.mjs";
import { repository } from "./support/programs.mjs";

const folder = join(repository, "protocol/golden");
assert.ok(fs.existsSync(folder), `${folder} is not there: the golden files are in gob's repository`);

const lines = (stem) => fs.readFileSync(join(folder, `${stem}.jsonl`), "utf8").trimEnd().split("\n");
const methodOf = (type) => type.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

test("every golden file is of a type that this package knows", () => {
  const known = [
    ...REQUEST_TYPES.flatMap((type) => [`request-${type}`, `response-${type}`]),
    ...EVENT_KINDS.map((kind) => `event-${kind}`),
    ...ERROR_CODES.map((code) => `error-${code}`),
    "refused",
  ];
  const found = fs.readdirSync(folder).filter((name) => name.endsWith(".jsonl")).map((name) => name.slice(0, -6));
  assert.deepEqual(found.sort(), known.sort());
});

test("there is a method for each request, named in camelCase", () => {
  for (const type of REQUEST_TYPES) {
    if (type !== "hello") assert.equal(typeof Client.prototype[methodOf(type)], "function", type);
  }
});

test("requests are the same bytes again", () => {
  for (const type of REQUEST_TYPES) {
    for (const line of lines(`request-${type}`)) {
      // The ids of other clients reach beyond the integers of JavaScript: the text of the golden one is put in.
      const [, id] = /^\{"id":("(?:[^"\\]|\\.)*"|-?\d+|null),/.exec(line);
      const written = encode("golden", type, JSON.parse(line).payload);
      assert.equal(written.replace('"golden"', () => id), `${line}\n`);
    }
  }
});

test("each method sends its golden payload, and returns its golden data", async (t) => {
  const answers = new Map();
  const server = await fake(t, (request, peer) => {
    const [data] = answers.get(request.type).splice(0, 1);
    peer.line({ id: request.id, success: true, data });
  });
  const made = await client(t, server);
  for (const type of REQUEST_TYPES.filter((type) => type !== "hello")) {
    const responses = lines(`response-${type}`).map((line) => JSON.parse(line).data);
    for (const line of lines(`request-${type}`)) {
      const { payload } = JSON.parse(line);
      answers.set(type, [...responses]);
      for (const data of responses) {
        assert.deepEqual(await made[methodOf(type)](payload), data, type);
        assert.deepEqual(server.requests.at(-1).payload, payload ?? {}, type);
      }
    }
  }
});

test("responses, events and errors are the same value again", () => {
  for (const type of REQUEST_TYPES) {
    for (const line of lines(`response-${type}`)) {
      const { id, data } = JSON.parse(line);
      assert.deepEqual(decode(line), { kind: "answer", id, data });
    }
  }
  for (const kind of EVENT_KINDS) {
    for (const line of lines(`event-${kind}`)) {
      assert.deepEqual(decode(line), { kind: "event", event: JSON.parse(line) });
    }
  }
  for (const code of ERROR_CODES) {
    for (const line of lines(`error-${code}`)) {
      const { id, error } = JSON.parse(line);
      const incoming = decode(line);
      assert.deepEqual(incoming, { kind: "refusal", id, error });
      const made = refused(incoming.error, "start");
      assert.deepEqual([made.code, made.message, made.hint, made.details], [error.code, error.message, error.hint ?? null, error.details ?? null]);
    }
  }
});

test("golden events reach an iterator as they are", async (t) => {
  const all = EVENT_KINDS.filter((kind) => kind !== "lagged").flatMap((kind) => lines(`event-${kind}`)).map((line) => JSON.parse(line));
  const server = await fake(t, (request, peer) => {
    if (request.type === "status") return peer.line({ id: request.id, success: true, data: { events_seq: 0, instance: "i" } });
    peer.line({ id: request.id, success: true, data: { seq: 0, instance: "i" } });
    for (const event of all) peer.line(event);
  });
  const got = [];
  for await (const event of (await client(t, server)).events()) {
    got.push(event);
    if (got.length === all.length) break;
  }
  assert.deepEqual(got, all);
  const { code } = await failure(Promise.reject(refused({ code: "busy", message: "m" }, null)));
  assert.equal(code, "busy");
});

test("every golden message is a value of its type, and each field of the type is there where it says so", () => {
  const require = createRequire(import.meta.url);
  const here = dirname(dirname(fileURLToPath(import.meta.url)));
  const dir = fs.mkdtempSync(join(tmpdir(), "gobg-"));
  try {
    const text = ['import type { Event, GobEvent, Lagged, Requests, WireError } from "gob-client";'];
    const value = (type, json) => text.push(`export const v${text.length}: ${type} = ${JSON.stringify(json)};`);
    for (const type of REQUEST_TYPES) {
      for (const line of lines(`request-${type}`)) value(`Requests["${type}"]["payload"]`, JSON.parse(line).payload ?? {});
      for (const line of lines(`response-${type}`)) value(`Requests["${type}"]["data"]`, JSON.parse(line).data);
    }
    for (const kind of EVENT_KINDS) {
      for (const line of lines(`event-${kind}`)) value(kind === "lagged" ? "Lagged" : "Event & GobEvent", JSON.parse(line));
    }
    for (const code of ERROR_CODES) for (const line of lines(`error-${code}`)) value("WireError", JSON.parse(line).error);
    fs.writeFileSync(join(dir, "golden.mts"), text.join("\n"));
    fs.mkdirSync(join(dir, "node_modules"));
    fs.symlinkSync(here, join(dir, "node_modules/gob-client"));
    fs.symlinkSync(join(here, "node_modules/@types"), join(dir, "node_modules/@types"));
    const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
    const options = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "es2022", "--lib", "es2022", "--types", "node"];
    try {
      execFileSync(process.execPath, [tsc, ...options, join(dir, "golden.mts")], { cwd: dir, encoding: "utf8" });
    } catch (error) {
      assert.fail(error.stdout.slice(0, 4_000));
    }
    assert.ok(text.length > 200, `${text.length}`);
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
});
