//! Runs of a graph with a record on disk (FEATURES A13): the kind that served it last, and data that is gone.

use super::harness::{World, kind, settings};
use super::steps::Step;
use super::words::{CLI, code, name, outcome, restart, start, view, world};
use crate::{Effect, Input, Unfit};
use gob_config::kind::Kind;
use gob_protocol::request::Start;
use gob_protocol::{Data, ErrorCode, EventKind, Outcome, Request, State};

/// A world with a second kind, whose graphs lie in a root of their own.
fn with_twin() -> World {
    let mut world = world();
    let mut settings = settings(kind());
    settings.kinds.insert("twin".into(), Kind { root_dir: Some("/twins".into()), ..kind() });
    world.core.cx.setup.settings = settings;
    world
}

fn of_kind(kind: &str) -> Request {
    Request::Start(Start { graph: Some(name("w")), kind: Some(kind.into()), ..Start::default() })
}

#[test]
fn a_start_without_a_kind_takes_the_remembered_one() {
    for root in ["/data", "/twins"] {
        let mut world = with_twin();
        let id = world.asks(CLI, start("w"));
        world.takes(&Step::WasLast(name("w"), "twin", root));
        assert_eq!(world.answer(CLI, id), None, "it begins as what it was");
        world.settles();
        assert_eq!(outcome(world.answer(CLI, id)), Some(Outcome::Started));
        let view = view(&world);
        assert_eq!((&*view.kind, view.root_dir.as_deref(), view.run), ("twin", Some(root), 1));
        assert!(world.history.iter().any(|event| event.event == EventKind::WorkerUpdated));
        let again = world.asks(CLI, start("w"));
        assert_eq!(outcome(world.answer(CLI, again)), Some(Outcome::Reused));
    }
}

#[test]
fn another_kind_than_the_remembered_one_is_a_conflict_that_names_it() {
    let mut world = with_twin();
    let id = world.asks(CLI, of_kind("graph"));
    world.takes(&Step::WasLast(name("w"), "twin", "/data"));
    let Some(Err(error)) = world.answer(CLI, id) else { panic!("{:?}", world.answer(CLI, id)) };
    assert_eq!(error.code, ErrorCode::GraphConflict);
    assert_eq!(error.message, "w was last of the kind twin");
    assert!(error.hint.as_ref().unwrap().contains("gobctl graphs delete w"), "{error:?}");
    assert_eq!((view(&world).state, view(&world).reason), (State::Failed, Some(error.message.clone())));
}

#[test]
fn a_remembered_kind_missing_from_the_configuration_is_named() {
    let mut world = with_twin();
    let id = world.asks(CLI, start("w"));
    world.takes(&Step::WasLast(name("w"), "lost", "/data"));
    let Some(Err(error)) = world.answer(CLI, id) else { panic!("{:?}", world.answer(CLI, id)) };
    assert_eq!(error.code, ErrorCode::KindNotFound);
    assert!(error.message.starts_with("w was last of the kind lost: "), "{error:?}");
}

#[test]
fn a_graph_that_another_worker_serves_elsewhere_is_not_served_twice() {
    let mut world = with_twin();
    let first = Start {
        name: Some(name("first")),
        graph: Some(name("w")),
        kind: Some("twin".into()),
        ..Start::default()
    };
    world.takes(&Step::Ask(CLI, Request::Start(first)));
    world.settles();
    let id = world.asks(CLI, start("w"));
    world.takes(&Step::WasLast(name("w"), "twin", "/twins"));
    let Some(Err(error)) = world.answer(CLI, id) else { panic!("{:?}", world.answer(CLI, id)) };
    assert_eq!(error.code, ErrorCode::GraphConflict);
    assert_eq!(error.details.as_ref().unwrap()["worker"], "first");
}

#[test]
fn data_that_is_gone_fails_the_start_and_the_restart_and_is_no_crash_loop() {
    let mut world = world();
    for request in [start("w"), restart("w"), start("w")] {
        let id = world.asks(CLI, request);
        world.takes(&Step::Gone(name("w")));
        let Some(Err(error)) = world.answer(CLI, id) else { panic!("{:?}", world.answer(CLI, id)) };
        assert_eq!(error.code, ErrorCode::GraphGone);
        assert!(error.message.contains("/data/w/file") && error.message.contains("1970-01-01"), "{error:?}");
        assert!(error.hint.as_ref().unwrap().contains("gobctl graphs delete w"), "{error:?}");
        assert_eq!(view(&world).state, State::Failed);
    }
    let id = world.asks(CLI, start("w"));
    world.settles();
    assert_eq!(outcome(world.answer(CLI, id)), Some(Outcome::Started), "it was put back");
}

#[test]
fn a_directory_served_already_is_refused_with_its_worker() {
    let mut world = world();
    let id = world.asks(CLI, start("w"));
    let key = view(&world);
    let key = crate::RunKey { name: key.name.clone(), run: key.run };
    let why = Unfit::Served { worker: name("other"), path: "/data/other".into() };
    world.feed(Input::Unfit { key, why }).unwrap();
    assert_eq!(code(world.answer(CLI, id)), Some(ErrorCode::GraphConflict));
}

#[test]
fn a_graph_is_new_once_and_to_its_first_starter() {
    let mut world = world();
    let ids = [world.asks(CLI, start("w")), world.asks(CLI, start("w"))];
    world.settles();
    let created = ids.map(|id| match world.answer(CLI, id) {
        Some(Ok(Data::Start(data))) => data.created,
        other => panic!("{other:?}"),
    });
    assert_eq!(created, [true, false]);
}

#[test]
fn a_ready_run_is_remembered_with_its_kind_and_place() {
    let mut world = with_twin();
    world.takes(&Step::Ask(CLI, of_kind("twin")));
    let worker = world.core.workers.get(&name("w")).unwrap();
    let keep =
        worker.subject().keep(worker.spec.graph().unwrap(), &world.core.cx.setup, world.core.cx.now.wall);
    assert_eq!((keep.path.as_str(), keep.was_served), ("/twins/.gob/w.json", false));
    assert!(keep.pointer.unwrap().starts_with("/data/.gob/w@"));
    assert_eq!((keep.record.kind.as_str(), keep.record.data.path()), ("twin", "/twins/w/graph.sqlite"));
    world.takes(&Step::Spawned(name("w")));
    let key = world.core.workers.get(&name("w")).unwrap().key();
    let mut core = world.core.clone();
    let ready = Input::Ready { key, handshake: Default::default(), ports: std::vec::Vec::new() };
    let out = core.apply(ready, core.cx.now);
    assert!(out.iter().any(|effect| matches!(effect, Effect::Remember { .. })));
}
