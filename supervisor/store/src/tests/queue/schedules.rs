//! Jobs that are added again and again.

use super::*;
use gob_protocol::queue::{Due, NewSchedule};
use gob_protocol::{Schedule, ScheduleName};

fn new() -> NewSchedule {
    NewSchedule {
        name: None,
        lane: lane("ci"),
        command: vec!["make".to_owned()],
        cwd: "/src".to_owned(),
        env: Some([("SECRET", "of-the-schedule")].into_iter().collect()),
        umask: Some(0o22),
        owner: Owner::cli(),
        max_attempts: 2,
        cron: None,
        interval_ms: Some(60_000),
        timezone: None,
    }
}

fn schedule(rig: &mut Rig, new: NewSchedule) -> Schedule {
    match rig.told(QueueAsk::ScheduleAdd(Box::new(new))) {
        QueueTold::Schedule(schedule) => *schedule,
        other => panic!("{other:?}"),
    }
}

fn due(rig: &mut Rig, ms: i64, ids: &[u64]) -> Due {
    let ids = ids.iter().map(|id| job_id(*id)).collect();
    match rig.told_at(at(ms), QueueAsk::ScheduleDue { ids }) {
        QueueTold::Due(due) => *due,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_schedule_adds_a_job_when_it_is_due_and_makes_up_once_for_what_it_missed() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let made = schedule(&mut rig, new());
    assert_eq!((made.name.as_str(), made.next_at, made.last_job), ("ci", Some(at(60_000)), None));
    let early = due(&mut rig, 59_999, &[1, 2]);
    assert_eq!((early.fired.len(), early.unused.len(), early.next_at), (0, 2, Some(at(60_000))));
    let first = due(&mut rig, 60_000, &[1, 2]);
    let job = &first.fired[0].job;
    assert_eq!((job.id.clone(), job.schedule.clone(), job.max_attempts), (job_id(1), Some(made.name), 2));
    assert_eq!((first.unused, first.next_at), (vec![job_id(2)], Some(at(120_000))));
    let claim = rig.claimed_at(at(60_000), "ci").unwrap();
    assert_eq!((claim.env.unwrap().get("SECRET"), claim.umask), (Some("of-the-schedule"), Some(0o22)));
    // The machine slept over nine times; the beat stays.
    let late = due(&mut rig, 10 * 60_000 + 5, &[2, 3]);
    assert_eq!((late.fired.len(), late.next_at), (1, Some(at(11 * 60_000))));
    assert_eq!(late.fired[0].schedule.last_job, Some(job_id(2)));
    assert_eq!(late.fired[0].schedule.last_at, Some(at(10 * 60_000 + 5)));
    // While its last job waits, no other one is added.
    let waits = due(&mut rig, 12 * 60_000, &[3]);
    assert_eq!((waits.fired.len(), waits.unused.len(), waits.next_at), (0, 1, Some(at(13 * 60_000))));
    rig.finish();
    check(dir.path());
}

#[test]
fn a_cron_schedule_is_in_its_zone() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    // NOW is 2027-01-15T08:00Z.
    let in_berlin = NewSchedule {
        name: Some(ScheduleName::new("daily").unwrap()),
        interval_ms: None,
        cron: Some("30 9 * * *".to_owned()),
        timezone: Some("Europe/Berlin".to_owned()),
        ..new()
    };
    let made = schedule(&mut rig, in_berlin);
    assert_eq!(made.next_at.unwrap().to_string(), "2027-01-15T08:30:00.000Z");
    let fired = due(&mut rig, 3 * 24 * 3_600_000, &[1]);
    assert_eq!(fired.next_at.unwrap().to_string(), "2027-01-18T08:30:00.000Z");
}

#[test]
fn with_too_few_ids_the_rest_stays_due() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let names: Vec<_> = (0..3).map(|_| schedule(&mut rig, new()).name.to_string()).collect();
    assert_eq!(names, ["ci", "ci-2", "ci-3"]);
    let part = due(&mut rig, 60_000, &[1, 2]);
    assert_eq!((part.fired.len(), part.next_at), (2, Some(at(60_000))));
    let rest = due(&mut rig, 60_000, &[3]);
    assert_eq!((rest.fired.len(), rest.next_at), (1, Some(at(120_000))));
}

#[test]
fn a_schedule_is_listed_and_removed_and_refused_with_the_reason() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let name = schedule(&mut rig, new()).name;
    let taken = NewSchedule { name: Some(name.clone()), ..new() };
    let mut said = |new: NewSchedule| rig.refused(QueueAsk::ScheduleAdd(Box::new(new))).to_string();
    assert_eq!(said(taken), "there is a schedule `ci` already");
    assert!(said(NewSchedule { interval_ms: Some(999), ..new() }).contains("from 1 second"));
    assert!(said(NewSchedule { interval_ms: None, ..new() }).contains("a cron expression or an interval"));
    assert!(said(NewSchedule { cron: Some("@daily".to_owned()), ..new() }).contains("not both"));
    let cron = |text: &str| NewSchedule { interval_ms: None, cron: Some(text.to_owned()), ..new() };
    assert!(said(cron("0 0 31 2 *")).contains("never comes"));
    assert!(said(cron("61 * * * *")).contains("`61` is no minute"));
    assert!(
        said(NewSchedule { timezone: Some("Mars".to_owned()), ..cron("@daily") })
            .contains("time zone `Mars`")
    );
    let list =
        |rig: &mut Rig, only: Option<&str>| match rig.told(QueueAsk::ScheduleList { lane: only.map(lane) }) {
            QueueTold::Schedules(found) => found.len(),
            other => panic!("{other:?}"),
        };
    assert_eq!((list(&mut rig, None), list(&mut rig, Some("ci")), list(&mut rig, Some("other"))), (1, 1, 0));
    let remove = QueueAsk::ScheduleRemove { name: name.clone() };
    assert!(matches!(rig.told(remove.clone()), QueueTold::Schedule(was) if was.name == name));
    assert_eq!(rig.refused(remove), QueueRefusal::NoSchedule(name));
    assert_eq!((list(&mut rig, None), due(&mut rig, 90_000, &[1]).fired.len()), (0, 0));
    rig.finish();
    let kept: i64 =
        sqlite(dir.path()).query_row("SELECT count(*) FROM schedule_env", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 0);
}
