//! Subscriptions (PROTOCOL 7). The harness follows every subscriber; here are the bounds and the rare ways.

use super::harness::{INSTANCE, World, kind};
use super::steps::Step;
use super::words::{name, start, stop};
use crate::reads::page;
use crate::{ConnId, Effect, Input};
use gob_protocol::answer::SubscribeData;
use gob_protocol::limits::{RING_BYTES, RING_EVENTS, SUBSCRIBER_QUEUE_FRAMES};
use gob_protocol::request::Subscribe;
use gob_protocol::{Data, ErrorCode, Event, EventKind, Owner, Request};
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const CLI: ConnId = ConnId(1);
const READER: ConnId = ConnId(2);
const SLOW: ConnId = ConnId(3);
const WINDOW: u64 = SUBSCRIBER_QUEUE_FRAMES as u64;

fn everything() -> Subscribe {
    Subscribe::default()
}

fn since(seq: u64) -> Subscribe {
    Subscribe { since: Some(seq), ..Subscribe::default() }
}

/// A worker `w`, its owner, and two more clients.
fn world() -> World {
    let mut world = World::new(kind());
    for (conn, owner) in [(CLI, "cli"), (READER, "desktop"), (SLOW, "unknown")] {
        world.takes(&Step::Join(conn, owner));
    }
    world.takes(&Step::Ask(CLI, start("w")));
    world.settles();
    world
}

fn subscribed(world: &mut World, conn: ConnId, filter: Subscribe) -> SubscribeData {
    let id = world.asks(conn, Request::Subscribe(filter));
    match world.answer(conn, id) {
        Some(Ok(Data::Subscribe(data))) => data.clone(),
        other => panic!("{other:?}"),
    }
}

fn unread(world: &World, conn: ConnId) -> u64 {
    u64::from(world.clients[&conn].unread)
}

/// Two events each.
fn flood(world: &mut World, times: usize) {
    world.takes(&Step::Flood(CLI, name("w"), times));
}

fn got_and_missed(world: &World, conn: ConnId) -> (u64, u64) {
    let watch = world.clients[&conn].watch.as_ref().unwrap();
    (watch.got, watch.missed)
}

#[test]
fn a_slow_subscriber_lags_and_delays_no_other() {
    let mut world = world();
    subscribed(&mut world, READER, everything());
    subscribed(&mut world, SLOW, everything());
    for _ in 0..40 {
        flood(&mut world, 25);
        world.takes(&Step::Read(READER, 50));
    }
    assert_eq!(got_and_missed(&world, READER), (2_000, 0));
    assert_eq!(got_and_missed(&world, SLOW), (WINDOW, 0), "not told before it reads");
    assert_eq!(world.core.cx.news.lagged(), 2_000 - WINDOW);
    // It reads on, but is told only once it has caught up.
    world.takes(&Step::Read(SLOW, 960));
    assert_eq!(got_and_missed(&world, SLOW), (WINDOW, 0));
    flood(&mut world, 1);
    world.takes(&Step::Read(SLOW, 1));
    assert_eq!(got_and_missed(&world, SLOW), (WINDOW, 2_002 - WINDOW));
    flood(&mut world, 1);
    assert_eq!(got_and_missed(&world, SLOW), (WINDOW + 2, 2_002 - WINDOW), "and lives on");
}

#[test]
fn the_queue_of_a_subscription_outlives_it() {
    let mut world = world();
    for _ in 0..3 {
        subscribed(&mut world, SLOW, everything());
        flood(&mut world, 400);
        world.takes(&Step::Ask(SLOW, Request::Unsubscribe));
    }
    assert_eq!(unread(&world, SLOW), WINDOW, "a client that never reads fills one queue, not one each time");
    world.takes(&Step::Read(SLOW, 2_000));
    subscribed(&mut world, SLOW, everything());
    flood(&mut world, 3);
    assert_eq!(unread(&world, SLOW), 6);
}

/// A ring that is full, of more events than a queue takes; also its oldest event.
fn full_ring() -> (World, u64) {
    let mut world = world();
    flood(&mut world, 2_000);
    let last = world.history.len() as u64;
    let oldest = (1..=last).find(|seq| world.core.cx.news.get(*seq).is_some()).unwrap();
    assert!(last - oldest > WINDOW + 20, "the ring holds but {}", last - oldest);
    (world, oldest)
}

#[test]
fn a_replay_larger_than_the_queue_goes_on_as_it_is_read() {
    let (mut world, oldest) = full_ring();
    let (last, first) = (world.history.len() as u64, oldest + 10);
    let data = subscribed(&mut world, SLOW, since(first - 1));
    assert_eq!((data.seq, data.gap, data.workers), (last, false, None));
    assert_eq!(unread(&world, SLOW), WINDOW);
    // Events during the replay come after it, in order.
    flood(&mut world, 2);
    world.takes(&Step::Read(SLOW, 10));
    assert_eq!(got_and_missed(&world, SLOW), (WINDOW + 10, 0));
    world.takes(&Step::Read(SLOW, 2_000));
    let all = last + 4 - first + 1;
    assert_eq!(got_and_missed(&world, SLOW), (all, 0));
    flood(&mut world, 1);
    assert_eq!(got_and_missed(&world, SLOW), (all + 2, 0), "live again");
}

#[test]
fn a_replay_that_the_ring_overtakes_lags() {
    let (mut world, oldest) = full_ring();
    let first = oldest - 1;
    let leases = Subscribe { events: Some(vec![EventKind::LeaseGranted]), ..since(first) };
    subscribed(&mut world, READER, leases);
    let all = world.history.len() as u64 - first;
    assert_eq!(got_and_missed(&world, READER), (all / 2, 0), "every second event grants a lease");
    subscribed(&mut world, SLOW, since(first));
    flood(&mut world, 3_000);
    // It reads everything at once: no later report would bring the news.
    world.takes(&Step::Read(SLOW, 2_000));
    assert_eq!(got_and_missed(&world, SLOW), (WINDOW, all + 6_000 - WINDOW));
    flood(&mut world, 1);
    assert_eq!(got_and_missed(&world, SLOW).0, WINDOW + 2);
}

#[test]
fn since_is_exclusive_and_of_one_instance() {
    let mut world = world();
    let last = world.history.len() as u64;
    let with = |since: u64, instance: &str| Subscribe {
        since: Some(since),
        instance: Some(instance.into()),
        ..Subscribe::default()
    };
    // (since, instance, gap, replayed)
    let cases = [
        (0, INSTANCE, false, last),
        (last - 1, INSTANCE, false, 1),
        (last, INSTANCE, false, 0),
        (last + 1, INSTANCE, true, 0),
        (u64::MAX, INSTANCE, true, 0),
        (last, "an earlier life", true, 0),
    ];
    for (seq, instance, gap, replayed) in cases {
        let data = subscribed(&mut world, READER, with(seq, instance));
        assert_eq!((data.gap, data.workers.is_some()), (gap, gap), "since {seq} of {instance}");
        assert_eq!(got_and_missed(&world, READER).0, replayed, "since {seq} of {instance}");
        world.takes(&Step::Ask(READER, Request::Unsubscribe));
        world.step(&Step::Read(READER, 100)).unwrap();
    }
}

#[test]
fn one_subscription_for_a_connection() {
    let mut world = world();
    subscribed(&mut world, READER, everything());
    let id = world.asks(READER, Request::Subscribe(everything()));
    let code = world.answer(READER, id).map(|answer| answer.as_ref().map_err(|error| error.code).err());
    assert_eq!(code, Some(Some(ErrorCode::Busy)));
}

#[test]
fn the_answer_comes_before_the_first_event() {
    let mut world = world();
    let request = Request::Subscribe(Subscribe { snapshot: true, ..since(0) });
    let input = Input::Request { conn: READER, id: None, request };
    let now = crate::Now { mono_ms: world.now, wall: gob_protocol::Timestamp(0) };
    let out = world.core.apply(input, now);
    let kinds: Vec<bool> = out.iter().map(|effect| matches!(effect, Effect::Reply { .. })).collect();
    assert_eq!(kinds.first(), Some(&true));
    assert!(kinds.len() > 2 && kinds[1..].iter().all(|reply| !reply), "{out:?}");
}

#[test]
fn filters() {
    let mut world = world();
    let w = || vec![name("w")];
    let owner = |text| Some(Owner::new(text).unwrap());
    world.takes(&Step::Ask(READER, start("v")));
    world.settles();
    let kinds = |world: &mut World, filter: Subscribe| -> Vec<String> {
        let data = subscribed(world, SLOW, Subscribe { snapshot: true, ..filter });
        let names = data.workers.unwrap().into_iter().map(|view| view.name.as_str().into()).collect();
        world.takes(&Step::Ask(SLOW, Request::Unsubscribe));
        names
    };
    assert_eq!(kinds(&mut world, Subscribe { names: Some(w()), ..everything() }), ["w"]);
    assert_eq!(kinds(&mut world, Subscribe { owner: owner("desktop"), ..everything() }), ["v"]);
    assert_eq!(kinds(&mut world, Subscribe { cwd: Some("/data/v".into()), ..everything() }), ["v"]);
    assert_eq!(kinds(&mut world, everything()), ["v", "w"]);

    let filter = Subscribe {
        names: Some(w()),
        events: Some(vec![EventKind::WorkerStopped, EventKind::SupervisorStopping]),
        ..everything()
    };
    subscribed(&mut world, SLOW, filter);
    world.takes(&Step::Ask(CLI, stop("w")));
    world.takes(&Step::Ask(READER, stop("v")));
    world.settles();
    world.takes(&Step::Terminate);
    assert_eq!(got_and_missed(&world, SLOW).0, 1, "the end is about no worker");
}

#[test]
fn the_ring_is_bounded_in_events_and_in_bytes() {
    let mut world = world();
    flood(&mut world, 5_000);
    let kept = |world: &World| {
        let seqs = 1..=world.core.cx.news.seq();
        let events = seqs.filter_map(|seq| world.core.cx.news.get(seq).cloned());
        let events: Vec<std::rc::Rc<Event>> = events.map(|kept| kept.event).collect();
        let bytes: usize = events.iter().map(|event| serde_json::to_vec(&**event).unwrap().len()).sum();
        (events.len(), bytes)
    };
    let (events, bytes) = kept(&world);
    assert!(events <= RING_EVENTS, "{events} events");
    assert!(bytes <= RING_BYTES + RING_BYTES / 10, "{bytes} bytes are more than was said");
    assert!(bytes >= RING_BYTES / 10 * 9, "{bytes} bytes: the ring could hold more");
}

#[test]
fn a_full_page_names_the_worker_after_which_to_go_on() {
    let mut world = World::new(kind());
    world.takes(&Step::Join(CLI, "cli"));
    for worker in ["a", "b", "c"] {
        world.takes(&Step::Ask(CLI, start(worker)));
    }
    let views = world.core.views();
    let names = |most: usize, bytes: usize| {
        let (workers, next) = page(views.clone().into_iter(), most, bytes);
        let names = workers.iter().map(|view| view.name.to_string()).collect::<Vec<_>>().join(" ");
        (names, next.map(|name| name.to_string()))
    };
    let one = views[0].about_bytes();
    assert_eq!(names(2, usize::MAX), ("a b".into(), Some("b".into())));
    assert_eq!(names(3, usize::MAX), ("a b c".into(), None));
    assert_eq!(names(9, one), ("a".into(), Some("a".into())));
    assert_eq!(names(9, 0), ("a".into(), Some("a".into())), "one always");
    assert_eq!(names(0, usize::MAX), ("a".into(), Some("a".into())));
    let json = serde_json::to_string(&views[0]).unwrap();
    assert!((one..4 * one).contains(&(2 * json.len())), "{one} is not about {}", json.len());
}
