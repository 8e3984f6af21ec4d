//! gobd, the supervisor: one process per user that owns every worker.
//!
//! [`run`] below is the whole of it: what happens is turned into an `Input`, `gob_core::Core::apply` decides, and
//! `shell` carries out the effects. The main thread is the only one that spawns, reaps and decides; two more move
//! workers' output from pipes to files (`output`).
//!
//! | what happens | comes from | decided in |
//! |---|---|---|
//! | a request | `accept`, `conn` | core `requests`, `start`, `lifecycle`, `owner` |
//! | a child ended | SIGCHLD, `sys::reap` | core `lifecycle`, `restart` |
//! | a worker is ready | `output` | core `lifecycle` |
//! | a deadline passed | the one timer below | core `timers` |
//! | a subscriber read | `outbound` | core `subscribers` |
//! | the end | signals, the keeper's death | core `ending` |

mod accept;
mod boot;
mod conn;
mod facts;
mod files;
mod last;
mod outbound;
mod output;
mod program;
mod runs;
mod shell;
mod sys;

pub use boot::{Args, BootError, Ready};

use boot::Boot;
use conn::FromConn;
use gob_core::{Core, Input};
use shell::Shell;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Messages from connections that may wait; a connection whose message finds no room waits itself.
const CONN_QUEUE: usize = 64;
/// Messages from the data plane that may wait; it keeps what finds no room.
const OUTPUT_QUEUE: usize = 256;
/// How long the last answers may take on their way out.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Supervises until the end is asked for and done.
///
/// # Errors
/// Why it could not start; nothing was published then.
pub fn run(args: &Args, ready: &mut Ready) -> Result<(), BootError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BootError::io("start", "the runtime"))?;
    tokio::task::LocalSet::new().block_on(&runtime, supervise(args, ready))
}

async fn supervise(args: &Args, ready: &mut Ready) -> Result<(), BootError> {
    let started = Instant::now();
    let wall = shell::now(started).wall;
    let boot = Boot::take(args, wall)?;
    let (to_loop, mut conns) = mpsc::channel::<FromConn>(CONN_QUEUE);
    let (to_main, mut reports) = mpsc::channel(OUTPUT_QUEUE);
    let mut children = signal(SignalKind::child()).map_err(BootError::io("watch", "children"))?;
    let mut signals = Signals::new().map_err(BootError::io("watch", "signals"))?;
    let output = output::Output::start(boot.output_config(), to_main)
        .map_err(BootError::io("start", "the data plane"))?;
    let config = boot.core_config()?;
    let runs = runs::Runs::new(config.seed, boot.open_files).map_err(BootError::io("open", "/dev/null"))?;
    let core = Core::new(config, shell::now(started));
    let listener = boot.publish()?;
    let listener = listener.set_nonblocking(true).and_then(|()| tokio::net::UnixListener::from_std(listener));
    let listener = listener.map_err(BootError::io("listen on", boot.socket_path()))?;
    let mut shell = Shell::new(core, runs, output, boot, started);
    tokio::task::spawn_local(accept::accept(listener, to_loop));
    ready.serving();
    tracing::info!(instance = %shell.boot.server.instance, socket = %shell.boot.paths.socket, "serving");

    while shell.exit.is_none() {
        // In this order: exits and kills outrank requests, and no flood of requests delays a deadline.
        tokio::select! {
            biased;
            Some(()) = children.recv() => shell.reap(),
            () = signals.end() => shell.input(Input::Terminate),
            () = sleep_until(shell.wake) => shell.input(Input::Due),
            Some(report) = reports.recv() => shell.take_report(report),
            () = sleep_until(shell.last.due()) => save(&mut shell),
            Some(message) = conns.recv() => shell.take_message(message),
        }
        shell.begin_sweeps();
        shell.flush();
        shell.note_changes();
    }
    finish(shell).await;
    Ok(())
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Writes `last.json` off this thread: a disk that hangs must not hold up anybody.
fn save(shell: &mut Shell) {
    let (snapshot, dir) = (shell.snapshot(), shell.boot.paths.state_dir.clone());
    drop(tokio::task::spawn_blocking(move || {
        if let Err(e) = snapshot.write(dir.as_ref()) {
            tracing::warn!(error = %e, "cannot write last.json");
        }
    }));
}

/// Lets the last answers out, then takes away what says that there is a supervisor.
async fn finish(mut shell: Shell) {
    let deadline = tokio::time::Instant::now() + LAST_WORDS;
    while shell.has_unsent() && tokio::time::Instant::now() < deadline {
        shell.flush();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if !shell.finish_output(LAST_WORDS) {
        tracing::warn!("the last output of workers is not on the disk");
    }
    files::retire(&shell.boot.runtime, &shell.boot.lock);
    let nuke = shell.exit == Some(true);
    let state_dir = shell.boot.paths.state_dir.clone();
    let state_dir = std::path::Path::new(&state_dir);
    if nuke {
        files::remove_own(&shell.boot.log_dir(), &state_dir.join(last::LAST));
    } else if let Err(e) = shell.snapshot().write(state_dir) {
        tracing::warn!(error = %e, "cannot write last.json");
    }
    tracing::info!(nuke, "ended in order");
}

/// The signals that people send to the supervisor.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits until somebody wants the supervisor to end. A hang-up is none: it has no terminal to lose.
    async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {}
            }
        }
    }
}
