//! The store of the history: hands it what the core has recorded and asked, and brings its answers to the loop.
//!
//! Nothing here waits. The store has a thread of its own, which opens the file when it is needed; its disk may hang, so each
//! question has a deadline here too.

use crate::boot::Boot;
use crate::mailbox::Post;
use crate::patience;
use crate::shell::Done;
use gob_config::{History as Bounds, Queue};
use gob_core::{Input, NoAnswer, Question, Recorded, Stored};
use gob_protocol::Timestamp;
use gob_protocol::answer::RunsData;
use gob_protocol::view::HistoryStatus;
use gob_store::{Answer, Handle, Record, Settings, Store, StoreError, StoreState, Told};
use std::sync::Arc;
use std::time::Duration;

/// Time in which the store answers, after which its disk is taken to hang.
const PATIENCE: Duration = Duration::from_secs(3);

/// Time limit of the last records, at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The store, as the loop has it.
#[derive(Debug)]
pub(crate) struct History {
    store: Handle,
    to_loop: Post<Done>,
}

impl History {
    /// A store in the state directory, for this life of the supervisor. No job ever had a number above `highest_job`, as far as
    /// is known without it.
    pub(crate) fn new(
        boot: &Boot,
        highest_job: u64,
        (bounds, queue): (Bounds, Queue),
        to_loop: Post<Done>,
    ) -> Self {
        let settings = Settings {
            job_floor: highest_job,
            keep_runs: bounds.keep_runs,
            keep: Duration::from_millis(bounds.keep_ms),
            keep_finished: Duration::from_millis(queue.keep_finished_ms),
            ..Settings::new(boot.paths.state_dir.clone().into(), boot.server.instance.clone())
        };
        let post = to_loop.clone();
        let store = Store::spawn(settings, move |told| {
            post.send_blocking(Done::Store(told));
        });
        Self { store, to_loop }
    }

    /// Records something; it is lost, and counted, where the store takes no more.
    pub(crate) fn record(&self, recorded: Recorded) {
        let record = match recorded {
            Recorded::Run { name, run } => Record::Run { name, run },
            Recorded::Change(change) => Record::Entry(change),
            Recorded::Forgotten(name) => Record::Forgotten { name, history: true },
            Recorded::Unused { first, count } => Record::Unused { first, count },
        };
        // `status` has the number of lost records.
        self.store.record(record).unwrap_or_default();
    }

    /// Asks a question; it is answered at once where too many wait.
    pub(crate) fn ask(&self, ticket: u64, question: Question, now: Timestamp) -> Option<Input> {
        let question = match question {
            Question::Runs { name, limit, before } => gob_store::Question::Runs { name, before, limit },
            Question::Stats(name) => gob_store::Question::Stats { name },
            Question::Durations(name) => gob_store::Question::Durations { name },
            Question::Blame { name, limit, before } => gob_store::Question::Blame { name, before, limit },
            Question::Since { after, limit } => gob_store::Question::Since { after, limit },
            Question::DeleteRun { name, run } => gob_store::Question::DeleteRun { name, run },
            Question::Reserve { count, above } => gob_store::Question::Reserve { count, above },
            Question::Queue(ask) | Question::Shared(ask) => gob_store::Question::Queue { now, ask },
            // The shell asks another one.
            Question::Lock(_) => return None,
            Question::ReserveTokens { count, above } => gob_store::Question::ReserveTokens { count, above },
        };
        if self.store.ask(ticket, question).is_err() {
            return Some(Input::Stored { ticket, answer: Err(NoAnswer::Full) });
        }
        patience::limit(ticket, PATIENCE, &self.to_loop);
        None
    }

    /// Has other bounds from here on.
    pub(crate) fn set_bounds(&self, bounds: Bounds, keep_finished_ms: u64) {
        let keep = Duration::from_millis(bounds.keep_ms);
        self.store.set_bounds(bounds.keep_runs, keep, Duration::from_millis(keep_finished_ms));
    }

    /// Has the store close its file as it is and end its thread as soon as nothing is to be done, or only after a while.
    pub(crate) fn rest(&self, rests: bool) {
        self.store.hurry(rests);
    }

    /// Returns whether the store has no thread.
    pub(crate) fn rests(&self) -> bool {
        !self.store.is_running()
    }

    /// Tells whether an answer of the store is waited for.
    pub(crate) fn is_asked(&self) -> bool {
        self.store.is_asked()
    }

    /// Tells whether records wait to be written.
    pub(crate) fn has_backlog(&self) -> bool {
        self.store.health().waiting > 0
    }

    /// Returns what another program needs to go on with it.
    pub(crate) fn hand_over(&self) -> StoreState {
        self.store.hand_over()
    }

    /// Goes on with what another program has left.
    pub(crate) fn resume(&self, state: &StoreState) {
        self.store.resume(state);
    }

    /// Returns the state of the store, for `status`.
    pub(crate) fn status(&self) -> HistoryStatus {
        let health = self.store.health();
        HistoryStatus {
            state: health.condition.as_str().to_owned(),
            reason: health.reason,
            dropped: health.dropped,
            path: health.path.to_string_lossy().into_owned(),
        }
    }

    /// Writes what is left to write, for a bounded time.
    pub(crate) fn finish(&self) {
        if let Err(unfinished) = self.store.finish(LAST_WORDS) {
            tracing::warn!("{unfinished}");
        }
    }
}

/// Returns the core's form of an answer.
pub(crate) fn stored(ticket: u64, answer: Result<Answer, Arc<StoreError>>) -> Input {
    let answer = answer.map_err(|why| NoAnswer::Failed(why.to_string())).and_then(|answer| {
        Ok(match answer {
            Answer::Runs(page) => Stored::Runs(RunsData { runs: page.items, more: page.more }),
            Answer::Stats(stats) => Stored::Stats(stats),
            Answer::Durations(durations) => Stored::Durations(durations),
            Answer::Blame(data) => Stored::Blame(data),
            Answer::Since(data) => Stored::Since(data),
            Answer::RunDeleted(was_there) => Stored::Deleted(was_there),
            Answer::Reserved { first, count } => Stored::Reserved { first, count },
            Answer::Queue(told) => Stored::Queue(told),
            Answer::Definitions(_) | Answer::Highest { .. } => {
                return Err(NoAnswer::Silent);
            }
        })
    });
    Input::Stored { ticket, answer }
}

/// Returns the message to the loop of what the store tells unasked; `None` for what only the log is told.
pub(crate) fn told(told: Told) -> Option<Input> {
    match told {
        Told::Answer { ticket, answer } => return Some(stored(ticket, answer)),
        Told::Notice(notice) => tracing::warn!("{notice}"),
        Told::Closed => crate::sys::fds::give_memory_back(),
        // The shell has the logs of these runs and jobs.
        Told::Trimmed(_) | Told::JobsTrimmed(_) => {}
    }
    None
}
