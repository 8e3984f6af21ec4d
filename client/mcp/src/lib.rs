//! A Model Context Protocol server over standard input and output: gob's requests as tools, workers' logs as resources.
//!
//! The process keeps nothing that matters: it holds one connection to the supervisor and makes it anew after a loss. Standard
//! output has JSON-RPC messages and nothing else. `gobctl mcp` hands in the parts that only the command line has ([`Host`]).
//!
//! | module | what it is |
//! |---|---|
//! | `frame` | bytes to lines, bounded; pure |
//! | `envelope` | a line to a message, or to the error that answers it; pure |
//! | `pipes` | the threads that read standard input and write standard output |
//! | `transport` | both for rmcp, with the requests that are not answered yet |
//! | `server` | what rmcp asks of a server |
//! | `tools` | the table of tools, and a file for each subject |
//! | `arguments` | arguments checked by the schema that clients see; pure |
//! | `refusal` | errors in words, each with the tool to call next; pure |
//! | `link` | the connection to the supervisor |
//! | `ending` | the wait for the end of a worker |
//! | `output` | a part of a log, within a budget |
//! | `words` | workers in few words; pure |
//! | `resources` | logs as resources |

mod arguments;
mod call;
mod ending;
mod envelope;
mod frame;
mod link;
mod output;
mod pipes;
mod refusal;
mod resources;
mod server;
mod tools;
mod transport;
mod words;

pub use refusal::Refusal;
pub use tools::{Described, described};

use call::Shared;
use gob_client::blocking::Connector;
use gob_client::protocol::Env;
use gob_client::{Name, Owner};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The parts of gobctl that its tools share with its verbs. Each is called on a thread that may block.
pub trait Host: Send + Sync + 'static {
    /// Returns the text of `brief`: what changed since a cursor, what fails, and which tool to call next.
    ///
    /// # Errors
    /// Those of the verb, and a text that is no cursor.
    fn brief(&self, since: Option<&str>) -> Result<String, Refusal>;

    /// Returns the text of `who`: the process that holds a graph.
    ///
    /// # Errors
    /// Those of the verb.
    fn who(&self, graph: &Name) -> Result<String, Refusal>;
}

/// All that a server needs to begin.
pub struct Setup {
    /// The way to the supervisor, with the owner and the rule about starting it.
    pub connector: Connector,
    /// The owner that the connector speaks for.
    pub owner: Owner,
    /// The environment that jobs get.
    pub env: Env,
    /// The directory that relative ones begin at.
    pub cwd: PathBuf,
    /// The time limit of each answer of the supervisor; that of the request without it.
    pub timeout: Option<Duration>,
    /// The parts of gobctl.
    pub host: Arc<dyn Host>,
}

/// Serves one client over standard input and output until its end of input.
///
/// # Errors
/// When a thread or the runtime can't be made.
pub fn serve(setup: Setup) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(tools::BLOCKING_THREADS)
        .build()?;
    let result = runtime.block_on(async {
        let shared = Arc::new(Shared::new(setup));
        let transport = transport::Stdio::open(shared.ended.clone())?;
        let running = rmcp::service::serve_directly(server::Server::new(shared), transport, None);
        running.waiting().await.map(drop).map_err(io::Error::other)
    });
    // A thread that still reads a log on a dead disk is left behind.
    runtime.shutdown_background();
    result
}
