//! Decisions tested with one worker and one context, and nothing around them.

use super::harness::{config, kind};
use super::words::name;
use crate::conns::{Caller, Conns};
use crate::cx::Cx;
use crate::expects::Expects;
use crate::owner::Ownership;
use crate::parts::{Examined, Holder};
use crate::past::Past;
use crate::restart::Dice;
use crate::run::{Run, Shown};
use crate::setup::Setup;
use crate::spec::{Graph, Origin, Spec};
use crate::stage::{Asked, At, Cause, Stage};
use crate::step::{Sequel, Step};
use crate::timers::Timer;
use crate::worker::{Origins, Phase, Worker, ask, end, examine, live, ready, start, sweep};
use crate::{ConnId, Effect, New, Now};
use gob_config::kind::{Check, Kind, Liveness};
use gob_protocol::handshake::Handshake;
use gob_protocol::request::{Start, Stop};
use gob_protocol::{Actor, EventKind, Exit, Owner, Receipt, State, Survivor, Timestamp};
use std::collections::BTreeMap;
use std::vec::Vec;

const LEADER: i32 = 7;

fn cx() -> Cx {
    let config = config(kind());
    let setup = Setup {
        server: config.server,
        settings: config.settings,
        rejected: config.rejected,
        paths: config.paths,
        base_env: config.base_env,
        lease_grace_ms: config.lease_grace_ms,
        host: config.host,
    };
    let past = Past::new(BTreeMap::new(), 0, 0);
    Cx::new(setup, past, Dice::new(1), Now { mono_ms: 0, wall: Timestamp(0) })
}

fn worker(kind: Kind) -> Worker {
    let graph = Graph {
        name: name("w"),
        root_dir: "/data".into(),
        kind_is_open: false,
        root_is_open: false,
        was_served: false,
        is_remembered: false,
    };
    let spec = Spec {
        origin: Origin::Graph(graph),
        kind_name: "graph".into(),
        policy: kind.into(),
        env: None,
        umask: None,
    };
    let origins = Origins {
        ownership: Ownership::new(Owner::cli(), None),
        run: 0,
        actor: Actor::Supervisor,
        created_at: Timestamp(0),
        last_port: None,
        shown: Shown::default(),
        expects: Expects::default(),
    };
    Worker::new(name("w"), spec, origins)
}

/// A caller that speaks for `cli`.
fn caller() -> Caller {
    let mut conns = Conns::default();
    conns.connect(ConnId(1), Some(4));
    conns.hello(ConnId(1), Owner::cli(), None);
    conns.caller(ConnId(1), None).unwrap()
}

/// A worker that was asked to start, in the kind of `setup` too.
fn starting(kind: Kind) -> (Worker, Cx) {
    let (mut worker, mut cx) = (worker(kind.clone()), cx());
    cx.setup.settings.kinds.insert("graph".into(), kind);
    worker.start(&caller(), Start::default(), &mut cx);
    (worker, cx)
}

fn with_process(kind: Kind) -> (Worker, Cx) {
    let (mut worker, mut cx) = starting(kind);
    worker.step(&mut cx, |run, _, cx| start::spawned(run, cx, LEADER, None, New(false)));
    (worker, cx)
}

fn up(kind: Kind) -> (Worker, Cx) {
    let (mut worker, mut cx) = with_process(kind);
    worker.step(&mut cx, |run, given, cx| ready::ready(run, given, cx, Handshake::default(), Vec::new()));
    assert_eq!(worker.state(), State::Ready);
    drop(cx.out.take());
    (worker, cx)
}

fn stop(worker: &mut Worker, cx: &mut Cx) {
    drop(cx.out.take());
    worker.stop(&caller(), &Stop { name: name("w"), force: false, grace_ms: None }, cx);
}

/// How far its run has come on its way down.
fn at(worker: &Worker) -> &At {
    &worker.live().and_then(Run::end).expect("an ending run").at
}

fn sees(cx: &Cx, effect: impl Fn(&Effect) -> bool) -> bool {
    cx.out.iter().any(effect)
}

/// Nothing is left of the run, and its last steps are done.
fn is_gone(worker: &mut Worker, cx: &mut Cx) {
    worker.step(cx, |run, _, cx| end::swept(run, cx, Receipt::default()));
    worker.step(cx, end::freed);
    worker.step(cx, |run, given, cx| end::read_out(run, given, cx, Vec::new(), false));
}

#[test]
fn a_start_asks_for_a_process_and_a_stop_calls_it_off() {
    let (mut worker, mut cx) = starting(kind());
    assert!(matches!(worker.live().map(Run::stage), Some(Stage::Preparing)));
    assert!(sees(&cx, |effect| matches!(effect, Effect::Spawn(plan) if plan.key == worker.key())));
    stop(&mut worker, &mut cx);
    assert!(sees(&cx, |effect| matches!(effect, Effect::CallOff { .. })));
    assert!(matches!(at(&worker), At::CallingOff { overdue: false, .. }));
    worker.step(&mut cx, |run, _, cx| ask::over(run, cx));
    assert!(matches!(at(&worker), At::CallingOff { overdue: true, .. }), "it has no process to kill yet");
    worker.step(&mut cx, |run, _, _| start::called_off(run));
    assert_eq!((worker.state(), cx.timers.earliest()), (State::Idle, None));
}

#[test]
fn a_process_that_comes_after_its_grace_is_killed_at_once() {
    let (mut worker, mut cx) = starting(kind());
    stop(&mut worker, &mut cx);
    worker.step(&mut cx, |run, _, cx| ask::over(run, cx));
    worker.step(&mut cx, |run, _, cx| start::spawned(run, cx, LEADER, None, New(false)));
    assert!(matches!(at(&worker), At::Killing));
    assert!(sees(&cx, |effect| matches!(effect, Effect::Sweep { .. })));
    assert!(!sees(&cx, |effect| matches!(effect, Effect::Terminate { .. })));
}

#[test]
fn a_holder_is_asked_once_and_later_stops_only_shorten_its_time() {
    let mut kind = kind();
    kind.foreign.lock_file = Some("{data_dir}/lock".into());
    kind.stop.http = Some("POST /end".into());
    let (mut worker, mut cx) = starting(kind);
    let (owner, endpoint) = (Owner::cli(), Some("http://127.0.0.1:4000".into()));
    let found = Holder { pid: 77, start_time: 1, owner, path: "/lock".into(), endpoint };
    worker.step(&mut cx, |run, given, cx| examine::examined(run, given, cx, Examined::Held(found)));
    let is_request = |effect: &Effect| matches!(effect, Effect::StopHttp { .. });
    let polite = Timer::Polite(worker.name.clone());
    for (grace_ms, is_asked, due) in [(5_000, true, 5_000), (9_000, false, 5_000), (2_000, false, 2_000)] {
        drop(cx.out.take());
        worker.stop(&caller(), &Stop { name: name("w"), force: false, grace_ms: Some(grace_ms) }, &mut cx);
        assert_eq!((sees(&cx, is_request), cx.timers.at(&polite)), (is_asked, Some(due)), "{grace_ms}");
    }
}

#[test]
fn a_holder_that_is_found_before_the_spawn_makes_the_worker_external() {
    let mut kind = kind();
    kind.foreign.lock_file = Some("{data_dir}/lock".into());
    let (mut worker, mut cx) = starting(kind);
    assert!(matches!(worker.live().map(Run::stage), Some(Stage::Looking)));
    let pid = 77;
    let found = Holder { pid, start_time: 1, owner: Owner::cli(), path: "/lock".into(), endpoint: None };
    worker.step(&mut cx, |run, given, cx| examine::examined(run, given, cx, Examined::Held(found)));
    assert_eq!((worker.state(), worker.pid()), (State::External, Some(pid)));
    assert_eq!(worker.shown().reason, None);
    assert!(cx.timers.earliest().is_none(), "nothing of the run is due any more");
    worker.holder_gone(pid + 1, &mut cx);
    assert_eq!(worker.state(), State::External, "an earlier holder is gone, not this one");
    worker.holder_gone(pid, &mut cx);
    assert_eq!(worker.state(), State::Idle);
}

#[test]
fn the_end_of_a_leader_leaves_a_grace_only_to_a_tree_that_was_asked() {
    for asked in [true, false] {
        let (mut worker, mut cx) = up(kind());
        if asked {
            stop(&mut worker, &mut cx);
            assert_eq!(worker.live().and_then(Run::end).map(|end| end.asked), Some(Asked::Signal));
        }
        drop(cx.out.take());
        worker.step(&mut cx, |run, given, cx| end::exited(run, given, cx, Exit::Code { code: 0 }));
        assert_eq!(matches!(at(&worker), At::Lingering(_)), asked);
        assert_eq!(matches!(at(&worker), At::Sweeping(_)), !asked);
        assert_eq!(sees(&cx, |effect| matches!(effect, Effect::Linger { .. })), asked);
        assert_eq!(sees(&cx, |effect| matches!(effect, Effect::Sweep { .. })), !asked);
        assert_eq!(worker.pid(), None);
        worker.step(&mut cx, |run, _, cx| end::swept(run, cx, Receipt::default()));
        let is_shown = |worker: &Worker| worker.state() == State::Stopping && worker.pid().is_none();
        assert!(sees(&cx, |effect| matches!(effect, Effect::ReadRest { .. })) && is_shown(&worker));
        worker.step(&mut cx, end::freed);
        assert!(is_shown(&worker), "its output is not read");
        worker.step(&mut cx, |run, given, cx| end::read_out(run, given, cx, Vec::new(), false));
        let expected = if asked { State::Idle } else { State::Ceded };
        assert_eq!((worker.state(), cx.timers.earliest()), (expected, None));
    }
}

#[test]
fn state_of_a_run_ends_with_the_run() {
    let mut kind = kind();
    kind.exit_zero_ceded = false;
    kind.command.push("--port={port}".into());
    let (mut worker, mut cx) = starting(kind);
    worker.step(&mut cx, |run, _, cx| start::spawned(run, cx, LEADER, Some(4_000), New(true)));
    let handshake = Handshake { endpoint: Some("http://127.0.0.1:1".into()), ..Handshake::default() };
    worker.step(&mut cx, |run, given, cx| ready::ready(run, given, cx, handshake, Vec::new()));
    let before = worker.view(true);
    assert!(before.endpoint.is_some() && before.command.last().is_some_and(|arg| arg == "--port=4000"));
    worker.step(&mut cx, |run, given, cx| end::exited(run, given, cx, Exit::Code { code: 1 }));
    is_gone(&mut worker, &mut cx);
    assert!(matches!(worker.phase(), Phase::Backoff(_)));
    let down = worker.view(true);
    assert_eq!((down.endpoint, down.ready_at, down.command), (None, before.ready_at, before.command));
    worker.retry(&mut cx);
    let run = worker.live().expect("a run");
    assert_eq!((run.key.run, run.port, run.ready_mono_ms, run.is_new), (2, None, None, false));
    let again = worker.view(true);
    assert_eq!((again.ready_at, again.exit), (None, None));
    assert_eq!(again.command.last().map(|arg| &**arg), Some("--port={port}"), "no mark is shown");
}

#[test]
fn a_probe_that_fails_makes_the_run_unhealthy_or_ends_it() {
    for restart in [false, true] {
        let check = Check::Connect { address: "unix:{socket}".into() };
        let liveness =
            Liveness { check, interval_ms: 400, timeout_ms: 50, failures: 2, successes: 1, restart };
        let (mut worker, mut cx) = up(Kind { liveness: Some(liveness), ..kind() });
        let is_due = |cx: &Cx| cx.timers.at(&Timer::Probe(name("w"))).is_some();
        let fail = |worker: &mut Worker, cx: &mut Cx| {
            worker.step(cx, |run, given, cx| live::probed(run, given, cx, Some("no answer".into())));
        };
        fail(&mut worker, &mut cx);
        assert_eq!((worker.state(), is_due(&cx)), (State::Ready, true), "one failure is none");
        fail(&mut worker, &mut cx);
        let expected = if restart { State::Stopping } else { State::Unhealthy };
        assert_eq!((worker.state(), is_due(&cx)), (expected, !restart));
        if restart {
            assert_eq!(worker.sequel(), Sequel::Policy { unwell: true });
        }
        assert_eq!(worker.shown().reason.as_deref(), Some("no answer"));
    }
}

#[test]
fn a_run_that_is_not_ready_in_time_is_ended_and_failed() {
    let (mut worker, mut cx) = with_process(kind());
    drop(cx.out.take());
    worker.step(&mut cx, start::timed_out);
    assert_eq!(worker.live().and_then(Run::end).map(|end| end.cause), Some(Cause::TimedOut));
    assert!(sees(&cx, |effect| matches!(effect, Effect::Terminate { .. })));
    worker.step(&mut cx, |run, given, cx| end::exited(run, given, cx, Exit::Code { code: 1 }));
    is_gone(&mut worker, &mut cx);
    assert_eq!(worker.state(), State::Failed);
    let reason = worker.shown().reason.clone().unwrap_or_default();
    assert_eq!(reason, "was not ready after 0.3 s: see gobctl logs w");
}

#[test]
fn survivors_are_reported_once_and_swept_again() {
    let (mut worker, mut cx) = up(kind());
    stop(&mut worker, &mut cx);
    worker.step(&mut cx, |run, _, cx| ask::over(run, cx));
    drop(cx.out.take());
    worker.step(&mut cx, |run, _, cx| sweep::late(run, cx));
    assert!(sees(&cx, |effect| matches!(effect, Effect::Census { .. })));
    let survivor: Survivor = gob_protocol::ProcessId { pid: 9, start_time: 9 }.into();
    let receipt = Receipt { survivors: Vec::from([survivor]), ..Receipt::default() };
    let seq = |cx: &Cx| cx.news.seq();
    let before = seq(&cx);
    for told in [1, 1] {
        worker.step(&mut cx, |run, _, _| sweep::surviving(run, receipt.clone()));
        assert_eq!(seq(&cx) - before, told);
    }
}

#[test]
fn a_late_word_about_another_stage_changes_nothing() {
    let (mut worker, mut cx) = up(kind());
    stop(&mut worker, &mut cx);
    let before = std::format!("{worker:?}");
    let late: [fn(&mut Run) -> Step; 3] = [
        |run| start::called_off(run),
        |run| live::stops_by_itself(run),
        |run| sweep::surviving(run, Receipt::default()),
    ];
    for late in late {
        worker.step(&mut cx, |run, _, _| late(run));
    }
    worker.step(&mut cx, |run, given, cx| ready::ready(run, given, cx, Handshake::default(), Vec::new()));
    worker.step(&mut cx, |run, _, cx| ready::told(run, cx, "late".into()));
    worker.step(&mut cx, |run, _, cx| start::spawned(run, cx, 8, None, New(true)));
    assert_eq!(std::format!("{worker:?}"), before);
    assert!(cx.news.get(cx.news.seq()).is_some_and(|kept| kept.event.event == EventKind::WorkerStopping));
}
