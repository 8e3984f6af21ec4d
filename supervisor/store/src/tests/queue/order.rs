//! The order of claims and of lists.

use super::*;

#[test]
fn claims_are_in_the_order_of_priority_then_time_then_id() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    for (number, priority, ms) in [(1, 0, 0), (2, 5, -10), (3, 5, -20), (4, -1, -99), (5, 5, -20), (6, 0, -1)]
    {
        let job = rig.added(NewJob { priority, run_at: at(ms), ..new_job(number, "ci") });
        assert_eq!((job.status, job.attempt, job.locked_by), (QueueStatus::Pending, 0, None));
    }
    rig.added(new_job(7, "other"));
    let order: Vec<_> = std::iter::from_fn(|| rig.claimed("ci")).collect();
    assert_eq!(order, [(3, 1), (5, 1), (2, 1), (6, 1), (1, 1), (4, 1)]);
    assert_eq!(rig.claimed("nothing"), None);
    rig.finish();
    check(dir.path());
}

#[test]
fn a_claim_passes_over_what_is_delayed_and_tells_when_it_is_due() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.added(NewJob { priority: 9, run_at: at(500), ..new_job(1, "ci") });
    rig.added(NewJob { priority: 8, run_at: at(300), ..new_job(2, "ci") });
    rig.added(new_job(3, "ci"));
    let QueueTold::Claimed { claim: Some(found), due } = rig.told(claim("ci")) else { panic!() };
    assert_eq!((found.job.id, due), (job_id(3), Some(at(300))));
    let QueueTold::Claimed { claim: None, due } = rig.told(claim("ci")) else { panic!() };
    assert_eq!(due, Some(at(300)));
    let QueueTold::Claimed { claim: Some(found), due } = rig.told_at(at(600), claim("ci")) else { panic!() };
    assert_eq!((found.job.id, due), (job_id(1), Some(at(300))), "the other may be claimed at once");
    assert_eq!(rig.claimed_at(at(600), "ci").unwrap().job.id, job_id(2));
    let QueueTold::Claimed { claim: None, due: None } = rig.told(claim("ci")) else { panic!() };
}

#[test]
fn only_the_supervisor_gets_the_environment_and_no_shape_has_it() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.added(new_job(1, "ci"));
    rig.added(new_job(2, "ci"));
    let ours = rig.claimed_at(at(0), "ci").unwrap();
    assert_eq!(ours.env.unwrap().get("SECRET"), Some("hunter2-in-the-environment"));
    assert_eq!(
        (ours.umask, ours.job.worker, ours.job.locked_by.as_deref()),
        (Some(0o27), Some(job_id(1)), Some("gobd-1"))
    );
    let ask = QueueAsk::Claim { lane: lane("ci"), by: outside("host-9") };
    let QueueTold::Claimed { claim: Some(theirs), .. } = rig.told(ask) else { panic!() };
    assert_eq!(
        (theirs.env, theirs.job.worker, theirs.job.locked_by.as_deref()),
        (None, None, Some("host-9"))
    );
}

#[test]
fn a_key_is_waiting_or_running_once() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let keyed = |number| NewJob { dedupe: Some("nightly".to_owned()), ..new_job(number, "ci") };
    rig.added(keyed(1));
    let again = |rig: &mut Rig, number| match rig.told(add(keyed(number))) {
        QueueTold::Added { job, is_new } => (job.id, is_new),
        other => panic!("{other:?}"),
    };
    assert_eq!(again(&mut rig, 2), (job_id(1), false));
    assert_eq!(rig.claimed("ci"), Some((1, 1)));
    assert_eq!(again(&mut rig, 3), (job_id(1), false), "it runs");
    rig.settled(QueueAsk::Cancel { id: job_id(1), reason: "asked".to_owned() });
    assert_eq!(again(&mut rig, 4), (job_id(4), true));
    rig.settled(ending(1, 1, QueueEnd::Completed));
    let retry = QueueAsk::Retry { id: job_id(1), env: None, umask: None };
    let other = QueueRefusal::SameKey { id: job_id(4), status: QueueStatus::Pending };
    assert_eq!(rig.refused(retry), other);
    assert_eq!(rig.refused(add(new_job(4, "ci"))), QueueRefusal::IdTaken(job_id(4)));
}

#[test]
fn pages_go_on_where_the_last_one_ended_and_follow_the_life_of_jobs() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    for number in 1..=20 {
        let name = if number % 3 == 0 { "b" } else { "a" };
        let priority = i32::try_from(number % 4).unwrap();
        rig.added(NewJob { priority, ..new_job(number, name) });
    }
    let mut ended = Vec::new();
    for round in 0..6 {
        let (number, attempt) = rig.claimed("a").unwrap();
        let end = if round % 2 == 0 {
            QueueEnd::Completed
        } else {
            QueueEnd::Cancelled { reason: "asked".to_owned() }
        };
        rig.told_at(at(round), ending(number, attempt, end));
        ended.insert(0, number);
    }
    let running: Vec<_> = ["b", "a"].map(|name| rig.claimed(name).unwrap().0).into();
    let pages = |rig: &mut Rig, name: Option<&str>, status, limit| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let is_first = after.is_none();
            let ask = QueueAsk::List { lane: name.map(lane), status, after, limit };
            let QueueTold::Listed(listed) = rig.told(ask) else { panic!() };
            assert_eq!(is_first, !listed.lanes.is_empty());
            assert!(listed.jobs.len() <= usize::try_from(limit).unwrap());
            all.extend(listed.jobs.into_iter().map(|job| job.id.number().unwrap()));
            after = listed.next;
            if after.is_none() {
                return all;
            }
        }
    };
    let whole = pages(&mut rig, None, None, 1000);
    assert_eq!(whole.len(), 20);
    let mut first = running.clone();
    first.sort_unstable();
    assert_eq!(whole[..2], first);
    assert_eq!(whole[14..], ended);
    for limit in 1..8 {
        assert_eq!(pages(&mut rig, None, None, limit), whole, "{limit}");
        let of_a = pages(&mut rig, Some("a"), None, limit);
        assert_eq!(of_a, whole.iter().copied().filter(|number| number % 3 != 0).collect::<Vec<_>>());
        for status in QueueStatus::ALL {
            let found = pages(&mut rig, None, Some(status), limit);
            let expected: Vec<_> =
                whole.iter().copied().filter(|number| rig.status(*number) == status).collect();
            assert_eq!(found, expected, "{limit} {status}");
        }
    }
    let waiting = pages(&mut rig, Some("b"), Some(QueueStatus::Pending), 2);
    let claims: Vec<_> = std::iter::from_fn(|| rig.claimed("b")).map(|(number, _)| number).collect();
    assert_eq!(waiting, claims, "they wait in the order of claims");
    let ask = QueueAsk::List { lane: None, status: None, after: Some("j7".to_owned()), limit: 5 };
    assert_eq!(rig.refused(ask), QueueRefusal::BadCursor);
}
