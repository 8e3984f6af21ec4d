//! A core with a store that answers when it is told to, claimants outside, and processes. Every input is followed by the checks
//! of what must hold of attempts, slots and answers.

use super::super::harness::config;
use super::desk::Desk;
use crate::{Config, ConnId, Core, Effect, Input, New, NoAnswer, Now, Question, RunKey};
use gob_config::kind::Kind;
use gob_protocol::lock::ask::LockAsk;
use gob_protocol::queue::{FIRST_SHARED, QueueAsk, QueueJob, QueueStatus, is_shared};
use gob_protocol::request::{ByJob, Hello, QueueAdd, QueueClaim, QueueFinish, QueueHeartbeat};
use gob_protocol::{
    Data, ErrorCode, EventKind, Exit, Id, Name, Owner, Receipt, Request, Timestamp, WireError,
};
use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

pub(in crate::tests) type Answer = Result<Data, Box<WireError>>;

/// A process of the supervisor's own.
#[derive(Debug, Clone)]
pub(in crate::tests) struct Process {
    pub(in crate::tests) key: RunKey,
    pub(in crate::tests) is_there: bool,
    pub(in crate::tests) is_asked: bool,
}

#[derive(Debug, Clone)]
pub(in crate::tests) struct World {
    pub(in crate::tests) core: Core,
    pub(in crate::tests) desk: Desk,
    /// The database that several machines share, and whether it answers.
    pub(in crate::tests) database: Desk,
    pub(in crate::tests) is_away: bool,
    /// Questions about shared locks.
    pub(in crate::tests) lock_asks: VecDeque<(u64, LockAsk)>,
    pub(in crate::tests) now: u64,
    pub(in crate::tests) wake: Option<u64>,
    /// The store answers at once.
    pub(in crate::tests) is_prompt: bool,
    pub(in crate::tests) processes: BTreeMap<Name, Process>,
    pub(in crate::tests) conns: BTreeSet<ConnId>,
    pub(in crate::tests) owed: BTreeMap<i64, ConnId>,
    /// The shell's answers to effects, given once it has carried out all of them.
    pub(in crate::tests) later: VecDeque<Input>,
    pub(in crate::tests) answers: BTreeMap<i64, Answer>,
    pub(in crate::tests) last_id: i64,
    pub(in crate::tests) pids: i32,
    pub(in crate::tests) events: Vec<(EventKind, QueueJob)>,
    pub(in crate::tests) has_ended: bool,
}

pub(in crate::tests) const CLI: ConnId = ConnId(1);
pub(in crate::tests) const AGENT: ConnId = ConnId(2);

/// A client is the same whenever it comes back, by a connection of another number.
pub(in crate::tests) fn owner(conn: ConnId) -> &'static str {
    if conn.0 % 3 == 1 { "cli" } else { "agent" }
}

pub(in crate::tests) fn lane(name: &str) -> gob_protocol::queue::LaneName {
    gob_protocol::queue::LaneName::new(name).unwrap()
}

pub(in crate::tests) fn id(number: u64) -> Name {
    Name::numbered(number)
}

pub(in crate::tests) fn add(lane_name: &str) -> QueueAdd {
    QueueAdd {
        lane: lane(lane_name),
        command: vec!["make".into()],
        cwd: "/site".into(),
        env: Some([("SECRET", "x")].into_iter().collect()),
        priority: None,
        delay_ms: None,
        max_attempts: None,
        after: Vec::new(),
        dedupe: None,
        description: None,
    }
}

impl World {
    pub(in crate::tests) fn new() -> Self {
        Self::with(config(Kind::graph()))
    }

    pub(in crate::tests) fn with(config: Config) -> Self {
        let core = Core::new(config, Now { mono_ms: 0, wall: Timestamp(0) });
        let mut world = Self {
            core,
            desk: Desk::default(),
            database: Desk::default(),
            is_away: false,
            lock_asks: VecDeque::new(),
            now: 0,
            wake: None,
            is_prompt: true,
            processes: BTreeMap::new(),
            conns: BTreeSet::new(),
            owed: BTreeMap::new(),
            later: VecDeque::new(),
            answers: BTreeMap::new(),
            last_id: 0,
            pids: 100,
            events: Vec::new(),
            has_ended: false,
        };
        world.feed(Input::Begin).unwrap();
        world.joins(CLI, "cli").unwrap();
        world.joins(AGENT, "agent").unwrap();
        world
    }

    pub(in crate::tests) fn joins(&mut self, conn: ConnId, owner: &str) -> Result<(), String> {
        self.conns.insert(conn);
        self.feed(Input::Connected { conn, pid: Some(40) })?;
        let owner = Owner::new(owner).ok();
        self.ask(conn, Request::Hello(Hello { protocol: 1, client: None, owner })).map(|_| ())?;
        self.ask(conn, Request::Subscribe(gob_protocol::request::Subscribe::default())).map(|_| ())
    }

    pub(in crate::tests) fn leaves(&mut self, conn: ConnId) -> Result<(), String> {
        self.conns.remove(&conn);
        self.desk.leaves(conn);
        self.owed.retain(|_, of| *of != conn);
        self.feed(Input::Disconnected { conn })
    }

    /// Another supervisor follows one that was killed, or has ended in order.
    pub(in crate::tests) fn restarts(&mut self) -> Result<(), String> {
        let mut config = config(Kind::graph());
        self.desk.restarts(&mut config);
        self.core = Core::new(config, self.time());
        self.processes.clear();
        self.owed.clear();
        self.wake = None;
        self.has_ended = false;
        let conns: Vec<ConnId> = std::mem::take(&mut self.conns).into_iter().collect();
        self.feed(Input::Begin)?;
        conns.into_iter().try_for_each(|conn| self.joins(conn, owner(conn)))
    }

    pub(in crate::tests) fn time(&self) -> Now {
        Now { mono_ms: self.now, wall: Timestamp(self.now as i64) }
    }

    pub(in crate::tests) fn ask(&mut self, conn: ConnId, request: Request) -> Result<i64, String> {
        self.last_id += 1;
        let id = self.last_id;
        self.owed.insert(id, conn);
        self.feed(Input::Request { conn, id: Some(Id::Number(id)), request })?;
        Ok(id)
    }

    /// The answer to a request that is answered without more ado.
    pub(in crate::tests) fn told(&mut self, conn: ConnId, request: Request) -> Answer {
        let id = self.ask(conn, request).unwrap();
        self.answers.remove(&id).expect("an answer at once")
    }

    pub(in crate::tests) fn added(&mut self, add: QueueAdd) -> QueueJob {
        match self.told(CLI, Request::QueueAdd(Box::new(add))) {
            Ok(Data::QueueAdd(data)) => data.job,
            other => panic!("{other:?}"),
        }
    }

    pub(in crate::tests) fn feed(&mut self, input: Input) -> Result<(), String> {
        let out = self.core.apply(input, self.time());
        for effect in out {
            self.carry_out(effect)?;
        }
        self.check()?;
        while let Some(input) = self.later.pop_front() {
            self.feed(input)?;
        }
        while self.is_prompt && !self.desk.asked.is_empty() {
            self.store_answers()?;
        }
        while self.is_prompt && !self.is_away && !self.database.asked.is_empty() {
            self.database_answers()?;
        }
        Ok(())
    }

    pub(in crate::tests) fn database_answers(&mut self) -> Result<(), String> {
        let now = self.time().wall;
        self.database.answers(now)?.map_or(Ok(()), |input| self.feed(input))
    }

    pub(in crate::tests) fn store_answers(&mut self) -> Result<(), String> {
        let now = self.time().wall;
        self.desk.answers(now)?.map_or(Ok(()), |input| self.feed(input))
    }

    pub(in crate::tests) fn store_fails(&mut self) -> Result<(), String> {
        self.desk.fails().map_or(Ok(()), |input| self.feed(input))
    }

    pub(in crate::tests) fn store_is_slow(&mut self) -> Result<(), String> {
        self.desk.is_slow().map_or(Ok(()), |input| self.feed(input))
    }

    pub(in crate::tests) fn carry_out(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Reply { conn, id: Some(Id::Number(id)), result } => {
                ensure!(self.conns.contains(&conn), "an answer for {conn:?}, which is gone");
                ensure!(self.owed.remove(&id) == Some(conn), "{id} is answered twice");
                if let Ok(Data::QueueClaim(data)) = &result
                    && let Some(job) = &data.job
                {
                    let desk = if is_shared(&job.id) { &mut self.database } else { &mut self.desk };
                    desk.begins(&job.id, job.attempt, self.processes.keys(), false)?;
                    desk.outside.insert(job.id.clone(), (conn, job.attempt));
                }
                self.answers.insert(id, result);
            }
            Effect::Ask { ticket, question: Question::Shared(mut ask) } => {
                if self.is_away {
                    let answer = Err(NoAnswer::Away("it is away".into()));
                    self.later.push_back(Input::Stored { ticket, answer });
                    return Ok(());
                }
                if let QueueAsk::Add(new) = &mut *ask {
                    new.id = id(FIRST_SHARED + self.database.store.rows.len() as u64);
                }
                self.database.asked.push_back((ticket, Question::Queue(ask)));
            }
            Effect::Ask { ticket, question: Question::Lock(ask) } => self.lock_asks.push_back((ticket, *ask)),
            Effect::Ask { ticket, question } => self.desk.asked.push_back((ticket, question)),
            Effect::Spawn(plan) => {
                let job = plan.key.name.clone();
                let attempt = plan.env.get("GOB_ATTEMPT").and_then(|text| text.parse().ok());
                ensure!(plan.env.get("GOB_JOB_ID") == Some(job.as_str()), "{job} does not know itself");
                ensure!(attempt == Some(plan.key.run as u32), "run {} of attempt {attempt:?}", plan.key.run);
                let desk = if is_shared(&job) { &mut self.database } else { &mut self.desk };
                desk.begins(&job, plan.key.run as u32, self.processes.keys(), true)?;
                self.processes.insert(job, Process { key: plan.key, is_there: false, is_asked: false });
            }
            Effect::Terminate { key, .. } => {
                if let Some(process) = self.processes.get_mut(&key.name) {
                    process.is_asked = true;
                }
            }
            Effect::CallOff { key } => {
                self.processes.remove(&key.name);
                self.later.push_back(Input::CalledOff { key });
            }
            Effect::Publish { event, .. } => {
                if let Some(job) = &event.job {
                    ensure!(event.worker.is_none(), "two subjects: {event:?}");
                    self.events.push((event.event, (**job).clone()));
                }
            }
            Effect::WakeAt(at) => self.wake = at,
            Effect::Exit { .. } => self.has_ended = true,
            _other => {}
        }
        Ok(())
    }

    pub(in crate::tests) fn check(&self) -> Result<(), String> {
        self.desk.check(&self.core, &self.database.asked)?;
        ensure!(self.wake == self.core.cx.timers.earliest(), "wakes at {:?}", self.wake);
        Ok(())
    }

    pub(in crate::tests) fn spawned(&mut self, job: &Name) -> Result<(), String> {
        self.pids += 1;
        let pid = self.pids;
        let Some(process) = self.processes.get_mut(job).filter(|process| !process.is_there) else {
            return Ok(());
        };
        process.is_there = true;
        let key = process.key.clone();
        self.feed(Input::Spawned { key, pid, port: None, new: New(false) })
    }

    pub(in crate::tests) fn exits(&mut self, job: &Name, exit: Exit) -> Result<(), String> {
        self.spawned(job)?;
        let Some(process) = self.processes.remove(job) else { return Ok(()) };
        let key = process.key;
        self.feed(Input::Exited { key: key.clone(), exit })?;
        self.feed(Input::Swept { key: key.clone(), receipt: Receipt::default() })?;
        let (last_lines, port_taken) = (Vec::new(), false);
        self.feed(Input::ReadOut { key: key.clone(), last_lines, port_taken })?;
        self.feed(Input::Freed { key })
    }

    pub(in crate::tests) fn ends(&mut self, number: u64, code: i32) {
        self.exits(&id(number), Exit::Code { code }).unwrap();
    }

    /// Time passes up to the next deadline.
    pub(in crate::tests) fn due(&mut self) -> Result<(), String> {
        let Some(at) = self.wake else { return Ok(()) };
        self.now = self.now.max(at);
        self.wake = None;
        self.feed(Input::Due)
    }

    /// Time passes, and every deadline of it is met.
    pub(in crate::tests) fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.wake.is_some_and(|at| at <= until) {
            self.due().unwrap();
        }
        self.now = until;
    }

    pub(in crate::tests) fn runs(&self) -> Vec<String> {
        self.processes.keys().map(ToString::to_string).collect()
    }

    pub(in crate::tests) fn status(&self, number: u64) -> QueueStatus {
        self.desk.store.job(id(number).as_str()).status
    }

    pub(in crate::tests) fn code(&mut self, conn: ConnId, request: Request) -> ErrorCode {
        self.told(conn, request).expect_err("a refusal").code
    }

    pub(in crate::tests) fn claims(&mut self, conn: ConnId, wait_ms: Option<u64>) -> i64 {
        let claim = QueueClaim { lane: lane("out"), worker_id: format!("host-{}", conn.0 % 3), wait_ms };
        self.ask(conn, Request::QueueClaim(claim)).unwrap()
    }

    pub(in crate::tests) fn got(&mut self, request: i64) -> Option<Option<Name>> {
        match self.answers.remove(&request)? {
            Ok(Data::QueueClaim(data)) => Some(data.job.map(|job| job.id)),
            other => panic!("{other:?}"),
        }
    }
}

pub(in crate::tests) fn finish(number: u64, conn: ConnId, success: bool) -> Request {
    let worker_id = format!("host-{}", conn.0 % 3);
    Request::QueueFinish(QueueFinish { job_id: id(number), worker_id, success, error: None, attempt: None })
}

pub(in crate::tests) fn beat(number: u64, conn: ConnId) -> Request {
    let worker_id = format!("host-{}", conn.0 % 3);
    Request::QueueHeartbeat(QueueHeartbeat { job_id: id(number), worker_id, attempt: None })
}

pub(in crate::tests) fn by_job(number: u64) -> ByJob {
    ByJob { job_id: id(number) }
}
