// Written from the Rust types of gob-protocol; `GOB_WRITE_TYPES=1 cargo test -p gob-protocol --lib typescript`
// writes it again. Changes by hand are lost.
import type * as T from "./types.js";

/** The payload and the data of each request type (PROTOCOL 5). */
export interface Requests {
  hello: { payload: T.HelloPayload; data: T.HelloData };
  ping: { payload: T.EmptyPayload; data: T.PingData };
  start: { payload: T.StartPayload; data: T.StartData };
  add: { payload: T.AddPayload; data: T.StartData };
  create: { payload: T.AddPayload; data: T.CreateData };
  stop: { payload: T.StopPayload; data: T.StopData };
  restart: { payload: T.RestartPayload; data: T.StopData };
  signal: { payload: T.SignalPayload; data: T.WorkerData };
  hand_over: { payload: T.HandOverPayload; data: T.WorkerData };
  lease: { payload: T.ByNamePayload; data: T.WorkerData };
  release: { payload: T.ByNamePayload; data: T.WorkerData };
  list: { payload: T.ListPayload; data: T.ListData };
  get: { payload: T.ByNamePayload; data: T.WorkerData };
  runs: { payload: T.RunsPayload; data: T.RunsData };
  runs_delete: { payload: T.RunsDeletePayload; data: T.RunsDeleteData };
  stats: { payload: T.ByNamePayload; data: T.Stats };
  blame: { payload: T.BlamePayload; data: T.BlameData };
  history: { payload: T.HistoryPayload; data: T.HistoryData };
  queue_add: { payload: T.QueueAddPayload; data: T.QueueAddData };
  queue_claim: { payload: T.QueueClaimPayload; data: T.QueueClaimData };
  queue_heartbeat: { payload: T.QueueHeartbeatPayload; data: T.EmptyData };
  queue_finish: { payload: T.QueueFinishPayload; data: T.QueueJobData };
  queue_get: { payload: T.ByJobPayload; data: T.QueueJobData };
  queue_list: { payload: T.QueueListPayload; data: T.QueueListData };
  queue_cancel: { payload: T.ByJobPayload; data: T.QueueJobData };
  queue_retry: { payload: T.QueueRetryPayload; data: T.QueueJobData };
  queue_pause: { payload: T.ByLanePayload; data: T.QueueLaneData };
  queue_resume: { payload: T.ByLanePayload; data: T.QueueLaneData };
  queue_clear: { payload: T.ByLanePayload; data: T.QueueLaneData };
  queue_width: { payload: T.QueueWidthPayload; data: T.QueueLaneData };
  schedule_add: { payload: T.ScheduleAddPayload; data: T.ScheduleData };
  schedule_list: { payload: T.ScheduleListPayload; data: T.ScheduleListData };
  schedule_remove: { payload: T.ScheduleRemovePayload; data: T.ScheduleRemoveData };
  ports: { payload: T.PortsPayload; data: T.PortsData };
  reload: { payload: T.EmptyPayload; data: T.ReloadData };
  graphs: { payload: T.EmptyPayload; data: T.GraphsData };
  graph_delete: { payload: T.GraphDeletePayload; data: T.GraphDeleteData };
  remove: { payload: T.ByNamePayload; data: T.RemovedData };
  cleanup: { payload: T.EmptyPayload; data: T.RemovedData };
  nuke: { payload: T.ForcePayload; data: T.NukeData };
  shutdown: { payload: T.ForcePayload; data: T.ShutdownData };
  upgrade: { payload: T.UpgradePayload; data: T.UpgradeData };
  subscribe: { payload: T.SubscribePayload; data: T.SubscribeData };
  unsubscribe: { payload: T.EmptyPayload; data: T.EmptyData };
  status: { payload: T.EmptyPayload; data: T.Status };
  lock_acquire: { payload: T.LockAcquirePayload; data: T.LockAcquireData };
  lock_release: { payload: T.LockReleasePayload; data: T.EmptyData };
  lock_status: { payload: T.LockStatusPayload; data: T.LockStatusData };
  lock_break: { payload: T.LockBreakPayload; data: T.LockBreakData };
}

/** The type of a request. */
export type RequestType = keyof Requests;

/** A method for each request: its type in camelCase, its payload in, its data out. */
export abstract class Methods<Options> {
  /** Sends one request and waits for its answer. */
  abstract request<K extends RequestType>(type: K, payload: Requests[K]["payload"], options?: Options): Promise<Requests[K]["data"]>;

  /** Answers at once. */
  ping(payload: T.EmptyPayload = {}, options?: Options): Promise<T.PingData> {
    return this.request("ping", payload, options);
  }

  /** Ensures that a worker runs. */
  start(payload: T.StartPayload = {}, options?: Options): Promise<T.StartData> {
    return this.request("start", payload, options);
  }

  /** Makes a job and runs it, or runs the job that is the same. */
  add(payload: T.AddPayload, options?: Options): Promise<T.StartData> {
    return this.request("add", payload, options);
  }

  /** Makes a job, not started. */
  create(payload: T.AddPayload, options?: Options): Promise<T.CreateData> {
    return this.request("create", payload, options);
  }

  /** Ends a worker and its whole tree. */
  stop(payload: T.StopPayload, options?: Options): Promise<T.StopData> {
    return this.request("stop", payload, options);
  }

  /** Ends a worker and starts it anew. */
  restart(payload: T.RestartPayload, options?: Options): Promise<T.StopData> {
    return this.request("restart", payload, options);
  }

  /** Sends a signal to a worker's leader. */
  signal(payload: T.SignalPayload, options?: Options): Promise<T.WorkerData> {
    return this.request("signal", payload, options);
  }

  /** Changes the owner of a worker. */
  handOver(payload: T.HandOverPayload, options?: Options): Promise<T.WorkerData> {
    return this.request("hand_over", payload, options);
  }

  /** Holds a worker for this connection. */
  lease(payload: T.ByNamePayload, options?: Options): Promise<T.WorkerData> {
    return this.request("lease", payload, options);
  }

  /** Gives a lease back. */
  release(payload: T.ByNamePayload, options?: Options): Promise<T.WorkerData> {
    return this.request("release", payload, options);
  }

  /** Lists workers. */
  list(payload: T.ListPayload = {}, options?: Options): Promise<T.ListData> {
    return this.request("list", payload, options);
  }

  /** Returns one worker. */
  get(payload: T.ByNamePayload, options?: Options): Promise<T.WorkerData> {
    return this.request("get", payload, options);
  }

  /** Returns the runs of a worker. */
  runs(payload: T.RunsPayload, options?: Options): Promise<T.RunsData> {
    return this.request("runs", payload, options);
  }

  /** Deletes a run that has ended from the history, with its logs. */
  runsDelete(payload: T.RunsDeletePayload, options?: Options): Promise<T.RunsDeleteData> {
    return this.request("runs_delete", payload, options);
  }

  /** Returns the statistics of a worker's runs. */
  stats(payload: T.ByNamePayload, options?: Options): Promise<T.Stats> {
    return this.request("stats", payload, options);
  }

  /** Returns the changes of a worker and their causes. */
  blame(payload: T.BlamePayload, options?: Options): Promise<T.BlameData> {
    return this.request("blame", payload, options);
  }

  /** Returns the changes of all workers after a place, over the lives of supervisors. */
  history(payload: T.HistoryPayload, options?: Options): Promise<T.HistoryData> {
    return this.request("history", payload, options);
  }

  /** Adds a job to a lane of the queue. */
  queueAdd(payload: T.QueueAddPayload, options?: Options): Promise<T.QueueAddData> {
    return this.request("queue_add", payload, options);
  }

  /** Claims the next job of a lane for a worker outside. */
  queueClaim(payload: T.QueueClaimPayload, options?: Options): Promise<T.QueueClaimData> {
    return this.request("queue_claim", payload, options);
  }

  /** Says that the claimant of a job lives. */
  queueHeartbeat(payload: T.QueueHeartbeatPayload, options?: Options): Promise<T.EmptyData> {
    return this.request("queue_heartbeat", payload, options);
  }

  /** Ends the attempt of a claimant. */
  queueFinish(payload: T.QueueFinishPayload, options?: Options): Promise<T.QueueJobData> {
    return this.request("queue_finish", payload, options);
  }

  /** Returns one job of the queue. */
  queueGet(payload: T.ByJobPayload, options?: Options): Promise<T.QueueJobData> {
    return this.request("queue_get", payload, options);
  }

  /** Lists jobs of the queue, and its lanes. */
  queueList(payload: T.QueueListPayload = {}, options?: Options): Promise<T.QueueListData> {
    return this.request("queue_list", payload, options);
  }

  /** Cancels a job that waits or runs. */
  queueCancel(payload: T.ByJobPayload, options?: Options): Promise<T.QueueJobData> {
    return this.request("queue_cancel", payload, options);
  }

  /** Lets a job that failed or was cancelled wait again. */
  queueRetry(payload: T.QueueRetryPayload, options?: Options): Promise<T.QueueJobData> {
    return this.request("queue_retry", payload, options);
  }

  /** Lets nothing of a lane be claimed. */
  queuePause(payload: T.ByLanePayload, options?: Options): Promise<T.QueueLaneData> {
    return this.request("queue_pause", payload, options);
  }

  /** Ends a pause. */
  queueResume(payload: T.ByLanePayload, options?: Options): Promise<T.QueueLaneData> {
    return this.request("queue_resume", payload, options);
  }

  /** Cancels the jobs of a lane that wait. */
  queueClear(payload: T.ByLanePayload, options?: Options): Promise<T.QueueLaneData> {
    return this.request("queue_clear", payload, options);
  }

  /** Sets how many jobs of a lane the supervisor runs at once. */
  queueWidth(payload: T.QueueWidthPayload, options?: Options): Promise<T.QueueLaneData> {
    return this.request("queue_width", payload, options);
  }

  /** Has a command added to a lane again and again. */
  scheduleAdd(payload: T.ScheduleAddPayload, options?: Options): Promise<T.ScheduleData> {
    return this.request("schedule_add", payload, options);
  }

  /** Lists schedules. */
  scheduleList(payload: T.ScheduleListPayload = {}, options?: Options): Promise<T.ScheduleListData> {
    return this.request("schedule_list", payload, options);
  }

  /** Removes a schedule. */
  scheduleRemove(payload: T.ScheduleRemovePayload, options?: Options): Promise<T.ScheduleRemoveData> {
    return this.request("schedule_remove", payload, options);
  }

  /** Looks where workers listen. */
  ports(payload: T.PortsPayload = {}, options?: Options): Promise<T.PortsData> {
    return this.request("ports", payload, options);
  }

  /** Reads the configuration again. */
  reload(payload: T.EmptyPayload = {}, options?: Options): Promise<T.ReloadData> {
    return this.request("reload", payload, options);
  }

  /** Lists the graphs on disk. */
  graphs(payload: T.EmptyPayload = {}, options?: Options): Promise<T.GraphsData> {
    return this.request("graphs", payload, options);
  }

  /** Deletes a graph's data and gob's records of it. */
  graphDelete(payload: T.GraphDeletePayload, options?: Options): Promise<T.GraphDeleteData> {
    return this.request("graph_delete", payload, options);
  }

  /** Forgets a worker that is down, its logs included. */
  remove(payload: T.ByNamePayload, options?: Options): Promise<T.RemovedData> {
    return this.request("remove", payload, options);
  }

  /** Forgets all workers that are down. */
  cleanup(payload: T.EmptyPayload = {}, options?: Options): Promise<T.RemovedData> {
    return this.request("cleanup", payload, options);
  }

  /** Ends all workers and removes gob's own files. */
  nuke(payload: T.ForcePayload = {}, options?: Options): Promise<T.NukeData> {
    return this.request("nuke", payload, options);
  }

  /** Ends all workers and keeps logs and history. */
  shutdown(payload: T.ForcePayload = {}, options?: Options): Promise<T.ShutdownData> {
    return this.request("shutdown", payload, options);
  }

  /** Makes the supervisor replace its own program; workers and clients stay. */
  upgrade(payload: T.UpgradePayload = {}, options?: Options): Promise<T.UpgradeData> {
    return this.request("upgrade", payload, options);
  }

  /** Asks for events. */
  subscribe(payload: T.SubscribePayload = {}, options?: Options): Promise<T.SubscribeData> {
    return this.request("subscribe", payload, options);
  }

  /** Ends the subscription. */
  unsubscribe(payload: T.EmptyPayload = {}, options?: Options): Promise<T.EmptyData> {
    return this.request("unsubscribe", payload, options);
  }

  /** Returns the supervisor's own health. */
  status(payload: T.EmptyPayload = {}, options?: Options): Promise<T.Status> {
    return this.request("status", payload, options);
  }

  /** Takes a lock, renews its TTL, or claims it again. */
  lockAcquire(payload: T.LockAcquirePayload, options?: Options): Promise<T.LockAcquireData> {
    return this.request("lock_acquire", payload, options);
  }

  /** Gives a lock back. */
  lockRelease(payload: T.LockReleasePayload, options?: Options): Promise<T.EmptyData> {
    return this.request("lock_release", payload, options);
  }

  /** Returns locks, with their holders and waiters. */
  lockStatus(payload: T.LockStatusPayload = {}, options?: Options): Promise<T.LockStatusData> {
    return this.request("lock_status", payload, options);
  }

  /** Takes a lock from its holders. */
  lockBreak(payload: T.LockBreakPayload, options?: Options): Promise<T.LockBreakData> {
    return this.request("lock_break", payload, options);
  }
}
