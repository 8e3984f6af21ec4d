//! gobd, the supervisor: one process per user that owns every worker.
//!
//! `life` is the whole loop: every occurrence becomes an `Input`, `gob_core::Core::apply` decides,
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
//! | the shared database was asked, has answered or has news | `shared` | core `queue/shared` |
//! | locks are noted as held | `shell` | core `locks` |
//! | the program of a worker was replaced on disk | `programs` | core `looks` |
//! | another program takes over | `upgrade` | core `upgrade` |
//! | the end | signals, the keeper's death | core `ends` |
//!
//! A service manager above the keeper is told when it serves, reads its configuration again, and ends (`manager`).

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
mod life;
mod mailbox;
mod manager;
mod mark;
mod memory;
mod outbound;
mod output;
mod patience;
mod program;
mod programs;
mod project;
mod readiness;
mod record;
mod recovery;
mod runs;
#[cfg(test)]
mod scratch;
mod settings;
mod shared;
mod shell;
mod sys;
mod turns;
mod upgrade;

pub use boot::{Args, BootError};
pub use upgrade::try_state;

use boot::Ready;
use life::Life;
use std::time::Duration;
use tokio::runtime::LocalOptions;
use upgrade::Left;

/// New sockets that wait for the accepting task.
const LISTENERS: usize = 1;
/// The stack of the loop's thread. Less than two MiB, so that the kernel never backs it by a huge page.
const STACK_BYTES: usize = 1_536 << 10;

/// Supervises until the end is requested and done.
///
/// # Errors
/// The reason why it could not start; nothing was published then, and the waiting client was told.
pub fn run(args: Args) -> Result<(), BootError> {
    sys::fds::share_one_arena();
    if let Some(state) = args.state_fd {
        // The workers are children of this thread: it must not end while they live (ADR 16).
        let left = upgrade::take(state).map_err(|why| BootError::Unfit(why.to_string()));
        let ended = left.and_then(|left| run_here(args, Some(left), Ready::default()));
        return ended.inspect_err(|e| tracing::error!("{e}"));
    }
    sys::fds::make_room();
    let mut ready = Some(Ready::new(&args));
    let ended = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("loop".to_owned()).stack_size(STACK_BYTES);
        let thread =
            thread.spawn_scoped(scope, || ready.take().map_or(Ok(()), |ready| run_here(args, None, ready)));
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
fn run_here(args: Args, left: Option<Left>, mut ready: Ready) -> Result<(), BootError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // A helper thread that waits for more work is a needless wake-up.
    builder.enable_all().thread_keep_alive(Duration::from_millis(10));
    let runtime =
        builder.build_local(LocalOptions::default()).map_err(BootError::io("start", "the runtime"))?;
    runtime.block_on(async {
        // A task of its own: waking the blocking future costs two system calls, waking a task none.
        let supervised = tokio::task::spawn_local(async move {
            let ended = supervise(&args, left, &mut ready).await;
            ended.inspect_err(|e| ready.failed(e))
        });
        supervised.await.unwrap_or_else(|e| match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(e) => Err(BootError::io("go on", "supervising")(e.into())),
        })
    })
}

async fn supervise(args: &Args, left: Option<Left>, ready: &mut Ready) -> Result<(), BootError> {
    let life = match left {
        Some(left) => upgrade::take_over(left).map_err(|why| BootError::Unfit(why.to_string()))?,
        None => {
            let life = Life::begin(args).await?;
            ready.serving();
            life.desk.turn(shell::Shell::begin);
            life
        }
    };
    life.go_on_to_the_end().await;
    Ok(())
}
