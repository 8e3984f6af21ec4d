use super::{ctl, project};
use gob_tests::terminal::Terminal;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Gob, process};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// `db` is ready once its file is there; `web` depends on it; `seed` is started by name.
const FILE: &str = r#"
[[job]]
command = "sh -c 'echo starting; until test -e go; do sleep 0.05; done; echo up; exec sleep 600'"
name = "db"
readiness = { type = "log", pattern = "^up$" }

[[job]]
command = "sh -c 'cd ..; echo $PORT; exec sleep 600'"
name = "web"
autostart = true
depends_on = ["db"]
cwd = "site"
env = { PORT = "5173" }

[[job]]
command = "sleep 600"
description = "fills the database"
depends_on = ["db"]
"#;

fn list(gob: &Gob) -> Vec<Value> {
    gob.connect().ok("list", json!({}))["workers"].as_array().unwrap().clone()
}

/// State and pid of a job; `None` while it is not there.
fn find(gob: &Gob, name: &str) -> Option<(String, Option<i64>)> {
    let worker = list(gob).into_iter().find(|worker| worker["name"] == name)?;
    Some((worker["state"].as_str()?.to_owned(), worker["pid"].as_i64()))
}

fn site(gob: &Gob, text: &str) -> std::path::PathBuf {
    let dir = project(gob, text);
    fs::create_dir_all(dir.join("site")).unwrap();
    ctl(gob, &dir, ["trust"]).ok();
    dir
}

#[test]
fn dependencies_come_up_first_and_go_down_last() {
    let gob = Gob::new();
    let dir = site(&gob, FILE);
    let below = dir.join("site");
    let mut events = gob.events();
    let mut call = ctl(&gob, &below, ["up"]);
    let child = call.spawn();
    events.event("worker_started", "db");
    assert_eq!(find(&gob, "web"), None, "db is not ready");
    fs::write(dir.join("go"), "").unwrap();
    events.event("worker_ready", "db");
    events.event("worker_started", "web");
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let stdout = String::from_utf8(out.stdout).unwrap();
    assert!(stdout.starts_with("started db (pid ") && stdout.contains("\nstarted web (pid "), "{stdout}");
    let web = list(&gob).into_iter().find(|worker| worker["name"] == "web").unwrap();
    assert_eq!(web["cwd"], below.to_str().unwrap());
    let printed = wait::until(DEADLINE, || ctl(&gob, &dir, ["logs", "web"]).ok().contains("5173"));
    assert!(printed, "it has its variable");
    // A job is named by its command, too, and those with autostart stay up.
    let more = ctl(&gob, &dir, ["up", "sleep 600"]).ok();
    assert!(more.contains("db is already running") && more.contains("started j1"), "{more}");
    let down = ctl(&gob, &below, ["down"]).ok();
    let lines: Vec<&str> = down.lines().collect();
    assert_eq!((lines.len(), lines.last()), (3, Some(&"stopped db")), "{down}");
    assert!(list(&gob).iter().all(|worker| worker["pid"].is_null()));
    let again = ctl(&gob, &dir, ["down"]).run();
    assert!(again.code == 0 && again.stderr.contains("none of its jobs was running"), "{again}");
}

#[test]
fn a_job_whose_dependency_does_not_come_up_is_not_started() {
    let gob = Gob::new();
    let text = "[[job]]\ncommand = \"no-such-program\"\nname = \"db\"\n\
                [[job]]\ncommand = \"sleep 600\"\nname = \"web\"\nautostart = true\ndepends_on = [\"db\"]\n";
    let dir = site(&gob, text);
    let out = ctl(&gob, &dir, ["up"]).fails(8);
    assert!(out.stderr.contains("web was not started: db is not up"), "{out}");
    assert_eq!(find(&gob, "web"), None);
}

#[test]
fn watched_jobs_stop_when_the_terminal_dies_and_others_stay() {
    let gob = Gob::new();
    let text = "[[job]]\ncommand = \"sleep 601\"\nname = \"stays\"\n\
                [[job]]\ncommand = \"sleep 602\"\nname = \"ends\"\nautostart = true\ndepends_on = [\"stays\"]\n";
    let dir = site(&gob, text);
    ctl(&gob, &dir, ["up", "stays"]).ok();
    ctl(&gob, &dir, ["stop", "ends"]).ok();
    let mut terminal = Terminal::session(ctl(&gob, &dir, ["up", "--watch"]), 80);
    terminal.wait_for(|shown| shown.contains("until this is interrupted"));
    let pid = find(&gob, "ends").unwrap().1.unwrap();
    terminal.hang_up();
    let gone = wait::until(DEADLINE, || !process::is_alive(i32::try_from(pid).unwrap()));
    assert!(gone, "its lease has ended");
    assert_eq!(find(&gob, "stays").unwrap().0, "ready", "it was up before");
    terminal.end();
}

#[test]
fn a_project_file_is_found_above_up_to_the_repository() {
    let gob = Gob::new();
    let dir = site(&gob, "[[job]]\ncommand = \"sleep 600\"\nautostart = true\n");
    let inner = dir.join("site/deep/inner");
    fs::create_dir_all(&inner).unwrap();
    let down = |dir: &Path| ctl(&gob, dir, ["down"]).run();
    assert_eq!(down(&inner).code, 0);
    fs::create_dir(dir.join("site/.git")).unwrap();
    let out = down(&inner);
    assert!(out.code == 1 && out.stderr.contains("there is no project file in"), "{out}");
}

/// The text of a file with one job, `svc`.
fn svc(command: &str) -> String {
    format!("[[job]]\ncommand = \"{command}\"\nname = \"svc\"\nautostart = true\n")
}

#[test]
fn a_job_whose_command_was_edited_is_still_the_files() {
    let gob = Gob::new();
    let dir = site(&gob, &svc("sleep 601"));
    ctl(&gob, &dir, ["up"]).ok();
    fs::write(dir.join(".config/gobfile.toml"), svc("sleep 602")).unwrap();
    ctl(&gob, &dir, ["trust"]).ok();
    let out = ctl(&gob, &dir, ["up"]).fails(1);
    let want = "error: svc runs another command (ready): sleep 601\n\
                hint: stop that one, then start this one: gobctl stop svc && gobctl up\n";
    assert_eq!(out.stderr, want, "{out}");
    assert_eq!(ctl(&gob, &dir, ["down"]).ok(), "stopped svc\n");
    assert!(ctl(&gob, &dir, ["up"]).ok().ends_with("): sleep 602\n"));
    // A job of that name elsewhere is not the file's.
    ctl(&gob, &dir, ["down"]).ok();
    ctl(&gob, &dir, ["remove", "svc"]).ok();
    ctl(&gob, gob.dir(), ["add", "--name", "svc", "sleep", "603"]).ok();
    let out = ctl(&gob, &dir, ["down"]).run();
    assert!(out.code == 0 && out.stderr.contains("none of its jobs was running"), "{out}");
    let out = ctl(&gob, &dir, ["up"]).fails(1);
    let elsewhere = gob.dir().canonicalize().unwrap();
    let want = format!("svc runs another command in {} (ready): sleep 603\n", elsewhere.display());
    assert!(out.stderr.contains(&want), "{out}");
}

#[test]
fn a_job_that_has_another_name_already_is_told_with_what_to_type() {
    let gob = Gob::new();
    let dir = site(&gob, &svc("sleep 600"));
    ctl(&gob, &dir, ["add", "sleep", "600"]).ok();
    let out = ctl(&gob, &dir, ["up"]).fails(1);
    assert!(out.stderr.contains("gobctl stop j1 && gobctl remove j1\n"), "{out}");
    gob.ctl(["start", "web"]).ok();
    fs::write(dir.join(".config/gobfile.toml"), svc("sleep 602").replace("svc", "web")).unwrap();
    ctl(&gob, &dir, ["trust"]).ok();
    let out = ctl(&gob, &dir, ["up"]).fails(1);
    assert!(out.stderr.contains("hint: give the job another name in the project file\n"), "{out}");
}

#[test]
fn json_is_one_document_for_all_jobs() {
    let gob = Gob::new();
    let dir = site(&gob, "");
    let write = |text: &str| {
        fs::write(dir.join(".config/gobfile.toml"), text).unwrap();
        ctl(&gob, &dir, ["trust"]).ok();
    };
    let none = json!({"results": []});
    assert_eq!(ctl(&gob, &dir, ["up", "--json"]).json(), none);
    assert_eq!(ctl(&gob, &dir, ["down", "--json"]).json(), none);
    let job = |name: &str, command: &str, needs: &str| {
        format!("[[job]]\ncommand = \"{command}\"\nname = \"{name}\"\nautostart = true\n{needs}\n")
    };
    let needs = |name: &str| format!("depends_on = [\"{name}\"]");
    let good = job("web", "sleep 602", &needs("db")) + &job("db", "sleep 601", "");
    write(&good);
    let up = ctl(&gob, &dir, ["up", "--json"]).json();
    let results = |document: &Value, of: &str| -> Vec<(String, Value)> {
        let of = |one: &Value| (one["name"].as_str().unwrap().to_owned(), one["data"][of].clone());
        document["results"].as_array().unwrap().iter().map(of).collect()
    };
    let want = ["db", "web"].map(|name| (name.to_owned(), json!("started")));
    assert_eq!(results(&up, "outcome"), want, "{up}");
    let down = ctl(&gob, &dir, ["down", "--json"]).json();
    let names: Vec<String> = results(&down, "receipt").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["web", "db"], "{down}");
    write(&(good + &job("api", "sleep 603", &needs("bad")) + &job("bad", "no-such-program", "")));
    let out = ctl(&gob, &dir, ["up", "--json"]).fails(8);
    let all: Value = serde_json::from_str(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out}"));
    let results = all["results"].as_array().unwrap();
    let codes: Vec<_> = results.iter().map(|one| (&one["name"], &one["error"]["code"])).collect();
    let want = [
        (json!("db"), Value::Null),
        (json!("bad"), json!("server-start-failed")),
        (json!("web"), Value::Null),
        (json!("api"), json!("dependency-not-up")),
    ];
    assert_eq!(codes, want.iter().map(|(name, code)| (name, code)).collect::<Vec<_>>(), "{all}");
    ctl(&gob, &dir, ["down"]).ok();
    write(&job("db", "sleep 601", ""));
    assert_eq!(ctl(&gob, &dir, ["up", "--json"]).json()["worker"]["name"], "db", "one is its data as it is");
    assert_eq!(ctl(&gob, &dir, ["down", "--json"]).json()["worker"]["name"], "db");
}
