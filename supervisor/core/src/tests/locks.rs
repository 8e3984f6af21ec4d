//! Named locks: the line, tokens, circles, claims, and what a lost connection, a full disk and a restart do to them.

mod claims;
mod clock;
pub(super) mod holders;
mod random;
mod rig;
mod shared;
pub(super) mod shell;

use crate::LocksMark;
use gob_protocol::limits::{LOCK_PASSES, MAX_LOCK_PARTIES};
use gob_protocol::request::{LockAcquire, LockRelease};
use gob_protocol::{Data, ErrorCode, Request};
use rig::{Rig, lock, shared, wants};
use std::vec::Vec;

#[test]
fn ten_waiters_get_the_lock_in_the_order_in_which_they_came() {
    let mut rig = Rig::new();
    let mut token = rig.takes(1, wants("l"));
    let waiting: Vec<(u64, i64)> = (2..=9).map(|conn| (conn, rig.asks(conn, wants("l")))).collect();
    let mut before = 1;
    for (conn, id) in waiting {
        assert_eq!(rig.answer(conn, id), None);
        rig.gives(before, "l", token);
        let next = rig.token(conn, id).expect("the next one has it");
        assert!(next > token, "{next} after {token}");
        (token, before) = (next, conn);
    }
    rig.gives(9, "l", token);
    let status = rig.status("l");
    assert_eq!((status.acquired, status.contended, status.waits), (9, 8, 8));
    assert!(status.holders.is_empty() && status.waiters.is_empty());
}

#[test]
fn a_lost_connection_gives_back_what_it_holds_and_leaves_the_line() {
    let mut rig = Rig::new();
    rig.takes(1, wants("l"));
    let (second, third) = (rig.asks(2, wants("l")), rig.asks(3, wants("l")));
    rig.leaves(2);
    rig.leaves(1);
    assert_eq!(rig.answer(2, second), None);
    assert!(rig.token(3, third).is_some());
    let told = rig.told();
    let expected = [
        "lock_granted l",
        "lock_waiting l",
        "lock_waiting l",
        "lock_released l connection",
        "lock_granted l",
    ];
    assert_eq!(told, expected);
}

#[test]
fn shared_holders_go_together_and_do_not_pass_an_exclusive_waiter() {
    let mut rig = Rig::new();
    let (one, two) = (rig.takes(1, shared("l")), rig.takes(2, shared("l")));
    let writer = rig.asks(3, wants("l"));
    let late = rig.asks(4, shared("l"));
    assert_eq!((rig.answer(3, writer), rig.answer(4, late)), (None, None));
    rig.gives(1, "l", one);
    assert_eq!(rig.answer(3, writer), None, "another one holds it");
    rig.gives(2, "l", two);
    let token = rig.token(3, writer).unwrap();
    rig.gives(3, "l", token);
    assert!(rig.token(4, late).is_some());
    // One of a higher priority is before the writers.
    let other = rig.asks(5, wants("l"));
    let prior = rig.takes(6, LockAcquire { priority: Some(1), ..shared("l") });
    assert!(prior > token && rig.answer(5, other).is_none());
}

#[test]
fn a_waiter_that_leaves_lets_those_behind_it_go_with_the_holders() {
    let mut rig = Rig::new();
    rig.takes(1, shared("l"));
    let writer = rig.asks(2, LockAcquire { timeout_ms: Some(500), ..wants("l") });
    let reader = rig.asks(3, shared("l"));
    rig.passes(499);
    assert_eq!((rig.answer(2, writer), rig.answer(3, reader)), (None, None));
    rig.passes(1);
    assert_eq!(rig.code(2, writer), Some(ErrorCode::LockTimeout));
    assert!(rig.token(3, reader).is_some());
}

#[test]
fn a_waiter_is_passed_by_at_most_sixteen_later_ones() {
    let mut rig = Rig::after(0, LocksMark::Missing, 60);
    let mut token = rig.takes(1, wants("l"));
    let low = rig.asks(2, LockAcquire { priority: Some(-5), ..wants("l") });
    let mut holder = 1;
    // Two that are more important come for each one that is served.
    for conn in 3..60 {
        rig.asks(conn, LockAcquire { priority: Some(5), ..wants("l") });
    }
    for served in 0..=LOCK_PASSES {
        assert_eq!(rig.answer(2, low), None, "after {served}");
        rig.gives(holder, "l", token);
        let status = rig.status("l");
        (holder, token) = (status.holders[0].pid.unwrap() as u64, status.holders[0].token.unwrap());
    }
    assert_eq!(holder, 2, "sixteen went before it");
}

#[test]
fn a_lock_is_held_for_its_ttl_unless_it_is_renewed() {
    let mut rig = Rig::new();
    let token = rig.takes(1, LockAcquire { ttl_ms: Some(1_000), ..wants("l") });
    let next = rig.asks(2, wants("l"));
    rig.passes(900);
    let renewed = rig.asks(1, LockAcquire { token: Some(token), ..wants("l") });
    let Some(Ok(Data::LockAcquire(data))) = rig.answer(1, renewed) else { panic!() };
    assert_eq!((data.token, data.expires_at.map(|at| at.0)), (token, Some(1_900)));
    rig.passes(999);
    assert_eq!(rig.answer(2, next), None);
    rig.passes(1);
    assert!(rig.token(2, next).unwrap() > token);
    let late = rig.asks(1, LockAcquire { token: Some(token), ..wants("l") });
    assert_eq!(rig.code(1, late), Some(ErrorCode::LockNotHeld));
    let release = rig.send(1, Request::LockRelease(LockRelease { lock: lock("l"), token }));
    assert_eq!(rig.code(1, release), Some(ErrorCode::LockNotHeld));
    assert!(rig.told().contains(&"lock_released l ttl".into()));
}

#[test]
fn a_token_is_worth_nothing_on_another_connection_or_for_another_lock() {
    let mut rig = Rig::new();
    let token = rig.takes(1, wants("l"));
    rig.takes(2, wants("m"));
    for (conn, text) in [(2, "l"), (1, "m")] {
        let release = Request::LockRelease(LockRelease { lock: lock(text), token });
        let id = rig.send(conn, release);
        assert_eq!(rig.code(conn, id), Some(ErrorCode::LockNotHeld));
        let id = rig.asks(conn, LockAcquire { token: Some(token), ..wants(text) });
        assert_eq!(rig.code(conn, id), Some(ErrorCode::LockNotHeld));
    }
}

#[test]
fn a_try_is_answered_at_once_and_names_the_holders() {
    let mut rig = Rig::new();
    rig.takes(1, LockAcquire { process: Some("make".into()), ..wants("l") });
    rig.passes(12_000);
    let tried = rig.asks(2, LockAcquire { timeout_ms: Some(0), ..wants("l") });
    let Some(Err(error)) = rig.answer(2, tried) else { panic!() };
    assert_eq!(error.code, ErrorCode::LockTimeout);
    assert_eq!(error.message, "l was not granted at once: cli (make, pid 1) has held it for 12 s");
    let holders = &error.details.as_ref().unwrap()["holders"];
    assert_eq!((&holders[0]["pid"], &holders[0]["host"]), (&1.into(), &"here".into()));
    assert_eq!(rig.status("l").contended, 1);
    assert_eq!(rig.core.status().lock_contentions, 1);
    // Nothing waits that nobody waits for.
    assert!(rig.status("l").waiters.is_empty());
}

#[test]
fn two_that_wait_for_each_other_are_found_when_the_second_begins() {
    let mut rig = Rig::new();
    let (build, _) = (rig.takes(1, wants("build")), rig.takes(2, wants("test")));
    let first = rig.asks(1, wants("test"));
    let second = rig.asks(2, wants("build"));
    assert_eq!(rig.answer(1, first), None);
    let Some(Err(error)) = rig.answer(2, second) else { panic!() };
    assert_eq!(error.code, ErrorCode::LockDeadlock);
    let cycle = error.details.as_ref().unwrap()["cycle"].clone();
    let cycle: Vec<_> = cycle.as_array().unwrap().iter().map(|link| (&link["lock"], &link["pid"])).collect();
    assert_eq!(cycle, [(&"build".into(), &1.into()), (&"test".into(), &2.into())], "{error:?}");
    // The one that was refused can give back, and the other one goes on.
    rig.leaves(2);
    assert!(rig.token(1, first).unwrap() > build);
}

#[test]
fn three_in_a_circle_are_found_also_through_the_line() {
    let mut rig = Rig::new();
    for (conn, text) in [(1, "a"), (2, "b"), (3, "c")] {
        rig.takes(conn, wants(text));
    }
    let waits = [rig.asks(1, wants("b")), rig.asks(2, wants("c"))];
    let third = rig.asks(3, wants("a"));
    assert_eq!(rig.code(3, third), Some(ErrorCode::LockDeadlock));
    assert_eq!((rig.answer(1, waits[0]), rig.answer(2, waits[1])), (None, None));
    // A reader that waits behind a writer waits for what the writer waits for.
    let mut rig = Rig::new();
    rig.takes(1, shared("l"));
    rig.takes(3, wants("m"));
    rig.asks(2, wants("l"));
    rig.asks(3, shared("l"));
    let closing = rig.asks(1, wants("m"));
    assert_eq!(rig.code(1, closing), Some(ErrorCode::LockDeadlock));
}

#[test]
fn a_party_that_takes_again_what_it_holds_fails_at_once() {
    let mut rig = Rig::new();
    let token = rig.takes(1, shared("l"));
    let again = rig.asks(1, shared("l"));
    let Some(Err(error)) = rig.answer(1, again) else { panic!() };
    assert_eq!(error.code, ErrorCode::LockDeadlock);
    assert_eq!(error.details.as_ref().unwrap()["cycle"].as_array().unwrap().len(), 1);
    let nested = rig.asks(2, LockAcquire { within: Vec::from([token, 99_999]), ..wants("l") });
    assert_eq!(rig.code(2, nested), Some(ErrorCode::LockDeadlock));
    let other = rig.asks(3, wants("l"));
    assert_eq!(rig.answer(3, other), None, "another party waits");
}

#[test]
fn nested_holders_are_one_party_in_a_circle() {
    let mut rig = Rig::new();
    let outer = rig.takes(1, wants("outer"));
    let inner = rig.takes(2, LockAcquire { within: Vec::from([outer]), ..wants("inner") });
    rig.takes(4, wants("other"));
    // The outer one goes on when what is within it does.
    rig.asks(4, wants("outer"));
    let third = rig.asks(3, LockAcquire { within: Vec::from([inner]), ..wants("other") });
    assert_eq!(rig.code(3, third), Some(ErrorCode::LockDeadlock));
    let stranger = rig.asks(5, wants("other"));
    assert_eq!(rig.answer(5, stranger), None);
}

#[test]
fn a_lock_is_broken_by_its_owner_and_by_those_that_may_force() {
    let mut rig = Rig::new();
    rig.joins(20, "agent");
    rig.joins(21, "agent");
    assert_eq!(rig.breaks(1, "l"), Some(ErrorCode::ServerNotFound));
    let token = rig.takes(1, wants("l"));
    let next = rig.asks(2, wants("l"));
    assert_eq!(rig.breaks(20, "l"), Some(ErrorCode::ServerOwnedByOther));
    assert_eq!(rig.answer(2, next), None);
    assert_eq!(rig.breaks(3, "l"), None);
    assert!(rig.token(2, next).unwrap() > token);
    rig.takes(20, wants("m"));
    assert_eq!(rig.breaks(21, "m"), None, "its owner's");
    assert_eq!(rig.status("m").broken, 1);
    assert!(rig.told().contains(&"lock_broken l broken".into()));
}

#[test]
fn nothing_is_granted_before_a_token_and_the_mark_are_there() {
    let mut rig = Rig::new();
    rig.is_slow = true;
    let first = rig.asks(1, LockAcquire { timeout_ms: Some(0), ..wants("l") });
    assert_eq!((rig.answer(1, first), rig.shell.mark), (None, LocksMark::Missing));
    while rig.tells() {}
    assert_eq!(rig.shell.mark, LocksMark::UpTo(1_024));
    assert_eq!(rig.token(1, first), Some(1));
    // A request that only lacks a token does not wait for ever, whatever it waits for.
    let mut rig = Rig::new();
    rig.is_slow = true;
    let first = rig.asks(1, LockAcquire { timeout_ms: Some(0), ..wants("l") });
    rig.passes(10_000);
    assert_eq!(rig.code(1, first), Some(ErrorCode::LockTimeout));
}

#[test]
fn without_a_store_holders_keep_theirs_and_no_token_is_made_up() {
    let mut rig = Rig::new();
    let held = rig.takes(1, wants("held"));
    let waiting = rig.asks(2, wants("held"));
    rig.shell.store = false;
    let mut last = held;
    // What was reserved is given.
    for round in 0.. {
        let id = rig.asks(3, wants("l"));
        if let Some(code) = rig.code(3, id) {
            assert_eq!((code, rig.shell.reserved), (ErrorCode::Internal, last), "round {round}");
            break;
        }
        last = rig.token(3, id).unwrap();
        rig.gives(3, "l", last);
    }
    let Some(Err(error)) = rig.answer(3, rig.ids) else { panic!() };
    assert!(error.message.contains("the disk is full"), "{error}");
    assert_eq!(rig.status("held").holders[0].token, Some(held));
    rig.gives(1, "held", held);
    assert_eq!(rig.code(2, waiting), Some(ErrorCode::Internal));
    rig.shell.store = true;
    assert_eq!(rig.takes(4, wants("held")), last + 1);
    // A mark that can't be made is as bad.
    let mut rig = Rig::new();
    rig.shell.markable = false;
    let refused = rig.asks(1, wants("l"));
    assert_eq!(rig.code(1, refused), Some(ErrorCode::Internal));
    rig.shell.markable = true;
    assert_eq!(rig.takes(1, wants("l")), 1);
}

#[test]
fn a_mark_that_can_not_be_renewed_costs_no_holder_and_no_token_that_it_covers() {
    let mut rig = Rig::new();
    let held = rig.takes(1, wants("held"));
    rig.shell.markable = false;
    for expected in held + 1..=1_024 {
        let token = rig.takes(2, wants("l"));
        assert_eq!((token, rig.shell.mark), (expected, LocksMark::UpTo(1_024)));
        rig.gives(2, "l", token);
    }
    let refused = rig.asks(2, wants("l"));
    let Some(Err(error)) = rig.answer(2, refused) else { panic!() };
    assert_eq!(error.code, ErrorCode::Internal);
    assert!(error.message.contains("it is read-only"), "{error}");
    assert_eq!(rig.status("held").holders[0].token, Some(held));
    rig.shell.markable = true;
    assert_eq!((rig.takes(2, wants("l")), rig.shell.mark), (1_025, LocksMark::UpTo(2_048)));
}

#[test]
fn a_block_is_marked_before_its_tokens_are_needed() {
    let mut rig = Rig::new();
    for _ in 0..1_024 {
        let token = rig.takes(1, wants("l"));
        rig.gives(1, "l", token);
    }
    assert_eq!(rig.shell.mark, LocksMark::UpTo(2_048));
    rig.is_slow = true;
    assert_eq!(rig.takes(1, wants("l")), 1_025, "nothing is waited for at the edge of a block");
}

#[test]
fn holders_and_waiters_are_bounded() {
    let mut rig = Rig::new();
    rig.takes(1, wants("l"));
    for number in 0..MAX_LOCK_PARTIES {
        let conn = 2_000 + number as u64;
        rig.joins(conn, "agent");
        rig.asks(conn, wants("l"));
    }
    let last = rig.asks(2, wants("l"));
    assert_eq!(rig.code(2, last), Some(ErrorCode::Busy));
    assert_eq!(rig.status("l").waiters.len(), MAX_LOCK_PARTIES);
}

#[test]
fn counters_of_locks_that_were_used_last_are_kept() {
    let mut rig = Rig::new();
    for number in 0..3_000 {
        let text = std::format!("l{number}");
        let token = rig.takes(1, wants(&text));
        rig.gives(1, &text, token);
    }
    assert_eq!((rig.status("l0").acquired, rig.status("l2999").acquired), (0, 1));
    let id = rig.send(1, Request::LockStatus(gob_protocol::request::LockStatus::default()));
    let Some(Ok(Data::LockStatus(data))) = rig.answer(1, id) else { panic!() };
    assert_eq!(data.locks.len(), 1_000);
}

#[test]
fn an_orderly_end_answers_the_waiters_and_takes_the_mark_away_where_nobody_holds() {
    for (gives_back, is_marked) in [(true, false), (false, true)] {
        let mut rig = Rig::new();
        let token = rig.takes(1, wants("l"));
        let waiting = rig.asks(2, wants("m"));
        assert!(rig.token(2, waiting).is_some());
        rig.leaves(2);
        if gives_back {
            rig.gives(1, "l", token);
        } else {
            let waiting = rig.asks(3, wants("l"));
            rig.feed(crate::Input::Terminate);
            assert_eq!(rig.code(3, waiting), Some(ErrorCode::ShuttingDown));
        }
        rig.feed(crate::Input::Terminate);
        assert_eq!((rig.ended, rig.shell.mark != LocksMark::Missing), (true, is_marked));
    }
}
