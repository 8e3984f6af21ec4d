//! Graphs that a process without gob holds, in words.

use super::harness::Answer;
use super::harness::{World, kind};
use super::steps::{Seen, Step};
use super::words::{CLI, DESKTOP, by_name, code, name, outcome, restart, start, start_leased, stop, view};
use crate::RunKey;
use gob_config::kind::{GraphDirEncoding, Kind, Orphans, RestartOn};
use gob_protocol::{Data, ErrorCode, EventKind, Exit, Outcome, Receipt, Request, Signalled, State};
use std::vec;
use std::vec::Vec;

fn foreign_kind() -> Kind {
    let mut kind = kind();
    kind.stop.http = Some("POST /v1/shutdown".into());
    kind.foreign.lock_file = Some("{data_dir}/db-worker.lock".into());
    kind
}

fn world(kind: Kind) -> World {
    let mut world = World::new(kind);
    world.answers = Some(std::collections::BTreeMap::new());
    for (conn, owner) in [(CLI, "cli"), (DESKTOP, "desktop")] {
        world.takes(&Step::Join(conn, owner));
    }
    world
}

/// The answer to the latest request, if there is one yet.
fn answer(world: &World) -> Option<Answer> {
    let answers = world.answers.as_ref()?;
    answers.iter().find(|((_, id), _)| *id == world.last_id).map(|(_, answer)| answer.clone())
}

/// A worker whose graph a process of this owner holds.
fn external(owner: &'static str) -> World {
    let mut world = world(foreign_kind());
    world.takes(&Step::Ask(CLI, start("w")));
    world.takes(&Step::Examined(name("w"), Seen::Held(owner)));
    world
}

#[test]
fn a_living_holder_is_external_and_answers_the_start() {
    let world = external("electron");
    assert_eq!(outcome(answer(&world).as_ref()), Some(Outcome::External));
    let view = view(&world);
    assert_eq!((view.state, view.pid, view.pgid), (State::External, Some(77), None));
    assert_eq!((view.owner.as_str(), view.owned), ("electron", false));
    assert_eq!(view.endpoint.as_deref(), Some("http://127.0.0.1:77"));
}

#[test]
fn an_examination_without_a_holder_begins_the_run() {
    let mut world = world(foreign_kind());
    world.takes(&Step::Ask(CLI, start("w")));
    world.takes(&Step::Examined(name("w"), Seen::Nobody));
    world.settles();
    assert_eq!(outcome(answer(&world).as_ref()), Some(Outcome::Started));
}

#[test]
fn a_run_that_gave_way_counts_as_contention_not_as_a_crash() {
    let mut world = world(foreign_kind());
    world.takes(&Step::Ask(CLI, start("w")));
    for step in [
        Step::Examined(name("w"), Seen::Nobody),
        Step::Spawned(name("w")),
        Step::Exited(name("w"), Exit::Code { code: 1 }),
        Step::Swept(name("w")),
        Step::Examined(name("w"), Seen::Held("cli")),
    ] {
        world.takes(&step);
    }
    assert_eq!(code(answer(&world).as_ref()), Some(ErrorCode::ServerLockedByExternal));
    assert_eq!((view(&world).state, view(&world).restarts), (State::External, 0));
}

/// A worker whose run has ended before it was ready, with this receipt; who holds its graph is looked at.
fn ended_before_ready(kind: Kind, receipt: Receipt) -> World {
    let mut world = world(kind);
    world.takes(&Step::Ask(CLI, start("w")));
    for step in [
        Step::Examined(name("w"), Seen::Nobody),
        Step::Spawned(name("w")),
        Step::Exited(name("w"), Exit::Code { code: 1 }),
    ] {
        world.takes(&step);
    }
    let key = RunKey { name: name("w"), run: 1 };
    for input in super::reports::ends(&key, receipt, Vec::new(), false) {
        world.feed(input).expect("an end");
    }
    world
}

#[test]
fn stop_during_the_examination_returns_the_receipt_of_the_run() {
    let killed = Signalled {
        pid: 1_000,
        start_time: 3,
        signals: vec!["SIGKILL".into()],
        ended_ms: Some(1),
        error: None,
    };
    let receipt = Receipt { signalled: vec![killed], survivors: Vec::new() };
    let mut kind = foreign_kind();
    kind.foreign.orphans = Some(Orphans::Report);
    for seen in [Seen::Nobody, Seen::Orphans, Seen::Unclear, Seen::Held("cli")] {
        let mut world = ended_before_ready(kind.clone(), receipt.clone());
        world.takes(&Step::Ask(CLI, stop("w")));
        assert_eq!(answer(&world), None, "it is looked who has the graph");
        world.takes(&Step::Examined(name("w"), seen));
        let Some(Ok(Data::Stop(data))) = answer(&world) else { panic!("{seen:?}: {:?}", answer(&world)) };
        assert_eq!(data.receipt, receipt, "{seen:?}");
    }
}

#[test]
fn start_during_the_examination_is_answered_with_the_holder() {
    let mut world = ended_before_ready(foreign_kind(), Receipt::default());
    let first = world.last_id;
    world.takes(&Step::Ask(DESKTOP, start("w")));
    world.takes(&Step::Examined(name("w"), Seen::Held("cli")));
    assert_eq!(
        outcome(answer(&world).as_ref()),
        Some(Outcome::External),
        "it asked for the graph as it is now"
    );
    let lost = world.answer(CLI, first).cloned();
    assert_eq!(code(lost.as_ref()), Some(ErrorCode::ServerLockedByExternal), "its own run gave way");
    assert_eq!(view(&world).state, State::External);
}

#[test]
fn orphans_are_reported_or_ended() {
    let mut kind = foreign_kind();
    kind.foreign.orphans = Some(Orphans::Report);
    let mut reported = world(kind.clone());
    reported.takes(&Step::Ask(CLI, start("w")));
    reported.takes(&Step::Examined(name("w"), Seen::Orphans));
    assert_eq!(code(answer(&reported).as_ref()), Some(ErrorCode::ServerLockedByExternal));
    assert_eq!(view(&reported).state, State::Failed);
    let reason = view(&reported).reason.unwrap();
    assert!(reason.ends_with("holds no lock file"), "no log knows more of it: {reason}");

    kind.foreign.orphans = Some(Orphans::End);
    let mut ended = world(kind.clone());
    ended.takes(&Step::Ask(CLI, start("w")));
    ended.takes(&Step::Examined(name("w"), Seen::Orphans));
    assert_eq!(answer(&ended), None, "they are being ended");
    ended.takes(&Step::OrphanEnded(name("w")));
    ended.takes(&Step::Examined(name("w"), Seen::Nobody));
    ended.settles();
    assert_eq!(outcome(answer(&ended).as_ref()), Some(Outcome::Started));

    kind.readiness.timeout_ms = 30_000;
    let mut survived = world(kind);
    survived.takes(&Step::Ask(CLI, start("w")));
    survived.takes(&Step::Examined(name("w"), Seen::Orphans));
    let mut again = survived.clone();
    survived.takes(&Step::Due);
    assert_eq!((survived.now, answer(&survived)), (2_000, None), "they are killed");
    survived.takes(&Step::Due);
    assert_eq!(survived.now, 5_000);
    assert_eq!(code(answer(&survived).as_ref()), Some(ErrorCode::ServerStartTimeoutOrphan));

    again.takes(&Step::OrphanEnded(name("w")));
    again.takes(&Step::Examined(name("w"), Seen::Orphans));
    assert_eq!(code(answer(&again).as_ref()), Some(ErrorCode::ServerStartTimeoutOrphan), "one round only");
}

#[test]
fn a_holder_is_asked_to_end_only_by_its_owner_and_never_signalled() {
    let mut world = external("cli");
    world.takes(&Step::Ask(DESKTOP, stop("w")));
    let Some(Err(error)) = answer(&world) else { panic!("{:?}", answer(&world)) };
    assert_eq!(error.code, ErrorCode::ServerOwnedByOther);
    assert!(!error.hint.unwrap().contains("hand-over"), "nobody can hand over what gob did not start");
    world.takes(&Step::Ask(CLI, stop("w")));
    world.takes(&Step::StopAnswered(name("w"), true));
    world.takes(&Step::HolderGone(name("w")));
    let Some(Ok(Data::Stop(data))) = answer(&world) else { panic!("{:?}", answer(&world)) };
    assert_eq!(data.worker.state, State::Idle);
    let asked = &data.receipt.signalled[0];
    assert_eq!((asked.pid, asked.signals.len()), (77, 0));
}

#[test]
fn a_restart_in_the_place_of_a_holder_loses_no_lease() {
    let mut world = world(foreign_kind());
    world.takes(&Step::Ask(DESKTOP, start_leased("w")));
    world.takes(&Step::Examined(name("w"), Seen::Held("cli")));
    // The requester of the start gives its lease back, so its ownership is about to end.
    world.takes(&Step::Ask(DESKTOP, Request::Release(by_name("w"))));
    world.takes(&Step::Ask(CLI, restart("w")));
    for step in [
        Step::StopAnswered(name("w"), true),
        Step::HolderGone(name("w")),
        Step::Examined(name("w"), Seen::Nobody),
    ] {
        world.takes(&step);
    }
    world.settles();
    assert_eq!((view(&world).owner.as_str(), world.wake), ("cli", None));
}

#[test]
fn a_lease_that_ends_beside_a_holder_changes_no_owner_that_is_shown() {
    let mut world = world(foreign_kind());
    world.takes(&Step::Ask(DESKTOP, start_leased("w")));
    world.takes(&Step::Examined(name("w"), Seen::Held("cli")));
    world.takes(&Step::Ask(DESKTOP, Request::Release(by_name("w"))));
    let before = world.core.roster().changes;
    while world.wake.is_some() {
        world.takes(&Step::Due);
    }
    assert_eq!(view(&world).owner.as_str(), "cli");
    let is_change = |event: &&std::rc::Rc<gob_protocol::Event>| event.event == EventKind::WorkerOwnerChanged;
    assert!(world.history.iter().find(is_change).is_none(), "{:?}", world.history);
    assert!(world.core.roster().changes > before, "the next supervisor has to know that it is nobody's");
    world.takes(&Step::HolderGone(name("w")));
    assert_eq!((view(&world).owner.as_str(), view(&world).state), ("unknown", State::Idle));
}

#[test]
fn a_holder_that_refuses_or_stays_is_left_alone() {
    for steps in [vec![Step::StopAnswered(name("w"), false)], vec![Step::Due]] {
        let mut world = external("cli");
        world.takes(&Step::Ask(CLI, stop("w")));
        steps.iter().for_each(|step| world.takes(step));
        assert_eq!(code(answer(&world).as_ref()), Some(ErrorCode::ServerStopTimeout));
        assert_eq!(view(&world).state, State::External);
    }
}

#[test]
fn a_restart_of_a_holder_is_a_run_of_ours_once_it_is_gone() {
    let mut world = external("cli");
    world.takes(&Step::Ask(CLI, restart("w")));
    world.takes(&Step::StopAnswered(name("w"), true));
    world.takes(&Step::HolderGone(name("w")));
    world.settles();
    assert_eq!((view(&world).state, view(&world).pgid.is_some()), (State::Ready, true));
}

#[test]
fn a_stop_takes_back_the_restart_of_a_holder() {
    let mut world = external("cli");
    world.takes(&Step::Ask(CLI, restart("w")));
    world.takes(&Step::Ask(CLI, stop("w")));
    world.takes(&Step::HolderGone(name("w")));
    assert_eq!(view(&world).state, State::Idle);
}

#[test]
fn a_name_that_its_kind_refuses_as_a_directory_is_refused() {
    let mut kind = foreign_kind();
    kind.foreign.graph_dir_encoding = GraphDirEncoding::Logseq;
    let mut world = world(kind);
    for bad in ["logseq_db_..", "logseq_db_.", "logseq_db_"] {
        let id = world.asks(CLI, start(bad));
        assert_eq!(code(world.answer(CLI, id)), Some(ErrorCode::InvalidName), "{bad}");
    }
}

#[test]
fn the_holder_of_the_graphs_lock_is_named() {
    let mut world = world(kind());
    world.takes(&Step::Ask(CLI, start("w")));
    world.takes(&Step::Held(name("w")));
    let Some(Err(error)) = answer(&world) else { panic!("{:?}", answer(&world)) };
    assert_eq!(error.code, ErrorCode::ServerLockedByExternal);
    assert_eq!(error.details.unwrap()["pid"], 77);
    assert_eq!(view(&world).state, State::Failed, "no crash loop");
}

#[test]
fn a_lock_without_a_holder_is_tried_again_and_counts_as_no_failure() {
    for on in [RestartOn::OnFailure, RestartOn::Never] {
        let mut kind = kind();
        kind.restart.on = on;
        kind.readiness.timeout_ms = 60_000;
        let mut world = world(kind);
        world.takes(&Step::Ask(CLI, start("w")));
        let mut tries = 1;
        while answer(&world).is_none() {
            assert_eq!(view(&world).state, State::Starting);
            world.takes(&Step::Busy(name("w")));
            tries += 1;
            assert!(tries < 50, "without a bound");
        }
        assert!(tries > 10);
        assert_eq!(code(answer(&world).as_ref()), Some(ErrorCode::ServerLockedByExternal));
        let rests = if on == RestartOn::Never { State::Idle } else { State::Backoff };
        assert_eq!((view(&world).state, view(&world).restarts), (rests, 0));
        assert!(view(&world).reason.is_some_and(|reason| reason.contains("/lock")), "{:?}", view(&world));
        // Free again, it goes on, whatever was counted before.
        world.takes(&Step::Ask(CLI, start("w")));
        world.takes(&Step::Busy(name("w")));
        world.settles();
        assert_eq!(outcome(answer(&world).as_ref()), Some(Outcome::Started));
    }
}

#[test]
fn a_stop_while_a_lock_is_tried_again_ends_it() {
    let mut world = world(kind());
    world.takes(&Step::Ask(CLI, start("w")));
    world.takes(&Step::Busy(name("w")));
    world.takes(&Step::Ask(CLI, stop("w")));
    world.takes(&Step::CalledOff(name("w")));
    assert!(matches!(answer(&world), Some(Ok(Data::Stop(_)))), "{:?}", answer(&world));
    assert_eq!(view(&world).state, State::Idle);
}

#[test]
fn no_run_starts_beside_processes_of_an_earlier_supervisor() {
    let mut world = world(kind());
    world.takes(&Step::Leftover(name("w"), true));
    world.takes(&Step::Ask(CLI, start("w")));
    let Some(Err(error)) = answer(&world) else { panic!("{:?}", answer(&world)) };
    assert_eq!(error.code, ErrorCode::ServerStartTimeoutOrphan);
    assert_eq!(error.details.unwrap()["pids"], serde_json::json!([8, 9]));
    world.takes(&Step::Leftover(name("w"), false));
    world.settles();
    assert_eq!(view(&world).state, State::Ready, "the restart policy goes on");
}
