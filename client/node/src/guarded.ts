/** An object of which each method call holds a lock, for just that long. */
import { AsyncLocalStorage } from "node:async_hooks";
import { GobError } from "./error.js";
import { holding } from "./party.js";

/** A thing to take and give back: {@link Lock}, {@link FileLock}, or anything of that shape. */
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
 * a method makes of its own object (`this`) don't take it again; one through the guarded object would wait for itself, and is
 * `lock-deadlock`. A lock that is held already has to be so at each call. A call fails with `lock-not-held` where the lock was
 * lost meanwhile, after it was done.
 */
export function guarded<T extends object>(object: T, lock: Lockable | Holding): Guarded<T> {
  if ((typeof object !== "object" && typeof object !== "function") || object === null) throw usage("only an object can be guarded");
  if (!isLock(lock)) throw usage("an object is guarded by a lock, which has acquire and release, or is held");
  const methods = new Map<PropertyKey, { of: unknown; guarded: unknown }>();
  const running = new AsyncLocalStorage<{ isOver: boolean }>();
  let last: Promise<unknown> = Promise.resolve();
  const call = (method: (...args: unknown[]) => unknown, args: unknown[]): Promise<unknown> => {
    if (running.getStore()?.isOver === false) return Promise.reject(ownCall());
    const done = last.then(() => {
      const own = { isOver: false };
      const work = (): unknown => running.run(own, () => method.apply(object, args));
      return whileHeld(lock, work).finally(() => (own.isOver = true));
    });
    last = done.catch(() => undefined);
    return done;
  };
  // A stand-in: of the object itself, a frozen one for example, a proxy would have to return the methods as they are.
  return new Proxy(Object.create(Reflect.getPrototypeOf(object)) as T, {
    get(_, key) {
      // Getters and setters have the object as `this`, with its private fields.
      const value: unknown = Reflect.get(object, key, object);
      const isOfAll = value === Reflect.get(Object.prototype, key);
      if (typeof value !== "function" || isOfAll) return value;
      let known = methods.get(key);
      if (known?.of !== value) {
        known = { of: value, guarded: (...args: unknown[]) => call(value as (...args: unknown[]) => unknown, args) };
        methods.set(key, known);
      }
      return known?.guarded;
    },
    set: (_, key, value) => Reflect.set(object, key, value, object),
    has: (_, key) => Reflect.has(object, key),
    deleteProperty: (_, key) => Reflect.deleteProperty(object, key),
    ownKeys: () => Reflect.ownKeys(object),
    getOwnPropertyDescriptor(_, key) {
      const found = Reflect.getOwnPropertyDescriptor(object, key);
      return found && { ...found, configurable: true };
    },
    defineProperty: (_, key, descriptor) => Reflect.defineProperty(object, key, descriptor),
    getPrototypeOf: () => Reflect.getPrototypeOf(object),
    setPrototypeOf: (_, prototype) => Reflect.setPrototypeOf(object, prototype),
    preventExtensions: () => false,
  }) as Guarded<T>;
}

function isLock(lock: unknown): boolean {
  const { isHeld, acquire, release } = (lock ?? {}) as Record<string, unknown>;
  return typeof isHeld === "boolean" || (typeof acquire === "function" && typeof release === "function");
}

function usage(message: string): GobError {
  return new GobError({ code: "usage", message });
}

function ownCall(): GobError {
  const message = "a method of a guarded object waits for a call of the same object, and would wait for itself";
  return new GobError({ code: "lock-deadlock", message, hint: "call it by `this` inside of the object's methods" });
}

async function whileHeld<T>(lock: Lockable | Holding, work: () => T | Promise<T>): Promise<T> {
  // A lock of another kind that can be taken may tell whether it is held, too.
  if (!("acquire" in lock)) {
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
    // That the lock can't be given back is not what went wrong first.
    await lock.release().catch(() => undefined);
    throw error;
  }
  if ((await lock.release()) !== false) return done;
  throw lost(lock.signal);
}

function lost(signal: AbortSignal | null | undefined): unknown {
  return signal?.reason ?? new GobError({ code: "lock-not-held", message: "the lock is not held any more" });
}
