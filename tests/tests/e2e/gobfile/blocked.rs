use super::project;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

const FILE: &str = "[[job]]\ncommand = \"sleep '60'\"\nblocked = true\ndescription = \"ask first\"\n";

fn job(dir: &Path, command: &[&str]) -> Value {
    json!({"command": command, "cwd": dir, "env": {"PATH": "/usr/bin:/bin"}})
}

/// Runs a job to its end.
fn passes(conn: &mut Conn, dir: &Path) {
    assert_eq!(conn.ok("add", job(dir, &["sleep", "0"]))["worker"]["state"], "ready");
}

#[test]
fn a_blocked_job_is_refused_to_each_client_and_request() {
    let gob = Gob::new();
    let dir = project(&gob, "");
    let mut conn = gob.connect();
    let made = conn.ok("create", job(&dir, &["sleep", "60"]))["worker"]["name"].clone();
    fs::write(dir.join(".config/gobfile.toml"), FILE).unwrap();
    for owner in ["cli", "desktop", "agent"] {
        let mut conn = gob.connect_as(owner);
        for (request, payload) in [
            ("add", job(&dir, &["sleep", "60"])),
            ("create", job(&dir, &["sleep", "60"])),
            ("add", job(&dir.join("../project"), &["sleep", "60"])),
            ("start", json!({"name": made})),
        ] {
            let error = conn.err(request, payload, "blocked");
            assert_eq!(error["message"], "sleep 60 is blocked: ask first", "{owner} {request}");
            assert_eq!(error["details"]["description"], "ask first");
        }
    }
    conn.err("restart", json!({"name": made}), "blocked");
    assert_eq!(conn.ok("get", json!({"name": made}))["worker"]["blocked"], "ask first");
    let out = gob.ctl(["start", made.as_str().unwrap()]).fails(1);
    assert!(out.stderr.contains("sleep 60 is blocked: ask first"), "{out}");
    let out = gob.ctl(["run", "--cwd", dir.to_str().unwrap(), "sleep 60"]).fails(1);
    assert!(out.stderr.contains("sleep 60 is blocked: ask first"), "{out}");
    // Another command, and the same one elsewhere, are not blocked.
    conn.ok("add", job(&dir, &["sleep", "60", "0"]));
    conn.ok("create", job(gob.dir(), &["sleep", "60"]));
    fs::write(dir.join(".config/gobfile.toml"), "").unwrap();
    let data = conn.ok("start", json!({"name": made}));
    assert_eq!((&data["outcome"], &data["worker"]["blocked"]), (&json!("started"), &Value::Null));
}

#[test]
fn requests_behind_one_that_reads_a_project_file_keep_their_order() {
    let gob = Gob::new();
    let dir = project(&gob, "");
    let mut conn = gob.connect();
    let ids = [
        conn.post("create", json!({"command": ["sleep", "60"], "cwd": dir, "name": "a"})),
        conn.post("get", json!({"name": "a"})),
        conn.post("start", json!({"name": "a", "env": {"PATH": "/usr/bin:/bin"}})),
        conn.post("get", json!({"name": "a"})),
    ];
    let answers = ids.map(|id| conn.response(id));
    assert!(answers.iter().all(|answer| answer["success"] == true), "{answers:#?}");
    let run = |at: usize| answers[at]["data"]["worker"]["run"].clone();
    assert_eq!((run(1), run(3)), (json!(0), json!(1)));
}

#[test]
fn a_project_file_that_cannot_be_used_blocks_nothing_and_is_told_in_the_log() {
    let gob = Gob::new();
    let dir = project(&gob, &format!("{FILE}[[job]\n"));
    let path = dir.join(".config/gobfile.toml");
    let mut conn = gob.connect();
    let add = |conn: &mut Conn| conn.ok("create", job(&dir, &["sleep", "60"]));
    let told = |part: &str| {
        let seen = wait::until(DEADLINE, || gob.logs().contains(part));
        assert!(seen, "{part}: {}", gob.logs());
    };
    add(&mut conn);
    told("unclosed array table");
    fs::write(&path, format!("{FILE}{}", "#".repeat(1 << 20))).unwrap();
    add(&mut conn);
    told("it has more than 1048576 bytes");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    add(&mut conn);
    told("it is not a regular file");
    fs::remove_dir(&path).unwrap();
    passes(&mut conn, &dir);
}

#[test]
fn a_link_of_a_project_file_leads_to_files_of_this_user_and_root_only() {
    let gob = Gob::new();
    let dir = project(&gob, "");
    let (path, elsewhere) = (dir.join(".config/gobfile.toml"), gob.dir().join("elsewhere"));
    fs::write(&elsewhere, FILE).unwrap();
    fs::remove_file(&path).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let mut conn = gob.connect();
    conn.err("create", job(&dir, &["sleep", "60"]), "blocked");
    if nix::unistd::Uid::effective().is_root() {
        chown(&elsewhere, Some(65_534), None).unwrap();
        conn.ok("create", job(&dir, &["sleep", "60"]));
        assert!(wait::until(DEADLINE, || gob.logs().contains("a file of uid 65534")), "{}", gob.logs());
    }
}

#[test]
fn a_file_that_cannot_be_used_is_warned_of_and_blocks_nothing() {
    let gob = Gob::new();
    let dir = project(&gob, "");
    fs::write(dir.join(".config/gobfile.toml"), "[[job]]\ncommand = 7\n").unwrap();
    for verb in ["add", "create", "run"] {
        let said = gob.ctl([verb, "true"]).cwd(&dir).run();
        assert_eq!(said.code, 0, "{said}");
        assert!(
            said.stderr.contains("warning: ") && said.stderr.contains("gobfile.toml can't be used"),
            "{said}"
        );
    }
    let quiet = gob.ctl(["-q", "run", "true"]).cwd(&dir).run();
    assert_eq!(quiet.stderr, "", "{quiet}");
}
