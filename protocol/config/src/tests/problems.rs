//! Tests of every error of a file, with its place.

use super::*;

#[test]
fn all_problems_are_reported_with_their_places() {
    let text = r#"default_kinds = "graph"
default_kind = "loqseq"
[kind.logseq]
comand = ["node"]
root_dir = "logseq"
readiness = { type = "htp" }
lock_file = "db.lock"
[kind.logseq.stop]
  grace = "10 parsecs"
  signal = "SIGNOPE"
  http = "shutdown"
[kind.log]
command = ["x"]
readiness = { type = "log", pattern = "(", path = "/" }
env = { "A=B" = "x", GOOD = 1 }
restart = { policy = "sometimes", backoff = ["2s", "1s"] }
autostart = "yes"
[kind."bad kind"]
command = []
[graph.j12]
kind = "nope"
[graph.work]
on_last_lease = "stopp"
idle_stop = "0s"
[logs]
rotate = "10"
keep = 0
[lanes.chat]
width = 1
[history]
keep = "never"
keep_runs = 0
[kind.job]
command = ["x"]
[jobs]
silent = "0s"
overs = "1m"
"#;
    let want = [
        "1:1: default_kinds: there is no such key; did you mean `default_kind`?",
        "2:16: default_kind: there is no kind \"loqseq\"; did you mean \"logseq\"?",
        "3:1: kind.logseq: it needs a `command`; such as command = [\"redis-server\", \"--port\", \"{port}\"]",
        "4:1: kind.logseq.comand: there is no such key; did you mean `command`?",
        "5:12: kind.logseq.root_dir: \"logseq\" is not absolute; it has to begin with `/` or `~/`",
        "6:22: kind.logseq.readiness.type: \"htp\" is none of \"handshake\", \"notify\", \"http\", \"connect\", \"log\", \
         \"delay\", \"none\"; did you mean \"http\"?",
        "7:13: kind.logseq.lock_file: \"db.lock\" is not absolute; it has to begin with `/`, `~/` or a placeholder",
        "9:11: kind.logseq.stop.grace: \"10 parsecs\" is not a duration; such as \"100ms\", \"30s\", \"5m\" or \"1h\"",
        "10:12: kind.logseq.stop.signal: \"SIGNOPE\" is not a signal; such as \"TERM\" or \"SIGINT\"",
        "11:10: kind.logseq.stop.http: \"shutdown\" is not a method and a path; such as \"POST /v1/shutdown\"",
    ];
    let got = problems(text);
    assert_eq!(&got[..want.len()], want);
    let rest = got[want.len()..].join("\n");
    for (place, part) in [
        ("14:39: kind.log.readiness.pattern: ", "is not a regular expression"),
        ("14:51: kind.log.readiness.path: ", "only readiness of type \"http\" has it"),
        ("15:9: kind.log.env.\"A=B\": ", "is not the name of a variable"),
        ("15:29: kind.log.env.GOOD: ", "it has to be a text, not a whole number"),
        ("16:22: kind.log.restart.policy: ", "none of \"never\", \"on-failure\", \"always\""),
        ("16:45: kind.log.restart.backoff: ", "the first delay is longer"),
        ("17:13: kind.log.autostart: ", "it has to be true or false, not a text"),
        ("18:7: kind.\"bad kind\": ", "a kind is named as a job is"),
        ("19:11: kind.\"bad kind\".command: ", "it has to begin with a program"),
        ("20:8: graph.j12: ", "looks like the name of a job"),
        ("21:8: graph.j12.kind: ", "there is no kind \"nope\"; it would be [kind.nope]"),
        ("23:17: graph.work.on_last_lease: ", "did you mean \"stop\"?"),
        ("24:13: graph.work.idle_stop: ", "no time at all"),
        ("26:10: logs.rotate: ", "\"10\" is not a size"),
        ("27:8: logs.keep: ", "it has to be from 1 to 1000"),
        ("31:8: history.keep: ", "\"never\" is not a duration"),
        ("32:13: history.keep_runs: ", "it has to be from 1 to 100000"),
        ("33:7: kind.job: ", "that of jobs"),
        ("36:10: jobs.silent: ", "no time at all"),
        ("37:1: jobs.overs: ", "did you mean `over`?"),
    ] {
        let found = rest.lines().any(|line| line.starts_with(place) && line.contains(part));
        assert!(found, "{place}{part}\n{rest}");
    }
    assert_eq!(rest.lines().count(), 20, "{rest}");
}

#[test]
fn problems_of_lanes_and_of_the_queue_have_their_places() {
    let text = "[lanes.a]\nwidth = 1001\nnice = -1\n[lanes.\"a b\"]\nshared = true\n\
                [queue]\nstale_after = \"5s\"\nmax_attempts = 0\nheartbeats = \"1s\"\n";
    let got = problems(text).join("\n");
    for (place, part) in [
        ("2:9: lanes.a.width: ", "it has to be from 0 to 1000"),
        ("3:8: lanes.a.nice: ", "it has to be from 0 to 19"),
        ("4:8: lanes.\"a b\": ", "a lane is named as a job is"),
        ("5:10: lanes.\"a b\".shared: ", "no database is named that machines could share"),
        ("7:15: queue.stale_after: ", "longer than queue.heartbeat"),
        ("8:16: queue.max_attempts: ", "it has to be from 1 to 1000"),
        ("9:1: queue.heartbeats: ", "did you mean `heartbeat`?"),
    ] {
        let found = got.lines().any(|line| line.starts_with(place) && line.contains(part));
        assert!(found, "{place}{part}\n{got}");
    }
}

#[test]
fn problems_of_the_shared_database_have_their_places_and_never_its_password() {
    for (text, place, part) in [
        ("[shared]\npassword_file = \"/p\"\n", "1:1: shared.url: ", "it needs the address"),
        (
            "[shared]\nurl = \"mysql://ada:hunter2@db/jobs\"\n",
            "2:7: shared.url: ",
            "it has to be postgres://",
        ),
        (
            "[shared]\nurl = \"postgres://ada:hunter2@db/jobs?sslmode=require\"\n",
            "2:7: shared.url: ",
            "does not speak TLS",
        ),
        (
            "[shared]\nurl = \"postgres://ada:hunter2@db/jobs\"\npassword = \"hunter2\"\n",
            "3:1: shared.password: ",
            "did you mean `password_file`?",
        ),
        (
            "[shared]\nurl = \"postgres://ada:hunter2@db:99999/jobs\"\n",
            "2:7: shared.url: ",
            "a port is a number from 1 to 65535",
        ),
        (
            "[shared]\nurl = \"postgres://ada:hunter2@db/jobs?nosuch=1\"\n",
            "2:7: shared.url: ",
            "a parameter after ? is not known",
        ),
        ("[lanes.ci]\nshared = true\n", "2:10: lanes.ci.shared: ", "no database is named"),
    ] {
        let got = problems(text).join("\n");
        let found = got.lines().any(|line| line.starts_with(place) && line.contains(part));
        assert!(found && !got.contains("hunter2"), "{text}: {got}");
    }
    let text = "[shared]\nurl = \"postgres://ada:hunter2@db/jobs\"\n[lanes.ci]\nshared = true\nwidth = 2\n";
    let config = crate::Config::parse(text, None, "config.toml").unwrap();
    let settings: Vec<_> =
        config.settings().into_iter().map(|setting| format!("{} = {}", setting.key, setting.value)).collect();
    for shown in ["shared.url = \"postgres://ada@db/jobs\"", "lanes.ci.shared = true"] {
        assert!(settings.iter().any(|setting| setting == shown), "{settings:#?}");
    }
    assert!(!format!("{settings:?} {config:?}").contains("hunter2"));
    let other = crate::Config::parse(&text.replace("hunter2", "hunter3"), None, "config.toml").unwrap();
    assert_eq!(config.changes(&other), ["shared.url"], "it is another one, though it is shown the same");
    assert_eq!(config.changes(&config.clone()), [""; 0]);
}

#[test]
fn syntax_errors_are_reported_with_the_other_problems() {
    let got = problems("default_kind =\n[kind.x]\ncommand = [\"x\"]\ngrace = \"1s\"\n[kind.x]\n");
    assert!(got[0].starts_with("1:15: "), "{got:#?}");
    assert!(got.iter().any(|line| line.starts_with("4:1: kind.x.grace: there is no such key")), "{got:#?}");
    assert!(got.iter().any(|line| line.starts_with("5:")), "{got:#?}");
}

#[test]
fn readiness_needs_the_keys_of_its_type() {
    let of = |readiness: &str| problems(&format!("[kind.x]\ncommand = [\"x\"]\nreadiness = {readiness}\n"));
    for good in ["\"none\"", "\"notify\"", "\"http\"", "{ type = \"connect\", address = \"127.0.0.1:80\" }"] {
        assert_eq!(of(good), Vec::<String>::new(), "{good}");
    }
    for (bad, part) in [
        ("\"log\"", "\"log\" alone is not enough"),
        ("{ type = \"delay\" }", "it needs `for`"),
        ("{ type = \"connect\", address = \"db.example:80\" }", "is not an address"),
        ("{ type = \"http\", port = \"{port}\" }", "neither `command` nor `env` gives the worker that port"),
        ("{ type = \"http\", port = 0 }", "from 1 to 65535"),
        ("{ type = \"http\", status = 99 }", "from 100 to 599"),
        ("{ type = \"http\", path = \"x\" }", "is not a path"),
        ("{ path = \"/\" }", "only readiness of type \"http\" has it"),
        ("3", "it has to be a table, not a whole number"),
    ] {
        let got = of(bad);
        assert!(got.len() == 1 && got[0].contains(part), "{bad}: {got:#?}");
    }
}

#[test]
fn a_refused_file_names_the_graphs_it_mentions() {
    let text = "default_kind = \"x\"\n[kind.x]\nstop = 1\n[graph.work]\nkind = \"x\"\n";
    let rejected = Config::parse(text, None, "c.toml").unwrap_err();
    let (config, _) = Reading::of(&[FileText::read("c.toml", text)], None).settle(&Config::default());
    assert_eq!(config.default_kind, "x", "of which there is none, so that no graph comes up as another");
    assert!(rejected.says_something_of("work", "graph") && rejected.says_something_of("other", "x"));
    assert!(!rejected.says_something_of("other", "graph"));
}
