//! Ends of attempts, and what follows from them.

use super::*;
use gob_protocol::queue::Beat;

#[test]
fn an_attempt_that_fails_is_made_again_until_the_last_one() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.added(NewJob { max_attempts: 2, ..new_job(1, "ci") });
    assert_eq!(rig.claimed("ci"), Some((1, 1)));
    let again = rig.settled(ending(1, 1, failed_again(at(1000)))).job;
    assert_eq!((again.status, again.run_at, again.attempts), (QueueStatus::Pending, at(1000), 1));
    assert_eq!((again.error.as_deref(), again.locked_by, again.locked_at), (Some("exit code 3"), None, None));
    assert_eq!(rig.claimed("ci"), None, "it waits");
    assert_eq!(rig.claimed_at(at(1000), "ci").unwrap().job.attempt, 2);
    assert_eq!(rig.refused(ending(1, 1, QueueEnd::Completed)), QueueRefusal::NotClaimed(job_id(1)));
    let over = rig.settled(ending(1, 2, failed_again(at(2000)))).job;
    assert_eq!((over.status, over.attempts, over.finished_at), (QueueStatus::Failed, 2, Some(at(0))));
    assert_eq!(rig.refused(ending(1, 2, QueueEnd::Completed)), QueueRefusal::NotClaimed(job_id(1)));
    let env = Some([("A", "new")].into_iter().collect());
    let retried = rig.settled(QueueAsk::Retry { id: job_id(1), env, umask: None }).job;
    assert_eq!((retried.status, retried.attempts, retried.attempt), (QueueStatus::Pending, 0, 2));
    let claim = rig.claimed_at(at(0), "ci").unwrap();
    assert_eq!((claim.job.attempt, claim.env.unwrap().get("A"), claim.umask), (3, Some("new"), None));
    rig.finish();
    check(dir.path());
}

#[test]
fn a_claim_that_is_given_back_does_not_count_and_its_number_does_not_come_again() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.added(NewJob { max_attempts: 1, ..new_job(1, "ci") });
    for attempt in 1..=5 {
        assert_eq!(rig.claimed("ci"), Some((1, attempt)));
        let given = rig.settled(QueueAsk::GiveBack { id: job_id(1), attempt }).job;
        assert_eq!((given.status, given.attempts, given.worker), (QueueStatus::Pending, 0, None));
        assert_eq!(rig.refused(ending(1, attempt, QueueEnd::Completed)), QueueRefusal::NotClaimed(job_id(1)));
    }
    assert_eq!(rig.claimed("ci"), Some((1, 6)));
    let done = rig.settled(ending(1, 6, QueueEnd::Completed)).job;
    assert_eq!((done.status, done.attempt, done.attempts), (QueueStatus::Completed, 6, 1));
}

#[test]
fn a_job_waits_for_all_that_it_comes_after() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.added(new_job(1, "ci"));
    rig.added(new_job(2, "ci"));
    let third = rig.added(NewJob { after: vec![job_id(2), job_id(1), job_id(2)], ..new_job(3, "other") });
    assert_eq!(third.after, [job_id(1), job_id(2)]);
    assert_eq!(rig.claimed("other"), None);
    for number in [1, 2] {
        rig.claimed("ci");
        let settled = rig.settled(ending(number, 1, QueueEnd::Completed));
        assert_eq!(settled.lanes.contains(&lane("other")), number == 2);
        assert_eq!(rig.claimed("other").is_some(), number == 2);
    }
    // Of jobs that are completed, nothing is left to wait for.
    rig.added(NewJob { after: vec![job_id(1)], ..new_job(4, "other") });
    assert_eq!(rig.claimed("other"), Some((4, 1)));
    rig.finish();
    check(dir.path());
}

#[test]
fn a_job_comes_after_jobs_that_are_there_and_so_no_circle_comes_about() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let unknown = |ids: &[u64]| QueueRefusal::UnknownJobs(ids.iter().map(|id| job_id(*id)).collect());
    let after = |number, before: &[u64]| {
        add(NewJob { after: before.iter().map(|id| job_id(*id)).collect(), ..new_job(number, "ci") })
    };
    assert_eq!(rig.refused(after(1, &[1])), unknown(&[1]), "itself");
    assert_eq!(rig.refused(after(1, &[2, 3])), unknown(&[2, 3]), "later ones");
    rig.added(new_job(1, "ci"));
    rig.told(after(2, &[1]));
    // A refused job leaves nothing, so that its id can be taken by another.
    assert_eq!(rig.refused(after(3, &[1, 9])), unknown(&[9]));
    assert!(matches!(rig.refused(QueueAsk::Get { id: job_id(3) }), QueueRefusal::NoJob(_)));
    // A retry brings back what the job came after, and nothing else.
    rig.settled(QueueAsk::Cancel { id: job_id(1), reason: "asked".to_owned() });
    let retry = |number| QueueAsk::Retry { id: job_id(number), env: None, umask: None };
    let ended = QueueRefusal::AfterEnded { id: job_id(1), status: QueueStatus::Cancelled };
    assert_eq!(rig.refused(retry(2)), ended);
    assert_eq!(rig.refused(after(4, &[1])), ended);
    rig.settled(retry(1));
    assert_eq!(rig.settled(retry(2)).job.status, QueueStatus::Pending);
    assert_eq!(rig.claimed("ci"), Some((1, 1)));
    assert_eq!(rig.claimed("ci"), None, "the second waits for the first");
    rig.settled(ending(1, 1, QueueEnd::Completed));
    assert_eq!(rig.claimed("ci"), Some((2, 1)));
    assert!(matches!(rig.refused(retry(1)), QueueRefusal::Ended { status: QueueStatus::Completed, .. }));
    assert!(matches!(rig.refused(retry(2)), QueueRefusal::NotEnded { status: QueueStatus::Running, .. }));
    rig.finish();
    check(dir.path());
}

#[test]
fn whatever_comes_after_a_job_fails_with_it_by_name() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.added(NewJob { max_attempts: 1, ..new_job(1, "ci") });
    for number in 2..=5 {
        rig.added(NewJob { after: vec![job_id(number - 1)], ..new_job(number, "later") });
    }
    rig.added(NewJob { after: vec![job_id(1), job_id(4)], ..new_job(6, "later") });
    rig.claimed("ci");
    let settled = rig.settled(ending(1, 1, failed_again(at(9))));
    let mut failed: Vec<_> = settled.failed.iter().map(|job| job.id.number().unwrap()).collect();
    failed.sort_unstable();
    assert_eq!((failed.as_slice(), settled.unnamed), ([2, 3, 4, 5, 6].as_slice(), 0));
    assert_eq!(rig.job(2).error.as_deref(), Some("it comes after j1, which failed"));
    assert_eq!(rig.job(5).error.as_deref(), Some("it comes after j4, which failed"));
    rig.added(new_job(7, "ci"));
    rig.added(NewJob { after: vec![job_id(7)], ..new_job(8, "ci") });
    let settled = rig.settled(QueueAsk::Cancel { id: job_id(7), reason: "asked".to_owned() });
    assert_eq!(settled.failed[0].error.as_deref(), Some("it comes after j7, which was cancelled"));
    rig.finish();
    check(dir.path());
}

#[test]
fn of_many_that_fail_together_some_are_named_and_the_rest_counted() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.added(new_job(1, "ci"));
    for number in 2..=1_205 {
        rig.handle
            .ask(
                number,
                Question::Queue {
                    now: at(0),
                    ask: Box::new(add(NewJob { after: vec![job_id(1)], ..new_job(number, "ci") })),
                },
            )
            .unwrap();
        if number % 500 == 0 || number == 1_205 {
            while rig.answer().0 != number {}
        }
    }
    let settled = rig.settled(QueueAsk::Cancel { id: job_id(1), reason: "asked".to_owned() });
    assert_eq!((settled.failed.len(), settled.unnamed), (1_000, 204));
}

#[test]
fn a_job_that_is_cancelled_while_it_runs_is_held_until_its_claimant_lets_go() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let retry = QueueAsk::Retry { id: job_id(1), env: None, umask: None };
    let cancel = QueueAsk::Cancel { id: job_id(1), reason: "cancelled by cli".to_owned() };
    let beat = |attempt| Beat { id: job_id(1), attempt: Some(attempt), by: us(), at: at(5) };
    rig.added(NewJob { max_attempts: 9, ..new_job(1, "ci") });
    let lets_go: [(u32, QueueAsk); 3] = [
        (1, ending(1, 1, failed_again(at(0)))),
        (2, QueueAsk::GiveBack { id: job_id(1), attempt: 2 }),
        (3, QueueAsk::Stale { id: job_id(1), attempt: 3, error: "not heard".to_owned(), retry_at: at(0) }),
    ];
    for (attempt, let_go) in lets_go {
        assert_eq!(rig.claimed("ci"), Some((1, attempt)));
        let cancelled = rig.settled(cancel.clone()).job;
        assert_eq!((cancelled.status, cancelled.locked_by), (QueueStatus::Cancelled, None));
        let held = QueueRefusal::NotEnded { id: job_id(1), status: QueueStatus::Cancelled };
        assert_eq!(rig.refused(retry.clone()), held);
        assert!(matches!(rig.refused(cancel.clone()), QueueRefusal::Ended { .. }));
        // A claimant that gives a sign of life works, so that no other attempt may begin.
        let QueueTold::Heard { gone } = rig.told(QueueAsk::Heartbeat(vec![beat(attempt)])) else { panic!() };
        assert_eq!(gone, [job_id(1)]);
        assert_eq!(rig.refused(retry.clone()), held);
        assert_eq!(rig.settled(let_go).job.status, QueueStatus::Cancelled);
        assert_eq!(rig.job(1).error.as_deref(), Some("cancelled by cli"));
        rig.settled(retry.clone());
    }
}

#[test]
fn a_sign_of_life_is_of_its_own_claimant_and_attempt() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.added(new_job(1, "ci"));
    rig.told(QueueAsk::Claim { lane: lane("ci"), by: outside("host-1") });
    let beat =
        |id, attempt, worker: &str, ms| Beat { id: job_id(id), attempt, by: outside(worker), at: at(ms) };
    let heard = |rig: &mut Rig, beats| match rig.told(QueueAsk::Heartbeat(beats)) {
        QueueTold::Heard { gone } => gone,
        other => panic!("{other:?}"),
    };
    assert_eq!(heard(&mut rig, vec![beat(1, Some(1), "host-1", 70), beat(1, None, "host-1", 60)]), []);
    assert_eq!(rig.job(1).heartbeat_at, Some(at(70)));
    let wrong =
        vec![beat(1, Some(2), "host-1", 80), beat(1, Some(1), "host-2", 80), beat(9, None, "host-1", 80)];
    assert_eq!(heard(&mut rig, wrong), [job_id(1), job_id(1), job_id(9)]);
    assert_eq!(rig.job(1).heartbeat_at, Some(at(70)));
    let finish = |worker: &str| {
        let (id, by, end) = (job_id(1), outside(worker), QueueEnd::Completed);
        QueueAsk::Finish(Box::new(Ending { id, attempt: None, by, end, exit: None }))
    };
    assert_eq!(rig.refused(finish("host-2")), QueueRefusal::NotClaimed(job_id(1)));
    assert_eq!(rig.settled(finish("host-1")).job.status, QueueStatus::Completed);
}
