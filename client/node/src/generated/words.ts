// Written from the Rust types of gob-protocol; `GOB_WRITE_TYPES=1 cargo test -p gob-protocol --lib typescript`
// writes it again. Changes by hand are lost.

/** The version of the protocol. */
export const PROTOCOL_VERSION = 1;

/** Bound of a request, line feed not counted. */
export const MAX_REQUEST_BYTES = 1048576;

/** Bound of a response or event, line feed not counted. */
export const MAX_RESPONSE_BYTES = 67108864;

/** Unanswered requests with which the supervisor stops reading. */
export const MAX_UNANSWERED = 256;

/** The types of requests. */
export const REQUEST_TYPES = [
  "hello",
  "ping",
  "start",
  "add",
  "create",
  "stop",
  "restart",
  "signal",
  "hand_over",
  "lease",
  "release",
  "list",
  "get",
  "runs",
  "runs_delete",
  "stats",
  "blame",
  "history",
  "queue_add",
  "queue_claim",
  "queue_heartbeat",
  "queue_finish",
  "queue_get",
  "queue_list",
  "queue_cancel",
  "queue_retry",
  "queue_pause",
  "queue_resume",
  "queue_clear",
  "queue_width",
  "schedule_add",
  "schedule_list",
  "schedule_remove",
  "ports",
  "reload",
  "graphs",
  "graph_delete",
  "remove",
  "cleanup",
  "nuke",
  "shutdown",
  "subscribe",
  "unsubscribe",
  "status",
  "lock_acquire",
  "lock_release",
  "lock_status",
  "lock_break",
] as const;

/** The types of events. */
export const EVENT_KINDS = [
  "worker_added",
  "worker_starting",
  "worker_started",
  "worker_ready",
  "worker_unhealthy",
  "worker_stopping",
  "worker_stopped",
  "worker_backoff",
  "worker_failed",
  "worker_ceded",
  "worker_updated",
  "worker_owner_changed",
  "worker_removed",
  "lease_granted",
  "lease_released",
  "lock_waiting",
  "lock_granted",
  "lock_released",
  "lock_broken",
  "queue_job_added",
  "queue_job_started",
  "queue_job_finished",
  "queue_job_recovered",
  "supervisor_started",
  "supervisor_healed",
  "supervisor_upgraded",
  "supervisor_stopping",
  "lagged",
] as const;

/** The codes of the supervisor's errors (PROTOCOL 10). */
export const ERROR_CODES = [
  "invalid-request",
  "unknown-request",
  "frame-too-long",
  "invalid-owner",
  "invalid-name",
  "version-mismatch",
  "permission-denied",
  "busy",
  "shutting-down",
  "server-not-found",
  "job-not-found",
  "server-not-running",
  "server-running",
  "server-owned-by-other",
  "server-locked-by-external",
  "server-start-failed",
  "server-start-timeout",
  "server-start-timeout-orphan",
  "server-stop-timeout",
  "handshake-invalid",
  "graph-conflict",
  "graph-gone",
  "kind-not-found",
  "config-invalid",
  "blocked",
  "log-unavailable",
  "upgrade-failed",
  "internal",
  "lock-timeout",
  "lock-not-held",
  "lock-deadlock",
  "job-not-claimed",
] as const;
