//! Finds a holder's endpoint: the port on which it listens and answers as itself. A lock file
//! names no port.

use super::examine::Looker;
use crate::disks::PROCESSES;
use crate::readiness::{http, sockets};
use crate::sys::process;
use gob_config::foreign::answers_as;
use gob_protocol::ProcessId;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Time that a holder may need from taking its lock to listening.
const LIMIT: Duration = Duration::from_secs(5);
/// Time limit of an answer on one port.
const ATTEMPT: Duration = Duration::from_secs(1);
/// First and longest time between two attempts.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// Returns the endpoint of a holder that answers there to a GET of `path` with its own pid and graph.
pub(super) async fn of(looker: &Looker, holder: ProcessId, graph: &str, path: &str) -> Option<String> {
    let deadline = Instant::now() + LIMIT;
    let (mut between, longest) = BETWEEN;
    loop {
        let look = move || sockets::listening_of([holder.pid]);
        let listening = looker.look(graph, PROCESSES, look).await.ok()?.ok()?;
        for (address, _) in listening {
            if is_there(address, holder.pid, graph, path).await {
                return Some(format!("http://{address}"));
            }
        }
        let is_gone = process::stat(holder.pid).is_ok_and(|now| now.is_none_or(|now| now.id != holder));
        if is_gone || Instant::now() >= deadline {
            return None;
        }
        sleep(between).await;
        between = (between * 2).min(longest);
    }
}

async fn is_there(address: SocketAddr, pid: i32, graph: &str, path: &str) -> bool {
    let answer = timeout(ATTEMPT, http::body(address, path)).await;
    matches!(answer, Ok(Ok(body)) if answers_as(&body, pid, graph))
}
