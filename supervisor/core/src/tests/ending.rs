//! The end of workers and of the supervisor, and the answers that clients get.

use super::harness::{World, kind};
use super::steps::Step;
use super::words::{CLI, DESKTOP, code, killed, name, start, started_by, stop_force, stop_within, view};
use crate::{ConnId, Effect, Input, Now, RunKey};
use gob_protocol::request::{Force, Hello};
use gob_protocol::{
    Actor, Data, ErrorCode, EventKind, Exit, Name, Owner, Receipt, Request, Signalled, State, Timestamp,
};
use std::vec::Vec;

#[test]
fn every_waiting_request_is_answered_with_the_survivors() {
    let mut world = started_by(CLI);
    let stop = world.asks(CLI, stop_force("w"));
    let start = world.asks(DESKTOP, start("w"));
    world.takes(&Step::Due);
    assert_eq!(world.now, 5_000);
    world.takes(&Step::Surviving(name("w")));
    let told = |conn, id| world.answer(conn, id).unwrap().as_ref().unwrap_err().clone();
    let (stop, start) = (told(CLI, stop), told(DESKTOP, start));
    assert_eq!(stop.code, ErrorCode::ServerStopTimeout);
    assert_eq!(stop.details.unwrap()["receipt"]["survivors"][0]["pid"], 9);
    assert_eq!(start.code, ErrorCode::ServerStartTimeoutOrphan);
    assert_eq!(start.details.unwrap()["pids"][0], 9);
    world.settles();
}

#[test]
fn force_is_for_the_owners_in_the_setting() {
    let end = || [Request::Shutdown(Force { force: true }), Request::Nuke(Force { force: true })];
    for (owners, may) in
        [(&["cli", "desktop", "electron"][..], false), (&["unknown"], false), (&["agent"], true)]
    {
        for request in end() {
            let mut world = started_by(DESKTOP);
            world.core.cx.setup.settings.force_owners =
                owners.iter().map(|owner| Owner::new(owner).unwrap()).collect();
            let mut core = world.core.clone();
            for (number, owner) in [(50, "agent"), (51, "unknown")] {
                let conn = ConnId(number);
                let now = Now { mono_ms: world.now, wall: Timestamp(0) };
                core.apply(Input::Connected { conn, pid: None }, now);
                if owner != "unknown" {
                    let hello = Hello { protocol: 1, client: None, owner: Some(Owner::new(owner).unwrap()) };
                    core.apply(Input::Request { conn, id: None, request: Request::Hello(hello) }, now);
                }
                let out =
                    core.clone().apply(Input::Request { conn, id: None, request: request.clone() }, now);
                let refused = out.iter().find_map(|effect| match effect {
                    Effect::Reply { result: Err(error), .. } => Some(error),
                    _other => None,
                });
                assert_eq!(refused.is_none(), may && owner == "agent", "{request:?} by {owner}: {out:?}");
                if let Some(error) = refused {
                    assert_eq!((error.code, out.len()), (ErrorCode::ServerOwnedByOther, 1));
                    assert_eq!(error.details.as_ref().unwrap()["workers"][0]["worker"], "w");
                    let hint = error.hint.as_deref().unwrap();
                    assert!(hint.contains(&owners.join(", ")) && !hint.contains("nuke"), "{hint}");
                }
            }
        }
    }
}

#[test]
fn the_end_is_refused_whole_while_others_have_live_workers() {
    let end = |force| [Request::Shutdown(Force { force }), Request::Nuke(Force { force })];
    for (refused, forced) in end(false).into_iter().zip(end(true)) {
        let mut world = started_by(DESKTOP);
        world.takes(&Step::Ask(CLI, start("v")));
        world.settles();
        let id = world.asks(CLI, refused);
        let error = world.answer(CLI, id).unwrap().as_ref().unwrap_err().clone();
        assert_eq!(error.code, ErrorCode::ServerOwnedByOther);
        let details = error.details.unwrap();
        assert_eq!(details["workers"][0]["worker"], "w");
        assert_eq!((details["workers"].as_array().unwrap().len(), &details["owner"]), (1, &"desktop".into()));
        assert!(["v", "w"].iter().all(|name| world.state(name) == State::Ready));

        let id = world.asks(CLI, forced);
        let late = world.asks(CLI, start("u"));
        assert_eq!(code(world.answer(CLI, late)), Some(ErrorCode::ShuttingDown));
        assert!(world.answer(CLI, id).is_none(), "answered when all are down");
        world.settles();
        let stopped: Vec<Name> = match world.answer(CLI, id) {
            Some(Ok(Data::Shutdown(data))) => data.stopped.clone(),
            Some(Ok(Data::Nuke(data))) => data.stopped.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(stopped, [name("v"), name("w")]);
        let who = world.history.iter().find(|event| event.event == EventKind::SupervisorStopping).unwrap();
        assert!(
            matches!(&who.actor, Actor::Client { owner, .. } if owner.is_cli()),
            "the event says who did it"
        );
    }
}

#[test]
fn the_end_goes_on_without_unkillable_processes_and_names_them() {
    for nuke in [false, true] {
        let mut world = started_by(CLI);
        world.takes(&Step::Ask(CLI, start("v")));
        world.settles();
        let force = Force { force: false };
        let id = world.asks(CLI, if nuke { Request::Nuke(force) } else { Request::Shutdown(force) });
        for step in [Step::Exited(name("v"), killed()), Step::Swept(name("v")), Step::Due] {
            world.takes(&step);
        }
        assert!(world.answer(CLI, id).is_none(), "it has the grace");
        world.takes(&Step::Due);
        world.takes(&Step::Surviving(name("w")));
        let error = world.answer(CLI, id).unwrap().as_ref().unwrap_err().clone();
        assert_eq!(error.code, ErrorCode::ServerStopTimeout);
        assert!(
            error.message.contains("pid 9") && error.message.ends_with("ended without them"),
            "{error:?}"
        );
        let details = error.details.unwrap();
        assert_eq!(
            (&details["receipt"]["survivors"][0]["pid"], &details["stopped"]),
            (&9.into(), &"v".split(' ').collect())
        );
        assert!(world.ended && world.state("w") == State::Failed);
    }
}

#[test]
fn unkillable_processes_are_shown_until_they_are_gone() {
    let mut world = started_by(CLI);
    world.takes(&Step::Ask(CLI, stop_force("w")));
    world.takes(&Step::Due);
    world.takes(&Step::Surviving(name("w")));
    let reason = view(&world).reason.unwrap();
    assert!(reason.contains("could not be ended yet (pid 9)"), "{reason}");
    let told = world.history.last().unwrap();
    assert_eq!(
        (told.event, told.worker.as_ref().unwrap().reason.as_ref()),
        (EventKind::WorkerUpdated, Some(&reason))
    );
    let events = world.history.len();
    world.takes(&Step::Due);
    world.takes(&Step::Surviving(name("w")));
    assert_eq!(world.history.len(), events, "told once");
    world.settles();
    assert_eq!((view(&world).state, view(&world).reason), (State::Idle, None));
}

#[test]
fn the_end_goes_on_without_its_asker() {
    let mut world = started_by(CLI);
    world.takes(&Step::Ask(CLI, Request::Shutdown(Force { force: false })));
    world.takes(&Step::Leave(CLI));
    world.settles();
    assert!(world.ended);
}

#[test]
fn a_second_signal_has_no_patience() {
    let mut world = started_by(CLI);
    world.takes(&Step::Terminate);
    assert!(world.runs.get(&name("w")).is_some_and(|run| run.terminated && !run.sweeping));
    world.takes(&Step::Terminate);
    assert!(world.runs.get(&name("w")).is_some_and(|run| run.sweeping));
    world.settles();
}

#[test]
fn the_earlier_deadline_wins() {
    let mut world = started_by(CLI);
    for (grace_ms, kill_at) in [(1_000, 1_000), (5_000, 1_000), (1_000, 1_000), (300, 350), (0, 50)] {
        world.takes(&Step::Ask(CLI, stop_within("w", grace_ms)));
        let sweeping = world.runs.get(&name("w")).is_some_and(|run| run.sweeping);
        let due = if sweeping { Some(world.now) } else { world.wake };
        assert_eq!(due, Some(kill_at), "after a stop within {grace_ms} ms");
        world.now = 50;
    }
    world.settles();
}

#[test]
fn a_run_that_leaves_a_daemon_behind_has_not_given_way() {
    let killed = |pid, signal: &str| Signalled {
        pid,
        start_time: 3,
        signals: std::vec![signal.into()],
        ended_ms: Some(1),
        error: None,
    };
    let swept = |world: &mut World, signalled: Vec<Signalled>| {
        let key = RunKey { name: name("w"), run: view(world).run };
        let receipt = Receipt { signalled, survivors: Vec::new() };
        for input in super::reports::ends(&key, receipt, Vec::new(), false) {
            world.feed(input).expect("an end");
        }
        (view(world).state, view(world).reason.unwrap_or_default())
    };
    let left = "its leader exited 0 and left pid 1000 behind";
    for (exit, signalled, want, says) in [
        (0, Vec::new(), State::Ceded, "a peer took the graph over"),
        (0, std::vec![killed(1_000, "SIGKILL")], State::Idle, left),
        (0, std::vec![killed(1_000, "SIGKILL"), killed(1_001, "SIGKILL")], State::Idle, "and 1 more"),
        (0, std::vec![killed(1_000, "SIGTERM")], State::Ceded, "a peer took the graph over"),
        (3, std::vec![killed(1_000, "SIGKILL")], State::Backoff, "exited 3"),
    ] {
        let mut world = started_by(CLI);
        world.takes(&Step::Exited(name("w"), Exit::Code { code: exit }));
        let (state, reason) = swept(&mut world, signalled);
        assert!(state == want && reason.contains(says), "{exit}: {state:?}, {reason}");
    }
    // A start that waits for readiness fails with the same reason.
    let mut world = World::new(kind());
    world.takes(&Step::Join(CLI, "cli"));
    let asked = world.asks(CLI, start("w"));
    world.takes(&Step::Spawned(name("w")));
    world.takes(&Step::Exited(name("w"), Exit::Code { code: 0 }));
    let (state, reason) = swept(&mut world, std::vec![killed(1_000, "SIGKILL")]);
    assert!(state == State::Backoff && reason.contains(left), "{state:?}, {reason}");
    let error = world.answer(CLI, asked).unwrap().as_ref().unwrap_err();
    assert!(error.message.contains("have the program stay in the foreground"), "{error:?}");
}
