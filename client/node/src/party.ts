/**
 * The locks that the running piece of a program holds. What it locks inside of `withLock` belongs to the same party, and is
 * refused where it would wait for itself (PROTOCOL 5, Locks: `within`); pieces that run side by side are parties of their own.
 */
import { AsyncLocalStorage } from "node:async_hooks";

const tokens = new AsyncLocalStorage<readonly number[]>();

/** Returns the tokens that the caller's party holds. */
export function held(): readonly number[] {
  return tokens.getStore() ?? [];
}

/** Runs something that holds this lock, too. */
export function holding<T>(token: number, run: () => T): T {
  return tokens.run([...held(), token], run);
}
