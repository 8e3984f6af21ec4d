/** The package's interface. Each part has its own file. */
export { CLIENT_CODES, GobError } from "./error.js";
export type { ClientCode, GobErrorParts } from "./error.js";
export { FileLock } from "./file-lock.js";
export type { FileLockEvents, FileLockHolder, FileLockOptions, FileLockStatus, FileLockWait } from "./file-lock.js";
