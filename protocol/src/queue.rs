//! The durable queue: its jobs, lanes and schedules as the wire shows them (PROTOCOL 5, 12). The questions that the supervisor
//! asks its store about them are in [`ask`], the answers in [`told`], and the reasons why one is refused in [`refusal`].

pub mod ask;
pub mod refusal;
pub mod told;

use crate::exit::Exit;
use crate::limits::MAX_JOB_NAME_BYTES;
use crate::name::{INVALID_NAME, Name, NameError, Owner};
use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::sync::Arc;

pub use ask::{Beat, Claimant, Ending, NewJob, NewSchedule, QueueAsk, QueueEnd};
pub use refusal::QueueRefusal;
pub use told::{Claim, Due, Fired, LaneState, Listed, QueueTold, Settled};

/// Largest and, negated, smallest priority of a job in the queue. The time of a claim grows with the number of priorities in
/// use, so that there has to be a bound.
pub const MAX_PRIORITY: i32 = 1_000;
/// Jobs that one job may come after.
pub const MAX_AFTER: usize = 1_000;
/// Lanes that a store has.
pub const MAX_LANES: usize = 1_000;
/// Schedules that a store has.
pub const MAX_SCHEDULES: usize = 1_000;
/// Jobs on one page of a list.
pub const MAX_QUEUE_PAGE: u32 = 1_000;
/// Greatest delay of a job that is added, in milliseconds: ten years.
pub const MAX_DELAY_MS: u64 = 10 * 366 * 24 * 3_600_000;
/// Most attempts that a job may have.
pub const MAX_QUEUE_ATTEMPTS: u32 = 1_000;
/// Jobs of a lane that the supervisor runs at once.
pub const MAX_WIDTH: u32 = 1_000;
/// The number of the first job that several machines share. The numbers of a machine's own jobs are lower.
pub const FIRST_SHARED: u64 = 1_000_000_001;
/// Longest key of [`QueueJob::dedupe`] and longest worker id, in bytes.
pub const MAX_KEY_BYTES: usize = 200;

/// Returns whether a job of this id is in a lane that several machines share.
#[must_use]
pub fn is_shared(id: &Name) -> bool {
    id.number().is_some_and(|number| number >= FIRST_SHARED)
}

macro_rules! word_name {
    ($(#[$doc:meta])* $name:ident, $wrong:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a name by the rules for names of jobs.
            ///
            /// # Errors
            /// The problem of the name.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let name = Name::job(text).map_err(|_| $wrong(text.to_owned()))?;
                Ok(Self(name.shared()))
            }

            /// Returns the name as given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = crate::Text::deserialize(deserializer)?;
                Self::new(&text).map_err(|e| de::Error::custom(format_args!("{INVALID_NAME}{e}")))
            }
        }
    };
}

word_name! {
    /// The name of a lane.
    LaneName, NameError::Lane
}
word_name! {
    /// The name of a schedule.
    ScheduleName, NameError::Schedule
}

impl LaneName {
    /// Returns a name for a schedule of this lane: the `number`-th of those that were given none.
    #[must_use]
    pub fn schedule(&self, number: usize) -> ScheduleName {
        let suffix = if number < 2 { String::new() } else { format!("-{number}") };
        // The characters of a lane's name have one byte each.
        let stem = self.0.get(..MAX_JOB_NAME_BYTES.saturating_sub(suffix.len())).unwrap_or(&self.0);
        ScheduleName(format!("{stem}{suffix}").into())
    }
}

/// The status of a job in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum QueueStatus {
    /// It waits: for its turn, its time, or the jobs that it comes after.
    Pending,
    /// It was claimed, and has not ended.
    Running,
    /// It has ended well.
    Completed,
    /// It has failed, and is not tried again by itself.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl QueueStatus {
    /// All of them, in the order of a job's life.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// Returns the word of the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns whether nothing happens to such a job by itself any more.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for QueueStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A job in the queue. It never has an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct QueueJob {
    /// Its id, such as `j12`, which also is the name of its worker.
    pub id: Name,
    /// Its lane.
    pub lane: LaneName,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The directory.
    pub cwd: String,
    /// Its status.
    pub status: QueueStatus,
    /// The number of its present or last claim: it rises with each claim, for ever.
    pub attempt: u32,
    /// Claims that count: one that was given back does not, and `queue_retry` begins anew.
    pub attempts: u32,
    /// With so many attempts that failed, it has failed.
    pub max_attempts: u32,
    /// The higher, the sooner.
    pub priority: i32,
    /// The time from which on it may run.
    pub run_at: Timestamp,
    /// Jobs that have to be completed before.
    pub after: Vec<Name>,
    /// Its claimant, for people; null once it ends.
    pub locked_by: Option<String>,
    /// The time of the claim; null once it ends.
    pub locked_at: Option<Timestamp>,
    /// The last sign of life of its claimant; it may lag. Null once it ends.
    pub heartbeat_at: Option<Timestamp>,
    /// The reason of its last failure.
    pub error: Option<String>,
    /// The time when it was added.
    pub created_at: Timestamp,
    /// The time of its present or last claim.
    pub started_at: Option<Timestamp>,
    /// The time of its end.
    pub finished_at: Option<Timestamp>,
    /// The owner that added it.
    pub owner: Owner,
    /// Its worker in this supervisor; null when none was started, or a worker outside claimed it.
    pub worker: Option<Name>,
    /// The exit of its last attempt, if that was a process of the supervisor.
    pub exit: Option<Exit>,
    /// One job with this key waits or runs at a time.
    pub dedupe: Option<String>,
    /// The schedule that added it.
    pub schedule: Option<ScheduleName>,
    /// A description for people.
    pub description: Option<String>,
}

/// Jobs of a lane by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "the names are those of the statuses")]
pub struct QueueCounts {
    pub pending: u64,
    pub running: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
}

/// A lane. It exists once it is named, with width 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lane {
    /// Its name.
    pub lane: LaneName,
    /// Jobs that the supervisor runs at once; 0 leaves them to workers outside.
    pub width: u32,
    /// Nothing is claimed.
    pub paused: bool,
    /// Its jobs.
    pub counts: QueueCounts,
    /// Several machines share it, each with this width; later than version 1.0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// The reason why the database of this shared lane does not answer: `counts` are of this machine alone; later than version 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away: Option<String>,
}

/// A command that is added to a lane again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Schedule {
    /// Its name.
    pub name: ScheduleName,
    /// The lane that its jobs are added to.
    pub lane: LaneName,
    /// The owner of its jobs.
    pub owner: Owner,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The directory.
    pub cwd: String,
    /// Its times, in the five fields of cron.
    pub cron: Option<String>,
    /// The time between two jobs, if it has no `cron`.
    pub interval_ms: Option<u64>,
    /// The time zone of `cron`; null for the zone of the system.
    pub timezone: Option<String>,
    /// Its next time; null of a `cron` that has none any more.
    pub next_at: Option<Timestamp>,
    /// The time when it last added a job.
    pub last_at: Option<Timestamp>,
    /// The job that it added last.
    pub last_job: Option<Name>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lanes_follow_the_rules_for_jobs() {
        for good in ["ci", "j12", "a.b_c-d", &"x".repeat(64)] {
            assert_eq!(LaneName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a b", "é", &"x".repeat(65)] {
            assert!(LaneName::new(bad).is_err(), "{bad}");
            let text = serde_json::to_string(bad).unwrap();
            assert!(serde_json::from_str::<LaneName>(&text).unwrap_err().to_string().contains(INVALID_NAME));
        }
        let said = |error: NameError| error.to_string();
        assert!(said(LaneName::new("a b").unwrap_err()).starts_with("a lane is named ["));
        assert!(said(ScheduleName::new("a b").unwrap_err()).starts_with("a schedule is named ["));
    }

    #[test]
    fn a_schedule_without_a_name_gets_one_from_its_lane() {
        let lane = LaneName::new("ci").unwrap();
        assert_eq!((lane.schedule(1).as_str(), lane.schedule(2).as_str()), ("ci", "ci-2"));
        let long = LaneName::new(&"x".repeat(64)).unwrap();
        assert!(ScheduleName::new(long.schedule(1000).as_str()).is_ok());
    }

    #[test]
    fn shapes_are_those_of_the_protocol() {
        let job = QueueJob {
            id: Name::numbered(12),
            lane: LaneName::new("ci").unwrap(),
            command: vec!["make".to_owned()],
            cwd: "/src".to_owned(),
            status: QueueStatus::Running,
            attempt: 3,
            attempts: 2,
            max_attempts: 5,
            priority: -1,
            run_at: Timestamp(0),
            after: vec![Name::numbered(7)],
            locked_by: Some("host-4711".to_owned()),
            locked_at: Some(Timestamp(2)),
            heartbeat_at: None,
            error: None,
            created_at: Timestamp(0),
            started_at: Some(Timestamp(2)),
            finished_at: None,
            owner: Owner::cli(),
            worker: None,
            exit: None,
            dedupe: Some("nightly".to_owned()),
            schedule: None,
            description: None,
        };
        let text = serde_json::to_string(&job).unwrap();
        assert_eq!(
            text,
            r#"{"id":"j12","lane":"ci","command":["make"],"cwd":"/src","status":"running","attempt":3,"attempts":2,"max_attempts":5,"priority":-1,"run_at":"1970-01-01T00:00:00.000Z","after":["j7"],"locked_by":"host-4711","locked_at":"1970-01-01T00:00:00.002Z","heartbeat_at":null,"error":null,"created_at":"1970-01-01T00:00:00.000Z","started_at":"1970-01-01T00:00:00.002Z","finished_at":null,"owner":"cli","worker":null,"exit":null,"dedupe":"nightly","schedule":null,"description":null}"#
        );
        assert_eq!(serde_json::from_str::<QueueJob>(&text).unwrap(), job);
        let lane = Lane {
            lane: job.lane,
            width: 2,
            paused: true,
            counts: QueueCounts { pending: 1, ..QueueCounts::default() },
            shared: false,
            away: None,
        };
        assert_eq!(
            serde_json::to_string(&lane).unwrap(),
            r#"{"lane":"ci","width":2,"paused":true,"counts":{"pending":1,"running":0,"completed":0,"failed":0,"cancelled":0}}"#
        );
    }

    #[test]
    fn words_of_a_status_are_those_that_are_read() {
        for status in QueueStatus::ALL {
            let text = serde_json::to_string(&status).unwrap();
            assert_eq!(text, format!("{:?}", status.as_str()));
            assert_eq!(serde_json::from_str::<QueueStatus>(&text).unwrap(), status);
        }
    }
}
