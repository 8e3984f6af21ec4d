/** The side of a worker: a program that gob runs (PROTOCOL 11). It needs no connection to the supervisor. */

export { GobError } from "./error.js";
export { failed, ready } from "./worker/ready.js";
export type { Ready } from "./worker/ready.js";
export { serve } from "./worker/serve.js";
export type { ServeOptions, Served, WorkerServer } from "./worker/serve.js";
export { onStop } from "./worker/stop.js";
export type { StopOptions } from "./worker/stop.js";
