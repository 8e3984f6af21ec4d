//! The mark that locks are held, `locks.held`: which claims it lets the next supervisor take, and what it costs when it is lost,
//! damaged, or can't be written (C3, C4).

use crate::healing::remove_all;
use crate::locks::{kill, take, token};
use crate::store::Mount;
use gob_tests::Gob;
use gob_tests::conn::Conn;
use gob_tests::require::{Need, skip};
use gob_tests::wait::{self, DEADLINE};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

fn mark(gob: &Gob) -> PathBuf {
    gob.runtime_dir().join("locks.held")
}

fn number(gob: &Gob) -> Option<u64> {
    fs::read_to_string(mark(gob)).ok()?.lines().next()?.parse().ok()
}

/// Claims tokens of a lock each, over a connection each, and returns the answers.
fn claims(gob: &Gob, tokens: &[(&str, u64)]) -> Vec<Value> {
    let claim = |(lock, token): &(&str, u64)| {
        let mut conn = gob.connect_as("cli");
        let id = conn.post("lock_acquire", json!({"lock": lock, "token": token}));
        (conn, id)
    };
    let mut sent: Vec<(Conn, u64)> = tokens.iter().map(claim).collect();
    sent.iter_mut().map(|(conn, id)| conn.response(*id)).collect()
}

#[test]
fn without_a_store_the_mark_tells_true_claims_and_a_lost_store_repeats_no_token() {
    let gob = Gob::new();
    let mut holder = gob.connect_as("cli");
    let held = take(&mut holder, "build");
    let up_to = number(&gob).expect("a number");
    assert!(held <= up_to, "{held} is given, {up_to} is marked");
    let store = gob.state_dir().join("store.sqlite3");
    for name in ["store.sqlite3", "store.sqlite3-wal", "store.sqlite3-shm"] {
        fs::remove_file(gob.state_dir().join(name)).ok();
    }
    fs::create_dir(&store).unwrap();
    kill(&gob);
    let answers = claims(&gob, &[("build", held), ("a", up_to + 1), ("b", (1 << 53) - 1)]);
    assert_eq!(answers[0]["data"]["token"], held, "{answers:?}");
    for refused in &answers[1..] {
        assert_eq!(refused["error"]["code"], "lock-not-held", "{answers:?}");
    }
    let mut next = gob.connect_as("cli");
    next.err("lock_acquire", json!({"lock": "docs"}), "internal");
    fs::remove_dir(&store).unwrap();
    let first = take(&mut next, "docs");
    assert!(first > up_to, "{first} may have been given before: {up_to}");
    assert!(number(&gob).is_some_and(|number| first <= number), "{first}, {:?}", number(&gob));
}

#[test]
fn a_damaged_mark_keeps_the_time_of_the_claims_and_the_store_tells_the_true_ones() {
    let gob = Gob::new();
    let mut holder = gob.connect_as("cli");
    let held = take(&mut holder, "build");
    fs::write(mark(&gob), "").unwrap();
    kill(&gob);
    gob.connect_as("cli").err("lock_acquire", json!({"lock": "a", "timeout_ms": 0}), "lock-timeout");
    let answers = claims(&gob, &[("build", held), ("b", 1 << 40)]);
    assert_eq!(answers[0]["data"]["token"], held, "{answers:?}");
    assert_eq!(answers[1]["error"]["code"], "lock-not-held", "{answers:?}");
    let next = take(&mut gob.connect_as("cli"), "docs");
    assert!(number(&gob).is_some_and(|number| next <= number), "{next}, {:?}", number(&gob));
}

#[test]
fn a_lost_mark_comes_again_with_its_number() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    take(&mut conn, "build");
    let before = number(&gob);
    assert!(before.is_some());
    remove_all(&gob.runtime_dir());
    assert!(wait::until(DEADLINE, || mark(&gob).exists()));
    assert_eq!(number(&gob), before);
}

#[test]
fn a_full_runtime_directory_costs_no_holder_and_no_token_that_is_marked() {
    let gob = Gob::new();
    fs::create_dir_all(gob.runtime_dir()).unwrap();
    let Some(_disk) = Mount::of(&["-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs"], &gob.runtime_dir())
    else {
        return skip(Need::Mounts, "only root can make a disk");
    };
    let (mut holder, mut conn) = (gob.connect_as("cli"), gob.connect_as("cli"));
    let held = take(&mut holder, "held");
    let up_to = number(&gob).expect("a number");
    let filler = gob.runtime_dir().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    for size in [4096, 1] {
        while file.write(&vec![b'x'; size]).is_ok() {}
    }
    let mut last = held;
    while last < up_to {
        last = take(&mut conn, "build");
        conn.ok("lock_release", json!({"lock": "build", "token": last}));
    }
    let error = conn.err("lock_acquire", json!({"lock": "build"}), "internal");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("runtime directory") && message.contains("No space left"), "{error}");
    assert_eq!(number(&gob), Some(up_to), "the earlier mark is whole");
    let kept = holder.ok("lock_acquire", json!({"lock": "held", "token": held}));
    assert_eq!(token(&kept), held);
    drop(file);
    fs::remove_file(filler).unwrap();
    // A try that was under way while the disk was still full may answer this request, too.
    let mut granted = json!(null);
    let is_granted = wait::until(DEADLINE, || {
        granted = conn.ask("lock_acquire", json!({"lock": "build"}));
        granted["success"] == true
    });
    assert!(is_granted && token(&granted["data"]) > up_to, "{granted}");
    assert!(number(&gob) > Some(up_to));
}
