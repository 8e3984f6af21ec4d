//! A person's way through it: forms, the palette, the filter, the log, the lists, and an action that is refused.

use crate::world::{job, open_on, prints};
use gob_tests::Gob;
use gob_tests::wait::{self, DEADLINE};
use serde_json::json;

const SIZE: (u16, u16) = (100, 30);

fn worker(gob: &Gob, name: &str) -> serde_json::Value {
    gob.connect().ok("get", json!({"name": name}))["worker"].clone()
}

#[test]
fn a_graph_and_a_job_are_started_by_forms() {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    let mut screen = open_on(&gob, SIZE, "n starts a graph");
    screen.keys("n");
    screen.wait_for("Start a graph");
    screen.keys("notes\r");
    screen.wait_gone("Start a graph");
    screen.wait_for("1 ready");
    assert_eq!(worker(&gob, "notes")["owner"], "cli");
    screen.keys("N");
    screen.wait_for("Command");
    // Blanks and quotes are those of a shell, and a wrong command is told before it is sent.
    screen.keys("sh -c 'echo from the form\r");
    screen.wait_for("quote");
    screen.keys("; exec sleep 100000'\r");
    screen.wait_for("1 ready, 1 running");
    screen.wait_gone("Esc: Cancel");
    screen.keys("G");
    screen.wait_for("2 notes");
    screen.keys("g");
    screen.wait_for("from the form");
}

#[test]
fn a_worker_is_stopped_restarted_killed_and_removed_by_keys() {
    let gob = Gob::new();
    job(&gob, "web", &prints("echo up"));
    let mut screen = open_on(&gob, SIZE, "2 web");
    let pid = worker(&gob, "web")["pid"].clone();
    screen.keys("r");
    screen.wait_for("restarted web");
    assert_ne!(worker(&gob, "web")["pid"], pid);
    screen.keys("s");
    screen.wait_for("stopped web");
    screen.keys("\r");
    screen.wait_for("1 running");
    screen.keys("S");
    screen.wait_for("1 idle");
    // A removal loses its log: it is asked first, and Esc changes nothing.
    screen.keys("d");
    screen.wait_for("Remove web");
    screen.keys("\u{1b}");
    screen.wait_gone("Remove web?");
    assert_eq!(worker(&gob, "web")["name"], "web");
    screen.keys("d");
    screen.wait_for("Remove web");
    screen.keys("\r");
    screen.wait_for("n starts a graph");
    gob.connect().err("get", json!({"name": "web"}), "server-not-found");
}

#[test]
fn a_signal_a_lease_and_a_new_owner_are_given() {
    let gob = Gob::new();
    job(&gob, "web", "trap 'echo heard it' USR1; echo up; while :; do :; done");
    let mut screen = open_on(&gob, SIZE, "│  up");
    screen.wait_for("x Signal...");
    screen.keys("x");
    screen.wait_for("Send a signal to web");
    screen.keys("USR1\r");
    screen.wait_for("heard it");
    screen.keys("l");
    assert!(wait::until(DEADLINE, || worker(&gob, "web")["leases"] == 1));
    screen.wait_for("l Let go");
    screen.keys("l");
    assert!(wait::until(DEADLINE, || worker(&gob, "web")["leases"] == 0));
    screen.wait_for("l Hold");
    screen.keys("o");
    screen.wait_for("Hand web over");
    screen.keys("desktop\r");
    screen.wait_gone("Hand web over");
    screen.wait_for("desktop");
    assert_eq!(worker(&gob, "web")["owner"], "desktop");
    // Now it is in other hands, and every way to end it says so.
    screen.keys("s");
    screen.wait_until("the refusal", |text| text.lines().last().is_some_and(|line| line.contains("desktop")));
    assert_eq!(worker(&gob, "web")["state"], "ready");
}

#[test]
fn workers_are_found_by_a_filter_and_commands_by_words() {
    let gob = Gob::new();
    gob.ctl(["start", "alpha", "beta", "gamma"]).ok();
    let mut screen = open_on(&gob, SIZE, "gamma");
    screen.keys("/bet");
    screen.wait_for("1 of 3");
    screen.wait_for("2 beta");
    screen.keys("\r");
    screen.wait_for("filter: bet");
    screen.keys("\u{1b}");
    screen.wait_gone("filter: bet");
    screen.keys(":gamm");
    screen.wait_until("one line of it", |text| text.matches("gamma").count() >= 2);
    screen.keys("\r");
    screen.wait_for("2 gamma");
    screen.keys(":stop");
    screen.wait_for("Words of a command");
    screen.keys("\r");
    screen.wait_for("stopped gamma");
    screen.keys(":no such words");
    screen.wait_for("No command and no worker has these words.");
    screen.keys("\u{1b}");
    screen.wait_gone("No command");
    screen.keys("?");
    screen.wait_for("start the worker");
}

#[test]
fn a_log_is_searched_held_wrapped_and_moved_to_the_side() {
    let gob = Gob::new();
    let long = "seq -f '%g:' 1 300; printf 'needle '; head -c 150 /dev/zero | tr '\\0' =; echo ' far end'; seq -f 'tail %g.' 1 40; echo of stderr >&2";
    job(&gob, "talk", &prints(long));
    let mut screen = open_on(&gob, SIZE, "of stderr");
    screen.keys("3/needle\r");
    screen.wait_for("/needle");
    screen.wait_for("needle ====");
    assert!(!screen.text().contains("far end"));
    screen.keys(&"\x1b[C".repeat(9));
    screen.wait_for("far end");
    screen.wait_for("from column");
    screen.keys("w");
    screen.wait_for("wrapped");
    screen.wait_for("needle ====");
    screen.wait_for("far end");
    screen.keys("wf");
    screen.wait_for("following");
    screen.wait_for("of stderr");
    screen.keys("e");
    screen.wait_for("[stdout]");
    screen.wait_gone("of stderr");
    screen.keys("/nothing of the kind\r");
    screen.wait_for("not found");
    screen.keys("g");
    screen.wait_until("the first line", |text| {
        text.lines().any(|line| line.contains("│1:") || line.contains("┃1:"))
    });
    screen.keys("G");
    screen.wait_for("tail 40.");
    // New output comes by itself.
    gob.ctl(["restart", "talk"]).ok();
    screen.wait_for("tail 40.");
    screen.keys("z");
    screen.wait_gone("1 Workers");
    screen.keys("z");
    screen.wait_for("1 Workers");
}

#[test]
fn runs_events_locks_and_lanes_have_their_lists() {
    let gob = Gob::new();
    job(&gob, "web", &prints("echo run one"));
    gob.ctl(["restart", "web"]).ok();
    let mut screen = open_on(&gob, (200, 50), "2 web");
    screen.keys("]");
    screen.wait_for("#2");
    screen.keys("2j\r");
    screen.wait_for("run #1");
    screen.wait_for("run one");
    screen.keys("4");
    gob.ctl(["start", "notes"]).ok();
    screen.wait_until("an event of it", |text| {
        text.lines().any(|line| line.contains("notes") && line.contains("ready") && line.contains(':'))
    });
    screen.keys("]");
    screen.wait_for("[Locks]");
    let mut holder = gob.ctl(["lock", "run", "deploy", "--", "sleep", "100000"]);
    let mut holder = holder.spawn();
    screen.wait_for("deploy");
    holder.kill().unwrap();
    holder.wait().unwrap();
    screen.wait_gone("deploy");
    screen.keys("]");
    screen.wait_for("[Lanes]");
    let id =
        gob.ctl(["queue", "add", "-q", "ci", "--", "sleep", "100000"]).cwd(&crate::world::home(&gob)).ok();
    screen.wait_for("ci");
    screen.wait_for(id.trim());
    gob.ctl(["queue", "cancel", id.trim()]).ok();
    screen.keys("[[");
    screen.wait_for("[Events]");
    assert!(wait::until(DEADLINE, || screen.text().contains("notes")));
}

#[test]
fn another_size_is_taken_in_the_middle_of_it() {
    let gob = Gob::new();
    job(&gob, "talk", &prints("seq -f 'line %g.' 1 200"));
    let mut screen = open_on(&gob, SIZE, "line 200.");
    screen.keys("N");
    screen.wait_for("Command");
    screen.keys("make te");
    for size in [(120, 40), (61, 17), (300, 80), (50, 12), (80, 24)] {
        screen.resize(size);
        screen.wait_until("the form, whole", |text| {
            text.contains("make te")
                && text.lines().all(|line| line.chars().count() <= usize::from(size.0))
                && text.lines().filter(|line| !line.is_empty()).count() == usize::from(size.1)
        });
    }
    screen.keys("st");
    screen.wait_for("make test");
    screen.keys("\u{1b}");
    screen.wait_gone("make te");
    screen.wait_for("line 200.");
}
