//! The queue: a core with a store that answers when it is told to, claimants outside, and processes. Every input is followed
//! by the checks of what must hold of attempts, slots and answers.

mod random;
mod store;

use super::harness::config;
use crate::{ConnId, Core, Effect, Input, New, NoAnswer, Now, Question, RunKey, Stored};
use gob_config::kind::Kind;
use gob_protocol::queue::{QueueAsk, QueueJob, QueueStatus, ScheduleName};
use gob_protocol::request::{
    ByJob, ByLane, ByName, Force, Hello, QueueAdd, QueueClaim, QueueFinish, QueueHeartbeat, QueueWidth,
    ScheduleAdd, ScheduleRemove, Start, Stop,
};
use gob_protocol::{
    Data, ErrorCode, EventKind, Exit, Id, Name, Owner, Receipt, Request, State, Timestamp, WireError,
};
use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;
use store::Store;

type Answer = Result<Data, Box<WireError>>;

/// A process of the supervisor's own.
#[derive(Debug, Clone)]
struct Process {
    key: RunKey,
    is_there: bool,
    is_asked: bool,
}

#[derive(Debug, Clone)]
struct World {
    core: Core,
    store: Store,
    now: u64,
    wake: Option<u64>,
    /// Questions without an answer, in their order.
    asked: VecDeque<(u64, Question)>,
    /// The store answers at once.
    is_prompt: bool,
    next_number: u64,
    processes: BTreeMap<Name, Process>,
    /// Attempts outside that the claimant knows of.
    outside: BTreeMap<Name, (ConnId, u32)>,
    conns: BTreeSet<ConnId>,
    owed: BTreeMap<i64, ConnId>,
    /// What the shell has to say about effects, once it has carried out all of them.
    later: VecDeque<Input>,
    answers: BTreeMap<i64, Answer>,
    last_id: i64,
    pids: i32,
    /// The last attempt of each job that began.
    begun: BTreeMap<Name, u32>,
    events: Vec<(EventKind, QueueJob)>,
    has_ended: bool,
}

const CLI: ConnId = ConnId(1);
const AGENT: ConnId = ConnId(2);

/// A client is the same whenever it comes back, by a connection of another number.
fn owner(conn: ConnId) -> &'static str {
    if conn.0 % 3 == 1 { "cli" } else { "agent" }
}

fn lane(name: &str) -> gob_protocol::queue::LaneName {
    gob_protocol::queue::LaneName::new(name).unwrap()
}

fn id(number: u64) -> Name {
    Name::numbered(number)
}

fn add(lane_name: &str) -> QueueAdd {
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
    fn new() -> Self {
        let core = Core::new(config(Kind::graph()), Now { mono_ms: 0, wall: Timestamp(0) });
        let mut world = Self {
            core,
            store: Store { life: 1, ..Store::default() },
            now: 0,
            wake: None,
            asked: VecDeque::new(),
            is_prompt: true,
            next_number: 1,
            processes: BTreeMap::new(),
            outside: BTreeMap::new(),
            conns: BTreeSet::new(),
            owed: BTreeMap::new(),
            later: VecDeque::new(),
            answers: BTreeMap::new(),
            last_id: 0,
            pids: 100,
            begun: BTreeMap::new(),
            events: Vec::new(),
            has_ended: false,
        };
        world.feed(Input::Begin).unwrap();
        world.joins(CLI, "cli").unwrap();
        world.joins(AGENT, "agent").unwrap();
        world
    }

    fn joins(&mut self, conn: ConnId, owner: &str) -> Result<(), String> {
        self.conns.insert(conn);
        self.feed(Input::Connected { conn, pid: Some(40) })?;
        let owner = Owner::new(owner).ok();
        self.ask(conn, Request::Hello(Hello { protocol: 1, client: None, owner })).map(|_| ())?;
        self.ask(conn, Request::Subscribe(gob_protocol::request::Subscribe::default())).map(|_| ())
    }

    fn leaves(&mut self, conn: ConnId) -> Result<(), String> {
        self.conns.remove(&conn);
        self.outside.retain(|_, (of, _)| *of != conn);
        self.owed.retain(|_, of| *of != conn);
        self.feed(Input::Disconnected { conn })
    }

    /// Another supervisor follows one that was killed, or has ended in order.
    fn restarts(&mut self) -> Result<(), String> {
        let mut config = config(Kind::graph());
        config.remembered.has_queue = true;
        let given = self.store.rows.keys().next_back().copied().unwrap_or_default();
        config.remembered.highest_job = self.next_number.max(given);
        config.last_runs = self.begun.iter().map(|(id, attempt)| (id.clone(), u64::from(*attempt))).collect();
        self.core = Core::new(config, self.time());
        self.store.life += 1;
        self.asked.clear();
        self.processes.clear();
        self.owed.clear();
        self.wake = None;
        self.has_ended = false;
        let conns: Vec<ConnId> = std::mem::take(&mut self.conns).into_iter().collect();
        self.feed(Input::Begin)?;
        conns.into_iter().try_for_each(|conn| self.joins(conn, owner(conn)))
    }

    fn time(&self) -> Now {
        Now { mono_ms: self.now, wall: Timestamp(self.now as i64) }
    }

    fn ask(&mut self, conn: ConnId, request: Request) -> Result<i64, String> {
        self.last_id += 1;
        let id = self.last_id;
        self.owed.insert(id, conn);
        self.feed(Input::Request { conn, id: Some(Id::Number(id)), request })?;
        Ok(id)
    }

    /// The answer to a request that is answered without more ado.
    fn told(&mut self, conn: ConnId, request: Request) -> Answer {
        let id = self.ask(conn, request).unwrap();
        self.answers.remove(&id).expect("an answer at once")
    }

    fn added(&mut self, add: QueueAdd) -> QueueJob {
        match self.told(CLI, Request::QueueAdd(Box::new(add))) {
            Ok(Data::QueueAdd(data)) => data.job,
            other => panic!("{other:?}"),
        }
    }

    fn feed(&mut self, input: Input) -> Result<(), String> {
        let out = self.core.apply(input, self.time());
        for effect in out {
            self.carry_out(effect)?;
        }
        self.check()?;
        while let Some(input) = self.later.pop_front() {
            self.feed(input)?;
        }
        while self.is_prompt && !self.asked.is_empty() {
            self.store_answers()?;
        }
        Ok(())
    }

    /// The store answers the question that it was asked first.
    fn store_answers(&mut self) -> Result<(), String> {
        let Some((ticket, question)) = self.asked.pop_front() else { return Ok(()) };
        let stored = match question {
            Question::Reserve { count, above } => {
                // Numbers may have been given without the store.
                let given = self.store.rows.keys().next_back().copied().unwrap_or_default();
                let first = self.next_number.max(above + 1).max(given + 1);
                self.next_number = first + u64::from(count);
                Stored::Reserved { first, count }
            }
            Question::Queue(ask) => {
                let now = self.time().wall;
                let told = self.store.answer(&ask, now);
                // Whoever held one that nobody holds any more will hear of it.
                let is_held = |id: &Name| self.store.rows[&id.number().unwrap()].held.is_some();
                self.outside.retain(|id, _| is_held(id));
                Stored::Queue(Box::new(told))
            }
            other => return Err(format!("{other:?}, which nobody needs")),
        };
        self.feed(Input::Stored { ticket, answer: Ok(stored) })
    }

    /// The store can't answer the question that it was asked first, and does nothing.
    fn store_fails(&mut self) -> Result<(), String> {
        let Some((ticket, _)) = self.asked.pop_front() else { return Ok(()) };
        self.feed(Input::Stored { ticket, answer: Err(NoAnswer::Failed("it is locked".into())) })
    }

    /// The store does not answer in time; it will.
    fn store_is_slow(&mut self) -> Result<(), String> {
        let Some((ticket, _)) = self.asked.front() else { return Ok(()) };
        self.feed(Input::Stored { ticket: *ticket, answer: Err(NoAnswer::Silent) })
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Reply { conn, id: Some(Id::Number(id)), result } => {
                ensure!(self.conns.contains(&conn), "an answer for {conn:?}, which is gone");
                ensure!(self.owed.remove(&id) == Some(conn), "{id} is answered twice");
                if let Ok(Data::QueueClaim(data)) = &result
                    && let Some(job) = &data.job
                {
                    self.begins(&job.id, job.attempt)?;
                    self.outside.insert(job.id.clone(), (conn, job.attempt));
                }
                self.answers.insert(id, result);
            }
            Effect::Ask { ticket, question } => self.asked.push_back((ticket, question)),
            Effect::Spawn(plan) => {
                let job = plan.key.name.clone();
                let attempt = plan.env.get("GOB_ATTEMPT").and_then(|text| text.parse().ok());
                ensure!(plan.env.get("GOB_JOB_ID") == Some(job.as_str()), "{job} does not know itself");
                ensure!(attempt == Some(plan.key.run as u32), "run {} of attempt {attempt:?}", plan.key.run);
                self.begins(&job, plan.key.run as u32)?;
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

    /// An attempt begins.
    fn begins(&mut self, job: &Name, attempt: u32) -> Result<(), String> {
        ensure!(!self.processes.contains_key(job), "{job} runs already, and attempt {attempt} begins");
        ensure!(!self.outside.contains_key(job), "{job} is held outside, and attempt {attempt} begins");
        let last = self.begun.insert(job.clone(), attempt).unwrap_or_default();
        ensure!(attempt > last, "attempt {attempt} of {job} begins after {last}");
        let status = self.store.job(job.as_str()).status;
        ensure!(status == QueueStatus::Running || status == QueueStatus::Cancelled, "{job} is {status}");
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let mut claims = BTreeMap::<_, usize>::new();
        for (_, question) in &self.asked {
            if let Question::Queue(ask) = question
                && let QueueAsk::Claim { lane, .. } = &**ask
            {
                *claims.entry(lane.clone()).or_default() += 1;
            }
        }
        ensure!(claims.values().all(|count| *count == 1), "claims in flight: {claims:?}");
        for name in self.core.lanes.names() {
            let lane = self.core.lanes.get(&name).ok_or("no lane")?;
            ensure!(lane.is_in_flight() == claims.contains_key(&name), "{name}: a claim is in flight");
        }
        let held = self.core.lanes.holds.iter().filter(|(_, held)| held.is_here()).count();
        let here = self.core.workers.values().filter(|worker| worker.is_running()).count();
        ensure!(here <= held, "{here} run, and {held} are held");
        ensure!(self.wake == self.core.cx.timers.earliest(), "wakes at {:?}", self.wake);
        Ok(())
    }

    fn spawned(&mut self, job: &Name) -> Result<(), String> {
        self.pids += 1;
        let pid = self.pids;
        let Some(process) = self.processes.get_mut(job).filter(|process| !process.is_there) else {
            return Ok(());
        };
        process.is_there = true;
        let key = process.key.clone();
        self.feed(Input::Spawned { key, pid, port: None, new: New(false) })
    }

    fn exits(&mut self, job: &Name, exit: Exit) -> Result<(), String> {
        self.spawned(job)?;
        let Some(process) = self.processes.remove(job) else { return Ok(()) };
        let key = process.key;
        self.feed(Input::Exited { key: key.clone(), exit })?;
        self.feed(Input::Swept { key: key.clone(), receipt: Receipt::default() })?;
        let (last_lines, port_taken) = (Vec::new(), false);
        self.feed(Input::ReadOut { key: key.clone(), last_lines, port_taken })?;
        self.feed(Input::Freed { key })
    }

    fn ends(&mut self, number: u64, code: i32) {
        self.exits(&id(number), Exit::Code { code }).unwrap();
    }

    /// Time passes up to the next deadline.
    fn due(&mut self) -> Result<(), String> {
        let Some(at) = self.wake else { return Ok(()) };
        self.now = self.now.max(at);
        self.wake = None;
        self.feed(Input::Due)
    }

    /// Time passes, and every deadline of it is met.
    fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.wake.is_some_and(|at| at <= until) {
            self.due().unwrap();
        }
        self.now = until;
    }

    fn runs(&self) -> Vec<String> {
        self.processes.keys().map(ToString::to_string).collect()
    }

    fn status(&self, number: u64) -> QueueStatus {
        self.store.job(id(number).as_str()).status
    }

    fn code(&mut self, conn: ConnId, request: Request) -> ErrorCode {
        self.told(conn, request).expect_err("a refusal").code
    }

    fn claims(&mut self, conn: ConnId, wait_ms: Option<u64>) -> i64 {
        let claim = QueueClaim { lane: lane("out"), worker_id: format!("host-{}", conn.0 % 3), wait_ms };
        self.ask(conn, Request::QueueClaim(claim)).unwrap()
    }

    fn got(&mut self, request: i64) -> Option<Option<Name>> {
        match self.answers.remove(&request)? {
            Ok(Data::QueueClaim(data)) => Some(data.job.map(|job| job.id)),
            other => panic!("{other:?}"),
        }
    }
}

fn finish(number: u64, conn: ConnId, success: bool) -> Request {
    let worker_id = format!("host-{}", conn.0 % 3);
    Request::QueueFinish(QueueFinish { job_id: id(number), worker_id, success, error: None, attempt: None })
}

fn beat(number: u64, conn: ConnId) -> Request {
    let worker_id = format!("host-{}", conn.0 % 3);
    Request::QueueHeartbeat(QueueHeartbeat { job_id: id(number), worker_id, attempt: None })
}

fn by_job(number: u64) -> ByJob {
    ByJob { job_id: id(number) }
}

#[test]
fn a_lane_runs_as_many_jobs_as_it_is_wide_and_the_next_one_when_one_ends() {
    let mut world = World::new();
    for _ in 0..4 {
        world.added(add("a"));
    }
    assert_eq!(world.runs(), ["j1"], "one at first");
    world.told(AGENT, Request::QueueWidth(QueueWidth { lane: lane("a"), width: 3 })).unwrap();
    assert_eq!(world.runs(), ["j1", "j2", "j3"]);
    world.ends(2, 0);
    assert_eq!(
        (world.status(2), world.runs()),
        (QueueStatus::Completed, vec!["j1".into(), "j3".into(), "j4".into()])
    );
    let view = world.core.views().into_iter().find(|view| view.name == id(2)).unwrap();
    assert_eq!((view.state, view.run, view.owner), (State::Idle, 1, Owner::cli()));
}

#[test]
fn an_attempt_that_fails_is_followed_by_another_and_the_last_one_by_none() {
    let mut world = World::new();
    world.added(QueueAdd { max_attempts: Some(2), ..add("a") });
    world.ends(1, 3);
    assert_eq!((world.status(1), world.runs().len()), (QueueStatus::Pending, 0));
    world.pass(1_000);
    assert_eq!(world.runs(), ["j1"], "the delay is over");
    let spawned = world.processes[&id(1)].key.run;
    assert_eq!(spawned, 2, "each attempt is a run");
    world.ends(1, 3);
    let job = world.store.job("j1");
    assert_eq!((job.status, job.error.as_deref()), (QueueStatus::Failed, Some("exited 3")));
    world.pass(100_000);
    assert!(world.runs().is_empty());
}

#[test]
fn a_job_that_was_stopped_by_a_client_is_cancelled_and_not_tried_again() {
    let mut world = World::new();
    world.added(add("a"));
    world.spawned(&id(1)).unwrap();
    world.ask(CLI, Request::Stop(Stop { name: id(1), force: false, grace_ms: None })).unwrap();
    assert!(world.processes[&id(1)].is_asked);
    world.exits(&id(1), Exit::Signal { signal: "SIGTERM".into(), core_dumped: false }).unwrap();
    assert_eq!(world.status(1), QueueStatus::Cancelled);
    let again = Request::Start(Start { name: Some(id(1)), ..Start::default() });
    assert_eq!(world.code(CLI, again), ErrorCode::GraphConflict, "its lane runs it, and nobody else");
}

#[test]
fn a_cancelled_job_ends_where_it_runs_and_its_dependants_fail() {
    let mut world = World::new();
    world.added(add("a"));
    world.added(QueueAdd { after: vec![id(1)], ..add("b") });
    world.spawned(&id(1)).unwrap();
    assert_eq!(world.code(AGENT, Request::QueueCancel(by_job(1))), ErrorCode::ServerOwnedByOther);
    assert_eq!(world.code(CLI, Request::QueueCancel(by_job(9))), ErrorCode::JobNotFound);
    world.told(CLI, Request::QueueCancel(by_job(1))).unwrap();
    assert_eq!((world.status(1), world.status(2)), (QueueStatus::Cancelled, QueueStatus::Failed));
    assert!(world.processes[&id(1)].is_asked, "it is stopped as by a stop");
    let retry = gob_protocol::request::QueueRetry { job_id: id(1), env: None };
    assert_eq!(world.code(CLI, Request::QueueRetry(retry.clone())), ErrorCode::ServerRunning, "it is held");
    world.ends(1, 0);
    assert_eq!(world.status(1), QueueStatus::Cancelled, "whatever its exit");
    world.told(CLI, Request::QueueRetry(retry)).unwrap();
    assert_eq!((world.runs(), world.processes[&id(1)].key.run), (vec!["j1".to_string()], 2));
}

#[test]
fn a_delayed_job_runs_when_its_time_has_come_and_a_paused_lane_runs_none() {
    let mut world = World::new();
    world.added(QueueAdd { delay_ms: Some(5_000), ..add("a") });
    world.pass(4_999);
    assert!(world.runs().is_empty());
    world.told(AGENT, Request::QueuePause(ByLane { lane: lane("a") })).unwrap();
    world.pass(10);
    assert!(world.runs().is_empty());
    world.told(AGENT, Request::QueueResume(ByLane { lane: lane("a") })).unwrap();
    assert_eq!(world.runs(), ["j1"]);
}

#[test]
fn a_claimant_outside_waits_for_a_job_and_gets_none_of_another() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    let hasty = world.claims(AGENT, None);
    assert_eq!(world.got(hasty), Some(None));
    let (first, second) = (world.claims(AGENT, Some(1_000)), world.claims(CLI, Some(1_000)));
    world.added(add("out"));
    assert_eq!((world.got(first), world.got(second)), (Some(Some(id(1))), None), "first come, first served");
    world.pass(1_000);
    assert_eq!(world.got(second), Some(None), "its time is over");
    assert_eq!(world.code(CLI, beat(1, CLI)), ErrorCode::JobNotClaimed);
    assert_eq!(world.code(CLI, finish(1, CLI, true)), ErrorCode::JobNotClaimed);
    world.told(AGENT, beat(1, AGENT)).unwrap();
    world.told(AGENT, finish(1, AGENT, true)).unwrap();
    assert_eq!(world.status(1), QueueStatus::Completed);
    assert_eq!(world.code(AGENT, finish(1, AGENT, true)), ErrorCode::JobNotClaimed, "it is over");
}

#[test]
fn a_lane_keeps_its_width_that_a_client_names_before_the_store_has_told_of_it() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    world.is_prompt = false;
    world.restarts().unwrap();
    world.claims(AGENT, Some(1_000));
    while !world.asked.is_empty() {
        world.store_answers().unwrap();
    }
    world.is_prompt = true;
    world.leaves(AGENT).unwrap();
    let added = world.added(add("out"));
    let status = world.store.job(added.id.as_str()).status;
    assert_eq!(status, QueueStatus::Pending, "the supervisor has no slot in this lane");
}

#[test]
fn a_claim_goes_back_with_its_connection_and_does_not_count() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    world.added(add("out"));
    let claim = world.claims(AGENT, None);
    assert_eq!(world.got(claim), Some(Some(id(1))));
    world.leaves(AGENT).unwrap();
    let job = world.store.job("j1");
    assert_eq!((job.status, job.attempt, job.attempts), (QueueStatus::Pending, 1, 0));
    assert_eq!(world.events.last().map(|(event, _)| *event), Some(EventKind::QueueJobRecovered));
    // One whose connection ends while the store claims.
    world.joins(AGENT, "agent").unwrap();
    world.is_prompt = false;
    world.claims(AGENT, Some(1_000));
    world.leaves(AGENT).unwrap();
    while !world.asked.is_empty() {
        world.store_answers().unwrap();
    }
    assert_eq!((world.status(1), world.store.job("j1").attempts), (QueueStatus::Pending, 0));
}

#[test]
fn a_claimant_that_is_not_heard_loses_its_job_and_a_jump_of_the_clock_counts_as_a_word() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    world.added(add("out"));
    let claim = world.claims(AGENT, None);
    assert_eq!(world.got(claim), Some(Some(id(1))));
    world.pass(50_000);
    world.told(AGENT, beat(1, AGENT)).unwrap();
    world.pass(59_000);
    assert_eq!(world.status(1), QueueStatus::Running);
    // The machine sleeps: nobody could say a word.
    world.now += 3_600_000;
    world.told(CLI, Request::Ping).unwrap();
    world.pass(59_000);
    assert_eq!(world.status(1), QueueStatus::Running);
    world.pass(2_000);
    let job = world.store.job("j1");
    assert_eq!((job.status, job.attempts), (QueueStatus::Pending, 1), "this one counts");
    assert!(job.error.unwrap().contains("host-2 was not heard of for 60 s"));
    assert_eq!(world.core.status().queue_stale_recoveries, 1);
    assert_eq!(world.code(AGENT, beat(1, AGENT)), ErrorCode::JobNotClaimed);
}

#[test]
fn a_killed_supervisor_runs_its_jobs_again_and_leaves_those_of_claimants_outside() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    world.added(add("a"));
    world.added(add("out"));
    let claim = world.claims(AGENT, None);
    assert_eq!(world.got(claim), Some(Some(id(2))));
    world.restarts().unwrap();
    let job = world.store.job("j1");
    assert_eq!(
        (job.status, job.error.as_deref()),
        (QueueStatus::Pending, Some("the supervisor ended while it ran"))
    );
    assert!(world.runs().is_empty(), "never at once");
    world.pass(1_000);
    assert_eq!((world.runs(), world.processes[&id(1)].key.run), (vec!["j1".to_string()], 2));
    assert_eq!(world.status(2), QueueStatus::Running, "its worker may live");
    world.pass(50_000);
    world.told(AGENT, beat(2, AGENT)).unwrap();
    world.pass(50_000);
    world.told(AGENT, finish(2, AGENT, true)).unwrap();
    assert_eq!(world.status(2), QueueStatus::Completed);
}

#[test]
fn an_end_in_order_gives_back_what_runs_and_waits_until_the_store_knows() {
    let mut world = World::new();
    world.added(add("a"));
    world.spawned(&id(1)).unwrap();
    world.is_prompt = false;
    world.feed(Input::Terminate).unwrap();
    world.exits(&id(1), Exit::Signal { signal: "SIGTERM".into(), core_dumped: false }).unwrap();
    assert!(!world.has_ended, "the store does not know yet");
    while !world.asked.is_empty() {
        world.store_answers().unwrap();
    }
    assert!(world.has_ended);
    assert_eq!((world.status(1), world.store.job("j1").attempts), (QueueStatus::Pending, 0));
}

#[test]
fn the_end_of_an_attempt_is_told_until_the_store_knows() {
    let mut world = World::new();
    world.added(add("a"));
    world.added(add("a"));
    world.spawned(&id(1)).unwrap();
    world.is_prompt = false;
    world.exits(&id(1), Exit::Code { code: 0 }).unwrap();
    world.store_fails().unwrap();
    assert!(world.asked.is_empty() && world.runs().is_empty(), "the slot is kept so long");
    world.pass(2_000);
    world.is_prompt = true;
    world.store_answers().unwrap();
    assert_eq!((world.status(1), world.runs()), (QueueStatus::Completed, vec!["j2".to_string()]));
}

#[test]
fn what_the_store_claims_too_late_goes_back() {
    let mut world = World::new();
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("out"), width: 0 })).unwrap();
    world.added(add("out"));
    world.is_prompt = false;
    let claim = world.claims(AGENT, Some(60_000));
    world.store_is_slow().unwrap();
    let error = world.answers.remove(&claim).unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Busy);
    while !world.asked.is_empty() {
        world.store_answers().unwrap();
    }
    assert_eq!((world.status(1), world.store.job("j1").attempts), (QueueStatus::Pending, 0));
}

#[test]
fn a_schedule_adds_a_job_at_each_of_its_times_until_its_owner_removes_it() {
    let mut world = World::new();
    let schedule = |interval_ms, cron| ScheduleAdd {
        lane: lane("a"),
        command: vec!["make".into()],
        cwd: "/site".into(),
        env: None,
        cron,
        interval_ms,
        timezone: None,
        name: None,
    };
    let both = Request::ScheduleAdd(Box::new(schedule(Some(5_000), Some("* * * * *".into()))));
    assert_eq!(world.code(CLI, both), ErrorCode::InvalidRequest);
    world.told(CLI, Request::ScheduleAdd(Box::new(schedule(Some(5_000), None)))).unwrap();
    world.pass(5_000);
    assert_eq!(world.runs(), ["j1"]);
    world.ends(1, 0);
    world.pass(5_000);
    assert_eq!(world.runs(), ["j2"], "no number is lost");
    let remove = || Request::ScheduleRemove(ScheduleRemove { name: ScheduleName::new("a").unwrap() });
    assert_eq!(world.code(AGENT, remove()), ErrorCode::ServerOwnedByOther);
    world.told(CLI, remove()).unwrap();
    world.ends(2, 0);
    world.pass(60_000);
    assert!(world.runs().is_empty());
}

#[test]
fn nuke_keeps_jobs_that_are_not_finished_and_counts_them() {
    let mut world = World::new();
    world.added(add("a"));
    world.added(add("a"));
    world.spawned(&id(1)).unwrap();
    let nuke = world.ask(CLI, Request::Nuke(Force::default())).unwrap();
    world.exits(&id(1), Exit::Signal { signal: "SIGTERM".into(), core_dumped: false }).unwrap();
    let Some(Ok(Data::Nuke(data))) = world.answers.remove(&nuke) else { panic!("no answer") };
    assert_eq!(data.unfinished, 2);
}

#[test]
fn few_workers_of_jobs_that_have_ended_are_listed() {
    let mut world = World::new();
    for number in 1..=150 {
        world.added(add("a"));
        world.ends(number, 0);
    }
    assert_eq!(world.core.views().len(), 100);
    world.told(CLI, Request::Remove(ByName { name: id(150) })).unwrap();
    assert_eq!(world.core.views().len(), 99);
}

#[test]
fn more_jobs_at_once_than_a_block_has_numbers_all_get_one() {
    let mut world = World::new();
    world.is_prompt = false;
    let asked: Vec<i64> =
        (0..200).map(|_| world.ask(CLI, Request::QueueAdd(Box::new(add("ci")))).unwrap()).collect();
    while !world.asked.is_empty() {
        world.store_answers().unwrap();
    }
    let given: BTreeSet<Name> = asked
        .iter()
        .map(|id| match &world.answers[id] {
            Ok(Data::QueueAdd(data)) => data.job.id.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(given.len(), 200);
}

#[test]
fn a_job_that_has_no_descriptors_waits_for_them() {
    let mut world = World::new();
    world.feed(Input::Room(false)).unwrap();
    world.added(add("a"));
    assert!(world.runs().is_empty());
    world.feed(Input::Room(true)).unwrap();
    world.pass(2_000);
    assert_eq!(world.runs(), ["j1"]);
}

#[test]
fn the_environment_of_a_job_is_in_no_event() {
    let mut world = World::new();
    world.added(add("a"));
    world.ends(1, 0);
    let told = format!("{:?}", world.events);
    assert!(world.events.len() == 3 && !told.contains("SECRET"), "{told}");
}
