//! Everything that can happen in the world, one step at a time.

use super::harness::World;
use super::reports::{ends, failed, holder, leftovers, record, seen, stale_inputs};
use super::runs::{Run, Stage};
use super::shared::Word;
use crate::failure::Unclear;
use crate::{ConnId, Examined, Holder, Input, Lost, New, Note, Orphan, RunKey, Unfit};
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::request::{ByName, Hello};
use gob_protocol::{Exit, Id, Name, Owner, ProcessId, Receipt, Request, Timestamp};
use std::boxed::Box;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// One step of a history.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A client connects and says hello; `unknown` only connects.
    Join(ConnId, &'static str),
    Leave(ConnId),
    Ask(ConnId, Request),
    Spawned(Name),
    SpawnFailed(Name),
    /// A spawn that was called off does not happen.
    CalledOff(Name),
    Ready(Name),
    Refused(Name),
    /// A probe finds the worker ready or well, or not.
    Probed(Name, bool),
    Exited(Name, Exit),
    /// Nothing is left of a run, and its last steps are done.
    Swept(Name),
    /// Swept, and another process has its port.
    PortTaken(Name),
    /// Nothing is left of a run's processes.
    Emptied(Name),
    /// Its output is read, and another process has its port, or none.
    ReadOut(Name, bool),
    /// The lock of its graph is free.
    Freed(Name),
    /// A run says what it is doing.
    Told(Name),
    Notified(Name, Note),
    /// An examination of the graph's holders ends with this result.
    Examined(Name, Seen),
    /// A process that was told to end in favour of a run has ended.
    OrphanEnded(Name),
    /// A process without gob has the lock of the graph.
    Held(Name),
    /// The lock of a run's graph is busy, and its holder is not found.
    Busy(Name),
    /// Its graph held data, and there is none.
    Gone(Name),
    /// Its graph was last of this kind, in this root.
    WasLast(Name, &'static str, &'static str),
    /// Processes of an earlier supervisor are left of the worker, or are gone.
    Leftover(Name, bool),
    /// The worker accepted the HTTP request to end, or did not.
    StopAnswered(Name, bool),
    /// A census finds a survivor.
    Surviving(Name),
    /// The process that held the graph without gob has ended.
    HolderGone(Name),
    /// A subscriber reads at most so many frames.
    Read(ConnId, u32),
    /// Time passes up to the wake-up that the core asked for.
    Due,
    /// The wake-up comes so much too late.
    Late(u64),
    /// Time passes, but not beyond the wake-up.
    Pass(u64),
    /// The wall clock is set.
    Skew(i64),
    /// Files of the supervisor's own were removed and made again.
    Healed,
    /// The files of these workers' sockets are gone; no names: any may be.
    SocketsLost(Vec<Name>),
    /// The program of its latest run was looked at: another one lies there, or not.
    Program(Name, bool),
    Terminate,
    /// The upgrade that is under way gets on, well or not.
    Upgrade(bool),
    /// The supervisor is killed with all that it runs, and another one follows.
    Killed,
    /// The store says something about locks or lanes.
    Store(Word),
    /// The shell says one of the things of [`stale_inputs`] about the run before the latest one.
    Stale(Name, usize),
    /// A client takes and gives back a lease, so many times: two events each.
    Flood(ConnId, Name, usize),
}

/// The result of an examination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Nobody,
    Held(&'static str),
    Orphans,
    Unclear,
}

impl Seen {
    fn found(self) -> Examined {
        let orphans = || vec![Orphan { id: ProcessId { pid: 8, start_time: 8 }, command: "node".into() }];
        match self {
            Self::Nobody => Examined::Nobody,
            Self::Held(owner) => Examined::Held(holder(owner)),
            Self::Orphans => Examined::Orphans(orphans()),
            Self::Unclear => Examined::Unclear(Unclear::Changes { path: "/lock".into() }),
        }
    }
}

/// The port of runs that need one.
const PORT: Option<u16> = Some(4_000);

impl World {
    /// Takes one step; `false` when it can't happen.
    pub(super) fn step(&mut self, step: &Step) -> Result<bool, String> {
        match step {
            Step::Pass(ms) => self.now = (self.now + ms).min(self.wake.unwrap_or(u64::MAX)),
            Step::Skew(ms) => self.skew += ms,
            Step::Join(conn, owner) => {
                // An answer for a connection that is gone must not be taken for one of the next of its number.
                if self.clients.contains_key(conn) || self.core.underway.asks_for(*conn) {
                    return Ok(false);
                }
                self.feed(Input::Connected { conn: *conn, pid: Some(100 + conn.0 as i32) })?;
                if *owner != "unknown" {
                    let owner = Owner::new(owner).ok();
                    let hello = Request::Hello(Hello { protocol: 1, client: None, owner });
                    self.ask(*conn, hello)?;
                }
            }
            Step::Flood(conn, name, times) => {
                if !self.clients.contains_key(conn) {
                    return Ok(false);
                }
                for _ in 0..*times {
                    self.ask(*conn, Request::Lease(ByName { name: name.clone() }))?;
                    self.ask(*conn, Request::Release(ByName { name: name.clone() }))?;
                }
            }
            Step::Ask(conn, request) => {
                if !self.clients.contains_key(conn) {
                    return Ok(false);
                }
                self.ask(*conn, request.clone())?;
            }
            Step::Killed => self.killed()?,
            Step::Upgrade(well) => return self.upgrade(*well),
            Step::Store(word) => {
                let now = self.wall();
                let Some(input) = self.shared.says(*word, now)? else { return Ok(false) };
                self.feed(input)?;
            }
            Step::Swept(name) | Step::PortTaken(name) => {
                let taken = matches!(step, Step::PortTaken(_));
                let is_gone = |run: &&Run| run.stage == Stage::Exited && (run.needs_port || !taken);
                let Some(key) = self.runs.get(name).filter(is_gone).map(|run| run.key(name)) else {
                    return Ok(false);
                };
                let words = if taken { "in use" } else { "bye" };
                for input in ends(&key, Receipt::default(), vec![words.into()], taken) {
                    self.feed(input)?;
                }
            }
            other => match self.input(other) {
                Some(input) => self.feed(input)?,
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    /// Asks and gives the request's number.
    pub(super) fn ask(&mut self, conn: ConnId, request: Request) -> Result<i64, String> {
        self.last_id += 1;
        let id = self.last_id;
        self.feed(Input::Request { conn, id: Some(Id::Number(id)), request })?;
        Ok(id)
    }

    /// The input of a step; `None` if the step can't happen now.
    fn input(&mut self, step: &Step) -> Option<Input> {
        let alive = |run: &&Run| matches!(run.stage, Stage::Alive { .. });
        let runs = &mut self.runs;
        Some(match step {
            Step::Join(..) | Step::Ask(..) | Step::Flood(..) | Step::Pass(_) | Step::Skew(_) => return None,
            Step::Killed | Step::Store(_) | Step::Upgrade(_) => return None,
            Step::Leave(conn) => Input::Disconnected { conn: *self.clients.get_key_value(conn)?.0 },
            Step::Spawned(name) => {
                let run = runs.get(name).filter(|run| run.stage == Stage::Spawning)?;
                Input::Spawned {
                    key: run.key(name),
                    pid: runs.next_pid(),
                    port: PORT.filter(|_| run.needs_port),
                    new: New(true),
                }
            }
            Step::SpawnFailed(name) => {
                let key = runs.get(name).filter(|run| run.stage == Stage::Spawning)?.key(name);
                Input::SpawnFailed { key, why: failed("ENOENT") }
            }
            Step::CalledOff(name) => {
                let run = runs.get(name).filter(|run| run.stage == Stage::Spawning && run.called_off)?;
                Input::CalledOff { key: run.key(name) }
            }
            Step::Ready(name) => {
                let run = runs.get(name).filter(alive).filter(|run| !run.told)?;
                Input::Ready { key: run.key(name), handshake: Handshake::default(), ports: Vec::new() }
            }
            Step::Refused(name) => {
                let run = runs.get(name).filter(alive).filter(|run| !run.told)?;
                let error = HandshakeError::Refused("no disk".into());
                Input::NeverReady { key: run.key(name), error, last_lines: vec!["bye".into()] }
            }
            Step::Probed(name, well) => {
                let run = runs.get(name).filter(alive).filter(|run| run.looked_at)?;
                Input::Probed { key: run.key(name), found: seen(*well) }
            }
            Step::Exited(name, exit) => {
                Input::Exited { key: runs.get(name).filter(alive)?.key(name), exit: exit.clone() }
            }
            Step::Emptied(name) => {
                let run = runs.get(name).filter(|run| run.stage == Stage::Exited)?;
                Input::Swept { key: run.key(name), receipt: Receipt::default() }
            }
            Step::ReadOut(name, taken) => {
                let is_unread = |run: &&Run| matches!(run.stage, Stage::Finishing { read: None, .. });
                let run = runs.get(name).filter(is_unread).filter(|run| run.needs_port || !taken)?;
                Input::ReadOut { key: run.key(name), last_lines: vec!["bye".into()], port_taken: *taken }
            }
            Step::Freed(name) => {
                let is_held = |run: &&Run| matches!(run.stage, Stage::Finishing { free: false, .. });
                Input::Freed { key: runs.get(name).filter(is_held)?.key(name) }
            }
            Step::Surviving(name) => {
                let run = runs.get(name).filter(|run| run.census)?;
                let survivors = vec![ProcessId { pid: 9, start_time: 9 }.into()];
                Input::Surviving { key: run.key(name), receipt: Receipt { survivors, ..Receipt::default() } }
            }
            Step::HolderGone(name) => {
                let worker = self.core.workers.get(name)?;
                let pid = worker.holder().map_or(77, |holder| holder.pid);
                Input::HolderGone { name: worker.name.clone(), pid }
            }
            Step::Read(conn, frames) => {
                let client = self.clients.get_mut(conn).filter(|client| client.unread > 0)?;
                let frames = client.unread.min(*frames);
                client.unread -= frames;
                Input::Written { conn: *conn, frames }
            }
            Step::Due => self.wake_at(0)?,
            Step::Late(ms) => self.wake_at(*ms)?,
            Step::Healed => Input::Healed,
            Step::SocketsLost(names) if names.is_empty() => Input::SocketsLost(Lost::Any),
            Step::SocketsLost(names) => Input::SocketsLost(Lost::Files(
                names.iter().map(|name| self.core.cx.setup.paths.socket_file(name)).collect(),
            )),
            Step::Terminate => Input::Terminate,
            Step::Stale(name, which) => stale_inputs(self.core.workers.get(name)?).into_iter().nth(*which)?,
            _found => self.found(step)?,
        })
    }

    /// The input of a step that observes a run from outside.
    fn found(&self, step: &Step) -> Option<Input> {
        let alive = |run: &&Run| matches!(run.stage, Stage::Alive { .. });
        let runs = &self.runs;
        // Only graphs have a lock and a record.
        let is_graph =
            |name: &Name| self.core.workers.get(name).is_some_and(|worker| worker.spec.graph().is_some());
        Some(match step {
            Step::Program(name, is_other) => {
                let key = RunKey { name: name.clone(), run: self.core.workers.get(name)?.run };
                Input::Programs(vec![(key, *is_other)])
            }
            Step::Told(name) => {
                let run = runs.get(name).filter(alive)?;
                Input::Told { key: run.key(name), status: "loading".into() }
            }
            Step::Notified(name, note) => {
                Input::Notified { key: runs.get(name).filter(alive)?.key(name), note: *note }
            }
            Step::StopAnswered(name, taken) => {
                let run = runs.get(name).filter(|run| run.http).map(|run| run.key(name));
                Input::StopAnswered { key: run.or_else(|| runs.asked(name))?, taken: *taken }
            }
            Step::Examined(name, seen) => Input::Examined { key: runs.looking(name)?, found: seen.found() },
            Step::OrphanEnded(name) => {
                let (key, pid) = runs.evicting(name)?;
                Input::OrphanEnded { key, pid }
            }
            Step::Held(name) => {
                let run = runs.get(name).filter(|run| run.stage == Stage::Spawning && is_graph(name))?;
                Input::Held { key: run.key(name), holder: holder("desktop") }
            }
            Step::Busy(name) => {
                let run = runs.get(name).filter(|run| run.stage == Stage::Spawning && is_graph(name))?;
                Input::Held {
                    key: run.key(name),
                    holder: Holder { pid: 0, start_time: 0, ..holder("unknown") },
                }
            }
            Step::Gone(name) => {
                let run = runs.get(name).filter(|run| run.stage == Stage::Spawning && is_graph(name))?;
                let why = Unfit::Gone { path: "/data/w/file".into(), last_used_at: Some(Timestamp(7)) };
                Input::Unfit { key: run.key(name), why }
            }
            Step::WasLast(name, kind, root) => {
                let run = runs.get(name).filter(|run| run.stage == Stage::Spawning && is_graph(name))?;
                Input::Unfit { key: run.key(name), why: Unfit::Kind(Box::new(record(name, kind, root))) }
            }
            Step::Leftover(name, some) => {
                let core = &self.core.cx.past;
                let others = core.leftovers().iter().filter(|left| left.worker.as_ref() != Some(name));
                let pids: &[i32] = if *some { &[8, 9] } else { &[] };
                Input::Leftovers(others.cloned().chain(leftovers(name, pids)).collect())
            }
            _other => return None,
        })
    }

    fn wake_at(&mut self, late_ms: u64) -> Option<Input> {
        self.now = self.now.max(self.wake? + late_ms);
        self.wake = None;
        Some(Input::Due)
    }
}
