//! Jobs: what makes two of them the same, what a later `add` changes, and what a run of one leaves.

mod blocked;
mod expected;
mod left;
mod next_run;

use super::harness::config;
use crate::failure::{Errno, SpawnFailure, SpawnStep};
use crate::{
    Config, ConnId, Core, Effect, Input, New, NoAnswer, Now, Question, Recorded, RunKey, SpawnPlan, Stored,
};
use gob_config::kind::{Kind, RestartOn};
use gob_protocol::request::{Add, ByName, Hello, History, Restart, Runs, RunsDelete, Start, Stop};
use gob_protocol::{
    Actor, Cursor, Data, Env, ErrorCode, EventKind, Exit, Id, Name, Outcome, Owner, Receipt, Request,
};
use gob_protocol::{RunOutcome, RunRecord, State, Stats, Timestamp, View, WireError};
use std::boxed::Box;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

const CLI: ConnId = ConnId(1);
const AGENT: ConnId = ConnId(2);

/// A supervisor with two clients, whose time passes by hand.
struct Small {
    now_ms: u64,
    core: Core,
    out: Vec<Effect>,
    ids: i64,
    /// The store's next number for a job; `None`: it can't be used.
    store: Option<u64>,
}

impl Small {
    fn new() -> Self {
        Self::with(config(Kind::graph()))
    }

    fn with(config: Config) -> Self {
        let core = Core::new(config, Now { mono_ms: 0, wall: Timestamp(0) });
        let mut small = Self { now_ms: 0, core, out: Vec::new(), ids: 0, store: Some(1) };
        for (conn, owner) in [(CLI, Owner::cli()), (AGENT, Owner::new("agent").unwrap())] {
            small.feed(Input::Connected { conn, pid: Some(40) });
            small.ask(conn, Request::Hello(Hello { protocol: 1, client: None, owner: Some(owner) })).unwrap();
        }
        small
    }

    fn feed(&mut self, input: Input) {
        let now = Now { mono_ms: self.now_ms, wall: Timestamp(0) };
        self.out = self.core.apply(input, now);
        let asked = self.out.iter().find_map(|effect| match effect {
            Effect::Ask { ticket, question: Question::Reserve { count, above } } => {
                Some((*ticket, *count, *above))
            }
            _other => None,
        });
        let Some((ticket, count, above)) = asked else { return };
        let answer = match &mut self.store {
            Some(next) => {
                let first = (*next).max(above + 1);
                *next = first + u64::from(count);
                Ok(Stored::Reserved { first, count })
            }
            None => Err(NoAnswer::Silent),
        };
        self.out.extend(self.core.apply(Input::Stored { ticket, answer }, now));
    }

    /// The answer to a request that is answered at once.
    fn ask(&mut self, conn: ConnId, request: Request) -> Result<Data, Box<WireError>> {
        self.send(conn, request);
        self.answer(conn).expect("an answer at once")
    }

    fn send(&mut self, conn: ConnId, request: Request) {
        self.ids += 1;
        self.feed(Input::Request { conn, id: Some(Id::Number(self.ids)), request });
    }

    fn answer(&self, conn: ConnId) -> Option<Result<Data, Box<WireError>>> {
        self.out.iter().find_map(|effect| match effect {
            Effect::Reply { conn: to, result, .. } if *to == conn => Some(result.clone()),
            _other => None,
        })
    }

    fn plan(&self) -> Option<SpawnPlan> {
        self.out.iter().find_map(|effect| match effect {
            Effect::Spawn(plan) => Some((**plan).clone()),
            _other => None,
        })
    }

    fn view(&self, name: &str) -> View {
        self.core.views().into_iter().find(|view| view.name.as_str() == name).expect("a worker")
    }

    fn key(&self, name: &str) -> RunKey {
        RunKey { name: Name::any(name).unwrap(), run: self.view(name).run }
    }

    fn spawned(&mut self, name: &str) {
        let key = self.key(name);
        self.feed(Input::Spawned { key, pid: 77, port: None, new: New::default() });
    }

    /// Its run ends, and nothing is left of it.
    fn ends(&mut self, name: &str, code: i32) {
        let key = self.key(name);
        self.feed(Input::Exited { key: key.clone(), exit: Exit::Code { code } });
        self.feed(Input::Swept { key: key.clone(), receipt: Receipt::default() });
        let (last_lines, port_taken) = (Vec::new(), false);
        self.feed(Input::ReadOut { key: key.clone(), last_lines, port_taken });
        self.feed(Input::Freed { key });
    }

    /// Adds a job that comes up at once.
    fn runs(&mut self, add: Add) -> String {
        self.send(CLI, Request::Add(Box::new(add)));
        let name = self.plan().expect("a spawn").key.name.to_string();
        self.spawned(&name);
        name
    }
}

fn add(command: &[&str]) -> Add {
    Add {
        command: command.iter().map(ToString::to_string).collect(),
        cwd: "/site".into(),
        env: Some([("PATH", "/bin"), ("SECRET", "x"), ("GOB_OWNER", "desktop")].into_iter().collect()),
        ..Add::default()
    }
}

fn named(name: &str, command: &[&str]) -> Add {
    Add { name: Some(Name::job(name).unwrap()), ..add(command) }
}

fn code(result: Result<Data, Box<WireError>>) -> ErrorCode {
    result.expect_err("a refusal").code
}

fn outcome(result: Option<Result<Data, Box<WireError>>>) -> (String, Outcome) {
    match result {
        Some(Ok(Data::Start(data))) => (data.worker.name.to_string(), data.outcome),
        other => panic!("no start: {other:?}"),
    }
}

#[test]
fn a_job_gets_its_own_command_and_directory_and_the_whole_environment() {
    let mut small = Small::new();
    small.feed(Input::Umask { conn: CLI, umask: 0o027 });
    small.send(CLI, Request::Add(Box::new(add(&["make", "{port}", "{graph}"]))));
    let plan = small.plan().unwrap();
    assert_eq!(plan.command, ["make", "{port}", "{graph}"], "its braces are its own");
    assert_eq!((plan.cwd.as_str(), plan.umask), ("/site", 0o027));
    assert_eq!((plan.lock, plan.make_dirs.len(), plan.stale_socket), (None, 0, None));
    let env = |name| plan.env.get(name);
    assert_eq!((env("SECRET"), env("GOB_NAME"), env("GOB_OWNER")), (Some("x"), Some("j1"), None));
    small.spawned("j1");
    assert_eq!(outcome(small.answer(CLI)), ("j1".into(), Outcome::Started));
    assert!(!small.out.iter().any(|effect| matches!(effect, Effect::Remember { .. })), "it has no record");
    let view = small.view("j1");
    assert_eq!((&*view.kind, view.graph, view.root_dir, view.state), ("job", None, None, State::Ready));
}

#[test]
fn the_same_command_in_the_same_directory_is_the_same_job() {
    let mut small = Small::new();
    assert_eq!(small.runs(add(&["a"])), "j1");
    small.send(AGENT, Request::Add(Box::new(add(&["a"]))));
    assert_eq!(outcome(small.answer(AGENT)), ("j1".into(), Outcome::Reused));
    assert_eq!(small.runs(Add { cwd: "/elsewhere".into(), ..add(&["a"]) }), "j2");
    assert_eq!(small.runs(add(&["a", "b"])), "j3");
    small.ends("j1", 0);
    assert_eq!(small.runs(add(&["a"])), "j1", "it is started anew");
    assert_eq!(small.view("j1").run, 2);
    small.ends("j1", 0);
    small.ask(CLI, Request::Remove(ByName { name: Name::any("j1").unwrap() })).unwrap();
    assert_eq!(small.runs(add(&["a"])), "j4", "no number is given twice");
}

#[test]
fn each_end_of_a_job_is_a_result() {
    let mut small = Small::new();
    for code in [0, 3] {
        small.runs(add(&["a"]));
        small.ends("j1", code);
        let view = small.view("j1");
        assert_eq!((view.state, view.exit), (State::Idle, Some(Exit::Code { code })));
    }
    small.runs(Add { restart: Some(RestartOn::OnFailure), ..add(&["a"]) });
    small.ends("j1", 3);
    assert_eq!(small.view("j1").state, State::Backoff);
    small
        .ask(CLI, Request::Stop(Stop { name: Name::any("j1").unwrap(), force: false, grace_ms: None }))
        .unwrap();
    small.runs(add(&["a"]));
    small.ends("j1", 0);
    assert_eq!(small.view("j1").state, State::Idle, "the policy stays until another one is asked for");
}

#[test]
fn the_environment_of_a_job_is_kept_for_its_runs_and_no_longer() {
    let mut small = Small::new();
    let has_env = |small: &Small, name: &str| {
        small.core.workers[&Name::any(name).unwrap()]
            .spec
            .env
            .as_deref()
            .and_then(|env| env.get("SECRET"))
            .is_some()
    };
    small.runs(Add { restart: Some(RestartOn::OnFailure), ..add(&["a"]) });
    assert!(has_env(&small, "j1"));
    small.ends("j1", 1);
    assert!(has_env(&small, "j1"), "the restart policy needs it");
    small
        .ask(CLI, Request::Stop(Stop { name: Name::any("j1").unwrap(), force: false, grace_ms: None }))
        .unwrap();
    assert!(!has_env(&small, "j1"));
    small.send(CLI, Request::Start(Start { name: Some(Name::any("j1").unwrap()), ..Start::default() }));
    assert_eq!(small.plan().unwrap().env.get("SECRET"), None, "nothing is left of the first client's");
    small.spawned("j1");
    let env: Env = [("SECRET", "y")].into_iter().collect();
    let name = Name::any("j1").unwrap();
    let restart = Restart { name, env: Some(env), grace_ms: None, wait: None, timeout_ms: None };
    small.send(CLI, Request::Restart(restart));
    small.ends("j1", 0);
    assert_eq!(small.plan().unwrap().env.get("SECRET"), Some("y"));
}

#[test]
fn a_name_means_one_worker() {
    let mut small = Small::new();
    small.send(CLI, Request::Start(Start { graph: Some(Name::any("notes").unwrap()), ..Start::default() }));
    let refused = |small: &mut Small, add| code(small.ask(AGENT, Request::Create(Box::new(add))));
    assert_eq!(refused(&mut small, named("notes", &["a"])), ErrorCode::GraphConflict);
    assert_eq!(refused(&mut small, named("j12", &["a"])), ErrorCode::InvalidName);
    assert_eq!(small.runs(named("web", &["a"])), "web");
    assert_eq!(refused(&mut small, named("other", &["a"])), ErrorCode::GraphConflict, "it is web already");
    assert_eq!(refused(&mut small, named("web", &["b"])), ErrorCode::ServerOwnedByOther);
    let create = |add| Request::Create(Box::new(add));
    assert_eq!(code(small.ask(CLI, create(named("web", &["b"])))), ErrorCode::GraphConflict, "it is up");
    small.ends("web", 0);
    let is_new = |answer| match answer {
        Ok(Data::Create(data)) => data.created,
        other => panic!("not created: {other:?}"),
    };
    assert!(!is_new(small.ask(CLI, create(named("web", &["b"])))));
    assert!(is_new(small.ask(CLI, create(named("new", &["c"])))));
    let view = small.view("web");
    assert_eq!((view.command.join(" "), view.run, view.exit), ("b".into(), 1, None), "its history stays");
    assert_eq!(small.runs(add(&["a"])), "j1", "the command that it was is free");
    let graph = Start { graph: Some(Name::any("web").unwrap()), ..Start::default() };
    assert_eq!(code(small.ask(CLI, Request::Start(graph))), ErrorCode::GraphConflict);
}

#[test]
fn a_later_add_changes_what_it_names_for_who_may() {
    let mut small = Small::new();
    small.runs(Add { description: Some("first".into()), ..add(&["a"]) });
    let described = |small: &Small| small.view("j1").description;
    let later = |text: &str| Add { description: Some(text.into()), ..add(&["a"]) };
    small.ask(CLI, Request::Add(Box::new(add(&["a"])))).unwrap();
    assert_eq!(described(&small).as_deref(), Some("first"), "none keeps it");
    small.ask(AGENT, Request::Add(Box::new(later("agent's")))).unwrap();
    assert_eq!(described(&small).as_deref(), Some("first"), "it runs, and is not the agent's");
    small.ask(CLI, Request::Add(Box::new(later("second")))).unwrap();
    assert_eq!(described(&small).as_deref(), Some("second"));
    let updated = small.core.cx.news.get(small.core.seq()).map(|kept| kept.event.event);
    assert_eq!(updated, Some(EventKind::WorkerUpdated));
}

#[test]
fn numbers_come_from_the_store_and_go_on_without_it() {
    let mut small = Small::new();
    small.store = Some(40);
    assert_eq!(small.runs(add(&["a"])), "j40", "jobs that were forgotten had those before");
    for number in 41..200 {
        assert_eq!(small.runs(add(&[&number.to_string()])), format!("j{number}"));
    }
    small.store = None;
    for number in 200..400 {
        assert_eq!(small.runs(add(&[&number.to_string()])), format!("j{number}"));
    }
    assert_eq!(small.core.to_remember().highest_job, 399);
}

#[test]
fn a_job_whose_client_left_before_it_had_a_number_is_not_begun() {
    let mut small = Small::new();
    let now = Now { mono_ms: 0, wall: Timestamp(0) };
    let request = Request::Add(Box::new(add(&["a"])));
    let asked = small.core.apply(Input::Request { conn: CLI, id: None, request }, now);
    let Some(Effect::Ask { ticket, .. }) = asked.first().cloned() else { panic!("{asked:?}") };
    assert_eq!(asked.len(), 1);
    drop(small.core.apply(Input::Disconnected { conn: CLI }, now));
    let answer = Ok(Stored::Reserved { first: 1, count: 64 });
    let marks = small.core.apply(Input::Stored { ticket, answer: answer.clone() }, now);
    assert!(matches!(marks[..], [Effect::MarkJobs { up_to: 64 }]), "{marks:?}");
    assert!(small.core.apply(Input::Stored { ticket, answer }, now).is_empty(), "a second answer");
    assert!(small.core.views().is_empty());
}

#[test]
fn each_run_is_recorded_from_its_begin_to_its_end() {
    let mut small = Small::new();
    let recorded = |small: &Small| -> Vec<RunRecord> {
        let runs = small.out.iter().filter_map(|effect| match effect {
            Effect::Record(Recorded::Run { run, .. }) => Some((**run).clone()),
            _other => None,
        });
        runs.collect()
    };
    small.runs(add(&["a"]));
    let begun = recorded(&small).pop().unwrap();
    assert_eq!((begun.run, begun.pid, begun.exit, begun.outcome), (1, Some(77), None, None));
    small.ends("j1", 3);
    let ended = recorded(&small).pop().unwrap();
    assert_eq!((ended.exit, ended.outcome), (Some(Exit::Code { code: 3 }), Some(RunOutcome::Failure)));
    assert_eq!((ended.duration_ms, ended.pid), (Some(0), Some(77)));
    assert!(matches!(ended.actor, Actor::Client { .. }), "{:?}", ended.actor);
    small.runs(add(&["a"]));
    small.send(CLI, Request::Stop(Stop { name: Name::any("j1").unwrap(), force: false, grace_ms: None }));
    small.ends("j1", 0);
    assert_eq!(recorded(&small).pop().unwrap().outcome, Some(RunOutcome::Killed), "it was asked to end");
    small.send(CLI, Request::Add(Box::new(add(&["nonesuch"]))));
    let key = small.key("j2");
    let errno = Errno { name: "ENOENT".into(), text: "No such file".into() };
    let why = SpawnFailure { step: SpawnStep::FindProgram(Some("nonesuch".into())), errno };
    small.feed(Input::SpawnFailed { key, why });
    let failed = recorded(&small).pop().unwrap();
    assert_eq!((failed.pid, failed.outcome), (None, Some(RunOutcome::Failure)));
}

#[test]
fn what_is_told_of_the_history_is_the_stores_answer_or_says_why_there_is_none() {
    let mut small = Small::new();
    let name = Name::any("w").unwrap();
    let stats = || Request::Stats(ByName { name: Name::any("w").unwrap() });
    assert_eq!(code(small.ask(CLI, stats())), ErrorCode::ServerNotFound);
    small.runs(named("w", &["a"]));
    let delete = |run| Request::RunsDelete(RunsDelete { name: Name::any("w").unwrap(), run });
    assert_eq!(code(small.ask(CLI, delete(1))), ErrorCode::ServerRunning);
    assert_eq!(code(small.ask(AGENT, delete(1))), ErrorCode::ServerOwnedByOther);
    let mut tell = |request: Request, answer| {
        small.send(CLI, request);
        let ticket = small.out.iter().find_map(|effect| match effect {
            Effect::Ask { ticket, .. } => Some(*ticket),
            _other => None,
        });
        small.feed(Input::Stored { ticket: ticket.expect("a question"), answer });
        small.answer(CLI).expect("an answer")
    };
    assert!(matches!(tell(stats(), Ok(Stored::Stats(Stats::default()))), Ok(Data::Stats(_))));
    assert_eq!(code(tell(stats(), Err(NoAnswer::Silent))), ErrorCode::Busy);
    assert_eq!(code(tell(stats(), Err(NoAnswer::Failed("it is damaged".into())))), ErrorCode::Internal);
    assert_eq!(code(tell(delete(7), Ok(Stored::Deleted(false)))), ErrorCode::ServerNotFound);
    let Ok(Data::RunsDelete(data)) = tell(delete(7), Ok(Stored::Deleted(true))) else { panic!("no data") };
    assert_eq!(data.removed, [7]);
    let is_forgotten = |effect: &Effect| matches!(effect, Effect::ForgetRun(RunKey { run: 7, .. }));
    assert!(small.out.iter().any(is_forgotten), "its logs go with it");
    let most = Runs { name, limit: Some(5_000), before: None };
    small.send(CLI, Request::Runs(most));
    let is_bounded =
        |effect: &Effect| matches!(effect, Effect::Ask { question: Question::Runs { limit: 1_000, .. }, .. });
    assert!(small.out.iter().any(is_bounded));
    let after = Cursor { instance: "i".into(), seq: 7 };
    small.send(CLI, Request::History(History { after, limit: Some(5_000) }));
    let is_bounded = |effect: &Effect| matches!(effect, Effect::Ask { question: Question::Since { limit: 1_000, after }, .. } if after.seq == 7);
    assert!(small.out.iter().any(is_bounded));
}
