//! The history of a worker on the command line: `runs`, `stats` and `blame` (D3, F4).

use gob_tests::{Ctl, Gob};
use serde_json::json;
use std::fs;

fn ctl<'a>(gob: &Gob, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = gob.ctl(args);
    call.cwd(gob.dir());
    call
}

/// Runs `script` as the job `name`.
fn run(gob: &Gob, name: &str, script: &str) {
    ctl(gob, ["-q", "run", "--name", name, "--shell", script]).run();
}

/// Returns a column of a table, without its head.
fn column(table: &str, name: &str) -> Vec<String> {
    let head = table.lines().next().unwrap_or_default();
    let at = head.find(name).unwrap_or_else(|| panic!("no {name} in {table}"));
    let cell = |line: &str| line[at.min(line.len())..].split("  ").next().unwrap_or_default().to_owned();
    table.lines().skip(1).map(cell).collect()
}

#[test]
fn runs_tell_the_end_of_each_run_and_stats_sum_them_up() {
    let gob = Gob::new();
    run(&gob, "t", "exit $(cat code 2>/dev/null || echo 0)");
    fs::write(gob.dir().join("code"), "3").unwrap();
    run(&gob, "t", "exit $(cat code 2>/dev/null || echo 0)");
    let table = ctl(&gob, ["runs", "t"]).ok();
    assert_eq!(column(&table, "END"), ["exited 3", "done"], "{table}");
    assert!(column(&table, "BY").iter().all(|by| by.starts_with("cli (gobctl, pid ")), "{table}");
    ctl(&gob, ["--owner", "agent", "add", "--name", "s", "sleep", "1000"]).ok();
    ctl(&gob, ["--owner", "agent", "stop", "s"]).ok();
    ctl(&gob, ["--owner", "agent", "add", "--name", "s", "sleep", "1000"]).ok();
    let table = ctl(&gob, ["runs", "s"]).ok();
    assert_eq!(column(&table, "END"), ["running", "killed by SIGTERM"], "{table}");
    assert_eq!(column(&table, "OWNER"), ["agent", "agent"], "{table}");
    let stats = ctl(&gob, ["stats", "t"]).ok();
    assert!(stats.starts_with("t: 2 runs, 50.0% of those that ended succeeded\n"), "{stats}");
    for of in ["done        1", "failed      1", "killed      0"] {
        assert!(stats.contains(of), "{stats}");
    }
    assert_eq!(ctl(&gob, ["stats", "s", "--json"]).json()["by_outcome"]["killed"]["count"], 1);
    ctl(&gob, ["runs", "nope"]).fails(4);
}

#[test]
fn a_run_is_deleted_by_its_owner_alone() {
    let gob = Gob::new();
    run(&gob, "t", "true");
    run(&gob, "t", "true");
    let refused = ctl(&gob, ["--owner", "agent", "runs", "delete", "t", "1"]).fails(5);
    assert!(refused.stderr.contains("owned by cli"), "{refused}");
    assert_eq!(ctl(&gob, ["runs", "delete", "t", "1"]).ok(), "deleted run 1 of t\n");
    let gone = ctl(&gob, ["runs", "delete", "t", "1"]).fails(4);
    assert!(!gone.stderr.contains("did you mean"), "{gone}");
    let runs = ctl(&gob, ["runs", "t", "--json"]).json();
    assert_eq!(
        runs["runs"].as_array().unwrap().iter().map(|run| &run["run"]).collect::<Vec<_>>(),
        [&json!(2)]
    );
    ctl(&gob, ["add", "--name", "s", "sleep", "1000"]).ok();
    ctl(&gob, ["runs", "delete", "s", "1"]).fails(1);
}

#[test]
fn blame_names_the_cause_of_each_change() {
    let gob = Gob::new();
    ctl(&gob, ["--owner", "agent", "add", "--name", "s", "sleep", "1000"]).ok();
    ctl(&gob, ["--owner", "agent", "hand-over", "s", "cli"]).ok();
    ctl(&gob, ["stop", "s"]).ok();
    let table = ctl(&gob, ["blame", "s", "-n", "all"]).ok();
    let events = column(&table, "EVENT");
    let by = column(&table, "BY");
    let of = |event: &str| {
        let at = events.iter().position(|it| it == event).unwrap_or_else(|| panic!("no {event} in {table}"));
        by[at].clone()
    };
    assert!(of("started").starts_with("agent (gobctl, pid "), "{table}");
    assert!(of("owner changed").starts_with("agent (gobctl, pid "), "{table}");
    assert!(of("stopping").starts_with("cli (gobctl, pid "), "{table}");
    assert_eq!(events.last().map(String::as_str), Some("added"), "{table}");
}
