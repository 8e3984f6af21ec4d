/** An EventEmitter whose events and their arguments are known to the compiler, and its events to itself. */

import { EventEmitter } from "node:events";
import { checkEvent, type Telling } from "./checked.js";

/** Events by their names, each with the arguments of its listeners. */
export type EventMap = Record<string, unknown[]>;

/** The base of the classes of this package that tell events. */
export class Emitter<E extends EventMap> extends EventEmitter {
  constructor(private readonly telling: Telling) {
    super();
  }

  override on<K extends keyof E & string>(event: K, listener: (...args: E[K]) => void): this {
    checkEvent(this.telling, event, listener);
    return super.on(event, listener as (...args: unknown[]) => void);
  }

  override once<K extends keyof E & string>(event: K, listener: (...args: E[K]) => void): this {
    checkEvent(this.telling, event, listener);
    return super.once(event, listener as (...args: unknown[]) => void);
  }

  override off<K extends keyof E & string>(event: K, listener: (...args: E[K]) => void): this {
    checkEvent(this.telling, event, listener);
    return super.off(event, listener as (...args: unknown[]) => void);
  }

  override emit<K extends keyof E & string>(event: K, ...args: E[K]): boolean {
    return super.emit(event, ...args);
  }
}
