//! Every bound of the worker in one place; `REQUESTS.md` repeats them for clients.

use std::time::Duration;

/// Longest node id, in bytes.
pub const MAX_ID_BYTES: usize = 512;
/// Longest label or edge type, in bytes.
pub const MAX_LABEL_BYTES: usize = 256;
/// Largest properties object of one node or edge, in bytes of JSON.
pub const MAX_PROPERTIES_BYTES: usize = 256 * 1024;
/// Deepest nesting of a properties object.
pub const MAX_PROPERTIES_DEPTH: usize = 100;
/// Most ids in one `get`.
pub const MAX_GET_IDS: usize = 10_000;

/// Most labels, and most edge types, in `stats`.
pub const MAX_STATS_NAMES: usize = 100;

/// Connections at once; a further one is answered `busy` and closed.
pub const MAX_CONNECTIONS: usize = 256;
/// Readers for short reads, so that a `get` never waits for a long one.
pub const SHORT_READERS: usize = 4;
/// Readers for searches and walks.
pub const LONG_READERS: usize = 4;
/// Processes for `query`, one query each.
pub const QUERY_READERS: usize = 4;
/// Time after which an idle reader for `query` is ended.
pub const READER_IDLE: Duration = Duration::from_secs(60);
/// Time limit for a reader to read a request.
pub const READER_WRITE: Duration = Duration::from_secs(5);
/// Largest request to a reader, in bytes: a client's request, with room for JSON escapes.
pub const MAX_READER_REQUEST: u64 = 8 << 20;
/// Memory limit of SQLite in one `query`, in bytes.
pub const MAX_QUERY_BYTES: i64 = 256 << 20;
/// Address space of a reader, in bytes.
pub const MAX_READER_BYTES: u64 = 2 << 30;
/// Longest value in a `query`, and its longest SQL, in bytes. Stored values are shorter.
pub const MAX_VALUE_BYTES: i32 = 1 << 20;
/// Exports at once.
pub const MAX_EXPORTS: usize = 4;
/// Imports at once.
pub const MAX_IMPORTS: usize = 4;
/// Time limit of a request's wait for a reader or the writer; it is then answered `busy`.
pub const POOL_WAIT: Duration = Duration::from_secs(10);
/// Time limit of an import's wait for the writer.
pub const IMPORT_WRITER_WAIT: Duration = Duration::from_secs(60);
/// Log length, in pages, at which it is merged into the graph's file: SQLite's own default.
pub const MERGE_PAGES: u32 = 1000;
/// Time limit of SQLite's wait for a lock that another program holds on the file.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Time limit for a client to accept one response; its connection then ends.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of responses that may gather before they are written.
pub const GATHER_BYTES: usize = 64 * 1024;
/// Largest output buffer that is kept after a write, in bytes.
pub const KEEP_OUT_BYTES: usize = 256 * 1024;
/// Bytes at which a result with a `truncated` flag ends, well below the largest frame.
pub const MAX_RESULT_BYTES: usize = 32 << 20;
/// Size of one read from a socket, in bytes.
pub const READ_BYTES: usize = 64 * 1024;

/// Longest run of one walk, search or `stats`.
pub const READ_DEADLINE: Duration = Duration::from_secs(30);
/// Virtual machine steps of SQLite between two checks of deadline and client.
pub const PROGRESS_STEPS: i32 = 10_000;
/// Time between two checks that the client of a running request is still connected.
pub const PEER_CHECK: Duration = Duration::from_millis(100);

/// Time before a stop cuts off clients that don't read their responses. All waits of a stop together stay
/// below the ten seconds that gobd gives.
pub const STOP_DEAF: Duration = Duration::from_secs(1);
/// Time that a stop then gives running requests before it interrupts them.
pub const STOP_PATIENCE: Duration = Duration::from_secs(4);
/// Time that a stop gives interrupted requests.
pub const STOP_INTERRUPTED: Duration = Duration::from_secs(1);
/// Time that a stop waits for the writer, and then for other programs that read the file.
pub const STOP_CHECKPOINT: Duration = Duration::from_secs(1);

/// Time between two checks of the socket without a notification: a directory above it may have moved.
pub const SOCKET_CHECK: Duration = Duration::from_secs(60);
/// First wait after a failed publication; it doubles up to [`SOCKET_CHECK`].
pub const REPUBLISH_FIRST: Duration = Duration::from_millis(100);
/// Pause of accepting when the process is out of descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Time after which an import without new lines is dropped.
pub const IMPORT_IDLE: Duration = Duration::from_secs(300);
/// Longest time that an import's last step may take.
pub const IMPORT_DEADLINE: Duration = Duration::from_secs(3600);
/// Shortest time between two reports of progress.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Longest export.
pub const EXPORT_DEADLINE: Duration = Duration::from_secs(3600);
/// Bytes at which an export's frame is sent; it may hold one line more.
pub const EXPORT_CHUNK_BYTES: usize = 64 * 1024;

/// Hits of a `search` without a limit.
pub const DEFAULT_HITS: usize = 20;
/// Most hits of a `search`.
pub const MAX_HITS: usize = 1_000;
/// Longest text of a `search`, in bytes.
pub const MAX_SEARCH_BYTES: usize = 4 * 1024;
/// Rows of a `query` without a limit.
pub const DEFAULT_ROWS: usize = 1_000;
/// Most rows of a `query`.
pub const MAX_ROWS: usize = 100_000;
/// Time limit of a `query` without one, in milliseconds.
pub const QUERY_MS: usize = 5_000;
/// Longest time of a `query`, in milliseconds.
pub const MAX_QUERY_MS: usize = 60_000;

/// Nodes of a `neighbors` without a limit.
pub const DEFAULT_NEIGHBORS: usize = 100;
/// Most nodes of a `neighbors`.
pub const MAX_NEIGHBORS: usize = 10_000;
/// Edges of a `neighbors`, as a multiple of its limit.
pub const EDGES_PER_NEIGHBOR: usize = 10;
/// Deepest `neighbors`.
pub const MAX_NEIGHBOR_DEPTH: usize = 100;
/// Longest path of a `path` without a depth.
pub const DEFAULT_PATH_DEPTH: usize = 32;
/// Longest path of a `path`.
pub const MAX_PATH_DEPTH: usize = 1_000;
/// Nodes that a `path` visits before it gives up.
pub const MAX_PATH_VISITS: usize = 1_000_000;
