//! `gobctl doctor` beside impossible behaviour of a supervisor, and beside files without one.

#[cfg(test)]
#[path = "support/doctor.rs"]
mod report;
#[cfg(test)]
mod support;

use gob_protocol::build::version_of;
use report::{check, check_until, checks, doctor, installed, says, script, serve_bytes, status};
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::{World, hello, ok, refused, view};

#[test]
fn without_a_supervisor_all_is_well_and_nothing_is_started() {
    let world = World::new();
    let program = installed(&world);
    let (code, found) = checks(&world, &program, &["--fix"], "supervisor");
    assert_eq!(code, 0);
    says(&found[0], "ok", &["none runs"]);
    assert_eq!(std::fs::read_dir(world.dir.join("run")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(world.state()).unwrap().count(), 0);
    let ran = doctor(&world, &program, &[]);
    assert!(ran.stdout.starts_with("ok   supervisor: none runs; the first request starts one\n"), "{ran:?}");
    assert!(
        ran.stdout.lines().all(|line| ["ok   ", "warn ", "     "].iter().any(|mark| line.starts_with(mark))),
        "{ran:?}"
    );
    assert_eq!(ran.stderr.lines().count(), 1, "the sum of it: {ran:?}");
    assert_eq!(doctor(&world, &program, &["-q"]).stderr, "");
}

#[test]
fn a_keeper_that_gave_up_is_reported_until_another_supervisor_begins() {
    let world = World::new();
    let program = installed(&world);
    let log = world.state().join("gobd.log");
    let last = "2026-11-28T10:00:00Z gob-keeper: the supervisor ended 11 times within 60 s, last with SIGSEGV; giving up\n";
    std::fs::write(&log, format!("a line\n{last}")).unwrap();
    let found = check(&world, &program, &[], "supervisor");
    let told = "the keeper gave up at 2026-11-28T10:00:00Z: the supervisor ended 11 times within 60 s, last with SIGSEGV";
    says(&found, "warn", &[told, "the next command starts a new one"]);
    std::fs::write(&log, format!("{last}2026-11-28T10:01:00Z INFO gobd: serving\n")).unwrap();
    says(&check(&world, &program, &[], "supervisor"), "ok", &["none runs"]);
}

#[test]
fn another_program_on_the_socket_is_named() {
    for (bytes, said) in [
        (
            &b"{\"type\":\"\",\"success\":false,\"error\":\"unknown request type: hello\"}\n"[..],
            "unknown request type: hello",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 400"),
        (b"\xff\xfe\x1b[31m\n", "[31m"),
    ] {
        let world = World::new();
        let program = installed(&world);
        serve_bytes(&world, bytes);
        let found = check(&world, &program, &["--fix"], "supervisor");
        let pid = format!("(pid {}:", std::process::id());
        says(&found, "fail", &["another program", &pid, said]);
        assert!(found["hint"].as_str().unwrap().contains("GOB_RUNTIME_DIR"), "{found}");
        let ran = doctor(&world, &program, &[]);
        assert!(ran.code == Some(1) && !ran.stdout.contains('\u{1b}'), "{ran:?}");
        assert!(world.socket().exists(), "it is not ours to remove");
    }
}

#[test]
fn a_silent_listener_costs_two_seconds() {
    let world = World::new();
    let program = installed(&world);
    let _listener = UnixListener::bind(world.socket()).unwrap();
    let begun = Instant::now();
    let found = check(&world, &program, &[], "supervisor");
    // The machine decides how much longer it may take; the text shows that it did not wait longer.
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    says(&found, "fail", &["does not answer within 2.0 s", "no supervisor of gob"]);
    let found = check(&world, &program, &["--timeout", "100ms"], "supervisor");
    says(&found, "fail", &["does not answer within 100 ms"]);
}

#[test]
fn another_version_and_another_protocol() {
    let world = World::new();
    let program = installed(&world);
    let status = status(json!({"version": "9.9.9", "journal_failures": 3}));
    world.serve(move |kind, _| match kind {
        "hello" => vec![hello("9.9.9")],
        "status" => vec![ok(status.clone())],
        "list" => vec![ok(json!({"workers": [view("demo", json!({}))]}))],
        _ => vec![],
    });
    let found = check(&world, &program, &[], "protocol");
    says(&found, "warn", &[concat!("gobctl is ", env!("CARGO_PKG_VERSION")), "9.9.9"]);
    says(&check(&world, &program, &[], "journal"), "warn", &["could not be written 3 times"]);
    // No process of this pid is a supervisor: it can't be seen.
    says(&check(&world, &program, &[], "keeper"), "ok", &["cannot be seen"]);

    let world = World::new();
    let program = installed(&world);
    world.serve(|kind, _| match kind {
        "hello" => {
            let message = "you speak protocol 1, this supervisor speaks 2";
            vec![refused("version-mismatch", message, "kill -TERM 4200", json!({}))]
        }
        _ => vec![],
    });
    let found = check(&world, &program, &[], "protocol");
    says(&found, "fail", &["this supervisor speaks 2"]);
    assert_eq!(found["hint"], "kill -TERM 4200", "as the supervisor says");
}

#[test]
fn a_supervisor_without_its_keeper_is_reported() {
    let world = World::new();
    let program = installed(&world);
    let gobd = world.dir.join("data/gobd");
    script(&gobd, "read line");
    let mut child = std::process::Command::new(&gobd).stdin(Stdio::piped()).spawn().unwrap();
    let (pid, keeper) = (child.id(), Arc::new(AtomicU32::new(std::process::id())));
    let told = Arc::clone(&keeper);
    world.serve(move |kind, _| match kind {
        "status" => {
            vec![ok(status(json!({"pid": pid, "keeper_pid": told.load(Ordering::Relaxed)})))]
        }
        "list" => vec![ok(json!({"workers": []}))],
        _ => vec![],
    });
    let above = check(&world, &program, &[], "keeper");
    keeper.store(1, Ordering::Relaxed);
    let elsewhere = check(&world, &program, &[], "keeper");
    drop(child.stdin.take());
    child.wait().unwrap();
    says(&above, "ok", &[&std::process::id().to_string()]);
    says(&elsewhere, "fail", &[&format!("pid 1 is not above the supervisor (pid {pid})")]);
}

#[test]
fn stale_files_are_reported_then_removed_and_no_others() {
    let world = World::new();
    let program = installed(&world);
    let run = world.dir.join("run");
    std::fs::create_dir(run.join("graphs")).unwrap();
    for name in ["daemon.sock", "daemon.sock.2147483647", "graphs/demo.sock"] {
        drop(UnixListener::bind(run.join(name)).unwrap());
    }
    drop(UnixDatagram::bind(run.join("notify.sock")).unwrap());
    let alive = UnixListener::bind(run.join("graphs/alive.sock")).unwrap();
    // The pid of a process that lives and is no supervisor.
    std::fs::write(run.join("daemon.pid"), format!("{}\n", std::process::id())).unwrap();
    let mine = format!("daemon.pid.{}", std::process::id());
    for name in ["daemon.pid.2147483647", &mine, "start.lock", "notes.txt"] {
        std::fs::write(run.join(name), "").unwrap();
    }
    symlink(run.join("notes.txt"), run.join("daemon.pid.2147483646")).unwrap();
    let stale = [
        "daemon.pid",
        "daemon.pid.2147483647",
        "daemon.sock",
        "daemon.sock.2147483647",
        "graphs/demo.sock",
        "notify.sock",
    ];
    let paths = stale.map(|name| run.join(name).display().to_string());

    let want = json!(paths.join(", "));
    let found = check_until(&world, &program, &[], "stale files", |found| found["found"] == want);
    assert_eq!(
        (found["level"].as_str(), found["found"].as_str()),
        (Some("warn"), Some(paths.join(", ").as_str()))
    );
    assert!(stale.iter().all(|name| run.join(name).symlink_metadata().is_ok()), "nothing is removed unasked");
    let found = check(&world, &program, &["--fix"], "stale files");
    says(&found, "ok", &["none"]);
    assert_eq!(found["fixed"], json!(paths.map(|path| format!("removed {path}"))));
    let mut left: Vec<String> = std::fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let mut want = ["daemon.pid.2147483646", mine.as_str(), "graphs", "notes.txt", "start.lock"];
    want.sort_unstable();
    assert_eq!(left, want);
    assert!(run.join("graphs/alive.sock").exists());
    drop(alive);
}

#[test]
fn nothing_is_removed_while_a_lock_is_held() {
    for lock in ["state/gobd.lock", "run", "run/start.lock"] {
        let world = World::new();
        let program = installed(&world);
        drop(UnixListener::bind(world.socket()).unwrap());
        let path = world.dir.join(lock);
        if lock != "run" {
            std::fs::write(&path, "").unwrap();
        }
        let held = std::fs::File::open(&path).unwrap();
        held.lock().unwrap();
        let found = check(&world, &program, &["--fix"], "stale files");
        assert_eq!(found["fixed"], json!([]), "{lock}: {found}");
        assert!(world.socket().exists(), "{lock}");
        let pid = format!("pid {}", std::process::id());
        match lock {
            "state/gobd.lock" => {
                let found = check(&world, &program, &[], "supervisor");
                says(&found, "fail", &["nobody answers", &pid, "gobd.lock"]);
            }
            "run/start.lock" => {
                let found = check(&world, &program, &[], "start lock");
                says(&found, "warn", &["is starting the supervisor", &pid]);
            }
            _ => {}
        }
        held.unlock().unwrap();
        let found =
            check_until(&world, &program, &["--fix"], "stale files", |found| found["fixed"] != json!([]));
        assert_eq!(found["fixed"].as_array().map(Vec::len), Some(1), "{lock}: {found}");
    }
}

#[test]
fn a_start_that_was_stopped_is_named_with_the_way_to_let_it_go_on() {
    let world = World::new();
    let program = installed(&world);
    let lock = world.dir.join("run/start.lock");
    std::fs::write(&lock, "").unwrap();
    let mut starter = std::process::Command::new("flock");
    starter.arg(&lock).args(["sh", "-c", "kill -STOP $PPID; exec sleep 600"]).process_group(0);
    let mut starter = starter.spawn().unwrap();
    let pid = starter.id();
    let is_told = |found: &Value| found["found"].as_str().is_some_and(|found| found.contains("is stopped"));
    let found = check_until(&world, &program, &[], "start lock", is_told);
    nix::sys::signal::killpg(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGKILL)
        .unwrap();
    starter.wait().unwrap();
    says(&found, "fail", &[&format!("pid {pid} (flock) holds "), "start.lock and is stopped"]);
    assert_eq!(found["hint"], format!("kill -CONT {pid} lets it go on"));
}

#[test]
fn only_a_directory_that_is_provably_ours_is_made_private() {
    let world = World::new();
    let program = installed(&world);
    let (run, state) = (world.dir.join("run"), world.state());
    let set =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    set(&run, 0o755);
    set(&state, 0o777);
    let found = check(&world, &program, &["--fix"], "runtime directory");
    says(&found, "fail", &["mode 0755"]);
    assert_eq!(found["hint"], format!("chmod 700 {}", run.display()));
    assert_eq!((mode(&run), mode(&state)), (0o755, 0o777), "nothing of gob's is in them");
    std::fs::write(run.join("notes.txt"), "").unwrap();
    let hint = check(&world, &program, &[], "runtime directory")["hint"].to_string();
    assert!(
        hint.contains("export GOB_RUNTIME_DIR=") && !hint.contains("chmod"),
        "other things use it: {hint}"
    );

    std::fs::write(run.join("start.lock"), "").unwrap();
    std::fs::write(state.join("gobd.lock"), "").unwrap();
    let found = check(&world, &program, &[], "state directory");
    says(&found, "fail", &["may be changed by others (mode 0777)"]);
    assert_eq!(found["hint"], "gobctl doctor --fix makes it private");
    let (code, found) = checks(&world, &program, &["--fix"], "runtime directory");
    assert_eq!(code, 0);
    says(&found[0], "ok", &[]);
    assert_eq!(
        found[0]["fixed"],
        json!([format!("changed the mode of {} from 0755 to 0700", run.display())])
    );
    assert_eq!((mode(&run), mode(&state)), (0o700, 0o700));

    set(&run, 0o1777);
    checks(&world, &program, &["--fix"], "");
    assert_eq!(mode(&run), 0o1777, "a sticky directory is everybody's");
    set(&run, 0o700);
    std::fs::rename(&run, world.dir.join("real")).unwrap();
    symlink(world.dir.join("real"), &run).unwrap();
    set(&world.dir.join("real"), 0o755);
    let found = check(&world, &program, &["--fix"], "runtime directory");
    says(&found, "fail", &["symbolic link"]);
    assert_eq!(mode(&world.dir.join("real")), 0o755);
}

#[test]
fn missing_broken_and_other_versions_are_reported() {
    let world = World::new();
    let program = world.with_keeper("exit 1");
    let missing = checks(&world, &program, &[], "gobd");
    says(&missing.1[0], "fail", &["not found"]);
    says(&check(&world, &program, &[], "gob-keeper"), "warn", &["does not tell its version"]);
    script(&world.dir.join("libexec/gob-keeper"), "echo gob-keeper 0.0.9");
    says(&check(&world, &program, &[], "gob-keeper"), "warn", &["gob-keeper 0.0.9", &version_of("gobctl")]);
    script(&world.dir.join("libexec/gobd"), "echo gobd 0.0.9");
    says(&check(&world, &program, &[], "gobd"), "warn", &["gobd 0.0.9", &version_of("gobctl")]);

    let config = world.dir.join("config.toml");
    std::fs::write(&config, "[kind.x]\ncommand = [\"/nowhere/at/all\"]\n").unwrap();
    says(&check(&world, &program, &[], "configuration"), "warn", &["/nowhere/at/all", "2:"]);
    std::fs::write(&config, "[kind.x]\ncomand = [\"true\"]\n").unwrap();
    says(&check(&world, &program, &[], "configuration"), "fail", &["comand"]);
    std::fs::write(&config, "").unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o666)).unwrap();
    says(&check(&world, &program, &[], "configuration"), "fail", &["0666"]);
}

#[test]
fn problems_come_last_and_alone_where_it_is_to_be_quiet() {
    let world = World::new();
    let program = installed(&world);
    // Neither a script nor a program. Another process writes it, as in `script`.
    let worker = world.dir.join("libexec/gob-graph-worker");
    let write = std::process::Command::new("sh").args(["-c", "printf x > \"$0\""]).arg(&worker).status();
    assert!(write.unwrap().success());
    script(&world.dir.join("libexec/gobd"), "echo gobd 0.0.9");
    let found = check(&world, &program, &[], "gob-graph-worker");
    says(&found, "fail", &["cannot be run", "os error 8"]);
    let ran = doctor(&world, &program, &[]);
    let marks: Vec<&str> =
        ran.stdout.lines().filter(|line| !line.starts_with("     ")).map(|line| &line[..4]).collect();
    assert!(
        marks.is_sorted_by_key(|mark| ["ok  ", "warn", "FAIL"].iter().position(|each| each == mark)),
        "{ran:?}"
    );
    assert!(marks.contains(&"ok  ") && marks.contains(&"warn") && marks.last() == Some(&"FAIL"), "{ran:?}");
    let quiet = doctor(&world, &program, &["-q"]);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(1), ""));
    assert!(!quiet.stdout.contains("ok  ") && quiet.stdout.contains("FAIL gob-graph-worker"), "{quiet:?}");
}

#[test]
fn a_runtime_directory_that_cannot_be_made_fails() {
    let world = World::new();
    let program = installed(&world);
    std::fs::remove_dir(world.dir.join("run")).unwrap();
    symlink(world.dir.join("nowhere"), world.dir.join("run")).unwrap();
    let mut command = world.command_of(&program, &["doctor", "--json"]);
    command.env("GOB_RUNTIME_DIR", world.dir.join("run/gob"));
    let ran = support::Ran::of(command.output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("can't be made"), "{ran:?}");
}

#[test]
fn a_configuration_that_is_no_file_is_neither_moved_nor_written() {
    let world = World::new();
    let program = installed(&world);
    let missing = world.dir.join("none.toml");
    for (path, hint) in [
        ("/dev/null", "choose another file"),
        ("/", "choose another file"),
        (missing.to_str().unwrap(), "config init"),
    ] {
        let run = |args: &[&str]| {
            let mut command = world.command_of(&program, args);
            support::Ran::of(command.env("GOB_CONFIG", path).output().unwrap())
        };
        let told = run(&["doctor", "-q"]).stdout;
        let after = told.split("FAIL configuration: ").nth(1).unwrap_or_default();
        assert!(after.contains(hint), "{path}: {told}");
        if path != missing.to_str().unwrap() {
            let refused = run(&["config", "init"]);
            assert!(refused.code == Some(1) && refused.stderr.contains(hint), "{refused:?}");
            assert!(!refused.stderr.contains("move it away"), "{refused:?}");
        }
    }
}
