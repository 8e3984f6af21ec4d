//! The surroundings of a worker and of the supervisor: nothing of the first client is among them.

use gob_tests::{Ctl, Gob, process};
use serde_json::json;
use std::fs;
use std::path::Path;

fn status_line(pid: i32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
    line.unwrap_or_else(|| panic!("no {key}")).trim().to_owned()
}

fn mask(hex: &str) -> u64 {
    u64::from_str_radix(hex, 16).unwrap()
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

#[test]
fn a_worker_is_given_a_clean_process() {
    let gob = Gob::new();
    let data = gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let facts = gob.facts("g", 1);
    assert_eq!(json!(facts.pid), data["worker"]["pid"]);
    assert_eq!((facts.pgid, json!(facts.pgid)), (facts.pid, data["worker"]["pgid"].clone()));
    assert_eq!(facts.ppid, gob.gobd_pid());
    assert_ne!(facts.pdeathsig, 0, "it is told when its supervisor dies");
    for key in ["SigIgn", "SigBlk", "SigCgt"] {
        assert_eq!(mask(&facts.status[key]), 0, "{key} {}", facts.status[key]);
    }
    assert_eq!(facts.status["Umask"], "0077");
    // The standard streams and the lock of its graph.
    assert_eq!(facts.fds.iter().map(|(fd, _)| *fd).collect::<Vec<_>>(), [0, 1, 2, 63], "{:?}", facts.fds);
    assert_eq!(Path::new(&facts.fds[3].1), gob.data_dir().join(".gob/g.lock"));
    assert_eq!(facts.fds[0].1, "/dev/null");
    assert!(facts.fds[1].1.starts_with("pipe:") && facts.fds[2].1.starts_with("pipe:"), "{:?}", facts.fds);
    assert_ne!(facts.fds[1].1, facts.fds[2].1);
    assert_eq!(Path::new(&facts.cwd), gob.graph_dir("g"));
    assert_eq!(data["worker"]["cwd"], json!(facts.cwd));
    assert_eq!(data["worker"]["command"].as_array().unwrap().len(), facts.args.len());
    assert_eq!(json!(facts.args[1..]), json!(data["worker"]["command"].as_array().unwrap()[1..]));
}

#[test]
fn a_worker_gets_the_selected_variables_and_its_own() {
    let gob = Gob::new();
    let mut ctl = gob.ctl(["start", "g"]);
    ctl.env("LC_ALL", "C.UTF-8").env("SSH_AUTH_SOCK", "/a").env("SECRET_TOKEN", "hunter2");
    ctl.env("GOB_OWNER", "desktop").env("LD_LIBRARY_PATH", "/nowhere").ok();
    let facts = gob.facts("g", 1);
    for (name, value) in
        [("LC_ALL", "C.UTF-8"), ("SSH_AUTH_SOCK", "/a"), ("USER", "tester"), ("LANG", "C.UTF-8")]
    {
        assert_eq!(facts.var(name), Some(value));
    }
    assert_eq!(facts.var("HOME"), gob.dir().join("home").to_str());
    for name in ["SECRET_TOKEN", "GOB_OWNER", "LD_LIBRARY_PATH"] {
        assert_eq!(facts.var(name), None, "{name}");
    }
    assert_eq!((facts.var("GOB_NAME"), facts.var("GOB_RUN")), (Some("g"), Some("1")));
    assert_eq!(facts.var("GOB_SOCKET"), gob.socket().to_str());
    assert!(facts.var("GOB_INSTANCE").is_some_and(|marker| !marker.is_empty()));
    assert_eq!(gob.connect().ok("get", json!({"name": "g"}))["worker"]["owner"], "desktop");
}

/// The variables of a request that the kind does not let through stayed in the memory of a buffer.
#[test]
fn no_secret_of_a_requester_stays_in_the_supervisors_memory() {
    let gob = Gob::new();
    // In pieces, so that a buffer has to grow: a part of one that was given back is a copy, too.
    let secrets: Vec<String> = (0..4).map(|n| format!("hunter-{n}-{}", std::process::id())).collect();
    let more: serde_json::Map<_, _> =
        (0..300).map(|n| (format!("FILLER_{n}"), json!(format!("{n}{}", "x".repeat(100))))).collect();
    let mut conn = gob.connect_as("cli");
    for (secret, request) in secrets.iter().zip(["start", "restart", "restart", "start"]) {
        let mut env = more.clone();
        env.insert("A_TOKEN".to_owned(), json!(secret));
        let key = if request == "start" { "graph" } else { "name" };
        conn.ok(request, json!({key: "g", "env": env}));
    }
    // One that names a directory is kept until that is resolved.
    conn.ok("start", json!({"graph": "h", "root_dir": gob.dir(), "env": {"A_TOKEN": secrets[0]}}));
    let gobd = gob.status()["pid"].as_i64().unwrap() as i32;
    let found = process::in_memory(gobd, &secrets);
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(process::in_memory(gobd, &["FILLER_299 is nowhere".to_owned()]).len(), 0);
    let known = gob.state_dir().to_str().unwrap().to_owned();
    assert_eq!(process::in_memory(gobd, std::slice::from_ref(&known)), [known], "what is there is found");
}

#[test]
fn a_start_without_an_environment_gets_the_supervisors_base() {
    let gob = Gob::new();
    gob.connect_as("agent").ok("start", json!({"graph": "g"}));
    let facts = gob.facts("g", 1);
    for name in ["HOME", "USER", "PATH", "LANG"] {
        assert!(facts.var(name).is_some(), "{name}");
    }
}

#[test]
fn secrets_appear_nowhere() {
    let gob = Gob::new();
    let mut watcher = gob.events();
    let mut conn = gob.connect_as("cli");
    let secret = "hunter2-in-the-environment";
    let env = json!({"PATH": "/usr/bin:/bin", "LC_SECRET": secret, "OTHER": secret});
    conn.ok("start", json!({"graph": "g", "env": env}));
    assert_eq!(gob.facts("g", 1).var("LC_SECRET"), Some(secret), "it has reached the worker");
    conn.ok("restart", json!({"name": "g"}));
    assert_eq!(gob.facts("g", 2).var("LC_SECRET"), Some(secret), "and the next run");
    let mut shown = Vec::new();
    for (verb, payload) in [("get", json!({"name": "g"})), ("list", json!({})), ("status", json!({}))] {
        shown.push(conn.ok(verb, payload).to_string());
    }
    shown.push(conn.ask("stop", json!({"name": "g"})).to_string());
    shown.push(watcher.event("worker_stopped", "g").to_string());
    shown.push(gob.connect_as("desktop").ask("subscribe", json!({"since": 0, "snapshot": true})).to_string());
    shown.push(fs::read_to_string(format!("/proc/{}/cmdline", gob.gobd_pid())).unwrap());
    shown.push(fs::read_to_string(format!("/proc/{}/environ", gob.gobd_pid())).unwrap());
    let mut folders = vec![gob.state_dir(), gob.runtime_dir()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                // The supervisor writes some files under another name first.
                let Ok(bytes) = fs::read(entry.path()) else { continue };
                shown.push(String::from_utf8_lossy(&bytes).into_owned());
                files += 1;
            }
        }
    }
    assert!(files >= 4, "the lock file, two logs and an index at least, not {files}");
    for text in shown {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn nothing_of_the_first_client_is_kept() {
    let gob = Gob::new();
    let foreign = gob.dir().join("foreign");
    fs::write(&foreign, "x").unwrap();
    let cwd = gob.dir().join("cwd");
    fs::create_dir(&cwd).unwrap();
    let script = "trap '' TERM HUP INT USR1; umask 000; exec 9<../foreign; ulimit -S -n 200; gobctl start g";
    let mut call = Ctl::new("/bin/sh".as_ref(), gob.env());
    let output = call.cwd(&cwd).env("FIRST_CLIENT", "was here").args(["-c", script]).run();
    assert_eq!(output.code, 0, "{output}");
    let facts = gob.facts("g", 1);
    assert_eq!(mask(&facts.status["SigIgn"]), 0, "{}", facts.status["SigIgn"]);
    assert_eq!(mask(&facts.status["SigBlk"]), 0);
    assert_eq!(facts.status["Umask"], "0077");
    assert_eq!(facts.fds.len(), 4, "the streams and the lock of its graph: {:?}", facts.fds);
    let status = gob.status();
    for (program, pid) in [("gobd", &status["pid"]), ("gob-keeper", &status["keeper_pid"])] {
        let pid = pid.as_i64().unwrap() as i32;
        let ignored = mask(&status_line(pid, "SigIgn"));
        for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGUSR1] {
            let caught = mask(&status_line(pid, "SigCgt")) | mask(&status_line(pid, "SigBlk"));
            assert!(ignored & bit(signal) == 0 || caught & bit(signal) != 0, "{program} ignores {signal}");
        }
        assert_eq!(status_line(pid, "Umask"), "0077", "{program}");
        assert_ne!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), cwd, "{program}");
        let environ = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
        assert!(!environ.contains("FIRST_CLIENT"), "{program}: {environ}");
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            assert_ne!(target, foreign, "{program}");
            if ["0", "1", "2"].contains(&entry.file_name().to_str().unwrap()) {
                let own = target == Path::new("/dev/null") || target.starts_with(gob.dir().join("state"));
                assert!(own, "{program} has {} open", target.display());
            }
        }
        let session = gob_tests::process::stat_field(pid, 6).unwrap();
        assert_ne!(session, gob_tests::process::stat_field(std::process::id() as i32, 6).unwrap());
    }
    for entry in fs::read_dir(gob.state_dir()).unwrap().flatten() {
        use std::os::unix::fs::PermissionsExt;
        // The supervisor writes some files under another name first.
        let Ok(found) = entry.metadata() else { continue };
        let mode = found.permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} {mode:o}", entry.path().display());
    }
}

#[test]
fn a_missing_program_fails_the_start() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("ping", json!({}));
    fs::remove_file(gob.bin("gob-graph-worker")).unwrap();
    let mut conn = gob.connect_as("cli");
    let env = json!({"PATH": "/nowhere"});
    let error = conn.err("start", json!({"graph": "g", "env": env}), "server-start-failed");
    assert_eq!(error["details"]["errno"], "ENOENT", "{error}");
    assert_eq!(error["message"], "g could not be started: gob-graph-worker is not on PATH");
    // The files do not mention gob's own program, so that `gobctl config check` could not help.
    let hint = "install gob-graph-worker beside gobd, or name its directory in GOB_LIBEXEC; gobctl doctor says where it is looked for";
    assert_eq!(error["hint"], hint);
    assert!(!gob.logs().contains("/nowhere"), "a variable's value is in no log: {}", gob.logs());
    let worker = conn.ok("get", json!({"name": "g"}))["worker"].clone();
    assert_eq!(worker["exit"], json!({"spawn_error": "ENOENT", "step": "exec"}), "{worker}");
    assert!(!worker.to_string().contains("/nowhere"), "nor in a view: {worker}");
    assert!(gob.status()["spawn_failures"].as_u64() >= Some(1));
    conn.ok("stop", json!({"name": "g"}));
}

#[test]
fn limits_of_a_kind_are_set_or_the_start_fails() {
    let gob = Gob::new();
    let kind = |name: &str, limits: &str| {
        format!(
            "[kind.{name}]\ncommand = [\"gob-graph-worker\", \"--root-dir\", \"{{root_dir}}\", \"--graph\",              \"{{graph}}\", \"--socket\", \"{{socket}}\"]\nreadiness = \"handshake\"\nrlimits = {limits}\n"
        )
    };
    // More than the kernel can do, so that not even root may.
    let text = kind("small", "{ nofile = 100, core = 0 }") + &kind("huge", "{ nofile = 1099511627776 }");
    fs::write(gob.dir().join("config.toml"), text).unwrap();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g", "kind": "small"}));
    assert_eq!(gob.facts("g", 1).nofile, (100, 100));
    let error = conn.err("start", json!({"graph": "h", "kind": "huge"}), "server-start-failed");
    assert_eq!(error["details"]["errno"], "EPERM", "{error}");
    assert!(error["message"].as_str().unwrap().contains("RLIMIT_NOFILE"), "{error}");
    conn.ok("stop", json!({"name": "h"}));
}
