//! The table of ARCHITECTURE.md, Lifecycle: row by row, column by column.
//!
//! A cell says which processes the core touches, where the worker stands then, and what the requester hears, if it is
//! a request. An empty cell is an input that means nothing in that phase and must change nothing; `·` is one that can't
//! happen.

use super::harness::{World, watched_kind};
use super::reports::holder;
use super::steps::{Seen, Step};
use super::words::{killed, name, restart, start, stop, stop_force};
use crate::run::Run;
use crate::stage::{At, Stage};
use crate::step::Sequel;
use crate::timers::Timer;
use crate::worker::Worker;
use crate::{ConnId, Core, Effect, Input, New, Now, RunKey};
use gob_config::kind::RestartOn;
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::{Data, Exit, Id, Receipt, Request, Timestamp};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

const CLI: ConnId = ConnId(1);

const COLUMNS: [&str; 14] = [
    "start",
    "stop",
    "stop --force",
    "restart", // asked for by its owner
    "spawned",
    "spawn failed",
    "ready",
    "refused",
    "probe lost",
    "probe well", // told of the run
    "exited 1, swept",
    "exited 0, swept",
    "holder gone",
    "due",
];

#[rustfmt::skip]
const TABLE: &[(&str, [&str; 14])] = &[
    ("idle", [
        "spawn → spawning, waits", "→ idle, ok", "→ idle, ok", "spawn → spawning, waits",
        "", "", "", "", "", "",
        "", "", "", "",
    ]),
    ("failed", [
        "spawn → spawning, waits", "→ failed, ok", "→ failed, ok", "spawn → spawning, waits",
        "", "", "", "", "", "",
        "", "", "", "",
    ]),
    ("ceded", [
        "spawn → spawning, waits", "→ ceded, ok", "→ ceded, ok", "spawn → spawning, waits",
        "", "", "", "", "", "",
        "", "", "", "",
    ]),
    ("external", [
        "→ external, external", "→ external, server-locked-by-external",
        "→ external, server-locked-by-external", "→ external, server-locked-by-external",
        "", "", "", "", "", "",
        "", "", "→ idle", "",
    ]),
    ("spawning", [
        "→ spawning, waits", "call off → stopping unspawned, waits", "call off → killing unspawned, waits",
        "→ spawning, waits",
        "→ starting", "→ backoff", "", "", "", "",
        "·", "·", "", "call off → stopping unspawned then failed",
    ]),
    ("starting", [
        "→ starting, waits", "terminate → stopping, waits", "terminate sweep → killing, waits", "→ starting, waits",
        "", "", "→ ready", "terminate → stopping then policy", "", "",
        "sweep → backoff", "sweep → ceded", "", "terminate → stopping then failed",
    ]),
    ("ready", [
        "→ ready, reused", "terminate → stopping, waits", "terminate sweep → killing, waits",
        "terminate → stopping then start, waits",
        "", "", "", "", "→ unhealthy", "",
        "sweep → backoff", "sweep → ceded", "", "",
    ]),
    ("unhealthy", [
        "→ unhealthy, reused", "terminate → stopping, waits", "terminate sweep → killing, waits",
        "terminate → stopping then start, waits",
        "", "", "", "", "", "→ ready",
        "sweep → backoff", "sweep → ceded", "", "",
    ]),
    ("stopping", [
        "→ stopping then start, waits", "→ stopping, waits", "sweep → killing, waits",
        "→ stopping then start, waits",
        "", "", "", "", "", "",
        "linger → idle", "linger → idle", "", "sweep → killing",
    ]),
    ("stopping then start", [
        "→ stopping then start, waits", "→ stopping, waits", "sweep → killing, waits",
        "→ stopping then start, waits",
        "", "", "", "", "", "",
        "linger spawn → spawning", "linger spawn → spawning", "", "sweep → killing then start",
    ]),
    ("stopping then failed", [
        "→ stopping then start, waits", "→ stopping, waits", "sweep → killing, waits",
        "→ stopping then start, waits",
        "", "", "", "", "", "",
        "linger → failed", "linger → failed", "", "sweep → killing then failed",
    ]),
    ("stopping then policy", [
        "→ stopping then start, waits", "→ stopping, waits", "sweep → killing, waits",
        "→ stopping then start, waits",
        "", "", "", "", "", "",
        "linger → backoff", "linger → backoff", "", "sweep → killing then policy",
    ]),
    ("stopping unspawned", [
        "→ stopping unspawned then start, waits", "→ stopping unspawned, waits", "→ killing unspawned, waits",
        "→ stopping unspawned then start, waits",
        "terminate → stopping", "→ idle", "", "", "", "",
        "·", "·", "", "→ killing unspawned",
    ]),
    ("killing unspawned", [
        "→ killing unspawned then start, waits", "→ killing unspawned, waits", "→ killing unspawned, waits",
        "→ killing unspawned then start, waits",
        "sweep → killing", "→ idle", "", "", "", "",
        "·", "·", "", "",
    ]),
    ("killing", [
        "→ killing then start, waits", "→ killing, waits", "→ killing, waits", "→ killing then start, waits",
        "", "", "", "", "", "",
        "sweep → idle", "sweep → idle", "", "census sweep → killing",
    ]),
    ("lingering", [
        "→ lingering then start, waits", "→ lingering, waits", "sweep → sweeping, waits",
        "→ lingering then start, waits",
        "", "", "", "", "", "",
        "·", "·", "", "sweep → sweeping",
    ]),
    ("lingering then policy", [
        "→ lingering then start, waits", "→ lingering, waits", "sweep → sweeping, waits",
        "→ lingering then start, waits",
        "", "", "", "", "", "",
        "·", "·", "", "sweep → sweeping then policy",
    ]),
    ("sweeping", [
        "→ sweeping then start, waits", "→ sweeping, waits", "→ sweeping, waits", "→ sweeping then start, waits",
        "", "", "", "", "", "",
        "·", "·", "", "census sweep → sweeping",
    ]),
    ("sweeping then policy", [
        "→ sweeping then start, waits", "→ sweeping, waits", "→ sweeping, waits", "→ sweeping then start, waits",
        "", "", "", "", "", "",
        "·", "·", "", "census sweep → sweeping then policy",
    ]),
    ("backoff", [
        "spawn → spawning, waits", "→ idle, ok", "→ idle, ok", "spawn → spawning, waits",
        "", "", "", "", "", "",
        "", "", "", "spawn → spawning",
    ]),
];

/// Brings a worker `w` of `cli` into a phase.
fn brought_to(phase: &str) -> World {
    let w = || name("w");
    let starting = vec![Step::Ask(CLI, start("w")), Step::Spawned(w())];
    let ready = [starting.clone(), vec![Step::Ready(w())]].concat();
    let spawning = vec![Step::Ask(CLI, start("w"))];
    let stopping = [ready.clone(), vec![Step::Ask(CLI, stop("w"))]].concat();
    let crash = vec![Step::Exited(w(), killed())];
    let steps = match phase {
        "idle" => [stopping, crash, vec![Step::Swept(w())]].concat(),
        "failed" => [starting, vec![Step::Due], crash, vec![Step::Swept(w())]].concat(),
        "ceded" => [ready, vec![Step::Exited(w(), Exit::Code { code: 0 }), Step::Swept(w())]].concat(),
        "external" => vec![Step::Ask(CLI, start("w")), Step::Examined(w(), Seen::Held("cli"))],
        "spawning" => spawning,
        "starting" => starting,
        "ready" => ready,
        "unhealthy" => [ready, vec![Step::Due, Step::Probed(w(), false)]].concat(),
        "stopping" => stopping,
        "stopping then start" => [stopping, vec![Step::Ask(CLI, start("w"))]].concat(),
        "stopping then failed" => [starting, vec![Step::Due]].concat(),
        "stopping then policy" => [starting, vec![Step::Refused(w())]].concat(),
        "stopping unspawned" => [spawning, vec![Step::Ask(CLI, stop("w"))]].concat(),
        "killing unspawned" => [spawning, vec![Step::Ask(CLI, stop_force("w"))]].concat(),
        "killing" => [ready, vec![Step::Ask(CLI, stop_force("w"))]].concat(),
        "lingering" => [stopping, crash].concat(),
        "lingering then policy" => [starting, vec![Step::Refused(w())], crash].concat(),
        "sweeping" => [ready, vec![Step::Ask(CLI, stop_force("w"))], crash].concat(),
        "sweeping then policy" => [ready, crash].concat(),
        "backoff" => [ready, crash, vec![Step::Swept(w())]].concat(),
        other => panic!("no such phase: {other}"),
    };
    let mut kind = watched_kind();
    kind.foreign.lock_file = (phase == "external").then(|| "{data_dir}/lock".into());
    let mut world = World::new(kind);
    world.takes(&Step::Join(CLI, "cli"));
    for step in steps {
        world.takes(&step);
    }
    world
}

fn inputs(column: &str, key: RunKey) -> Vec<Input> {
    let ask = |request: Request| Input::Request { conn: CLI, id: Some(Id::Number(999)), request };
    let exited = |exit: Exit| {
        let ends = super::reports::ends(&key, Receipt::default(), Vec::new(), false);
        [Input::Exited { key: key.clone(), exit }].into_iter().chain(ends).collect()
    };
    match column {
        "start" => vec![ask(start("w"))],
        "stop" => vec![ask(stop("w"))],
        "stop --force" => vec![ask(stop_force("w"))],
        "restart" => vec![ask(restart("w"))],
        "spawned" => vec![Input::Spawned { key, pid: 55, port: None, new: New(false) }],
        "spawn failed" => vec![Input::SpawnFailed { key, why: super::reports::failed("EAGAIN") }],
        "ready" => vec![Input::Ready { key, handshake: Handshake::default(), ports: Vec::new() }],
        "refused" => vec![Input::NeverReady {
            key,
            error: HandshakeError::Refused("no".into()),
            last_lines: Vec::new(),
        }],
        "probe lost" => vec![Input::Probed { key, found: super::reports::seen(false) }],
        "probe well" => vec![Input::Probed { key, found: super::reports::seen(true) }],
        "exited 1, swept" => exited(Exit::Code { code: 1 }),
        "exited 0, swept" => exited(Exit::Code { code: 0 }),
        "holder gone" => vec![Input::HolderGone { name: key.name, pid: holder("cli").pid }],
        "due" => vec![Input::Due],
        other => panic!("no such column: {other}"),
    }
}

fn word(worker: &Worker) -> String {
    let how = match worker.live().map(Run::stage) {
        None | Some(Stage::Starting | Stage::Ready | Stage::Unhealthy) => return worker.state().to_string(),
        Some(Stage::Looking | Stage::Preparing) => return "spawning".into(),
        Some(Stage::Ending(end)) => match end.at {
            At::CallingOff { overdue: true, .. } => "killing unspawned",
            At::CallingOff { overdue: false, .. } => "stopping unspawned",
            At::Asked => "stopping",
            At::Lingering(_) => "lingering",
            At::Killing => "killing",
            At::Sweeping(_) | At::Finishing(_) | At::Examining(_) => "sweeping",
        },
    };
    let then = match worker.sequel() {
        Sequel::Rest => "",
        Sequel::Next => " then start",
        Sequel::Fail => " then failed",
        Sequel::Policy { .. } => " then policy",
    };
    format!("{how}{then}")
}

/// The processes that a cell touched, and the answer to its request.
fn told(effects: &[Effect]) -> (Vec<&'static str>, String) {
    let (mut touched, mut answer) = (Vec::new(), String::new());
    for effect in effects {
        match effect {
            Effect::Spawn(_) => touched.push("spawn"),
            Effect::Terminate { .. } => touched.push("terminate"),
            Effect::Sweep { .. } => touched.push("sweep"),
            Effect::Linger { .. } => touched.push("linger"),
            Effect::CallOff { .. } => touched.push("call off"),
            Effect::Census { .. } => touched.push("census"),
            Effect::Signal { .. } => touched.push("signal"),
            Effect::Reply { id: Some(Id::Number(999)), result, .. } => {
                answer = match result {
                    Ok(Data::Start(data)) => format!("{:?}", data.outcome).to_lowercase(),
                    Ok(_) => "ok".into(),
                    Err(error) => error.code.to_string(),
                };
            }
            _other => {}
        }
    }
    (touched, answer)
}

fn cell(core: &mut Core, column: &str, mut now: u64) -> String {
    let key = core.workers[&name("w")].key();
    if column == "due" {
        // A change that is told meanwhile is not what the cell is about.
        let told_alone = |core: &Core| {
            let mut deadlines = core.cx.timers.all();
            let (at, first) = deadlines.next()?;
            let is_alone = deadlines.next().is_none_or(|(later, _)| later > at);
            (is_alone && matches!(first, Timer::Tell(_))).then_some(at)
        };
        while let Some(at) = told_alone(core) {
            core.apply(Input::Due, Now { mono_ms: at, wall: Timestamp(0) });
        }
        now = core.cx.timers.earliest().unwrap_or(now);
    }
    let mut effects = Vec::new();
    for input in inputs(column, key) {
        effects.extend(core.apply(input, Now { mono_ms: now, wall: Timestamp(0) }));
    }
    let (mut words, mut answer) = told(&effects);
    let worker = &core.workers[&name("w")];
    if answer.is_empty() && worker.waiters().any(|waiter| waiter.id == Some(Id::Number(999))) {
        answer = "waits".into();
    }
    let state = format!("→ {}", word(worker));
    words.push(&state);
    let does = words.join(" ");
    if answer.is_empty() { does } else { format!("{does}, {answer}") }
}

#[test]
fn every_cell_of_the_lifecycle() {
    for (phase, cells) in TABLE {
        let world = brought_to(phase);
        assert_eq!(word(&world.core.workers[&name("w")]), *phase, "set up");
        for (column, expected) in COLUMNS.into_iter().zip(cells).filter(|(_, cell)| **cell != "·") {
            let seq = world.core.cx.news.seq();
            let mut core = world.core.clone();
            let found = cell(&mut core, column, world.now);
            if expected.is_empty() {
                assert_eq!(found, format!("→ {phase}"), "{phase}: {column}");
                assert_eq!(core.cx.news.seq(), seq, "{phase}: {column} publishes something");
            } else {
                assert_eq!(found, *expected, "{phase}: {column}");
            }
        }
    }
}

/// The sequel of a run that ended by itself: (policy, exit 0 is ceded, was it ready, exit code, its state afterwards).
#[rustfmt::skip]
const AFTER: &[(RestartOn, bool, bool, i32, &str)] = &[
    (RestartOn::OnFailure, false, true,  1, "backoff"),
    (RestartOn::OnFailure, false, true,  0, "idle"),
    (RestartOn::OnFailure, false, false, 1, "backoff"),
    (RestartOn::OnFailure, false, false, 0, "backoff"),
    (RestartOn::OnFailure, true,  true,  0, "ceded"),
    (RestartOn::OnFailure, true,  true,  1, "backoff"),
    (RestartOn::Always,    false, true,  0, "backoff"),
    (RestartOn::Always,    true,  true,  0, "ceded"),
    (RestartOn::Never,     false, true,  0, "idle"),
    (RestartOn::Never,     false, true,  1, "failed"),
    (RestartOn::Never,     false, false, 0, "failed"),
    (RestartOn::Never,     true,  true,  0, "ceded"),
];

#[test]
fn every_policy() {
    for (on, ceded, ready, code, expected) in AFTER {
        let mut kind = watched_kind();
        kind.restart.on = *on;
        kind.exit_zero_ceded = *ceded;
        let mut world = World::new(kind);
        world.takes(&Step::Join(CLI, "cli"));
        world.takes(&Step::Ask(CLI, start("w")));
        world.takes(&Step::Spawned(name("w")));
        if *ready {
            world.takes(&Step::Ready(name("w")));
        }
        world.takes(&Step::Exited(name("w"), Exit::Code { code: *code }));
        world.takes(&Step::Swept(name("w")));
        let found = word(&world.core.workers[&name("w")]);
        assert_eq!(found, *expected, "{on:?}, ceded {ceded}, was ready {ready}, exit {code}");
    }
}

#[test]
fn too_many_failures_are_the_last() {
    let mut world = brought_to("backoff");
    for expected in ["backoff", "failed"] {
        world.takes(&Step::Due);
        world.takes(&Step::Spawned(name("w")));
        world.takes(&Step::Exited(name("w"), killed()));
        world.takes(&Step::Swept(name("w")));
        assert_eq!(word(&world.core.workers[&name("w")]), expected);
    }
    let reason = world.core.workers[&name("w")].shown().reason.clone();
    assert_eq!(reason.as_deref(), Some("killed by SIGKILL, 3 times in 1s: see gobctl logs w"));
}

#[test]
fn a_run_without_a_process_points_to_no_log() {
    let mut world = brought_to("idle");
    world.takes(&Step::Ask(CLI, start("w")));
    for _ in 0..2 {
        world.takes(&Step::SpawnFailed(name("w")));
        world.takes(&Step::Due);
    }
    world.takes(&Step::SpawnFailed(name("w")));
    let worker = &world.core.workers[&name("w")];
    assert_eq!(word(worker), "failed");
    let reason = worker.shown().reason.clone().expect("a reason");
    assert!(reason.ends_with("3 times in 1s"), "{reason}");
}
