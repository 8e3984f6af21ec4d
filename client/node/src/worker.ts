/** The side of a worker: a program that gob runs (PROTOCOL 11). */
export { GobError } from "./error.js";
