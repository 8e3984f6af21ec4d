//! Carries out the core's decisions, and reports their results to it. Never branches on the state of a
//! worker.

mod ends;
mod graphs;
mod prepare;
mod replies;
mod start;
mod taps;

use crate::boot::Boot;
use crate::claims::Claims;
use crate::clock::Clock;
use crate::disks::{Disks, Silent};
use crate::facts;
use crate::files;
use crate::foreign::{self, Foreign};
use crate::heal::Mended;
use crate::journal::JOURNAL;
use crate::last::{LAST, Last, Snapshot};
use crate::mailbox::{Happened, Post};
use crate::outbound::Outbound;
use crate::output::{FromOutput, Output};
use crate::program;
use crate::readiness::{self, Found, Ports, Readiness};
use crate::runs::{Reaping, Runs};
use crate::settings::Settings;
use crate::sys::fds::Shares;
use crate::sys::tag::Given;
use gob_core::{ConnId, Core, Effect, Input, Lost, Note, Now, RunKey, Target};
use gob_protocol::handshake::Handshake;
use gob_protocol::{Data, Incoming, Rejected, Request, Survivor};
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use taps::Taps;
use tokio::sync::{mpsc, oneshot};

/// A year, which stands for never: the timer needs some time to wait for.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Limits how long children are reaped in one turn, which takes at least so many: a worker that makes them faster holds up no other, and they
/// must not pile up either, because each look at our children examines them all.
const REAPING: Duration = Duration::from_millis(2);
const REAPED_AT_LEAST: usize = 512;

/// Time between two sweeps while more children end than are reaped in a turn.
const SWEEP_EVERY: Duration = Duration::from_millis(20);

/// Work that was done beside the main thread.
pub(crate) enum Done {
    /// The resources of a run are prepared; or something did not answer.
    Prepared { key: RunKey, slot: Arc<prepare::Slot>, silent: Option<Silent> },
    /// The lock of a swept run's graph is free.
    Freed(RunKey),
    /// `last.json` is written.
    Saved,
    /// The core receives this.
    Input(Box<Input>),
}

/// The parts through which the shell acts.
pub(crate) struct Hands {
    pub(crate) runs: Runs,
    pub(crate) output: Output,
    pub(crate) settings: Settings,
    pub(crate) readiness: Readiness,
}

/// The one owner of all state that is not the core's.
pub(crate) struct Shell {
    core: Core,
    runs: Runs,
    output: Output,
    settings: Settings,
    readiness: Readiness,
    foreign: Foreign,
    ports: Ports,
    conns: HashMap<ConnId, Rc<Outbound>>,
    /// Connections with new frames in this turn of the loop.
    touched: Vec<ConnId>,
    taps: Taps,
    disks: Disks,
    claims: Claims,
    /// The queue of results of work beside the main thread.
    done: Post<Done>,
    preparing: HashMap<RunKey, prepare::Preparing>,
    /// Swept runs whose end the core has not received yet.
    endings: HashMap<RunKey, ends::Ending>,
    pub(crate) boot: Boot,
    clock: Clock,
    /// The time of this turn of the loop.
    now: Now,
    pub(crate) last: Last,
    /// The last report to the core: descriptors for another run are free.
    room: bool,
    /// The time of the last sweep after children ended.
    swept: Instant,
    /// The time that it took.
    sweep_took: Duration,
    /// The last turn of reaping reached its bound.
    more_children: bool,
    /// The time at which the core must be woken.
    wake: Option<tokio::time::Instant>,
    /// The core has ended; whether gob's files are removed too.
    pub(crate) exit: Option<bool>,
}

impl Shell {
    /// A shell that hears through `to_loop` of work beside the main thread.
    pub(crate) fn new(
        core: Core,
        Hands { runs, output, settings, readiness }: Hands,
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
            ports: Ports::default(),
            conns: HashMap::new(),
            touched: Vec::new(),
            taps: Taps::default(),
            disks,
            claims: Claims::default(),
            done: Post::new(to_loop, Happened::Done),
            preparing: HashMap::new(),
            endings: HashMap::new(),
            boot,
            clock,
            now: clock.now(),
            last,
            room: true,
            swept: clock.start(),
            sweep_took: Duration::ZERO,
            more_children: false,
            wake: None,
            exit: None,
        }
    }

    /// Feeds the core and carries out its effects, until no more follow.
    pub(crate) fn input(&mut self, input: Input) {
        let mut next = Some(input);
        // The shell's answers to effects; most have none.
        let mut answers = VecDeque::new();
        while let Some(input) = next {
            for effect in self.core.apply(input, self.now) {
                answers.extend(self.carry_out(effect));
            }
            next = answers.pop_front();
        }
    }

    /// Begins a turn of the loop, which reads the clock and the process table once.
    pub(crate) fn new_turn(&mut self) {
        self.now = self.clock.now();
        self.runs.new_turn();
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Reply { conn, id, mut result } => {
                if let Ok(data) = &mut result {
                    self.add_last_output(data);
                }
                self.reply(conn, id.as_ref(), result.as_ref().map_err(|e| &**e))
            }
            Effect::ReplyStatus { conn, id, mut status } => {
                let counters = self.output.counters();
                facts::complete(&mut status, &self.boot, counters);
                status.cgroup = self.runs.has_cgroups();
                status.unmarked_runs = self.runs.unmarked();
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
            Effect::Terminate { key, signal } => self.runs.terminate(&key, &signal),
            Effect::StopHttp { key, endpoint, request, look } => {
                self.runs.ask(&key);
                let of = if look { self.runs.tree(&key) } else { None };
                if look && of.is_none() {
                    return Some(Input::StopAnswered { key, taken: false });
                }
                self.readiness.stop(key, endpoint, request, of);
            }
            Effect::Probe { key, target } => {
                if let Some(tree) = self.runs.tree(&key) {
                    self.readiness.probe(key, target, tree);
                }
            }
            Effect::ProbeOnce { key, target, timeout_ms } => return self.probe_once(key, target, timeout_ms),
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
            Effect::Census { key } => return Some(self.census(key)),
            Effect::Signal { key, signal, asked_by } => {
                let errno = self.runs.signal(&key, &signal).err().map(|e| program::errno_name(&e));
                let (conn, id) = asked_by?;
                return Some(Input::SignalSent { key, signal, conn, id, errno });
            }
            Effect::ReadConfig => self.settings.begin(),
            Effect::Forget { name } => {
                self.taps.forget(&name);
                self.output.forget(name);
            }
            Effect::WakeAt(at) => {
                self.wake = at.map(|ms| tokio::time::Instant::from_std(self.clock.instant(ms)));
            }
            Effect::Exit { nuke } => self.exit = Some(nuke),
        }
        None
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

    /// Takes in children that ended, then goes on with the sweeps. A worker that makes them faster than they are taken in
    /// holds up no other: after so many the other sources have their turns.
    pub(crate) fn reap(&mut self) {
        self.more_children = true;
        let begun = Instant::now();
        for reaped in 0.. {
            if reaped > 0 && reaped % REAPED_AT_LEAST == 0 && begun.elapsed() >= REAPING {
                break;
            }
            match self.runs.reap() {
                Reaping::Leader(key, exit) => self.input(Input::Exited { key, exit }),
                Reaping::Stray => {}
                Reaping::Nothing => {
                    self.more_children = false;
                    break;
                }
            }
        }
        if self.may_sweep() {
            self.sweep_now();
        }
    }

    /// Returns whether sweeps may continue. A sweep costs far more than a reap, and unreaped children make
    /// the next one dearer: while children wait to be reaped, four fifths of the time are for that.
    fn may_sweep(&self) -> bool {
        !self.more_children || self.swept.elapsed() >= SWEEP_EVERY.max(self.sweep_took * 4)
    }

    fn sweep_now(&mut self) {
        let begun = Instant::now();
        self.sweep_on();
        self.swept = Instant::now();
        self.sweep_took = self.swept.duration_since(begun);
    }

    /// Returns whether children may have ended that were not reaped yet.
    pub(crate) const fn has_more_children(&self) -> bool {
        self.more_children
    }

    /// Takes the first step of sweeps that were decided in this turn: the processes may be gone already, and
    /// then no signal would report it.
    pub(crate) fn begin_sweeps(&mut self) {
        // While children wait to be reaped, the turn that takes the last of them continues the sweeps.
        if self.runs.has_new_sweeps() && self.may_sweep() {
            self.sweep_now();
        }
    }

    /// Handles a result of work beside the main thread.
    pub(crate) fn take_done(&mut self, done: Done) {
        match done {
            Done::Prepared { key, slot, silent } => self.prepared(key, &slot, silent),
            Done::Freed(key) => self.freed(key),
            Done::Saved => self.last.end(),
            Done::Input(input) => self.input(*input),
        }
    }

    pub(crate) fn take_report(&mut self, report: FromOutput) {
        match report {
            FromOutput::Handshake { key, result } => {
                let input = match result {
                    Ok(handshake) if readiness::is_anywhere(&handshake) => {
                        return self.locate(key, handshake);
                    }
                    Ok(handshake) => Input::Ready { key, handshake, ports: Vec::new() },
                    Err(error) => Input::NeverReady { last_lines: self.last_lines(&key), key, error },
                };
                self.input(input);
            }
            FromOutput::Drained { key } => self.read_out(key),
        }
    }

    /// Finds the address on which a run listens that reported only its port.
    fn locate(&mut self, key: RunKey, handshake: Handshake) {
        match self.runs.tree(&key) {
            Some(tree) => self.readiness.locate(key, handshake, tree),
            // The run is gone, and the core drops the result.
            None => self.input(Input::Ready { key, handshake, ports: Vec::new() }),
        }
    }

    fn last_lines(&self, key: &RunKey) -> Vec<String> {
        self.taps.get(key).map(|tap| tap.last_lines()).unwrap_or_default()
    }

    /// Probes once whether a run is healthy; its output has been watched all the time.
    fn probe_once(&mut self, key: RunKey, target: Target, timeout_ms: u64) -> Option<Input> {
        if target == Target::Output {
            let seen = self.taps.get(&key).is_some_and(|tap| tap.take_seen());
            let failure = (!seen).then(|| "wrote no line that says it is well".to_owned());
            return Some(Input::Probed { key, failure });
        }
        let limit = Duration::from_millis(timeout_ms);
        let tree = self.runs.tree(&key)?;
        self.readiness.look(key, target, tree, limit);
        None
    }

    pub(crate) fn take_found(&mut self, found: Found) {
        match found {
            Found::Ready { key, handshake, ports } => self.input(Input::Ready { key, handshake, ports }),
            Found::NotYet { key, status } => self.input(Input::Told { key, status }),
            Found::StopAnswered { key, taken } => self.input(Input::StopAnswered { key, taken }),
            Found::Looked { key, failure } => self.input(Input::Probed { key, failure }),
            Found::Notified { pid, note, status } => {
                // A process of no run of ours has nothing to say.
                let Some(key) = self.runs.run_of(pid) else { return };
                if let Some(status) = status {
                    self.input(Input::Told { key: key.clone(), status });
                }
                if note != Note::default() {
                    self.input(Input::Notified { key, note });
                }
            }
        }
    }

    pub(crate) fn take_foreign(&mut self, found: foreign::Found) {
        match found {
            foreign::Found::Examined { key, sighting } => {
                let found = self.foreign.take(&key.name, sighting);
                self.input(Input::Examined { key, found });
            }
            foreign::Found::OrphanEnded { key, pid } => self.input(Input::OrphanEnded { key, pid }),
            foreign::Found::HolderGone { name, pid } => {
                self.input(Input::External { name, pid, holder: None });
            }
        }
    }

    /// Returns the tags of all runs so far.
    pub(crate) const fn given(&self) -> Given {
        self.runs.given()
    }

    /// Continues with the files that replaced the lost ones.
    pub(crate) fn take_healed(&mut self, mended: Mended) {
        let boot = &mut self.boot;
        boot.lock = mended.lock.unwrap_or_else(|| Arc::clone(&boot.lock));
        boot.runtime = mended.runtime.unwrap_or_else(|| Arc::clone(&boot.runtime));
        if let Some(socket) = mended.notify
            && let Err(error) = self.readiness.listen(socket)
        {
            tracing::error!(%error, "no notifications any more");
        }
        if mended.logs {
            self.output.find_again();
        }
        self.runs.heal_journal();
        self.input(Input::Healed);
        if mended.sockets {
            self.input(Input::SocketsLost(Lost::Any));
        }
    }

    /// Registers a connected client of the right user.
    pub(crate) fn connected(&mut self, conn: ConnId, pid: Option<i32>, outbound: Rc<Outbound>) {
        self.conns.insert(conn, outbound);
        self.input(Input::Connected { conn, pid });
    }

    /// Handles a request of a connection.
    pub(crate) fn take_request(&mut self, conn: ConnId, request: Result<Incoming, Rejected>) {
        match request {
            Ok(Incoming { id, request }) => {
                if matches!(request, Request::Start(_) | Request::Restart(_)) {
                    self.note_room();
                }
                self.input(Input::Request { conn, id, request });
            }
            Err(rejected) => self.reply(conn, rejected.id.as_ref(), Err(&rejected.error)),
        }
    }

    /// Reports to the core whether there are descriptors for another run, when that changed.
    fn note_room(&mut self) {
        let is_left = Shares::now().has_room(self.preparing.len(), self.conns.len());
        if std::mem::replace(&mut self.room, is_left) != is_left {
            self.input(Input::Room(is_left));
        }
    }

    /// Removes a connection.
    pub(crate) fn disconnected(&mut self, conn: ConnId) {
        self.conns.remove(&conn);
        self.input(Input::Disconnected { conn });
    }

    /// Returns the next deadline; far away when there is none.
    pub(crate) fn next_wake(&self) -> tokio::time::Instant {
        let far = tokio::time::Instant::from_std(self.clock.start() + FAR);
        self.wake.into_iter().chain(self.last.due()).fold(far, std::cmp::Ord::min)
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

    /// Writes `last.json`, if it is time. A timer alone would come a millisecond late.
    fn save_if_due(&mut self) {
        if self.last.due().is_none_or(|at| at > tokio::time::Instant::now()) {
            return;
        }
        let (saved, to_loop) = (self.begin_to_save(), self.done.clone());
        tokio::task::spawn_local(async move {
            drop(saved.await);
            to_loop.send(Done::Saved).await;
        });
    }

    /// Begins to write the present state to `last.json`.
    pub(crate) fn begin_to_save(&mut self) -> oneshot::Receiver<()> {
        let seq = self.core.seq();
        self.last.begin(seq, self.core.roster());
        let snapshot = Snapshot {
            workers: self.core.views(),
            last_owners: self.core.last_owners(),
            last_ports: self.core.last_ports(),
            served: self.core.served(),
            seq,
            instance: self.boot.server.instance.clone(),
            time: self.now.wall,
            ended: self.exit.is_some(),
        };
        snapshot.begin(&self.disks, &self.boot.paths.state_dir)
    }

    /// Begins to remove the supervisor's own records, after all earlier writes.
    pub(crate) fn begin_to_remove(&self) -> oneshot::Receiver<()> {
        let (logs, dir) = (self.boot.log_dir(), self.boot.paths.state_dir.clone());
        let own = [LAST, JOURNAL].map(|name| Path::new(&dir).join(name));
        let (done, is_done) = oneshot::channel();
        self.disks.begin(LAST, vec![dir], move |_| {
            files::remove_own(&logs, &own);
            // The receiver may have gone.
            done.send(()).unwrap_or_default();
        });
        is_done
    }

    /// Notes whether there are changes for `last.json`.
    pub(crate) fn note_changes(&mut self) {
        self.last.changed(self.core.seq(), self.core.roster(), self.core.count());
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
        self.output.flush(limit)
    }
}
