//! History of workers: their runs, the statistics of these, and the causes of changes (PROTOCOL 5, 12).

use crate::event::{Actor, EventKind};
use crate::exit::Exit;
use crate::name::{Name, Owner};
use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Signals by which a process is ended from outside; a process that crashes gets others.
const ENDING_SIGNALS: [&str; 5] = ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"];

/// The outcome of a run that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// It exited 0 by itself.
    Success,
    /// It exited with another code, crashed, or could not be spawned.
    Failure,
    /// It was stopped or killed, so that its duration says nothing about the worker.
    Killed,
}

impl RunOutcome {
    /// Returns the outcome of a run; `was_asked` tells that gob was asked to end it.
    #[must_use]
    pub fn of(exit: &Exit, was_asked: bool) -> Self {
        if was_asked {
            return Self::Killed;
        }
        match exit {
            Exit::Code { code: 0 } => Self::Success,
            Exit::Signal { signal, .. } if ENDING_SIGNALS.contains(&signal.as_str()) => Self::Killed,
            Exit::Code { .. } | Exit::Signal { .. } | Exit::SpawnFailed { .. } => Self::Failure,
        }
    }
}

/// The latest successful runs, by which the duration of the next one is expected.
pub const EXPECTED_FROM: usize = 10;

/// Successful runs before which no duration is expected.
pub const EXPECTED_AFTER: usize = 3;

/// Returns the duration to expect of the next run: the median of those of the latest successful ones, which come newest first.
#[must_use]
pub fn expected_ms(successes: impl IntoIterator<Item = u64>) -> Option<u64> {
    let mut latest: Vec<u64> = successes.into_iter().take(EXPECTED_FROM).collect();
    if latest.len() < EXPECTED_AFTER { None } else { median(&mut latest) }
}

/// Returns the median; of an even number the mean of the two in the middle.
#[must_use]
pub fn median(durations: &mut [u64]) -> Option<u64> {
    durations.sort_unstable();
    let middle = durations.len() / 2;
    let upper = durations.get(middle).copied()?;
    let lower = if durations.len().is_multiple_of(2) {
        durations.get(middle.checked_sub(1)?).copied()?
    } else {
        upper
    };
    Some(lower.midpoint(upper))
}

/// One run of a worker, as `runs` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunRecord {
    /// Its number among the runs of its worker.
    pub run: u64,
    /// Its leader's process id; null when none was spawned.
    pub pid: Option<i32>,
    /// The spawn, or the attempt.
    pub started_at: Timestamp,
    /// The readiness.
    pub ready_at: Option<Timestamp>,
    /// The end; null while it lives, and of a run that was cut off.
    pub stopped_at: Option<Timestamp>,
    /// Time from the spawn to the end, on a clock that never jumps.
    pub duration_ms: Option<u64>,
    /// The exit.
    pub exit: Option<Exit>,
    /// The outcome; null while it lives.
    #[serde(default)]
    pub outcome: Option<RunOutcome>,
    /// The supervisor ended first, so that the end of this run is not known.
    #[serde(default)]
    pub cut: bool,
    /// The worker's owner at its start.
    pub owner: Owner,
    /// The cause of its start.
    pub actor: Actor,
}

/// A share of runs: 0 to 1 on the wire, kept in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u16);

impl Rate {
    /// Returns the share of `part` in `whole`; `None` of nothing.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        let thousandths =
            part.min(whole).saturating_mul(2000).saturating_add(whole) / whole.checked_mul(2)?.max(1);
        (whole > 0).then(|| Self(u16::try_from(thousandths).unwrap_or(1000).min(1000)))
    }

    /// Returns the thousandths.
    #[must_use]
    pub const fn thousandths(self) -> u16 {
        self.0
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let share = f64::deserialize(deserializer)?;
        let nearest = (0..=1000u16).find(|of| share <= (f64::from(*of) + 0.5) / 1000.0);
        let is_share = (0.0..=1.0).contains(&share);
        nearest
            .filter(|_| is_share)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format_args!("`{share}` is not a share of 0 to 1")))
    }
}

/// Runs of one outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Durations {
    /// The number of runs.
    pub count: u64,
    /// Their mean duration; null without one, and always for killed runs.
    pub mean_ms: Option<u64>,
    /// Their median duration; as `mean_ms`.
    pub median_ms: Option<u64>,
}

/// The runs of a worker by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ByOutcome {
    /// Runs that exited 0.
    pub success: Durations,
    /// Runs that failed.
    pub failure: Durations,
    /// Runs that were stopped, killed or cut off.
    pub killed: Durations,
}

/// Data of `stats`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stats {
    /// The number of runs in the history, a live one included.
    pub runs: u64,
    /// The share of successes in the runs that have ended; null without any.
    pub success_rate: Option<Rate>,
    /// The duration to expect of the next run; null before three successes.
    pub expected_ms: Option<u64>,
    /// The runs that have ended.
    pub by_outcome: ByOutcome,
}

/// A change that was told, as the history keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The number of its event in its supervisor's life.
    pub seq: u64,
    /// The time.
    pub time: Timestamp,
    /// The event.
    pub event: EventKind,
    /// The worker that it concerns.
    pub name: Option<Name>,
    /// Its run.
    pub run: Option<u64>,
    /// The cause.
    pub actor: Actor,
    /// The reason that is shown.
    pub reason: Option<String>,
}

/// One change of a worker, as `blame` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlameEntry {
    /// The time of the change.
    pub time: Timestamp,
    /// The event that told it.
    pub event: EventKind,
    /// The cause.
    pub actor: Actor,
    /// The run that it concerns.
    pub run: Option<u64>,
    /// The reason that was shown.
    pub reason: Option<String>,
}

/// One change of a worker or of the supervisor, as `history` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HistoryEntry {
    /// The supervisor's life in which it was told.
    pub instance: String,
    /// The number of its event in that life.
    pub seq: u64,
    /// The time of the change.
    pub time: Timestamp,
    /// The event that told it.
    pub event: EventKind,
    /// The worker that it concerns; null for the supervisor itself.
    pub name: Option<Name>,
    /// Its run.
    pub run: Option<u64>,
    /// The cause.
    pub actor: Actor,
    /// The reason that was shown.
    pub reason: Option<String>,
    /// The end of the run, where the change is that; null where it is not known any more.
    pub exit: Option<Exit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_tells_a_crash_from_a_kill() {
        let signal = |name: &str| Exit::Signal { signal: name.to_owned(), core_dumped: false };
        let failed = Exit::SpawnFailed { spawn_error: "ENOENT".to_owned(), step: None };
        assert_eq!(RunOutcome::of(&Exit::Code { code: 0 }, false), RunOutcome::Success);
        assert_eq!(RunOutcome::of(&Exit::Code { code: 0 }, true), RunOutcome::Killed);
        assert_eq!(RunOutcome::of(&Exit::Code { code: 3 }, false), RunOutcome::Failure);
        assert_eq!(RunOutcome::of(&signal("SIGSEGV"), false), RunOutcome::Failure);
        assert_eq!(RunOutcome::of(&signal("SIGKILL"), false), RunOutcome::Killed);
        assert_eq!(RunOutcome::of(&failed, false), RunOutcome::Failure);
    }

    #[test]
    fn a_rate_is_rounded_and_survives_the_wire() {
        assert_eq!(Rate::of(0, 0), None);
        assert_eq!(Rate::of(2, 3).map(Rate::thousandths), Some(667));
        for part in 0..=7 {
            let rate = Rate::of(part, 7).unwrap();
            let text = serde_json::to_string(&rate).unwrap();
            assert_eq!(serde_json::from_str::<Rate>(&text).unwrap(), rate, "{text}");
        }
        assert_eq!(serde_json::to_string(&Rate::of(1, 2)).unwrap(), "0.5");
        for bad in ["-0.1", "1.1", "1e300"] {
            assert!(serde_json::from_str::<Rate>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [7]), Some(7));
        assert_eq!(median(&mut [9, 1]), Some(5));
        assert_eq!(median(&mut [9, 1, 2]), Some(2));
        assert_eq!(median(&mut [u64::MAX, u64::MAX]), Some(u64::MAX));
    }

    #[test]
    fn a_duration_is_expected_after_three_successes_and_from_the_latest_ten() {
        assert_eq!(expected_ms([10, 30]), None);
        assert_eq!(expected_ms([10, 30, 20]), Some(20));
        let ten_after_many = [4_000; 10].into_iter().chain([1; 90]);
        assert_eq!(expected_ms(ten_after_many), Some(4_000));
    }

    #[test]
    fn shapes_are_those_of_the_protocol() {
        let run = RunRecord {
            run: 3,
            pid: Some(42),
            started_at: Timestamp(0),
            ready_at: None,
            stopped_at: Some(Timestamp(1500)),
            duration_ms: Some(1500),
            exit: Some(Exit::Code { code: 0 }),
            outcome: Some(RunOutcome::Success),
            cut: false,
            owner: Owner::cli(),
            actor: Actor::Supervisor,
        };
        let text = serde_json::to_string(&run).unwrap();
        assert_eq!(
            text,
            r#"{"run":3,"pid":42,"started_at":"1970-01-01T00:00:00.000Z","ready_at":null,"stopped_at":"1970-01-01T00:00:01.500Z","duration_ms":1500,"exit":{"code":0},"outcome":"success","cut":false,"owner":"cli","actor":"supervisor"}"#
        );
        assert_eq!(serde_json::from_str::<RunRecord>(&text).unwrap(), run);
        let stats = Stats { runs: 2, success_rate: Rate::of(1, 2), ..Stats::default() };
        let text = serde_json::to_string(&stats).unwrap();
        assert!(text.starts_with(r#"{"runs":2,"success_rate":0.5,"expected_ms":null,"by_outcome":{"success":{"count":0,"mean_ms":null,"median_ms":null},"#), "{text}");
    }
}
