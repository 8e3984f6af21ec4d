//! gobd, the supervisor: one process per user that owns every worker.
//!
//! `supervise` below is the whole loop: every occurrence becomes an `Input`, `gob_core::Core::apply` decides,
//! and `shell` carries out the effects. One thread, the loop, spawns, reaps and decides; two more move
//! workers' output from pipes to files (`output`).
//!
//! | what happens | comes from | decided in |
//! |---|---|---|
//! | a request | `accept`, `conn`, each with a turn at the `desk` | core `requests`, `starts`, `worker/wishes`, `owner` |
//! | a child ended | SIGCHLD, `sys::reap` | core `worker/end`, `restart` |
//! | the configuration was read | `settings` | core `reload` |
//! | a worker is ready, or its probe failed | `output`, `readiness` | core `worker/ready`, `worker/live` |
//! | a run is prepared, its graph's lock is free | `disks` | core `worker/start`, `worker/end` |
//! | a process without gob holds a graph, or has ended | `foreign` | core `worker/examine`, `worker/external` |
//! | a deadline passed | the one timer below | core `door` |
//! | gob's own files were taken away | `heal` | core, which says so |
//! | sockets of workers were taken away | `heal` | core `sockets` |
//! | a subscriber read | `outbound` | core `news` |
//! | what an earlier life left is gone | `recovery` | core `past` |
//! | the history was asked, or has answered | `history` | core `history` |
//! | locks are noted as held | `shell` | core `locks` |
//! | the end | signals, the keeper's death | core `ends` |

mod accept;
#[cfg(test)]
mod alone;
mod beside;
mod boot;
mod cgroups;
mod claims;
mod clock;
mod conn;
mod connection;
mod desk;
mod disks;
mod facts;
mod files;
mod foreign;
mod graph_lock;
mod graphs;
mod heal;
mod history;
mod journal;
mod last;
mod mailbox;
mod mark;
mod memory;
mod outbound;
mod output;
mod program;
mod project;
mod readiness;
mod record;
mod recovery;
mod runs;
#[cfg(test)]
mod scratch;
mod settings;
mod shell;
mod sys;
mod turns;

pub use boot::{Args, BootError};

use boot::{Boot, Ready};
use clock::Clock;
use desk::Desk;
use gob_core::{Core, Input, LocksMark};
use history::History;
use mailbox::{Happened, Post};
use memory::Memory;
use shell::{Hands, Shell};
use std::rc::Rc;
use std::time::Duration;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, oneshot};
use turns::{Signalled, Sources, Turn};

/// New sockets that wait for the accepting task.
const LISTENERS: usize = 1;
/// The stack of the loop's thread. Less than two MiB, so that the kernel never backs it by a huge page.
const STACK_BYTES: usize = 1_536 << 10;
/// Time limit of the last answers on their way out.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Supervises until the end is requested and done.
///
/// # Errors
/// The reason why it could not start; nothing was published then, and the waiting client was told.
pub fn run(args: Args) -> Result<(), BootError> {
    sys::fds::share_one_arena();
    sys::fds::make_room();
    let mut ready = Some(Ready::new(&args));
    let ended = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("loop".to_owned()).stack_size(STACK_BYTES);
        let thread =
            thread.spawn_scoped(scope, || ready.take().map_or(Ok(()), |ready| run_here(args, ready)));
        // The kernel gives a signal to a thread that takes it.
        sys::spawn::block_signals();
        // A panic may not come again: the keeper must start another supervisor.
        thread.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let ended = ended.map_err(BootError::io("start", "the thread of the loop")).flatten();
    ended.inspect_err(|e| {
        tracing::error!("{e}");
        if let Some(ready) = &mut ready {
            ready.failed(e);
        }
    })
}

/// As [`run`], on this thread: it becomes the parent of all workers. What they leave behind when they die is adopted by the
/// main thread, so that each list of children is short where it matters (`sys::children`).
fn run_here(args: Args, mut ready: Ready) -> Result<(), BootError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // A helper thread that waits for more work is a needless wake-up.
    builder.enable_all().thread_keep_alive(Duration::from_millis(10));
    let runtime =
        builder.build_local(LocalOptions::default()).map_err(BootError::io("start", "the runtime"))?;
    runtime.block_on(async {
        // A task of its own: waking the blocking future costs two system calls, waking a task none.
        let supervised = tokio::task::spawn_local(async move {
            let ended = supervise(&args, &mut ready).await;
            ended.inspect_err(|e| ready.failed(e))
        });
        supervised.await.unwrap_or_else(|e| match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(e) => Err(BootError::io("go on", "supervising")(e.into())),
        })
    })
}

async fn supervise(args: &Args, ready: &mut Ready) -> Result<(), BootError> {
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
    let boot::Recovery { tags, journal, cgroups, mut leftovers, .. } = recovery;
    boot.journal_failures = journal.failures();
    let runs = runs::Runs::new(tags, journal, cgroups, boot.open_files, boot.server.instance.clone())
        .map_err(BootError::io("open", "/dev/null"))?;
    let bounds = (config.settings.history, config.settings.queue);
    let core = Core::new(config, clock.now());
    let history =
        History::new(&boot, core.to_remember().highest_job, bounds, Post::new(&to_loop, Happened::Done));
    let (listener, socket) = boot.publish()?;
    let listener = tokio::net::UnixListener::from_std(listener);
    let listener = listener.map_err(BootError::io("listen on", boot.socket_path()))?;
    let mut readiness = readiness::Readiness::new(Post::new(&to_loop, Happened::Probed), disks.clone());
    let notify = readiness::notify::bind(&boot.runtime)
        .and_then(|(notify, identity)| readiness.listen(notify).map(|()| identity))
        .map_err(BootError::io("open", gob_core::notify_socket(&boot.paths.runtime_dir)))?;
    let (to_accept, listeners) = mpsc::channel(LISTENERS);
    let published = heal::Published { socket, notify };
    let healer = heal::Healer::start(
        &boot,
        disks.clone(),
        published,
        to_accept,
        Post::new(&to_loop, Happened::Healer),
    );
    tracing::info!(instance = %boot.server.instance, socket = %boot.paths.socket, "serving");
    let hands = Hands { runs, output, settings, readiness, history };
    let shell = Shell::new(core, hands, boot, clock, &to_loop);
    let desk = Desk::new(shell);
    let memory = Rc::<Memory>::default();
    tokio::task::spawn_local(Rc::clone(&memory).give_back());
    tokio::task::spawn_local(accept::accept(listener, listeners, desk.clone(), disks, memory));
    ready.serving();
    let mut sources = Sources::new(signals, mailbox);

    desk.turn(|shell| shell.input(Input::Begin));
    let deadline = tokio::time::sleep_until(desk.next_wake());
    tokio::pin!(deadline);
    while !desk.is_over() {
        if deadline.deadline() != desk.next_wake() {
            deadline.as_mut().reset(desk.next_wake());
        }
        let Some(turn) = sources.next(&desk, deadline.as_mut()).await else { continue };
        desk.turn(|shell| match turn {
            Turn::Signal(Signalled::Child) => shell.reap(),
            Turn::Signal(Signalled::End) => shell.input(Input::Terminate),
            Turn::Deadline => shell.wake(),
            Turn::Signal(Signalled::HangUp) => shell.input(Input::Reread),
            Turn::Happened(Happened::Output(report)) => shell.take_report(report),
            Turn::Happened(Happened::Done(done)) => shell.take_done(done),
            Turn::Happened(Happened::Configured(read)) => shell.input(Input::Configured(read)),
            Turn::Happened(Happened::Probed(found)) => shell.take_found(found),
            Turn::Happened(Happened::Foreign(found)) => shell.take_foreign(found),
            Turn::Happened(Happened::Healer(heal::News::Mended(mended))) => shell.take_healed(mended),
            Turn::Happened(Happened::Healer(heal::News::Lost(lost))) => shell.input(Input::SocketsLost(lost)),
            Turn::Happened(Happened::Gone(gone)) => {
                let told = leftovers.as_mut().and_then(|leftovers| leftovers.gone(gone, shell.given()));
                told.into_iter().for_each(|input| shell.input(input));
                if leftovers.as_ref().is_some_and(recovery::Leftovers::is_empty) {
                    shell.past_is_over();
                }
            }
        });
    }
    // Dropped so that no task beside the loop waits for room any more.
    drop(sources);
    let nothing_left = leftovers.is_none_or(|leftovers| leftovers.is_empty());
    finish(&desk, healer, nothing_left).await;
    Ok(())
}

/// Lets the last answers out and the last output in, and leaves.
async fn finish(desk: &Desk, healer: heal::Healer, nothing_left: bool) {
    let deadline = tokio::time::Instant::now() + LAST_WORDS;
    while desk.look(|shell| shell.has_unsent()) && tokio::time::Instant::now() < deadline {
        desk.look(Shell::flush);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if !desk.look(|shell| shell.finish_output(LAST_WORDS)) {
        tracing::warn!("the last output of workers is not on the disk");
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
        tracing::warn!("the disk does not answer; the state directory is left as it was");
    }
    tracing::info!(nuke = desk.look(|shell| shell.exit == Some(true)), "ended in order");
}

/// Removes the signs of a supervisor. The receivers hear when the state directory is in order.
fn leave(shell: &mut Shell, nothing_left: bool) -> (Option<oneshot::Receiver<()>>, oneshot::Receiver<()>) {
    let boot = &shell.boot;
    let locks_are_held = boot.lock_mark.get() != LocksMark::Missing;
    // The numbers that were not given are free again.
    if let Err(error) = boot.job_mark.keep(&boot.runtime) {
        tracing::warn!(%error, "cannot mark the numbers of jobs");
    }
    files::retire(&boot.runtime, &boot.lock, locks_are_held, shell.exit == Some(true));
    let journal = if nothing_left { shell.end_journal() } else { None };
    let ended = journal.is_some();
    (journal, if shell.exit == Some(true) { shell.begin_to_remove(ended) } else { shell.begin_to_save() })
}
