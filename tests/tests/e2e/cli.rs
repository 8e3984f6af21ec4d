//! gobctl for a person and for a script: output, streams and exit codes (CLI).

use gob_tests::Gob;
use gob_tests::script::{Step, Write};
use serde_json::{Value, json};

fn error(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    value["error"].clone()
}

#[test]
fn a_start_prints_its_result_and_a_second_one_the_owner() {
    let gob = Gob::new();
    let first = gob.ctl(["start", "demo"]).run();
    let pid = gob.connect().ok("get", json!({"name": "demo"}))["worker"]["pid"].to_string();
    let lines: Vec<&str> = first.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{first}");
    assert!(lines[0].starts_with(&format!("started demo (pid {pid}, owner cli) in ")), "{first}");
    assert!(lines[1].starts_with("unix:/"), "{first}");
    let second = gob.ctl(["start", "demo", "--owner", "desktop"]).run();
    let endpoint = lines[1];
    let expected = format!("demo is already running (pid {pid}, owner cli; you don't own it)\n{endpoint}\n");
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
    assert!(lines[2].starts_with("hint: ") && lines[2].contains("ask its owner (gobctl, pid "), "{output}");
    assert!(!lines[2].contains("--owner"), "no hint tells how to speak as somebody else: {output}");
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
        (vec!["start", "g"], vec!["created", "outcome", "worker"]),
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
fn exit_codes_tell_the_kind_of_error() {
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
fn the_overview_shows_running_workers() {
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
fn a_supervisor_that_cannot_start_prints_the_reason() {
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

#[test]
fn several_names_are_one_document_in_the_order_given() {
    let gob = Gob::new();
    let output = gob.ctl(["start", "b", "a", "--json"]).json();
    let names = |value: &Value| -> Vec<String> {
        let results = value["results"].as_array().unwrap();
        results.iter().map(|result| result["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&output), ["b", "a"]);
    assert!(
        output["results"].as_array().unwrap().iter().all(|of| of["data"]["outcome"] == "started"),
        "{output}"
    );
    for (verb, code) in [("stop", 4), ("restart", 4), ("remove", 1)] {
        let output = gob.ctl([verb, "a", "nobody", "b", "--json"]).fails(code);
        let value: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output}"));
        assert_eq!(
            (names(&value), output.stderr.as_str()),
            (vec!["a".into(), "nobody".into(), "b".into()], "")
        );
        let error = &value["results"][1]["error"];
        assert_eq!(
            (&error["code"], &error["details"]["worker"]),
            (&json!("server-not-found"), &json!("nobody"))
        );
        assert!(value["results"][1].get("data").is_none(), "{value}");
    }
    let refused = gob.ctl(["remove", "a", "--json"]).fails(1);
    let refused = error(&refused.stderr);
    assert_eq!(
        (&refused["message"], &refused["details"]["worker"]),
        (&json!("cannot remove a: it is up (ready)"), &json!("a"))
    );
    gob.ctl(["stop", "a", "b"]).ok();
    let refused = gob.ctl(["signal", "a", "HUP"]).fails(3);
    assert!(refused.stderr.starts_with("error: cannot signal a: it is idle\n"), "{refused}");
    let refused = gob.ctl(["invoke", "a", "stats"]).fails(3);
    assert!(refused.stderr.starts_with("error: cannot invoke a: it is idle\n"), "{refused}");
}

#[test]
fn a_misspelled_name_or_word_is_answered_with_the_nearest_one() {
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    for args in [["get", "dmeo"], ["status", "dmeo"], ["stop", "dmeo"], ["lease", "dmeo"]] {
        let output = gob.ctl(args).fails(4);
        assert!(output.stderr.contains("hint: did you mean demo?"), "{output}");
    }
    let output = gob.ctl(["invoke", "files", "import", "-"]).fails(4);
    assert!(output.stderr.ends_with("\nhint: start it: gobctl start files\n"), "{output}");
    let output = gob.ctl(["invoke", "dmeo", "stats"]).fails(4);
    assert!(output.stderr.contains("hint: did you mean demo?"), "{output}");
    let output = gob.ctl(["config", "shwo"]).fails(2);
    let want = "error: there is no `config shwo`\n  there are: path, show, check, init, reload\nhint: did you mean gobctl config show?\n";
    assert_eq!(output.stderr, want);
    let output = gob.ctl(["config"]).fails(2);
    assert!(output.stderr.contains("there are: path, show, check"), "{output}");
    let output = gob.ctl(["daemon", "start-all"]).fails(2);
    assert!(output.stderr.contains("hint: gobctl daemon --help"), "{output}");
    let output = gob.ctl(["nope"]).fails(2);
    assert!(!output.stderr.contains("nuke"), "nothing that destroys is guessed: {output}");
}

#[test]
fn names_that_look_the_same_are_shown_apart() {
    let gob = Gob::new();
    gob.ctl(["start", "\u{e9}", "e\u{301}", "demo", "demo "]).ok();
    let list = gob.ctl(["list"]).ok();
    let shown: Vec<&str> = list.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(shown, ["demo", "demo\\u{20}", "e\\u{301}", "\u{e9}"], "{list}");
}

#[test]
fn the_supervisors_log_is_fields_as_json() {
    let gob = Gob::new();
    gob.ctl(["start", "demo"]).ok();
    let lines = gob.ctl(["daemon", "logs", "--json"]).ok();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let serving =
        lines.iter().find(|line| line["message"] == "serving").unwrap_or_else(|| panic!("{lines:?}"));
    assert_eq!((&serving["level"], &serving["target"]), (&json!("INFO"), &json!("gob_supervisor")));
    assert_eq!(serving["fields"]["socket"], gob.socket().to_str().unwrap());
    assert!(serving["time"].as_str().unwrap().ends_with('Z'), "{serving}");
}

#[test]
fn help_is_data_for_programs_too() {
    let gob = Gob::new();
    let help = gob.ctl(["help", "--json"]).json();
    let verbs = help["verbs"].as_array().unwrap();
    let named =
        |name: &str| verbs.iter().find(|verb| verb["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    for (name, effect) in
        [("list", "reads"), ("start", "changes"), ("nuke", "destroys"), ("shutdown", "destroys")]
    {
        assert_eq!(named(name)["effect"], effect, "{name}");
    }
    // Every verb in the help exists.
    for verb in verbs {
        gob.ctl([verb["name"].as_str().unwrap(), "--help"]).ok();
    }
    assert!(help["exit_codes"].as_array().unwrap().iter().any(|code| code["code"] == 124), "{help}");
    assert_eq!(gob.ctl(["help", "list", "--json"]).json(), *named("list"));
    assert_eq!(gob.ctl(["help", "start"]).ok(), gob.ctl(["start", "--help"]).ok());
    assert!(gob.ctl(["help", "exit-codes"]).ok().contains("124"));
    assert!(gob.ctl(["help", "ownrs"]).fails(2).stderr.contains("gobctl help owners"));
    assert_eq!(gob.processes(), Vec::<i32>::new());
}
