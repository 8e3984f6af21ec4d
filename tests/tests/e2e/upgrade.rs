//! The supervisor goes on with another program, and nobody notices (F3).

use crate::replaced::{OTHER, install, of_other_version};
use crate::streams::Running;
use gob_tests::script::{Step, Write};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob, process};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A command that counts lines without an end.
const COUNTS: &str = "i=0; while :; do i=$((i+1)); echo $i; done";

fn counter(gob: &Gob) -> Value {
    json!({"command": ["/bin/sh", "-c", COUNTS], "cwd": gob.dir(), "name": "counter", "env": {"PATH": "/usr/bin:/bin"}})
}

/// Upgrades to the installed program.
fn upgrade(gob: &Gob) {
    let done = gob.ctl(["daemon", "upgrade"]).ok();
    assert!(done.starts_with("upgraded gobd (pid "), "{done}");
}

/// Returns the lines of a log that are written, each of which must follow the one before it. Its oldest files may be gone, by rotation.
fn counted(log: &Path) -> u64 {
    let rotated = |number: u32| fs::read_to_string(format!("{}.{number}", log.display())).ok();
    let mut files: Vec<String> = (1..).map_while(rotated).collect();
    files.reverse();
    files.push(fs::read_to_string(log).unwrap());
    let text = files.concat();
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    let mut lines = whole.lines().map(|line| line.parse::<u64>().unwrap());
    let first = lines.next().unwrap();
    assert!(first == 1 || files.len() > 1, "the first lines are lost");
    let last = lines.fold(first, |last, line| {
        assert_eq!(line, last + 1, "a line is lost or doubled");
        line
    });
    last - first + 1
}

fn pid_of(conn: &mut Conn, name: &str) -> i32 {
    conn.ok("get", json!({"name": name}))["worker"]["pid"].as_i64().unwrap() as i32
}

fn half_a_handshake() -> Vec<Step> {
    let text = "{\"ready\":true,\"vers".to_owned();
    let first = Write { text, ..Write::default() };
    let rest = Write { text: "ion\":\"7\"}\n".to_owned(), ..Write::default() };
    vec![Step::Write(first), Step::WaitFor("go".to_owned()), Step::Write(rest), Step::Hang]
}

#[test]
fn workers_clients_and_everything_that_is_under_way_go_on() {
    let gob = Gob::new();
    gob.fifo("half", "go");
    gob.script("half", &half_a_handshake());
    let mut conn = gob.connect_as("cli");
    let mut events = gob.events();
    let mut other = gob.connect_as("desktop");
    conn.ok("start", json!({"graph": "g", "lease": true}));
    conn.ok("add", counter(&gob));
    let token = conn.ok("lock_acquire", json!({"lock": "build"}))["token"].as_u64().unwrap();
    let waits = other.post("lock_acquire", json!({"lock": "build", "timeout_ms": 60_000}));
    let starts = conn.post("start", json!({"graph": "half", "timeout_ms": 60_000}));
    let half = gob.log("half", 1, "stdout");
    assert!(wait::until(DEADLINE, || fs::read(&half).is_ok_and(|text| !text.is_empty())));
    let waiting = json!({"lane": "l", "command": ["/bin/sh", "-c", "while ! test -e done; do sleep 0.02; done"],
        "cwd": gob.dir(), "env": {"PATH": "/usr/bin:/bin"}});
    let job = conn.ok("queue_add", waiting)["job"]["id"].as_str().unwrap().to_owned();
    let mut told = events.event("worker_ready", &job)["seq"].as_u64().unwrap();
    // The begin of a request is read by one program, and its end by the next.
    let mut cut = gob.connect();
    cut.send(b"{\"id\":5,\"type\":\"pi");
    let before = gob.status();
    let [g, count] = ["g", "counter"].map(|name| pid_of(&mut conn, name));
    let started = process::start_time(g);

    install(&gob, "gobd", &of_other_version(&gob, "gobd"));
    let gobd = gob.gobd_pid();
    let done = gob.ctl(["daemon", "upgrade"]).ok();
    let path = gob.bin("gobd");
    let versions = format!(
        "upgraded gobd (pid {gobd}) from {} ({1}) to {OTHER} ({1}); all workers went on\n",
        env!("CARGO_PKG_VERSION"),
        path.display()
    );
    assert_eq!(done, versions);
    let upgraded = loop {
        // Others may be told meanwhile, and all are told.
        let frame = events.frame();
        assert_eq!(frame["seq"], told + 1, "{frame}");
        told += 1;
        if frame["event"] == "supervisor_upgraded" {
            break frame;
        }
    };
    assert_eq!(upgraded["actor"]["owner"], "cli");

    let after = gob.status();
    for same in ["pid", "instance", "keeper_pid", "restarts", "orphans_recovered"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(after["version"], OTHER);
    assert!(after["uptime_ms"].as_u64() >= before["uptime_ms"].as_u64());
    assert_eq!(fs::read_to_string(format!("/proc/{gobd}/comm")).unwrap(), "gobd\n");
    assert_eq!(process::exe(gobd), Some(path));
    assert_eq!([g, count], ["g", "counter"].map(|name| pid_of(&mut conn, name)));
    assert_eq!(process::start_time(g), started);
    let view = conn.ok("get", json!({"name": "g"}))["worker"].take();
    assert_eq!(
        (&view["state"], &view["leases"], &view["owned"]),
        (&json!("ready"), &json!(1), &json!(true)),
        "{view}"
    );

    cut.send(b"ng\"}\n");
    assert_eq!(cut.frame()["data"]["pong"], true);
    gob.release("half", "go");
    let started = conn.response(starts);
    assert_eq!(started["data"]["worker"]["version"], "7", "{started}");
    conn.ok("lock_release", json!({"lock": "build", "token": token}));
    assert!(other.response(waits)["data"]["token"].as_u64() > Some(token));
    fs::write(gob.dir().join("done"), "").unwrap();
    let ended = events.find("the job's end", DEADLINE, |frame| frame["event"] == "queue_job_finished");
    assert_eq!((&ended["job"]["id"], &ended["job"]["status"]), (&json!(job), &json!("completed")), "{ended}");
    let log = gob.log("counter", 1, "stdout");
    let lines = fs::metadata(&log).unwrap().len();
    assert!(wait::until(DEADLINE, || fs::metadata(&log).unwrap().len() > lines), "its output goes on");
    let stopped = conn.ok("stop", json!({"name": "counter", "force": true}));
    assert_eq!(stopped["receipt"]["survivors"], json!([]), "{stopped}");
    assert!(counted(&log) > 0);
    let log = gob.ctl(["logs", "counter", "-n", "1"]).ok();
    assert!(log.trim().parse::<u64>().is_ok(), "{log}");
    drop(conn);
    events.event("lease_released", "g");
}

#[test]
fn upgrades_in_a_row_under_load_lose_nothing() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    for name in ["a", "b", "c"] {
        let job = json!({"command": ["/bin/sh", "-c", COUNTS, name], "cwd": gob.dir(), "name": name,
            "env": {"PATH": "/usr/bin:/bin"}});
        conn.ok("add", job);
    }
    let pids = ["a", "b", "c"].map(|name| pid_of(&mut conn, name));
    let token = conn.ok("lock_acquire", json!({"lock": "l"}))["token"].as_u64().unwrap();
    let gobd = gob.gobd_pid();
    let (stop, slowest) = (AtomicBool::new(false), std::sync::Mutex::new(Duration::ZERO));
    let asked: u64 = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let mut client = gob.connect_as("desktop");
                let (stop, slowest) = (&stop, &slowest);
                scope.spawn(move || {
                    let mut asked = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let begun = Instant::now();
                        client.ok("get", json!({"name": "a"}));
                        asked += 1;
                        let mut most = slowest.lock().unwrap();
                        *most = most.max(begun.elapsed());
                    }
                    asked
                })
            })
            .collect();
        for _ in 0..10 {
            upgrade(&gob);
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    println!("{asked} requests, the slowest {:?}", slowest.lock().unwrap());
    assert_eq!(gob.gobd_pid(), gobd);
    assert_eq!(pids, ["a", "b", "c"].map(|name| pid_of(&mut conn, name)));
    conn.ok("lock_release", json!({"lock": "l", "token": token}));
    for name in ["a", "b", "c"] {
        conn.ok("stop", json!({"name": name, "force": true}));
        assert!(counted(&gob.log(name, 1, "stdout")) > 1_000);
    }
}

#[test]
fn what_can_not_take_over_is_told_and_everything_goes_on() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    let worker = pid_of(&mut conn, "g");
    let script = gob.dir().join("script");
    gob_tests::program::write(&script, "#!/bin/sh\nexec gobd \"$@\"\n", 0o755);
    fs::write(gob.dir().join("text"), "no program").unwrap();
    let at = |name: &str| gob.dir().join(name).to_str().unwrap().to_owned();
    for (exe, why) in [
        ("/bin/true".to_owned(), "the program said nothing in its trial run"),
        ("/bin/false".to_owned(), "the program said nothing in its trial run"),
        ("/usr/bin/yes".to_owned(), "no supervisor of gob"),
        ("gobd".to_owned(), "is not an absolute path"),
        (at("none"), "No such file"),
        (at("bin"), "is not a file"),
        (at("text"), "is not executable"),
        (at("script"), "is a script"),
        (at("bin/gobctl"), "no supervisor of gob that can be upgraded to: error"),
        (at("bin/gob-keeper"), "no supervisor of gob that can be upgraded to: error"),
    ] {
        let error = conn.err("upgrade", json!({"exe": exe}), "upgrade-failed");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(why), "{exe}: {message}");
        assert!(error["hint"].as_str().unwrap().contains("goes on as it was"), "{error}");
    }
    // The hint of each refusal leads there.
    let log = fs::read_to_string(gob.state_dir().join("gobd.log")).unwrap();
    assert_eq!(log.matches("not upgraded").count(), 10, "{log}");
    let failed = gob.ctl(["daemon", "upgrade", "--exe", "/bin/true"]).fails(1);
    assert!(failed.stderr.contains("the supervisor was not upgraded"), "{failed}");
    gob.connect_as("claude").err("upgrade", json!({}), "server-owned-by-other");
    gob.ctl(["daemon", "upgrade", "--owner", "claude"]).fails(5);
    assert_eq!(pid_of(&mut conn, "g"), worker);
    upgrade(&gob);
    assert_eq!(pid_of(&mut conn, "g"), worker);
}

#[test]
fn a_trial_that_does_not_end_is_ended_and_only_one_upgrade_is_under_way() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let hangs = gob.dir().join("hangs");
    gob_tests::program::copy(&gob_tests::gob::built_binaries().join("gob-rootsleep"), &hangs, 0o755);
    let id = conn.post("upgrade", json!({"exe": hangs}));
    let running = || gob.processes().into_iter().any(|pid| process::exe(pid) == Some(hangs.clone()));
    assert!(wait::until(DEADLINE, running));
    conn.err("upgrade", json!({}), "busy");
    assert_eq!(conn.ok("ping", json!({}))["pong"], true, "clients are served meanwhile");
    let error = conn.response(id)["error"].take();
    assert_eq!(error["code"], "upgrade-failed");
    assert!(error["message"].as_str().unwrap().contains("had not ended its trial run after 5 s"), "{error}");
    assert!(wait::until(DEADLINE, || !running()), "it is ended");
    upgrade(&gob);
}

#[test]
fn a_state_in_another_form_is_refused_by_the_trial() {
    let gob = Gob::new();
    let bad = gob.dir().join("bad");
    // The map {"shell_version": 9} in CBOR.
    fs::write(&bad, b"\xa1\x6dshell_version\x09").unwrap();
    let tried = |file: &Path| {
        let gobd = gob.bin("gobd");
        let script = format!("exec {} --try-state 7 7<{}", gobd.display(), file.display());
        let out = std::process::Command::new("/bin/sh").args(["-c", &script]).env_clear().output().unwrap();
        let said: Value = serde_json::from_slice(&out.stdout).unwrap();
        (out.status.code(), said["refused"].as_str().unwrap_or_default().to_owned())
    };
    let (code, why) = tried(&bad);
    assert_eq!((code, why.as_str()), (Some(1), "the shell's state is of version 9, this program reads 1"));
    fs::write(&bad, "nothing").unwrap();
    assert_eq!(tried(&bad), (Some(1), "the state is in no form that this program knows".to_owned()));
}

#[test]
fn a_lock_that_is_held_by_a_command_and_a_follower_of_events_go_on() {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    let mut follower = Running::start(&mut gob.ctl(["events"]));
    assert!(wait::until(DEADLINE, || gob.status()["subscribers"] == 1));
    let waits = "echo held; while ! test -e go; do sleep 0.02; done";
    let mut held = gob.ctl(["lock", "run", "l", "--", "sh", "-c", waits]);
    let mut held = Running::start(held.cwd(gob.dir()));
    held.says("held");
    follower.says("lock_granted");
    upgrade(&gob);
    upgrade(&gob);
    follower.says("supervisor_upgraded");
    follower.says("supervisor_upgraded");
    fs::write(gob.dir().join("go"), "").unwrap();
    held.ends(0);
    follower.says("lock_released");
    follower.end();
    assert_eq!(gob.ctl(["lock", "status", "l"]).run().stdout, "l is free\n");
}
