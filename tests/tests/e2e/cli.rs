//! gobctl as a person and a script meet it: what it prints where, and what it exits with (CLI).

use gob_tests::Gob;
use gob_tests::script::{Step, Write};
use serde_json::{Value, json};

fn error(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    value["error"].clone()
}

#[test]
fn a_start_says_what_it_did_and_a_second_one_who_has_it() {
    let gob = Gob::new();
    let first = gob.ctl(["start", "demo"]).run();
    let pid = gob.connect().ok("get", json!({"name": "demo"}))["worker"]["pid"].to_string();
    let lines: Vec<&str> = first.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{first}");
    assert!(lines[0].starts_with(&format!("started demo (pid {pid}, owner cli) in ")), "{first}");
    assert!(lines[1].starts_with("unix:/"), "{first}");
    let second = gob.ctl(["start", "demo", "--owner", "desktop"]).run();
    let expected = format!("demo is already running (pid {pid}, owner cli; you don't own it)\n");
    assert_eq!((second.code, second.stdout.as_str()), (0, expected.as_str()), "{second}");
    let json = gob.ctl(["start", "demo", "--json"]).json();
    assert_eq!((&json["outcome"], json["worker"]["pid"].to_string()), (&json!("reused"), pid));
}

#[test]
fn a_refused_stop_is_three_lines_and_exit_5() {
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    let pid = gob.connect().ok("get", json!({"name": "demo"}))["worker"]["pid"].to_string();
    let output = gob.ctl(["stop", "demo", "--owner", "desktop"]).fails(5);
    assert_eq!(output.stdout, "");
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{output}");
    assert_eq!(lines[0], "error: demo is owned by cli, you are desktop");
    assert_eq!(lines[1], format!("  its worker (pid {pid}) was not touched"));
    assert!(lines[2].starts_with("hint: ") && lines[2].contains("gobctl hand-over demo desktop"), "{output}");
    let output = gob.ctl(["stop", "demo", "--owner", "desktop", "--json"]).fails(5);
    assert_eq!(output.stdout, "");
    let error = error(&output.stderr);
    assert_eq!(error["code"], "server-owned-by-other");
    assert_eq!(error["details"]["requester"], "desktop");
    let output = gob.ctl(["stop", "demo"]).env("GOB_OWNER", "agent").fails(5);
    assert!(output.stderr.contains("you are agent"), "{output}");
    let output = gob.ctl(["stop", "demo"]).run();
    assert_eq!((output.code, output.stdout), (0, format!("stopped demo (pid {pid})\n")));
    assert_eq!(gob.ctl(["stop", "demo"]).run().code, 0, "done already");
}

#[test]
fn every_verb_gives_the_responses_data_as_json() {
    let gob = Gob::new();
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    for (args, expected) in [
        (vec!["ping"], vec!["pong", "uptime_ms"]),
        (vec!["start", "g"], vec!["outcome", "worker"]),
        (vec!["list"], vec!["workers"]),
        (vec!["status", "g"], vec!["worker"]),
        (vec!["signal", "g", "CONT"], vec!["worker"]),
        (vec!["restart", "g"], vec!["receipt", "worker"]),
        (vec!["stop", "g"], vec!["receipt", "worker"]),
        (vec!["nuke"], vec!["removed", "stopped"]),
    ] {
        let shown = gob.ctl(args.iter().copied().chain(["--json"])).json();
        assert_eq!(keys(&shown), expected, "{args:?}");
    }
    let status = gob.ctl(["status", "--json"]).json();
    assert_eq!(status["workers"], json!({}));
    gob.ctl(["start", "g"]).ok();
    let get = gob.ctl(["get", "g"]).json();
    assert_eq!(get, gob.connect_as("cli").ok("get", json!({"name": "g"})));
}

#[test]
fn exit_codes_say_what_was_wrong() {
    let gob = Gob::new();
    gob.ctl(["start", "up"]).ok();
    gob.ctl(["start", "down"]).ok();
    gob.ctl(["stop", "down"]).ok();
    for (args, code) in [
        (vec!["dance"], 2),
        (vec!["start"], 2),
        (vec!["stop", "up", "--grace", "soon"], 2),
        (vec!["stop", "up", "--owner", "Not-An-Owner"], 2),
        (vec!["start", ".."], 2),
        (vec!["list", "--state", "sleepy"], 2),
        (vec!["signal", "up", "SIGNOTHING"], 2),
        (vec!["signal", "down", "HUP"], 3),
        (vec!["stop", "nobody"], 4),
        (vec!["get", "nobody"], 4),
        (vec!["status", "nobody"], 4),
        (vec!["restart", "up", "--owner", "agent"], 5),
        (vec!["start", "g", "--kind", "nothing"], 1),
    ] {
        let output = gob.ctl(args).fails(code);
        assert_eq!(output.stdout, "", "{output}");
        assert!(output.stderr.starts_with("error: "), "{output}");
        assert!(!output.stderr.contains("panicked"), "{output}");
        let rest = output.stderr.lines().skip(1);
        assert!(rest.clone().all(|line| line.starts_with("  ") || line.starts_with("hint: ")), "{output}");
    }
    let slip = gob.ctl(["lst"]).fails(2);
    assert!(slip.stderr.contains("list"), "the nearest verb: {slip}");
}

#[test]
fn a_worker_that_does_not_come_up_is_exit_8_with_its_last_words() {
    let gob = Gob::new();
    let words = Write { text: "no \u{1b}[31mdisk\n".to_owned(), stderr: true, chunk: 0 };
    gob.script("g", &[Step::Write(words), Step::Exit(1)]);
    let output = gob.ctl(["start", "g"]).fails(8);
    assert!(output.stderr.contains("disk"), "{output}");
    assert!(!output.stderr.contains('\u{1b}'), "no raw escape sequence on a terminal");
    gob.ctl(["stop", "g"]).ok();
    let output = gob.ctl(["start", "g", "--json"]).fails(8);
    assert_eq!(error(&output.stderr)["code"], "server-start-failed");
    gob.ctl(["stop", "g"]).ok();
}

#[test]
fn nothing_is_started_behind_anybodys_back() {
    let gob = Gob::new();
    let output = gob.ctl([]).run();
    assert!(output.stdout.contains("gobctl start"), "what to type next: {output}");
    for (args, code) in [
        (vec!["ping", "--no-autostart"], 7),
        (vec!["start", "g", "--no-autostart"], 7),
        (vec!["nuke"], 0),
        (vec!["--help"], 0),
        (vec!["start", "--help"], 0),
        (vec!["--version"], 0),
    ] {
        gob.ctl(args).fails(code);
    }
    assert_eq!(gob.processes(), Vec::<i32>::new());
    assert!(gob.ctl(["ping", "--no-autostart"]).run().stderr.contains("hint: "));
}

#[test]
fn the_overview_shows_what_runs() {
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    let text = gob.ctl([]).ok();
    assert!(text.contains("demo") && text.contains("ready"), "{text}");
    let text = gob.ctl(["status"]).ok();
    assert!(text.contains(&gob.gobd_pid().to_string()), "{text}");
    let text = gob.ctl(["status", "demo"]).ok();
    for part in ["demo", "ready", "cli", "unix:/"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_list_is_stable_when_it_is_piped() {
    let gob = Gob::new();
    gob.ctl(["start", "b", "a"]).ok();
    gob.ctl(["stop", "b"]).ok();
    let text = gob.ctl(["list"]).ok();
    assert!(!text.contains('\u{1b}'), "no colour: {text:?}");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[1][0], rows[1][3]), ("a", "ready"));
    assert_eq!((rows[2][0], rows[2][3], rows[2][4]), ("b", "idle", "-"));
    for alias in ["ls", "ps"] {
        assert_eq!(gob.ctl([alias]).ok().lines().count(), 3);
    }
    let ready = gob.ctl(["list", "--state", "ready", "--json"]).json();
    assert_eq!(ready["workers"].as_array().unwrap().len(), 1);
}

#[test]
fn a_restart_says_the_new_pid() {
    let gob = Gob::new();
    gob.ctl(["start", "g"]).ok();
    let text = gob.ctl(["restart", "g"]).ok();
    let worker = gob.connect().ok("get", json!({"name": "g"}))["worker"].clone();
    assert_eq!(worker["run"], 2);
    assert!(text.contains(&worker["pid"].to_string()), "{text}");
}

#[test]
fn when_the_supervisor_cannot_start_it_says_why() {
    let gob = Gob::new();
    std::fs::remove_file(gob.bin("gobd")).unwrap();
    let output = gob.ctl(["ping"]).env("PATH", "/nowhere").fails(7);
    assert!(output.stderr.starts_with("error: ") && output.stderr.contains("gobd"), "{output}");
    assert!(output.stderr.contains("log") || output.stderr.contains("No such file"), "{output}");
    let gob = Gob::new();
    std::fs::remove_file(gob.bin("gob-keeper")).unwrap();
    let output = gob.ctl(["ping"]).env("PATH", "/nowhere").fails(7);
    assert!(output.stderr.contains("gob-keeper"), "{output}");
}
