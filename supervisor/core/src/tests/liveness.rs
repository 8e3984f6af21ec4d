//! Liveness in words: what a look leads to, what a worker says of itself, and what nobody has any use for.

use super::harness::{World, watched_kind};
use super::steps::Step;
use super::words::{CLI, DESKTOP, by_name, name, outcome, start, start_leased, stop, view};
use crate::{Effect, Input, Note, Now, RunKey, Target};
use gob_config::kind::{Check, Kind, Liveness, RestartOn};
use gob_protocol::{Exit, Outcome, Request, State, Timestamp};
use std::vec::Vec;

fn liveness(change: impl FnOnce(&mut Liveness)) -> Kind {
    let mut kind = watched_kind();
    kind.liveness.iter_mut().for_each(|liveness| liveness.restart = false);
    if let Some(liveness) = &mut kind.liveness {
        change(liveness);
    }
    kind
}

/// A ready worker of this kind.
fn ready(kind: Kind) -> World {
    let mut world = World::new(kind);
    for (conn, owner) in [(CLI, "cli"), (DESKTOP, "desktop")] {
        world.takes(&Step::Join(conn, owner));
    }
    world.takes(&Step::Ask(CLI, start("w")));
    world.settles();
    world
}

/// Looks as soon as it is time, and finds it well or not.
fn look(world: &mut World, well: bool) -> State {
    world.takes(&Step::Due);
    world.takes(&Step::Probed(name("w"), well));
    view(world).state
}

fn say(world: &mut World, note: Note) -> State {
    world.takes(&Step::Notified(name("w"), note));
    view(world).state
}

#[test]
fn so_many_failures_make_it_unhealthy_and_so_many_successes_well_again() {
    let mut world = ready(liveness(|liveness| (liveness.failures, liveness.successes) = (3, 2)));
    let seen = [false, false, true, false, false, false, true, false, true, true];
    let states: Vec<State> = seen.into_iter().map(|well| look(&mut world, well)).collect();
    let (ready, sick) = (State::Ready, State::Unhealthy);
    assert_eq!(states, [ready, ready, ready, ready, ready, sick, sick, sick, sick, ready]);
    assert_eq!(view(&world).reason, None, "what was wrong is over");
}

#[test]
fn an_unhealthy_worker_says_why_and_is_reused() {
    let mut world = ready(liveness(|_| {}));
    assert_eq!(look(&mut world, false), State::Unhealthy);
    let view = view(&world);
    assert_eq!(view.reason.as_deref(), Some("no answer"));
    let id = world.asks(DESKTOP, start("w"));
    assert_eq!(outcome(world.answer(DESKTOP, id)), Some(Outcome::Reused));
}

#[test]
fn restart_when_unhealthy_is_a_failure_even_if_it_exits_0() {
    let mut world = ready(liveness(|liveness| liveness.restart = true));
    assert_eq!(look(&mut world, false), State::Stopping);
    world.takes(&Step::Exited(name("w"), Exit::Code { code: 0 }));
    world.takes(&Step::Swept(name("w")));
    assert_eq!(view(&world).state, State::Backoff, "an exit 0 of what was not well cedes nothing");
    world.settles();
    assert_eq!((view(&world).state, view(&world).restarts), (State::Ready, 1));
}

#[test]
fn an_unhealthy_run_without_restarts_is_failed() {
    let mut kind = liveness(|liveness| liveness.restart = true);
    kind.restart.on = RestartOn::Never;
    let mut world = ready(kind);
    look(&mut world, false);
    world.takes(&Step::Exited(name("w"), Exit::Code { code: 0 }));
    world.takes(&Step::Swept(name("w")));
    let view = view(&world);
    assert_eq!((view.state, view.reason.as_deref()), (State::Failed, Some("no answer: see gobctl logs w")));
}

#[test]
fn a_watchdog_is_heard_or_not() {
    let alive = Note { alive: true, ..Note::default() };
    let mut world = ready(liveness(|liveness| liveness.check = Check::Notify));
    assert_eq!(say(&mut world, alive), State::Ready);
    world.takes(&Step::Due);
    assert_eq!(view(&world).state, State::Ready, "it was heard of");
    world.takes(&Step::Due);
    let silent = view(&world);
    assert_eq!(silent.state, State::Unhealthy);
    assert_eq!(silent.reason.as_deref(), Some("did not say WATCHDOG=1 within 400 ms"));
    assert_eq!(say(&mut world, alive), State::Ready, "one word is enough");
    assert_eq!(say(&mut world, Note { failed: true, ..Note::default() }), State::Unhealthy, "it knows best");
}

#[test]
fn a_worker_may_choose_its_own_watchdog() {
    let mut world = ready(liveness(|liveness| liveness.check = Check::Notify));
    say(&mut world, Note { watchdog_ms: Some(5_000), alive: true, ..Note::default() });
    assert_eq!(world.wake, Some(world.now + 5_000));
}

#[test]
fn a_watchdog_interval_ends_with_its_run() {
    let mut world = ready(liveness(|liveness| liveness.check = Check::Notify));
    say(&mut world, Note { watchdog_ms: Some(50), ..Note::default() });
    assert_eq!(world.wake, Some(world.now + 50));
    world.takes(&Step::Exited(name("w"), Exit::Code { code: 1 }));
    world.takes(&Step::Swept(name("w")));
    world.settles();
    assert_eq!((view(&world).state, view(&world).run), (State::Ready, 2));
    assert_eq!(world.wake, Some(world.now + 400), "the interval of its kind, as its environment says");
}

#[test]
fn a_start_is_extended_and_never_shortened() {
    let mut world = World::new(watched_kind());
    world.takes(&Step::Join(CLI, "cli"));
    world.takes(&Step::Ask(CLI, start("w")));
    world.takes(&Step::Spawned(name("w")));
    assert_eq!(world.wake, Some(300));
    say(&mut world, Note { extend_ms: Some(100), ..Note::default() });
    assert_eq!(world.wake, Some(300));
    say(&mut world, Note { extend_ms: Some(900), ..Note::default() });
    assert_eq!(world.wake, Some(900));
}

#[test]
fn a_run_that_reports_stopping_is_stopping_and_gets_its_grace() {
    let mut world = ready(watched_kind());
    assert_eq!(say(&mut world, Note { stopping: true, ..Note::default() }), State::Stopping);
    assert_eq!(world.wake, Some(world.now + 100));
    world.takes(&Step::Exited(name("w"), Exit::Code { code: 0 }));
    world.takes(&Step::Swept(name("w")));
    assert_eq!(view(&world).state, State::Ceded, "as after any exit 0 that nobody asked for");
}

#[test]
fn liveness_probes_the_target_of_its_check() {
    let mut world = ready(liveness(|_| {}));
    let at = world.wake.unwrap();
    let effects = world.core.apply(Input::Due, Now { mono_ms: at, wall: Timestamp(0) });
    let target = effects.iter().find_map(|effect| match effect {
        Effect::Probe { key, target, timeout_ms: 50, its_own: false, explain_after_ms: None } => {
            Some((key.clone(), target.clone()))
        }
        _other => None,
    });
    let key = RunKey { name: name("w"), run: 1 };
    assert_eq!(target, Some((key, Target::Connect { address: "unix:/run/graphs/w.sock".into() })));
}

#[test]
fn a_late_probe_of_a_removed_worker_does_not_count_for_its_successor() {
    let mut world = ready(liveness(|_| {}));
    world.takes(&Step::Due);
    let looked_at = RunKey { name: name("w"), run: view(&world).run };
    for request in [stop("w"), Request::Remove(by_name("w")), start("w")] {
        world.takes(&Step::Ask(CLI, request));
        world.settles();
    }
    assert_eq!(view(&world).state, State::Ready);
    world.feed(Input::Probed { key: looked_at, found: super::reports::seen(false) }).expect("a late look");
    assert_eq!((view(&world).state, view(&world).reason), (State::Ready, None));
}

#[test]
fn a_delay_check_is_never_probed() {
    let world = ready(liveness(|liveness| liveness.check = Check::Delay { for_ms: 5 }));
    assert_eq!(world.wake, None);
}

#[test]
fn a_worker_without_use_is_stopped() {
    let mut kind = watched_kind();
    (kind.liveness, kind.idle_stop_ms) = (None, Some(1_000));
    let mut world = ready(kind);
    let idle_from = |world: &World| world.wake.map(|at| at - 1_000);
    assert_eq!(idle_from(&world), Some(world.now));
    world.takes(&Step::Pass(600));
    world.takes(&Step::Ask(DESKTOP, start("w")));
    assert_eq!(idle_from(&world), Some(world.now), "somebody asked for it");
    world.takes(&Step::Ask(DESKTOP, start_leased("w")));
    assert_eq!(world.wake, None, "somebody uses it");
    world.takes(&Step::Pass(5_000));
    world.takes(&Step::Ask(DESKTOP, Request::Release(by_name("w"))));
    assert_eq!(idle_from(&world), Some(world.now));
    world.takes(&Step::Due);
    assert_eq!(view(&world).state, State::Stopping);
    world.settles();
    let view = view(&world);
    assert_eq!((view.state, view.reason.as_deref()), (State::Idle, Some("stopped: nobody used it for 1 s")));
}
