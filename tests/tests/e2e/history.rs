//! The history of a worker on the command line: `runs`, `stats`, `blame` and `brief`, with a supervisor and without one
//! (D3, F4, F11).

use crate::orphans::kill_both;
use crate::streams::Running;
use gob_tests::process::Handle;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
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

/// Makes a world whose supervisor was killed with its keeper while `s` ran, behind two runs of `t`.
fn killed() -> Gob {
    let gob = Gob::new();
    run(&gob, "t", "true");
    run(&gob, "t", "exit 3");
    ctl(&gob, ["add", "--name", "s", "sleep", "1000"]).ok();
    ctl(&gob, ["create", "--name", "c", "true"]).ok();
    let recorded =
        || fs::read_to_string(gob.state_dir().join("last.json")).is_ok_and(|text| text.contains("\"c\""));
    assert!(wait::until(DEADLINE, recorded));
    // An answer about the run: it is in the store.
    ctl(&gob, ["runs", "s"]).ok();
    let pid = gob.connect().ok("get", json!({"name": "s"}))["worker"]["pid"].as_i64().unwrap();
    let worker = Handle::open(i32::try_from(pid).unwrap()).unwrap();
    kill_both(&gob);
    worker.signal(Signal::SIGKILL);
    assert!(worker.wait_gone(DEADLINE));
    gob
}

#[test]
fn history_is_read_from_the_store_while_no_supervisor_runs() {
    let gob = killed();
    let before = files(&gob);
    let ask = |args: &[&str]| {
        let out = ctl(&gob, [&["--no-autostart"], args].concat()).run();
        let is_noted = out.stderr.starts_with("no supervisor is running; this is the last known state, of ");
        assert!(is_noted, "{out}");
        out
    };
    let of_t = ask(&["runs", "t"]);
    assert_eq!(column(&of_t.stdout, "END"), ["exited 3", "done"], "{of_t}");
    let of_s = ask(&["runs", "s"]);
    assert_eq!(column(&of_s.stdout, "END"), ["cut off"], "{of_s}");
    assert_eq!(column(&ask(&["blame", "s"]).stdout, "EVENT").last().unwrap(), "added");
    assert!(ask(&["stats", "t"]).stdout.starts_with("t: 2 runs, 50.0% of those that ended succeeded\n"));
    let latest = ask(&["runs", "t", "-n", "1", "--json"]).stdout;
    let latest: serde_json::Value = serde_json::from_str(&latest).unwrap();
    assert_eq!((&latest["runs"][0]["run"], &latest["more"]), (&json!(2), &json!(true)));
    let never = ask(&["runs", "c"]);
    assert_eq!((never.code, never.stdout.as_str()), (0, ""), "{never}");
    for verb in ["runs", "stats", "blame"] {
        let unknown = ask(&[verb, "nope"]);
        assert_eq!(unknown.code, 4, "{unknown}");
    }
    assert_eq!(files(&gob), before, "reading makes and changes no file");
    ctl(&gob, ["--no-autostart", "runs", "delete", "t", "1"]).fails(7);
    // The next supervisor goes on with the same history.
    assert_eq!(column(&ctl(&gob, ["runs", "s"]).ok(), "END"), ["cut off"]);
}

/// Returns the names and sizes of the files in the state directory.
fn files(gob: &Gob) -> Vec<(String, u64)> {
    let entries = fs::read_dir(gob.state_dir()).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.metadata().unwrap().len()))
        .collect();
    files.sort();
    files
}

#[test]
fn without_any_state_the_supervisor_is_missing_and_a_damaged_store_is_named() {
    let gob = Gob::new();
    for verb in ["runs", "stats", "blame"] {
        let nobody = ctl(&gob, ["--no-autostart", verb, "t"]).fails(7);
        assert!(nobody.stderr.contains("no supervisor is running"), "{nobody}");
    }
    let store = gob.state_dir().join("store.sqlite3");
    fs::create_dir_all(gob.state_dir()).unwrap();
    fs::write(&store, "no database\n".repeat(100)).unwrap();
    let damaged = ctl(&gob, ["--no-autostart", "runs", "t"]).fails(1);
    let says = format!("{} is damaged or not gob's history", store.display());
    assert!(
        damaged.stderr.contains("the history cannot be read") && damaged.stderr.contains(&says),
        "{damaged}"
    );
}

#[test]
fn all_changes_are_shown_over_the_pages_of_the_store() {
    let gob = killed();
    let store = rusqlite::Connection::open(gob.state_dir().join("store.sqlite3")).unwrap();
    store
        .execute_batch(
            "INSERT INTO life(instance, began_at) VALUES ('later', 1);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
             INSERT INTO entry(life, seq, time, event, name, run, actor)
             SELECT (SELECT id FROM life WHERE instance = 'later'), i, unixepoch() * 1000,
             'worker_started', 't', 9000 + i, '\"supervisor\"' FROM n;",
        )
        .unwrap();
    store.close().unwrap();
    let all = |args: &[&str]| {
        let told = ctl(&gob, [&["blame", "t", "-n", "all", "--json"], args].concat()).json();
        assert_eq!(told.get("next"), None);
        let runs = told["entries"].as_array().unwrap().iter().map(|entry| entry["run"].clone());
        let late: Vec<_> = runs.take_while(|run| *run != json!(2)).map(|run| run.as_u64().unwrap()).collect();
        assert_eq!(late, (9001..=12_000).rev().collect::<Vec<_>>());
        told["entries"].as_array().unwrap().len()
    };
    let kept = all(&["--no-autostart"]);
    assert_eq!(all(&[]), kept);
    let last = ctl(&gob, ["blame", "t", "-n", "2"]).run();
    assert_eq!(last.stderr, "there are older changes; -n all shows them\n", "{last}");
}

#[test]
fn nuke_without_a_supervisor_removes_the_history() {
    let gob = killed();
    fs::write(gob.state_dir().join("store.sqlite3-of-mine"), "").unwrap();
    ctl(&gob, ["nuke"]).ok();
    let left: Vec<String> =
        files(&gob).into_iter().map(|(name, _)| name).filter(|name| name.starts_with("store")).collect();
    assert_eq!(left, ["store.sqlite3-of-mine"]);
    assert_eq!(ctl(&gob, ["--no-autostart", "runs", "t"]).run().code, 7);
}

#[test]
fn the_fourth_run_of_a_job_is_told_how_long_it_should_take() {
    let gob = Gob::new();
    let script = "until test ! -e wait; do sleep 0.02; done; sleep 0.05";
    let note = |stderr: &str| {
        stderr.lines().find(|line| line.starts_with("t is expected to take ")).map(str::to_owned)
    };
    for run in 1..=3 {
        let first = ctl(&gob, ["add", "--name", "t", "--shell", script]).run();
        assert_eq!((first.code, note(&first.stderr)), (0, None), "run {run}: {first}");
        ctl(&gob, ["wait", "t"]).ok();
    }
    fs::write(gob.dir().join("wait"), "").unwrap();
    let added = ctl(&gob, ["add", "--name", "t", "--shell", script]).run();
    assert!(note(&added.stderr).is_some(), "{added}");
    for quiet in [&["-q", "add"][..], &["--json", "add"]] {
        let added = ctl(&gob, [quiet, &["--name", "t", "--shell", script]].concat()).run();
        assert_eq!((added.code, added.stderr.as_str()), (0, ""), "{added}");
    }
    for verb in [&["wait", "t"][..], &["run", "--name", "t", "--shell", script]] {
        let mut waits = Running::start(&mut ctl(&gob, verb.iter().copied()));
        waits.says("t is expected to take ");
        waits.end();
    }
    let quiet = Running::start(&mut ctl(&gob, ["-q", "wait", "t"]));
    fs::remove_file(gob.dir().join("wait")).unwrap();
    assert!(quiet.ends(0).is_empty());
}

/// Returns the cursor of a brief.
fn cursor(brief: &str) -> String {
    brief.lines().last().unwrap().to_owned()
}

#[test]
fn brief_tells_what_changed_since_its_own_last_line() {
    let gob = Gob::new();
    let first = ctl(&gob, ["brief"]).ok();
    assert!(first.starts_with("no workers\nnext:\n  gobctl add CMD\n"), "{first}");
    run(&gob, "t", "exit 3");
    ctl(&gob, ["--owner", "agent", "add", "--name", "s", "sleep", "1000"]).ok();
    let second = ctl(&gob, ["brief", "--since", &cursor(&first)]).ok();
    let lines: Vec<&str> = second.lines().collect();
    assert_eq!(lines[..2], ["2 workers: 1 running, 1 failing", "changed:"], "{second}");
    assert!(lines[2].starts_with("  t  added, started, exited 3  by cli (gobctl, pid "), "{second}");
    assert!(lines[3].starts_with("  s  added, started            by agent (gobctl, pid "), "{second}");
    assert!(lines[4] == "failing:" && lines[5].starts_with("  t  exited 3  "), "{second}");
    assert_eq!(lines[6..8], ["next:", "  gobctl logs -n 20 t"], "{second}");
    assert_eq!(lines.len(), 9, "{second}");
    ctl(&gob, ["logs", "-n", "20", "t"]).ok();
    let third = ctl(&gob, ["brief", "--since", &cursor(&second)]).ok();
    assert!(third.contains("\nnothing has changed\n"), "{third}");
    let (instance, seq) = (cursor(&second), cursor(&second));
    let (instance, seq) = (instance.rsplit_once(':').unwrap().0, seq.rsplit_once(':').unwrap().1.to_owned());
    assert_eq!(ctl(&gob, ["status", "--json"]).json()["instance"], instance);
    assert!(ctl(&gob, ["brief", "--since", &seq]).ok().contains("\nnothing has changed\n"));
    let data = ctl(&gob, ["brief", "--json", "--since", &cursor(&first)]).json();
    assert_eq!((&data["gap"], &data["workers"][0]["name"]), (&json!(false), &json!("s")));
    assert_eq!(data["changes"][0]["event"], "worker_added");
    assert_eq!(data["cursor"], cursor(&third));
}

#[test]
fn brief_tells_the_changes_over_restarts_of_the_supervisor() {
    let gob = Gob::new();
    run(&gob, "t", "exit 3");
    let before = cursor(&ctl(&gob, ["brief"]).ok());
    ctl(&gob, ["--owner", "agent", "add", "--name", "s", "sleep", "1000"]).ok();
    ctl(&gob, ["shutdown", "--force"]).ok();
    ctl(&gob, ["--no-autostart", "brief"]).fails(7);
    run(&gob, "u", "exit 4");
    ctl(&gob, ["remove", "t"]).ok();
    // An answer of the store: what was told before is in it.
    ctl(&gob, ["runs", "u"]).ok();
    kill_both(&gob);
    run(&gob, "v", "true");
    let after = ctl(&gob, ["brief", "--since", &before]).ok();
    let lines: Vec<&str> = after.lines().collect();
    assert_eq!(lines[1], "changed:", "{after}");
    let of = |name: &str| {
        let mut told = lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        let begins = format!("{name} ");
        told.find(|line| line.starts_with(&begins)).unwrap_or_else(|| panic!("no {name} in {after}"))
    };
    assert!(of("s").starts_with("s added, started, killed by SIGTERM by "), "{after}");
    assert!(of("u").starts_with("u added, started, exited 4 by cli (gobctl, pid "), "{after}");
    assert!(of("t").starts_with("t removed by cli (gobctl, pid "), "{after}");
    assert!(of("v").starts_with("v added, started, exited 0 by cli (gobctl, pid "), "{after}");
    assert!(of("gobd").starts_with("gobd "), "{after}");
    let data = ctl(&gob, ["brief", "--json", "--since", &before]).json();
    assert_eq!((&data["gap"], &data["cursor"]), (&json!(false), &json!(cursor(&after))), "{data}");
    let changes = data["changes"].as_array().unwrap();
    let instances: std::collections::BTreeSet<_> =
        changes.iter().map(|change| change["instance"].as_str().unwrap()).collect();
    assert_eq!(instances.len(), 3, "{data}");
    assert_eq!((&changes[0]["event"], &changes[0]["name"]), (&json!("worker_added"), &json!("s")), "{data}");
    // A change that was lost is said to be.
    kill_both(&gob);
    let store = rusqlite::Connection::open(gob.state_dir().join("store.sqlite3")).unwrap();
    store.execute_batch("UPDATE life SET lost_seq = 2 WHERE id = (SELECT max(id) FROM life)").unwrap();
    store.close().unwrap();
    let lossy = ctl(&gob, ["brief", "--since", &before]).ok();
    assert!(lossy.contains("\nsome of the changes are not known any more\nchanged:\n"), "{lossy}");
    assert_eq!(ctl(&gob, ["brief", "--json", "--since", &before]).json()["gap"], true);
}

#[test]
fn brief_shows_the_present_for_a_cursor_that_is_not_known() {
    let gob = Gob::new();
    run(&gob, "t", "exit 3");
    let present = "1 worker: 0 running, 1 failing\n";
    for (cursor, says) in [
        ("999999", "the cursor is ahead of all that has happened"),
        ("nobody:1", "the history does not know the supervisor of the cursor"),
    ] {
        let brief = ctl(&gob, ["brief", "--since", cursor]).ok();
        let want = format!("{present}{says}; this is the state now\nfailing:\n");
        assert!(brief.starts_with(&want), "{brief}");
        assert_eq!(ctl(&gob, ["brief", "--json", "--since", cursor]).json()["gap"], true);
    }
    for bad in ["x", "a:b", ":"] {
        ctl(&gob, ["brief", "--since", bad]).fails(2);
    }
}
