//! Unusual surroundings of a supervisor: another user's home, a long path, a large environment.

use gob_tests::process::Handle;
use gob_tests::require::{Need, root, skip};
use gob_tests::script::{Http, Step};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob, Worker};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// Returns the variables of a world without those that name directories; its home is another one.
fn keeping(gob: &Gob, home: &Path) -> Vec<(String, String)> {
    let mut env = gob.env();
    env.retain(|(name, _)| !["GOB_STATE_DIR", "GOB_DATA_DIR", "HOME"].contains(&name.as_str()));
    env.push(("HOME".to_owned(), home.to_str().unwrap().to_owned()));
    env
}

#[test]
fn root_makes_nothing_in_the_home_of_another_user() {
    if !root("only root can give a directory away") {
        return;
    }
    let gob = Gob::new();
    let home = gob.dir().join("ada");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(65534), Some(65534)).unwrap();
    let mut client = Ctl::new(&gob.bin("gobctl"), keeping(&gob, &home));
    client.args(["ping"]).env("SUDO_USER", "ada").env("SUDO_UID", "65534");
    let refused = client.fails(7);
    for part in ["belongs to uid 65534 (ada, who ran sudo), not to you (uid 0)", "without sudo"] {
        assert!(refused.stderr.contains(part), "{refused}");
    }
    // Without SUDO_UID the list of users says whose name it is.
    let mut client = Ctl::new(&gob.bin("gobctl"), keeping(&gob, &home));
    #[expect(clippy::disallowed_methods, reason = "a test is dynamic")]
    let known = nix::unistd::User::from_uid(65534.into()).unwrap().map(|user| (user.name, true));
    let others = ["root", "no-such-user"].map(|user| (user.to_owned(), false));
    for (user, is_named) in others.into_iter().chain(known) {
        let refused = client.args(["ping"]).env("SUDO_USER", &user).fails(7);
        assert_eq!(refused.stderr.contains(&format!("({user}, who ran sudo)")), is_named, "{refused}");
        client = Ctl::new(&gob.bin("gobctl"), keeping(&gob, &home));
    }
    let keeper = Ctl::new(&gob.bin("gob-keeper"), keeping(&gob, &home)).run();
    assert!(keeper.code != 0 && keeper.stderr.contains("belongs to uid 65534"), "{keeper}");
    let mut init = Ctl::new(&gob.bin("gobctl"), keeping(&gob, &home));
    init.args(["config", "init"]).env("SUDO_USER", "ada").env("SUDO_UID", "65534");
    init.env("GOB_CONFIG", "").env("XDG_CONFIG_HOME", "");
    let refused = init.fails(1);
    for part in
        ["/ada/.config/gob/config.toml", "ada belongs to uid 65534 (ada, who ran sudo)", "without sudo"]
    {
        assert!(refused.stderr.contains(part), "{refused}");
    }
    let mut doctor = Ctl::new(&gob.bin("gobctl"), keeping(&gob, &home));
    let doctor = doctor.args(["doctor"]).env("SUDO_USER", "ada").env("SUDO_UID", "65534").run();
    for part in
        ["FAIL state directory: cannot make ", "FAIL data directory: cannot make ", "(ada, who ran sudo)"]
    {
        assert!(doctor.code == 1 && doctor.stdout.contains(part), "{part}: {doctor}");
    }
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0, "nothing was made");
    assert!(!gob.runtime_dir().exists(), "nor here");
    // The file in a directory that is there would be this user's alone too.
    fs::create_dir_all(home.join(".config/gob")).unwrap();
    chown(home.join(".config/gob"), Some(65534), Some(65534)).unwrap();
    init.fails(1);
    assert_eq!(fs::read_dir(home.join(".config/gob")).unwrap().count(), 0, "no file was made");
    // A directory that a variable names is intended.
    let mut named = Ctl::new(&gob.bin("gobctl"), keeping(&gob, &home));
    named.args(["ping"]).env("GOB_STATE_DIR", gob.state_dir().to_str().unwrap());
    named.env("GOB_DATA_DIR", gob.data_dir().to_str().unwrap());
    assert_eq!(named.run().code, 0);
}

#[test]
fn a_socket_that_does_not_fit_is_cut_or_refused_with_its_cause() {
    let gob = Gob::with(Worker::Real);
    let kind = "[kind.own]\ncommand = [\"sh\", \"-c\", \"exec sleep 1000\", \"{socket}\"]\n";
    fs::write(gob.dir().join("config.toml"), kind).unwrap();
    let socket = |runtime: &Path, graph: &str| {
        let mut start = gob.ctl(["start", graph, "--kind", "own", "--json"]);
        let answer = start.env("GOB_RUNTIME_DIR", runtime.to_str().unwrap()).run();
        if answer.code != 0 {
            return Err(answer.stderr);
        }
        let answer: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
        Ok(answer["worker"]["command"][3].as_str().unwrap().to_owned())
    };
    let dir = |len: usize| {
        let room = len - gob.dir().as_os_str().len() - 1;
        gob.dir().join("r".repeat(room))
    };
    let short = dir(70);
    let (one, two) =
        (socket(&short, "一二三四五六七八九").unwrap(), socket(&short, "一二三四五六七八十").unwrap());
    assert!(one.len() <= 107 && two.len() <= 107 && one != two, "{one} {two}");
    gob.ctl(["shutdown"]).env("GOB_RUNTIME_DIR", short.to_str().unwrap()).ok();
    let long = dir(91);
    let refused = socket(&long, "demo").unwrap_err();
    for part in ["ENAMETOOLONG", "has 91 bytes", "107", "shorter GOB_RUNTIME_DIR"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    // gob's own worker takes a path of any length.
    gob.ctl(["start", "own"]).env("GOB_RUNTIME_DIR", long.to_str().unwrap()).ok();
    gob.ctl(["shutdown"]).env("GOB_RUNTIME_DIR", long.to_str().unwrap()).ok();
}

#[test]
fn doctor_measures_the_room_for_sockets_that_a_start_has() {
    let gob = Gob::with(Worker::Real);
    let kind = "[kind.own]\ncommand = [\"sh\", \"-c\", \"exec sleep 1000\", \"{socket}\"]\n";
    fs::write(gob.dir().join("config.toml"), kind).unwrap();
    for (length, level, starts) in [
        (70, None, 0),
        (79, Some("warn"), 0),
        (93, Some("warn"), 0),
        (94, Some("FAIL"), 8),
        (106, Some("FAIL"), 8),
    ] {
        let runtime = gob.dir().join("r".repeat(length - gob.dir().as_os_str().len() - 1));
        let run = |args: &[&str]| {
            let mut ctl = gob.ctl(args.iter().copied());
            ctl.env("GOB_RUNTIME_DIR", runtime.to_str().unwrap()).run()
        };
        for _before_and_after_a_supervisor_runs in 0..2 {
            let told = run(&["doctor"]);
            let line = told.stdout.lines().find(|line| line.contains("worker sockets: "));
            assert_eq!(line.and_then(|line| line.split(' ').next()), level, "{length}: {told}");
            let names_the_kind = line.is_some_and(|line| line.contains("no worker of own can start"));
            assert_eq!(names_the_kind, starts != 0, "{told}");
            let started = run(&["start", "a", "--kind", "own"]);
            assert_eq!(started.code, starts, "{started}");
        }
        assert_eq!(run(&["shutdown"]).code, 0);
    }
}

#[test]
fn an_environment_that_is_too_large_is_sent_without_its_largest_variables() {
    let gob = Gob::new();
    let large = |args: &[&str]| {
        let mut ctl = gob.ctl(args.iter().copied());
        for name in (0..12).map(|n| format!("LARGE_{n}")) {
            ctl.env(&name, &"x".repeat(100_000));
        }
        ctl.run()
    };
    for args in [&["start", "g"][..], &["restart", "g"], &["with", "g", "--", "true"]] {
        let done = large(args);
        assert_eq!(done.code, 0, "{done}");
        assert!(done.stderr.contains("(100000 bytes) is not handed on"), "{done}");
    }
    assert_eq!(gob.connect_as("cli").ok("get", json!({"name": "g"}))["worker"]["run"], 2);
}

#[test]
fn attributes_of_the_first_client_that_stay_are_reported() {
    let gob = Gob::new();
    let limited = format!("ulimit -t 4000; exec {} ping", gob.bin("gobctl").display());
    let mut shell = Ctl::new(Path::new("/bin/sh"), gob.env());
    shell.args(["-c", &limited]).ok();
    let doctor = gob.ctl(["doctor"]).run();
    let want =
        "warn inherited: the supervisor and its workers have a hard limit on cpu time (4000), in seconds";
    assert!(doctor.stdout.contains(want), "{doctor}");
    assert!(doctor.stdout.contains("gobctl daemon restart"), "{doctor}");
    gob.ctl(["daemon", "restart"]).ok();
    let doctor = gob.ctl(["doctor"]).run();
    assert!(!doctor.stdout.contains("hard limit on cpu time"), "{doctor}");
}

#[test]
fn a_verb_without_an_end_ends_by_signals_also_as_the_first_process() {
    if !root("only root can make a PID namespace") {
        return;
    }
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    for (args, signal, code) in [
        (&["lease", "g"][..], Signal::SIGTERM, 143),
        (&["start", "g", "--lease"], Signal::SIGINT, 130),
        (&["logs", "-f", "g"], Signal::SIGTERM, 143),
        (&["events"], Signal::SIGINT, 130),
    ] {
        let mut unshare = Ctl::new(Path::new("/usr/bin/unshare"), gob.env());
        unshare.args(["--pid", "--fork", gob.bin("gobctl").to_str().unwrap()]).args(args.iter().copied());
        let mut outer = unshare.spawn();
        let outer_pid = i32::try_from(outer.id()).unwrap();
        let children = format!("/proc/{outer_pid}/task/{outer_pid}/children");
        let first = || fs::read_to_string(&children).ok()?.trim().parse::<i32>().ok();
        // The worker waits for signals once it has a second thread.
        let waits = || {
            let pid = first()?;
            (fs::read_dir(format!("/proc/{pid}/task")).ok()?.count() > 1).then_some(pid)
        };
        assert!(wait::until(DEADLINE, || waits().is_some()), "{args:?}");
        Handle::open(waits().unwrap()).unwrap().signal(signal);
        assert!(wait::until(DEADLINE, || outer.try_wait().unwrap().is_some()), "{args:?} goes on");
        assert_eq!(outer.wait().unwrap().code(), Some(code), "{args:?}");
    }
}

#[test]
fn without_sockets_in_proc_discovery_fails_and_a_given_port_is_believed() {
    if !root("only root can mount /proc") {
        return;
    }
    let gob = Gob::new();
    let server = |port: &str| {
        format!(
            "command = [\"gob-graph-worker\", \"--root-dir\", \"{{root_dir}}\", \"--graph\", \"{{graph}}\", \"--socket\", \
             \"{{socket}}\"{port}]\n"
        )
    };
    let text = format!(
        "[kind.found]\n{}readiness = {{ type = \"http\", path = \"/\", port = \"discover\", timeout = \"3s\" }}\n\
         [kind.given]\n{}readiness = {{ type = \"http\", path = \"/\" }}\n",
        server(""),
        server(", \"--port\", \"{port}\"")
    );
    let path = gob.dir().join("config.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for graph in ["found", "given"] {
        gob.script(graph, &[Step::Http(Http::default())]);
    }
    // The supervisor lives there too.
    let start = |graph: &str| {
        let script = "mount -t proc -o subset=pid proc /proc && exec gobctl \"$@\"";
        let mut ctl = Ctl::new("/usr/bin/unshare".as_ref(), gob.env());
        ctl.args(["-m", "sh", "-c", script, "sh", "start", graph, "--kind", graph]).run()
    };
    let found = start("found");
    assert_eq!(found.code, 8, "{found}");
    assert!(found.stderr.contains("/proc/net/tcp can't be read"), "{found}");
    assert!(found.stderr.contains("without subset=pid, or give the kind a {port}"), "{found}");
    let given = start("given");
    assert_eq!(given.code, 0, "{given}");
    gob.ctl(["nuke"]).ok();
}

#[test]
fn a_script_that_cannot_be_executed_names_its_interpreter_to_the_user() {
    let gob = Gob::new();
    let script = |name: &str, text: &str| {
        let path = gob.dir().join(name);
        gob_tests::program::write(&path, text, 0o700);
        format!("[kind.{name}]\ncommand = [{:?}]\n", path.to_str().unwrap())
    };
    let kinds = script("crlf", "#!/bin/sh\r\nexec sleep 1000\r\n") + &script("bare", "exec sleep 1000\n");
    fs::write(gob.dir().join("config.toml"), kinds).unwrap();
    for (kind, parts) in [
        ("crlf", ["its interpreter \"/bin/sh\\r\"", "its lines end in CRLF", "hint: correct the first line"]),
        ("bare", ["neither a program of this machine", "nor a script with #!", "error: "]),
    ] {
        let failed = gob.ctl(["start", kind, "--kind", kind]).fails(8);
        for part in parts {
            assert!(
                failed.stderr.contains(part) || failed.stderr.contains(&part.replace('\\', "\\\\")),
                "{part}: {failed}"
            );
        }
    }
    let full = format!("{} start --help > /dev/full", gob.bin("gobctl").display());
    let mut shell = Ctl::new(Path::new("/bin/sh"), gob.env());
    let help = shell.args(["-c", &full]).run();
    assert!(help.code == 1 && help.stderr.contains("No space left"), "{help}");
}

#[test]
fn without_proc_a_graph_says_so_and_starts_once_it_is_there_again() {
    if !root("only root can hide /proc in a namespace of mounts") {
        return;
    }
    let gob = Gob::new();
    let worker = gob_tests::gob::built_binaries().join("gob-graph-worker");
    let arguments = r#""--root-dir", "{root_dir}", "--graph", "{graph}", "--socket", "{socket}""#;
    let text = format!("[kind.graph]\ncommand = [{worker:?}, {arguments}]\nrestart = \"never\"\n");
    fs::write(gob.dir().join("config.toml"), text).unwrap();
    let script = "gobctl start g >/dev/null 2>&1 && gobctl stop g >/dev/null || exit 9\n\
        mount -t tmpfs none /proc 2>/dev/null || { echo no mount; gobctl shutdown >/dev/null; exit 0; }\n\
        gobctl start g 2>&1; echo \"rc $?\"; umount /proc; gobctl start g >/dev/null; echo \"rc $?\"; gobctl shutdown";
    let mut unshare = Ctl::new(Path::new("/usr/bin/unshare"), gob.env());
    let output = unshare.args(["--mount", "/bin/sh", "-c", script]).run();
    if output.stdout.starts_with("no mount") || output.stderr.contains("unshare failed") {
        skip(Need::Mounts, "no file system can be mounted here");
        return;
    }
    assert!(output.stdout.contains("/proc is not mounted") && output.stdout.contains("rc 8"), "{output}");
    assert!(output.stdout.contains("rc 0"), "{output}");
}
