//! A database that is away, hangs, is newer, or must not be shown.

use super::rig::{Machine, Server, claim, finish, recover};
use crate::shared::{Address, NotAsked, State, Told};
use gob_protocol::QueueStatus;
use gob_protocol::queue::{QueueAsk, QueueEnd, QueueTold};
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn a_database_that_is_away_refuses_at_once_and_is_used_again_when_it_is_back() {
    let Some(mut server) = Server::start() else { return };
    let mut ada = server.machine_up("ada");
    let job = ada.added("ci");
    let claim = ada.claimed("ci").unwrap();
    server.postgres.kill().unwrap();
    ada.until(|told| matches!(told, Told::Away(_)).then_some(()));
    let begun = Instant::now();
    assert!(ada.ask(QueueAsk::Get { id: job.id.clone() }).is_err());
    assert!(begun.elapsed() < Duration::from_millis(1_500) && ada.is_away());
    server.postgres.run().unwrap();
    ada.until(|told| matches!(told, Told::Up).then_some(()));
    // The claim went on: nothing of it was taken back.
    assert_eq!(ada.handle.health().state, State::Open);
    assert!(ada.settled(finish(&claim, QueueEnd::Completed)).job.status.is_end());
}

#[test]
fn a_claim_whose_answer_was_lost_is_given_back_and_does_not_count() {
    let Some(mut server) = Server::start() else { return };
    let mut ada = server.machine_up("ada");
    let (known, unknown) = (ada.added("ci"), ada.added("ci"));
    assert!(ada.claimed("ci").is_some() && ada.claimed("ci").is_some());
    server.postgres.kill().unwrap();
    ada.until(|told| matches!(told, Told::Away(_)).then_some(()));
    server.postgres.run().unwrap();
    ada.until(|told| matches!(told, Told::Up).then_some(()));
    let except = vec![known.id.clone()];
    match ada.told(QueueAsk::Recover { except, error: "it ended".to_owned(), retry_at: super::rig::now() }) {
        QueueTold::Recovered { count, jobs, .. } => assert_eq!((count, &jobs[0].id), (1, &unknown.id)),
        other => panic!("{other:?}"),
    }
    let (known, unknown) = (ada.job(&known.id), ada.job(&unknown.id));
    assert_eq!((known.status, known.attempts), (QueueStatus::Running, 1));
    assert_eq!((unknown.status, unknown.attempts, unknown.attempt), (QueueStatus::Pending, 0, 1));
}

#[test]
fn a_database_that_hangs_is_away_in_a_bounded_time_and_holds_nobody_up() {
    let Some(server) = Server::start() else { return };
    let mut ada = server.machine_up("ada");
    let stop = |how: &str| {
        // All of its processes: the session has one of its own.
        let pids =
            Command::new("pgrep").args(["-P", &server.postgres.pid().unwrap().to_string()]).output().unwrap();
        let pids = String::from_utf8(pids.stdout).unwrap();
        assert!(Command::new("kill").arg(how).args(pids.split_whitespace()).status().unwrap().success());
    };
    stop("-STOP");
    let begun = Instant::now();
    let asked = ada.ask(claim("ci"));
    let took = begun.elapsed();
    stop("-CONT");
    assert!(asked.is_err() && took < Duration::from_secs(10), "{asked:?} after {took:?}");
    ada.until(|told| matches!(told, Told::Up).then_some(()));
}

#[test]
fn a_holder_that_can_not_renew_in_time_is_told_before_others_may_have_its_claims() {
    let Some(mut server) = Server::start() else { return };
    let mut settings = server.settings("ada");
    settings.lease = Duration::from_secs(8);
    let mut ada = Machine::new(settings);
    ada.until(|told| matches!(told, Told::Up).then_some(()));
    ada.added("ci");
    let lost = ada.claimed("ci").unwrap();
    let begun = Instant::now();
    server.postgres.kill().unwrap();
    let why = ada.until(|told| if let Told::Lost(why) = told { Some(why) } else { None });
    assert!(begun.elapsed() < Duration::from_secs(8), "{why}");
    assert_eq!(why, "the database could not be told within 8 s that this supervisor lives");
    server.postgres.run().unwrap();
    ada.until(|told| matches!(told, Told::Up).then_some(()));
    // The attempt is still this machine's to end, as nobody else has begun one.
    match ada.told(recover()) {
        QueueTold::Recovered { count, .. } => assert_eq!(count, 1),
        other => panic!("{other:?}"),
    }
    assert!(matches!(ada.told(finish(&lost, QueueEnd::Completed)), QueueTold::Refused(_)));
}

#[test]
fn tables_of_a_later_gob_are_refused_by_name_and_not_touched() {
    let Some(server) = Server::start() else { return };
    drop(server.machine_up("ada"));
    server.psql("UPDATE gob.version SET version = 99");
    let mut bob = Machine::new(server.settings("bob"));
    let why = bob.until(|told| if let Told::Away(why) = told { Some(why) } else { None });
    assert!(why.starts_with("its tables have version 99, this gob knows versions up to"), "{why}");
    // The tables are everybody's: nobody is told to drop them.
    assert!(why.ends_with("; to mend it: upgrade gob on this machine"), "{why}");
    assert_eq!(server.psql("SELECT version FROM gob.version"), "99");
}

#[test]
fn an_address_without_a_database_behind_it_is_away_and_says_why() {
    let Some(server) = Server::start() else { return };
    let mut settings = server.settings("ada");
    settings.address = Address::new("postgres://ada:hunter2@127.0.0.1:1/jobs".to_owned(), None, None);
    let mut ada = Machine::new(settings);
    let why = ada.until(|told| if let Told::Away(why) = told { Some(why) } else { None });
    assert!(why.contains("refused") && !why.contains("hunter2"), "{why}");
    let refused = ada.handle.ask(1, super::rig::now(), Box::new(QueueAsk::Lanes)).unwrap_err();
    assert_eq!(refused, NotAsked::Away(why));
    assert_eq!(ada.handle.health().url, "postgres://ada@127.0.0.1:1/jobs");
}

#[test]
fn a_role_that_is_refused_is_tried_less_and_less_often_and_told_of_once() {
    let Some(server) = Server::start() else { return };
    drop(server.machine_up("ada"));
    server.psql("CREATE ROLE ro LOGIN; GRANT USAGE ON SCHEMA gob TO ro; GRANT SELECT ON ALL TABLES IN SCHEMA gob TO ro");
    server.psql("ALTER SYSTEM SET log_connections = on");
    server.psql("SELECT pg_reload_conf()");
    // The server rereads its configuration when it comes to it.
    while server.psql("SHOW log_connections") != "on" {
        std::thread::yield_now();
    }
    let begun = Instant::now();
    let mut settings = server.settings("bob");
    settings.address = Address::new(server.postgres.url().replace("//gob@", "//ro@"), None, None);
    let mut bob = Machine::new(settings);
    let why = bob.until(|told| if let Told::Away(why) = told { Some(why) } else { None });
    assert!(why.ends_with("the grants of docs/SHARED.md"), "{why}");
    let told = bob.during(Duration::from_millis(1_200));
    assert!(told.is_empty(), "{told:?}");
    let log = std::fs::read_to_string(server.postgres.dir().join("server.log")).unwrap();
    let attempts = log.lines().filter(|line| line.contains("connection authorized: user=ro ")).count();
    // After 0, 0.25, 0.75, 1.75 s, and so on.
    let took = begun.elapsed();
    let most = (0..).take_while(|doubled| Duration::from_millis(250) * ((1 << doubled) - 1) <= took).count();
    assert!((1..=most).contains(&attempts), "{attempts} attempts in {took:?}: {log}");
}

#[test]
fn a_reason_says_what_mends_it() {
    let Some(server) = Server::start() else { return };
    let why = |url: &str| {
        let mut settings = server.settings("ada");
        settings.address = Address::new(url.to_owned(), None, None);
        let mut ada = Machine::new(settings);
        ada.until(|told| if let Told::Away(why) = told { Some(why) } else { None })
    };
    let url = server.postgres.url();
    for (url, remedy) in [
        (url.replace("//gob@", "//nobody-of-this-name@"), "let this user in there"),
        (url.replace("/postgres", "/nosuch"), "name a database in shared.url"),
        (url.replace("//gob@", "//gob:hunter2@") + "?nosuch=1", "mend shared.url"),
    ] {
        let why = why(&url);
        let found = gob_protocol::database::remedy(&why).1;
        assert!(found.is_some_and(|found| found.starts_with(remedy)) && !why.contains("hunter2"), "{why}");
    }
    let hba = server.postgres.dir().join("data/pg_hba.conf");
    server.psql("ALTER ROLE gob PASSWORD 'right'");
    std::fs::write(hba, "local all all scram-sha-256\n").unwrap();
    // The one connection that is still let in without a password.
    let reload = Command::new("kill").args(["-HUP", &server.postgres.pid().unwrap().to_string()]).status();
    assert!(reload.unwrap().success());
    for url in [url.replace("//gob@", "//gob:hunter2@"), url.clone()] {
        let until = Instant::now() + Duration::from_secs(20);
        let why = loop {
            let mut settings = server.settings("bob");
            settings.address = Address::new(url.clone(), None, None);
            let mut bob = Machine::new(settings);
            let why = bob.until(|told| match told {
                Told::Away(why) => Some(Some(why)),
                Told::Up => Some(None),
                _other => None,
            });
            if let Some(why) = why {
                break why;
            }
            assert!(Instant::now() < until, "the server reads its rules");
        };
        assert!(why.contains("to mend it: put the right password") && !why.contains("hunter2"), "{why}");
    }
}

#[test]
fn another_name_of_the_same_database_is_used_at_once() {
    let Some(server) = Server::start() else { return };
    let mut ada = server.machine_up("ada");
    let job = ada.added("ci");
    assert!(ada.claimed("ci").is_some());
    // The claim keeps the life before.
    let left = ada.handle.make_way(Duration::from_secs(1));
    let mut settings = server.settings("ada");
    settings.address = Address::new(server.postgres.url().replace("//gob@", "//gob:x@"), None, None);
    let mut again = Machine::after(settings, left);
    let refused = again.until(|told| match told {
        Told::Up => Some(None),
        Told::Away(why) => Some(Some(why)),
        _other => None,
    });
    assert_eq!(refused, None);
    match again.told(recover()) {
        QueueTold::Recovered { count, jobs, .. } => assert_eq!((count, &jobs[0].id), (1, &job.id)),
        other => panic!("{other:?}"),
    }
    assert!(again.claimed("ci").is_some());
}
