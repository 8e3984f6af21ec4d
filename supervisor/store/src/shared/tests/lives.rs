//! Several machines: claims, and what becomes of them when a machine is gone.

use super::rig::{Machine, Server, claim, finish, new_job, recover};
use crate::shared::Told;
use gob_protocol::queue::{FIRST_SHARED, NewJob, QueueAsk, QueueEnd, QueueRefusal, QueueTold};
use gob_protocol::{LaneName, QueueStatus};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn each_job_goes_to_one_machine_and_the_others_hear_of_it() {
    let Some(server) = Server::start() else { return };
    let (mut ada, mut bob) = (server.machine_up("ada"), server.machine_up("bob"));
    let job = ada.added("ci");
    assert_eq!(job.id.number(), Some(FIRST_SHARED));
    let news = bob.news();
    assert_eq!((news.lanes.len(), &news.jobs[0].id, news.jobs[0].status), (1, &job.id, QueueStatus::Pending));
    let mine = bob.claimed("ci").unwrap();
    assert_eq!((mine.job.id.clone(), mine.job.attempt, mine.umask), (job.id.clone(), 1, Some(0o27)));
    assert!(mine.env.is_some());
    assert!(ada.claimed("ci").is_none());
    // Another machine's attempt is not ada's to end.
    match ada.told(finish(&mine, QueueEnd::Completed)) {
        QueueTold::Refused(QueueRefusal::NotClaimed(id)) => assert_eq!(id, job.id),
        other => panic!("{other:?}"),
    }
    assert_eq!(bob.settled(finish(&mine, QueueEnd::Completed)).job.status, QueueStatus::Completed);
    let news = ada.news();
    assert_eq!((&news.jobs[0].id, news.jobs[0].status), (&job.id, QueueStatus::Completed));
    assert!(ada.claimed("ci").is_none());
}

#[test]
fn many_claims_at_once_get_each_job_once_and_every_job() {
    let Some(server) = Server::start() else { return };
    const JOBS: usize = 300;
    let mut first = server.machine_up("m0");
    (0..JOBS).for_each(|_| drop(first.added("ci")));
    let mut machines = vec![first];
    machines.extend((1..4).map(|number| server.machine_up(&format!("m{number}"))));
    let workers: Vec<_> = machines
        .into_iter()
        .map(|mut machine| {
            std::thread::spawn(move || {
                let mut got = Vec::new();
                let mut empty = 0;
                while empty < 20 {
                    match machine.claimed("ci") {
                        Some(claim) => {
                            machine.settled(finish(&claim, QueueEnd::Completed));
                            got.push(claim.job.id);
                        }
                        None => empty += 1,
                    }
                }
                got
            })
        })
        .collect();
    let got: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    let each: BTreeSet<_> = got.iter().cloned().collect();
    assert_eq!((got.len(), each.len()), (JOBS, JOBS));
    let mut judge = server.machine_up("judge");
    match judge.told(QueueAsk::Lane { lane: LaneName::new("ci").unwrap() }) {
        QueueTold::Lane(state) => {
            let counts = state.lane.counts;
            assert_eq!((counts.pending, counts.running, counts.completed), (0, 0, JOBS as u64));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_next_life_of_a_machine_takes_back_what_the_last_one_ran_and_nothing_of_others() {
    let Some(server) = Server::start() else { return };
    let (mut ada, mut bob) = (server.machine_up("ada"), server.machine_up("bob"));
    ada.added("ci");
    ada.added("ci");
    let (hers, his) = (ada.claimed("ci").unwrap(), bob.claimed("ci").unwrap());
    drop(ada);
    let mut settings = server.settings("ada");
    settings.instance = "ada-2".to_owned();
    let mut again = Machine::new(settings);
    again.until(|told| matches!(told, Told::Up).then_some(()));
    match again.told(recover()) {
        QueueTold::Recovered { jobs, count, .. } => {
            assert_eq!((count, &jobs[0].id, jobs[0].status), (1, &hers.job.id, QueueStatus::Pending));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(again.job(&his.job.id).status, QueueStatus::Running);
    // A late end of the attempt that was taken back changes nothing.
    assert!(matches!(again.told(claim("ci")), QueueTold::Claimed { claim: Some(_), .. }));
    assert!(matches!(again.told(finish(&hers, QueueEnd::Completed)), QueueTold::Refused(_)));
    assert_eq!(bob.settled(finish(&his, QueueEnd::Completed)).job.status, QueueStatus::Completed);
}

#[test]
fn a_machine_that_is_not_heard_of_loses_its_claims_by_the_clock_of_the_database() {
    let Some(server) = Server::start() else { return };
    let mut settings = server.settings("ada");
    // It is never heard of again: the thread ends with its handle.
    settings.lease = Duration::from_secs(6);
    let mut ada = Machine::new(settings);
    ada.until(|told| matches!(told, Told::Up).then_some(()));
    let job = ada.added("ci");
    assert!(ada.claimed("ci").is_some());
    let mut bob = server.machine_up("bob");
    assert!(bob.claimed("ci").is_none());
    drop(ada);
    let error = loop {
        let found = bob.job(&job.id);
        if found.status == QueueStatus::Pending {
            break found.error.unwrap();
        }
        std::thread::yield_now();
    };
    assert_eq!(error, "the supervisor on ada was not heard of for 6 s");
    let again = loop {
        if let Some(claim) = bob.claimed("ci") {
            break claim;
        }
    };
    assert_eq!((again.job.id, again.job.attempt), (job.id, 2));
}

#[test]
fn a_key_is_one_job_on_all_machines() {
    let Some(server) = Server::start() else { return };
    let (mut ada, mut bob) = (server.machine_up("ada"), server.machine_up("bob"));
    let keyed = || QueueAsk::Add(Box::new(NewJob { dedupe: Some("site".to_owned()), ..new_job("ci") }));
    let QueueTold::Added { job, is_new: true } = ada.told(keyed()) else { panic!("not added") };
    let QueueTold::Added { job: same, is_new: false } = bob.told(keyed()) else { panic!("added twice") };
    assert_eq!(same.id, job.id);
}
