/** An object of which each method call holds a lock, for just that long. */
import { GobError } from "./error.js";
import { holding } from "./party.js";

/** What can be taken and given back: {@link Lock}, {@link FileLock}, or anything of that shape. */
export interface Lockable {
  acquire(): Promise<unknown>;
  /** Resolves to false where the lock was lost before. */
  release(): Promise<unknown>;
  readonly token?: number | null;
  readonly signal?: AbortSignal | null;
}

/** A lock that is held already, as `await client.lock(name)` returns it: calls are made while it is. */
export interface Holding {
  readonly token: number;
  readonly isHeld: boolean;
  readonly signal: AbortSignal;
}

/** The object as others see it: its methods return promises, its other properties are as they are. */
export type Guarded<T extends object> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : T[K];
};

/**
 * Guards an object by a lock: each method call waits for the lock, and for earlier calls, and gives it back at its end. Calls that
 * a method makes of its own object don't take it again. A lock that is held already has to be so at each call. A call fails with
 * `lock-not-held` where the lock was lost meanwhile, after it was done.
 */
export function guarded<T extends object>(object: T, lock: Lockable | Holding): Guarded<T> {
  const methods = new Map<PropertyKey, { of: unknown; guarded: unknown }>();
  let last: Promise<unknown> = Promise.resolve();
  const call = (method: (...args: unknown[]) => unknown, args: unknown[]): Promise<unknown> => {
    const done = last.then(() => whileHeld(lock, () => method.apply(object, args)));
    last = done.catch(() => undefined);
    return done;
  };
  return new Proxy(object, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function" || key === "constructor") return value;
      let known = methods.get(key);
      if (known?.of !== value) {
        known = { of: value, guarded: (...args: unknown[]) => call(value as (...args: unknown[]) => unknown, args) };
        methods.set(key, known);
      }
      return known?.guarded;
    },
  }) as Guarded<T>;
}

async function whileHeld<T>(lock: Lockable | Holding, work: () => T | Promise<T>): Promise<T> {
  if ("isHeld" in lock) {
    if (!lock.isHeld) throw lost(lock.signal);
    const done = await holding(lock.token, work);
    if (lock.isHeld) return done;
    throw lost(lock.signal);
  }
  await lock.acquire();
  let done: T;
  try {
    const { token } = lock;
    done = await (typeof token === "number" ? holding(token, work) : work());
  } catch (error) {
    await lock.release();
    throw error;
  }
  if ((await lock.release()) !== false) return done;
  throw lost(lock.signal);
}

function lost(signal: AbortSignal | null | undefined): unknown {
  return signal?.reason ?? new GobError({ code: "lock-not-held", message: "the lock is not held any more" });
}
