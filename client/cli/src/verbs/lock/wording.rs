//! The words for locks and their holders.

use crate::failure::Failure;
use crate::text::{escape, short_duration};
use gob_client::file_lock::{FileLockError, Standing, Status};
use gob_client::protocol::lock::Lock;
use std::time::Duration;

/// Tells of the holder of a lock that is waited for.
pub(crate) fn waiting(lock: &Lock) -> String {
    let name = escape(lock.lock.as_str());
    match lock.holders.split_first() {
        Some((first, others)) => {
            let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            let process = first.process.as_deref().map_or_else(|| "a program".to_owned(), escape);
            let pid = first.pid.map(|pid| format!("pid {pid}, ")).unwrap_or_default();
            let (owner, age) = (&first.owner, age(first.age_ms));
            format!("waiting for {name}: held by {process} ({pid}owner {owner}) for {age}{more}")
        }
        // It may be counting on its store still, or it waits for the claims after a restart.
        None => format!(
            "waiting for {name}: nobody holds it, and the supervisor has just begun; after a restart it lets 6 s pass for the claims of \
             earlier holders"
        ),
    }
}

/// Tells how long it is not known yet which locks are held.
pub(super) fn claims(ms: u64) -> String {
    format!("the supervisor has just begun: holders from before have {} more to claim their locks", age(ms))
}

/// Returns a time in milliseconds in few characters.
pub(super) fn age(ms: u64) -> String {
    short_duration(Duration::from_millis(ms))
}

/// Tells of the holder of a lock file that is waited for.
pub(crate) fn waiting_for_file(status: &Status) -> String {
    let age =
        status.age.map(|age| format!(", its last sign {} ago", short_duration(age))).unwrap_or_default();
    match status.standing.info() {
        Some(info) => format!("waiting for the lock: held by {}{age}", escape(&info.to_string())),
        None => "waiting for the lock: its file can't be read, and may be being written".to_owned(),
    }
}

/// Returns the failure of a lock file, with the way out.
pub(crate) fn file_failure(error: &FileLockError, code: u8) -> Failure {
    let text = escape(&error.to_string());
    match error {
        FileLockError::Held { path, waited, .. } => {
            let path = path.to_string_lossy();
            let word = gob_client::protocol::shell::word(&path);
            Failure::own("lock-timeout", code, text)
                .cause(format!("waited {}", short_duration(*waited)))
                .hint(format!(
                    "gobctl lock status --file {word} shows it; --timeout and --retries wait for longer"
                ))
        }
        FileLockError::Io { path, source, .. } => {
            let failure = Failure::own("internal", code, text).cause(source.to_string());
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists());
            match parent {
                Some(parent) => failure.hint(format!(
                    "make its directory first: mkdir -p {}",
                    gob_client::protocol::shell::word(&parent.to_string_lossy())
                )),
                None => failure,
            }
        }
        FileLockError::Twice { .. } => Failure::own("internal", code, text),
    }
}

/// Returns a lock file's state in a line.
pub(crate) fn file_line(status: Option<&Status>) -> String {
    let Some(status) = status else { return "free".to_owned() };
    let age =
        status.age.map(|age| format!(", its last sign {} ago", short_duration(age))).unwrap_or_default();
    match &status.standing {
        Standing::Held(info) => format!("held by {}{age}", escape(&info.to_string())),
        Standing::Stale(info) => {
            format!("stale: was held by {}{age}; the next one takes it", escape(&info.to_string()))
        }
        Standing::Unreadable | Standing::Broken => {
            "not readable: it is being written, or it is broken, and the next one takes it after a second"
                .to_owned()
        }
    }
}
