//! Every bound of the protocol in one place (PROTOCOL 2, 5, 7, 11; CLI, Defaults).

/// The protocol version of this crate.
pub const PROTOCOL: u32 = 1;
/// Largest request frame, in bytes without its newline.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;
/// Largest response, event or snapshot frame, in bytes without its newline.
pub const MAX_RESPONSE_BYTES: usize = 64 << 20;
/// Unanswered requests per connection; at this many the connection is not read.
pub const MAX_UNANSWERED: usize = 256;
/// Frames that wait for one subscriber before it misses events.
pub const SUBSCRIBER_QUEUE_FRAMES: usize = 1024;
/// Events kept for replay.
pub const RING_EVENTS: usize = 4096;
/// Bytes kept for replay.
pub const RING_BYTES: usize = 1 << 20;
/// A worker's output before its handshake's newline, in bytes.
pub const MAX_HANDSHAKE_BYTES: usize = 64 * 1024;
/// Longest part of a worker's text in a reason; the rest is cut off.
pub const MAX_REASON_BYTES: usize = 1_024;
/// Longest graph name, in bytes, as given and as encoded for the disk.
pub const MAX_GRAPH_NAME_BYTES: usize = 200;
/// Longest job name, in bytes.
pub const MAX_JOB_NAME_BYTES: usize = 64;
/// Longest description of a job, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 1_024;
/// Most arguments of a job, its program among them.
pub const MAX_JOB_ARGUMENTS: usize = 4_096;
/// Longest path in a request, in bytes: the kernel's bound without its NUL.
pub const MAX_PATH_BYTES: usize = 4_095;
/// Longest part of a path between two slashes, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 255;
/// Longest name of a kind, signal or instance in a request, in bytes.
pub const MAX_WORD_BYTES: usize = 255;
/// Longest text of an error, in bytes; the rest is cut.
pub const MAX_MESSAGE_BYTES: usize = 2_048;
/// Approximate limit in bytes of the workers in one response; a longer list ends early and says
/// where to go on.
pub const PAGE_BYTES: usize = 8 << 20;
/// The same limit for a snapshot to a subscriber.
pub const SNAPSHOT_BYTES: usize = 32 << 20;
/// Longest name of a lock, in bytes.
pub const MAX_LOCK_NAME_BYTES: usize = 200;
/// Holders of all locks, and waiters for all of them: so many of each.
pub const MAX_LOCK_PARTIES: usize = 10_000;
/// Most tokens that a request for a lock is within.
pub const MAX_LOCK_WITHIN: usize = 64;
/// Longest TTL of a lock, in milliseconds: ten years.
pub const MAX_LOCK_TTL_MS: u64 = 10 * 365 * 86_400_000;
/// Highest token: the highest integer that every JSON library takes.
pub const MAX_LOCK_TOKEN: u64 = (1 << 53) - 1;
/// Later requests that may come before a waiter, whatever their priority.
pub const LOCK_PASSES: u32 = 16;
/// Time in which the holders of an earlier supervisor claim their locks, in milliseconds.
pub const LOCK_CLAIM_MS: u64 = 6_000;
/// Holders that a refusal for want of time names.
pub const LOCK_HOLDERS_SHOWN: usize = 16;
/// Longest owner, in bytes.
pub const MAX_OWNER_BYTES: usize = 32;
/// Processes that could not be ended, as far as `status` names them.
pub const MAX_SURVIVORS: usize = 100;
/// Time limit of a client's connect, in milliseconds.
pub const CONNECT_MS: u64 = 5_000;
/// Time limit of a client's wait for its peers' start lock, in milliseconds.
pub const START_LOCK_MS: u64 = 5_000;
/// Time limit of a client's wait for an ordinary response, in milliseconds.
pub const REQUEST_MS: u64 = 10_000;
/// Time that a client adds to a verb's own deadline before it gives up, in milliseconds.
pub const REQUEST_SLACK_MS: u64 = 2_000;
/// Time that a client adds to the grace of a stop before it gives up, in milliseconds.
pub const STOP_SLACK_MS: u64 = 7_000;
/// Time between two pings of a client that waits without a deadline, in milliseconds.
pub const PING_EVERY_MS: u64 = 5_000;
/// Time limit of the supervisor's answer to such a ping, in milliseconds.
pub const SILENCE_MS: u64 = 10_000;
/// Default time from start until ready, in milliseconds.
pub const START_MS: u64 = 30_000;
/// Default grace of a stop, in milliseconds.
pub const STOP_GRACE_MS: u64 = 10_000;
/// Holders of leases that a view names; it counts all of them.
pub const LEASE_HOLDERS_SHOWN: usize = 16;
/// Ports that a view names, the lowest ones; `ports` lists more.
pub const PORTS_SHOWN: usize = 64;
/// Listening sockets in one answer to `ports`.
pub const MAX_PORTS: usize = 50_000;
/// Default grace after an owner's last lease, in milliseconds.
pub const LEASE_GRACE_MS: u64 = 10_000;
