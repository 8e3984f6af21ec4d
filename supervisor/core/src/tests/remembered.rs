//! Workers of an earlier supervisor, in words (PROTOCOL 6).

use super::harness::{World, config, kind};
use super::steps::Step;
use super::words::{
    CLI, DESKTOP, OWNERS, by_name, code, name, outcome, restart, start, started_by, stop, stop_force,
};
use crate::{Core, Effect, Input, Now, PortWish, Remembered, RememberedWorker};
use gob_config::kind::Kind;
use gob_protocol::request::{Force, List, Subscribe};
use gob_protocol::{
    Data, ErrorCode, EventKind, Leftover, Outcome, Owner, Request, State, Survivor, Timestamp, View,
};
use std::format;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

/// The view of `w` when the desktop has started it.
fn view() -> View {
    super::words::view(&started_by(DESKTOP))
}

pub(super) fn after(workers: Vec<RememberedWorker>, ended_in_order: bool) -> World {
    let mut config = config(kind());
    config.remembered = Remembered { workers, ended_in_order, ..Remembered::default() };
    let mut world = World::of(config);
    for (conn, owner) in OWNERS {
        world.takes(&Step::Join(conn, owner));
    }
    world
}

pub(super) fn killed(view: View) -> World {
    after(
        vec![RememberedWorker { view, last_owner: None, last_port: None, was_served: false, restart: None }],
        false,
    )
}

#[test]
fn workers_of_a_killed_supervisor_are_idle_with_a_reason() {
    let was = view();
    let mut world = killed(was.clone());
    let now = super::words::view(&world);
    assert_eq!((now.state, now.pid, now.endpoint.as_deref()), (State::Idle, None, None));
    assert_eq!(now.reason.as_deref(), Some("the supervisor was killed, and this worker with it"));
    assert_eq!((&now.owner, now.run, &now.kind, &now.root_dir), (&was.owner, 1, &was.kind, &was.root_dir));
    assert_eq!((&now.stdout_path, now.created_at), (&was.stdout_path, was.created_at));
    assert!(now.exit.is_none() && now.stopped_at.is_some() && now.leases == 0);
    // Its owner stays, and so does who may do what.
    let refused = world.asks(CLI, restart("w"));
    assert_eq!(code(world.answer(CLI, refused)), Some(ErrorCode::ServerOwnedByOther));
    let id = world.asks(CLI, start("w"));
    world.settles();
    assert_eq!(outcome(world.answer(CLI, id)), Some(Outcome::Started));
    let now = super::words::view(&world);
    assert_eq!((now.owner.as_str(), now.run, now.reason), ("cli", 2, None));
    assert!(!world.history.iter().any(|event| event.event == EventKind::WorkerAdded));
}

#[test]
fn a_worker_of_before_is_refused_where_its_socket_has_no_room() {
    let of = |runtime_dir: &str| {
        let mut config = config(Kind { command: vec!["k".into(), "{socket}".into()], ..kind() });
        config.paths.runtime_dir = runtime_dir.into();
        let worker = RememberedWorker {
            view: view(),
            last_owner: None,
            last_port: None,
            was_served: false,
            restart: None,
        };
        config.remembered =
            Remembered { workers: vec![worker], ended_in_order: true, ..Remembered::default() };
        let now = Now { mono_ms: 0, wall: Timestamp(0) };
        let mut core = Core::new(config, now);
        core.apply(Input::Connected { conn: CLI, pid: None }, now);
        let effects = core.apply(Input::Request { conn: CLI, id: None, request: start("w") }, now);
        let is_spawned = effects.iter().any(|effect| matches!(effect, Effect::Spawn(_)));
        (is_spawned, format!("{effects:?}"))
    };
    assert!(of("/run").0);
    let (is_spawned, said) = of(&format!("/{}", "r".repeat(99)));
    assert!(!is_spawned && said.contains("ServerStartFailed") && said.contains("has 100 bytes"), "{said}");
}

#[test]
fn after_an_orderly_end_they_are_as_they_were() {
    let failed = View { state: State::Failed, reason: Some("exited 3".into()), pid: None, ..view() };
    let world = after(
        vec![RememberedWorker {
            view: failed,
            last_owner: None,
            last_port: None,
            was_served: false,
            restart: None,
        }],
        true,
    );
    let now = super::words::view(&world);
    assert_eq!((now.state, now.reason.as_deref()), (State::Idle, Some("exited 3")));
    let stopped = View { state: State::Idle, pid: None, ..view() };
    for ended in [true, false] {
        let world = after(
            vec![RememberedWorker {
                view: stopped.clone(),
                last_owner: None,
                last_port: None,
                was_served: false,
                restart: None,
            }],
            ended,
        );
        assert_eq!(super::words::view(&world).reason, None, "it was idle before");
    }
}

#[test]
fn the_last_owner_is_remembered_too() {
    let lost = View { owner: Owner::unknown(), ..view() };
    let last_owner = Some(Owner::new("desktop").unwrap());
    let mut world = after(
        vec![RememberedWorker { view: lost, last_owner, last_port: None, was_served: false, restart: None }],
        false,
    );
    world.takes(&Step::Ask(DESKTOP, restart("w")));
    world.settles();
    let now = super::words::view(&world);
    assert_eq!((now.owner.as_str(), now.state), ("desktop", State::Ready));
}

#[test]
fn port_and_data_are_remembered_as_long_as_the_worker_is_listed() {
    let kind = Kind { command: vec!["w".into(), "{port}".into()], ..kind() };
    let mut config = config(kind);
    let worker = RememberedWorker {
        view: view(),
        last_owner: None,
        last_port: Some(4242),
        was_served: true,
        restart: None,
    };
    config.remembered = Remembered { workers: vec![worker], ended_in_order: true, ..Remembered::default() };
    let core = Core::new(config, Now { mono_ms: 0, wall: Timestamp(0) });
    assert_eq!(
        core.to_remember().last_ports,
        [(name("w"), 4242)].into(),
        "it outlives a life in which it is not started"
    );
    let plan = core.workers[&name("w")].subject().plan(&core.cx.setup, core.cx.now.wall);
    assert_eq!(plan.port, Some(PortWish::Rather(4242)));
}

#[test]
fn senseless_entries_are_skipped() {
    let twice = RememberedWorker {
        view: view(),
        last_owner: None,
        last_port: None,
        was_served: false,
        restart: None,
    };
    let other_name = View { name: name("v"), ..view() };
    let same_graph = RememberedWorker {
        view: other_name,
        last_owner: None,
        last_port: None,
        was_served: false,
        restart: None,
    };
    let job = View {
        name: name("job"),
        graph: None,
        root_dir: None,
        kind: "job".into(),
        cwd: Some("x".into()),
        ..view()
    };
    let relative = View { name: name("x"), graph: Some("x".into()), root_dir: Some("x".into()), ..view() };
    let odd = [job, relative].map(|view| RememberedWorker {
        view,
        last_owner: None,
        last_port: None,
        was_served: false,
        restart: None,
    });
    let mut config = config(kind());
    config.remembered.workers = [twice.clone(), twice, same_graph].into_iter().chain(odd).collect();
    let core = Core::new(config, Now { mono_ms: 0, wall: Timestamp(0) });
    let names: Vec<_> = core.workers.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["w"]);
}

#[test]
fn without_its_kind_it_is_listed_and_can_be_removed_but_not_started() {
    let mut world = killed(View { kind: "gone".into(), ..view() });
    for request in [start("w"), restart("w")] {
        let id = world.core.clone().apply(
            crate::Input::Request { conn: DESKTOP, id: None, request },
            Now { mono_ms: 0, wall: Timestamp(0) },
        );
        let told = id.iter().find_map(|effect| match effect {
            crate::Effect::Reply { result: Err(error), .. } => Some(error.code),
            _other => None,
        });
        assert_eq!((told, id.len()), (Some(ErrorCode::KindNotFound), 1));
    }
    // Once the kind is there it starts.
    let mut later = world.clone();
    later.core.cx.setup.settings.kinds.insert("gone".into(), kind());
    later.takes(&Step::Ask(DESKTOP, start("w")));
    later.settles();
    assert!(later.state("w") == State::Ready);
    world.takes(&Step::Ask(DESKTOP, Request::Remove(by_name("w"))));
    assert_eq!(world.core.roster().workers, 0);
}

#[test]
fn a_subscriber_of_the_earlier_life_gets_them_in_a_snapshot() {
    let mut world = killed(view());
    let since = Subscribe { since: Some(900), instance: Some("other-life".into()), ..Subscribe::default() };
    let id = world.asks(DESKTOP, Request::Subscribe(since));
    let Some(Ok(Data::Subscribe(data))) = world.answer(DESKTOP, id) else { panic!("not subscribed") };
    let workers = data.workers.as_ref().unwrap();
    assert!(data.gap && workers[0].state == State::Idle && workers[0].owned);
    let id = world.asks(CLI, Request::List(List::default()));
    let Some(Ok(Data::List(data))) = world.answer(CLI, id) else { panic!("no list") };
    assert_eq!((data.workers.len(), data.workers[0].owned), (1, false));
    let id = world.asks(DESKTOP, stop("w"));
    assert!(matches!(world.answer(DESKTOP, id), Some(Ok(_))), "it is down already");
}

/// Processes that an earlier supervisor left: `w`'s, and one of which nothing tells whose it is.
fn left() -> Vec<Leftover> {
    let process = |pid, error: Option<&str>| Survivor {
        pid,
        start_time: 7,
        uid: Some(0),
        error: error.map(ToString::to_string),
    };
    vec![
        Leftover { worker: Some(name("w")), process: process(8, Some("EPERM")) },
        Leftover { worker: None, process: process(9, None) },
    ]
}

/// A stop of such a worker said that it was not running, with success, and `nuke` said nothing.
#[test]
fn processes_that_an_earlier_supervisor_left_are_named_by_every_answer() {
    let mut config = config(kind());
    let worker = RememberedWorker {
        view: view(),
        last_owner: None,
        last_port: None,
        was_served: false,
        restart: None,
    };
    config.remembered = Remembered { workers: vec![worker], ended_in_order: true, ..Remembered::default() };
    config.leftovers = left();
    let mut world = World::of(config);
    for (conn, owner) in OWNERS {
        world.takes(&Step::Join(conn, owner));
    }
    let reason = "1 process(es) of w could not be ended yet (pid 8 of uid 0: EPERM)";
    let now = super::words::view(&world);
    assert_eq!((now.state, now.reason.as_deref()), (State::Idle, Some(reason)));
    assert_eq!(world.core.status().survivors, left());
    let refused = |world: &mut World, request| {
        let id = world.asks(DESKTOP, request);
        let Some(Err(error)) = world.answer(DESKTOP, id) else { panic!("{:?}", world.answer(DESKTOP, id)) };
        assert_eq!(error.hint.as_deref().unwrap().rsplit(": ").next(), Some("sudo kill -KILL 8"));
        error.clone()
    };
    for request in [stop("w"), stop_force("w")] {
        let error = refused(&mut world, request);
        assert_eq!((error.code, error.message.as_str()), (ErrorCode::ServerStopTimeout, reason));
        let receipt = serde_json::json!({"signalled": [], "survivors": [left()[0].process]});
        assert_eq!(error.details.unwrap()["receipt"], receipt);
    }
    for request in [start("w"), restart("w")] {
        let error = refused(&mut world, request);
        assert_eq!((error.code, error.message.as_str()), (ErrorCode::ServerStartTimeoutOrphan, reason));
    }
    world.takes(&Step::Ask(DESKTOP, stop("w")));
    let now = super::words::view(&world);
    assert_eq!((now.state, now.reason.as_deref()), (State::Idle, Some(reason)), "after the refused start");
    let error = refused(&mut world, Request::Nuke(Force::default()));
    assert_eq!(error.code, ErrorCode::ServerStopTimeout);
    assert_eq!(error.details.unwrap()["receipt"]["survivors"].as_array().unwrap().len(), 2);
}

#[test]
fn a_worker_whose_left_processes_are_gone_has_no_reason_any_more() {
    let mut world = killed(view());
    world.feed(Input::Leftovers(left())).unwrap();
    assert!(super::words::view(&world).reason.unwrap().contains("pid 8"));
    world.feed(Input::Leftovers(Vec::new())).unwrap();
    assert_eq!(super::words::view(&world).reason, None);
    let updated = world.history.iter().filter(|event| event.event == EventKind::WorkerUpdated);
    assert_eq!(updated.count(), 2);
    assert!(world.core.status().survivors.is_empty());
    let id = world.asks(DESKTOP, stop("w"));
    assert!(matches!(world.answer(DESKTOP, id), Some(Ok(Data::Stop(_)))));
}
