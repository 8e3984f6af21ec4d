/**
 * Cuts a stream of bytes into lines (PROTOCOL 2). The cut comes first and the decoding afterwards, so that the division into
 * chunks never matters. Each byte is copied at most once more, however many chunks a line comes in.
 */
import * as buffer from "node:buffer";
import { MAX_RESPONSE_BYTES } from "./generated/words.js";

const LINE_FEED = 0x0a;
/** Bytes of a line that is too long which are kept, to tell what it was. */
const HEAD_BYTES = 128;

/** A line, or the beginning of one that was too long or is no UTF-8. */
export type Line = { text: string } | { flaw: "too-long" | "not-utf8"; head: string };

/** The bytes of one stream. */
export class Framer {
  private parts: Buffer[] = [];
  private length = 0;
  private head: Buffer | null = null;

  constructor(private readonly bound: number = MAX_RESPONSE_BYTES) {}

  /** Takes a chunk and yields the lines that it completes. Lines without content are skipped. */
  *take(chunk: Buffer): Generator<Line, void, void> {
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, from);
      if (end < 0) break;
      const line = this.end(chunk.subarray(from, end));
      from = end + 1;
      if (line !== null) yield line;
    }
    if (from < chunk.length) this.keep(chunk.subarray(from));
  }

  private keep(part: Buffer): void {
    if (this.head !== null) return;
    this.parts.push(part);
    this.length += part.length;
    if (this.length > this.bound) this.drop();
  }

  /** Goes on in constant memory up to the line feed. */
  private drop(): void {
    this.head = Buffer.concat(this.parts, Math.min(this.length, HEAD_BYTES));
    this.parts = [];
    this.length = 0;
  }

  private end(last: Buffer): Line | null {
    this.keep(last);
    const { head, parts } = this;
    const bytes = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts, this.length);
    this.parts = [];
    this.length = 0;
    this.head = null;
    if (head !== null) return { flaw: "too-long", head: head.toString("latin1") };
    if (isBlank(bytes)) return null;
    return isUtf8(bytes) ? { text: bytes.toString("utf8") } : { flaw: "not-utf8", head: bytes.toString("latin1", 0, HEAD_BYTES) };
  }
}

function isBlank(bytes: Buffer): boolean {
  // Almost every line begins with a brace.
  for (const byte of bytes) {
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false;
  }
  return true;
}

const strict = new TextDecoder("utf-8", { fatal: true });

function isUtf8(bytes: Buffer): boolean {
  // Node before 18.14 has no function for it.
  if (typeof buffer.isUtf8 === "function") return buffer.isUtf8(bytes);
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
