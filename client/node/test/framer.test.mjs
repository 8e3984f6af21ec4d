// The cut into lines, by itself: wherever the stream is divided, the lines are the same.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Framer } from "../dist/esm/framer.js";

const LINES = ['{"a":"ü€😀"}', "", "   ", '{"b":1}\r', "x".repeat(300), "\r", "é"];
const STREAM = Buffer.from(LINES.map((line) => `${line}\n`).join(""));
const WANTED = LINES.filter((line) => line.trim() !== "");

function cut(chunks, bound) {
  const framer = new Framer(bound);
  return chunks.flatMap((chunk) => [...framer.take(chunk)]);
}

test("every division of a stream gives the same lines, also inside a character", () => {
  for (let at = 0; at <= STREAM.length; at += 1) {
    const lines = cut([STREAM.subarray(0, at), STREAM.subarray(at)]);
    assert.deepEqual(lines.map((line) => line.text), WANTED, `at ${at}`);
  }
  assert.deepEqual(cut(Array.from(STREAM, (byte) => Buffer.of(byte))).map((line) => line.text), WANTED);
});

test("bytes behind the last line feed are no line", () => {
  assert.deepEqual(cut([Buffer.from('{"a":1}\n{"b":2}')]), [{ text: '{"a":1}' }]);
});

test("a line of exactly the bound is whole, and a longer one is dropped up to its line feed", () => {
  for (const size of [1, 7, 40]) {
    const chunks = Buffer.from(`${"a".repeat(40)}\n${"b".repeat(41)}\n${"c".repeat(200)}\nd\n`);
    const parts = [];
    for (let at = 0; at < chunks.length; at += size) parts.push(chunks.subarray(at, at + size));
    const [first, second, third, last] = cut(parts, 40);
    assert.deepEqual([first, last], [{ text: "a".repeat(40) }, { text: "d" }]);
    assert.deepEqual([second.flaw, third.flaw, second.head.slice(0, 4)], ["too-long", "too-long", "bbbb"]);
  }
});

test("a line that is no UTF-8 is told with its beginning, and the next one is read", () => {
  const stream = Buffer.concat([Buffer.from('{"id":7,"x":"'), Buffer.of(0xff, 0xfe), Buffer.from('"}\n{"b":1}\n')]);
  const [bad, good] = cut([stream]);
  assert.equal(bad.flaw, "not-utf8");
  assert.ok(bad.head.startsWith('{"id":7,'));
  assert.deepEqual(good, { text: '{"b":1}' });
});

test("a line in many chunks is put together once, whatever its length", (t) => {
  const { concat } = Buffer;
  let copied = 0;
  Buffer.concat = (parts, length) => {
    copied += length;
    return concat.call(Buffer, parts, length);
  };
  t.after(() => (Buffer.concat = concat));
  for (const [size, chunks] of [[64, 50_000], [64 * 1024, 1_000]]) {
    copied = 0;
    const framer = new Framer();
    const chunk = Buffer.alloc(size, "a");
    for (let n = 0; n < chunks; n += 1) assert.equal([...framer.take(chunk)].length, 0);
    assert.equal([...framer.take(Buffer.from("\n"))][0].text.length, chunks * size);
    assert.equal(copied, chunks * size);
  }
});
