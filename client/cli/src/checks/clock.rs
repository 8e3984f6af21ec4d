//! The clock: a wrong clock gives wrong times in events and logs.

use super::scene::Scene;
use super::{Check, ok, warn};
use crate::last::LastState;
use crate::text::{now, short_duration};
use gob_client::protocol::Timestamp;
use std::time::Duration;

const WHAT: &str = "clock";
const HINT: &str = "timedatectl, or date, shows it; deadlines don't go by it, times in events and logs do";
/// 2025-01-01, in milliseconds since 1970.
const LONG_AGO: i64 = 1_735_689_600_000;
/// Smaller differences are the time of the request itself.
const SLACK_MS: i64 = 60_000;

/// Runs the check.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let now = now();
    let check = match scene.answers() {
        Some(answers) => {
            let up = i64::try_from(answers.status.uptime_ms).unwrap_or(i64::MAX);
            since(now, answers.server.started_at, up)
        }
        None => LastState::read(&scene.dirs).map_or_else(|| alone(now), |last| after(now, last.time)),
    };
    vec![check]
}

fn alone(now: Timestamp) -> Check {
    if now.0 < LONG_AGO {
        return warn(WHAT, format!("it says {now}"), HINT);
    }
    ok(WHAT, now.to_string())
}

/// Compares with a time that was written down.
fn after(now: Timestamp, then: Timestamp) -> Check {
    if then.0.saturating_sub(now.0) > SLACK_MS {
        return warn(WHAT, format!("it says {now}, and the last state was written down at {then}"), HINT);
    }
    alone(now)
}

/// Compares with a supervisor, whose uptime is counted by a clock that is never set and that stops while the
/// machine sleeps.
fn since(now: Timestamp, started: Timestamp, up_ms: i64) -> Check {
    let ahead = now.0.saturating_sub(started.0).saturating_sub(up_ms);
    let by = short_duration(Duration::from_millis(ahead.unsigned_abs()));
    if ahead < -SLACK_MS {
        return warn(WHAT, format!("it was set back by {by} since the supervisor started"), HINT);
    }
    let alone = alone(now);
    if ahead > SLACK_MS && alone.hint.is_none() {
        return ok(
            WHAT,
            format!("{now}; since the supervisor started the machine slept, or it was set forward, by {by}"),
        );
    }
    alone
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn back_forward_and_long_ago() {
        let at = |ms: i64| Timestamp(LONG_AGO + 1_000_000_000 + ms);
        assert_eq!(since(at(0), at(-5_000), 5_000).level, Level::Ok);
        let back = since(at(0), at(3_600_000), 1_000);
        assert_eq!((back.level, back.found.contains("set back by 1h")), (Level::Warn, true), "{back:?}");
        let slept = since(at(7_200_000), at(0), 0);
        assert_eq!((slept.level, slept.found.contains("2h")), (Level::Ok, true), "{slept:?}");
        assert_eq!(after(at(0), at(120_000)).level, Level::Warn);
        assert_eq!(after(at(0), at(-120_000)).level, Level::Ok);
        assert_eq!(alone(Timestamp(0)).level, Level::Warn);
    }
}
