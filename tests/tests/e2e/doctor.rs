//! `gobctl doctor` diagnoses a real supervisor, starts none, and repairs only safe things (F8).

use gob_tests::process::{self, Handle};
use gob_tests::program;
use gob_tests::require::root;
use gob_tests::script::{Child, Step};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs it; returns its exit code and its checks.
fn run(ctl: &mut Ctl) -> (i32, Vec<Value>) {
    let output = ctl.run();
    let mut report: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output}"));
    let Value::Array(checks) = report["checks"].take() else { panic!("{output}") };
    (output.code, checks)
}

fn doctor(gob: &Gob, args: &[&'static str]) -> (i32, Vec<Value>) {
    run(gob.ctl(["doctor", "--json"]).args(args.iter().copied()))
}

#[track_caller]
fn says(checks: &[Value], what: &str, level: &str, part: &str) -> Value {
    let all: Vec<&Value> = checks.iter().filter(|check| check["check"] == what).collect();
    let found =
        all.iter().find(|check| check["level"] == level && check["found"].as_str().unwrap().contains(part));
    found.map(|check| (*check).clone()).unwrap_or_else(|| panic!("no {level} {what} with {part}: {all:#?}"))
}

fn handle(pid: &Value) -> Handle {
    Handle::open(pid.as_i64().unwrap() as i32).unwrap()
}

#[test]
fn a_healthy_supervisor_is_well_and_none_is_started() {
    let gob = Gob::new();
    let (code, checks) = doctor(&gob, &["--fix"]);
    assert_eq!(code, 0, "{checks:#?}");
    says(&checks, "supervisor", "ok", "none runs");
    assert_eq!(gob.processes(), Vec::<i32>::new());
    gob.ctl(["start", "demo"]).ok();
    let status = gob.status();
    let (code, checks) = doctor(&gob, &[]);
    assert_eq!(code, 0, "{checks:#?}");
    says(&checks, "supervisor", "ok", &format!("(pid {})", status["pid"]));
    says(&checks, "keeper", "ok", &format!("pid {}", status["keeper_pid"]));
    says(&checks, "protocol", "ok", "of one version");
    says(&checks, "running programs", "ok", gob.bin("gobd").to_str().unwrap());
    says(&checks, "logs", "ok", "");
    let worker = gob.facts("demo", 1).pid.to_string();
    let orphans = checks.iter().find(|check| check["check"] == "orphans").unwrap();
    assert!(!orphans["found"].as_str().unwrap().contains(&worker), "its supervisor lives: {orphans}");
    for check in &checks {
        assert_eq!(check["fixed"], json!([]), "nothing is changed unasked");
    }
}

#[test]
fn a_stopped_supervisor_is_reported_in_time() {
    let gob = Gob::new();
    let status = gob.status();
    let gobd = handle(&status["pid"]);
    gobd.signal(Signal::SIGSTOP);
    assert!(wait::until(DEADLINE, || process::is_stopped(gobd.pid)));
    let begun = Instant::now();
    let (code, checks) = doctor(&gob, &["--fix"]);
    let took = begun.elapsed();
    gobd.signal(Signal::SIGCONT);
    assert_eq!(code, 1);
    let found = says(&checks, "supervisor", "fail", "does not answer within 2.0 s; it is stopped");
    assert_eq!(found["hint"], format!("kill -CONT {} lets it go on", gobd.pid));
    assert!(took < Duration::from_secs(10), "{took:?}");
    let (code, checks) = doctor(&gob, &[]);
    assert_eq!(code, 0, "{checks:#?}");
    assert_eq!(gob.status()["instance"], status["instance"]);
}

#[test]
fn a_lone_keeper_is_reported_and_orphans_are_named_and_left_alive() {
    let mut gob = Gob::new();
    gob.without_leftover_check();
    let away = Child { detach: true, env_clear: true, close_fds: true, ..Default::default() };
    let steps = [
        Step::Child(away),
        Step::Child(Child { setsid: true, ..Default::default() }),
        Step::Listen,
        Step::Handshake,
    ];
    gob.script("tree", &steps);
    gob.ctl(["start", "tree"]).ok();
    let (status, children) = (gob.status(), gob.children("tree", 1));
    assert_eq!(children.len(), 2);
    let orphans: Vec<Handle> = children.iter().map(|pid| Handle::open(*pid).unwrap()).collect();
    // Not gob's, and with the same variable in its environment as any other program that a test has started.
    let mut bystander = Command::new("/bin/sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let (gobd, keeper) = (handle(&status["pid"]), handle(&status["keeper_pid"]));
    keeper.signal(Signal::SIGSTOP);
    assert!(wait::until(DEADLINE, || process::is_stopped(keeper.pid)));
    gobd.signal(Signal::SIGKILL);
    // Dead is not enough: a thread of it may still hold the socket.
    assert!(gobd.wait_gone(DEADLINE));
    let (code, alone) = doctor(&gob, &["--fix"]);
    let ends = [["daemon", "stop"], ["nuke", "--force"]].map(|words| gob.ctl(words).run());
    let list = gob.ctl(["list"]).run();
    // Each keeper that a waiting client starts leaves a line.
    let tries = gob.logs().matches("is already running").count();
    assert!((1..100).contains(&tries), "{tries} keepers were started");
    // One that is still on its way would begin in the place of the dead one.
    assert!(wait::until(DEADLINE, || gob.running("gob-keeper").len() == 1));
    keeper.signal(Signal::SIGKILL);
    assert!(keeper.wait_gone(DEADLINE));
    let (code_after, after) = doctor(&gob, &["--fix"]);
    let alive = children.iter().all(|pid| process::is_alive(*pid));
    let bystander_pid = bystander.id();
    orphans.iter().for_each(|orphan| orphan.signal(Signal::SIGKILL));
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    assert!(orphans.iter().all(|orphan| orphan.wait_gone(DEADLINE)));

    assert_eq!(code, 1);
    let found = says(&alone, "supervisor", "fail", &format!("the keeper (pid {}) is stopped", keeper.pid));
    let lets_go_on = format!("kill -CONT {}", keeper.pid);
    assert!(found["hint"].as_str().unwrap().starts_with(&lets_go_on), "{found}");
    for end in ends {
        assert_eq!(end.code, 7, "nothing has ended: {end}");
        assert!(end.stderr.contains(&lets_go_on), "{end}");
    }
    // A busy machine takes a little longer than the 5 s.
    assert!(list.stderr.starts_with("error: the supervisor does not answer within 5."), "{list}");
    let stopped = format!(" s: the keeper (pid {}) is stopped", keeper.pid);
    assert!(list.code == 7 && list.stderr.contains(&stopped) && list.stderr.contains(&lets_go_on), "{list}");
    for check in alone.iter().filter(|check| check["check"] == "stale files" || check["check"] == "logs") {
        assert_eq!(check["fixed"], json!([]), "somebody holds the lock");
    }
    assert_eq!(code_after, 0, "{after:#?}");
    for pid in &children {
        let found = says(&after, "orphans", "warn", &format!("{pid} ("));
        assert!(found["hint"].as_str().unwrap().contains(&pid.to_string()), "{found}");
        assert!(!found["hint"].as_str().unwrap().contains(&bystander_pid.to_string()), "{found}");
    }
    assert!(alive, "they are told, not ended");
    let removed = says(&after, "stale files", "ok", "none")["fixed"].to_string();
    assert!(removed.contains("daemon.sock") && removed.contains("daemon.pid"), "{removed}");
    assert!(!gob.socket().exists());
}

#[test]
fn workers_are_no_orphans_when_the_state_directory_was_made_again() {
    let gob = Gob::new();
    let away = Child { detach: true, env_clear: true, close_fds: true, ..Default::default() };
    gob.script("tree", &[Step::Child(away), Step::Listen, Step::Handshake]);
    gob.ctl(["start", "tree"]).ok();
    // Doctor reports every dead supervisor of this user, and other tests kill theirs.
    let own_orphans = || {
        let (_, checks) = doctor(&gob, &[]);
        let found = checks.iter().find(|check| check["check"] == "orphans").unwrap()["found"].to_string();
        let pids: Vec<i32> =
            found.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
        let mut own = gob.processes();
        own.retain(|pid| pids.contains(pid));
        own
    };
    assert_eq!(own_orphans(), Vec::<i32>::new());
    fs::rename(gob.state_dir(), gob.dir().join("aside")).unwrap();
    assert!(wait::until(DEADLINE, || gob.lock_line().is_some_and(|line| line["instance"].is_string())));
    assert_eq!(own_orphans(), Vec::<i32>::new(), "their supervisor lives");
}

#[test]
fn a_program_replaced_on_disk_is_reported() {
    let gob = Gob::new();
    let status = gob.status();
    let gobd = gob.bin("gobd");
    let other = gob.dir().join("gobd.new");
    let running = format!("gobd (pid {}) is {}", status["pid"], gobd.display());
    program::copy(&gobd, &other, 0o755);
    fs::rename(&other, &gobd).unwrap();
    says(&doctor(&gob, &[]).1, "running programs", "ok", &running);
    program::copy(&gobd, &other, 0o755);
    fs::OpenOptions::new().append(true).open(&other).unwrap().write_all(b"newer").unwrap();
    fs::rename(&other, &gobd).unwrap();
    let (code, checks) = doctor(&gob, &[]);
    assert_eq!(code, 0, "a warning: {checks:#?}");
    let found = says(&checks, "running programs", "warn", &running);
    assert!(found["hint"].as_str().unwrap().starts_with("gobctl daemon upgrade"), "{found}");
    assert!(!found["found"].as_str().unwrap().contains("gob-keeper"), "{found}");
    // The harness would search for the program that is at that path now.
    gob.ctl(["shutdown"]).ok();
}

#[test]
fn logs_without_a_worker_are_deleted_and_no_others() {
    let gob = Gob::new();
    gob.ctl(["start", "old", "foo/bar"]).ok();
    // Without the file the earlier workers are unknown.
    gob.ctl(["shutdown"]).ok();
    fs::remove_file(gob.state_dir().join("last.json")).unwrap();
    gob.ctl(["start", "foo/bar"]).ok();
    let logs = gob.state_dir().join("logs");
    let old = gob.log("old", 1, "stdout");
    fs::write(logs.join("stray.txt"), "not gob's").unwrap();
    fs::write(old.parent().unwrap().join("notes.txt"), "not gob's").unwrap();
    fs::create_dir(logs.join("%zz")).unwrap();
    let (_, checks) = doctor(&gob, &[]);
    let found = says(&checks, "logs", "warn", "1 in ");
    assert!(found["found"].as_str().unwrap().contains(": old ("), "{found}");
    assert!(old.exists());
    let (_, checks) = doctor(&gob, &["--fix"]);
    let fixed = says(&checks, "logs", "ok", "")["fixed"].take();
    let fixed: Vec<&str> = fixed.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(fixed.len(), 1, "{fixed:?}");
    assert!(fixed[0].starts_with("deleted ") && fixed[0].contains("logs/old"), "{fixed:?}");
    assert!(!old.exists() && old.parent().unwrap().join("notes.txt").exists());
    assert!(gob.log("foo/bar", 1, "stdout").exists() && gob.log("foo/bar", 2, "stdout").exists());
    assert!(logs.join("stray.txt").exists() && logs.join("%zz").exists());
    fs::remove_file(old.parent().unwrap().join("notes.txt")).unwrap();
    says(&doctor(&gob, &["--fix"]).1, "logs", "ok", "");
    assert!(!old.parent().unwrap().exists());
    gob.ctl(["start", "old"]).ok();
    // The file is made beside the start, not before its answer.
    let second = || gob.log("old", 2, "stdout").exists();
    assert!(wait::until(DEADLINE, second), "a number is never given twice");
}

#[test]
fn a_directory_made_private_again_leads_to_the_supervisor() {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    // A living supervisor would repair this itself, and its keeper lives a moment longer.
    gob.ctl(["shutdown"]).ok();
    assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
    let open = |mode| fs::set_permissions(gob.runtime_dir(), fs::Permissions::from_mode(mode)).unwrap();
    open(0o755);
    let (code, checks) = doctor(&gob, &[]);
    assert_eq!(code, 1);
    says(&checks, "runtime directory", "fail", "0755");
    says(&checks, "supervisor", "fail", "0755");
    let (code, checks) = doctor(&gob, &["--fix"]);
    assert_eq!(code, 0, "{checks:#?}");
    let fixed = says(&checks, "runtime directory", "ok", "")["fixed"].to_string();
    assert!(fixed.contains("from 0755 to 0700"), "{fixed}");
    gob.ctl(["ping"]).ok();
    says(&doctor(&gob, &[]).1, "supervisor", "ok", "answers");
}

#[test]
fn a_data_directory_that_refuses_every_start_fails_and_is_left_alone() {
    let gob = Gob::new();
    let file = gob.dir().join("file");
    fs::write(&file, "a person's").unwrap();
    for (data, part) in [("/dev/null", "is not a directory"), (file.to_str().unwrap(), "is not a directory")]
    {
        gob.ctl(["start", "demo"]).env("GOB_DATA_DIR", data).fails(7);
        for variable in ["GOB_DATA_DIR", "GOB_STATE_DIR", "GOB_RUNTIME_DIR"] {
            let (code, checks) = run(gob.ctl(["doctor", "--json"]).env(variable, data));
            let what = variable[4..].trim_end_matches("_DIR").to_lowercase() + " directory";
            let hint = says(&checks, &what, "fail", part)["hint"].to_string();
            assert!(code == 1 && hint.contains(variable) && !hint.contains("mv"), "{code} {hint}");
        }
    }
    let below = file.join("below");
    let (code, checks) = run(gob.ctl(["doctor", "--json"]).env("GOB_DATA_DIR", below.to_str().unwrap()));
    says(&checks, "data directory", "fail", "");
    assert_eq!(code, 1);
}

#[test]
fn a_directory_closed_to_its_user_fails() {
    if !root("only root can become another user") {
        return;
    }
    let gob = Gob::new();
    let home = gob.dir().join("home");
    fs::create_dir(home.join("others")).unwrap();
    fs::create_dir(home.join("closed")).unwrap();
    for dir in [gob.dir(), &home, &home.join("closed")] {
        chown(dir, Some(65534), Some(65534)).unwrap();
    }
    fs::set_permissions(home.join("others"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(home.join("closed"), fs::Permissions::from_mode(0o500)).unwrap();
    let as_nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    for (data, part) in [("others", "belongs to uid 0"), ("closed", "mode 0500")] {
        let mut ctl = Ctl::new(Path::new("/usr/bin/setpriv"), gob.env());
        ctl.args(as_nobody).args([gob.bin("gobctl").to_str().unwrap(), "doctor", "--json"]);
        ctl.env("GOB_DATA_DIR", home.join(data).to_str().unwrap());
        ctl.env("HOME", home.to_str().unwrap()).env("GOB_STATE_DIR", home.join("s").to_str().unwrap());
        let (code, checks) = run(ctl.env("GOB_RUNTIME_DIR", home.join("r").to_str().unwrap()));
        says(&checks, "data directory", "fail", part);
        assert_eq!(code, 1);
    }
}

#[test]
fn two_runtime_directories_are_reported() {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    let mut elsewhere = gob.ctl(["doctor", "--json"]);
    elsewhere.env("GOB_RUNTIME_DIR", gob.dir().join("elsewhere").to_str().unwrap());
    let (code, checks) = run(&mut elsewhere);
    assert_eq!(code, 0, "{checks:#?}");
    says(&checks, "supervisor", "ok", "answers");
    let found = says(&checks, "runtime directories", "warn", gob.runtime_dir().to_str().unwrap());
    assert_eq!(
        found["hint"],
        format!(
            "for other clients, the same everywhere: export GOB_RUNTIME_DIR={}",
            gob.runtime_dir().display()
        )
    );
}

#[test]
fn a_journal_that_cannot_be_written_is_reported() {
    let gob = Gob::new();
    // A path that is no file is left alone, and can't be written.
    fs::create_dir_all(gob.state_dir().join("journal")).unwrap();
    gob.ctl(["start", "demo"]).ok();
    assert!(gob.status()["journal_failures"].as_u64() >= Some(2), "{}", gob.status());
    let status = gob.ctl(["status"]).ok();
    assert!(status.contains("\n  journal  could not be written "), "{status}");
    says(&doctor(&gob, &[]).1, "journal", "warn", "could not be written");
    fs::remove_dir(gob.state_dir().join("journal")).unwrap();
}
