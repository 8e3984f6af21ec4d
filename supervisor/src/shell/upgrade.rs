//! The shell's part in an upgrade: it begins the trial, rests while nothing new may begin, and is written as data and made of it.

use super::{Done, Shell};
use crate::claims::Claims;
use crate::connection::{Connection, Connections};
use crate::foreign::ForeignState;
use crate::graph_lock::HeldLock;
use crate::last::Last;
use crate::output::{OutputState, Tap};
use crate::programs::Program;
use crate::readiness::{Ports, PortsState};
use crate::sys::fds;
use crate::sys::wire::Wire;
use crate::upgrade::{self, Candidate, Inherited, Named, Pause, ShellState, Successor, Trial, Unfit};
use gob_core::{ConnId, Core, Effect, Input, RunKey};
use gob_protocol::handshake::Handshake;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::Instant;

/// The longest time for which records that are not written yet are waited for.
const WRITING: Duration = Duration::from_secs(2);
/// Time between two looks at it.
const LOOK: Duration = Duration::from_millis(5);

/// All that another program of the shell left, to go on with.
pub(crate) struct Resumed {
    pub(crate) conns: Connections,
    pub(crate) locks: Vec<(RunKey, Arc<HeldLock>)>,
    pub(crate) taps: Vec<(RunKey, Arc<Tap>)>,
    pub(crate) located: Vec<(RunKey, Handshake)>,
    pub(crate) claims: Claims,
    pub(crate) ports: PortsState,
    pub(crate) foreign: ForeignState,
    pub(crate) programs: Vec<(RunKey, Program)>,
}

/// Whether an effect that is not carried out is given again by [`Core::resume`].
const fn is_given_again(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Spawn(_)
            | Effect::CallOff { .. }
            | Effect::Examine { .. }
            | Effect::EndOrphans { .. }
            | Effect::Probe { .. }
            | Effect::StopHttp { .. }
            | Effect::ReadRest { .. }
            | Effect::Free { .. }
            | Effect::FindGraphs(_)
            | Effect::DeleteGraph { .. }
            | Effect::Ask { .. }
            | Effect::MarkLocks { .. }
            | Effect::BringKeeper
            | Effect::ReadConfig
            | Effect::Share(_)
            | Effect::Remember { .. }
    )
}

/// Whether an effect is what a client is waiting for, as a rule.
const fn is_for_an_answer(effect: &Effect) -> bool {
    matches!(effect, Effect::Ask { .. } | Effect::MarkLocks { .. } | Effect::Share(_))
}

impl Shell {
    /// Has the program opened to which the supervisor is to be upgraded.
    pub(super) fn open_program(&mut self, exe: Option<String>) {
        let path = exe.unwrap_or_else(upgrade::own_path);
        let (disks, to_loop) = (self.disks.clone(), self.done.clone());
        tokio::task::spawn_local(async move {
            let opened = upgrade::open(path, &disks).await;
            to_loop.send(Done::Opened(opened)).await;
        });
    }

    /// Has a program tried that is open; the core hears the result.
    pub(super) fn try_program(&mut self, opened: Result<Candidate, String>) {
        let begun = opened.and_then(|candidate| Ok((self.begin_trial(&candidate)?, candidate)));
        let to_loop = self.done.clone();
        tokio::task::spawn_local(async move {
            let tried = match begun {
                Ok((trial, candidate)) => trial.pass(candidate).await,
                Err(why) => Err(why),
            };
            to_loop.send(Done::Tried(tried)).await;
        });
    }

    /// Begins the trial of a program, as a child that is no run's, on the state as far as it can be told while clients are served.
    fn begin_trial(&mut self, candidate: &Candidate) -> Result<Trial, String> {
        let mut named = Named::default();
        let shell = self.hand_over(&mut named);
        let bytes = upgrade::write(&self.core, shell, None, &named)?;
        let state = fds::in_memory(&bytes).map_err(|error| format!("the state can't be written: {error}"))?;
        let tester = self.runs.spawn_trial(candidate, &state);
        let trial = tester.and_then(|tester| Trial::new(tester, state));
        trial.map_err(|error| format!("{} can't be executed: {error}", candidate.path))
    }

    /// A program was tried.
    pub(super) fn tried(&mut self, tried: Result<Successor, String>) {
        let tried = tried.inspect_err(|why| tracing::warn!(why, "not upgraded"));
        let tried = tried.map(|successor| {
            self.successor = Some(successor);
            upgrade::own_program()
        });
        self.input(Input::ProgramTried(tried));
    }

    /// Has the keeper go on with the program that belongs to this one; the core hears what came of it.
    pub(super) fn bring_keeper(&mut self) {
        let (keeper, disks, to_loop) = (self.boot.keeper_pid, self.disks.clone(), self.done.clone());
        tokio::task::spawn_local(async move {
            let brought = upgrade::bring_keeper(keeper, &disks).await;
            to_loop.send(Done::Keeper(brought)).await;
        });
    }

    /// Begins to make ready for the replacement: records that wait for a busy disk are waited for while clients are served.
    pub(super) fn be_replaced(&mut self) {
        self.replaced_by = Some(Instant::now());
    }

    /// Returns the program by which this one is to be replaced, once that is to be.
    pub(crate) fn take_successor(&mut self) -> Option<Successor> {
        let begun = self.replaced_by?;
        if self.history.has_backlog() && begun.elapsed() < WRITING {
            return None;
        }
        self.replaced_by = None;
        self.successor.take()
    }

    /// Returns when it is to be looked again whether this program is to be replaced.
    pub(super) fn successor_due(&self) -> Option<Instant> {
        self.replaced_by.map(|_| Instant::now() + LOOK)
    }

    /// Begins no work on processes and files any more that can be begun again, and has the threads for it rest. Clients are answered.
    pub(crate) fn pause_work(&mut self) {
        self.paused = Some(Pause { work: self.disks.next_number(), ..Pause::default() });
        self.disks.rest(true);
        self.output.rest();
    }

    /// Begins nothing any more that can be begun again, and asks no store, which may wait for a disk or a database. Clients get the
    /// answers that need none.
    pub(crate) fn pause_answers(&mut self) {
        if let Some(paused) = &mut self.paused {
            paused.is_whole = true;
        }
        self.shared.rest(true);
    }

    /// Reads nothing more from clients, and has all threads rest.
    pub(crate) fn pause(&mut self) {
        self.conns.values().for_each(|connection| connection.rest());
        self.history.rest(true);
    }

    /// Puts an effect off that can be given again.
    pub(super) fn put_off(&mut self, effect: Effect) -> Option<Effect> {
        match &mut self.paused {
            Some(paused) if is_given_again(&effect) && (paused.is_whole || !is_for_an_answer(&effect)) => {
                paused.effects.push(effect);
                None
            }
            Some(_) | None => Some(effect),
        }
    }

    /// Puts the begin of a process off.
    pub(super) fn put_off_done(&mut self, done: Done) -> Option<Done> {
        match &mut self.paused {
            Some(paused) if matches!(done, Done::Prepared { .. }) => {
                paused.done.push(done);
                None
            }
            Some(_) | None => Some(done),
        }
    }

    /// Returns the part that does not rest yet, by what it does; `None` when all do. No message in the loop's queue is lost then.
    pub(crate) fn restless(&mut self) -> Option<String> {
        if !self.conns.values().all(|connection| connection.rests()) {
            return Some("a connection is being read".to_owned());
        }
        if let Some(at_work) = self.at_work().or_else(|| self.asked_store()) {
            return Some(at_work);
        }
        if !self.history.rests() {
            return Some(format!("the store has not been closed: {}", self.history.status().path));
        }
        if !self.disks.rests() {
            return Some(self.longest_work());
        }
        (!self.readiness.rest()).then(|| "a notification is being read".to_owned())
    }

    /// Tells whether a worker still fills its pipe, which nobody reads.
    pub(crate) fn is_flooded(&mut self) -> bool {
        self.output.squeeze()
    }

    /// Returns the work on processes and files that was begun before the pause and is not done, or that is stuck.
    pub(crate) fn at_work(&mut self) -> Option<String> {
        if !self.output.rests() || !self.output.has_reported() {
            return Some("the disk of the workers' logs has not taken what was read".to_owned());
        }
        let earlier = self.paused.as_ref().map_or(0, |paused| paused.work);
        (!self.disks.has_done(earlier)).then(|| self.longest_work())
    }

    /// Returns the store that has not answered yet.
    pub(crate) fn asked_store(&self) -> Option<String> {
        if self.history.is_asked() {
            return Some(format!("the store has not answered: {}", self.history.status().path));
        }
        (!self.shared.rests()).then(|| "the shared database is being waited for".to_owned())
    }

    fn longest_work(&self) -> String {
        let longest = self.disks.longest().map(|silent| silent.to_string());
        longest.unwrap_or_else(|| "a thread has not ended".to_owned())
    }

    /// Goes on as if there had been no pause.
    pub(crate) fn go_on(&mut self) {
        if let Err(error) = self.output.go_on() {
            tracing::error!(%error, "no output of workers is read any more");
        }
        self.disks.rest(false);
        self.history.rest(false);
        self.shared.rest(false);
        self.readiness.go_on();
        let Pause { effects, done, .. } = self.paused.take().unwrap_or_default();
        for effect in effects {
            if let Some(answer) = self.carry_out(effect) {
                self.input(answer);
            }
        }
        done.into_iter().for_each(|done| self.take_done(done));
    }

    /// Reads the output of workers, which another program has left.
    pub(crate) fn read_output(&mut self) -> std::io::Result<()> {
        self.output.run()
    }

    /// Returns all connections.
    pub(crate) fn connections(&self) -> Vec<(ConnId, Rc<Connection>)> {
        self.conns.iter().map(|(conn, connection)| (*conn, Rc::clone(connection))).collect()
    }

    /// Returns what is known at any time.
    pub(crate) fn hand_over(&self, named: &mut Named) -> ShellState {
        ShellState {
            boot: self.boot.hand_over(named),
            runs: self.runs.hand_over(self.clock, named),
            locks: self.locks.iter().map(|(key, lock)| (key.clone(), lock.hand_over(named))).collect(),
            conns: self
                .conns
                .iter()
                .map(|(conn, connection)| (*conn, named.name(&connection.wire), connection.pending()))
                .collect(),
            taps: self.taps.all().map(|(key, tap)| (key, tap.hand_over())).collect(),
            ports: self.ports.hand_over(),
            readiness: self.readiness.hand_over(named),
            foreign: self.foreign.hand_over(named),
            store: self.history.hand_over(),
            programs: self.programs.hand_over(),
            shared: self.shared.hand_over(),
        }
    }

    /// Returns what is known of the output of a shell at rest.
    pub(crate) fn hand_output_over(&mut self, named: &mut Named) -> Option<OutputState> {
        self.output.hand_over(named)
    }

    /// Returns the watch on the programs of workers.
    pub(crate) fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.programs.watch()
    }

    /// Returns the state of mind.
    pub(crate) const fn core(&self) -> &Core {
        &self.core
    }

    /// Takes in what another program left.
    pub(crate) fn take_over(&mut self, resumed: Resumed, inherited: &mut Inherited) -> Result<(), Unfit> {
        let Resumed { conns, locks, taps, located, claims, ports, foreign, programs } = resumed;
        self.conns = conns;
        self.locks.extend(locks);
        taps.into_iter().for_each(|(key, tap)| self.taps.insert(key, tap));
        self.claims = claims;
        self.ports = Ports::resume(ports);
        self.foreign.resume(foreign, inherited)?;
        self.programs.resume(programs);
        // The file may be behind by now.
        self.last = Last::default();
        self.located = located;
        Ok(())
    }

    /// Begins again all that was under way.
    pub(crate) fn go_on_with_all(&mut self) {
        for effect in self.core.resume() {
            let answer = if let Effect::CallOff { key } = effect {
                // Nothing is prepared in this program yet.
                Some(Input::CalledOff { key })
            } else {
                self.carry_out(effect)
            };
            if let Some(answer) = answer {
                self.input(answer);
            }
        }
        for (key, handshake) in std::mem::take(&mut self.located) {
            self.locate(key, handshake);
        }
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        conns.into_iter().for_each(|conn| self.touch(conn));
    }
}

/// Takes over the connections of another program.
pub(crate) fn connections(
    all: Vec<(ConnId, crate::upgrade::Fd, crate::connection::Pending)>,
    inherited: &mut Inherited,
) -> Result<Connections, Unfit> {
    let mut conns = Connections::new();
    for (conn, fd, pending) in all {
        let stream = UnixStream::from_std(inherited.take(fd)?.into())?;
        conns.insert(conn, Rc::new(Connection::resume(Wire::new(stream)?, pending)));
    }
    Ok(conns)
}
