//! Lanes, and all of their jobs at once.

use super::*;
use gob_protocol::queue::{LaneState, MAX_LANES};

fn state(rig: &mut Rig, ask: QueueAsk) -> LaneState {
    match rig.told(ask) {
        QueueTold::Lane(state) => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lane_exists_once_it_is_named_and_keeps_its_settings() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let made = state(&mut rig, QueueAsk::Lane { lane: lane("ci") });
    assert_eq!((made.lane.width, made.lane.paused, made.due), (1, false, None));
    state(&mut rig, QueueAsk::Width { lane: lane("ci"), width: 0 });
    assert!(state(&mut rig, QueueAsk::Pause { lane: lane("ci") }).lane.paused);
    rig.added(new_job(1, "ci"));
    rig.finish();
    let mut rig = Rig::new(dir.path());
    let found = state(&mut rig, QueueAsk::Lane { lane: lane("ci") });
    assert_eq!((found.lane.width, found.lane.paused, found.lane.counts.pending), (0, true, 1));
    assert_eq!(found.due, Some(at(0)));
    assert_eq!(rig.claimed("ci"), None, "it is paused");
    state(&mut rig, QueueAsk::Resume { lane: lane("ci") });
    assert_eq!(rig.claimed("ci"), Some((1, 1)));
}

#[test]
fn to_clear_a_lane_cancels_what_waits_there_and_is_ones_own() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let agent = Owner::new("agent").unwrap();
    for number in 1..=700 {
        let owner = if number % 100 == 0 { agent.clone() } else { Owner::cli() };
        rig.added(NewJob { owner, ..new_job(number, "ci") });
    }
    rig.added(NewJob { after: vec![job_id(650)], ..new_job(701, "other") });
    assert_eq!(rig.claimed("ci"), Some((1, 1)));
    let clear =
        QueueAsk::Clear { lane: lane("ci"), owners: vec![Owner::cli()], reason: "cleared by cli".to_owned() };
    let QueueTold::Cleared { cancelled: 500, more: true, jobs, .. } = rig.told(clear.clone()) else {
        panic!()
    };
    assert_eq!(jobs.len(), 501);
    let QueueTold::Cleared { cancelled: 192, more: false, lane: state, .. } = rig.told(clear) else {
        panic!()
    };
    let counts = state.lane.counts;
    assert_eq!((counts.pending, counts.running, counts.cancelled), (7, 1, 692));
    assert_eq!(rig.job(2).error.as_deref(), Some("cleared by cli"));
    assert_eq!((rig.status(100), rig.status(701)), (QueueStatus::Pending, QueueStatus::Failed));
    rig.finish();
    check(dir.path());
}

#[test]
fn jobs_of_a_cleared_lane_that_come_after_each_other_are_all_cancelled() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.added(new_job(1, "ci"));
    rig.added(NewJob { after: vec![job_id(1)], priority: -5, ..new_job(2, "ci") });
    rig.added(NewJob { after: vec![job_id(2)], priority: 5, ..new_job(3, "ci") });
    let clear =
        QueueAsk::Clear { lane: lane("ci"), owners: vec![Owner::cli()], reason: "cleared".to_owned() };
    let QueueTold::Cleared { cancelled: 3, jobs, .. } = rig.told(clear) else { panic!() };
    assert!(jobs.iter().all(|job| job.status == QueueStatus::Cancelled), "{jobs:?}");
    rig.finish();
    check(dir.path());
}

#[test]
fn lanes_have_a_bound_and_those_without_use_make_room() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    for number in 0..MAX_LANES {
        state(&mut rig, QueueAsk::Lane { lane: lane(&format!("l{number}")) });
    }
    rig.added(new_job(1, "one-more"));
    let QueueTold::Lanes(lanes) = rig.told(QueueAsk::Lanes) else { panic!() };
    assert_eq!(lanes.len(), 1);
    for number in 1..MAX_LANES {
        state(&mut rig, QueueAsk::Pause { lane: lane(&format!("l{number}")) });
    }
    let full = QueueRefusal::TooMany { what: "lanes", most: MAX_LANES };
    assert_eq!(rig.refused(add(new_job(2, "too-many"))), full);
    rig.added(new_job(2, "one-more"));
}

#[test]
fn all_can_be_counted_and_deleted() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    for number in 1..=4 {
        rig.added(new_job(number, "ci"));
    }
    rig.claimed("ci");
    rig.settled(QueueAsk::Cancel { id: job_id(4), reason: "asked".to_owned() });
    assert_eq!(rig.told(QueueAsk::Unfinished), QueueTold::Unfinished(3));
    assert_eq!(rig.told(QueueAsk::DeleteAll), QueueTold::Deleted(4));
    assert_eq!(
        (rig.told(QueueAsk::Unfinished), rig.told(QueueAsk::Lanes)),
        (QueueTold::Unfinished(0), QueueTold::Lanes(vec![]))
    );
    assert!(rig.reserve(1) > 0);
    rig.finish();
    check(dir.path());
}

#[test]
fn jobs_that_have_ended_go_by_age() {
    let dir = dir();
    // None of them goes before the next store is opened.
    let mut rig = Rig::with(dir.path(), |settings| settings.keep_finished = Duration::from_secs(3_600));
    for number in 1..=5 {
        rig.added(new_job(number, "ci"));
    }
    let now = Timestamp(now());
    let long_ago = Timestamp(now.0 - 61_000);
    for (number, time) in [(1, long_ago), (2, now), (3, long_ago)] {
        rig.told_at(time, QueueAsk::Cancel { id: job_id(number), reason: "asked".to_owned() });
    }
    rig.finish();
    let mut rig = Rig::with(dir.path(), |settings| settings.keep_finished = Duration::from_secs(60));
    wait_for(&mut rig, 3);
    assert_eq!(rig.status(2), QueueStatus::Cancelled);
    rig.trimmed_jobs.sort();
    assert_eq!(rig.trimmed_jobs, [job_id(1), job_id(3)], "their logs go with them");
    // Other bounds hold at once, in the open file.
    rig.handle.set_bounds(1_000, Duration::from_secs(3_600), Duration::ZERO);
    wait_for(&mut rig, 2);
    assert_eq!((rig.status(4), rig.status(5)), (QueueStatus::Pending, QueueStatus::Pending));
    assert_eq!(rig.trimmed_jobs, [job_id(1), job_id(3), job_id(2)]);
    rig.finish();
    check(dir.path());
}

/// Waits until a job is not there any more.
fn wait_for(rig: &mut Rig, number: u64) {
    let until = Instant::now() + DEADLINE;
    while rig.told(QueueAsk::Get { id: job_id(number) })
        != QueueTold::Refused(QueueRefusal::NoJob(job_id(number)))
    {
        assert!(Instant::now() < until);
    }
}
