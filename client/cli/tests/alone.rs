//! gobctl without a supervisor: auto-start by a scripted keeper, the last known state, files on disk, plain
//! refusals.

#[cfg(test)]
mod support;

use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::{Ran, World, ok, serve, view};

#[test]
fn without_a_supervisor() {
    let world = World::new();
    let nobody = format!(
        "error: no supervisor is running\n  nobody listens on {}\nhint: gobctl daemon start starts it\n",
        world.socket().display()
    );
    for args in [
        &["ping", "--no-autostart"][..],
        &["list", "--no-autostart"],
        &["daemon", "status"],
        &["who", "demo"],
    ] {
        world.run(args).is(7, "", &nobody);
    }
    for args in [&["nuke"][..], &["shutdown"], &["daemon", "stop"]] {
        world.run(args).is(0, "no supervisor is running\n", "");
    }
    world.run(&["shutdown", "--json"]).is(0, "{\"stopped\":[]}\n", "");
    assert_eq!(world.run(&[]).code, Some(0), "to say what there is, is no failure");
    let log = world.run(&["daemon", "logs"]);
    assert_eq!((log.code, log.stdout.as_str()), (Some(1), ""));
    assert!(log.stderr.contains("hint: none has run with this state directory yet"), "{log:?}");
    std::fs::write(world.state().join("gobd.log"), "one\ntwo \"x\"\nthree").unwrap();
    let lines = "{\"line\":\"two \\\"x\\\"\"}\n{\"line\":\"three\"}\n";
    world.run(&["daemon", "logs", "-n", "2", "--json"]).is(0, lines, "");
    let config = format!("{}\n", world.dir.join("config.toml").display());
    world.run(&["config", "path"]).is(0, &config, "");
    assert!(!world.dir.join("run/start.lock").exists(), "nothing was started");
}

#[test]
fn the_configuration_is_shown_checked_and_begun() {
    let world = World::new();
    let path = world.dir.join("config.toml");
    let shown = path.display();
    std::fs::remove_file(&path).unwrap();
    let named = world.run(&["config", "check"]);
    assert_eq!(named.code, Some(1), "{named:?}");
    assert!(
        named.stderr.contains(&format!("{shown}: it is not there, and GOB_CONFIG names it")),
        "{named:?}"
    );
    let usual = world.command(&["config", "check"]).env_remove("GOB_CONFIG").output().unwrap();
    let want =
        format!("there is no {}; the defaults apply\n", world.dir.join(".config/gob/config.toml").display());
    assert_eq!(String::from_utf8_lossy(&usual.stdout), want);
    world.run(&["config", "init"]).is(0, &format!("wrote {shown}\n"), "");
    world.run(&["config", "check"]).is(0, &format!("{shown} is valid\n"), "");
    let again = world.run(&["config", "init"]);
    let want = format!(
        "error: there is a configuration already: {shown}\n  it stays as it is\n\
         hint: gobctl config check says whether it is valid; to begin anew, move it away first\n"
    );
    again.is(1, "", &want);
    std::fs::write(
        &path,
        "[kind.x]\ncommand = [\"/nowhere/at/all\"]\nroot_dir = \"/etc/passwd/x\"\n[restart]\npolicy = \"sometimes\"\nx = 1\n",
    )
    .unwrap();
    let ran = world.run(&["config", "check"]);
    let want = "error: the configuration cannot be used: 3 problems, and one program is missing\n";
    assert!(ran.code == Some(1) && ran.stderr.starts_with(want), "{ran:?}");
    let lines: Vec<&str> = ran.stderr.lines().skip(1).collect();
    for (line, part) in lines.iter().zip([
        ":2:11: kind.x.command: /nowhere/at/all is no program",
        ":3:12: kind.x.root_dir: /etc/passwd/x can't be used: Not a directory",
        ":5:10: restart.policy: ",
        ":6:1: restart.x: ",
        "hint: correct the file",
    ]) {
        assert!(line.contains(part), "all at once, in the order of the file: {ran:?}");
    }
    std::fs::write(&path, "[kind.x]\ncommand = [\"/nowhere/at/all\"]\n").unwrap();
    let ran = world.run(&["config", "check"]);
    let want = "error: one program is missing, and the rest of the configuration is valid\n";
    assert!(ran.code == Some(1) && ran.stderr.starts_with(want), "{ran:?}");
    let ran = world.run(&["config", "check", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["code"], "config-invalid");
    assert_eq!(error["error"]["details"]["errors"][0]["line"], 2);
    let ran = world.run(&["config", "show"]);
    let line = ran.stdout.lines().find(|line| line.starts_with("kind.x.command")).unwrap();
    assert!(line.ends_with(&format!("{shown}:2")), "{line}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let ran = world.run(&["config", "check"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("0666"), "others may write it: {ran:?}");
}

#[test]
fn a_runtime_directory_that_others_may_enter_is_refused_and_left_alone() {
    let world = World::new();
    let run = world.dir.join("run");
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ran = world.run(&["ping"]);
    assert_eq!(ran.code, Some(7));
    assert!(ran.stderr.contains("may be entered by others (mode 0755)"), "{ran:?}");
    assert_eq!(std::fs::metadata(&run).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(std::fs::read_dir(&run).unwrap().count(), 0);
}

#[test]
fn a_relative_directory_is_refused_and_not_made() {
    let world = World::new();
    let here = world.dir.join("here");
    std::fs::create_dir(&here).unwrap();
    for variable in ["GOB_RUNTIME_DIR", "GOB_STATE_DIR", "GOB_DATA_DIR", "GOB_CONFIG"] {
        let want = format!(
            "error: {variable} must be an absolute path, not `my gob`\nhint: export {variable}='{}/my gob', or unset {variable}\n",
            here.display()
        );
        for verb in ["start demo", "list", "config init", "config path", "daemon start", "nuke", "logs demo"]
        {
            let mut command = world.command(&verb.split(' ').collect::<Vec<_>>());
            let ran = command.env(variable, "my gob").current_dir(&here).output().unwrap();
            Ran::of(ran).is(2, "", &want);
        }
        let ran = world.command(&["doctor"]).env(variable, "my gob").current_dir(&here).output().unwrap();
        let said = Ran::of(ran).stdout;
        assert!(said.contains(&format!("{variable} must be an absolute path")), "{said}");
    }
    assert_eq!(std::fs::read_dir(&here).unwrap().count(), 0, "nothing is made");
}

#[test]
fn the_last_known_state_is_marked_as_such() {
    let world = World::new();
    let last = json!({"workers": [view("demo", json!({"owner": "desktop"})), view("mine", json!({}))],
                      "seq": 3, "instance": "i", "time": "2026-11-20T10:00:00.000Z"});
    std::fs::write(world.state().join("last.json"), last.to_string()).unwrap();
    let ran = world.run(&["list", "--no-autostart", "--owner", "desktop"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("demo") && !ran.stdout.contains("mine"), "{ran:?}");
    assert!(ran.stderr.contains("last known state, of 2026-11-20T10:00:00.000Z"), "{ran:?}");
}

#[test]
fn the_keepers_own_error_is_shown() {
    let world = World::new();
    let program = world.with_keeper("eval \"printf 'Ecannot open /x/gobd.lock: EACCES\\n' >&$3\"");
    let ran = Ran::of(world.command_of(&program, &["ping"]).output().unwrap());
    let unhelpful = "hint: gobctl doctor\n";
    assert!(ran.stderr.ends_with(unhelpful), "there is no log that could help: {ran:?}");
    let log = world.state().join("gobd.log");
    std::fs::write(&log, "").unwrap();
    let ran = Ran::of(world.command_of(&program, &["ping"]).output().unwrap());
    let want = format!(
        "error: the supervisor could not start\n  cannot open /x/gobd.lock: EACCES\nhint: its log is {}\n",
        log.display()
    );
    ran.is(7, "", &want);
}

#[test]
fn a_held_lock_without_an_answer_names_the_holder() {
    let world = World::new();
    let pid = std::process::id();
    let holder = json!({"pid": pid, "instance": "i", "started_at": "2026-11-20T10:00:00.000Z", "socket": "/nowhere/daemon.sock"});
    std::fs::write(world.state().join("gobd.lock"), holder.to_string()).unwrap();
    let program = world.with_keeper("exit 0");
    let begun = Instant::now();
    let ran = Ran::of(world.command_of(&program, &["ping"]).output().unwrap());
    assert_eq!(ran.code, Some(7));
    assert!(ran.stderr.contains(&format!("(pid {pid})")) && ran.stderr.contains("gobctl doctor"), "{ran:?}");
    assert!(
        (Duration::from_secs(5)..Duration::from_secs(9)).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_supervisor_with_another_runtime_directory_is_found_by_the_lock_file() {
    let world = World::new();
    let socket = world.dir.join("elsewhere.sock");
    serve(&socket, |kind, _| match kind {
        "ping" => vec![ok(json!({"pong": true, "uptime_ms": 1}))],
        _ => vec![],
    });
    let pid = std::process::id();
    let holder =
        json!({"pid": pid, "instance": "i", "started_at": "2026-11-20T10:00:00.000Z", "socket": socket});
    std::fs::write(world.state().join("gobd.lock"), format!("{holder}\n")).unwrap();
    world.run(&["ping"]).is(0, concat!("pong (gobd ", env!("CARGO_PKG_VERSION"), ", pid 4200, up 0s)\n"), "");
}

#[test]
fn the_keeper_gets_no_variable_of_the_caller() {
    let world = World::new();
    let script = format!(
        "env | sort > {0}/env; echo \"$@\" > {0}/args; eval \"printf 'Edone' >&$3\"",
        world.dir.display()
    );
    let program = world.with_keeper(&script);
    let mut command = world.command_of(&program, &["ping"]);
    command.env("SECRET", "x").env("LANG", "C").env("XDG_RUNTIME_DIR", "/nowhere").output().unwrap();
    let env = std::fs::read_to_string(world.dir.join("env")).unwrap();
    let names: Vec<&str> =
        env.lines().filter_map(|line| line.split_once('=').map(|(name, _)| name)).collect();
    let names: Vec<&str> =
        names.into_iter().filter(|name| !["PWD", "_", "OLDPWD", "SHLVL"].contains(name)).collect();
    let want = ["GOB_CONFIG", "GOB_DATA_DIR", "GOB_RUNTIME_DIR", "GOB_STATE_DIR", "HOME", "LANG", "PATH"];
    assert_eq!(names, want);
    assert!(std::fs::read_to_string(world.dir.join("args")).unwrap().starts_with("--detach --ready-fd "));
}

#[test]
fn logs_are_read_from_disk_and_followed_into_the_next_run() {
    let world = World::new();
    let dir = world.state().join("logs/demo");
    std::fs::create_dir_all(&dir).unwrap();
    let append = |name: &str, text: &str| {
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true).open(dir.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    };
    append("1.stdout.log", "old\n");
    append("2.stdout.log", "one\ntwo\n");
    append("2.stderr.log", "oops\n");
    let note = "no supervisor answers; these are the files that the last one left\n";
    world.run(&["logs", "demo", "--no-autostart"]).is(0, "one\ntwo\n", &format!("{note}oops\n"));
    world.run(&["logs", "demo", "--no-autostart", "-q", "-n", "1", "--stdout"]).is(0, "two\n", "");
    world.run(&["stdout", "demo", "--no-autostart", "-q", "--run", "1"]).is(0, "old\n", "");
    assert_eq!(world.run(&["logs", "demo", "--no-autostart", "--run", "9"]).code, Some(1));
    assert_eq!(world.run(&["logs", "nope", "--no-autostart"]).code, Some(7));

    let mut command =
        world.command(&["logs", "-f", "-n", "1", "--prefix", "--stdout", "demo", "--no-autostart"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "demo | two");
    append("2.stdout.log", "three\n");
    assert_eq!(next(), "demo | three");
    append("2.stdout.log", "last of two\n");
    append("3.stdout.log", "first of three\n");
    assert_eq!(next(), "demo | last of two");
    assert_eq!(next(), "demo | first of three");
    child.kill().unwrap();
    child.wait().unwrap();
}
