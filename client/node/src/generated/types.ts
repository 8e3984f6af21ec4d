// Written from the Rust types of gob-protocol; `GOB_WRITE_TYPES=1 cargo test -p gob-protocol --lib typescript`
// writes it again. Changes by hand are lost.

/** The cause of a change: the supervisor itself, or a client's request. */
export type Actor = "supervisor" | ClientActor;

/** Payload of `add` and `create`: a job is the same when its command and the real path of its directory are. */
export interface AddPayload {
  /** The client stays until the job is at rest; where it leaves a run that this request began earlier, an event says so. */
  attached?: boolean | undefined;
  /** Program and arguments, at most `MAX_JOB_ARGUMENTS`. */
  command: string[];
  /** Absolute path of its working directory. */
  cwd: string;
  /** A description for people, at most `MAX_DESCRIPTION_BYTES` bytes; when absent the present one stays. */
  description?: string | undefined;
  /** The requester's environment, which the job gets whole. */
  env?: Env | undefined;
  /** Also takes a lease. */
  lease?: boolean | undefined;
  /** The job's name; when absent a new job gets the next number. */
  name?: Name | undefined;
  /** The effect of the last lease's end on the run that this request begins; the default when absent. */
  on_last_lease?: OnLastLease | undefined;
  /** The readiness check, a word or a table as in the configuration; when absent the present one stays, which is `none` at first. */
  readiness?: unknown | undefined;
  /** The restart policy; when absent the present one stays, which is `never` at first. */
  restart?: RestartOn | undefined;
  /** The resource limits, by the names that the configuration has; when absent the present ones stay. */
  rlimits?: Record<string, number> | undefined;
  /** The state to wait for. */
  wait?: Wait | undefined;
}

/** Data of `blame`. */
export interface BlameData {
  /** The changes, newest first. */
  entries: BlameEntry[];
  /** The place to go on before, where there are older ones. */
  next?: Cursor;
}

/** One change of a worker, as `blame` shows it. */
export interface BlameEntry {
  /** The cause. */
  actor: Actor;
  /** The event that told it. */
  event: EventKind;
  /** The reason that was shown. */
  reason: string | null;
  /** The run that it concerns. */
  run: number | null;
  /** The time of the change. */
  time: Timestamp;
}

/** Payload of `blame`. */
export interface BlamePayload {
  /** Changes before this one, the `next` of an earlier answer. */
  before?: Cursor | undefined;
  /** Most changes in the answer; 100 when absent, 1,000 at most. */
  limit?: number | undefined;
  /** The worker. */
  name: Name;
}

/** Payload of `queue_get` and `queue_cancel`. */
export interface ByJobPayload {
  /** The job. */
  job_id: Name;
}

/** Payload of `queue_pause`, `queue_resume` and `queue_clear`. */
export interface ByLanePayload {
  /** The lane. */
  lane: LaneName;
}

/** Payload of `get`, `lease`, `release`, `remove`. */
export interface ByNamePayload {
  /** The worker. */
  name: Name;
}

/** The runs of a worker by outcome. */
export interface ByOutcome {
  /** Runs that failed. */
  failure: Durations;
  /** Runs that were stopped, killed or cut off. */
  killed: Durations;
  /** Runs that exited 0. */
  success: Durations;
}

export interface ClientActor {
  client: string | null;
  owner: Owner;
  pid: number | null;
}

/** A client's program. */
export interface ClientInfo {
  /** Its name, at most `ClientInfo::MAX_BYTES` bytes without control characters. */
  name: string;
  /** Its version, bounded like the name. */
  version?: string | undefined;
}

/** The files of the configuration. */
export interface ConfigStatus {
  /** The files in effect, in order of precedence. */
  files: string[];
  /** The files that are not in effect, in their present state. */
  invalid: InvalidFile[];
}

/** Data of `create`. */
export interface CreateData {
  /** There was no such job before. */
  created?: boolean;
  /** The job. */
  worker: View;
}

/** A place in the history, `INSTANCE:SEQ`. */
export type Cursor = string;

/** Runs of one outcome. */
export interface Durations {
  /** The number of runs. */
  count: number;
  /** Their mean duration; null without one, and always for killed runs. */
  mean_ms: number | null;
  /** Their median duration; as `mean_ms`. */
  median_ms: number | null;
}

/** Data without fields, as of `unsubscribe`. */
export type EmptyData = Record<string, never>;

/** The payload of a type without fields. */
export type EmptyPayload = Record<string, never>;

/** Environment variables; `process.env` is one. Undefined values are left out. */
export type Env = Record<string, string | undefined>;

/** The kind of an error, for programs: clients match on this alone. */
export type ErrorCode =
  /** The line is not a request. */
  | "invalid-request"
  /** The request type does not exist. */
  | "unknown-request"
  /** The line is longer than 1 MiB. */
  | "frame-too-long"
  /** The owner is malformed. */
  | "invalid-owner"
  /** The worker name is malformed. */
  | "invalid-name"
  /** Client and supervisor speak different protocols. */
  | "version-mismatch"
  /** The peer is another user. */
  | "permission-denied"
  /** A limit was reached. */
  | "busy"
  /** The supervisor is shutting down. */
  | "shutting-down"
  /** The worker or lock does not exist. */
  | "server-not-found"
  /** The job does not exist. */
  | "job-not-found"
  /** The worker is down, and the verb needs it up. */
  | "server-not-running"
  /** The worker is up, and the verb needs it down. */
  | "server-running"
  /** The owner check failed. */
  | "server-owned-by-other"
  /** A process that is not ours holds the graph. */
  | "server-locked-by-external"
  /** The worker could not be started, or ended before it was ready. */
  | "server-start-failed"
  /** The worker was not ready by the deadline. */
  | "server-start-timeout"
  /** An old process could not be ended in time. */
  | "server-start-timeout-orphan"
  /** A process survived a stop. */
  | "server-stop-timeout"
  /** The worker's handshake is malformed. */
  | "handshake-invalid"
  /** The name is taken by another graph, root or kind. */
  | "graph-conflict"
  /** The graph's data is not in its place any more. */
  | "graph-gone"
  /** The configuration has no such kind. */
  | "kind-not-found"
  /** The configuration can't be used. */
  | "config-invalid"
  /** The job is blocked; the message says why. */
  | "blocked"
  /** The log can't be read. */
  | "log-unavailable"
  /** The new program did not take over. */
  | "upgrade-failed"
  /** A defect of gob or of its machine. */
  | "internal"
  /** A named lock was not granted in time. */
  | "lock-timeout"
  /** The token is not the holder's. */
  | "lock-not-held"
  /** To wait for the lock would be to wait for oneself. */
  | "lock-deadlock"
  /** The job is not claimed by this worker. */
  | "job-not-claimed";

/** One event as a subscriber receives it. */
export interface Event {
  /** The cause. */
  actor: Actor;
  /** The type of the event. */
  event: EventKind;
  /** The party that holds it, or held it until now. */
  holder?: LockParty;
  /** The whole job after the change; present for events of the queue. */
  job?: QueueJob;
  /** The lock that an event is about. */
  lock?: LockName;
  /** The reason why the holder has it no more. */
  reason?: LockEnd;
  /** The number in the order of all events of this instance, from 1, without a gap. */
  seq: number;
  /** The time of the change. */
  time: Timestamp;
  /** The holder's token. */
  token?: number;
  /** The party that waits for it. */
  waiter?: LockParty;
  /** The whole worker after the change; absent for events of the supervisor, of locks and of the queue. */
  worker?: View;
}

/** The type of an event. The names are the list of PROTOCOL 7. */
export type EventKind = "worker_added" | "worker_starting" | "worker_started" | "worker_ready" | "worker_unhealthy" | "worker_stopping" | "worker_stopped" | "worker_backoff" | "worker_failed" | "worker_ceded" | "worker_updated" | "worker_owner_changed" | "worker_removed" | "lease_granted" | "lease_released" | "lock_waiting" | "lock_granted" | "lock_released" | "lock_broken" | "queue_job_added" | "queue_job_started" | "queue_job_finished" | "queue_job_recovered" | "supervisor_started" | "supervisor_healed" | "supervisor_upgraded" | "supervisor_stopping" | "lagged";

/** The end of a run. */
export type Exit = {
  /** The exit code, 0 to 255. */
  code: number;
} | {
  /** The leader left a core file. */
  core_dumped: boolean;
  /** The signal's name, such as `SIGKILL` or `SIGRTMIN+1`. */
  signal: string;
} | {
  /** The errno's name, such as `ENOENT`. */
  spawn_error: string;
  /** The step that failed; none from an older supervisor. */
  step?: StartStep;
};

/** Payload of `nuke` and `shutdown`. */
export interface ForcePayload {
  /** Also ends live workers of other owners. */
  force?: boolean | undefined;
}

/** Data of `graph_delete`. */
export interface GraphDeleteData {
  /** The directory that was deleted. */
  deleted: string;
  /** Data outside of that directory, which gob did not make and does not delete. */
  kept?: string;
}

/** Payload of `graph_delete`. */
export interface GraphDeletePayload {
  /** The graph. */
  graph: Name;
  /** Absolute path of the directory that holds it; the known one when absent. */
  root_dir?: string | undefined;
}

/** A graph on disk. */
export interface GraphOnDisk {
  /** The graph's name. */
  graph: Name;
  /** The kind that served it last, if known. */
  kind: string | null;
  /** The last use, if known. */
  last_used_at: Timestamp | null;
  /** The graph's own directory. */
  path: string;
  /** The real path of its root. */
  root_dir: string;
  /** The bytes of the files there, where they could be counted in time. */
  size_bytes: number | null;
  /** The state of its worker, if it has one. */
  state: State | null;
}

/** Data of `graphs`. */
export interface GraphsData {
  /** The graphs, ordered by name and root. */
  graphs: GraphOnDisk[];
}

/** Payload of `hand_over`. */
export interface HandOverPayload {
  /** The worker. */
  name: Name;
  /** The new owner. */
  to: Owner;
}

/** Data of `hello`. */
export interface HelloData {
  /** Features added after version 1.0. */
  features: string[];
  /** The owner that the connection is bound to. */
  owner: Owner;
  /** The protocol of this connection from now on. */
  protocol: number;
  /** The answering supervisor. */
  server: ServerInfo;
}

/** Payload of `hello`. */
export interface HelloPayload {
  /** The client's program. */
  client?: ClientInfo | undefined;
  /** The owner that it speaks for. */
  owner?: Owner | undefined;
  /** The protocol that the client speaks. */
  protocol: number;
}

/** Data of `history`. */
export interface HistoryData {
  /** The changes, oldest first. */
  entries: HistoryEntry[];
  /** Changes after the place are kept no longer, or were lost. */
  gap?: boolean;
  /** The place to go on after, where there are later ones. */
  next?: Cursor;
  /** The history does not know the instance. */
  unknown?: boolean;
}

/** One change of a worker or of the supervisor, as `history` shows it. */
export interface HistoryEntry {
  /** The cause. */
  actor: Actor;
  /** The event that told it. */
  event: EventKind;
  /** The end of the run, where the change is that; null where it is not known any more. */
  exit: Exit | null;
  /** The supervisor's life in which it was told. */
  instance: string;
  /** The worker that it concerns; null for the supervisor itself. */
  name: Name | null;
  /** The reason that was shown. */
  reason: string | null;
  /** Its run. */
  run: number | null;
  /** The number of its event in that life. */
  seq: number;
  /** The time of the change. */
  time: Timestamp;
}

/** Payload of `history`. */
export interface HistoryPayload {
  /** The place after which changes are asked for. */
  after: Cursor;
  /** Most changes in the answer; 100 when absent, 1,000 at most. */
  limit?: number | undefined;
}

/** The state of the file that has the history. */
export interface HistoryStatus {
  /** Records that were lost since the supervisor started. */
  dropped: number;
  /** The file. */
  path: string;
  /** The reason of a state that is neither open nor closed. */
  reason: string | null;
  /** `open`, `closed` (for want of anything to do), `locked`, `read-only`, `full` or `failed`. */
  state: string;
}

/** A file of the configuration that is not in effect. */
export interface InvalidFile {
  /** The first problem, with its place. */
  first: string;
  /** The file. */
  path: string;
  /** The number of its problems. */
  problems: number;
}

/** The keeper's part in an upgrade. */
export interface KeeperUpgrade {
  /** Why it goes on with its own program, although another one lies there. */
  error?: string;
  /** Its pid, which stays. */
  pid: number;
  /** It goes on with the program that lies beside the supervisor's, which is another one than before. */
  upgraded: boolean;
}

/** Frame in place of events that a slow subscriber missed (PROTOCOL 7). */
export interface Lagged {
  /** Always `EventKind::Lagged`. */
  event: EventKind;
  /** The number of missed events. */
  missed: number;
  /** More workers exist: `list` returns those after this name. */
  next?: Name;
  /** The last event that the snapshot includes. */
  seq: number;
  /** Every subscribed worker, as of `seq`. */
  workers: View[];
}

/** A lane. It exists once it is named, with width 1. */
export interface Lane {
  /** The reason why the database of this shared lane does not answer: `counts` are of this machine alone; later than version 1.0. */
  away?: string;
  /** Its jobs. */
  counts: QueueCounts;
  /** Its name. */
  lane: LaneName;
  /** Nothing is claimed. */
  paused: boolean;
  /** Several machines share it, each with this width; later than version 1.0. */
  shared?: boolean;
  /** Jobs that the supervisor runs at once; 0 leaves them to workers outside. */
  width: number;
}

/** The name of a lane. */
export type LaneName = string;

/** A client that holds a lease (PROTOCOL 6). */
export interface LeaseHolder {
  /** The name in its hello. */
  client: string | null;
  /** The owner that it spoke for when it took the lease. */
  owner: Owner;
  /** Its process id, as the kernel told at its connect. */
  pid: number | null;
}

/** A process of a worker that the supervisor could not end so far, in its own time or after an earlier supervisor. */
export interface Leftover {
  /** The reason why it could not be signalled, as the errno's name; `None` when it was signalled and stays. */
  error?: string;
  /** Its process id. */
  pid: number;
  /** Its start in clock ticks since boot; 0 where `/proc` hides it. */
  start_time: number;
  /** Its user, where that is known. */
  uid?: number;
  /** Its worker; `None` where nothing tells which one. */
  worker: Name | null;
}

/** Data of `list`. */
export interface ListData {
  /** More workers exist: those after this name. */
  next?: Name;
  /** The workers, ordered by name. */
  workers: View[];
}

/** Payload of `list`: a worker must match every given filter. */
export interface ListPayload {
  /** Workers whose names come after this one. */
  after?: Name | undefined;
  /** Workers with this working directory. */
  cwd?: string | undefined;
  /** Workers of this kind. */
  kind?: string | undefined;
  /** Most workers in the answer. */
  limit?: number | undefined;
  /** Workers of this owner. */
  owner?: Owner | undefined;
  /** Workers in this state. */
  state?: State | undefined;
}

/** A lock, and what was counted of it since the supervisor started. */
export interface Lock {
  /** Grants. */
  acquired: number;
  /** Holders from whom it was taken. */
  broken: number;
  /** Requests that could not be granted at once. */
  contended: number;
  /** Its holders, the oldest first. */
  holders: LockParty[];
  /** Its name. */
  lock: LockName;
  /** The longest time that one of these waited. */
  longest_wait_ms: number;
  /** The waiters, in the order in which they get it. */
  waiters: LockParty[];
  /** Requests that waited and were granted. */
  waits: number;
}

/** Data of `lock_acquire`. */
export interface LockAcquireData {
  /** The end of the holder's time; null where it asked for none. */
  expires_at: Timestamp | null;
  /** The lock. */
  lock: LockName;
  /** The fencing token: higher than those of all earlier holders of any lock. */
  token: number;
}

/** Payload of `lock_acquire`. */
export interface LockAcquirePayload {
  /** The lock. */
  lock: LockName;
  /** Exclusive when absent. */
  mode?: LockMode | undefined;
  /** A higher one comes first; 0 when absent. */
  priority?: number | undefined;
  /** The program, for people; the name in the hello when absent. */
  process?: string | undefined;
  /** How long the requester waits; 0: not at all; absent: for ever. */
  timeout_ms?: number | undefined;
  /** The token by which this connection holds the lock, to renew its TTL; or by which an earlier one held it, to claim it. */
  token?: number | undefined;
  /** How long the lock is held, unless it is renewed; absent: until it is given back. */
  ttl_ms?: number | undefined;
  /** Tokens that the same party holds over other connections. */
  within?: number[] | undefined;
}

/** Data of `lock_break`. */
export interface LockBreakData {
  /** The parties that held the lock. */
  broken: LockParty[];
}

/** Payload of `lock_break`. */
export interface LockBreakPayload {
  /** The lock. */
  lock: LockName;
}

/** The reason why a holder has a lock no more. */
export type LockEnd =
  /** It gave the lock back. */
  | "released"
  /** Its connection ended. */
  | "connection"
  /** Its time was over. */
  | "ttl"
  /** The lock was broken. */
  | "broken";

/** With whom a lock may be held at the same time. */
export type LockMode =
  /** With nobody. */
  | "exclusive"
  /** With other shared holders. */
  | "shared";

/** The name of a lock. Locks and workers do not share their names. */
export type LockName = string;

/** A holder of a lock, or a waiter for it. */
export interface LockParty {
  /** Time since the grant, or since the begin of the wait. */
  age_ms: number;
  /** The end of a holder's time, where it asked for one. */
  expires_at?: Timestamp;
  /** The machine. */
  host: string;
  /** The mode. */
  mode: LockMode;
  /** The owner that it speaks for. */
  owner: Owner;
  /** The client at the other end of the connection, as the kernel told at its connect. */
  pid: number | null;
  /** The priority; a higher one comes first. */
  priority: number;
  /** Its program, in its own words; null where it told none. */
  process: string | null;
  /** The token of a holder; of a waiter: the one by which it claims the lock that an earlier connection held. */
  token?: number;
}

/** Payload of `lock_release`. */
export interface LockReleasePayload {
  /** The lock. */
  lock: LockName;
  /** The token by which this connection holds it. */
  token: number;
}

/** Data of `lock_status`. */
export interface LockStatusData {
  /** Time that the holders under an earlier supervisor have left to claim their locks; absent once the claims are decided. */
  claims_ms?: number;
  /** The locks, ordered by name. */
  locks: Lock[];
}

/** Payload of `lock_status`. */
export interface LockStatusPayload {
  /** The lock; all that are known when absent. */
  lock?: LockName | undefined;
}

/** The name of a worker: a graph's or a job's. They share one namespace. */
export type Name = string;

/** Data of `nuke`. */
export interface NukeData {
  /** The workers whose files were removed. */
  removed: Name[];
  /** The workers that were stopped. */
  stopped: Name[];
  /** Jobs of the queue that were not finished and are kept. */
  unfinished?: number;
}

/** The effect of the last lease's end on its owner's worker, after the grace. */
export type OnLastLease =
  /** No effect. */
  | "keep"
  /** The owner becomes `unknown`. */
  | "release"
  /** The worker is stopped. */
  | "stop";

/** How a start was satisfied. */
export type Outcome =
  /** A process was spawned, and the requester owns it. */
  | "started"
  /** The worker ran already. */
  | "reused"
  /** The worker ran already without an owner; the requester owns it now. */
  | "taken-over"
  /** The worker runs, held by a process that is not ours. */
  | "external";

/** The owner that a connection speaks for: a cooperative label among the programs of one user (PROTOCOL 4). */
export type Owner = string;

/** Data of `ping`. */
export interface PingData {
  /** Always true. */
  pong: boolean;
  /** Time since the supervisor started. */
  uptime_ms: number;
}

/** A port on which a worker's tree listens. */
export interface Port {
  /** The process that listens. */
  pid: number;
  /** The port number. */
  port: number;
  /** `tcp` or `udp`. */
  protocol: string;
}

/** Data of `ports`. */
export interface PortsData {
  /** There are more than one answer has room for. */
  more?: boolean;
  /** The listening sockets, by worker, port, protocol and address. */
  ports: WorkerPort[];
}

/** Payload of `ports`. */
export interface PortsPayload {
  /** The worker; all workers when absent. */
  name?: Name | undefined;
}

/** A program of the supervisor. */
export interface Program {
  /** Its path. */
  exe: string;
  /** Its version. */
  version: string;
}

/** Data of `queue_add`. */
export interface QueueAddData {
  /** The job. */
  job: QueueJob;
  /** How the request was satisfied. */
  outcome: QueueOutcome;
}

/** Payload of `queue_add`. */
export interface QueueAddPayload {
  /** Jobs that have to be completed before, at most `MAX_AFTER`. */
  after?: Name[] | undefined;
  /** Program and arguments, as of a job. */
  command: string[];
  /** Absolute path of its working directory. */
  cwd: string;
  /** One job with this key waits or runs at a time; at most `MAX_KEY_BYTES` bytes without control characters. */
  dedupe?: string | undefined;
  /** Time until it may run, in milliseconds. */
  delay_ms?: number | undefined;
  /** A description for people, as of a job. */
  description?: string | undefined;
  /** The requester's environment, which each attempt gets whole. */
  env?: Env | undefined;
  /** The lane, which is made if there is none. */
  lane: LaneName;
  /** With so many attempts that failed it has failed; the setting when absent. */
  max_attempts?: number | undefined;
  /** The higher, the sooner; from minus `MAX_PRIORITY` to `MAX_PRIORITY`, 0 when absent. */
  priority?: number | undefined;
}

/** Data of `queue_claim`. */
export interface QueueClaimData {
  /** The claimed job; null where there was none in time. */
  job: QueueJob | null;
}

/** Payload of `queue_claim`. */
export interface QueueClaimPayload {
  /** The lane. */
  lane: LaneName;
  /** Time for which the request waits for a job, in milliseconds. */
  wait_ms?: number | undefined;
  /** The claimant, such as `host-4711`; at most `MAX_KEY_BYTES` bytes without control characters. */
  worker_id: string;
}

/** Jobs of a lane by status. */
export interface QueueCounts {
  cancelled: number;
  completed: number;
  failed: number;
  pending: number;
  running: number;
}

/** Payload of `queue_finish`. */
export interface QueueFinishPayload {
  /** The attempt; the present one when absent. */
  attempt?: number | undefined;
  /** The reason, if it did not; cut at `MAX_REASON_BYTES`. */
  error?: string | undefined;
  /** The job. */
  job_id: Name;
  /** It ended well. */
  success: boolean;
  /** The claimant. */
  worker_id: string;
}

/** Payload of `queue_heartbeat`. */
export interface QueueHeartbeatPayload {
  /** The attempt; the present one when absent. */
  attempt?: number | undefined;
  /** The job. */
  job_id: Name;
  /** The claimant. */
  worker_id: string;
}

/** A job in the queue. It never has an environment. */
export interface QueueJob {
  /** Jobs that have to be completed before. */
  after: Name[];
  /** The number of its present or last claim: it rises with each claim, for ever. */
  attempt: number;
  /** Claims that count: one that was given back does not, and `queue_retry` begins anew. */
  attempts: number;
  /** Program and arguments. */
  command: string[];
  /** The time when it was added. */
  created_at: Timestamp;
  /** The directory. */
  cwd: string;
  /** One job with this key waits or runs at a time. */
  dedupe: string | null;
  /** A description for people. */
  description: string | null;
  /** The reason of its last failure. */
  error: string | null;
  /** The exit of its last attempt, if that was a process of the supervisor. */
  exit: Exit | null;
  /** The time of its end. */
  finished_at: Timestamp | null;
  /** The last sign of life of its claimant; it may lag. Null once it ends. */
  heartbeat_at: Timestamp | null;
  /** Its id, such as `j12`, which also is the name of its worker. */
  id: Name;
  /** Its lane. */
  lane: LaneName;
  /** The time of the claim; null once it ends. */
  locked_at: Timestamp | null;
  /** Its claimant, for people; null once it ends. */
  locked_by: string | null;
  /** With so many attempts that failed, it has failed. */
  max_attempts: number;
  /** The owner that added it. */
  owner: Owner;
  /** The higher, the sooner. */
  priority: number;
  /** The time from which on it may run. */
  run_at: Timestamp;
  /** The schedule that added it. */
  schedule: ScheduleName | null;
  /** The time of its present or last claim. */
  started_at: Timestamp | null;
  /** Its status. */
  status: QueueStatus;
  /** Its worker in this supervisor; null when none was started, or a worker outside claimed it. */
  worker: Name | null;
}

/** Data of `queue_get`, `queue_finish`, `queue_cancel` and `queue_retry`. */
export interface QueueJobData {
  /** The job afterwards. */
  job: QueueJob;
}

/** Data of `queue_pause`, `queue_resume`, `queue_clear` and `queue_width`. */
export interface QueueLaneData {
  /** The number of jobs that `queue_clear` cancelled. */
  cancelled?: number;
  /** The lane afterwards. */
  lane: Lane;
}

/** Data of `queue_list`. */
export interface QueueListData {
  /** Those that run, then those that wait by lane and in the order of claims, then those that ended, newest first. */
  jobs: QueueJob[];
  /** The lane that was asked for, else all; on the first page only. */
  lanes: Lane[];
  /** More jobs exist: those after this. */
  next?: string;
}

/** Payload of `queue_list`. */
export interface QueueListPayload {
  /** The `next` of the page before. */
  after?: string | undefined;
  /** Jobs of this lane. */
  lane?: LaneName | undefined;
  /** Most jobs in the answer; 100 when absent, 1,000 at most. */
  limit?: number | undefined;
  /** Jobs with this status. */
  status?: QueueStatus | undefined;
}

/** How a `queue_add` was satisfied. */
export type QueueOutcome =
  /** The job is new. */
  | "added"
  /** A job with the same key waits or runs. */
  | "reused";

/** Payload of `queue_retry`. */
export interface QueueRetryPayload {
  /** The requester's environment: the first one was deleted when the job ended. */
  env?: Env | undefined;
  /** The job. */
  job_id: Name;
}

/** The status of a job in the queue. */
export type QueueStatus =
  /** It waits: for its turn, its time, or the jobs that it comes after. */
  | "pending"
  /** It was claimed, and has not ended. */
  | "running"
  /** It has ended well. */
  | "completed"
  /** It has failed, and is not tried again by itself. */
  | "failed"
  /** It was cancelled. */
  | "cancelled";

/** Payload of `queue_width`. */
export interface QueueWidthPayload {
  /** The lane. */
  lane: LaneName;
  /** Jobs that the supervisor runs at once, at most `MAX_WIDTH`; 0 leaves them to workers outside. */
  width: number;
}

/** A share, from 0 to 1. */
export type Rate = number;

/** Proof of a stop: the processes that were signalled, and that none survived (PROTOCOL 5). */
export interface Receipt {
  /** Every process that was ended. */
  signalled: Signalled[];
  /** Every process that is still there. */
  survivors: Survivor[];
}

/** Data of `reload`. */
export interface ReloadData {
  /** Kinds and graphs that the configuration mentions for the first time, as `kind.NAME` and `graph.NAME`. */
  added?: string[];
  /** Keys whose value changed, those of new and removed tables among them. */
  changed: string[];
  /** Kinds and graphs that it mentions no more. */
  removed?: string[];
}

/** Data of `remove` and `cleanup`. */
export interface RemovedData {
  /** The workers that were removed. */
  removed: Name[];
}

/** The ends after which a worker is started again. */
export type RestartOn =
  /** None. */
  | "never"
  /** Every unasked end but exit 0. */
  | "on-failure"
  /** Every unasked end. */
  | "always";

/** Payload of `restart`. */
export interface RestartPayload {
  /** The requester's environment for the new run; when absent the last one stays. */
  env?: Env | undefined;
  /** Time between TERM and KILL, in milliseconds. */
  grace_ms?: number | undefined;
  /** The worker. */
  name: Name;
  /** Time limit of this requester's wait, in milliseconds; the restart itself goes on. */
  timeout_ms?: number | undefined;
  /** The state to wait for. */
  wait?: Wait | undefined;
}

/** The outcome of a run that has ended. */
export type RunOutcome =
  /** It exited 0 by itself. */
  | "success"
  /** It exited with another code, crashed, or could not be spawned. */
  | "failure"
  /** It was stopped or killed, so that its duration says nothing about the worker. */
  | "killed";

/** One run of a worker, as `runs` shows it. */
export interface RunRecord {
  /** The cause of its start. */
  actor: Actor;
  /** The supervisor ended first, so that the end of this run is not known. */
  cut: boolean;
  /** Time from the spawn to the end, on a clock that never jumps. */
  duration_ms: number | null;
  /** The exit. */
  exit: Exit | null;
  /** The outcome; null while it lives. */
  outcome: RunOutcome | null;
  /** The worker's owner at its start. */
  owner: Owner;
  /** Its leader's process id; null when none was spawned. */
  pid: number | null;
  /** The readiness. */
  ready_at: Timestamp | null;
  /** Its number among the runs of its worker. */
  run: number;
  /** The spawn, or the attempt. */
  started_at: Timestamp;
  /** The end; null while it lives, and of a run that was cut off. */
  stopped_at: Timestamp | null;
}

/** Data of `runs`. */
export interface RunsData {
  /** There are older ones. */
  more: boolean;
  /** The runs, newest first. */
  runs: RunRecord[];
}

/** Data of `runs_delete`. */
export interface RunsDeleteData {
  /** The runs that were deleted. */
  removed: number[];
}

/** Payload of `runs_delete`. */
export interface RunsDeletePayload {
  /** The worker. */
  name: Name;
  /** The run. */
  run: number;
}

/** Payload of `runs`. */
export interface RunsPayload {
  /** Runs of lower numbers than this. */
  before?: number | undefined;
  /** Most runs in the answer; 100 when absent, 1,000 at most. */
  limit?: number | undefined;
  /** The worker. */
  name: Name;
}

/** A command that is added to a lane again and again. */
export interface Schedule {
  /** Program and arguments. */
  command: string[];
  /** Its times, in the five fields of cron. */
  cron: string | null;
  /** The directory. */
  cwd: string;
  /** The time between two jobs, if it has no `cron`. */
  interval_ms: number | null;
  /** The lane that its jobs are added to. */
  lane: LaneName;
  /** The time when it last added a job. */
  last_at: Timestamp | null;
  /** The job that it added last. */
  last_job: Name | null;
  /** Its name. */
  name: ScheduleName;
  /** Its next time; null of a `cron` that has none any more. */
  next_at: Timestamp | null;
  /** The owner of its jobs. */
  owner: Owner;
  /** The time zone of `cron`; null for the zone of the system. */
  timezone: string | null;
}

/** Payload of `schedule_add`: `cron` or `interval_ms`. */
export interface ScheduleAddPayload {
  /** Program and arguments, as of a job. */
  command: string[];
  /** Its times, in the five fields of cron. */
  cron?: string | undefined;
  /** Absolute path of the working directory. */
  cwd: string;
  /** The requester's environment, which each of its jobs gets whole. */
  env?: Env | undefined;
  /** The time between two jobs, in milliseconds. */
  interval_ms?: number | undefined;
  /** The lane that its jobs are added to. */
  lane: LaneName;
  /** The name; when absent it is called as its lane, or `LANE-2` and so on. */
  name?: ScheduleName | undefined;
  /** The time zone of `cron`, such as `Europe/Berlin`; that of the system when absent. */
  timezone?: string | undefined;
}

/** Data of `schedule_add`. */
export interface ScheduleData {
  /** The schedule. */
  schedule: Schedule;
}

/** Data of `schedule_list`. */
export interface ScheduleListData {
  /** The schedules, ordered by name. */
  schedules: Schedule[];
}

/** Payload of `schedule_list`. */
export interface ScheduleListPayload {
  /** Schedules of this lane. */
  lane?: LaneName | undefined;
}

/** The name of a schedule. */
export type ScheduleName = string;

/** Data of `schedule_remove`. */
export interface ScheduleRemoveData {
  /** The schedule that was removed. */
  removed: ScheduleName;
}

/** Payload of `schedule_remove`. */
export interface ScheduleRemovePayload {
  /** The schedule. */
  name: ScheduleName;
}

/** The directories of a supervisor. */
export interface ServerDirs {
  /** The file `config.toml`, existing or not; null where no path could be named. */
  config: string | null;
  /** Graphs without a directory of their own. */
  data: string;
  /** The home directory that the supervisor was started with, if any. */
  home: string | null;
  /** Lock, journal, logs. */
  state: string;
}

/** The supervisor's description of itself. */
export interface ServerInfo {
  /** Files of the supervisor's configuration that are not in effect; later than version 1.0. */
  config_invalid?: string[];
  /** The supervisor's directories, which a client with other variables would not find; later than version 1.0. */
  dirs?: ServerDirs;
  /** New for every life of a supervisor. */
  instance: string;
  /** The supervisor's process id. */
  pid: number;
  /** The start of this life. */
  started_at: Timestamp;
  /** The supervisor's version. */
  version: string;
}

/** The state of the database that several machines share. */
export interface SharedStatus {
  /** The reason why it is away. */
  reason: string | null;
  /** `connecting`, `open` or `away`. */
  state: string;
  /** Its address, without a password. */
  url: string;
}

/** Data of `shutdown`. */
export interface ShutdownData {
  /** The workers that were stopped. */
  stopped: Name[];
}

/** Payload of `signal`. */
export interface SignalPayload {
  /** The worker. */
  name: Name;
  /** A signal such as `HUP`, `SIGHUP` or `1`. */
  signal: string;
}

/** One process that a stop ended. */
export interface Signalled {
  /** Time from the stop until it was seen to be gone; null when it was not. */
  ended_ms: number | null;
  /** The reason why it could not be signalled, as the errno's name: `EPERM` where it runs as another user now. */
  error?: string;
  /** Its process id. */
  pid: number;
  /** The signals that it was sent, in order. */
  signals: string[];
  /** Its start in clock ticks since boot (proc(5), `starttime`). */
  start_time: number;
}

/** Data of `start`. */
export interface StartData {
  /** The graph was new to gob. */
  created?: boolean;
  /** How the start was satisfied. */
  outcome: Outcome;
  /** The worker. */
  worker: View;
}

/** Payload of `start`: *ensures* that a worker runs. */
export interface StartPayload {
  /** The requester's environment, of which the worker gets a part (CLI, Environment of workers). */
  env?: Env | undefined;
  /** The graph to serve. */
  graph?: Name | undefined;
  /** The kind to start it from. */
  kind?: string | undefined;
  /** Also takes a lease. */
  lease?: boolean | undefined;
  /** The worker's name; the graph's when absent. */
  name?: Name | undefined;
  /** Absolute path of the directory that holds the graph. */
  root_dir?: string | undefined;
  /** Time limit of this requester's wait, in milliseconds; the start itself goes on. */
  timeout_ms?: number | undefined;
  /** The state to wait for. */
  wait?: Wait | undefined;
}

/** The step at which a start failed (PROTOCOL 6). */
export type StartStep =
  /** Going to the working directory. */
  | "chdir"
  /** Finding and executing the program; only here `ENOENT` says that there is no program. */
  | "exec"
  /** The file is there, and its interpreter is not, or it is no program. */
  | "interpreter"
  /** Making the process. */
  | "fork"
  /** All that comes before; also each step that is not known here. */
  | "prepare";

/** The state of a worker, as clients see it. */
export type State =
  /** Never started, or stopped. */
  | "idle"
  /** Spawned or about to be, not ready yet. */
  | "starting"
  /** Ready for use. */
  | "ready"
  /** Alive, but its liveness probe fails. */
  | "unhealthy"
  /** Asked to stop, not gone yet. */
  | "stopping"
  /** Ended, and will be started again. */
  | "backoff"
  /** Ended, and not started again without a request. */
  | "failed"
  /** Exited 0 unasked, because a peer took over. */
  | "ceded"
  /** Alive, held by a process that is not ours. */
  | "external";

/** Data of `stats`. */
export interface Stats {
  /** The runs that have ended. */
  by_outcome: ByOutcome;
  /** The duration to expect of the next run; null before three successes. */
  expected_ms: number | null;
  /** The number of runs in the history, a live one included. */
  runs: number;
  /** The share of successes in the runs that have ended; null without any. */
  success_rate: Rate | null;
}

/** The supervisor's own health (PROTOCOL 9). */
export interface Status {
  cgroup: boolean;
  /** The state of the configuration's files; later than version 1.0. */
  config: ConfigStatus;
  connections: number;
  /** The supervisor's directories; later than version 1.0. */
  dirs?: ServerDirs;
  events_seq: number;
  healed: number;
  /** The state of the history; later than version 1.0. */
  history?: HistoryStatus;
  instance: string;
  instance_lock_failures: number;
  /** Failed writes of the journal; later than version 1.0. */
  journal_failures: number;
  keeper_pid: number;
  lagged_events: number;
  lock_contentions: number;
  log_bytes: number;
  log_bytes_dropped: number;
  orphans_recovered: number;
  pid: number;
  protocol: number;
  queue_claims: number;
  queue_heartbeat_failures: number;
  queue_stale_recoveries: number;
  requests: number;
  restarts: number;
  rss_bytes: number;
  /** The database that several machines share, where one is configured; later than version 1.0. */
  shared?: SharedStatus;
  socket: string;
  spawn_failures: number;
  subscribers: number;
  /** Processes of workers that could not be ended so far, the first `MAX_SURVIVORS` of them; later than version 1.0. */
  survivors: Leftover[];
  /** Live runs whose processes could not be marked; later than version 1.0. */
  unmarked_runs: number;
  uptime_ms: number;
  version: string;
  /** The number of workers in each state; empty states are left out. */
  workers: Record<string, number>;
}

/** Data of `stop` and `restart`. */
export interface StopData {
  /** Proof of the stop. */
  receipt: Receipt;
  /** The worker afterwards. */
  worker: View;
}

/** Payload of `stop`. */
export interface StopPayload {
  /** Kills without grace. Never overrides an owner. */
  force?: boolean | undefined;
  /** Time between TERM and KILL, in milliseconds. */
  grace_ms?: number | undefined;
  /** The worker. */
  name: Name;
}

/** Data of `subscribe`. */
export interface SubscribeData {
  /** Events between `since` and now were lost; a snapshot stands in for them. */
  gap?: boolean;
  /** The supervisor's life that `seq` belongs to. */
  instance: string;
  /** The snapshot has more workers: `list` returns those after this name. */
  next?: Name;
  /** The last published event; the first one that follows is later. */
  seq: number;
  /** The snapshot, where it was requested or needed. */
  workers?: View[];
}

/** Payload of `subscribe`: an event must match every given filter. */
export interface SubscribePayload {
  /** Events of workers with this working directory. */
  cwd?: string | undefined;
  /** Events of these kinds. */
  events?: EventKind[] | undefined;
  /** The instance that `since` belongs to. */
  instance?: string | undefined;
  /** Events of these workers. */
  names?: Name[] | undefined;
  /** Events of this owner's workers. */
  owner?: Owner | undefined;
  /** Replays the events after this one. */
  since?: number | undefined;
  /** Sends the workers along with the answer. */
  snapshot?: boolean | undefined;
}

/** A process that a stop could not end. */
export interface Survivor {
  /** The reason why it could not be signalled, as the errno's name; `None` when it was signalled and stays. */
  error?: string;
  /** Its process id. */
  pid: number;
  /** Its start in clock ticks since boot; 0 where `/proc` hides it. */
  start_time: number;
  /** Its user, where that is known. */
  uid?: number;
}

/** A time as RFC 3339, in UTC, with milliseconds. */
export type Timestamp = string;

/** Data of `upgrade`. */
export interface UpgradeData {
  /** The program that ran until now. */
  from: Program;
  /** The keeper's part; absent where the new program says nothing about it. */
  keeper?: KeeperUpgrade;
  /** The program that runs from now on. */
  to: Program;
}

/** Payload of `upgrade`. */
export interface UpgradePayload {
  /** Absolute path of the new program; the one that lies where the present one was when absent. */
  exe?: string | undefined;
}

/** One worker as one requester sees it (PROTOCOL 6). Successive views share the parts that stay the same. */
export interface View {
  /** The reason why it must not be started. */
  blocked: string | null;
  /** Its program and arguments, placeholders replaced. */
  command: string[];
  /** The time when gob first heard of it. */
  created_at: Timestamp;
  /** Its working directory. */
  cwd: string | null;
  /** A description for people. */
  description: string | null;
  /** Its endpoint: `unix:…` or `http://…`. */
  endpoint: string | null;
  /** The exit of its latest run. */
  exit: Exit | null;
  /** The median of a job's latest successful runs; null before three of them, and for graphs. */
  expected_ms: number | null;
  /** The graph it serves; null for jobs. */
  graph: string | null;
  /** The kind it was started from; `job` for jobs. */
  kind: string;
  /** The time of its last output. */
  last_output_at: Timestamp | null;
  /** Clients that hold them, oldest connection first, at most `LEASE_HOLDERS_SHOWN`. */
  lease_holders: LeaseHolder[];
  /** The number of leases on it. */
  leases: number;
  /** Its description of itself at readiness. */
  meta: Record<string, unknown>;
  /** The worker's name. */
  name: Name;
  /** The time of the restart policy's next start. */
  next_restart_at: Timestamp | null;
  /** The requester may stop it. */
  owned: boolean;
  /** The owner, which may stop it. */
  owner: Owner;
  /** Its process group while it is alive. */
  pgid: number | null;
  /** Its leader's process id while it is alive. */
  pid: number | null;
  /** Ports on which its tree listens, as far as it was looked, at most `PORTS_SHOWN`. */
  ports: Port[];
  /** Another program lies at its program's path than it runs. */
  program_changed?: boolean;
  /** The readiness of its latest run. */
  ready_at: Timestamp | null;
  /** The reason for its state, in words. */
  reason: string | null;
  /** Starts by the restart policy since the last start by request. */
  restarts: number;
  /** Real path of the directory that holds the graph; null for jobs. */
  root_dir: string | null;
  /** The number of its latest run; 0 when it never ran. */
  run: number;
  /** The spawn of its latest run. */
  started_at: Timestamp | null;
  /** Its state. */
  state: State;
  /** The file of the latest run's standard error. */
  stderr_path: string | null;
  /** The file of the latest run's standard output. */
  stdout_path: string | null;
  /** The end of its latest run. */
  stopped_at: Timestamp | null;
  /** Its version, where it tells one. */
  version: string | null;
}

/** The state that a start or restart waits for. */
export type Wait =
  /** The worker is ready. */
  | "ready"
  /** The worker was spawned. */
  | "spawned";

/** An error as the wire carries it. */
export interface WireError {
  /** The code, for programs. */
  code: ErrorCode;
  /** Facts that belong to the code. */
  details?: unknown;
  /** A remedy, for people. */
  hint?: string;
  /** The event, in words for people. */
  message: string;
}

/** Data of `get`, `signal`, `hand_over`, `lease`, `release`. */
export interface WorkerData {
  /** The worker afterwards. */
  worker: View;
}

/** One socket on which a worker's tree listens. */
export interface WorkerPort {
  /** The local address, without the port: `127.0.0.1`, `0.0.0.0`, `::`. */
  address: string;
  /** The worker. */
  name: Name;
  /** The process that listens: the leader where it is one of several, else the one of the lowest number. */
  pid: number;
  /** The port. */
  port: number;
  /** `tcp` or `udp`. */
  protocol: string;
}
