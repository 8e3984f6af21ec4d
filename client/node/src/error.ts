/**
 * The one error of this package. Programs match on `code` and on nothing else.
 *
 * A code is the supervisor's (PROTOCOL 10) or one of the client's own, {@link CLIENT_CODES}.
 */

import type { ErrorCode } from "./generated/types.js";

/** Codes of errors that the supervisor did not send. */
export const CLIENT_CODES = [
  /** The request has no answer by its deadline; the supervisor goes on with it. */
  "client-timeout",
  /** No supervisor runs, none could be started, or it answers nothing any more. */
  "supervisor-unreachable",
  /** The connection ended before the answer. Whether the request was executed is not known. */
  "connection-lost",
  /** The caller's signal was aborted. The supervisor goes on with a request that was sent. */
  "aborted",
  /** `close()` was called. */
  "client-closed",
  /** A directory or a socket is not this user's alone; nothing was written to it. */
  "permission-denied",
  /** The answer to the request can't be read. */
  "answer-invalid",
  /** An argument can't be used or sent as it is. */
  "usage",
  /** More requests wait than the client keeps. */
  "client-busy",
  /** A lock file can't be made, read, taken or removed. */
  "lock-file-unusable",
  /** The worker of a graph tells no address. */
  "endpoint-unknown",
  /** Something else is in the place of a worker's socket. */
  "socket-taken",
  /** The program that speaks sd_notify for a worker is missing, or failed. */
  "notify-unavailable",
] as const;

/** A code of the client's own. */
export type ClientCode = (typeof CLIENT_CODES)[number];

/** Any code: the supervisor's, the client's, or one of a later supervisor, to be treated like `internal`. */
export type Code = ErrorCode | ClientCode | (string & Record<never, never>);

/** The parts of a {@link GobError}. */
export interface GobErrorParts {
  code: Code;
  message: string;
  hint?: string | null | undefined;
  details?: unknown;
  request?: string | null | undefined;
  cause?: unknown;
}

/** An error of the supervisor or of the client, with a remedy where there is one. */
export class GobError extends Error {
  override readonly name = "GobError";
  /** The word for programs. */
  readonly code: Code;
  /** A remedy for people, or null. */
  readonly hint: string | null;
  /** More for programs, as PROTOCOL 10 describes for the code, or null. */
  readonly details: unknown;
  /** The type of the request that failed, such as `start`; null where it was no request. */
  readonly request: string | null;

  constructor({ code, message, hint, details, request, cause }: GobErrorParts) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.hint = hint ?? null;
    this.details = details ?? null;
    this.request = request ?? null;
  }

  /** Returns the parts for another process: Electron hands no more than the message of an error to its windows. */
  toJSON(): { code: string; message: string; hint: string | null; details: unknown; request: string | null } {
    const { code, message, hint, details, request } = this;
    return { code, message, hint, details, request };
  }

  /** Tells whether a value is such an error, also one of another copy of this package (ESM beside CommonJS). */
  static is(value: unknown): value is GobError {
    return value instanceof Error && value.name === "GobError" && typeof (value as { code?: unknown }).code === "string";
  }
}

/** The error of an operation whose signal was aborted. */
export function aborted(operation: string, reason: unknown, request: string | null = null): GobError {
  return new GobError({ code: "aborted", message: `${operation} was aborted`, request, cause: reason });
}
