//! Files that somebody took away: those of the supervisor's own are said, counted, and of no consequence for any worker; of
//! a worker's socket none but that worker hears.

use super::harness::{World, kind};
use super::steps::Step;
use super::words::{CLI, killed, name, start, started_by, stop};
use crate::{Effect, Input, Lost, Now};
use gob_config::kind::Kind;
use gob_protocol::{Actor, EventKind, Request, State, Timestamp};
use std::collections::BTreeSet;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

#[test]
fn healing_is_an_event_of_the_supervisor_and_is_counted() {
    let mut world = started_by(CLI);
    for times in 1..=3 {
        let before = world.history.len();
        world.takes(&Step::Healed);
        let [event] = &world.history[before..] else { panic!("one event and no more") };
        assert_eq!((event.event, &event.actor), (EventKind::SupervisorHealed, &Actor::Supervisor));
        assert!(event.worker.is_none(), "it is about no worker");
        assert!(world.state("w") == State::Ready);
        // The harness compares `status` with the history of events.
        world.takes(&Step::Ask(CLI, Request::Status));
        assert_eq!(world.core.cx.tally.healed, times);
    }
}

/// The signals that follow a loss, each as `name SIGNAL`; no other effect may follow.
fn told(world: &World, lost: Lost) -> Vec<String> {
    let now = Now { mono_ms: world.now, wall: Timestamp(0) };
    let effects = world.core.clone().apply(Input::SocketsLost(lost), now);
    let signals = effects.into_iter().map(|effect| match effect {
        Effect::Signal { key, signal, .. } => format!("{} {signal}", key.name),
        other => panic!("{other:?}"),
    });
    signals.collect()
}

fn files(files: &[&str]) -> Lost {
    Lost::Files(files.iter().map(ToString::to_string).collect::<BTreeSet<_>>())
}

/// Ready workers of this kind.
fn ready(kind: Kind, names: &[&str]) -> World {
    let mut world = World::new(kind);
    world.takes(&Step::Join(CLI, "cli"));
    for worker in names {
        world.takes(&Step::Ask(CLI, start(worker)));
        world.takes(&Step::Spawned(name(worker)));
        world.takes(&Step::Ready(name(worker)));
    }
    world
}

#[test]
fn only_the_worker_of_a_lost_socket_is_signalled() {
    let long = "n".repeat(150);
    let world = ready(kind(), &["v", "w", "x/y", &long]);
    assert_eq!(told(&world, files(&["w.sock"])), ["w SIGURG"]);
    assert_eq!(told(&world, files(&["x~2Fy.sock", "v.sock"])), ["v SIGURG", "x/y SIGURG"]);
    let file = world.core.cx.setup.paths.socket_file(&name(&long));
    assert!(file.len() < long.len());
    assert_eq!(told(&world, files(&[&file])), [format!("{long} SIGURG")]);
    let others = ["u.sock", "w", "w.sock.sock", ".sock", "x~2fy.sock", "~FF.sock", "w~.sock", ".gob-1"];
    assert_eq!(told(&world, files(&others)), Vec::<String>::new());
    // Of these many bytes is what stands for a long name.
    assert_eq!(told(&world, files(&[&format!("{}.sock", "v".repeat(40))])), Vec::<String>::new());
    let all = [format!("{long} SIGURG"), "v SIGURG".into(), "w SIGURG".into(), "x/y SIGURG".into()];
    assert_eq!(told(&world, Lost::Any), all);
}

#[test]
fn workers_without_a_process_or_ending_are_not_signalled() {
    let mut world = World::new(kind());
    world.takes(&Step::Join(CLI, "cli"));
    let hears = |world: &World| {
        let heard = told(world, files(&["w.sock"]));
        assert_eq!(heard, told(world, Lost::Any));
        !heard.is_empty()
    };
    let mut stages = vec![hears(&world)];
    let steps = [
        Step::Ask(CLI, start("w")),
        Step::Spawned(name("w")),
        Step::Ready(name("w")),
        Step::Ask(CLI, stop("w")),
        Step::Exited(name("w"), killed()),
        Step::Swept(name("w")),
    ];
    for step in steps {
        world.takes(&step);
        stages.push(hears(&world));
    }
    assert_eq!(stages, [false, false, true, true, false, false, false]);
}

#[test]
fn workers_without_a_socket_are_not_signalled() {
    let command = |arg: &str| vec!["server".to_string(), arg.to_string()];
    let with = |arg: &str, env: &str| {
        let env = [("ON".to_string(), env.to_string())].into();
        ready(Kind { command: command(arg), env, ..kind() }, &["w"])
    };
    assert_eq!(told(&with("--port=1", "x"), Lost::Any), Vec::<String>::new());
    assert_eq!(told(&with("--port=1", "x"), files(&["w.sock"])), Vec::<String>::new());
    assert_eq!(told(&with("--on={socket}", "x"), Lost::Any), ["w SIGURG"]);
    assert_eq!(told(&with("--port=1", "{socket}"), files(&["w.sock"])), ["w SIGURG"]);
}
