//! Named locks over the socket: the line, ends of holders, tokens, deadlocks, and what an end of the supervisor leaves (C1–C7).

use gob_tests::Gob;
use gob_tests::conn::Conn;
use gob_tests::process::Handle;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// Time in which the next in line has the lock of a holder that is gone.
const NEXT: Duration = Duration::from_millis(100);
/// Time in which a supervisor that starts after held locks grants none.
const CLAIMS: Duration = Duration::from_secs(6);

pub(crate) fn token(data: &Value) -> u64 {
    data["token"].as_u64().unwrap_or_else(|| panic!("no token: {data}"))
}

pub(crate) fn take(conn: &mut Conn, lock: &str) -> u64 {
    token(&conn.ok("lock_acquire", json!({"lock": lock})))
}

fn granted(conn: &mut Conn, id: u64) -> u64 {
    let response = conn.response(id);
    assert_eq!(response["success"], true, "{response}");
    token(&response["data"])
}

pub(crate) fn kill(gob: &Gob) {
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(&instance);
}

#[test]
fn ten_waiters_in_a_line_are_served_in_order() {
    let gob = Gob::new();
    let mut holder = gob.connect_as("cli");
    let mut last = take(&mut holder, "build");
    let mut line: Vec<(Conn, u64)> = Vec::new();
    for place in 1..=10 {
        let mut conn = gob.connect_as("agent");
        let id = conn.post("lock_acquire", json!({"lock": "build", "process": format!("p{place}")}));
        let mut watch = gob.connect();
        let mut waiters = || watch.ok("lock_status", json!({"lock": "build"}))["locks"][0]["waiters"].clone();
        assert!(wait::until(DEADLINE, || waiters().as_array().is_some_and(|all| all.len() == place)));
        line.push((conn, id));
    }
    let status = gob.connect().ok("lock_status", json!({"lock": "build"}));
    let waiters = status["locks"][0]["waiters"].as_array().unwrap();
    let waiters: Vec<&str> = waiters.iter().map(|waiter| waiter["process"].as_str().unwrap()).collect();
    assert_eq!(waiters, ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10"]);
    holder.ok("lock_release", json!({"lock": "build", "token": last}));
    for (mut conn, id) in line {
        let next = granted(&mut conn, id);
        assert!(next > last, "{next} after {last}");
        last = next;
        conn.ok("lock_release", json!({"lock": "build", "token": last}));
    }
    let status = gob.connect().ok("lock_status", json!({"lock": "build"}));
    assert_eq!((&status["locks"][0]["acquired"], &status["locks"][0]["waits"]), (&json!(11), &json!(10)));
    assert_eq!(gob.status()["lock_contentions"], 10);
}

#[test]
fn the_lock_of_a_holder_that_is_gone_is_the_next_ones_soon() {
    let gob = Gob::new();
    let mut events = gob.events();
    let (mut holder, mut next) = (gob.connect_as("cli"), gob.connect_as("desktop"));
    take(&mut holder, "build");
    let id = next.post("lock_acquire", json!({"lock": "build"}));
    events.find("a waiter", DEADLINE, |frame| frame["event"] == "lock_waiting");
    let begin = Instant::now();
    drop(holder);
    granted(&mut next, id);
    assert!(begin.elapsed() < NEXT * 3, "{:?}", begin.elapsed());
    let released = events.find("its end", DEADLINE, |frame| frame["event"] == "lock_released");
    assert_eq!((&released["reason"], &released["lock"]), (&json!("connection"), &json!("build")));
    assert_eq!(released["holder"]["owner"], "cli");
    assert!(released["worker"].is_null());
    events.find("the next", DEADLINE, |frame| {
        frame["event"] == "lock_granted" && frame["holder"]["owner"] == "desktop"
    });
}

#[test]
fn a_killed_supervisor_is_followed_by_one_that_hears_the_holders_first() {
    let gob = Gob::new();
    let mut conns = [gob.connect_as("cli"), gob.connect_as("cli")];
    let [first, second] = &mut conns;
    let (build, docs) = (take(first, "build"), take(second, "docs"));
    assert!(gob.runtime_dir().join("locks.held").exists());
    kill(&gob);
    let begin = Instant::now();
    let mut early = gob.connect_as("cli");
    let early_id = early.post("lock_acquire", json!({"lock": "build"}));
    early.err("lock_acquire", json!({"lock": "other", "timeout_ms": 0}), "lock-timeout");
    // Two claim one lock; the one with the older token lost it before. A token that was never given is none.
    let claim = |lock: &str, token: u64| json!({"lock": lock, "token": token});
    let (mut holder, mut older, mut false_one) =
        (gob.connect_as("cli"), gob.connect_as("cli"), gob.connect_as("cli"));
    let id = holder.post("lock_acquire", claim("docs", docs));
    let older_id = older.post("lock_acquire", claim("docs", build));
    let false_id = false_one.post("lock_acquire", claim("free", 1 << 40));
    let held = holder.response(id);
    assert_eq!(held["data"]["token"], docs, "{held}");
    assert!(begin.elapsed() > CLAIMS - Duration::from_secs(2), "{:?}", begin.elapsed());
    for (conn, id) in [(&mut older, older_id), (&mut false_one, false_id)] {
        assert_eq!(conn.response(id)["error"]["code"], "lock-not-held");
    }
    // Nobody claimed this one; its token is above all earlier ones.
    let new = granted(&mut early, early_id);
    assert!(new > docs && new > build, "{new} after {build} and {docs}");
    early.err("lock_acquire", claim("docs", docs), "lock-not-held");
    holder.ok("lock_release", json!({"lock": "docs", "token": docs}));
}

#[test]
fn an_orderly_end_leaves_its_note_only_while_locks_are_held() {
    let gob = Gob::new();
    let note = gob.runtime_dir().join("locks.held");
    let mut conn = gob.connect_as("cli");
    assert!(!note.exists(), "no lock was held yet");
    let token = take(&mut conn, "build");
    conn.ok("lock_release", json!({"lock": "build", "token": token}));
    gob.ctl(["daemon", "stop"]).ok();
    assert!(wait::until(DEADLINE, || !note.exists()));
    gob.ctl(["ping"]).ok();
    let mut conn = gob.connect_as("cli");
    let held = token_above(token, &mut conn);
    gob.ctl(["daemon", "restart"]).ok();
    assert!(note.exists(), "the lock is held");
    let mut again = gob.connect_as("cli");
    let claim = again.ok("lock_acquire", json!({"lock": "build", "token": held}));
    assert_eq!(claim["token"], held);
}

fn token_above(before: u64, conn: &mut Conn) -> u64 {
    let begin = Instant::now();
    let token = take(conn, "build");
    assert!(token > before, "{token} after {before}");
    assert!(begin.elapsed() < Duration::from_secs(5), "nothing was to be waited for: {:?}", begin.elapsed());
    token
}

#[test]
fn without_a_store_no_lock_is_granted_and_the_cause_is_told() {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    fs::create_dir(gob.state_dir().join("store.sqlite3")).unwrap();
    let mut conn = gob.connect_as("cli");
    let error = conn.err("lock_acquire", json!({"lock": "build"}), "internal");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("no token can be reserved") && message.contains("store.sqlite3"), "{error}");
    fs::remove_dir(gob.state_dir().join("store.sqlite3")).unwrap();
    take(&mut conn, "build");
}

#[test]
fn a_ttl_ends_a_hold_unless_it_is_renewed() {
    let gob = Gob::new();
    let (mut holder, mut next) = (gob.connect_as("cli"), gob.connect_as("cli"));
    let data = holder.ok("lock_acquire", json!({"lock": "build", "ttl_ms": 1_000}));
    assert!(data["expires_at"].is_string(), "{data}");
    let token = token(&data);
    holder.ok("lock_acquire", json!({"lock": "build", "token": token, "ttl_ms": 600}));
    let id = next.post("lock_acquire", json!({"lock": "build"}));
    assert!(granted(&mut next, id) > token);
    holder.err("lock_release", json!({"lock": "build", "token": token}), "lock-not-held");
}

#[test]
fn a_lock_is_broken_by_its_owner_and_by_force_owners_only() {
    let gob = Gob::new();
    let (mut holder, mut agent, mut cli) =
        (gob.connect_as("worker"), gob.connect_as("agent"), gob.connect_as("cli"));
    cli.err("lock_break", json!({"lock": "build"}), "server-not-found");
    let token = take(&mut holder, "build");
    agent.err("lock_break", json!({"lock": "build"}), "server-owned-by-other");
    let broken = cli.ok("lock_break", json!({"lock": "build"}));
    assert_eq!(
        (&broken["broken"][0]["owner"], &broken["broken"][0]["token"]),
        (&json!("worker"), &json!(token))
    );
    holder.err("lock_release", json!({"lock": "build", "token": token}), "lock-not-held");
    take(&mut agent, "build");
}

#[test]
fn circles_of_one_two_and_three_are_told_at_once() {
    let gob = Gob::new();
    let mut conns = [gob.connect_as("cli"), gob.connect_as("cli"), gob.connect_as("cli")];
    let names = ["a", "b", "c"];
    let tokens: Vec<u64> = conns.iter_mut().zip(names).map(|(conn, name)| take(conn, name)).collect();
    let mut watch = gob.connect();
    let mut waiters = |lock: &str| {
        let status = watch.ok("lock_status", json!({"lock": lock}));
        status["locks"][0]["waiters"].as_array().map_or(0, Vec::len)
    };
    let [one, two, three] = &mut conns;
    one.err("lock_acquire", json!({"lock": "a"}), "lock-deadlock");
    one.post("lock_acquire", json!({"lock": "b"}));
    assert!(wait::until(DEADLINE, || waiters("b") == 1));
    let error = two.err("lock_acquire", json!({"lock": "a"}), "lock-deadlock");
    assert_eq!(error["details"]["cycle"].as_array().unwrap().len(), 2, "{error}");
    let waits = two.post("lock_acquire", json!({"lock": "c"}));
    assert!(wait::until(DEADLINE, || waiters("c") == 1));
    let error = three.err("lock_acquire", json!({"lock": "a"}), "lock-deadlock");
    let locks: Vec<&Value> =
        error["details"]["cycle"].as_array().unwrap().iter().map(|link| &link["lock"]).collect();
    assert_eq!(locks, ["a", "b", "c"], "{error}");
    three.ok("lock_release", json!({"lock": "c", "token": tokens[2]}));
    granted(two, waits);
    // A party that is within another one's hold takes nothing again.
    let mut nested = gob.connect_as("cli");
    nested.err("lock_acquire", json!({"lock": "a", "within": [tokens[0]]}), "lock-deadlock");
}
