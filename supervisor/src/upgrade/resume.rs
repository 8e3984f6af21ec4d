//! The new program: it takes the state over, reaps and heals once, and answers the request that the state carries.
//!
//! It begins with all signals blocked, and lets them come once it hears them. Nothing here may fail that the trial could have found.

use super::state::{self, ShellState, State, SteadyState};
use super::{Inherited, Unfit, fault, own_program};
use crate::accept::Door;
use crate::boot::Boot;
use crate::clock::Clock;
use crate::desk::Desk;
use crate::graph_lock::{HeldLock, HeldLockState};
use crate::heal::Healer;
use crate::history::History;
use crate::life::Life;
use crate::mailbox::{self, Happened, Post};
use crate::memory::Memory;
use crate::output::{Output, Tap};
use crate::recovery::Leftovers;
use crate::runs::Runs;
use crate::shell::{Hands, Resumed, Shell, connections};
use crate::sys::{fds, spawn, tag};
use crate::turns::{Signals, Sources};
use crate::{LISTENERS, claims, disks, readiness, settings};
use gob_core::{Input, RunKey};
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The things that the program before has left.
pub(crate) struct Left {
    state: State,
    inherited: Inherited,
}

/// Takes the state in the descriptor of this number, and all descriptors that it names. Called before anything else is opened.
pub(crate) fn take(state_fd: i32) -> Result<Left, Unfit> {
    fault::at("begun");
    // The kernel names a process after the file that it executes.
    nix::sys::prctl::set_name(c"gobd").map_err(std::io::Error::from)?;
    let mut file = File::from(fds::inherited(state_fd)?);
    let state: State = state::read(&mut file)?;
    let inherited = state.inherit(file)?;
    fault::at("taken");
    Ok(Left { state, inherited })
}

/// Goes on where the program before came to rest.
pub(crate) fn take_over(Left { state, mut inherited }: Left) -> Result<Life, Unfit> {
    let inherited = &mut inherited;
    let State { core, shell, steady, .. } = state;
    let steady = steady.ok_or_else(|| Unfit::Unknown("the state is only for a trial".to_owned()))?;
    let ShellState {
        boot,
        runs,
        locks,
        conns,
        taps,
        ports,
        readiness: ready,
        foreign,
        store,
        shared,
        programs,
    } = shell;
    let SteadyState { output, door, site, leftovers, watches } = steady;
    let clock = Clock::read();
    let mut boot = Boot::resume(boot, &core, inherited)?;
    let (to_loop, mailbox) = mailbox::mailbox();
    let signals = Signals::watch()?;
    let disks = disks::Disks::new();
    let settings = settings::Settings::from_env(disks.clone(), Post::new(&to_loop, Happened::Configured));
    let claims = claims::Claims::default();
    let locks = held(locks, &claims, inherited)?;
    let state_dir = boot.paths.state_dir.clone();
    let state_dir = Path::new(&state_dir);
    let life = (boot.open_files, boot.server.instance.clone());
    let runs = Runs::resume(runs, life, (state_dir, disks.clone()), (&claims, clock), inherited)?;
    boot.journal_failures = runs.journal_failures();
    let taps: HashMap<RunKey, Arc<Tap>> =
        taps.into_iter().map(|(key, tap)| (key, Arc::new(Tap::resume(tap)))).collect();
    // A run whose worker was forgotten has no tap any more.
    let tap = |key: &RunKey| taps.get(key).cloned().unwrap_or_default();
    let in_effect = core.surroundings().settings;
    let config = boot.output_config_of(in_effect);
    let output = Output::resume(config, Post::new(&to_loop, Happened::Output), output, tap, inherited)?;
    let bounds = (in_effect.history, in_effect.queue);
    let highest_job = core.to_remember().highest_job;
    let history = History::new(&boot, highest_job, bounds, Post::new(&to_loop, Happened::Done));
    history.resume(&store);
    let mut readiness = readiness::Readiness::new(Post::new(&to_loop, Happened::Probed), disks.clone());
    let located = readiness.resume(ready, inherited)?;
    let (to_accept, listeners) = mpsc::channel(LISTENERS);
    let to_healer = Post::new(&to_loop, Happened::Healer);
    let healer = Healer::resume(site, &boot, disks.clone(), to_accept, to_healer, inherited)?;
    let home = tag::home(&state_dir.metadata()?);
    let spared = [boot.server.pid, boot.keeper_pid];
    let gone = Post::new(&to_loop, Happened::Gone);
    let leftovers = leftovers.map(|left| Leftovers::resume(left, (home, spared), gone));
    let (leftovers, ended) = leftovers.unzip();
    let conns = connections(conns, inherited)?;
    let shared = crate::shared::Shared::new(shared, Post::new(&to_loop, Happened::Done));
    let hands = Hands { runs, output, settings, readiness, history, shared };
    let mut shell = Shell::new(core, hands, boot, clock, &to_loop);
    let taps = taps.into_iter().collect();
    shell.take_over(Resumed { conns, locks, taps, located, claims, ports, foreign, programs }, inherited)?;
    let desk = Desk::new(shell);
    let memory = Rc::<Memory>::default();
    tokio::task::spawn_local(Rc::clone(&memory).give_back());
    let door = Door::resume(door, (desk.clone(), disks, memory), inherited)?;
    let sources = Sources::new(signals, mailbox);
    let mut life = Life { desk, sources, healer, accepting: None, door: None, leftovers };
    for gone in ended.into_iter().flatten() {
        life.take(Happened::Gone(gone));
    }
    life.desk.turn(|shell| {
        shell.go_on_with_all();
        // The signal of one that ended meanwhile was perhaps taken by the program before.
        shell.reap();
        shell.input(Input::Upgraded(own_program()));
    });
    let watches: Result<Vec<_>, _> = watches.into_iter().map(|fd| inherited.take(fd)).collect();
    fds::close_aside(watches?);
    life.accepting = Some(door.open(listeners));
    spawn::take_signals();
    // At the end: writers that have waited would take the processors.
    life.desk.look(Shell::read_output)?;
    fault::at("resumed");
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "goes on for the program before");
    Ok(life)
}

/// The locks of runs, in the order in which these began.
fn held(
    mut locks: Vec<(RunKey, HeldLockState)>,
    claims: &claims::Claims,
    inherited: &mut Inherited,
) -> Result<Vec<(RunKey, Arc<HeldLock>)>, Unfit> {
    // Each is older than the run that its worker has by now.
    locks.sort_by_key(|(_, lock)| lock.order());
    let resumed = locks.into_iter();
    resumed.map(|(key, lock)| Ok((key, Arc::new(HeldLock::resume(lock, claims, inherited)?)))).collect()
}
