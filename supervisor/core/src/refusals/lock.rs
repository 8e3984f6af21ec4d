//! Refusals of requests for locks.

use crate::chronicle::NoAnswer;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::limits::{LOCK_CLAIM_MS, LOCK_HOLDERS_SHOWN, MAX_LOCK_PARTIES};
use gob_protocol::shell::word;
use gob_protocol::{ErrorCode, LockLink, LockName, LockParty, Owner, WireError};
use serde_json::json;

/// A time in words: `800 ms`, `5 s`, `3 min`.
fn words(ms: u64) -> String {
    match ms {
        0..2_000 => format!("{ms} ms"),
        2_000..120_000 => format!("{} s", ms / 1_000),
        _ => format!("{} min", ms / 60_000),
    }
}

/// The first holder, and how many others there are.
fn held_by(holders: &[LockParty]) -> Option<String> {
    let first = holders.first()?;
    let more = match holders.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Some(format!("{first} has held it for {}{more}", words(first.age_ms)))
}

fn status(lock: &LockName) -> String {
    format!("see who holds it and who waits: gobctl lock status {}", word(lock.as_str()))
}

/// A lock was not granted in time.
pub(crate) fn lock_timeout(lock: &LockName, waited_ms: u64, holders: &[LockParty]) -> Box<WireError> {
    let in_time = match waited_ms {
        0 => String::from("at once"),
        ms => format!("in {}", words(ms)),
    };
    let message = match held_by(holders) {
        Some(held) => format!("{lock} was not granted {in_time}: {held}"),
        None => format!("{lock} was not granted {in_time}"),
    };
    let shown: Vec<&LockParty> = holders.iter().take(LOCK_HOLDERS_SHOWN).collect();
    let error = WireError::new(ErrorCode::LockTimeout, message).hint(status(lock));
    Box::new(error.details(json!({"holders": shown})))
}

/// A lock was not granted in time because the holders of an earlier supervisor may still claim theirs.
pub(crate) fn lock_not_yet(lock: &LockName) -> Box<WireError> {
    let message = format!(
        "{lock} is not granted yet: locks were held when the supervisor ended, and their holders have {} to claim them",
        words(LOCK_CLAIM_MS)
    );
    let error = WireError::new(ErrorCode::LockTimeout, message).hint("wait for longer");
    Box::new(error.details(json!({"holders": []})))
}

/// The token is not one by which this connection holds the lock.
pub(crate) fn lock_not_held(lock: &LockName, token: u64) -> Box<WireError> {
    let message = format!("this connection does not hold {lock} with token {token}");
    let hint = "it ran out, was broken, or is another connection's; take the lock again";
    Box::new(WireError::new(ErrorCode::LockNotHeld, message).hint(hint))
}

/// The party would wait for itself.
pub(crate) fn lock_deadlock(lock: &LockName, cycle: &[LockLink]) -> Box<WireError> {
    let steps: Vec<String> = cycle
        .iter()
        .map(|LockLink { lock, owner, process, pid }| {
            let process = process.as_deref().unwrap_or(owner.as_str());
            match pid {
                Some(pid) => format!("{lock} of {process} (pid {pid})"),
                None => format!("{lock} of {process}"),
            }
        })
        .collect();
    let (message, hint) = if steps.len() == 1 {
        let message = format!("{lock} is held, or waited for, by the one that asks for it");
        (message, "a connection is one party, and so are nested lock runs: give it back first")
    } else {
        let steps = steps.join(", which waits for ");
        let message = format!("to wait for {lock} would be to wait for oneself: it waits for {steps}");
        (message, "take locks in the same order everywhere, or give back what is held first")
    };
    Box::new(WireError::new(ErrorCode::LockDeadlock, message).hint(hint).details(json!({"cycle": cycle})))
}

/// There are too many holders, or waiters.
pub(crate) fn lock_busy(what: &str) -> Box<WireError> {
    let error = WireError::new(ErrorCode::Busy, format!("there are {MAX_LOCK_PARTIES} {what} of locks"));
    Box::new(error.hint("try again when some are gone").details(json!({"limit": MAX_LOCK_PARTIES})))
}

/// A lock that nobody holds can't be broken.
pub(crate) fn lock_is_free(lock: &LockName) -> Box<WireError> {
    let error = WireError::new(ErrorCode::ServerNotFound, format!("nobody holds the lock {lock}"));
    Box::new(error.hint("see all locks: gobctl lock status").details(json!({"lock": lock})))
}

/// A lock can't be broken while the holders of an earlier supervisor may still claim theirs.
pub(crate) fn lock_unclaimed(lock: &LockName, claims_ms: u64) -> Box<WireError> {
    let message = format!(
        "it is not known yet if {lock} is held: locks were held when the supervisor ended, and their holders have {} more to claim them",
        words(claims_ms)
    );
    let error = WireError::new(ErrorCode::ServerNotFound, message).hint("try again after that time");
    Box::new(error.details(json!({"lock": lock, "claims_ms": claims_ms})))
}

/// A lock of another owner is not broken.
pub(crate) fn lock_of_other(
    lock: &LockName,
    holder: &LockParty,
    requester: &Owner,
    force_owners: &[Owner],
) -> Box<WireError> {
    let message = format!("{lock} is held by {holder}, you are {requester}");
    let owners: Vec<&str> = force_owners.iter().map(Owner::as_str).collect();
    let owners = if owners.is_empty() { "nobody".to_string() } else { owners.join(", ") };
    let hint = format!(
        "ask it to give the lock back; others' locks are broken by {owners} (force_owners in the configuration)"
    );
    let details = json!({"lock": lock, "owner": holder.owner, "requester": requester, "pid": holder.pid});
    Box::new(WireError::new(ErrorCode::ServerOwnedByOther, message).hint(hint).details(details))
}

/// No database is configured that machines could share.
pub(crate) fn lock_without_database(lock: &LockName) -> Box<WireError> {
    let message =
        format!("{lock} is a lock that several machines share, and no database is configured for that");
    let hint = "name one in the configuration ([shared] url), or take a lock without the prefix shared/";
    let details = json!({"field": "payload.lock", "position": 0});
    Box::new(WireError::new(ErrorCode::InvalidRequest, message).hint(hint).details(details))
}

/// The store reserves no more tokens.
pub(crate) fn lock_without_token(why: &NoAnswer) -> Box<WireError> {
    let why = match why {
        NoAnswer::Full => "too many requests wait for the history",
        NoAnswer::Silent => "the disk of the history does not answer",
        NoAnswer::Failed(why) | NoAnswer::Away(why) => why,
    };
    let message = format!("no lock can be granted, since no token can be reserved: {why}");
    Box::new(
        WireError::new(ErrorCode::Internal, message)
            .hint("locks that are held stay held; gobctl status says how the history is"),
    )
}

/// It can't be noted that locks are held.
pub(crate) fn lock_without_mark(why: &str) -> Box<WireError> {
    let message = format!("no lock can be granted, since it can't be noted in the runtime directory: {why}");
    Box::new(WireError::new(ErrorCode::Internal, message).hint("gobctl doctor looks at the directories"))
}
