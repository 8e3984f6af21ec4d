//! Tests of the parser as a whole: the meaning of a file. Its errors are in `problems`.

mod files;
mod keys;
mod problems;

use super::*;
use crate::kind::{HttpPort, LogStream, OnLastLease, RestartOn};

fn parse(text: &str) -> Config {
    Config::parse(text, Some("/home/me"), "config.toml").unwrap_or_else(|e| panic!("{:#?}", e.problems))
}

fn problems(text: &str) -> Vec<String> {
    match Config::parse(text, Some("/home/me"), "config.toml") {
        Ok(_) => Vec::new(),
        Err(rejected) => rejected.problems.iter().map(ToString::to_string).collect(),
    }
}

const WHOLE: &str = r#"
default_kind = "logseq"

[kind.logseq]
command = ["node", "~/logseq-cli/db-worker-node.js", "--repo", "{graph}", "--x={nope}"]
root_dir = "~/logseq"
readiness = { type = "http", path = "/healthz", port = "discover", timeout = "45s" }
stop = { http = "POST /v1/shutdown", signal = "int", then = "QUIT", grace = "8s" }
exit_zero = "ceded"
env = { NODE_ENV = "production", ROOT = "{root_dir}" }
pass_env = ["NODE_OPTIONS"]
description = "Logseq's own"

[kind.oxigraph]
command = ["oxigraph", "serve", "--bind", "127.0.0.1:{port}"]
readiness = "http"
restart = "always"

[kind.slow]
command = ["/usr/bin/slow"]
cwd = "{root_dir}"
readiness = { type = "log", pattern = "on port (?<port>[0-9]+)", stream = "stderr" }
restart = { policy = "never", backoff = ["1s", "2s"], give_up = { failures = 3, within = "1m" } }

[kind.graph]
env = { RUST_LOG = "debug" }

[graph.work]
kind = "slow"
autostart = true
root_dir = "/srv/work"
env = { MORE = "1" }
readiness = { timeout = "90s" }
stop = { grace = "1s" }
on_last_lease = "stop"

[graph."a b"]
readiness = { type = "delay", for = "100ms" }

[restart]
policy = "on-failure"
give_up = { failures = 7 }

[logs]
rotate = "1MiB"
keep = 2
budget = "64MiB"
runs = 7

[history]
keep_runs = 50
keep = "7d"

[jobs]
silent = "20s"
without_history = "1h"

[lanes.chat]
width = 4
nice = 10
shared = false

[lanes."big.one"]
width = 0

[queue]
heartbeat = "2s"
stale_after = "9s"
max_attempts = 5
keep_finished = "1d"
backoff = ["2s", "1m"]
"#;

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(parse("").settings(), Config::default().settings());
    assert_eq!(parse(EXAMPLE).settings(), Config::default().settings());
}

#[test]
fn the_example_is_right_once_it_is_uncommented() {
    let is_toml = |line: &&str| !line.contains("gobctl") && (line.contains('=') || line.starts_with("# ["));
    let lines = EXAMPLE.lines().filter(is_toml).map(|line| line.trim_start_matches("# "));
    let config = parse(&lines.collect::<Vec<_>>().join("\n"));
    assert!(config.kinds.contains_key("redis") && config.kinds.contains_key("oxigraph"));
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/examples/kinds/logseq.toml"
    ));
    let logseq = parse(&text.unwrap()).kinds.remove("logseq").unwrap();
    assert_eq!(config.kinds["logseq"], logseq, "the kind that is there to be copied");
    assert_eq!(logseq.foreign.orphans, Some(crate::kind::Orphans::End));
    assert_eq!(config.autostart().collect::<Vec<_>>(), ["notes"]);
}

#[test]
fn a_whole_file() {
    let config = parse(WHOLE);
    assert_eq!(config.kinds.keys().collect::<Vec<_>>(), ["graph", "logseq", "oxigraph", "slow"]);
    let (name, logseq) = config.kind_of("anything", None).unwrap();
    assert_eq!(name, "logseq");
    assert_eq!(logseq.command[1], "/home/me/logseq-cli/db-worker-node.js");
    assert_eq!(logseq.command[4], "--x={nope}", "other braces stay");
    assert_eq!(logseq.root_dir.as_deref(), Some("/home/me/logseq"));
    let check = Check::Http { path: "/healthz".into(), status: 200, port: HttpPort::Discover };
    assert_eq!(logseq.readiness, Readiness { check, timeout_ms: 45_000 });
    let stop = StopWay {
        http: Some("POST /v1/shutdown".into()),
        signal: "SIGINT".into(),
        then: Some("SIGQUIT".into()),
        grace_ms: 8_000,
    };
    assert_eq!(logseq.stop, stop);
    assert!(logseq.exit_zero_ceded && !logseq.autostart);
    assert_eq!(logseq.restart.give_up_failures, 7, "as [restart] says");
    let (_, oxigraph) = config.kind_of("anything", Some("oxigraph")).unwrap();
    let check = Check::Http { path: "/".into(), status: 200, port: HttpPort::Given };
    assert_eq!(oxigraph.readiness.check, check, "it is given a port");
    assert_eq!(oxigraph.restart.on, RestartOn::Always);
    let graph = &config.kinds["graph"];
    assert_eq!((&graph.command, graph.env.len()), (&Kind::graph().command, 1), "the built-in one, changed");
    assert_eq!(config.logs, Logs { rotate_bytes: 1 << 20, keep: 2, budget_bytes: 64 << 20, runs: 7 });
    assert_eq!(config.history, History { keep_runs: 50, keep_ms: 7 * 86_400_000 });
    let jobs = Jobs { silent_ms: 20_000, over_ms: 60_000, without_history_ms: 3_600_000 };
    assert_eq!(config.jobs, jobs);
    let chat = LaneSettings { width: Some(4), nice: Some(10), shared: false };
    assert_eq!((config.lanes["chat"], config.lanes["big.one"].width), (chat, Some(0)));
    let queue = Queue {
        heartbeat_ms: 2_000,
        stale_after_ms: 9_000,
        max_attempts: 5,
        keep_finished_ms: 86_400_000,
        backoff_ms: (2_000, 60_000),
    };
    assert_eq!(config.queue, queue);
    assert_eq!(config.kind_of("x", Some("nope")), Err("nope".to_owned()));
}

#[test]
fn a_graph_overrides_its_kind() {
    let config = parse(WHOLE);
    let (name, work) = config.kind_of("work", None).unwrap();
    assert_eq!(name, "slow");
    let check = Check::Log { pattern: "on port (?<port>[0-9]+)".into(), stream: Some(LogStream::Stderr) };
    assert_eq!(work.readiness, Readiness { check, timeout_ms: 90_000 });
    assert_eq!((work.stop.grace_ms, work.stop.signal.as_str()), (1_000, "SIGTERM"));
    assert_eq!(work.root_dir.as_deref(), Some("/srv/work"));
    assert_eq!(work.on_last_lease, Some(OnLastLease::Stop));
    assert_eq!(work.restart.backoff_ms, (1_000, 2_000));
    assert_eq!(config.autostart().collect::<Vec<_>>(), ["work"]);
    // The settings of a graph hold for any kind that a start names.
    let (_, other) = config.kind_of("work", Some("logseq")).unwrap();
    assert_eq!((other.env.len(), other.root_dir.as_deref()), (3, Some("/srv/work")));
    let (_, spaced) = config.kind_of("a b", None).unwrap();
    assert_eq!(spaced.readiness.check, Check::Delay { for_ms: 100 });
}

#[test]
fn every_value_knows_where_it_came_from() {
    let settings = parse(WHOLE).settings();
    let source = |key: &str| {
        let found = settings.iter().find(|setting| setting.key == key);
        let found = found.unwrap_or_else(|| panic!("no {key}"));
        let line = match &found.source {
            Source::Line(file, line) => {
                assert_eq!(&**file, "config.toml");
                *line
            }
            Source::Default => 0,
        };
        (found.value.to_string(), line)
    };
    assert_eq!(source("default_kind"), ("\"logseq\"".to_owned(), 2));
    assert_eq!(source("kind.logseq.stop.grace"), ("\"8s\"".to_owned(), 8));
    assert_eq!(source("kind.oxigraph.stop.grace"), ("\"10s\"".to_owned(), 0));
    assert_eq!(source("kind.oxigraph.readiness.type"), ("\"http\"".to_owned(), 16));
    assert_eq!(source("kind.logseq.restart.give_up.failures"), ("7".to_owned(), 42));
    assert_eq!(source("graph.work.readiness.timeout"), ("\"90s\"".to_owned(), 33));
    assert_eq!(source("logs.rotate"), ("\"1MiB\"".to_owned(), 45));
    assert!(!settings.iter().any(|setting| setting.key == "graph.work.stop.signal"), "nobody said it");
}

#[test]
fn changed_and_added_keys_are_listed() {
    let (before, after) =
        (parse(WHOLE), parse(&WHOLE.replace("\"8s\"", "\"9s\"").replace("autostart = true", "")));
    assert_eq!(before.changes(&after), ["graph.work.autostart", "kind.logseq.stop.grace"]);
    assert_eq!(before.changes(&before), Vec::<String>::new());
    let more = parse(&format!("{WHOLE}[kind.new]\ncommand = [\"x\"]\n[graph.\"my notes\"]\n"));
    assert_eq!(before.added(&more), ["graph.\"my notes\"", "kind.new"]);
    assert!(more.added(&before).is_empty() && before.added(&after).is_empty());
    // A value that only moved is not a change.
    assert_eq!(before.changes(&parse(&format!("\n\n{WHOLE}"))), Vec::<String>::new());
}

#[test]
fn a_relative_program_is_resolved_in_the_kinds_directory() {
    let text = |cwd: &str| format!("[kind.x]\ncommand = [\"bin/x\"]\n{cwd}\n[graph.g]\nkind = \"x\"\n");
    let asked = |text: &str| {
        let mut asked = Vec::new();
        let missing = parse(text).missing_programs(|program, _| {
            asked.push(program.to_owned());
            false
        });
        (asked, missing.into_iter().map(|(_, problem)| problem.message).collect::<Vec<_>>())
    };
    let want = vec!["bin/x is no program: there is no /srv/bin/x".to_owned()];
    assert_eq!(asked(&text("cwd = \"/srv/\"")), (vec!["/srv/bin/x".to_owned()], want));
    for cwd in ["", "cwd = \"{root_dir}\""] {
        assert_eq!(asked(&text(cwd)), (vec![], vec![]), "its directory is known only at the start");
    }
}

#[test]
fn roots_and_programs() {
    let mut reading = Reading::of(&[FileText::read("config.toml", WHOLE)], Some("/home/me"));
    let missing = reading.whole().missing_programs(|program, _| program == "node");
    let missing: Vec<String> = missing.iter().map(|(file, problem)| format!("{file}:{problem}")).collect();
    assert_eq!(
        missing,
        [
            "config.toml:15:11: kind.oxigraph.command: oxigraph is not on PATH",
            "config.toml:20:11: kind.slow.command: /usr/bin/slow is no program"
        ]
    );
    let mut good = reading.clone();
    good.resolve_roots(|dir| Ok(format!("/real{dir}")));
    let (config, rejected) = good.settle(&Config::default());
    assert_eq!(config.kinds["logseq"].root_dir.as_deref(), Some("/real/home/me/logseq"));
    assert!(rejected.is_empty());
    reading.resolve_roots(|dir| match dir {
        "/srv/work" => Err("no such thing".to_owned()),
        dir => Ok(format!("/real{dir}")),
    });
    let (config, rejected) = reading.settle(&Config::default());
    assert!(!config.kinds.contains_key("oxigraph"), "nothing of it is used");
    let want = "config.toml:31:12: graph.work.root_dir: /srv/work can't be used: no such thing";
    assert_eq!(rejected.iter().map(ToString::to_string).collect::<Vec<_>>(), [want]);
}

#[test]
fn force_owners_are_parsed() {
    let owners = |text: &str| Config::parse(text, None, "c").map(|config| config.force_owners);
    let names = |owners: Vec<gob_protocol::Owner>| {
        owners.iter().map(|owner| owner.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(owners("").unwrap()), ["cli", "desktop", "electron"]);
    assert_eq!(names(owners("force_owners = [\"agent\"]").unwrap()), ["agent"]);
    assert!(owners("force_owners = []").unwrap().is_empty());
    for bad in ["\"unknown\"", "\"Me\"", "1"] {
        let rejected = owners(&format!("force_owners = [{bad}]")).unwrap_err();
        assert_eq!(rejected.problems[0].key, "force_owners", "{bad}");
    }
}

#[test]
fn a_relative_program_without_a_directory_is_doubtful() {
    let text = "[kind.x]\ncommand = [\"bin/x\"]\n[kind.y]\ncommand = [\"bin/y\"]\ncwd = \"{data_dir}\"\n\
                [kind.z]\ncommand = [\"z\"]\n[kind.w]\ncommand = [\"{root_dir}/w\"]\n[graph.g]\nkind = \"x\"\n";
    let doubtful: Vec<_> = parse(text).doubtful_programs().iter().map(|(_, it)| it.to_string()).collect();
    let want = "2:11: kind.x.command: bin/x is run as {data_dir}/bin/x, in the directory of each graph; \
                give an absolute path, or a cwd";
    assert_eq!(doubtful, [want]);
}
