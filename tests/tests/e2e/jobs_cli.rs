//! `gobctl add`, `create` and `run`: which command runs, where and with which environment, its streams and its exit code
//! (D1).

use gob_tests::program;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A call of gobctl in the world's own directory.
fn ctl<'a>(gob: &Gob, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = gob.ctl(args);
    call.cwd(gob.dir());
    call
}

fn worker(gob: &Gob, name: &str) -> Value {
    gob.connect().ok("get", json!({"name": name}))["worker"].clone()
}

/// Writes a program that prints a text.
fn saying(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    program::write(path, format!("#!/bin/sh\necho {text}\n"), 0o755);
}

#[test]
fn run_has_the_code_of_its_command_and_its_output_only_on_failure() {
    let gob = Gob::new();
    fs::write(gob.dir().join("text"), "no program\n").unwrap();
    let cases = [
        ("echo out; echo err >&2", 0, "", ""),
        ("echo out; echo err >&2; exit 7", 7, "out\n", "err\n"),
        ("printf a; printf b >&2; exit 130", 130, "a", "b"),
        ("kill -9 $$", 137, "", ""),
        ("kill -TERM $$", 143, "", ""),
    ];
    for (script, code, stdout, stderr) in cases {
        let out = ctl(&gob, ["run", "-q", "--shell", script]).run();
        assert_eq!((out.code, out.stdout.as_str(), out.stderr.as_str()), (code, stdout, stderr), "{script}");
    }
    let text = gob.dir().join("text");
    for (command, code, says) in [
        ("no-such-program", 127, "no-such-program is not on PATH"),
        ("./no/such/program", 127, "No such file or directory"),
        (text.to_str().unwrap(), 126, "Permission denied"),
        (gob.dir().to_str().unwrap(), 126, "Permission denied"),
    ] {
        let out = ctl(&gob, ["run", command]).fails(code);
        assert!(out.stdout.is_empty() && out.stderr.contains(says), "{out}");
    }
}

#[test]
fn the_summary_is_one_line_and_names_job_code_and_duration() {
    let gob = Gob::new();
    let good = ctl(&gob, ["run", "true"]).run();
    assert!(good.stderr.starts_with("j1 exited 0 after ") && good.stderr.ends_with("s\n"), "{good}");
    assert_eq!((good.code, good.stdout.as_str(), good.stderr.lines().count()), (0, "", 1));
    let bad = ctl(&gob, ["run", "--shell", "echo err >&2; exit 3"]).fails(3);
    assert!(bad.stderr.starts_with("err\nj2 exited 3 after "), "{bad}");
    let data = ctl(&gob, ["run", "--json", "--shell", "echo out; exit 4"]).fails(4);
    let data: Value = serde_json::from_str(&data.stdout).unwrap();
    assert_eq!((&data["exit_code"], &data["worker"]["exit"]), (&json!(4), &json!({"code": 4})));
}

#[test]
fn all_of_a_long_output_is_there_when_run_fails() {
    let gob = Gob::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done; exit 1";
    let out = ctl(&gob, ["run", "-q", "--shell", script]).fails(1);
    let lines = |word: &str| (0..20_000).map(|at| format!("{word} {at}\n")).collect::<String>();
    assert!(out.stdout == lines("out"), "{} bytes", out.stdout.len());
    assert!(out.stderr == lines("err"), "{} bytes", out.stderr.len());
}

#[test]
fn one_quoted_word_is_split_and_several_are_taken_as_they_are() {
    let gob = Gob::new();
    let command = |args: &[&str]| {
        let name = ctl(&gob, ["create", "-q"].into_iter().chain(args.iter().copied())).ok();
        worker(&gob, name.trim_end())["command"].clone()
    };
    assert_eq!(command(&["sh -c 'exit 3'"]), json!(["sh", "-c", "exit 3"]));
    assert_eq!(command(&["echo", "a  b", "$HOME"]), json!(["echo", "a  b", "$HOME"]));
    assert_eq!(command(&["make", "-j4", "-q", "--json"]), json!(["make", "-j4", "-q", "--json"]));
    assert_eq!(command(&["--", "make", "--", "x"]), json!(["make", "--", "x"]));
    let shell = ctl(&gob, ["create", "-q", "--shell", "a | b", "&& c"]).env("SHELL", "/bin/bash").ok();
    assert_eq!(worker(&gob, shell.trim_end())["command"], json!(["/bin/bash", "-c", "a | b && c"]));
    let out =
        ctl(&gob, ["run", "-q", "--shell", "echo $GREETING | tr a-z A-Z; false"]).env("GREETING", "hi").run();
    assert_eq!((out.code, out.stdout.as_str()), (1, "HI\n"));
    let open = ctl(&gob, ["run", "echo \"a"]).fails(2);
    assert!(open.stderr.contains("nothing closes the \" at character 6"), "{open}");
}

#[test]
fn path_and_environment_are_those_of_the_client_of_each_add() {
    let gob = Gob::new();
    saying(&gob.dir().join("one/tool"), "one $WHAT");
    saying(&gob.dir().join("two/tool"), "two $WHAT");
    let run = |dir: &str, what: &str| {
        let path = format!("{}:/usr/bin:/bin", gob.dir().join(dir).display());
        let mut call = ctl(&gob, ["run", "--stream", "-q", "tool"]);
        call.env("PATH", &path).env("WHAT", what).env("GOB_OWNER", "agent");
        call.ok()
    };
    assert_eq!(run("one", "a"), "one a\n");
    assert_eq!(run("two", "b"), "two b\n");
    let seen = worker(&gob, "j1");
    assert_eq!((&seen["run"], &seen["owner"]), (&json!(2), &json!("agent")), "the same job, run twice");
    let mut call = ctl(&gob, ["run", "-q", "--shell", "env; exit 1"]);
    call.env("GOB_OWNER", "agent").env("LINES", "a\nb=c").env("EMPTY", "");
    let env = call.fails(1).stdout;
    assert!(env.contains("\nLINES=a\nb=c\n") && env.contains("\nEMPTY=\n"), "{env}");
    assert!(env.contains("\nGOB_NAME=j2\n") && !env.contains("GOB_OWNER"), "{env}");
    // More than a request takes: the largest are left out, by name.
    let big = "x".repeat(120_000);
    let mut call = ctl(&gob, ["run", "-q", "--shell", "env | grep -c ^BIG; exit 1"]);
    for at in 0..10 {
        call.env(&format!("BIG{at}"), &big);
    }
    let out = call.fails(1);
    assert_eq!(out.stdout, "8\n", "{}", out.stderr);
    assert_eq!(out.stderr.matches("the environment is too large for a request; BIG").count(), 2);
    // A start takes the environment of its own client.
    let path = format!("{}:/usr/bin:/bin", gob.dir().join("two").display());
    let told = ctl(&gob, ["start", "j1"]).env("PATH", &path).env("WHAT", "c").ok();
    assert!(
        told.starts_with("started j1 (") && told.lines().count() == 1,
        "no endpoint, no new graph: {told}"
    );
    ctl(&gob, ["wait", "-q", "j1"]).ok();
    assert!(wait::until(DEADLINE, || fs::read_to_string(gob.log("j1", 3, "stdout"))
        .is_ok_and(|text| text == "two c\n")));
}

#[test]
fn a_line_for_a_shell_is_told_of_and_its_word_is_no_program_to_install() {
    let gob = Gob::new();
    let told = ctl(&gob, ["run", "echo a | wc -c"]).run();
    assert_eq!(
        told.stderr.matches("| is an argument here; --shell runs the line through a shell\n").count(),
        1,
        "{told}"
    );
    let quiet = ctl(&gob, ["run", "-q", "echo a | wc -c"]).run();
    assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""), "{quiet}");
    let hint = "is a word of a shell, and no program: --shell runs the line through a shell\n";
    for (verb, code, line) in [("run", 127, "exit 3"), ("add", 8, "FOO=bar make")] {
        let out = ctl(&gob, [verb, line]).fails(code);
        assert!(out.stderr.contains(&format!("hint: {} {hint}", line.split(' ').next().unwrap())), "{out}");
        assert!(!out.stderr.contains("install"), "{out}");
    }
}

#[test]
fn a_name_is_one_workers() {
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    let graph = ctl(&gob, ["add", "--name", "demo", "true"]).fails(1);
    assert!(graph.stderr.contains("demo is the worker of a graph already"), "{graph}");
    ctl(&gob, ["add", "--name", "web", "sleep", "1000"]).ok();
    let other = ctl(&gob, ["run", "--name", "web", "true"]).fails(125);
    assert!(other.stderr.contains("web runs another command"), "{other}");
    let again = ctl(&gob, ["add", "sleep", "1000"]).ok();
    assert!(
        again.starts_with("web is already running (pid ") && again.ends_with("): sleep 1000\n"),
        "{again}"
    );
    let number = ctl(&gob, ["add", "--name", "j7", "true"]).fails(2);
    assert!(number.stderr.contains("gob itself gives such names"), "{number}");
    let start = gob.ctl(["start", "web", "--kind", "graph"]).fails(1);
    assert!(start.stderr.contains("web is a job, not a graph"), "{start}");
}

#[test]
fn a_directory_that_can_not_be_used_is_named() {
    let gob = Gob::new();
    let gone = gob.dir().join("gone");
    for (verb, code) in [("add", 2), ("create", 2), ("run", 2)] {
        let out = ctl(&gob, [verb, "--cwd", gone.to_str().unwrap(), "true"]).fails(code);
        assert!(out.stderr.contains("gone cannot be used\n  No such file or directory"), "{out}");
    }
    let out = ctl(&gob, ["add", "--cwd", "config.toml", "true"]).fails(2);
    assert!(out.stderr.contains("--cwd config.toml is no directory"), "{out}");
    // A shell that stands in a directory which somebody deletes.
    fs::create_dir(&gone).unwrap();
    let script = format!("rmdir {} && {} run true", gone.display(), gob.bin("gobctl").display());
    let mut shell = Ctl::new(Path::new("/bin/sh"), gob.env());
    let out = shell.args(["-c", &script]).cwd(&gone).fails(125);
    assert!(out.stderr.contains("the working directory cannot be used"), "{out}");
    fs::create_dir(gob.dir().join("real")).unwrap();
    symlink("real", gob.dir().join("link")).unwrap();
    let out = ctl(&gob, ["run", "-q", "--cwd", "link", "--shell", "pwd -P; exit 1"]).fails(1);
    assert_eq!(out.stdout, format!("{}\n", gob.dir().join("real").canonicalize().unwrap().display()));
}

#[test]
fn here_is_the_real_directory_of_the_client() {
    let gob = Gob::new();
    for dir in ["one", "two"] {
        fs::create_dir(gob.dir().join(dir)).unwrap();
        gob.ctl(["add", "--cwd", dir, "true"]).cwd(gob.dir()).ok();
    }
    gob.ctl(["wait", "j1", "j2"]).ok();
    symlink("two", gob.dir().join("link")).unwrap();
    let of = |dir: &str, args: [&str; 3]| gob.ctl(args).cwd(&gob.dir().join(dir)).ok();
    for dir in ["two", "link"] {
        let list: Value = serde_json::from_str(&of(dir, ["list", "--here", "--json"])).unwrap();
        let names: Vec<&Value> = list["workers"].as_array().unwrap().iter().map(|w| &w["name"]).collect();
        assert_eq!(names, [&json!("j2")], "{dir}");
        let events = of(dir, ["events", "--here", "--no-follow"]);
        assert!(
            !events.is_empty() && events.lines().all(|line| line.contains("\"name\":\"j2\"")),
            "{events}"
        );
    }
    let row = of("one", ["list", "--here", "-q"]);
    assert!(row.contains("j1    job   cli    idle   -    -          0  done   true"), "{row}");
}
