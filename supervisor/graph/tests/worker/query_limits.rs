//! No query takes all memory, fills a disk, outlives its deadline or its client, or keeps others waiting.

use crate::harness::{Client, Place, Worker};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// A search for a text of half a megabyte in one of a megabyte: one step of SQLite's that takes many seconds.
const INSTR: &str = "WITH hay(h) AS (SELECT hex(zeroblob(500000)))
    SELECT instr(h, substr(h, 1, 500000) || '1') FROM hay";
/// Compares each character of one text with all of another: minutes.
const TRIM: &str = "WITH a(t) AS (SELECT hex(zeroblob(500000)))
    SELECT length(trim(t, replace(substr(t, 1, 80000), '0', '1') || '0')) FROM a";
/// Far below the time that these take, and far above the deadline on a machine under load.
const SOON: Duration = Duration::from_secs(8);

fn rows(sql: &str) -> String {
    format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) {sql}")
}

/// Returns the error of a query, which must come soon after its deadline.
fn refused(client: &mut Client, sql: &str, timeout_ms: u64) -> Value {
    let began = Instant::now();
    let error = client.error("query", &json!({"sql": sql, "timeout_ms": timeout_ms}));
    let took = began.elapsed();
    assert!(took < Duration::from_millis(timeout_ms) + SOON, "{took:?}: {sql}: {error}");
    error
}

/// Returns the peak memory of the worker, in MiB.
fn peak(worker: &Worker) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", worker.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Returns the worker's processes for queries.
fn readers(worker: &Worker) -> Vec<u32> {
    let mut found = Vec::new();
    for task in fs::read_dir(format!("/proc/{}/task", worker.pid())).unwrap() {
        // A thread that has ended has no such file.
        let children = fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        found.extend(children.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()));
    }
    found
}

#[test]
fn a_row_of_large_columns_costs_bounded_memory() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let columns = |size: u32, count: usize| vec![format!("zeroblob({size})"); count].join(",");
    let error = refused(&mut client, &format!("SELECT {}", columns(16_700_000, 60)), 2_000);
    assert_eq!(error["code"], "invalid-request", "{error}");
    assert!(error["message"].as_str().unwrap().contains("too big"), "{error}");
    let error = refused(&mut client, &format!("SELECT {}", columns(1_000_000, 60)), 20_000);
    assert_eq!(error["details"], json!({"limit": "result_bytes", "value": 32 << 20}), "{error}");
    // The largest number of columns; the machine decides whether memory, size or time ends it.
    refused(&mut client, &format!("SELECT {}", columns(1_000_000, 2_000)), 2_000);
    client.data("ping", &json!({}));
    assert!(peak(&worker) < 200, "{} MiB", peak(&worker));
}

#[test]
fn a_function_that_heeds_no_interrupt_ends_at_the_deadline_and_others_are_served() {
    let place = Place::new();
    let worker = place.start();
    let mut slow: Vec<Client> = (0..8).map(|_| worker.client()).collect();
    let began = Instant::now();
    for (at, client) in slow.iter_mut().enumerate() {
        let sql = if at % 2 == 0 { INSTR } else { TRIM };
        client.send("query", &json!({"sql": sql, "timeout_ms": 1_000}));
    }
    let mut client = worker.client();
    client.data("put", &json!({"nodes": [{"id": "a"}]}));
    assert_eq!(client.data("get", &json!({"id": "a"}))["node"]["id"], "a");
    for client in &mut slow {
        let frame = client.read();
        assert_eq!(frame["error"]["details"], json!({"limit": "timeout_ms", "timeout_ms": 1_000}), "{frame}");
    }
    assert!(began.elapsed() < Duration::from_secs(2) + SOON, "{:?}", began.elapsed());
    assert_eq!(client.data("query", &json!({"sql": "SELECT id FROM nodes"}))["rows"], json!([["a"]]));
}

#[test]
fn a_query_ends_with_its_client() {
    let place = Place::new();
    let worker = place.start();
    let began = Instant::now();
    for _ in 0..8 {
        worker.client().send("query", &json!({"sql": TRIM, "timeout_ms": 60_000}));
    }
    assert_eq!(worker.client().data("query", &json!({"sql": "SELECT 1"}))["rows"], json!([[1]]));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_sort_makes_no_file_and_is_bounded() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    for sql in [
        rows("SELECT length(b) FROM (SELECT randomblob(1000000) AS b FROM n LIMIT 3000) ORDER BY b"),
        rows(
            ", m AS MATERIALIZED (SELECT zeroblob(1000000) AS b FROM n LIMIT 3000) SELECT count(*), max(b) FROM m",
        ),
        rows("SELECT count(DISTINCT randomblob(1000000)) FROM (SELECT i FROM n LIMIT 3000)"),
    ] {
        let error = refused(&mut client, &sql, 60_000);
        assert_eq!(error["details"], json!({"limit": "query_bytes", "value": 256 << 20}), "{sql}: {error}");
        for reader in readers(&worker) {
            let open = fs::read_dir(format!("/proc/{reader}/fd")).unwrap();
            let targets: Vec<_> = open.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok()).collect();
            assert!(targets.iter().all(|target| !target.to_str().unwrap().contains("etilqs")), "{targets:?}");
        }
    }
    let sorted = rows("SELECT count(*) FROM (SELECT i FROM n LIMIT 200000) GROUP BY i % 2 ORDER BY random()");
    assert_eq!(
        client.data("query", &json!({"sql": sorted, "timeout_ms": 60_000}))["rows"],
        json!([[100_000], [100_000]])
    );
    assert!(peak(&worker) < 200, "{} MiB", peak(&worker));
}

#[test]
fn a_statement_that_takes_long_to_read_and_patterns_end_at_the_deadline() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let branches: String = (0..45_000).map(|n| format!(" WHEN {n} THEN {n}")).collect();
    let case = rows(&format!("SELECT sum(CASE i{branches} END) FROM n"));
    let like =
        rows(&format!("SELECT count(*) FROM n WHERE hex(zeroblob(400000)) LIKE '{}1'", "%0".repeat(20_000)));
    let error = refused(&mut client, &case, 1_000);
    assert_eq!(error["details"]["limit"], "timeout_ms", "{error}");
    let began = Instant::now();
    client.call("query", &json!({"sql": like, "timeout_ms": 1_000}));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_reader_is_used_again_and_made_anew_after_it_was_killed() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    let mut ask = || client.data("query", &json!({"sql": "SELECT 1"}));
    ask();
    let first = readers(&worker);
    assert_eq!(first.len(), 1);
    ask();
    assert_eq!(readers(&worker), first);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(first[0]).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(ask()["rows"], json!([[1]]));
    assert_ne!(readers(&worker), first);
}

#[test]
fn a_reader_ends_with_its_worker_whatever_it_is_at() {
    let place = Place::new();
    let worker = place.start();
    let mut client = worker.client();
    client.data("query", &json!({"sql": "SELECT 1"}));
    let readers = readers(&worker);
    client.send("query", &json!({"sql": TRIM, "timeout_ms": 60_000}));
    assert_eq!(self::readers(&worker), readers);
    let began = Instant::now();
    // The reader has standard error open until it ends.
    worker.kill_and_read();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_stop_is_quick_while_queries_run() {
    let place = Place::new();
    let worker = place.start();
    let mut slow: Vec<Client> = (0..6).map(|_| worker.client()).collect();
    for client in &mut slow {
        client.send("query", &json!({"sql": TRIM, "timeout_ms": 60_000}));
    }
    worker.client().data("ping", &json!({}));
    let began = Instant::now();
    assert!(worker.stop().success());
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    for client in &mut slow {
        let frame = client.read();
        assert!(frame.is_null() || frame["error"]["code"] == "shutting-down", "{frame}");
    }
}
