//! The reach of a running tool: the connection, the parts of gobctl, and the client that waits for it.

use crate::link::Link;
use crate::refusal::{Refusal, shortened};
use crate::{Host, Setup};
use gob_client::protocol::{Env, ErrorCode, Timestamp};
use gob_client::{Dirs, Owner};
use rmcp::model::{CallToolResult, ContentBlock, ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RoleServer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Calls that are answered at once; the others wait for their turn.
const AT_ONCE: usize = 16;
/// Calls that wait for the end of a worker, each on a connection of its own; beyond them a call is refused.
const WAITS: usize = 32;
/// Time for a read of a log, the wait for a thread included.
const LOG: Duration = Duration::from_secs(20);
/// Time for the calls that run when the input ends.
const GRACE: Duration = Duration::from_secs(2);

/// The state of the server that all calls share.
pub(crate) struct Shared {
    pub(crate) link: Link,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) owner: Owner,
    env: Env,
    cwd: PathBuf,
    pub(crate) at_once: Semaphore,
    pub(crate) waits: Semaphore,
    /// Cancelled at the end of the input.
    pub(crate) ended: CancellationToken,
}

impl Shared {
    pub(crate) fn new(setup: Setup) -> Self {
        let Setup { connector, owner, env, cwd, timeout, host } = setup;
        let (at_once, waits) = (Semaphore::new(AT_ONCE), Semaphore::new(WAITS));
        let link = Link::new(connector, timeout);
        Self { link, host, owner, env, cwd, at_once, waits, ended: CancellationToken::new() }
    }

    /// Ends some time after the input did.
    pub(crate) async fn over(&self) {
        self.ended.cancelled().await;
        tokio::time::sleep(GRACE).await;
    }

    pub(crate) fn dirs(&self) -> &Dirs {
        self.link.connector().dirs()
    }
}

/// One call of a tool.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    progress: Option<(Peer<RoleServer>, ProgressToken)>,
}

impl Call {
    pub(crate) fn new(shared: Arc<Shared>, peer: &Peer<RoleServer>, token: Option<ProgressToken>) -> Self {
        Self { shared, progress: token.map(|token| (peer.clone(), token)) }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.shared.link
    }

    /// Returns whether the client wants to hear of progress.
    pub(crate) const fn has_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// Tells the client how far the call is, if it asked for that. `done` has to grow.
    pub(crate) async fn progress(&self, done: f64, total: Option<f64>, message: String) {
        let Some((peer, token)) = &self.progress else { return };
        let progress = ProgressNotificationParam::new(token.clone(), done).with_message(message);
        let progress = total.into_iter().fold(progress, ProgressNotificationParam::with_total);
        // A client that is gone needs no progress.
        peer.notify_progress(progress).await.ok();
    }

    /// Returns this program's environment with the variables of the call.
    pub(crate) fn env(&self, more: Option<&BTreeMap<String, String>>) -> Result<Env, Refusal> {
        for (name, value) in more.into_iter().flatten() {
            check_variable(name, value)?;
        }
        let own = self.shared.env.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let more = more.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
        let merged: BTreeMap<String, String> = own.chain(more).collect();
        Ok(merged.into_iter().collect())
    }

    /// Returns the real path of a directory, the argument `field`, which may be given from that of this server.
    pub(crate) fn directory(&self, field: &str, given: Option<&str>) -> Result<String, Refusal> {
        let own = &self.shared.cwd;
        let path = own.join(given.unwrap_or("."));
        let refused = |why: &str| {
            let message = format!("{field} {} {why}", path.display());
            let such = match own.is_dir() {
                true => format!(", such as {}", own.display()),
                false => " by its whole path: the directory of this server is gone".to_owned(),
            };
            Refusal::argument(message, format!("call the tool again with a {field} that exists{such}"))
        };
        let real = Path::canonicalize(&path).map_err(|error| refused(&format!("can't be used: {error}")))?;
        if !real.is_dir() {
            return Err(refused("is no directory"));
        }
        real.into_os_string().into_string().map_err(|_| refused("is not UTF-8"))
    }

    /// Reads a log as [`Call::beside`], and for no longer than a client waits: a disk may not answer.
    pub(crate) async fn read_log<T: Send + 'static>(
        read: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        tokio::time::timeout(LOG, Self::beside(read)).await.unwrap_or_else(|_| {
            Err(Refusal::new(
                ErrorCode::LogUnavailable.as_str(),
                format!("the log was not read within {} s", LOG.as_secs()),
                "the disk does not answer, or too many logs are read at once: call logs again in some seconds, and status meanwhile",
            ))
        })
    }

    /// Does work that blocks on one of a bounded number of threads.
    pub(crate) async fn beside<T: Send + 'static>(
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| {
            Err(Refusal::new(
                "internal",
                error.to_string(),
                "call the tool again; call status if it fails again",
            ))
        })
    }
}

/// Refuses a variable that no program can be given: it would be another one, or none.
fn check_variable(name: &str, value: &str) -> Result<(), Refusal> {
    let why = match (name, value) {
        ("", _) => "a variable without a name",
        (name, _) if name.contains(['=', '\0']) => "a variable with = or NUL in its name",
        (_, value) if value.contains('\0') => "a variable with NUL in its value",
        _ => return Ok(()),
    };
    let message = format!("env has {why}: {}", shortened(name, 64));
    Err(Refusal::argument(message, "call the tool again with it corrected, as {\"NAME\": \"value\"}"))
}

/// The result of a tool that did its work.
#[derive(Debug)]
pub(crate) struct Answer {
    text: String,
    data: Option<Value>,
}

/// The result of a tool.
pub(crate) type Done = Result<Answer, Refusal>;

impl Answer {
    /// An answer in words alone.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), data: None }
    }

    /// An answer in words, and as data.
    pub(crate) fn with(text: impl Into<String>, data: Value) -> Self {
        Self { text: text.into(), data: Some(data) }
    }

    pub(crate) fn into_result(self) -> CallToolResult {
        let mut result = CallToolResult::success(vec![ContentBlock::text(self.text.trim_end())]);
        result.structured_content = self.data;
        result
    }
}

/// Returns the present time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_no_program_can_have_is_refused() {
        for (name, value) in [("A=B", "x"), ("", "x"), ("A\0", "x"), ("A", "x\0y")] {
            let text = check_variable(name, value).unwrap_err().text();
            assert!(text.starts_with("invalid-request: env has a variable with"), "{text}");
        }
        assert!(check_variable("A", "b=c").is_ok() && check_variable("A", "").is_ok());
    }
}
