//! Data on the disk, and answers when it can't be there.

use super::*;
use std::fs;

fn ask(rig: &Rig, ticket: u64, ask: QueueAsk) {
    rig.handle.ask(ticket, Question::Queue { now: at(0), ask: Box::new(ask) }).unwrap();
}

#[test]
fn environments_are_gone_from_the_file_once_a_job_has_ended() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let big = "of-a-job-".repeat(2_000);
    for number in 1..=20 {
        let env =
            Some([("SECRET", big.as_str()), ("TOKEN", "hunter2-in-the-environment")].into_iter().collect());
        rig.added(NewJob { env, max_attempts: 1, ..new_job(number, "ci") });
    }
    let holds = |dir: &Path| {
        let text = fs::read(file(dir)).unwrap();
        ["of-a-job-of-a-job", "hunter2-in-the"]
            .map(|part| text.windows(part.len()).any(|at| at == part.as_bytes()))
    };
    rig.finish();
    assert_eq!(holds(dir.path()), [true, true]);
    let mut rig = Rig::new(dir.path());
    for round in 0..20 {
        let (number, attempt) = rig.claimed("ci").unwrap();
        let end = if round % 2 == 0 { QueueEnd::Completed } else { failed_again(at(0)) };
        rig.settled(ending(number, attempt, end));
    }
    rig.finish();
    assert_eq!(holds(dir.path()), [false, false]);
    let log = fs::metadata(crate::files::beside(&file(dir.path()), "-wal"));
    assert!(log.is_err(), "its log is merged and gone");
}

#[test]
fn only_a_store_with_a_queue_is_noted_as_one() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.reserve(1);
    assert!(file(dir.path()).exists() && !crate::has_queue(dir.path()));
    rig.added(new_job(1, "ci"));
    assert!(crate::has_queue(dir.path()));
    // A store that was deleted is followed by another one, with the queue of the first.
    fs::remove_file(file(dir.path())).unwrap();
    fs::remove_file(crate::files::beside(&file(dir.path()), "-queue")).unwrap();
    rig.added(new_job(2, "ci"));
    assert!(crate::has_queue(dir.path()));
    rig.finish();
}

#[test]
fn many_questions_that_wait_are_answered_each_by_itself_and_in_their_order() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.reserve(1);
    for number in 1..=400 {
        // Each third one is refused, and its neighbours are not.
        let after = if number % 3 == 0 { vec![job_id(999)] } else { Vec::new() };
        ask(&rig, number, add(NewJob { after, ..new_job(number, "ci") }));
    }
    for number in 401..=500 {
        ask(&rig, number, claim("ci"));
    }
    let mut claimed = Vec::new();
    for number in 1..=500 {
        let (ticket, answer) = rig.answer();
        assert_eq!(ticket, number);
        let Ok(Answer::Queue(told)) = answer else { panic!("{answer:?}") };
        match *told {
            QueueTold::Added { is_new: true, .. } => assert_ne!(number % 3, 0),
            QueueTold::Refused(QueueRefusal::UnknownJobs(_)) => assert_eq!(number % 3, 0),
            QueueTold::Claimed { claim: Some(claim), .. } => claimed.push(claim.job.id.number().unwrap()),
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<_> = (1..=400).filter(|number| number % 3 != 0).take(100).collect();
    assert_eq!(claimed, expected, "in the order of the questions");
    rig.finish();
    check(dir.path());
}

#[test]
fn of_64_claimants_at_once_no_two_get_the_same_job() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    for number in 1..=400 {
        ask(&rig, number, add(new_job(number, "ci")));
    }
    for _ in 1..=400 {
        assert!(rig.answer().1.is_ok());
    }
    std::thread::scope(|scope| {
        for claimant in 0..64 {
            let handle = &rig.handle;
            scope.spawn(move || {
                for round in 0..8 {
                    let by = outside(&format!("host-{claimant}"));
                    let question = QueueAsk::Claim { lane: lane("ci"), by };
                    let question = Question::Queue { now: at(0), ask: Box::new(question) };
                    handle.ask(claimant * 8 + round, question).unwrap();
                }
            });
        }
    });
    let mut claimed = std::collections::BTreeMap::new();
    let mut in_vain = 0;
    for _ in 0..64 * 8 {
        let (ticket, answer) = rig.answer();
        let Ok(Answer::Queue(told)) = answer else { panic!("{answer:?}") };
        let QueueTold::Claimed { claim, .. } = *told else { panic!("{told:?}") };
        let Some(claim) = claim else {
            in_vain += 1;
            continue;
        };
        assert_eq!(claim.job.locked_by, Some(format!("host-{}", ticket / 8)));
        assert_eq!(claimed.insert(claim.job.id.clone(), ticket), None);
    }
    assert_eq!((claimed.len(), in_vain), (400, 112));
    rig.finish();
    check(dir.path());
}

#[test]
fn questions_about_the_queue_and_a_flood_of_records_do_not_keep_each_other_waiting() {
    let dir = dir();
    let own = Arc::new(Mutex::new(None::<Arc<Handle>>));
    let looks = Arc::clone(&own);
    let (post, told) = channel();
    let (gate, opened) = channel::<()>();
    let opened = Mutex::new(opened);
    // Called by the store's thread, which can't go on meanwhile: it tells how many records wait, and stands still after each of the
    // first two answers until all that follows has been handed in.
    let settings = Settings::new(dir.path().to_owned(), "first".to_owned());
    let handle = Store::spawn(settings, move |message| {
        if let Told::Answer { ticket, answer } = message {
            let left = looks.lock().unwrap().as_ref().map(|handle| handle.health().waiting);
            post.send((ticket, answer.is_ok(), left.unwrap())).unwrap_or_default();
            if ticket < 2 {
                opened.lock().unwrap().recv_timeout(DEADLINE).unwrap();
            }
        }
    });
    let handle = Arc::new(handle);
    *own.lock().unwrap() = Some(Arc::clone(&handle));
    let asks = |number| {
        let ask = Box::new(add(new_job(number, "ci")));
        handle.ask(number, Question::Queue { now: at(0), ask }).unwrap();
    };
    let answer = || told.recv_timeout(DEADLINE).unwrap();

    handle.ask(0, Question::Highest { name: None }).unwrap();
    assert_eq!(answer(), (0, true, 0));
    for number in 1..=6_000 {
        handle.record(run("web", begun(number))).unwrap();
    }
    asks(1);
    gate.send(()).unwrap();
    let (ticket, is_ok, before) = answer();
    assert!(ticket == 1 && is_ok && before > 0, "the records before it still wait: {before}");
    // And the other way round: records are written while questions before them still wait.
    (2..=450).for_each(asks);
    for number in 6_001..=6_600 {
        handle.record(run("web", begun(number))).unwrap();
    }
    gate.send(()).unwrap();
    let answers: Vec<_> = (2..=450).map(|_| answer()).collect();
    assert!(answers.iter().all(|(_, is_ok, _)| *is_ok));
    let left: Vec<usize> = answers.iter().map(|(_, _, left)| *left).collect();
    assert!(left.first() == Some(&600) && left.last() < Some(&600), "{left:?}");
    own.lock().unwrap().take();
}

#[test]
fn beyond_its_bounds_a_question_is_refused_at_once() {
    let dir = dir();
    // A busy disk takes its time for a hundred megabytes.
    let locked = Rig::with(dir.path(), |settings| settings.answer_within = Duration::from_secs(300));
    locked.handle.ask(1, Question::Highest { name: None }).unwrap();
    let env: gob_protocol::Env = [("BIG", "x".repeat(1 << 20))].into_iter().collect();
    let big = |number| Question::Queue {
        now: at(0),
        ask: Box::new(add(NewJob { env: Some(env.clone()), ..new_job(number, "ci") })),
    };
    let refused = (2..200).filter(|number| locked.handle.ask(*number, big(*number)).is_err()).count();
    assert!(refused > 100, "{refused}");
    // Those that were taken are answered.
    let mut rig = locked;
    for _ in 0..199 - refused {
        let (_, answer) = rig.answer();
        assert!(answer.is_ok(), "{answer:?}");
    }
}

#[test]
fn a_list_does_not_wait_for_the_end_of_a_lock_that_lasts() {
    let dir = dir();
    // No deadline answers in the time of this test.
    let mut rig = Rig::with(dir.path(), |settings| settings.answer_within = DEADLINE * 10);
    rig.added(new_job(1, "ci"));
    let lock = sqlite(dir.path());
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    ask(&rig, 1, add(new_job(2, "ci")));
    ask(&rig, 2, QueueAsk::List { lane: None, status: None, after: None, limit: 9 });
    let (ticket, answer) = rig.answer();
    let Ok(Answer::Queue(told)) = answer else { panic!("{answer:?}") };
    let QueueTold::Listed(listed) = *told else { panic!("{told:?}") };
    assert_eq!((ticket, listed.jobs.len()), (2, 1), "as it is in the file");
    lock.execute_batch("ROLLBACK").unwrap();
    let (ticket, answer) = rig.answer();
    assert!(ticket == 1 && answer.is_ok(), "a change waits: {answer:?}");
}

#[test]
fn a_claim_that_nobody_waits_for_any_more_is_given_back() {
    let dir = dir();
    let mut rig = Rig::with(dir.path(), |settings| settings.answer_within = Duration::from_secs(3));
    rig.added(new_job(1, "ci"));
    let lock = sqlite(dir.path());
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    ask(&rig, 1, claim("ci"));
    let (ticket, answer) = rig.answer();
    let said = answer.unwrap_err().to_string();
    assert!(ticket == 1 && said.contains("is locked by another process"), "{said}");
    lock.execute_batch("ROLLBACK").unwrap();
    // It was not made behind the asker's back.
    assert_eq!(rig.claimed("ci"), Some((1, 1)));
    rig.settled(QueueAsk::GiveBack { id: job_id(1), attempt: 1 });
    rig.finish();
    // One that is given up while it waits is not made either.
    rig.finish();
    let mut rig = Rig::new(dir.path());
    assert_eq!(rig.status(1), QueueStatus::Pending);
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    ask(&rig, 2, claim("ci"));
    rig.handle.give_up();
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(rig.claimed("ci"), Some((1, 2)));
}

#[test]
fn a_claim_that_is_given_up_while_it_is_made_goes_back_before_the_next_one() {
    let dir = dir();
    let (post, told) = channel();
    let handle = Arc::new(Mutex::new(None::<Handle>));
    let inner = Arc::clone(&handle);
    let spawned = Store::spawn(Settings::new(dir.path().to_owned(), "first".to_owned()), move |message| {
        // The next claim is in the same group, and its asker is gone by the time of its answer.
        if let (Told::Answer { ticket: 1, .. }, Some(handle)) = (&message, inner.lock().unwrap().as_ref()) {
            handle.give_up();
        }
        drop(post.send(message));
    });
    let question = |ask| Question::Queue { now: at(0), ask: Box::new(ask) };
    spawned.ask(9, Question::Highest { name: None }).unwrap();
    spawned.ask(3, question(add(new_job(1, "ci")))).unwrap();
    for _ in 0..2 {
        told.recv_timeout(DEADLINE).unwrap();
    }
    // Both wait for the lock, and so are one group.
    let lock = sqlite(dir.path());
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    spawned.ask(1, question(QueueAsk::Lane { lane: lane("ci") })).unwrap();
    spawned.ask(2, question(claim("ci"))).unwrap();
    *handle.lock().unwrap() = Some(spawned);
    wait_until(
        || handle.lock().unwrap().as_ref().unwrap().health().condition == Condition::Locked,
        || "locked".to_owned(),
    );
    lock.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(told.recv_timeout(DEADLINE).unwrap(), Told::Answer { ticket: 1, .. }));
    let spawned = handle.lock().unwrap().take().unwrap();
    spawned.ask(4, question(claim("ci"))).unwrap();
    let Told::Answer { ticket: 4, answer: Ok(Answer::Queue(answer)) } = told.recv_timeout(DEADLINE).unwrap()
    else {
        panic!()
    };
    let QueueTold::Claimed { claim: Some(claim), .. } = *answer else { panic!("{answer:?}") };
    assert_eq!((claim.job.attempt, claim.job.attempts), (2, 1), "the first attempt does not count");
}

#[test]
fn a_store_that_cannot_be_written_answers_with_the_cause_and_still_reads() {
    let dir = dir();
    let mut rig = Rig::with(dir.path(), |settings| settings.answer_within = Duration::from_secs(3));
    rig.added(new_job(1, "ci"));
    let lock = sqlite(dir.path());
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(rig.status(1), QueueStatus::Pending, "a lock for writing keeps nobody from reading");
    let asked = Instant::now();
    let question = Question::Queue { now: at(0), ask: Box::new(add(new_job(2, "ci"))) };
    let said = rig.ask(question).unwrap_err().to_string();
    assert!(said.contains("is locked by another process"), "{said}");
    assert!(asked.elapsed() < Duration::from_secs(10));
    lock.execute_batch("ROLLBACK").unwrap();
    rig.added(new_job(2, "ci"));
}

#[test]
fn a_full_disk_loses_nothing_that_was_answered() {
    let Some(disk) = Disk::new("1m") else { return };
    let mut rig = Rig::new(&disk.0);
    let mut last = 0;
    let said = loop {
        let job = NewJob {
            env: Some([("BIG", "x".repeat(20_000))].into_iter().collect()),
            ..new_job(last + 1, "ci")
        };
        match rig.ask(Question::Queue { now: at(0), ask: Box::new(add(job)) }) {
            Ok(Answer::Queue(told)) if matches!(*told, QueueTold::Added { .. }) => last += 1,
            Err(error) => break error.to_string(),
            other => panic!("{other:?}"),
        }
        assert!(last < 1_000);
    };
    assert!(said.contains("the disk is full"), "{said}");
    assert!(last > 3);
    assert_eq!(rig.told(QueueAsk::Unfinished), QueueTold::Unfinished(last));
    disk.remount("size=8m");
    let mut next = None;
    wait_until_told(&mut rig, last + 1, &mut next);
    rig.finish();
    let mut rig = Rig::new(&disk.0);
    assert_eq!(rig.told(QueueAsk::Unfinished), QueueTold::Unfinished(last + 1));
    rig.finish();
}

/// Adds a job as soon as there is room.
fn wait_until_told(rig: &mut Rig, number: u64, added: &mut Option<QueueTold>) {
    let until = Instant::now() + DEADLINE;
    while added.is_none() {
        assert!(Instant::now() < until);
        let question = Question::Queue { now: at(0), ask: Box::new(add(new_job(number, "ci"))) };
        if let Ok(Answer::Queue(told)) = rig.ask(question) {
            *added = Some(*told);
        }
    }
}
