//! Commands, directories and environments that no job can use: the answer names the step that failed, and `run` exits with
//! the code that a shell would give.

use gob_tests::program;
use gob_tests::require::root;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Ctl, Gob};
use nix::unistd::{Gid, Uid, chown};
use serde_json::{Value, json};
use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

const NOBODY: u32 = 65534;

/// Adds a job that can't start; returns the step and the errno.
fn refused(conn: &mut Conn, command: Value, cwd: &Path) -> (String, String) {
    let payload = json!({"command": command, "cwd": cwd, "env": {"PATH": "/usr/bin:/bin"}});
    let details = conn.err("add", payload, "server-start-failed")["details"].clone();
    let text =
        |key: &str| details[key].as_str().unwrap_or_else(|| panic!("no {key} in {details}")).to_owned();
    assert_eq!(details["exit"]["spawn_error"], details["errno"], "{details}");
    assert_eq!(details["exit"]["step"], details["step"], "{details}");
    (text("step"), text("errno"))
}

#[test]
fn the_step_that_failed_is_named() {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let path = |name: &str| gob.dir().join(name);
    program::write(&path("plain"), "text\n", 0o644);
    program::write(&path("lost"), "#!/no/such/interpreter\n", 0o755);
    program::write(&path("noise"), "\u{1}\u{2}\u{3}", 0o755);
    for (command, cwd, step, errno) in [
        (json!(["no-such-program"]), gob.dir().to_owned(), "exec", "ENOENT"),
        (json!(["./no/such/program"]), gob.dir().to_owned(), "exec", "ENOENT"),
        (json!([path("plain")]), gob.dir().to_owned(), "exec", "EACCES"),
        (json!([gob.dir()]), gob.dir().to_owned(), "exec", "EACCES"),
        (json!([path("lost")]), gob.dir().to_owned(), "interpreter", "ENOENT"),
        (json!([path("noise")]), gob.dir().to_owned(), "interpreter", "ENOEXEC"),
        (json!(["/bin/true"]), path("gone"), "chdir", "ENOENT"),
        (json!(["/bin/true"]), path("plain"), "chdir", "ENOTDIR"),
    ] {
        assert_eq!(
            refused(&mut conn, command.clone(), &cwd),
            (step.into(), errno.into()),
            "{command} in {}",
            cwd.display()
        );
    }
}

#[test]
fn run_tells_a_missing_program_from_one_that_can_not_be_executed() {
    let gob = Gob::new();
    program::write(&gob.dir().join("lost"), "#!/no/such/interpreter\n", 0o755);
    program::write(&gob.dir().join("noise"), "\u{1}\u{2}\u{3}", 0o755);
    for (command, code) in [("./lost", 126), ("./noise", 126), ("./none", 127), ("none-at-all", 127)] {
        gob.ctl(["run", command]).cwd(gob.dir()).fails(code);
    }
}

#[test]
fn every_verb_gives_one_answer_about_a_start_that_failed() {
    let gob = Gob::new();
    let place = gob.dir().join("place");
    fs::create_dir(&place).unwrap();
    program::write(&gob.dir().join("lost"), "#!/no/such/interpreter\n", 0o755);
    let lost = gob.dir().join("lost");
    let lost = lost.to_str().unwrap();
    gob.ctl(["create", "--name", "homeless", "--cwd", "place", "true"]).cwd(gob.dir()).ok();
    fs::remove_dir(&place).unwrap();
    for (name, command) in [("none", "no-such-program"), ("lost", lost)] {
        gob.ctl(["create", "--name", name, command]).cwd(gob.dir()).ok();
    }
    for (name, code, end) in [
        ("homeless", 125, "chdir: ENOENT"),
        ("none", 127, "exec: ENOENT"),
        ("lost", 126, "interpreter: ENOENT"),
    ] {
        gob.ctl(["start", name]).cwd(gob.dir()).fails(8);
        let out = gob.ctl(["wait", name]).fails(code);
        assert!(out.stderr.contains(&format!("could not be spawned: {end}")), "{out}");
        let out = gob.ctl(["runs", name]).ok();
        assert!(out.contains(&format!("could not be spawned: {end}")), "{out}");
    }
    // The command of a lock is this program's own child, and has the same codes.
    for (command, code) in [("no-such-program", 127), (lost, 126)] {
        gob.ctl(["run", command]).cwd(gob.dir()).fails(code);
        gob.ctl(["lock", "run", "l", "--", command]).cwd(gob.dir()).fails(code);
    }
}

#[test]
fn an_empty_command_is_a_usage_error() {
    let gob = Gob::new();
    for args in [&["run"][..], &["run", ""], &["add", "  "], &["create", "--"], &["run", "--shell", ""]] {
        let out = gob.ctl(args.iter().copied()).cwd(gob.dir()).fails(2);
        assert!(!out.stderr.is_empty() && !out.stderr.contains("panicked"), "{out}");
    }
    let mut conn = gob.connect_as("cli");
    for command in [json!([]), json!([""]), json!(["a\0b"]), json!("true")] {
        let error = conn.err("add", json!({"command": command, "cwd": "/"}), "invalid-request");
        assert!(error["details"]["field"].as_str().is_some_and(|at| at.contains("command")), "{error}");
    }
    assert_eq!(conn.ok("list", json!({}))["workers"], json!([]), "none of them made a job");
}

#[test]
fn a_directory_whose_name_is_not_utf_8_is_refused_by_name() {
    let gob = Gob::new();
    let dir = gob.dir().join(OsStr::from_bytes(b"not-\xff-text"));
    fs::create_dir(&dir).unwrap();
    for (verb, here, named) in [("add", 1, 2), ("create", 1, 2), ("run", 125, 2)] {
        let mut call = gob.ctl([verb, "true"]);
        let out = call.cwd(&dir).fails(here);
        assert!(out.stderr.contains("UTF-8"), "{verb}: {out}");
        let mut call = gob.ctl([verb, "--cwd"]);
        call.command().arg(&dir).arg("true");
        let out = call.cwd(gob.dir()).fails(named);
        assert!(out.stderr.contains("UTF-8"), "{verb}: {out}");
    }
}

#[test]
fn a_directory_that_its_user_may_not_enter_exits_125_and_not_126() {
    if !root("another user's directory needs another user") {
        return;
    }
    let gob = Gob::new();
    let home = gob.dir().join("home");
    for path in [gob.dir(), &home, &gob.data_dir(), &gob.state_dir(), &gob.dir().join("config.toml")] {
        if path.exists() {
            chown(path, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).unwrap();
        }
    }
    let closed = gob.dir().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let mut call = Ctl::new(Path::new("/usr/bin/setpriv"), gob.env());
    call.args(["--reuid=65534", "--regid=65534", "--clear-groups", "gobctl", "run", "true"]);
    let out = call.cwd(&closed).fails(125);
    assert!(out.stderr.contains("closed") && out.stderr.contains("Permission denied"), "{out}");
    gob.ctl(["wait", "j1"]).fails(125);
}

#[test]
fn entries_of_an_environment_that_are_no_variables_are_passed_over() {
    let gob = Gob::new();
    let words = [gob.bin("gobctl").to_str().unwrap(), "run", "-q", "--shell", "env; exit 1"]
        .map(|word| CString::new(word).unwrap());
    let mut entries: Vec<CString> =
        gob.env().iter().map(|(name, value)| CString::new(format!("{name}={value}")).unwrap()).collect();
    entries.extend(
        ["NOTHING", "", "=odd", "TWICE=1", "TWICE=2", "LINES=a\nb"].map(|it| CString::new(it).unwrap()),
    );
    let mut call = Ctl::new(&gob.bin("gobctl"), gob.env());
    let exec = move || {
        let pointers = |all: &[CString]| -> Vec<*const libc::c_char> {
            all.iter().map(|one| one.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (argv, envp) = (pointers(&words), pointers(&entries));
        // SAFETY: both lists end with a null, and their texts live as long as this closure.
        unsafe { libc::execve(argv[0], argv.as_ptr(), envp.as_ptr()) };
        Err(std::io::Error::last_os_error())
    };
    // SAFETY: the child has the memory of one thread of this process; the allocator of glibc works after a fork.
    unsafe { call.command().pre_exec(exec) };
    let env = call.cwd(gob.dir()).fails(1).stdout;
    assert!(env.contains("\nLINES=a\nb\n") && env.contains("TWICE="), "{env}");
    assert!(!env.contains("NOTHING") && !env.contains("odd"), "{env}");
}

#[test]
fn the_job_of_a_run_goes_on_when_its_client_is_killed() {
    let gob = Gob::new();
    let mut call = gob.ctl(["run", "--name", "long", "sleep", "1000"]);
    let mut client = call.cwd(gob.dir()).spawn();
    let mut conn = gob.connect_as("cli");
    let view = |conn: &mut Conn| conn.ask("get", json!({"name": "long"}))["data"]["worker"].clone();
    assert!(wait::until(DEADLINE, || view(&mut conn)["state"] == "ready"));
    let pid = view(&mut conn)["pid"].clone();
    client.kill().unwrap();
    client.wait().unwrap();
    assert!(wait::until(DEADLINE, || conn.ok("status", json!({}))["connections"] == 1));
    let after = view(&mut conn);
    assert_eq!((&after["pid"], &after["state"], &after["leases"]), (&pid, &json!("ready"), &json!(0)));
    // The next one joins it.
    gob.ctl(["run", "-q", "--timeout", "0.2s", "--name", "long", "sleep", "1000"]).cwd(gob.dir()).fails(124);
    conn.ok("stop", json!({"name": "long"}));
}
