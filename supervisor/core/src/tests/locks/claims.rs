//! After an end at which locks were held: the holders claim what they hold before anybody else gets it.

use super::rig::{Rig, shared, wants};
use crate::{Input, LocksMark};
use gob_protocol::ErrorCode;
use gob_protocol::limits::LOCK_CLAIM_MS;
use gob_protocol::request::LockAcquire;

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
