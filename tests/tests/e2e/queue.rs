//! The durable queue on the socket: lanes that run, claims of workers outside, and crashes in between (B3–B8, F14).

use gob_tests::process::Handle;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

fn job(gob: &Gob, lane: &str, script: &str) -> Value {
    let env = json!({"PATH": "/usr/bin:/bin", "SECRET": "hunter2"});
    json!({"lane": lane, "command": ["sh", "-c", script], "cwd": gob.dir(), "env": env})
}

fn with(mut payload: Value, field: &str, value: Value) -> Value {
    payload[field] = value;
    payload
}

/// Adds a job; returns its id.
fn add(conn: &mut Conn, payload: Value) -> String {
    conn.ok("queue_add", payload)["job"]["id"].as_str().unwrap().to_owned()
}

fn look(conn: &mut Conn, id: &str) -> Value {
    conn.ok("queue_get", json!({"job_id": id}))["job"].clone()
}

/// Waits until a job has this status.
fn until(conn: &mut Conn, id: &str, status: &str) -> Value {
    let mut seen = Value::Null;
    let is_there = wait::until(DEADLINE, || {
        seen = look(conn, id);
        seen["status"] == status
    });
    assert!(is_there, "{id} should be {status}: {seen}");
    seen
}

fn output(gob: &Gob, id: &str, attempt: u64) -> String {
    let path = gob.log(id, attempt, "stdout");
    assert!(wait::until(DEADLINE, || fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n'))));
    fs::read_to_string(&path).unwrap()
}

fn kill(gob: &Gob) {
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(&instance);
}

fn text(path: &std::path::Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_job_runs_with_the_environment_of_who_added_it_and_knows_its_attempt() {
    let gob = Gob::new();
    fs::write(gob.dir().join("config.toml"), "[lanes.a]\nnice = 7\n").unwrap();
    let mut conn = gob.connect_as("agent");
    let mut events = gob.events();
    let id = add(&mut conn, job(&gob, "a", "echo $SECRET $GOB_JOB_ID $GOB_ATTEMPT $GOB_RUN $(nice)"));
    let done = until(&mut conn, &id, "completed");
    assert_eq!((&done["attempts"], &done["exit"]), (&json!(1), &json!({"code": 0})), "{done}");
    assert_eq!(output(&gob, &id, 1), format!("hunter2 {id} 1 1 7\n"));
    for event in ["queue_job_added", "queue_job_started", "queue_job_finished"] {
        let told = events.find(event, DEADLINE, |frame| frame["event"] == event && frame["job"]["id"] == id);
        assert!(!told.to_string().contains("hunter2"), "{told}");
    }
    let worker = conn.ok("get", json!({"name": id}))["worker"].clone();
    assert_eq!((&worker["owner"], &worker["state"]), (&json!("agent"), &json!("idle")));
    assert!(!conn.ok("queue_list", json!({})).to_string().contains("hunter2"));
}

#[test]
fn a_lane_has_a_width_priorities_and_a_pause() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("queue_pause", json!({"lane": "a"}));
    let order = gob.dir().join("order");
    let say = |word: &str| format!("echo {word} >> {}", order.display());
    let first = add(&mut conn, job(&gob, "a", &say("first")));
    let second = add(&mut conn, with(job(&gob, "a", &say("second")), "priority", json!(5)));
    let late = add(&mut conn, with(job(&gob, "a", &say("late")), "delay_ms", json!(600)));
    assert_eq!(look(&mut conn, &first)["status"], "pending");
    conn.ok("queue_resume", json!({"lane": "a"}));
    until(&mut conn, &late, "completed");
    assert_eq!(
        (look(&mut conn, &first)["status"].as_str(), text(&order).as_str()),
        (Some("completed"), "second\nfirst\nlate\n")
    );
    assert_eq!(look(&mut conn, &second)["status"], "completed");
    conn.ok("queue_width", json!({"lane": "b", "width": 2}));
    let ids: Vec<String> = (0..3).map(|_| add(&mut conn, job(&gob, "b", "sleep 1000"))).collect();
    until(&mut conn, &ids[1], "running");
    let counts = conn.ok("queue_list", json!({"lane": "b"}))["lanes"][0]["counts"].clone();
    assert_eq!((&counts["running"], &counts["pending"]), (&json!(2), &json!(1)), "{counts}");
    let cleared = conn.ok("queue_clear", json!({"lane": "b"}));
    assert_eq!(cleared["cancelled"], 1, "those that run go on: {cleared}");
    for id in &ids[..2] {
        conn.ok("queue_cancel", json!({"job_id": id}));
    }
}

#[test]
fn a_job_that_fails_is_tried_again_and_takes_those_behind_it_along() {
    let gob = Gob::new();
    fs::write(gob.dir().join("config.toml"), "[queue]\nbackoff = [\"50ms\", \"100ms\"]\n").unwrap();
    let mut conn = gob.connect_as("cli");
    let flaky = add(&mut conn, job(&gob, "a", "test $GOB_ATTEMPT = 3 && echo done"));
    let done = until(&mut conn, &flaky, "completed");
    assert_eq!((&done["attempt"], output(&gob, &flaky, 3).as_str()), (&json!(3), "done\n"));
    let bad = add(&mut conn, with(job(&gob, "a", "exit 7"), "max_attempts", json!(2)));
    let behind = add(&mut conn, with(job(&gob, "b", "true"), "after", json!([bad])));
    let last = add(&mut conn, with(job(&gob, "b", "true"), "after", json!([behind, flaky])));
    assert_eq!(until(&mut conn, &bad, "failed")["error"], "exited 7");
    let failed = until(&mut conn, &last, "failed");
    assert_eq!(
        (&failed["attempt"], look(&mut conn, &behind)["status"].as_str()),
        (&json!(0), Some("failed"))
    );
    let gone = with(job(&gob, "a", "true"), "cwd", json!(gob.dir().join("gone")));
    let id = add(&mut conn, with(gone, "max_attempts", json!(1)));
    let error = until(&mut conn, &id, "failed")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("No such file"), "{error}");
    conn.err("queue_add", with(job(&gob, "a", "true"), "after", json!(["j99999"])), "job-not-found");
    conn.err("queue_add", with(job(&gob, "a", "true"), "after", json!([bad])), "server-not-running");
    let mut other = gob.connect_as("desktop");
    other.err("queue_retry", json!({"job_id": bad}), "server-owned-by-other");
    conn.ok("queue_retry", json!({"job_id": bad}));
    assert_eq!(until(&mut conn, &bad, "failed")["attempt"], 4, "numbers of attempts rise");
}

#[test]
fn one_job_with_a_key_waits_or_runs_and_a_cancelled_one_ends_with_its_tree() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let script = format!("sleep 1000 & echo $! > {}/child; wait", gob.dir().display());
    let payload = with(job(&gob, "a", &script), "dedupe", json!("k"));
    let id = add(&mut conn, payload.clone());
    let again = conn.ok("queue_add", payload.clone());
    assert_eq!((again["outcome"].as_str(), again["job"]["id"].as_str()), (Some("reused"), Some(id.as_str())));
    let child = gob.dir().join("child");
    assert!(wait::until(DEADLINE, || text(&child).ends_with('\n')));
    let child = Handle::open(text(&child).trim().parse().unwrap()).unwrap();
    let cancelled = conn.ok("queue_cancel", json!({"job_id": id}));
    assert_eq!(cancelled["job"]["status"], "cancelled");
    assert!(child.wait_gone(DEADLINE));
    conn.err("queue_cancel", json!({"job_id": id}), "server-not-running");
    conn.err("start", json!({"name": id}), "graph-conflict");
    let added = conn.ok("queue_add", payload);
    assert_eq!(added["outcome"], "added", "the key is free");
    let id = added["job"]["id"].as_str().unwrap();
    until(&mut conn, id, "running");
    conn.ok("stop", json!({"name": id}));
    assert!(until(&mut conn, id, "cancelled")["error"].as_str().unwrap().starts_with("stopped by cli"));
}

#[test]
fn a_worker_outside_claims_beats_and_finishes() {
    let gob = Gob::new();
    fs::write(
        gob.dir().join("config.toml"),
        "[queue]\nheartbeat = \"100ms\"\nstale_after = \"4s\"\nbackoff = [\"10ms\", \"10ms\"]\n",
    )
    .unwrap();
    let mut conn = gob.connect_as("cli");
    conn.ok("queue_width", json!({"lane": "o", "width": 0}));
    let mut worker = gob.connect_as("agent");
    let claim = |wait_ms: u64| json!({"lane": "o", "worker_id": "host-1", "wait_ms": wait_ms});
    assert_eq!(worker.ok("queue_claim", claim(0))["job"], Value::Null);
    let waiting = worker.post("queue_claim", claim(10_000));
    let id = add(&mut conn, job(&gob, "o", "-"));
    let claimed = worker.response(waiting)["data"]["job"].clone();
    assert_eq!((claimed["id"].as_str(), &claimed["locked_by"]), (Some(id.as_str()), &json!("host-1")));
    let beat = |attempt: u64| json!({"job_id": id, "worker_id": "host-1", "attempt": attempt});
    // For longer than the setting allows without a word.
    for _ in 0..10 {
        wait::while_time_passes(Duration::from_millis(500));
        worker.ok("queue_heartbeat", beat(1));
    }
    worker.err("queue_heartbeat", beat(2), "job-not-claimed");
    // Not a word for longer than the setting says.
    until(&mut conn, &id, "pending");
    worker.err("queue_heartbeat", beat(1), "job-not-claimed");
    let finish =
        |attempt: u64| json!({"job_id": id, "worker_id": "host-1", "success": true, "attempt": attempt});
    worker.err("queue_finish", finish(1), "job-not-claimed");
    assert_eq!(worker.ok("queue_claim", claim(5_000))["job"]["attempt"], 2);
    worker.ok("queue_finish", finish(2));
    assert_eq!(look(&mut conn, &id)["status"], "completed");
    worker.err(
        "queue_finish",
        json!({"job_id": "j9999", "worker_id": "h", "success": true}),
        "job-not-found",
    );
    let status = gob.status();
    assert_eq!(
        (&status["queue_claims"], &status["queue_stale_recoveries"]),
        (&json!(2), &json!(1)),
        "{status}"
    );
    // A claim goes with its connection, and does not count.
    let id = add(&mut conn, job(&gob, "o", "-"));
    assert_eq!(worker.ok("queue_claim", claim(5_000))["job"]["id"], json!(id));
    drop(worker);
    assert_eq!(until(&mut conn, &id, "pending")["attempts"], 0);
}

#[test]
fn a_killed_supervisor_runs_each_acknowledged_job_and_leaves_nothing_behind() {
    let gob = Gob::new();
    fs::write(
        gob.dir().join("config.toml"),
        "[queue]\nbackoff = [\"50ms\", \"50ms\"]\n[lanes.a]\nwidth = 2\n",
    )
    .unwrap();
    let mut conn = gob.connect_as("cli");
    let begun = gob.dir().join("begun");
    let script = format!(
        "echo $GOB_JOB_ID $GOB_ATTEMPT $$ >> {}; test $GOB_ATTEMPT -gt 1 || exec sleep 1000",
        begun.display()
    );
    let ids: Vec<String> = (0..3).map(|_| add(&mut conn, job(&gob, "a", &script))).collect();
    let mut outside = gob.connect_as("agent");
    conn.ok("queue_width", json!({"lane": "o", "width": 0}));
    let held = add(&mut conn, job(&gob, "o", "-"));
    outside.ok("queue_claim", json!({"lane": "o", "worker_id": "host-1"}));
    assert!(wait::until(DEADLINE, || text(&begun).lines().count() == 2));
    let pids: Vec<i32> =
        text(&begun).lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok()).collect();
    let handles: Vec<Handle> = pids.iter().filter_map(|pid| Handle::open(*pid)).collect();
    kill(&gob);
    let mut conn = gob.connect_as("cli");
    for id in &ids[..2] {
        let done = until(&mut conn, id, "completed");
        assert_eq!((&done["attempt"], &done["attempts"]), (&json!(2), &json!(2)), "{done}");
    }
    assert!(handles.iter().all(|handle| handle.wait_gone(DEADLINE)), "the first attempts are gone");
    // It began for the first time after the kill.
    conn.ok("queue_cancel", json!({"job_id": ids[2]}));
    // The worker outside lived on, and is heard again.
    let mut outside = gob.connect_as("agent");
    outside.ok("queue_heartbeat", json!({"job_id": held, "worker_id": "host-1", "attempt": 1}));
    let finished = outside
        .ok("queue_finish", json!({"job_id": held, "worker_id": "host-1", "success": true, "attempt": 1}));
    assert_eq!(finished["job"]["attempt"], 1);
}

#[test]
fn a_supervisor_that_ends_in_order_gives_back_what_runs() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let id = add(&mut conn, job(&gob, "a", "test $GOB_ATTEMPT -gt 1 || exec sleep 1000"));
    until(&mut conn, &id, "running");
    gob.ctl(["daemon", "restart"]).ok();
    let mut conn = gob.connect_as("cli");
    let done = until(&mut conn, &id, "completed");
    assert_eq!(
        (&done["attempt"], &done["attempts"]),
        (&json!(2), &json!(1)),
        "the first did not count: {done}"
    );
    let id = add(&mut conn, job(&gob, "a", "sleep 1000"));
    until(&mut conn, &id, "running");
    let told = gob.ctl(["nuke"]).run();
    assert!(told.stderr.contains("1 unfinished job or schedule of the queue stay"), "{}", told.stderr);
    let mut conn = gob.connect_as("cli");
    until(&mut conn, &id, "running");
    gob.ctl(["nuke", "--force"]).ok();
    assert!(!gob.state_dir().join("store.sqlite3").exists());
}

#[test]
fn a_schedule_adds_jobs_and_a_missed_time_counts_once() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let mut payload = job(&gob, "s", "true");
    payload["interval_ms"] = json!(1_000);
    let schedule = conn.ok("schedule_add", payload.clone())["schedule"].clone();
    assert_eq!((&schedule["name"], &schedule["last_job"]), (&json!("s"), &Value::Null), "{schedule}");
    let jobs = |conn: &mut Conn| {
        let listed = conn.ok("queue_list", json!({"lane": "s"}))["jobs"].as_array().unwrap().clone();
        (listed.len(), listed.iter().all(|job| job["status"] == "completed"))
    };
    let some_are_done = |(count, are_done)| count >= 2 && are_done;
    assert!(wait::until(DEADLINE, || some_are_done(jobs(&mut conn))));
    // The next one waits from now on, and no further one is added meanwhile.
    conn.ok("queue_pause", json!({"lane": "s"}));
    assert!(wait::until(DEADLINE, || jobs(&mut conn).1));
    let (before, _) = jobs(&mut conn);
    gob.ctl(["shutdown"]).ok();
    wait::while_time_passes(Duration::from_millis(3_200));
    let mut conn = gob.connect_as("cli");
    assert!(wait::until(DEADLINE, || jobs(&mut conn).0 == before + 1));
    assert_eq!(conn.ok("schedule_remove", json!({"name": "s"}))["removed"], "s");
    conn.err("schedule_remove", json!({"name": "s"}), "job-not-found");
    payload["cron"] = json!("* * * * *");
    conn.err("schedule_add", payload, "invalid-request");
}

#[test]
fn a_locked_store_answers_that_it_is_and_loses_no_job() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let first = add(&mut conn, job(&gob, "a", "sleep 1; echo done"));
    until(&mut conn, &first, "running");
    let other = rusqlite::Connection::open(gob.state_dir().join("store.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = conn.ask("queue_add", job(&gob, "a", "true"))["error"].clone();
    assert!(error["code"] == "internal" || error["code"] == "busy", "{error}");
    assert!(error["message"].as_str().unwrap().contains("history"), "{error}");
    // Its end is told once the store takes it.
    assert_eq!(output(&gob, &first, 1), "done\n");
    other.execute_batch("ROLLBACK").unwrap();
    until(&mut conn, &first, "completed");
    let next = add(&mut conn, job(&gob, "a", "true"));
    until(&mut conn, &next, "completed");
}

#[test]
fn a_locked_store_after_a_kill_gives_no_number_twice() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("queue_pause", json!({"lane": "a"}));
    let done = gob.dir().join("done");
    let ids: Vec<String> = (0..3)
        .map(|at| add(&mut conn, job(&gob, "a", &format!("echo {at} >> {}", done.display()))))
        .collect();
    let mark = gob.runtime_dir().join("jobs.numbered");
    assert!(wait::until(DEADLINE, || text(&mark).starts_with(|first: char| first.is_ascii_digit())));
    let other = rusqlite::Connection::open(gob.state_dir().join("store.sqlite3")).unwrap();
    other.busy_timeout(DEADLINE).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    kill(&gob);
    let mut conn = gob.connect_as("cli");
    let made = conn.ok("add", json!({"command": ["false"], "cwd": "/"}))["worker"]["name"].clone();
    assert!(!ids.iter().any(|id| made == **id), "{made} {ids:?}");
    other.execute_batch("ROLLBACK").unwrap();
    let resumed = || conn.ask("queue_resume", json!({"lane": "a"}))["success"] == true;
    assert!(wait::until(DEADLINE, resumed));
    let mut conn = gob.connect_as("cli");
    for id in &ids {
        until(&mut conn, id, "completed");
    }
    assert_eq!(text(&done).lines().count(), 3);
}
