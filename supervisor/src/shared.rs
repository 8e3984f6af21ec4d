//! The database that several machines share: hands it what the core asks, and brings its answers and its news to the loop.
//!
//! Nothing of it is started without the setting. Its thread has the one connection, and gives up by itself what is not answered.

use crate::boot::Boot;
use crate::mailbox::Post;
use crate::patience;
use crate::shell::Done;
use gob_config::Queue;
use gob_core::{Input, NoAnswer, Question, SharedChange, SharedNews, Stored};
use gob_protocol::queue::QueueAsk;
use gob_protocol::view::SharedStatus;
use gob_protocol::{Name, Timestamp};
use gob_store::shared::{Address, Failure, Handle, Settings, SharedState, State, Told};
use std::path::PathBuf;
use std::time::Duration;

/// The file in the state directory that has this machine's name in the database.
const MACHINE: &str = "shared.id";
/// Time in which the database answers.
const WITHIN: Duration = Duration::from_secs(2);
/// Time after which an answer is not waited for any more.
const PATIENCE: Duration = Duration::from_secs(8);
/// Time limit of the last words, at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Time limit of the last answers before a rest: the lives of this machine's claims go on without them.
const REST: Duration = Duration::from_millis(300);

/// The shared store, as the loop has it.
#[derive(Debug)]
pub(crate) struct Shared {
    handle: Option<Handle>,
    /// The database; `None` where none is configured.
    settings: Option<Settings>,
    /// What the thread before has left.
    left: SharedState,
    /// Numbers the databases: news of one before are none.
    database: u64,
    to_loop: Post<Done>,
}

impl Shared {
    /// No database yet, and what another program of this supervisor has left of one.
    pub(crate) fn new(left: SharedState, to_loop: Post<Done>) -> Self {
        Self { handle: None, settings: None, left, database: 0, to_loop }
    }

    /// Uses another database from here on, or none.
    pub(crate) fn set(&mut self, shared: Option<gob_config::Shared>, queue: Queue, boot: &Boot, host: &str) {
        if let Some(before) = self.handle.take() {
            self.left = before.make_way(LAST_WORDS);
        }
        self.database += 1;
        self.settings = shared.map(|shared| settings(shared, queue, boot, host));
        self.begin();
    }

    /// Starts the thread, where there is a database.
    fn begin(&mut self) {
        let Some(settings) = &self.settings else { return };
        let (post, database) = (self.to_loop.clone(), self.database);
        let spawned = Handle::spawn(settings.clone(), std::mem::take(&mut self.left), move |told| {
            post.send_blocking(Done::Shared(database, told));
        });
        match spawned {
            Ok(handle) => self.handle = Some(handle),
            Err(e) => tracing::error!("cannot start the thread of the shared database: {e}"),
        }
    }

    /// Has the thread end, or goes on with another one.
    pub(crate) fn rest(&mut self, rests: bool) {
        match &self.handle {
            Some(handle) if rests => handle.end(REST, false),
            Some(handle) => {
                self.left = handle.left();
                self.begin();
            }
            None => {}
        }
    }

    /// Returns whether there is no thread.
    pub(crate) fn rests(&self) -> bool {
        self.handle.as_ref().is_none_or(|handle| !handle.is_running())
    }

    /// Returns what another program needs to go on with it.
    pub(crate) fn hand_over(&self) -> SharedState {
        self.handle.as_ref().map_or_else(|| self.left.clone(), Handle::left)
    }

    /// Tells whether a message is of the database that is used now. An answer of one before is none.
    pub(crate) fn sift(&self, database: u64, told: Told) -> Option<Told> {
        if database == self.database {
            return Some(told);
        }
        match told {
            Told::Answer { ticket, .. } => {
                let why = "another database is configured".to_owned();
                Some(Told::Answer { ticket, answer: Err(Failure::Away(why)) })
            }
            Told::LockAnswer { ticket, .. } => {
                let why = "another database is configured".to_owned();
                Some(Told::LockAnswer { ticket, answer: Err(Failure::Away(why)) })
            }
            Told::Up | Told::Away(_) | Told::Lost(_) | Told::News(_) | Told::Trimmed(_) => None,
        }
    }

    /// Asks a question; it is answered at once where the database is away. Others than those to it are none.
    pub(crate) fn ask(&self, ticket: u64, question: Question, now: Timestamp) -> Option<Input> {
        let away = |why: String| Some(Input::Stored { ticket, answer: Err(NoAnswer::Away(why)) });
        let Some(handle) = &self.handle else {
            return away("no database is configured ([shared] url)".to_owned());
        };
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are asked of the store")]
        let asked = match question {
            Question::Shared(mut ask) => {
                if let QueueAsk::List { after, .. } = &mut *ask {
                    // The mark that sends it here is not part of the cursor.
                    let place = after.take().map(|after| after.trim_start_matches("s:").to_owned());
                    *after = place.filter(|place| !place.is_empty());
                }
                handle.ask(ticket, now, ask)
            }
            Question::Lock(ask) => handle.ask_locks(ticket, now, ask),
            _other => return None,
        };
        if let Err(e) = asked {
            return away(e.to_string());
        }
        patience::limit(ticket, PATIENCE, &self.to_loop);
        None
    }

    /// Returns the state of the database, for `status`; `None` where none is configured.
    pub(crate) fn status(&self) -> Option<SharedStatus> {
        let health = self.handle.as_ref()?.health();
        let (state, reason) = match health.state {
            State::Connecting => ("connecting", None),
            State::Open => ("open", None),
            State::Away(why) => ("away", Some(why)),
        };
        Some(SharedStatus { state: state.to_owned(), reason, url: health.url })
    }

    /// Takes leave of the database, for a bounded time.
    pub(crate) fn finish(&self) {
        if let Some(handle) = &self.handle {
            handle.finish(LAST_WORDS);
        }
    }
}

/// Returns the settings of the thread.
fn settings(shared: gob_config::Shared, queue: Queue, boot: &Boot, host: &str) -> Settings {
    let passwords = std::env::var_os("PGPASSFILE").map(PathBuf::from);
    let passwords = passwords.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pgpass")));
    Settings {
        address: Address::new(shared.url, shared.password_file.map(PathBuf::from), passwords),
        machine: PathBuf::from(&boot.paths.state_dir).join(MACHINE),
        instance: boot.server.instance.clone(),
        host: host.to_owned(),
        heartbeat: Duration::from_millis(queue.heartbeat_ms),
        lease: Duration::from_millis(queue.stale_after_ms),
        keep_finished: Duration::from_millis(queue.keep_finished_ms),
        within: WITHIN,
    }
}

/// Returns the core's form of a message.
pub(crate) fn told(told: Told) -> Option<Input> {
    Some(match told {
        Told::Answer { ticket, answer } => {
            let answer = answer.map(Stored::Queue).map_err(|why| NoAnswer::Away(why.to_string()));
            Input::Stored { ticket, answer }
        }
        Told::LockAnswer { ticket, answer } => {
            let answer = answer.map(Stored::Lock).map_err(|why| NoAnswer::Away(why.to_string()));
            Input::Stored { ticket, answer }
        }
        Told::Up => {
            tracing::info!("the shared database answers");
            Input::Shared(SharedNews::Up)
        }
        Told::Away(why) => {
            tracing::warn!("the shared database is away: {why}");
            Input::Shared(SharedNews::Away(why))
        }
        Told::Lost(why) => {
            tracing::warn!("what is held in the shared database is given up: {why}");
            Input::Shared(SharedNews::Lost(why))
        }
        Told::News(news) => {
            let gob_store::shared::News { lanes, changed, jobs, locks, is_all, .. } = *news;
            let change = SharedChange { lanes, changed, jobs, locks, is_all };
            Input::Shared(SharedNews::Changed(Box::new(change)))
        }
        // The shell has the logs of these jobs.
        Told::Trimmed(_) => return None,
    })
}

/// Returns the jobs of which nothing is kept any more: their logs go, too.
pub(crate) fn gone(told: &Told) -> &[Name] {
    match told {
        Told::Trimmed(jobs) => jobs,
        Told::News(news) => &news.gone,
        Told::Answer { .. } | Told::LockAnswer { .. } | Told::Up | Told::Away(_) | Told::Lost(_) => &[],
    }
}
