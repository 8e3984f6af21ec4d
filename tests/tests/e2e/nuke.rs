//! `nuke`: everything ends, gob's own files go, data stays; workers of other owners need force (PROTOCOL 5).

use crate::orphans::kill_both;
use gob_tests::Gob;
use gob_tests::wait::{self, DEADLINE};
use serde_json::json;
use std::fs;

#[test]
fn nuke_removes_workers_and_files_and_keeps_the_data() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "up"}));
    conn.ok("start", json!({"graph": "down"}));
    conn.ok("stop", json!({"name": "down"}));
    fs::write(gob.dir().join("config.toml"), "").unwrap();
    let mut watcher = gob.events();
    let data = conn.ok("nuke", json!({}));
    assert_eq!(data, json!({"stopped": ["up"], "removed": ["down", "up"]}));
    let ending = watcher.find("the end", DEADLINE, |frame| frame["event"] == "supervisor_stopping");
    assert_eq!(ending["actor"]["owner"], "cli");
    assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
    assert!(!gob.socket().exists());
    assert!(
        !gob.state_dir().join("logs").exists()
            || fs::read_dir(gob.state_dir().join("logs")).unwrap().count() == 0
    );
    assert!(gob.graph_dir("up").join("facts.1.json").exists(), "data is never touched");
    assert!(gob.dir().join("config.toml").exists(), "nor is the configuration");
    // A fresh start begins anew.
    assert_eq!(gob.connect().ok("list", json!({}))["workers"], json!([]));
}

#[test]
fn nuke_is_refused_whole_while_workers_of_others_live() {
    let gob = Gob::new();
    let mut cli = gob.connect_as("cli");
    cli.ok("start", json!({"graph": "mine"}));
    gob.connect_as("desktop").ok("start", json!({"graph": "theirs"}));
    gob.connect_as("agent").ok("start", json!({"graph": "more"}));
    let error = cli.err("nuke", json!({}), "server-owned-by-other");
    let text = error["details"].to_string();
    assert!(text.contains("theirs") && text.contains("more") && !text.contains("mine"), "{error}");
    let states: Vec<_> =
        cli.ok("list", json!({}))["workers"].as_array().unwrap().iter().map(|w| w["state"].clone()).collect();
    assert_eq!(states, ["ready", "ready", "ready"]);
    let output = gob.ctl(["nuke"]).fails(5);
    assert!(output.stderr.contains("--force"), "{output}");
    let data = cli.ok("nuke", json!({"force": true}));
    assert_eq!(data["stopped"], json!(["mine", "more", "theirs"]));
    assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
}

#[test]
fn on_its_way_out_it_takes_nothing_new() {
    let gob = Gob::new();
    gob.script(
        "slow",
        &[
            gob_tests::script::Step::Ignore(vec!["TERM".to_owned()]),
            gob_tests::script::Step::Listen,
            gob_tests::script::Step::Handshake,
        ],
    );
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "slow"}));
    let mut other = gob.connect_as("cli");
    let nuke = conn.post("nuke", json!({}));
    assert_eq!(conn.ok("get", json!({"name": "slow"}))["worker"]["state"], "stopping");
    other.err("start", json!({"graph": "new"}), "shutting-down");
    other.ok("stop", json!({"name": "slow", "force": true}));
    assert_eq!(conn.response(nuke)["data"]["stopped"], json!(["slow"]));
    assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
}

#[test]
fn without_a_supervisor_nuke_reports_it_and_starts_nothing() {
    let gob = Gob::new();
    let output = gob.ctl(["nuke"]).run();
    assert_eq!(output.code, 0, "{output}");
    assert!(!(output.stdout + &output.stderr).is_empty());
    assert_eq!(gob.processes(), Vec::<i32>::new(), "and starts nothing");
}

#[test]
fn without_a_supervisor_nuke_forgets_the_last_ones_workers() {
    let mut gob = Gob::new();
    gob.without_leftover_check();
    let forgets: [&dyn Fn(); 2] = [&|| drop(gob.ctl(["shutdown"]).ok()), &|| kill_both(&gob)];
    for end in forgets {
        gob.ctl(["start", "a", "b"]).ok();
        let last = gob.state_dir().join("last.json");
        let written = || fs::read_to_string(&last).is_ok_and(|text| text.contains("\"name\":\"b\""));
        assert!(wait::until(DEADLINE, written));
        end();
        assert_eq!(gob.ctl(["nuke", "--json"]).json(), json!({"stopped": [], "removed": ["a", "b"]}));
        assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new(), "nothing was started for it");
        assert!(!gob.state_dir().join("last.json").exists() && !gob.state_dir().join("logs").exists());
        assert!(gob.graph_dir("a").join("facts.1.json").exists(), "data is never touched");
        assert_eq!(gob.connect().ok("list", json!({}))["workers"], json!([]));
    }
    gob.ctl(["start", "a"]).ok();
    gob.ctl(["shutdown"]).ok();
    assert_eq!(gob.ctl(["nuke"]).ok(), "no supervisor is running; removed 1 worker (a)\n");
    assert_eq!(gob.ctl(["nuke"]).ok(), "no supervisor is running\n");
}

#[test]
fn without_a_supervisor_nuke_removes_only_gobs_own_files() {
    let gob = Gob::new();
    let logs = gob.state_dir().join("logs");
    fs::create_dir_all(&logs).unwrap();
    fs::write(logs.join("mine"), "").unwrap();
    gob.ctl(["nuke"]).ok();
    assert!(logs.join("mine").exists());
}

#[test]
fn unfinished_jobs_of_the_queue_stay_with_and_without_a_supervisor_unless_forced() {
    let gob = Gob::new();
    let waiting = |count: usize| {
        let jobs = gob.connect().ok("queue_list", json!({"lane": "ci"}))["jobs"].clone();
        assert_eq!(jobs.as_array().unwrap().len(), count, "{jobs}");
    };
    let adds = || {
        gob.ctl(["queue", "pause", "ci"]).ok();
        gob.ctl(["queue", "add", "ci", "true"]).ok();
        waiting(1);
    };
    let stays = "1 unfinished job or schedule of the queue stays; gobctl nuke --force removes it too\n";
    adds();
    assert_eq!(gob.ctl(["nuke"]).run().stderr, stays, "with a supervisor");
    waiting(1);
    gob.ctl(["shutdown"]).ok();
    let alone = gob.ctl(["nuke"]).run();
    assert_eq!((alone.code, alone.stderr.as_str()), (0, stays), "and without one: {alone}");
    let data = gob.ctl(["nuke", "--json"]).json();
    assert_eq!(data, json!({"stopped": [], "removed": [], "unfinished": 1}));
    waiting(1);
    gob.ctl(["shutdown"]).ok();
    // A store that can't be read is no reason to lose what is in it.
    let store = gob.state_dir().join("store.sqlite3");
    let whole = fs::read(&store).unwrap();
    fs::write(&store, "no database").unwrap();
    let unread = gob.ctl(["nuke"]).run();
    assert!(
        unread.stderr.starts_with("the queue stays, since its unfinished jobs can't be counted"),
        "{unread}"
    );
    fs::write(&store, whole).unwrap();
    assert_eq!(gob.ctl(["nuke", "--force"]).run().stderr, "");
    assert!(!store.exists());
    waiting(0);
    adds();
    assert_eq!(gob.ctl(["nuke", "--force"]).run().stderr, "");
    waiting(0);
    // A schedule is work to come, not history.
    gob.ctl(["queue", "every", "ci", "--cron", "0 3 1 1 *", "--name", "yearly", "--", "true"]).ok();
    assert_eq!(gob.ctl(["nuke"]).run().stderr, stays);
    let schedules = gob.connect().ok("schedule_list", json!({}))["schedules"].clone();
    assert_eq!(schedules[0]["name"], "yearly", "{schedules}");
}

#[test]
fn the_history_of_workers_goes_out_of_a_store_that_stays_with_and_without_a_supervisor() {
    let mut gob = Gob::new();
    gob.without_leftover_check();
    let ends: [(&str, &dyn Fn()); 3] = [
        ("with a supervisor", &|| {}),
        ("after one that ended", &|| drop(gob.ctl(["shutdown"]).ok())),
        ("after one that was killed", &|| kill_both(&gob)),
    ];
    gob.ctl(["queue", "pause", "ci"]).ok();
    gob.ctl(["queue", "add", "ci", "true"]).ok();
    let alone = |args: [&str; 2]| gob.ctl(["--no-autostart"].into_iter().chain(args)).run();
    for (when, end) in ends {
        gob.ctl(["run", "--name", "mine", "true"]).ok();
        // The answer is behind the record in the store's queue.
        assert_eq!(gob.ctl(["runs", "mine", "--json"]).json()["runs"].as_array().unwrap().len(), 1, "{when}");
        let last = gob.state_dir().join("last.json");
        let is_saved = || fs::read_to_string(&last).is_ok_and(|text| text.contains("\"name\":\"mine\""));
        assert!(wait::until(DEADLINE, is_saved));
        end();
        let nuked = gob.ctl(["nuke", "--no-autostart"]).run();
        assert!(
            nuked.code == 0 && nuked.stderr.contains("1 unfinished job or schedule of the queue stays"),
            "{when}: {nuked}"
        );
        for verb in ["runs", "stats", "blame"] {
            let out = alone([verb, "mine"]);
            assert!(!out.stdout.contains("cli (gobctl"), "{when}: {out}");
            assert!(verb == "blame" || out.code == 4, "{when}: {out}");
        }
        let jobs = gob.connect().ok("queue_list", json!({"lane": "ci"}))["jobs"].clone();
        assert_eq!(jobs.as_array().unwrap().len(), 1, "{when}: {jobs}");
    }
}
