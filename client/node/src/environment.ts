/** The environment that goes with a start: a graph's worker gets its part of it, so that it finds the same programs. */
import type { Env } from "./generated/types.js";

/** Room for an environment in a request of at most 1 MiB. */
const MAX_BYTES = 900_000;

/** Returns this program's environment; of a huge one, without its largest variables. */
export function environment(env: NodeJS.ProcessEnv = process.env): Env {
  const entries = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  // As JSON writes it: an escape takes up to six bytes.
  const sized = entries.map((entry) => ({ entry, bytes: Buffer.byteLength(JSON.stringify(entry)) }));
  sized.sort((one, other) => one.bytes - other.bytes);
  let left = MAX_BYTES;
  return Object.fromEntries(sized.filter(({ bytes }) => (left -= bytes) >= 0).map(({ entry }) => entry));
}
