//! Lanes that several machines share: what goes to the database, and what becomes of it when that is away.

use super::super::harness::config;
use super::rig::{AGENT, CLI, World, add, beat, by_job, id, lane};
use crate::{Input, SharedChange, SharedNews};
use gob_config::kind::Kind;
use gob_config::{LaneSettings, Shared};
use gob_protocol::queue::{FIRST_SHARED, QueueJob, QueueStatus};
use gob_protocol::request::{Hello, QueueList, QueueWidth, ScheduleAdd};
use gob_protocol::{Data, ErrorCode, EventKind, Request, Timestamp};
use std::boxed::Box;
use std::string::String;
use std::vec;
use std::vec::Vec;

/// The first job of the database.
const FIRST: u64 = FIRST_SHARED;

/// A supervisor whose lanes `farm` and `out` are shared.
fn world() -> World {
    let mut config = config(Kind::graph());
    config.settings.shared = Some(Shared { url: "postgres://ada@db/gob".into(), password_file: None });
    for (name, width) in [("farm", None), ("out", Some(0))] {
        let lane = LaneSettings { width, nice: None, shared: true };
        config.settings.lanes.insert(name.into(), lane);
    }
    let mut world = World::with(config);
    world.told_of(SharedNews::Up);
    world
}

impl World {
    fn told_of(&mut self, news: SharedNews) {
        self.feed(Input::Shared(news)).unwrap();
    }

    fn goes_away(&mut self) {
        self.is_away = true;
        self.told_of(SharedNews::Away("the cable is out".into()));
    }

    /// It is back: what this machine held in it before is an earlier life's.
    fn comes_back(&mut self) {
        self.is_away = false;
        self.database.store.life += 1;
        // A claim is the machine's there.
        for id in self.core.lanes.holds.shared() {
            let row = self.database.store.rows.get_mut(&id.number().unwrap()).unwrap();
            row.held.iter_mut().for_each(|held| held.0 = self.database.store.life);
        }
        self.told_of(SharedNews::Up);
    }

    fn shared_job(&self, number: u64) -> QueueJob {
        self.database.store.job(id(number).as_str())
    }

    fn listed(&mut self) -> (Vec<String>, Vec<(String, bool)>) {
        let list = QueueList { lane: None, status: None, after: None, limit: None };
        match self.told(CLI, Request::QueueList(list)) {
            Ok(Data::QueueList(data)) => (
                data.jobs.into_iter().map(|job| job.id.as_str().into()).collect(),
                data.lanes.into_iter().map(|lane| (lane.lane.as_str().into(), lane.shared)).collect(),
            ),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn jobs_of_a_shared_lane_are_in_the_database_and_run_here_with_the_name_of_the_host() {
    let mut world = world();
    let job = world.added(add("farm"));
    assert_eq!(job.id, id(FIRST));
    assert_eq!((world.runs(), world.desk.store.rows.len()), (vec![String::from(id(FIRST).as_str())], 0));
    assert_eq!(world.shared_job(FIRST).locked_by.as_deref(), Some("here/gobd-1"));
    world.added(add("local"));
    assert_eq!(world.runs().len(), 2);
    world.ends(FIRST, 0);
    assert_eq!(world.shared_job(FIRST).status, QueueStatus::Completed);
    assert_eq!(world.status(1), QueueStatus::Running, "a lane of this machine knows nothing of it");
}

#[test]
fn hello_names_the_feature_where_a_database_is_configured() {
    let features = |world: &mut World| {
        let conn = crate::ConnId(7);
        world.conns.insert(conn);
        world.feed(Input::Connected { conn, pid: None }).unwrap();
        match world.told(conn, Request::Hello(Hello { protocol: 1, client: None, owner: None })) {
            Ok(Data::Hello(data)) => {
                data.features.iter().map(|name| String::from(&**name)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(features(&mut World::new()), ["jobs", "locks", "queue", "upgrade"]);
    assert_eq!(features(&mut world()), ["jobs", "locks", "queue", "shared", "upgrade"]);
}

#[test]
fn while_the_database_is_away_its_lanes_are_refused_and_the_others_go_on() {
    let mut world = world();
    let waits = world.claims(AGENT, Some(60_000));
    world.goes_away();
    let told = world.answers.remove(&waits).unwrap().unwrap_err();
    assert_eq!((told.code, told.details.unwrap()["limit"].as_str()), (ErrorCode::Busy, Some("shared")));
    assert!(told.message.contains("the cable is out") && told.hint.is_some(), "{}", told.message);
    let error = world.told(CLI, Request::QueueAdd(Box::new(add("farm")))).unwrap_err();
    assert_eq!((error.code, error.details.unwrap()["limit"].as_str()), (ErrorCode::Busy, Some("shared")));
    assert_eq!(world.code(CLI, Request::QueueGet(by_job(FIRST))), ErrorCode::Busy);
    let claim = world.claims(AGENT, None);
    assert_eq!(world.answers.remove(&claim).unwrap().unwrap_err().code, ErrorCode::Busy);
    world.added(add("local"));
    world.ends(1, 0);
    assert_eq!(world.status(1), QueueStatus::Completed);
    assert_eq!(world.listed().0, ["j1"], "the list has what is here");
    world.pass(60_000);
    world.comes_back();
    world.added(add("farm"));
    assert_eq!(world.listed(), (vec!["j1".into(), id(FIRST).as_str().into()], vec![]));
}

#[test]
fn a_list_without_the_database_has_its_lanes_and_what_runs_here_and_says_why() {
    let mut world = world();
    world.added(add("farm"));
    world.added(add("farm"));
    world.added(add("local"));
    world.goes_away();
    let list = |status, after: Option<&str>, limit| QueueList {
        lane: None,
        status,
        after: after.map(String::from),
        limit,
    };
    let mut listed = |list| match world.told(CLI, Request::QueueList(list)) {
        Ok(Data::QueueList(data)) => *data,
        other => panic!("{other:?}"),
    };
    let all = listed(list(None, None, None));
    let ids: Vec<_> = all.jobs.iter().map(|job| job.id.clone()).collect();
    assert_eq!((ids, all.next), (vec![id(1), id(FIRST)], None), "the other job waits in the database");
    assert_eq!(all.jobs[1].status, QueueStatus::Running);
    let lanes: Vec<_> = all.lanes.iter().filter(|lane| lane.shared).collect();
    let names: Vec<_> =
        lanes.iter().map(|lane| (lane.lane.as_str(), lane.width, lane.counts.running)).collect();
    assert_eq!(names, [("farm", 1, 1), ("out", 0, 0)]);
    assert!(lanes.iter().all(|lane| lane.away.as_deref() == Some("it is away")), "{lanes:?}");
    let pending = listed(list(Some(QueueStatus::Pending), None, None));
    assert!(pending.jobs.iter().all(|job| job.id != id(FIRST)), "{pending:?}");
    // A page that ends with this machine's jobs is followed by what runs here of the others.
    let first = listed(list(None, None, Some(1)));
    assert_eq!((first.jobs.len(), first.lanes.iter().all(|lane| lane.away.is_none())), (1, true));
    let rest = listed(list(None, first.next.as_deref(), Some(1)));
    assert_eq!((&rest.jobs[0].id, rest.lanes.len(), rest.next), (&id(FIRST), 2, None));
    world.comes_back();
    assert!(world.listed().0.contains(&id(FIRST + 1).as_str().into()));
}

#[test]
fn a_list_does_not_wait_for_a_database_that_hangs() {
    let mut world = world();
    world.added(add("farm"));
    world.is_prompt = false;
    let list = QueueList { lane: None, status: None, after: None, limit: None };
    let asked = world.ask(CLI, Request::QueueList(list)).unwrap();
    world.store_answers().unwrap();
    let ticket = world.database.asked.back().unwrap().0;
    world.feed(Input::Stored { ticket, answer: Err(crate::NoAnswer::Silent) }).unwrap();
    match world.answers.remove(&asked).unwrap() {
        Ok(Data::QueueList(data)) => {
            assert_eq!(data.jobs[0].id, id(FIRST));
            assert!(data.lanes.iter().all(|lane| lane.away.is_some()), "{data:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_attempt_that_ends_while_the_database_is_away_is_told_later() {
    let mut world = world();
    world.added(add("farm"));
    world.goes_away();
    world.ends(FIRST, 0);
    assert_eq!(world.shared_job(FIRST).status, QueueStatus::Running);
    world.comes_back();
    world.pass(60_000);
    assert_eq!(world.shared_job(FIRST).status, QueueStatus::Completed);
    assert_eq!(world.shared_job(FIRST).attempt, 1);
}

#[test]
fn a_lost_lease_ends_commands_by_force_and_claims_outside() {
    let mut world = world();
    world.added(add("farm"));
    world.spawned(&id(FIRST)).unwrap();
    world.added(add("out"));
    let claim = world.claims(AGENT, None);
    assert_eq!(world.got(claim), Some(Some(id(FIRST + 1))));
    world.told(AGENT, beat(FIRST + 1, AGENT)).unwrap();
    world.goes_away();
    assert!(!world.processes[&id(FIRST)].is_asked, "others wait for the lease");
    world.told_of(SharedNews::Lost("the lease is over".into()));
    assert!(world.processes[&id(FIRST)].is_asked);
    assert_eq!(world.code(AGENT, beat(FIRST + 1, AGENT)), ErrorCode::JobNotClaimed);
    // Another machine has taken both by then.
    world.database.outside.clear();
    world.exits(&id(FIRST), gob_protocol::Exit::Code { code: 0 }).unwrap();
    world.comes_back();
    world.pass(120_000);
    let recovered = world.events.iter().filter(|(event, _)| *event == EventKind::QueueJobRecovered).count();
    assert!(recovered > 0, "{:?}", world.events);
    assert_eq!(world.shared_job(FIRST).status, QueueStatus::Completed, "nobody else had it: its end counts");
}

#[test]
fn a_claim_whose_answer_was_lost_is_taken_back_before_anything_is_claimed() {
    let mut world = world();
    world.is_prompt = false;
    let asked = world.ask(CLI, Request::QueueAdd(Box::new(add("farm")))).unwrap();
    world.database_answers().unwrap();
    assert!(world.answers.contains_key(&asked));
    // The claim is made, and nobody hears of it.
    let ticket = world.database.asked.front().unwrap().0;
    drop(world.database.answers(Timestamp(0)));
    assert_eq!(world.shared_job(FIRST).status, QueueStatus::Running);
    let answer = Err(crate::NoAnswer::Away("the connection broke".into()));
    world.feed(Input::Stored { ticket, answer }).unwrap();
    world.goes_away();
    world.is_prompt = true;
    world.comes_back();
    world.pass(3_000);
    assert_eq!((world.runs().len(), world.shared_job(FIRST).attempt), (1, 2));
}

#[test]
fn news_of_other_machines_wake_lanes_are_events_and_stop_what_was_cancelled() {
    let mut world = world();
    world.added(add("farm"));
    world.spawned(&id(FIRST)).unwrap();
    let mut job = world.shared_job(FIRST);
    job.status = QueueStatus::Cancelled;
    let change = SharedChange { lanes: vec![lane("farm")], jobs: vec![job], ..SharedChange::default() };
    world.told_of(SharedNews::Changed(Box::new(change)));
    assert!(world.processes[&id(FIRST)].is_asked);
    assert_eq!(world.events.last().unwrap().0, EventKind::QueueJobFinished);
}

#[test]
fn a_width_that_another_machine_says_holds_here_and_that_of_the_configuration_stays() {
    let mut world = world();
    for _ in 0..3 {
        world.added(add("farm"));
        world.added(add("out"));
    }
    assert_eq!(world.runs().len(), 1);
    for name in ["farm", "out"] {
        world.database.store.lanes.insert(lane(name), (2, false));
    }
    let change = SharedChange { changed: vec![lane("farm"), lane("out")], ..SharedChange::default() };
    world.told_of(SharedNews::Changed(Box::new(change)));
    assert_eq!(world.runs().len(), 2, "none of `out`");
    world.told(CLI, Request::QueueWidth(QueueWidth { lane: lane("farm"), width: 3 })).unwrap();
    assert_eq!(world.runs().len(), 3);
}

#[test]
fn a_schedule_of_a_shared_lane_is_refused() {
    let schedule = ScheduleAdd {
        lane: lane("farm"),
        command: vec!["make".into()],
        cwd: "/site".into(),
        env: None,
        cron: None,
        interval_ms: Some(60_000),
        timezone: None,
        name: None,
    };
    assert_eq!(world().code(CLI, Request::ScheduleAdd(Box::new(schedule))), ErrorCode::InvalidRequest);
}

#[test]
fn another_database_ends_what_was_held_in_the_one_before() {
    let mut world = world();
    world.added(add("farm"));
    world.spawned(&id(FIRST)).unwrap();
    let before = world.core.cx.setup.settings.shared.take();
    let lanes = world.core.cx.setup.settings.lanes.clone();
    crate::queue::reloaded(&mut world.core, &lanes, before.as_ref());
    world.is_away = true;
    assert_eq!(world.code(CLI, Request::QueueAdd(Box::new(add("farm")))), ErrorCode::Busy);
    assert!(world.processes[&id(FIRST)].is_asked);
}
