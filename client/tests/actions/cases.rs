//! Every phase of a worker, by owner and lease, and every process that holds its graph without gob.

use crate::world::{AGENT, CLI, DESKTOP, NOBODY, REQUESTERS, World, by_name, hand_over};
use gob_config::kind::{Check, Kind, Liveness, RestartOn};
use gob_core::{ConnId, Examined, Holder, Input, Miss, Missed, Target};
use gob_protocol::{Owner, Request, State};

/// A kind whose failures come to an end soon, and whose holders may be asked to end or not.
fn kind() -> Kind {
    let check = Check::Connect { address: "unix:{socket}".into() };
    let mut kind = Kind::graph();
    kind.restart.on = RestartOn::OnFailure;
    kind.restart.give_up_failures = 2;
    kind.exit_zero_ceded = true;
    kind.liveness =
        Some(Liveness { check, interval_ms: 400, timeout_ms: 50, failures: 1, successes: 1, restart: false });
    kind
}

fn foreign_kind(asks: bool) -> Kind {
    let mut kind = kind();
    kind.stop.http = asks.then(|| "POST /v1/shutdown".to_owned());
    kind.foreign.lock_file = Some("{data_dir}/lock".to_owned());
    kind
}

type Script = fn(&mut World, ConnId);

/// Every phase of a worker of its own, and the state that it shows.
const PHASES: [(State, Script); 17] = [
    (State::Idle, |world, by| {
        world.up(by);
        world.stop();
        world.settle();
    }),
    (State::Starting, World::start),
    (State::Starting, |world, by| {
        world.start(by);
        world.spawned();
    }),
    (State::Ready, World::up),
    (State::Unhealthy, |world, by| {
        world.up(by);
        let key = world.key();
        let missed = Missed { target: Target::Output, why: Miss::NoLine, listens: None, is_explained: false };
        world.feed(Input::Probed { key, found: Err(Box::new(missed)) });
    }),
    // Asked to end before it has a process, while it starts, and when it is up.
    (State::Stopping, |world, by| {
        world.start(by);
        world.stop();
    }),
    (State::Stopping, |world, by| {
        world.start(by);
        world.spawned();
        world.stop();
    }),
    (State::Stopping, |world, by| {
        world.up(by);
        world.stop();
    }),
    // Its grace is over; its tree has the rest of the grace; a start follows.
    (State::Stopping, |world, by| {
        world.up(by);
        world.stop();
        world.due();
    }),
    (State::Stopping, |world, by| {
        world.up(by);
        world.stop();
        world.exited(0);
    }),
    (State::Stopping, |world, by| {
        world.up(by);
        world.stop();
        world.start(by);
    }),
    // It ended by itself, and is swept.
    (State::Stopping, |world, by| {
        world.up(by);
        world.exited(1);
    }),
    (State::Backoff, |world, by| {
        world.up(by);
        world.exited(1);
        world.swept();
    }),
    (State::Starting, |world, by| {
        world.up(by);
        world.exited(1);
        world.swept();
        world.due();
    }),
    (State::Failed, |world, by| {
        world.up(by);
        for _ in 0..2 {
            world.exited(1);
            world.swept();
            if world.view(CLI).is_some_and(|view| view.state == State::Backoff) {
                world.due();
                world.spawned();
            }
        }
    }),
    (State::Ceded, |world, by| {
        world.up(by);
        world.exited(0);
        world.swept();
    }),
    // Another kind: its graph is looked at before it has a process.
    (State::Starting, World::start),
];

/// Every worker that gob runs, in every phase, by owner and lease.
pub(crate) fn workers() -> Vec<World> {
    let mut all = Vec::new();
    for (at, (state, script)) in PHASES.iter().enumerate() {
        let looks_first = at + 1 == PHASES.len();
        for by in [CLI, DESKTOP, NOBODY] {
            let mut world = World::new(if looks_first { foreign_kind(true) } else { kind() });
            script(&mut world, by);
            let shown = world.view(CLI).unwrap();
            assert_eq!(shown.state, *state, "phase {at}: {shown:?}");
            let mut lost = world.clone();
            lost.ask(by, hand_over("unknown"));
            for world in [world, lost] {
                all.extend(leased(&world, by));
            }
        }
    }
    all
}

/// Every process that holds the graph without gob: by owner, with an address or without, of a kind that may ask it to end or
/// may not.
pub(crate) fn held() -> Vec<World> {
    let mut all = Vec::new();
    let endpoints = [None, Some("http://127.0.0.1:77"), Some("unix:/s")];
    for asks in [true, false] {
        for endpoint in endpoints {
            for (by, owner) in [CLI, DESKTOP, NOBODY].into_iter().flat_map(|by| REQUESTERS.map(|it| (by, it)))
            {
                let mut world = World::new(foreign_kind(asks));
                world.start(by);
                let key = world.key();
                let owner = Owner::new(owner).unwrap();
                let endpoint = endpoint.map(str::to_owned);
                let holder = Holder { pid: 99, start_time: 9, owner, path: "/lock".into(), endpoint };
                world.feed(Input::Examined { key, found: Examined::Held(holder) });
                assert_eq!(world.view(CLI).map(|view| view.state), Some(State::External));
                all.extend(leased(&world, by));
            }
        }
    }
    all
}

/// The same worker without a lease, with one of its owner's, and with one of another's.
fn leased(world: &World, by: ConnId) -> [World; 3] {
    [None, Some(by), Some(AGENT)].map(|holder| {
        let mut world = world.clone();
        if let Some(holder) = holder {
            world.ask(holder, Request::Lease(by_name()));
        }
        world
    })
}
