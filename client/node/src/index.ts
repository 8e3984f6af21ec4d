/** The package's interface. Each part has its own file. */
export { CLIENT_CODES, GobError } from "./error.js";
export type { ClientCode, GobErrorParts } from "./error.js";
