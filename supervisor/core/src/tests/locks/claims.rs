//! After an end at which locks were held: the holders claim what they hold before anybody else gets it.

use super::rig::{Rig, shared, wants};
use crate::Input;
use gob_protocol::ErrorCode;
use gob_protocol::limits::LOCK_CLAIM_MS;
use gob_protocol::request::LockAcquire;

fn claims(text: &str, token: u64) -> LockAcquire {
    LockAcquire { token: Some(token), ..wants(text) }
}

#[test]
fn nothing_is_granted_for_six_seconds_and_then_the_claims_come_first() {
    let mut rig = Rig::after(500, true, 9);
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
    let mut rig = Rig::after(500, true, 9);
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
    let mut rig = Rig::after(500, true, 9);
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
    let mut rig = Rig::after(500, true, 9);
    let (made_up, mine) = (rig.asks(1, claims("l", 501)), rig.asks(2, claims("l", 7)));
    rig.passes(LOCK_CLAIM_MS);
    assert_eq!((rig.code(1, made_up), rig.token(2, mine)), (Some(ErrorCode::LockNotHeld), Some(7)));
}

#[test]
fn holders_go_on_without_a_store_and_later_tokens_are_above_theirs() {
    let mut rig = Rig::with_store(0, false, true, 9);
    let (claim, other) = (rig.asks(1, claims("l", 700)), rig.asks(2, wants("m")));
    rig.passes(LOCK_CLAIM_MS);
    assert_eq!((rig.token(1, claim), rig.code(2, other)), (Some(700), Some(ErrorCode::Internal)));
    rig.store = true;
    assert!(rig.takes(2, wants("m")) > 700);
}

#[test]
fn a_try_does_not_wait_for_the_claims() {
    let mut rig = Rig::new(true);
    let tried = rig.asks(1, LockAcquire { timeout_ms: Some(0), ..wants("l") });
    assert_eq!(rig.code(1, tried), Some(ErrorCode::LockTimeout));
    let short = rig.asks(2, LockAcquire { timeout_ms: Some(1_000), ..wants("l") });
    rig.passes(1_000);
    assert_eq!(rig.code(2, short), Some(ErrorCode::LockTimeout));
}

#[test]
fn an_end_before_the_claims_were_heard_leaves_the_mark() {
    let mut rig = Rig::new(true);
    let early = rig.asks(1, wants("l"));
    rig.feed(Input::Terminate);
    assert_eq!((rig.ended, rig.is_marked), (true, true));
    assert_eq!(rig.code(1, early), Some(ErrorCode::ShuttingDown));
}

#[test]
fn a_suspend_takes_nothing_from_the_time_of_the_claims() {
    let mut rig = Rig::new(true);
    rig.passes(1_000);
    // The machine slept for an hour; nothing was fed meanwhile.
    rig.now += 3_600_000;
    let claim = rig.asks(1, claims("l", 3));
    rig.passes(3_000);
    assert_eq!(rig.answer(1, claim), None);
    rig.passes(3_000);
    assert_eq!(rig.code(1, claim), Some(ErrorCode::LockNotHeld), "the store is new");
}
