//! The costs of an idle supervisor and its keeper: memory, wake-ups, system calls.

use crate::Samples;
use crate::table::Table;
use gob_tests::Gob;
use gob_tests::process::{self, Handle};
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const MB: f64 = 1024.0 * 1024.0;

/// Time in which the history is closed for want of anything to write.
const HISTORY_CLOSES: Duration = Duration::from_secs(20);

fn pids(gob: &Gob) -> (i32, i32) {
    let status = gob.status();
    let pid = |key: &str| status[key].as_i64().expect("a pid") as i32;
    (pid("pid"), pid("keeper_pid"))
}

/// Measures the present proportional set sizes.
pub fn memory(table: &mut Table, gob: &Gob, when: &str) {
    let (gobd, keeper) = pids(gob);
    let pss = |pid| process::smaps_bytes(pid, "Pss").map(|bytes| bytes as f64 / MB);
    match (pss(gobd), pss(keeper)) {
        (Some(gobd), Some(keeper)) => {
            table.alone(&format!("PSS of gobd and keeper, {when}"), "MB", gobd + keeper, 4.0);
            table.alone(&format!("… of which the keeper, {when}"), "MB", keeper, 1.0);
        }
        _ => table.skip(&format!("PSS, {when}"), "smaps_rollup can't be read"),
    }
}

/// Waits until the history is closed: once, ten seconds after the last record.
pub fn close_history(gob: &Gob) {
    let is_closed = || gob.status()["history"]["state"] == "closed";
    if !wait::until(HISTORY_CLOSES, is_closed) {
        eprintln!("note: the history is not closed");
    }
}

/// Waits until no thread of a process has woken up for two seconds: the supervisor writes its state a second
/// after the last change. A process that never rests is measured as it is.
pub fn come_to_rest(pid: i32) {
    const TRIES: usize = 15;
    let alive = Handle::open(pid).expect("a process");
    let woke_up = || {
        let before = process::voluntary_switches(pid);
        assert!(!alive.wait_gone(Duration::from_secs(2)), "{pid} has ended");
        process::voluntary_switches(pid) != before
    };
    if (0..TRIES).all(|_| woke_up()) {
        eprintln!("note: {pid} does not come to rest");
    }
}

/// Measures the same with many workers, and the number of wake-ups.
pub fn with_workers(table: &mut Table, samples: &Samples, gob: &Gob) {
    let mut conn = gob.connect_as("cli");
    let graphs: Vec<String> = (0..samples.workers).map(|n| format!("idle {n}")).collect();
    for graph in &graphs {
        conn.ok("start", json!({"graph": graph}));
    }
    let count = samples.workers;
    close_history(gob);
    memory(table, gob, &format!("{count} workers"));
    let (gobd, keeper) = pids(gob);
    let alive = Handle::open(gobd).expect("gobd");
    let while_idle = || assert!(!alive.wait_gone(Duration::from_secs(samples.idle_s)), "gobd has ended");
    come_to_rest(gobd);
    let switches = || process::voluntary_switches(gobd) + process::voluntary_switches(keeper);
    let before = switches();
    while_idle();
    let woken = (switches() - before) as f64;
    let what = format!("wake-ups of gobd and keeper in {} s, {count} workers", samples.idle_s);
    table.alone(&what, "", woken, 0.0);
    let what = format!("syscalls of gobd in {} s, {count} workers", samples.idle_s);
    match traced(gobd, while_idle) {
        Ok(calls) => table.alone(&what, "", calls, 5.0),
        Err(why) => table.skip(&what, &why),
    }
    for graph in &graphs {
        conn.ok("stop", json!({"name": graph}));
    }
}

/// Counts the system calls of all threads of a process during `meanwhile`.
fn traced(pid: i32, meanwhile: impl FnOnce()) -> Result<f64, String> {
    let mut command = Command::new("strace");
    command
        .args(["-f", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut strace = command.spawn().map_err(|e| format!("strace: {e}"))?;
    let mut lines = BufReader::new(strace.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let attached = lines.next().unwrap_or_default();
    if !attached.contains("attached") {
        drop(strace.wait());
        return Err(format!("strace: {attached}"));
    }
    meanwhile();
    let handle = Handle::open(strace.id() as i32).expect("a child");
    handle.signal(Signal::SIGINT);
    assert!(handle.wait_gone(DEADLINE));
    strace.wait().map_err(|e| e.to_string())?;
    // Each call is one line; calls in progress when strace came and went are shown cut off.
    let is_call = |line: &String| {
        let call = line
            .strip_prefix("[pid")
            .and_then(|rest| rest.split_once("] "))
            .map_or(line.as_str(), |(_, call)| call);
        !call.starts_with("strace:")
            && !call.starts_with("<... ")
            && call.contains('(')
            && !call.contains("<unfinished")
            && !call.contains("<detached")
    };
    Ok(lines.filter(is_call).count() as f64)
}
