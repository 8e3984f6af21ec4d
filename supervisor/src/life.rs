//! The life of a supervisor: its parts put together, the loop over their turns, and the end.

use crate::accept::{Accepting, Door};
use crate::boot::{self, Args, Boot, BootError};
use crate::clock::Clock;
use crate::desk::Desk;
use crate::files::{self, Kept};
use crate::heal::{self, Healer};
use crate::history::History;
use crate::mailbox::{self, Happened, Post};
use crate::memory::Memory;
use crate::recovery::{self, Leftovers};
use crate::shared::Shared;
use crate::shell::{Hands, Shell};
use crate::turns::{self, Signalled, Sources, Turn};
use crate::{LISTENERS, disks, output, readiness, runs, settings};
use gob_core::{Core, Input, LocksMark};
use gob_store::shared::SharedState;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Time limit of the last answers on their way out.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The origin of these messages in the log: the supervisor itself.
const TARGET: &str = "gob_supervisor";

/// The parts of a supervisor that the loop drives.
pub(crate) struct Life {
    pub(crate) desk: Desk,
    pub(crate) sources: Sources,
    pub(crate) healer: Healer,
    /// `None` at rest, where the door is closed.
    pub(crate) accepting: Option<Accepting>,
    pub(crate) door: Option<Door>,
    pub(crate) leftovers: Option<Leftovers>,
}

impl Life {
    /// Takes the keeper's hand-over, ends what earlier lives have left, and publishes the socket.
    pub(crate) async fn begin(args: &Args) -> Result<Self, BootError> {
        let clock = Clock::read();
        let wall = clock.now().wall;
        let mut boot = Boot::take(args, wall)?;
        let (to_loop, mailbox) = mailbox::mailbox();
        let signals = turns::Signals::watch().map_err(BootError::io("watch", "signals"))?;
        let disks = disks::Disks::new();
        let settings = settings::Settings::from_env(disks.clone(), Post::new(&to_loop, Happened::Configured));
        let read = settings.read().await;
        let output = output::Output::start(boot.output_config(&read), Post::new(&to_loop, Happened::Output))
            .map_err(BootError::io("start", "the data plane"))?;
        let recovery = boot.recover(disks.clone(), Post::new(&to_loop, Happened::Gone))?;
        let config = boot.core_config(*read, &recovery);
        let boot::Recovery { tags, journal, cgroups, leftovers, .. } = recovery;
        boot.journal_failures = journal.failures();
        let runs = runs::Runs::new(tags, journal, cgroups, boot.open_files, boot.server.instance.clone())
            .map_err(BootError::io("open", "/dev/null"))?;
        let bounds = (config.settings.history, config.settings.queue);
        let core = Core::new(config, clock.now());
        let highest_job = core.to_remember().highest_job;
        let history = History::new(&boot, highest_job, bounds, Post::new(&to_loop, Happened::Done));
        let (listener, socket) = boot.publish(args)?;
        let listener = tokio::net::UnixListener::from_std(listener);
        let listener = listener.map_err(BootError::io("listen on", boot.socket_path()))?;
        let mut readiness = readiness::Readiness::new(Post::new(&to_loop, Happened::Probed), disks.clone());
        let notify = readiness::notify::bind(&boot.runtime)
            .and_then(|(notify, identity)| readiness.listen(notify).map(|()| identity))
            .map_err(BootError::io("open", gob_core::notify_socket(&boot.paths.runtime_dir)))?;
        let (to_accept, listeners) = mpsc::channel(LISTENERS);
        let published = heal::Published { socket, notify };
        let to_healer = Post::new(&to_loop, Happened::Healer);
        let healer = Healer::start(&boot, disks.clone(), published, to_accept, to_healer);
        tracing::info!(target: TARGET, instance = %boot.server.instance, socket = %boot.paths.socket, "serving");
        let shared = Shared::new(SharedState::default(), Post::new(&to_loop, Happened::Done));
        let hands = Hands { runs, output, settings, readiness, history, shared };
        let desk = Desk::new(Shell::new(core, hands, boot, clock, &to_loop));
        let memory = Rc::<Memory>::default();
        tokio::task::spawn_local(Rc::clone(&memory).give_back());
        let accepting = Door::new(listener, desk.clone(), disks, memory).open(listeners);
        let sources = Sources::new(signals, mailbox);
        Ok(Self { desk, sources, healer, accepting: Some(accepting), door: None, leftovers })
    }

    /// Supervises until the end, and ends.
    pub(crate) async fn go_on_to_the_end(mut self) {
        let deadline = tokio::time::sleep_until(self.desk.next_wake());
        tokio::pin!(deadline);
        while !self.desk.is_over() {
            if let Some(successor) = self.desk.look(Shell::take_successor) {
                self.replace(successor).await;
            }
            if deadline.deadline() != self.desk.next_wake() {
                deadline.as_mut().reset(self.desk.next_wake());
            }
            let Some(turn) = self.sources.next(&self.desk, deadline.as_mut()).await else { continue };
            match turn {
                Turn::Signal(Signalled::Child) => self.desk.turn(Shell::reap),
                Turn::Signal(Signalled::End) => self.desk.turn(Shell::terminate),
                Turn::Deadline => self.desk.turn(Shell::wake),
                Turn::Signal(Signalled::HangUp) => self.desk.turn(Shell::reread),
                Turn::Happened(happened) => self.take(happened),
            }
        }
        let Self { desk, sources, healer, leftovers, .. } = self;
        // Dropped so that no task beside the loop waits for room any more.
        drop(sources);
        let nothing_left = leftovers.is_none_or(|leftovers| leftovers.is_empty());
        finish(&desk, healer, nothing_left).await;
    }

    /// Has a turn for a message.
    pub(crate) fn take(&mut self, happened: Happened) {
        let leftovers = &mut self.leftovers;
        self.desk.turn(|shell| match happened {
            Happened::Output(report) => shell.take_report(report),
            Happened::Done(done) => shell.take_done(done),
            Happened::Configured(read) => shell.configured(read),
            Happened::Probed(found) => shell.take_found(found),
            Happened::Foreign(found) => shell.take_foreign(found),
            Happened::Programs(news) => shell.take_programs(news),
            Happened::Healer(heal::News::Mended(mended)) => shell.take_healed(mended),
            Happened::Healer(heal::News::Lost(lost)) => shell.input(Input::SocketsLost(lost)),
            Happened::Gone(gone) => {
                let told = leftovers.as_mut().and_then(|leftovers| leftovers.gone(gone, shell.given()));
                told.into_iter().for_each(|input| shell.input(input));
                if leftovers.as_ref().is_some_and(recovery::Leftovers::is_empty) {
                    shell.past_is_over();
                }
            }
        });
    }
}

/// Lets the last answers out and the last output in, and leaves.
async fn finish(desk: &Desk, healer: Healer, nothing_left: bool) {
    let deadline = tokio::time::Instant::now() + LAST_WORDS;
    while desk.look(|shell| shell.has_unsent()) && tokio::time::Instant::now() < deadline {
        desk.look(Shell::flush);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if !desk.look(|shell| shell.finish_output(LAST_WORDS)) {
        tracing::warn!(target: TARGET, "the last output of workers is not on the disk");
    }
    healer.stop().await;
    let (journal, rest) = desk.look(|shell| leave(shell, nothing_left));
    let is_on_disk = async {
        if let Some(journal) = journal {
            drop(journal.await);
        }
        drop(rest.await);
    };
    // Behind the write in progress; when the disk hangs, the end does not wait.
    if tokio::time::timeout(LAST_WORDS, is_on_disk).await.is_err() {
        tracing::warn!(target: TARGET, "the disk does not answer; the state directory is left as it was");
    }
    tracing::info!(target: TARGET, nuke = desk.look(|shell| shell.exit == Some(true)), "ended in order");
}

/// Removes the signs of a supervisor. The receivers hear when the state directory is in order.
fn leave(shell: &mut Shell, nothing_left: bool) -> (Option<oneshot::Receiver<()>>, oneshot::Receiver<()>) {
    let boot = &shell.boot;
    let locks_are_held = boot.lock_mark.get() != LocksMark::Missing;
    // The numbers that were not given are free again.
    if let Err(error) = boot.job_mark.keep(&boot.runtime) {
        tracing::warn!(%error, "cannot mark the numbers of jobs");
    }
    let kept = Kept { locks_are_held, socket: boot.leaves_socket() };
    files::retire(&boot.runtime, &boot.lock, &kept, shell.exit == Some(true));
    let journal = if nothing_left { shell.end_journal() } else { None };
    let ended = journal.is_some();
    (journal, if shell.exit == Some(true) { shell.begin_to_remove(ended) } else { shell.begin_to_save() })
}
