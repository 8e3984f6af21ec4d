//! The tool `lock_status`.

use crate::call::{Answer, Call, Done};
use crate::refusal::Refusal;
use crate::words::{TEXT, within};
use gob_client::call;
use gob_client::protocol::{ErrorCode, LockName, LockParty};
use gob_client::screen::text::escape;
use gob_client::screen::times::short_duration;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Holders, and waiters, that are named of a lock.
const PARTIES: usize = 5;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LockStatus {
    /// The lock; all of them without it.
    #[schemars(length(min = 1, max = 200))]
    lock: Option<String>,
}

pub(super) async fn lock_status(call: Call, LockStatus { lock }: LockStatus) -> Done {
    let name = lock.map(|text| LockName::new(&text)).transpose().map_err(|error| {
        let code = ErrorCode::InvalidName.as_str();
        Refusal::new(code, error.to_string(), "call lock_status without lock for those that exist")
    })?;
    let found = call.link().ask(call::LockStatus { lock: name }).await.map_err(|error| {
        let refusal = Refusal::from(error);
        let is_unknown = refusal.code() == ErrorCode::ServerNotFound.as_str();
        if is_unknown {
            refusal
                .hint("nobody holds it or waits for it; call lock_status without lock for those that exist")
        } else {
            refusal
        }
    })?;
    if found.locks.is_empty() {
        return Ok(Answer::text("no lock is held"));
    }
    let lines = found.locks.iter().map(|lock| {
        let name = escape(lock.lock.as_str());
        let holders = parties(&lock.holders);
        let waiters = match lock.waiters.len() {
            0 => "nobody waits".to_owned(),
            count => format!("{count} wait: {}", parties(&lock.waiters)),
        };
        format!("{name}: held by {}; {waiters}", if holders.is_empty() { "nobody" } else { &holders })
    });
    Ok(Answer::text(within(lines.collect(), TEXT, "call lock_status with a lock")))
}

fn parties(all: &[LockParty]) -> String {
    let one = |party: &LockParty| {
        let age = short_duration(Duration::from_millis(party.age_ms));
        format!("{} ({}, {age})", escape(&party.to_string()), party.mode.as_str())
    };
    let mut named: Vec<String> = all.iter().take(PARTIES).map(one).collect();
    let more = all.len().saturating_sub(PARTIES);
    named.extend((more > 0).then(|| format!("{more} more")));
    named.join(", ")
}
