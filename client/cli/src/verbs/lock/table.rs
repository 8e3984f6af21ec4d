//! Locks as a table: a row for each holder and each waiter, and counters where they are asked for.

use super::wording::age;
use crate::table::{Align, Narrower, fitted};
use crate::terminal::Look;
use crate::text::escape;
use gob_client::protocol::LockName;
use gob_client::protocol::answer::LockStatusData;
use gob_client::protocol::lock::{Lock, LockParty};

/// Returns the table. `asked` is the lock that was asked for, which may be free.
pub(super) fn of(status: &LockStatusData, asked: Option<&LockName>, counters: bool, look: Look) -> String {
    let locks = &status.locks;
    let held = locks.iter().any(|lock| !lock.holders.is_empty() || !lock.waiters.is_empty());
    let mut text = String::new();
    if held {
        let head = ["LOCK", "STATE", "PROCESS", "PID", "OWNER", "AGE", "MODE", "HOST"].map(str::to_owned);
        let mut rows = vec![head];
        for lock in locks {
            rows.extend(lock.holders.iter().map(|party| row(lock, party, "held")));
            rows.extend(lock.waiters.iter().map(|party| row(lock, party, wait(party))));
        }
        let align = [
            Align::Left,
            Align::Left,
            Align::Left,
            Align::Right,
            Align::Left,
            Align::Right,
            Align::Left,
            Align::Left,
        ];
        let steps = [Narrower::Without(7), Narrower::Without(6), Narrower::Cut(2, 8), Narrower::Cut(0, 8)];
        for line in fitted(align, &rows, look.width, &steps) {
            text.push_str(&line);
            text.push('\n');
        }
    } else {
        let is_early = status.claims_ms.is_some();
        text.push_str(&match asked.map(|lock| escape(lock.as_str())) {
            Some(lock) if is_early => format!("{lock} is not claimed yet\n"),
            Some(lock) => format!("{lock} is free\n"),
            None if is_early => "no lock is claimed yet\n".to_owned(),
            None => "no lock is held\n".to_owned(),
        });
    }
    if counters && !locks.is_empty() {
        let head = ["LOCK", "ACQUIRED", "CONTENDED", "WAITS", "LONGEST WAIT", "BROKEN"].map(str::to_owned);
        let mut rows = vec![head];
        rows.extend(locks.iter().map(|lock| {
            [
                escape(lock.lock.as_str()),
                lock.acquired.to_string(),
                lock.contended.to_string(),
                lock.waits.to_string(),
                age(lock.longest_wait_ms),
                lock.broken.to_string(),
            ]
        }));
        let align = [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right];
        text.push('\n');
        for line in fitted(align, &rows, look.width, &[Narrower::Cut(0, 8)]) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// A waiter with a token held the lock under an earlier supervisor.
const fn wait(party: &LockParty) -> &'static str {
    if party.token.is_some() { "claims" } else { "waits" }
}

fn row(lock: &Lock, party: &LockParty, state: &str) -> [String; 8] {
    [
        escape(lock.lock.as_str()),
        state.to_owned(),
        party.process.as_deref().map_or_else(|| "-".to_owned(), escape),
        party.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
        party.owner.to_string(),
        age(party.age_ms),
        party.mode.as_str().to_owned(),
        escape(&party.host),
    ]
}
