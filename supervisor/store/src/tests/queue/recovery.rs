//! The queue as the next life of a supervisor finds it.

use super::*;
use std::fs;
use std::os::unix::fs::FileExt as _;

fn life(dir: &Path, instance: &str) -> Rig {
    Rig::with(dir, |settings| settings.instance = instance.to_owned())
}

fn recover(rig: &mut Rig, except: &[u64]) -> (Vec<QueueJob>, u64, Vec<QueueJob>) {
    let except = except.iter().map(|id| job_id(*id)).collect();
    let error = "the supervisor ended while it ran".to_owned();
    match rig.told(QueueAsk::Recover { except, error, retry_at: at(50) }) {
        QueueTold::Recovered { jobs, count, outside, .. } => (jobs, count, outside),
        other => panic!("{other:?}"),
    }
}

#[test]
fn claims_of_an_earlier_life_go_back_when_that_is_asked_for() {
    let dir = dir();
    let mut rig = life(dir.path(), "first");
    for number in 1..=5 {
        let max_attempts = if number == 2 { 1 } else { 3 };
        rig.added(NewJob { max_attempts, ..new_job(number, "ci") });
    }
    rig.added(NewJob { after: vec![job_id(2)], ..new_job(6, "other") });
    for number in 1..=4 {
        assert_eq!(rig.claimed("ci"), Some((number, 1)));
    }
    rig.told(QueueAsk::Claim { lane: lane("ci"), by: outside("host-7") });
    rig.settled(QueueAsk::Cancel { id: job_id(4), reason: "asked".to_owned() });
    assert_eq!(recover(&mut rig, &[]).1, 0, "its own claims are not those of an earlier life");
    rig.finish();
    let mut rig = life(dir.path(), "second");
    assert_eq!(rig.status(1), QueueStatus::Running, "nothing goes back by itself");
    assert_eq!(rig.refused(ending(1, 1, QueueEnd::Completed)), QueueRefusal::NotClaimed(job_id(1)));
    let (jobs, count, held) = recover(&mut rig, &[3]);
    assert_eq!((jobs.len(), count), (3, 3), "a cancelled one goes back, and is no news: {jobs:?}");
    let first = rig.job(1);
    assert_eq!((first.status, first.run_at, first.attempts), (QueueStatus::Pending, at(50), 1));
    assert_eq!(first.error.as_deref(), Some("the supervisor ended while it ran"));
    assert_eq!((rig.status(2), rig.status(6)), (QueueStatus::Failed, QueueStatus::Failed));
    assert_eq!((rig.status(3), rig.status(4)), (QueueStatus::Running, QueueStatus::Cancelled));
    rig.settled(QueueAsk::Retry { id: job_id(4), env: None, umask: None });
    // A worker outside goes on, and its claim is one of this life.
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].id.clone(), held[0].status, held[0].attempt), (job_id(5), QueueStatus::Running, 1));
    let finish = Ending {
        id: job_id(5),
        attempt: Some(1),
        by: outside("host-7"),
        end: QueueEnd::Completed,
        exit: None,
    };
    assert_eq!(rig.settled(QueueAsk::Finish(Box::new(finish))).job.status, QueueStatus::Completed);
    // Jobs on which an earlier process still worked are asked for again.
    assert_eq!(recover(&mut rig, &[]).1, 1);
    assert_eq!(rig.status(3), QueueStatus::Pending);
    rig.finish();
    check(dir.path());
}

#[test]
fn the_queue_of_a_damaged_store_is_kept_as_far_as_it_can_be_read() {
    let dir = dir();
    let mut rig = life(dir.path(), "first");
    for number in 1..=300 {
        let after = if number > 200 { vec![job_id(number - 100)] } else { Vec::new() };
        rig.added(NewJob { after, ..new_job(number, "ci") });
    }
    rig.claimed("ci");
    rig.told(QueueAsk::Width { lane: lane("ci"), width: 7 });
    rig.finish();
    let db = sqlite(dir.path());
    let root: i64 = db
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'job_next'", [], |row| row.get(0))
        .unwrap();
    let size: i64 = db.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    drop(db);
    let store = fs::OpenOptions::new().write(true).open(file(dir.path())).unwrap();
    store.write_all_at(&[0xA5; 2048], u64::try_from((root - 1) * size).unwrap()).unwrap();
    let mut rig = life(dir.path(), "second");
    let told = rig.told(claim("ci"));
    assert!(matches!(told, QueueTold::Claimed { claim: Some(_), .. }), "{told:?}");
    let [Notice::Damaged { kept, .. }] = rig.notices.as_slice() else { panic!("{:?}", rig.notices) };
    assert_eq!((kept.queued, kept.is_whole), (300, true));
    assert!(kept.to_string().starts_with("300 jobs of the queue, 0 schedules, "));
    assert_eq!(recover(&mut rig, &[]).1, 1);
    let QueueTold::Lane(state) = rig.told(QueueAsk::Lane { lane: lane("ci") }) else { panic!() };
    assert_eq!((state.lane.width, state.lane.counts.pending, state.lane.counts.running), (7, 299, 1));
    assert!(rig.reserve(1) > 300);
    rig.finish();
    check(dir.path());
}

#[test]
fn a_store_that_is_deleted_while_it_is_open_keeps_its_queue() {
    let dir = dir();
    let mut rig = life(dir.path(), "first");
    rig.added(new_job(1, "ci"));
    rig.added(NewJob { after: vec![job_id(1)], ..new_job(2, "ci") });
    assert_eq!(rig.claimed("ci"), Some((1, 1)));
    fs::remove_file(file(dir.path())).unwrap();
    rig.added(new_job(3, "ci"));
    assert!(matches!(rig.notices.as_slice(), [Notice::Deleted { .. }]), "{:?}", rig.notices);
    rig.settled(ending(1, 1, QueueEnd::Completed));
    assert_eq!((rig.claimed("ci"), rig.claimed("ci"), rig.claimed("ci")), (Some((2, 1)), Some((3, 1)), None));
    rig.finish();
    check(dir.path());
}

#[test]
fn a_job_fails_with_one_that_was_lost_with_a_damaged_file() {
    let dir = dir();
    let mut rig = life(dir.path(), "first");
    for number in 1..=3 {
        let after = if number > 1 { vec![job_id(number - 1)] } else { Vec::new() };
        rig.added(NewJob { after, ..new_job(number, "ci") });
    }
    rig.finish();
    let db = sqlite(dir.path());
    db.execute_batch("UPDATE job SET command = 'no list' WHERE number = 1").unwrap();
    drop(db);
    fs::rename(file(dir.path()), dir.path().join("was")).unwrap();
    fs::write(file(dir.path()), fs::read(dir.path().join("was")).unwrap()).unwrap();
    // A row that can't be understood is one that can't be claimed, and fails with those that come after it.
    let mut rig = life(dir.path(), "second");
    assert_eq!(rig.claimed("ci"), None);
    assert_eq!((rig.status(2), rig.status(3)), (QueueStatus::Failed, QueueStatus::Failed));
    rig.finish();
    let db = sqlite(dir.path());
    db.execute_batch("UPDATE job SET status = 0, finished_at = NULL WHERE number > 1; PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'broken' WHERE name = 'life'").unwrap();
    drop(db);
    let mut rig = life(dir.path(), "third");
    let job = rig.job(2);
    assert!(job.error.unwrap().contains("lost with a damaged file"));
    assert_eq!(rig.status(3), QueueStatus::Failed);
    rig.finish();
    check(dir.path());
}
