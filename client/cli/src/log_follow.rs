//! `logs -f`: follows new output, run after run and worker after worker.
//!
//! Lines come from the files. The supervisor also reports ends of runs, removed workers, and new workers; a
//! thread listens to it, and to its successor, and wakes the wait for the files.

use crate::context::Context;
use crate::failure::Failure;
use crate::log_sieve::Sieve;
use crate::log_source::{FollowUp, Source};
use crate::log_view::LogView;
use crate::stream::End;
use gob_client::logs::{Stream, Watch};
use gob_client::protocol::event::{Event, EventKind, Lagged};
use gob_client::protocol::request::Subscribe;
use gob_client::subscription::{Subscription, Update};
use gob_client::{Name, View};
use nix::fcntl::OFlag;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// Time after the end of a run in which its last lines may reach the files.
const SETTLE: Duration = Duration::from_millis(100);

/// The followed workers.
pub(crate) struct Following<'a> {
    pub(crate) context: &'a Context,
    pub(crate) streams: &'a [Stream],
    pub(crate) sieve: &'a Sieve,
    /// Only workers of this directory, where all are followed.
    pub(crate) cwd: Option<String>,
    /// The named workers; all present and future ones, where none was named.
    pub(crate) names: Vec<Name>,
    /// The directory of a worker's logs.
    pub(crate) dir_of: &'a dyn Fn(&View) -> PathBuf,
    pub(crate) end: End,
}

/// The end of a run that was not printed yet.
struct Ended {
    run: u64,
    text: String,
    heard: Instant,
}

impl Following<'_> {
    /// Prints new output until this program is ended, or its time is over.
    pub(crate) fn follow(
        &self,
        view: &mut LogView,
        sources: &mut Vec<Source>,
        watch: &mut Watch,
    ) -> Result<u8, Failure> {
        let news = News::of(self.context, &self.names, self.cwd.clone())?;
        let mut ended: BTreeMap<Name, Ended> = BTreeMap::new();
        loop {
            while let Some(update) = news.next() {
                self.hear(update, sources, watch, view, &mut ended)?;
            }
            view.follow(sources, &mut |view, source, follow_up| {
                let FollowUp::Run(next) = follow_up else { return Ok(()) };
                self.tell_end(view, &mut ended, &source.name, Some(source.run()))?;
                self.say(view, &format!("{}: run {next} begins", source.name))
            })?;
            for source in sources.iter() {
                let is_due = |ended: &Ended| {
                    ended.run <= source.run() && ended.heard.elapsed() >= SETTLE
                        || ended.heard.elapsed() >= 10 * SETTLE
                };
                if ended.get(&source.name).is_some_and(is_due) {
                    self.tell_end(view, &mut ended, &source.name, None)?;
                }
            }
            self.end.check("logs -f")?;
            let settled = ended.values().map(|ended| {
                let due = ended.heard + SETTLE;
                if due > Instant::now() { due } else { ended.heard + 10 * SETTLE }
            });
            let until = settled.chain(self.end.at()).min();
            watch.wait_until(until, Some(news.bell.as_fd())).map_err(|error| unwatched(&error))?;
        }
    }

    /// Takes in the supervisor's reports.
    fn hear(
        &self,
        update: Update,
        sources: &mut Vec<Source>,
        watch: &mut Watch,
        view: &mut LogView,
        ended: &mut BTreeMap<Name, Ended>,
    ) -> Result<(), Failure> {
        match update {
            Update::Disconnected => self.say(
                view,
                "the supervisor has gone, and its workers; going on with what the next one starts",
            ),
            Update::Subscribed(data) => self.add(&data.workers.unwrap_or_default(), sources, watch, view),
            Update::Frame(line) => {
                if let Ok(lagged) = serde_json::from_str::<Lagged>(&line) {
                    return self.add(&lagged.workers, sources, watch, view);
                }
                let Ok(Event { event, worker: Some(worker), .. }) = serde_json::from_str::<Event>(&line)
                else {
                    return Ok(());
                };
                self.add(std::slice::from_ref(&worker), sources, watch, view)?;
                if event == EventKind::WorkerRemoved {
                    self.tell_end(view, ended, &worker.name, None)?;
                    let name = &worker.name;
                    return self.say(
                        view,
                        &format!("{name} was removed, with its logs; going on with the next {name}"),
                    );
                }
                if has_ended(event, &worker) && sources.iter().any(|source| source.name == worker.name) {
                    let how = worker.exit.as_ref().map(|exit| format!(": {exit}")).unwrap_or_default();
                    let text = format!("{}: run {} ended{how}", worker.name, worker.run);
                    ended.insert(worker.name, Ended { run: worker.run, text, heard: Instant::now() });
                }
                Ok(())
            }
        }
    }

    /// Follows new workers, where all are followed.
    fn add(
        &self,
        workers: &[View],
        sources: &mut Vec<Source>,
        watch: &mut Watch,
        view: &mut LogView,
    ) -> Result<(), Failure> {
        for worker in workers.iter().filter(|_| self.names.is_empty()) {
            if sources.iter().any(|source| source.name == worker.name) {
                continue;
            }
            let dir = (self.dir_of)(worker);
            watch.add(dir.clone()).map_err(|error| unwatched(&error))?;
            view.widen(&worker.name);
            // From its first run on: all of it came after this began.
            let source = Source::open_runs(worker.name.clone(), dir, &[], self.streams, self.sieve, false);
            sources.push(source.map_err(|error| unwatched(&error))?);
        }
        Ok(())
    }

    /// Prints that a run ended, if that is known and not printed yet: of this run or an earlier one, or any.
    fn tell_end(
        &self,
        view: &mut LogView,
        ended: &mut BTreeMap<Name, Ended>,
        name: &Name,
        run: Option<u64>,
    ) -> Result<(), Failure> {
        if ended.get(name).is_none_or(|ended| run.is_some_and(|run| ended.run > run)) {
            return Ok(());
        }
        let Some(ended) = ended.remove(name) else { return Ok(()) };
        self.say(view, &ended.text)
    }

    /// Prints a line on standard error, behind the lines before it.
    fn say(&self, view: &mut LogView, text: &str) -> Result<(), Failure> {
        view.flush()?;
        self.context.note(&format!("--- {text}"));
        Ok(())
    }
}

/// Returns whether an event reports the end of a run.
fn has_ended(event: EventKind, worker: &View) -> bool {
    let ends =
        [EventKind::WorkerStopped, EventKind::WorkerFailed, EventKind::WorkerCeded, EventKind::WorkerBackoff];
    ends.contains(&event) && worker.run > 0 && worker.pid.is_none()
}

/// Returns the failure for log files that can't be watched.
pub(crate) fn unwatched(error: &std::io::Error) -> Failure {
    Failure::own("log-unavailable", 1, "cannot watch the log files".to_owned()).cause(error.to_string())
}

/// The supervisor's reports, and its successor's, received by a thread.
struct News {
    updates: Receiver<Update>,
    /// Readable once there is a report.
    bell: OwnedFd,
    /// Held so that the end of the other side does not ring the bell for ever.
    _rope: Arc<OwnedFd>,
}

impl News {
    /// Listens from now on, without starting a supervisor: without one there are only the files.
    fn of(context: &Context, names: &[Name], cwd: Option<String>) -> Result<Self, Failure> {
        let connector = context.connector()?.autostart(false);
        let names = (!names.is_empty()).then(|| names.to_vec());
        let mut subscription = Subscription::new(connector, Subscribe { names, cwd, ..Subscribe::default() });
        let flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let (bell, rope) = nix::unistd::pipe2(flags).map_err(|errno| unwatched(&errno.into()))?;
        // A follower that does not print fast enough misses events, like any slow subscriber.
        let (sender, updates) = sync_channel(64);
        let rope = Arc::new(rope);
        let kept = Arc::clone(&rope);
        let hears = move || {
            // A supervisor of another protocol, or a refusal, gives no reports; the files are there all the
            // same.
            while let Ok(Some(update)) = subscription.next(None) {
                if sender.send(update).is_err() {
                    return;
                }
                // A full pipe is readable already.
                nix::unistd::write(&*rope, b"!").ok();
            }
        };
        std::thread::Builder::new()
            .spawn(hears)
            .map_err(|error| Failure::no_thread(1, "the supervisor is listened to", &error))?;
        Ok(Self { updates, bell, _rope: kept })
    }

    /// Takes the next report, if there is one.
    fn next(&self) -> Option<Update> {
        let mut rung = [0; 64];
        while nix::unistd::read(&self.bell, &mut rung).is_ok_and(|count| count == rung.len()) {}
        self.updates.try_recv().ok()
    }
}
