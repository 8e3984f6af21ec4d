//! After an end at which locks were held: the holders claim what they hold before anybody else gets it.

use super::rig::{Rig, lock, shared, wants};
use crate::{Input, LocksMark};
use gob_protocol::limits::LOCK_CLAIM_MS;
use gob_protocol::request::{LockAcquire, LockBreak};
use gob_protocol::{ErrorCode, Request};
use std::vec::Vec;

fn claims(text: &str, token: u64) -> LockAcquire {
    LockAcquire { token: Some(token), ..wants(text) }
}

#[test]
fn nothing_is_granted_for_six_seconds_and_then_the_claims_come_first() {
    let mut rig = Rig::after(500, LocksMark::UpTo(500), 9);
    let early = rig.asks(1, wants("l"));
    let free = rig.asks(3, wants("other"));
    rig.passes(LOCK_CLAIM_MS - 1);
    let claim = rig.asks(2, claims("l", 499));
    assert_eq!((rig.answer(1, early), rig.answer(2, claim), rig.answer(3, free)), (None, None, None));
    rig.passes(1);
    assert_eq!((rig.token(2, claim), rig.answer(1, early)), (Some(499), None));
    assert!(rig.token(3, free).unwrap() > 500);
    rig.gives(2, "l", 499);
    assert!(rig.token(1, early).unwrap() > 500);
    let late = rig.asks(4, claims("l", 498));
    assert_eq!(rig.code(4, late), Some(ErrorCode::LockNotHeld));
}

#[test]
fn of_two_claims_of_an_exclusive_lock_the_largest_token_wins() {
    let mut rig = Rig::after(500, LocksMark::UpTo(500), 9);
    let (older, newer) = (rig.asks(1, claims("l", 400)), rig.asks(2, claims("l", 401)));
    let (gone, twice) = (rig.asks(3, claims("l", 450)), rig.asks(4, claims("l", 401)));
    let reader = rig.asks(5, LockAcquire { token: Some(399), ..shared("l") });
    rig.leaves(3);
    rig.passes(LOCK_CLAIM_MS);
    assert_eq!(rig.token(2, newer), Some(401));
    assert_eq!(rig.answer(3, gone), None);
    for (conn, id) in [(1, older), (4, twice), (5, reader)] {
        assert_eq!(rig.code(conn, id), Some(ErrorCode::LockNotHeld));
    }
}

#[test]
fn of_shared_claims_all_go_on_that_fit_the_largest() {
    let mut rig = Rig::after(500, LocksMark::UpTo(500), 9);
    let readers = [(1, 300), (2, 310), (3, 305)].map(|(conn, token)| {
        (conn, token, rig.asks(conn, LockAcquire { token: Some(token), ..shared("l") }))
    });
    let writer = rig.asks(4, claims("l", 309));
    rig.passes(LOCK_CLAIM_MS);
    for (conn, token, id) in readers {
        assert_eq!(rig.token(conn, id), Some(token));
    }
    assert_eq!(rig.code(4, writer), Some(ErrorCode::LockNotHeld));
    assert_eq!(rig.status("l").holders.len(), 3);
}

#[test]
fn a_token_that_the_store_never_reserved_is_no_claim() {
    let mut rig = Rig::after(500, LocksMark::UpTo(500), 9);
    let (made_up, mine) = (rig.asks(1, claims("l", 501)), rig.asks(2, claims("l", 7)));
    rig.passes(LOCK_CLAIM_MS);
    assert_eq!((rig.code(1, made_up), rig.token(2, mine)), (Some(ErrorCode::LockNotHeld), Some(7)));
}

#[test]
fn a_token_above_the_mark_is_no_claim_also_without_a_store() {
    let mut rig = Rig::with_store(2_048, false, LocksMark::UpTo(1_024), 9);
    let made_up = [0, 1_025, u64::MAX].map(|token| rig.asks(1, claims("l", token)));
    let mine = rig.asks(2, claims("l", 1_024));
    rig.passes(LOCK_CLAIM_MS);
    for id in made_up {
        assert_eq!(rig.code(1, id), Some(ErrorCode::LockNotHeld));
    }
    assert_eq!(rig.token(2, mine), Some(1_024));
    rig.shell.store = true;
    assert_eq!(rig.takes(3, wants("m")), 2_049);
}

#[test]
fn a_store_that_was_lost_or_put_back_repeats_no_token() {
    for reserved in [0, 100] {
        let mut rig = Rig::after(reserved, LocksMark::UpTo(1_024), 9);
        let claim = rig.asks(1, claims("l", 1_000));
        rig.passes(LOCK_CLAIM_MS);
        assert_eq!((rig.token(1, claim), rig.takes(2, wants("m"))), (Some(1_000), 1_025));
    }
}

#[test]
fn without_a_number_the_store_alone_says_which_claims_can_be_true() {
    let mut rig = Rig::after(500, LocksMark::Unreadable, 9);
    let (made_up, mine) = (rig.asks(1, claims("l", 501)), rig.asks(2, claims("l", 500)));
    rig.passes(LOCK_CLAIM_MS);
    assert_eq!((rig.code(1, made_up), rig.token(2, mine)), (Some(ErrorCode::LockNotHeld), Some(500)));
    assert_eq!(rig.shell.mark, LocksMark::UpTo(1_524), "the mark has a number again");
}

#[test]
fn without_a_number_and_a_store_holders_go_on_and_no_claim_uses_up_the_numbers() {
    let mut rig = Rig::with_store(500, false, LocksMark::Unreadable, 9);
    let (mine, made_up, next) =
        (rig.asks(1, claims("l", 400)), rig.asks(2, claims("m", u64::MAX)), rig.asks(3, claims("n", 501)));
    rig.passes(LOCK_CLAIM_MS);
    assert_eq!((rig.token(1, mine), rig.token(2, made_up)), (Some(400), Some(u64::MAX)));
    rig.shell.store = true;
    assert_eq!((rig.token(3, next), rig.takes(4, wants("o"))), (Some(501), 502), "no token is held twice");
}

#[test]
fn a_store_that_answers_late_is_heard_before_the_claims_are_judged() {
    let mut rig = Rig::with_store(500, false, LocksMark::Unreadable, 9);
    rig.passes(1_000);
    rig.shell.store = true;
    let made_up = rig.asks(1, claims("l", 501));
    rig.passes(LOCK_CLAIM_MS);
    assert_eq!(rig.code(1, made_up), Some(ErrorCode::LockNotHeld));
}

#[test]
fn holders_go_on_without_a_store_and_later_tokens_are_above_theirs() {
    let mut rig = Rig::with_store(0, false, LocksMark::UpTo(1_024), 9);
    let (claim, other) = (rig.asks(1, claims("l", 700)), rig.asks(2, wants("m")));
    rig.passes(LOCK_CLAIM_MS);
    assert_eq!((rig.token(1, claim), rig.code(2, other)), (Some(700), Some(ErrorCode::Internal)));
    rig.shell.store = true;
    assert!(rig.takes(2, wants("m")) > 1_024);
}

#[test]
fn a_try_does_not_wait_for_the_claims() {
    let mut rig = Rig::after(0, LocksMark::Unreadable, 9);
    let tried = rig.asks(1, LockAcquire { timeout_ms: Some(0), ..wants("l") });
    assert_eq!(rig.code(1, tried), Some(ErrorCode::LockTimeout));
    let short = rig.asks(2, LockAcquire { timeout_ms: Some(1_000), ..wants("l") });
    rig.passes(1_000);
    assert_eq!(rig.code(2, short), Some(ErrorCode::LockTimeout));
}

#[test]
fn an_end_before_the_claims_were_heard_leaves_the_mark() {
    let mut rig = Rig::after(0, LocksMark::Unreadable, 9);
    let early = rig.asks(1, LockAcquire { timeout_ms: Some(9_000), ..wants("l") });
    rig.feed(Input::Terminate);
    assert_eq!((rig.ended, rig.shell.number()), (true, 1_024));
    assert_eq!(rig.code(1, early), Some(ErrorCode::ShuttingDown));
    assert_eq!(rig.wake, None, "nobody waits, and nothing is due");
}

#[test]
fn a_suspend_takes_nothing_from_the_time_of_the_claims() {
    let mut rig = Rig::after(0, LocksMark::Unreadable, 9);
    rig.passes(1_000);
    // The machine slept for an hour; nothing was fed meanwhile.
    rig.now += 3_600_000;
    let claim = rig.asks(1, claims("l", 3));
    rig.passes(3_000);
    assert_eq!(rig.answer(1, claim), None);
    rig.passes(3_000);
    assert_eq!(rig.code(1, claim), Some(ErrorCode::LockNotHeld), "the store is new");
}

#[test]
fn nested_claims_are_one_party_again_whatever_their_names() {
    for [outer, inner] in [["a", "z"], ["z", "a"]] {
        let mut rig = Rig::after(500, LocksMark::UpTo(500), 9);
        let within = |token: u64| Vec::from([token]);
        let innermost = rig.asks(3, LockAcquire { within: within(401), ..claims("m", 402) });
        let (one, two) = (
            rig.asks(2, LockAcquire { within: within(400), ..claims(inner, 401) }),
            rig.asks(1, claims(outer, 400)),
        );
        let early = rig.asks(4, LockAcquire { within: within(402), ..wants(outer) });
        rig.passes(LOCK_CLAIM_MS);
        assert_eq!(
            (rig.token(1, two), rig.token(2, one), rig.token(3, innermost)),
            (Some(400), Some(401), Some(402))
        );
        assert_eq!(rig.code(4, early), Some(ErrorCode::LockDeadlock), "{outer} before {inner}");
        let later = rig.asks(5, LockAcquire { within: within(402), ..wants(outer) });
        assert_eq!(rig.code(5, later), Some(ErrorCode::LockDeadlock), "{outer} before {inner}");
    }
}

#[test]
fn requests_that_waited_for_the_claims_stand_in_line_before_the_first_is_granted() {
    let mut rig = Rig::after(500, LocksMark::UpTo(500), 9);
    let first = rig.asks(1, wants("l"));
    let urgent = rig.asks(2, LockAcquire { priority: Some(100), ..wants("l") });
    let readers =
        [3, 4].map(|conn| (conn, rig.asks(conn, LockAcquire { priority: Some(200), ..shared("l") })));
    rig.passes(LOCK_CLAIM_MS);
    let tokens = readers.map(|(conn, id)| rig.token(conn, id).expect("the highest priority"));
    assert_eq!((rig.answer(1, first), rig.answer(2, urgent)), (None, None));
    assert_eq!(
        rig.told(),
        ["lock_granted l", "lock_granted l", "lock_waiting l", "lock_waiting l"],
        "only those wait that are not granted"
    );
    rig.gives(3, "l", tokens[0]);
    rig.gives(4, "l", tokens[1]);
    let token = rig.token(2, urgent).expect("the higher priority");
    assert_eq!(rig.answer(1, first), None);
    rig.gives(2, "l", token);
    assert!(rig.token(1, first).is_some());
    let told = rig.status("l");
    assert_eq!((told.acquired, told.contended, told.waits), (4, 2, 2));
}

#[test]
fn a_line_that_waited_for_the_claims_is_passed_by_no_more_than_others_are() {
    let mut rig = Rig::after(500, LocksMark::UpTo(500), 30);
    let first = rig.asks(1, wants("l"));
    let urgent: Vec<(u64, i64)> = (2..=19)
        .map(|conn| (conn, rig.asks(conn, LockAcquire { priority: Some(1), ..wants("l") })))
        .collect();
    rig.passes(LOCK_CLAIM_MS);
    let mut served = Vec::new();
    for _ in 0..19 {
        let all = urgent.iter().copied().chain([(1, first)]);
        let (conn, token) = all
            .filter(|(conn, _)| !served.contains(conn))
            .find_map(|(conn, id)| Some((conn, rig.token(conn, id)?)))
            .expect("a holder");
        served.push(conn);
        rig.gives(conn, "l", token);
    }
    assert_eq!(served.iter().position(|conn| *conn == 1), Some(16));
}

#[test]
fn claims_and_requests_are_told_as_waiters_while_claims_are_made() {
    let mut rig = Rig::after(500, LocksMark::UpTo(500), 9);
    rig.asks(1, wants("l"));
    rig.asks(2, LockAcquire { priority: Some(1), ..wants("l") });
    rig.asks(3, claims("l", 400));
    rig.asks(4, claims("only claimed", 401));
    rig.passes(1_000);
    let all = rig.status_of(None);
    assert_eq!(all.claims_ms, Some(LOCK_CLAIM_MS - 1_000));
    let names: Vec<&str> = all.locks.iter().map(|told| told.lock.as_str()).collect();
    assert_eq!(names, ["l", "only claimed"]);
    let one = rig.status("l");
    let waiters: Vec<_> = one.waiters.iter().map(|party| (party.pid, party.token, party.age_ms)).collect();
    assert_eq!(waiters, [(Some(3), Some(400), 1_000), (Some(2), None, 1_000), (Some(1), None, 1_000)]);
    assert_eq!((one.holders.len(), one.acquired, one.contended), (0, 0, 0));
    assert_eq!(all.locks[0], one);
    assert_eq!((rig.status("free").waiters.len(), rig.status_of(Some("free")).claims_ms), (0, all.claims_ms));
    let id = rig.send(1, Request::LockBreak(LockBreak { lock: lock("l") }));
    let Some(Err(refusal)) = rig.answer(1, id) else { panic!("it is broken before its holder is known") };
    assert_eq!(refusal.code, ErrorCode::ServerNotFound);
    assert_eq!(refusal.details.as_ref().map(|details| details["claims_ms"].as_u64()), Some(all.claims_ms));
    rig.passes(LOCK_CLAIM_MS);
    let all = rig.status_of(None);
    assert_eq!((all.claims_ms, all.locks[0].holders.len(), all.locks[0].waiters.len()), (None, 1, 2));
    assert_eq!(rig.breaks(1, "l"), None);
}
