//! How long a job is expected to take: in views, over supervisors, and as progress in `list` and `status`.

use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob};
use serde_json::{Value, json};

fn add(gob: &Gob, script: &str) -> Value {
    let env = json!({"PATH": std::env::var("PATH").unwrap()});
    json!({"command": ["sh", "-c", script], "cwd": gob.dir(), "env": env, "name": "build"})
}

/// Runs the job to its end, so many times.
fn runs(conn: &mut Conn, payload: &Value, times: usize) {
    for _ in 0..times {
        let run = conn.ok("add", payload.clone())["worker"]["run"].clone();
        assert!(wait::until(DEADLINE, || {
            let view = build(conn);
            view["run"] == run && view["state"] == "idle"
        }));
    }
}

fn build(conn: &mut Conn) -> Value {
    conn.ok("get", json!({"name": "build"}))["worker"].clone()
}

fn expected(conn: &mut Conn) -> Value {
    conn.ok("stats", json!({"name": "build"}))["expected_ms"].clone()
}

#[test]
fn a_view_tells_what_the_statistics_do_in_this_life_and_in_the_next() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let payload = add(&gob, "sleep 0.1");
    runs(&mut conn, &payload, 2);
    assert_eq!((&build(&mut conn)["expected_ms"], expected(&mut conn)), (&Value::Null, Value::Null));
    runs(&mut conn, &payload, 2);
    let in_view = build(&mut conn)["expected_ms"].clone();
    assert!(in_view.as_u64().is_some_and(|ms| ms >= 100), "{in_view}");
    assert_eq!(expected(&mut conn), in_view);
    gob.ctl(["shutdown"]).ok();
    // Its definition is of the disk of the supervisor before; so is what is expected, until the history has answered.
    let last = gob.state_dir().join("last.json");
    let text = std::fs::read_to_string(&last).unwrap();
    let told = format!("\"expected_ms\":{in_view}");
    assert!(text.contains(&told), "{text}");
    std::fs::write(&last, text.replace(&told, "\"expected_ms\":1")).unwrap();
    let mut conn = gob.connect_as("cli");
    let listed = conn.ok("list", json!({}))["workers"][0].clone();
    assert_eq!((&listed["state"], &listed["expected_ms"]), (&json!("idle"), &json!(1)));
    assert!(wait::until(DEADLINE, || build(&mut conn)["expected_ms"] == in_view), "the history knows better");
    runs(&mut conn, &payload, 1);
    assert_eq!(build(&mut conn)["expected_ms"], expected(&mut conn));
    conn.ok("runs_delete", json!({"name": "build", "run": 1}));
    conn.ok("runs_delete", json!({"name": "build", "run": 5}));
    assert!(wait::until(DEADLINE, || build(&mut conn)["expected_ms"] == expected(&mut conn)));
    conn.ok("runs_delete", json!({"name": "build", "run": 4}));
    assert!(wait::until(DEADLINE, || build(&mut conn)["expected_ms"].is_null()), "two runs are left");
}

#[test]
fn a_running_job_shows_how_far_it_is() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let first = add(&gob, "[ -e long ] || exec sleep 0.2; exec sleep 60");
    runs(&mut conn, &first, 3);
    std::fs::write(gob.dir().join("long"), "").unwrap();
    conn.ok("add", first);
    let state = || {
        let out = gob.ctl(["list"]).ok();
        out.lines().find(|line| line.contains("build")).unwrap_or_default().to_owned()
    };
    assert!(state().contains("running ("), "{}", state());
    assert!(wait::until(DEADLINE, || state().contains("running (99%)")), "{}", state());
    let status = gob.ctl(["status", "build"]).ok();
    assert!(status.contains("running (99%)") && status.contains("expected"), "{status}");
    conn.ok("stop", json!({"name": "build", "force": true}));
    assert!(!state().contains('%'), "{}", state());
}
