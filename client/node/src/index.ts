/** The package's interface. Each part has its own file. */
export { Client, connect } from "./client.js";
export type { ClientEvents, ConnectOptions } from "./client.js";
export type { CallOptions } from "./connection.js";
export { CLIENT_CODES, GobError } from "./error.js";
export type { ClientCode, Code, GobErrorParts } from "./error.js";
export { Events } from "./events.js";
export type { EventsOptions, Gap, GobEvent } from "./events.js";
export type { Requests, RequestType } from "./generated/methods.js";
export type * from "./generated/types.js";
export { ERROR_CODES, EVENT_KINDS, PROTOCOL_VERSION, REQUEST_TYPES } from "./generated/words.js";
export { Model } from "./model.js";
export type { Change, ModelEvents, ModelOptions } from "./model.js";
