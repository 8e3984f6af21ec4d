//! Named locks of several machines: the line, and what becomes of it when a machine is gone.

use super::rig::{Machine, Server};
use crate::shared::Told;
use gob_protocol::limits::LOCK_PASSES;
use gob_protocol::lock::ask::{FIRST_SHARED_TOKEN, LockAsk, LockEntry, LockTold};
use gob_protocol::{LockMode, LockName, LockParty, Owner};
use std::time::Duration;

pub(super) fn name() -> LockName {
    LockName::new("shared/build").unwrap()
}

pub(super) fn entry(number: u64, mode: LockMode, priority: i32) -> Box<LockEntry> {
    let party = LockParty {
        process: Some(format!("p{number}")),
        pid: Some(1),
        host: "here".to_owned(),
        owner: Owner::cli(),
        mode,
        priority,
        age_ms: 0,
        token: None,
        expires_at: None,
    };
    Box::new(LockEntry { number, lock: name(), party })
}

fn enters(machine: &mut Machine, number: u64, mode: LockMode, priority: i32) -> Option<u64> {
    let told = machine.locks(LockAsk::Enter { entry: entry(number, mode, priority), tries: false });
    told.own.iter().find(|row| row.number == number).expect("a place in the line").token
}

fn exclusive(machine: &mut Machine, number: u64) -> Option<u64> {
    enters(machine, number, LockMode::Exclusive, 0)
}

/// Waits for news of the lock until a request has it, and returns its token.
fn granted(machine: &mut Machine, number: u64) -> u64 {
    loop {
        while !machine.news().locks.contains(&name()) {}
        let told = machine.locks(LockAsk::Look { locks: vec![name()] });
        let row = told.own.iter().find(|row| row.number == number).expect("a place in the line");
        if let Some(token) = row.token {
            return token;
        }
    }
}

fn line(told: &LockTold) -> Vec<&str> {
    let parties = told.parties.iter().flat_map(|(_, parties)| parties);
    parties.filter_map(|party| party.process.as_deref()).collect()
}

#[test]
fn the_line_goes_over_machines_by_priority_and_tokens_grow() {
    let Some(server) = Server::start() else { return };
    let (mut ada, mut bob) = (server.machine_up("ada"), server.machine_up("bob"));
    let first = exclusive(&mut ada, 1).unwrap();
    assert!(first >= FIRST_SHARED_TOKEN);
    assert_eq!(exclusive(&mut bob, 2), None);
    assert_eq!(enters(&mut bob, 3, LockMode::Shared, 5), None);
    assert_eq!(enters(&mut ada, 4, LockMode::Shared, 5), None);
    let tried = ada.locks(LockAsk::Enter { entry: entry(5, LockMode::Shared, 0), tries: true });
    assert_eq!(line(&tried), ["p1", "p3", "p4", "p2", "p5"]);
    assert_eq!(
        line(&ada.locks(LockAsk::Status { lock: None })),
        ["p1", "p3", "p4", "p2"],
        "a try does not stay"
    );
    // Nor does it pass anybody.
    for number in 0..u64::from(LOCK_PASSES) {
        ada.locks(LockAsk::Enter { entry: entry(100 + number, LockMode::Exclusive, 9), tries: true });
    }
    assert_eq!(enters(&mut bob, 6, LockMode::Shared, 1), None);
    assert_eq!(line(&bob.locks(LockAsk::Status { lock: None })), ["p1", "p3", "p4", "p6", "p2"]);
    let left = bob.locks(LockAsk::Leave { number: 6, lock: name() });
    assert!(left.is_done && line(&left) == ["p1", "p3", "p4", "p2"], "{left:?}");
    let told = ada.locks(LockAsk::End { token: first, lock: name() });
    let mine = told.own.iter().find(|row| row.number == 4).unwrap().token.unwrap();
    let his = granted(&mut bob, 3);
    assert!(his > first && mine > his, "{first} {his} {mine}");
    ada.locks(LockAsk::Leave { number: 4, lock: name() });
    assert_eq!(line(&bob.locks(LockAsk::Status { lock: Some(name()) })), ["p3", "p2"]);
    let broken = ada.locks(LockAsk::Break { lock: name(), tokens: vec![his] });
    assert!(broken.is_done && line(&broken) == ["p2"], "{broken:?}");
}

#[test]
fn a_machine_that_dies_gives_its_locks_up_after_its_lease() {
    let Some(server) = Server::start() else { return };
    let mut settings = server.settings("ada");
    settings.lease = Duration::from_secs(6);
    let mut ada = Machine::new(settings);
    ada.until(|told| matches!(told, Told::Up).then_some(()));
    let mut bob = server.machine_up("bob");
    let first = exclusive(&mut ada, 1).unwrap();
    assert_eq!(exclusive(&mut bob, 1), None);
    // It ends without a word.
    drop(ada);
    assert!(granted(&mut bob, 1) > first);
}

#[test]
fn the_next_supervisor_of_a_machine_has_what_is_claimed_and_gives_back_the_rest() {
    let Some(server) = Server::start() else { return };
    let (mut ada, mut bob) = (server.machine_up("ada"), server.machine_up("bob"));
    let token = exclusive(&mut ada, 1).unwrap();
    assert_eq!(exclusive(&mut ada, 2), None);
    assert_eq!(exclusive(&mut bob, 1), None);
    drop(ada);
    let mut settings = server.settings("ada");
    settings.instance = "ada-2".to_owned();
    let mut ada = Machine::new(settings);
    ada.until(|told| matches!(told, Told::Up).then_some(()));
    ada.locks(LockAsk::Sync { holds: Vec::new(), waits: Vec::new(), spares: true });
    let others = bob.locks(LockAsk::Adopt { token, entry: entry(9, LockMode::Exclusive, 0) });
    assert!(!others.is_done, "another machine's");
    let claimed = ada.locks(LockAsk::Adopt { token, entry: entry(9, LockMode::Exclusive, 0) });
    assert!(claimed.is_done && claimed.own.iter().any(|row| row.number == 9), "{claimed:?}");
    let kept = ada.locks(LockAsk::Sync { holds: vec![token], waits: Vec::new(), spares: false });
    assert_eq!(kept.own.len(), 1);
    ada.locks(LockAsk::Sync { holds: Vec::new(), waits: Vec::new(), spares: false });
    assert!(granted(&mut bob, 1) > token);
}
