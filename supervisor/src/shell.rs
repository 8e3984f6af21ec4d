//! Carries out the core's decisions, and reports their results to it. Never branches on the state of a
//! worker.

mod asks;
mod clients;
mod ends;
mod graphs;
mod manager;
mod prepare;
mod reaping;
mod replies;
mod results;
mod saving;
mod start;
mod taps;
mod upgrade;

use crate::boot::Boot;
use crate::claims::Claims;
use crate::clock::Clock;
use crate::connection::Connections;
use crate::disks::{Disks, Silent};
use crate::facts;
use crate::foreign::Foreign;
use crate::graph_lock::HeldLock;
use crate::history::History;
use crate::last::Last;
use crate::mailbox::{Happened, Post};
use crate::output::Output;
use crate::program;
use crate::programs::Programs;
use crate::readiness::{Look, Ports, Readiness};
use crate::runs::Runs;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::sys::tag::Given;
use crate::upgrade::{Candidate, Pause, Successor};
use gob_core::{
    Answered, ConnId, Core, Effect, Input, LocksMark, Miss, Missed, Now, Question, RunKey, Target,
};
use gob_protocol::answer::KeeperUpgrade;
use gob_protocol::handshake::Handshake;
use gob_protocol::{Data, Status, Survivor};
use reaping::Pace;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use taps::Taps;
use tokio::sync::{mpsc, oneshot};
pub(crate) use upgrade::{Resumed, connections};

/// A year, which stands for never: the timer needs some time to wait for.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Work that was done beside the loop.
pub(crate) enum Done {
    /// The resources of a run are prepared; or something did not answer.
    Prepared { key: RunKey, slot: Arc<prepare::Slot>, silent: Option<Silent> },
    /// The lock of a swept run's graph is free.
    Freed(RunKey),
    /// `last.json` is written.
    Saved,
    /// The history's store says something.
    Store(gob_store::Told),
    /// The program to which the supervisor is to be upgraded is open.
    Opened(Result<Candidate, String>),
    /// It was tried.
    Tried(Result<Successor, String>),
    /// The shared database of this number says something.
    Shared(u64, gob_store::shared::Told),
    /// The keeper goes on with the program that belongs to this one, or does not.
    Keeper(KeeperUpgrade),
    /// The core receives this.
    Input(Box<Input>),
}

/// The parts through which the shell acts.
pub(crate) struct Hands {
    pub(crate) runs: Runs,
    pub(crate) output: Output,
    pub(crate) settings: Settings,
    pub(crate) readiness: Readiness,
    pub(crate) history: History,
    pub(crate) shared: Shared,
}

/// The one owner of all state that is not the core's.
pub(crate) struct Shell {
    core: Core,
    runs: Runs,
    output: Output,
    settings: Settings,
    readiness: Readiness,
    foreign: Foreign,
    programs: Programs,
    ports: Ports,
    conns: Connections,
    /// Connections with new frames in this turn of the loop.
    touched: Vec<ConnId>,
    taps: Taps,
    disks: Disks,
    claims: Claims,
    /// The queue of results of work beside the loop.
    done: Post<Done>,
    preparing: HashMap<RunKey, prepare::Preparing>,
    /// The locks of graphs whose runs have no process any more, until the core lets them go.
    locks: HashMap<RunKey, Arc<HeldLock>>,
    pub(crate) boot: Boot,
    clock: Clock,
    /// The time of this turn of the loop.
    now: Now,
    pub(crate) last: Last,
    history: History,
    shared: Shared,
    /// The last report to the core: descriptors for another run are free.
    room: bool,
    pace: Pace,
    /// The time at which the core must be woken.
    wake: Option<tokio::time::Instant>,
    /// The core has ended; whether gob's files are removed too.
    pub(crate) exit: Option<bool>,
    /// The store is not removed: it has jobs that are not finished.
    keeps_queue: bool,
    /// The program that was tried last.
    successor: Option<Successor>,
    /// This program is to be replaced by that one, since then.
    replaced_by: Option<tokio::time::Instant>,
    /// Effects and results that were put off, while nothing is to begin.
    paused: Option<Pause>,
    /// Runs that are ready and not located yet, of the program before.
    located: Vec<(RunKey, Handshake)>,
}

impl Shell {
    /// A shell that hears through `to_loop` of work beside the loop.
    pub(crate) fn new(
        core: Core,
        Hands { runs, output, settings, readiness, history, shared }: Hands,
        boot: Boot,
        clock: Clock,
        to_loop: &mpsc::Sender<Happened>,
    ) -> Self {
        let disks = runs.disks().clone();
        let last = Last::new(&core);
        Self {
            core,
            output,
            settings,
            readiness,
            foreign: Foreign::new(Post::new(to_loop, Happened::Foreign), runs.life(), disks.clone()),
            runs,
            programs: Programs::new(disks.clone(), Post::new(to_loop, Happened::Programs)),
            ports: Ports::default(),
            conns: Connections::new(),
            touched: Vec::new(),
            taps: Taps::default(),
            disks,
            claims: Claims::default(),
            done: Post::new(to_loop, Happened::Done),
            preparing: HashMap::new(),
            locks: HashMap::new(),
            boot,
            clock,
            now: clock.now(),
            last,
            history,
            shared,
            room: true,
            pace: Pace::new(clock.start()),
            wake: None,
            exit: None,
            keeps_queue: false,
            successor: None,
            replaced_by: None,
            paused: None,
            located: Vec::new(),
        }
    }

    /// Feeds the core and carries out its effects, until no more follow.
    pub(crate) fn input(&mut self, input: Input) {
        let mut next = Some(input);
        // The shell's answers to effects; most have none.
        let mut answers = VecDeque::new();
        while let Some(input) = next {
            for effect in self.core.apply(input, self.now) {
                if let Some(answer) = self.carry_out(effect) {
                    answers.push_back(answer);
                }
            }
            next = answers.pop_front();
        }
    }

    /// Begins a turn of the loop, which reads the clock and the process table once.
    pub(crate) fn new_turn(&mut self) {
        self.now = self.clock.now();
        self.runs.new_turn();
        self.glance();
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        match self.put_off(effect)? {
            Effect::Reply { conn, id, mut result } => {
                if let Ok(data) = &mut result {
                    self.add_last_output(data);
                }
                self.reply(conn, id.as_ref(), result.as_ref().map_err(|e| &**e))
            }
            Effect::ReplyStatus { conn, id, mut status } => {
                self.complete(&mut status);
                self.reply(conn, id.as_ref(), Ok(&Data::Status(status)));
            }
            Effect::Publish { event, owned, others } => {
                self.publish(&event, true, &owned);
                self.publish(&event, false, &others);
            }
            Effect::Lagged { conn, frame } => self.send_event(&[conn], &*frame),
            Effect::Spawn(plan) => return self.prepare(plan),
            Effect::Remember { key } => self.remember(&key),
            Effect::FindGraphs(find) => self.find_graphs(*find),
            Effect::DeleteGraph { search, plan } => self.delete_graph(search, plan),
            Effect::CallOff { key } => return self.call_off(key),
            Effect::Terminate { key, signal } => {
                self.runs.terminate(&key, &signal);
                self.remember_end(&key);
            }
            Effect::StopHttp { key, endpoint, request, look, limit_ms } => {
                return self.stop_by_request(key, endpoint, request, look, Duration::from_millis(limit_ms));
            }
            Effect::Probe { key, target, timeout_ms, its_own, explain_after_ms } => {
                let explain_after = explain_after_ms.map(Duration::from_millis);
                let limit = Duration::from_millis(timeout_ms);
                return self.probe(key, Look { target, limit, its_own, explain_after });
            }
            Effect::Examine { key, plan } => self.foreign.examine(key, plan),
            Effect::EndOrphans { key, orphans, plan, signal } => {
                if let Some(number) = gob_protocol::signal::number(&signal) {
                    self.foreign.signal(key, orphans, plan, number);
                }
            }
            Effect::Follow { name, pid } => self.foreign.follow(name, pid),
            Effect::EndProbe { key } => self.readiness.end_probe(&key),
            Effect::Linger { key, signal } => self.runs.linger(&key, &signal),
            Effect::Sweep { key } => self.runs.sweep(&key),
            Effect::ReadRest { key, was_ready } => return self.read_rest(key, was_ready),
            Effect::Free { key } => return self.free(key),
            Effect::Census { key } => return Some(self.census(key)),
            Effect::Signal { key, signal, asked_by } => {
                let errno = self.runs.signal(&key, &signal).err().map(|e| program::errno_name(&e));
                let (conn, id) = asked_by?;
                return Some(Input::SignalSent { key, signal, conn, id, errno });
            }
            Effect::Record(recorded) => self.record(recorded),
            Effect::Ask { ticket, question: question @ (Question::Shared(_) | Question::Lock(_)) } => {
                return self.shared.ask(ticket, question, self.now.wall);
            }
            Effect::Share(shared) => self.share(shared.map(|shared| *shared)),
            Effect::Ask { ticket, question } => return self.history.ask(ticket, question, self.now.wall),
            Effect::LookForPorts { key, after_ms } => self.look_for_ports(key, after_ms),
            Effect::FindPorts { ticket, of } => self.find_ports(ticket, of),
            Effect::MarkLocks { up_to } => self.mark_locks(up_to),
            Effect::MarkJobs { up_to } => self.mark_jobs(up_to),
            Effect::UnmarkLocks => self.boot.lock_mark.set(LocksMark::Missing),
            Effect::ReadConfig => self.settings.begin(),
            Effect::BoundHistory { bounds, keep_finished_ms } => {
                self.history.set_bounds(bounds, keep_finished_ms);
            }
            Effect::Forget { name } => self.forget_logs(name),
            Effect::ForgetRun(RunKey { name, run }) => self.forget_runs(vec![(name, run)]),
            Effect::WakeAt(at) => self.wake_at(at),
            Effect::TryProgram { exe } => self.open_program(exe),
            Effect::Replace => self.be_replaced(),
            Effect::BringKeeper => self.bring_keeper(),
            Effect::Exit { nuke, keeps_queue } => {
                self.exit = Some(nuke);
                self.keeps_queue = keeps_queue;
            }
        }
        None
    }

    fn wake_at(&mut self, at: Option<u64>) {
        self.wake = at.map(|ms| tokio::time::Instant::from_std(self.clock.instant(ms)));
    }

    /// Adds what only the shell can measure.
    fn complete(&self, status: &mut Status) {
        let counters = self.output.counters();
        facts::complete(status, &self.boot, counters);
        status.cgroup = self.runs.has_cgroups();
        status.unmarked_runs = self.runs.unmarked();
        status.history = Some(self.history.status());
        status.shared = self.shared.status();
    }

    /// Looks where a run listens, after a pause. One that is gone is not looked at any more.
    fn look_for_ports(&mut self, key: RunKey, after_ms: u64) {
        if let Some(wanted) = self.runs.wanted(key) {
            self.readiness.look_later(wanted, Duration::from_millis(after_ms));
        }
    }

    fn find_ports(&mut self, ticket: u64, of: Vec<RunKey>) {
        let of = of.into_iter().filter_map(|key| self.runs.wanted(key)).collect();
        self.readiness.look_now(ticket, of);
    }

    /// Says what is left of a run, in the log too: no client may be there to be told.
    fn census(&mut self, key: RunKey) -> Input {
        let receipt = self.runs.census(&key);
        for Survivor { pid, uid, error, .. } in &receipt.survivors {
            let (worker, run, error) = (&key.name, key.run, error.as_deref());
            match error {
                Some(error) => {
                    tracing::warn!(%worker, run, pid, ?uid, error, "can't be ended; sudo kill -KILL {pid}");
                }
                None => tracing::warn!(%worker, run, pid, "was killed and does not go"),
            }
        }
        Input::Surviving { key, receipt }
    }

    /// Probes a run once; its output has been watched all the time.
    fn probe(&mut self, key: RunKey, look: Look) -> Option<Input> {
        if look.target == Target::Output {
            let seen = self.taps.get(&key).is_some_and(|tap| tap.take_seen());
            let missed =
                Missed { target: look.target, why: Miss::NoLine, listens: None, is_explained: false };
            let found = if seen { Ok(Answered::default()) } else { Err(Box::new(missed)) };
            return Some(Input::Probed { key, found });
        }
        let tree = self.runs.tree(&key)?;
        self.readiness.probe(key, look, tree);
        None
    }

    /// Returns whether the loop has something else to do than to wait for its sources.
    pub(crate) const fn is_called_away(&self) -> bool {
        self.exit.is_some() || self.replaced_by.is_some()
    }

    /// Returns the tags of all runs so far.
    pub(crate) const fn given(&self) -> Given {
        self.runs.given()
    }

    /// Returns the next deadline; far away when there is none.
    pub(crate) fn next_wake(&self) -> tokio::time::Instant {
        let far = tokio::time::Instant::from_std(self.clock.start() + FAR);
        let look = self.runs.has_runs().then(|| tokio::time::Instant::from_std(self.pace.due()));
        let due = self.wake.into_iter().chain(self.last.due()).chain(self.successor_due());
        due.chain(look).fold(far, std::cmp::Ord::min)
    }

    /// Handles what is due.
    pub(crate) fn wake(&mut self) {
        let now = tokio::time::Instant::now();
        if self.wake.is_some_and(|at| at <= now) {
            self.wake = None;
            self.note_room();
            self.input(Input::Due);
        }
        self.save_if_due();
    }

    /// Records in the journal that nothing is left, if that is so.
    pub(crate) fn end_journal(&mut self) -> Option<oneshot::Receiver<()>> {
        self.runs.end_journal()
    }

    /// Drops the records of earlier supervisors: nothing is left of their processes.
    pub(crate) fn past_is_over(&mut self) {
        self.runs.past_is_over();
    }

    /// Waits until all output is on the disk and forgotten logs are gone.
    pub(crate) fn finish_output(&self, limit: Duration) -> bool {
        self.history.finish();
        self.shared.finish();
        self.shared.finish();
        self.output.flush(limit)
    }
}
