//! Tests of the keys for liveness, limits and foreign holders.

use super::*;
use crate::kind::{Foreign, GraphDirEncoding, HttpPort, Liveness, Orphans};

fn kind(lines: &str) -> Kind {
    let text = format!("[kind.x]\ncommand = [\"x\", \"{{port}}\"]\n{lines}\n");
    parse(&text).kinds.remove("x").unwrap()
}

fn wrong(lines: &str) -> Vec<String> {
    problems(&format!("[kind.x]\ncommand = [\"x\"]\n{lines}\n"))
}

fn only(got: &[String], part: &str) {
    assert!(got.len() == 1 && got[0].contains(part), "{part}: {got:#?}");
}

#[test]
fn foreign_keys_are_parsed() {
    assert_eq!(kind("").foreign, Foreign::default());
    let foreign = kind(
        "lock_file = \"{root_dir}/graphs/{graph_dir}/db-worker.lock\"\ngraph_dir_encoding = \"logseq\"\n\
         owners = { desktop = \"electron\", \"*\" = \"cli\" }\norphans = \"end\"",
    )
    .foreign;
    assert_eq!(foreign.lock_file.as_deref(), Some("{root_dir}/graphs/{graph_dir}/db-worker.lock"));
    assert_eq!(foreign.graph_dir_encoding, GraphDirEncoding::Logseq);
    assert_eq!(foreign.orphans, Some(Orphans::End));
    let owners: Vec<_> = foreign.owners.iter().map(|(own, word)| (own.as_str(), word.as_str())).collect();
    assert_eq!(owners, [("*", "cli"), ("desktop", "electron")]);
    assert_eq!(kind("lock_file = \"~/x.lock\"").foreign.lock_file.as_deref(), Some("/home/me/x.lock"));
    only(&wrong("lock_file = \"x.lock\""), "3:13: kind.x.lock_file: \"x.lock\" is not absolute");
    only(&wrong("lock_file = 1"), "it has to be a text");
    only(&wrong("graph_dir_encoding = \"logsec\""), "did you mean \"logseq\"?");
    only(&wrong("orphans = \"kill\""), "none of \"report\", \"end\"");
    only(&wrong("owners = \"cli\""), "it has to be a table");
    only(
        &wrong("owners = { Desktop = \"electron\" }"),
        "3:12: kind.x.owners.Desktop: \"Desktop\" is no owner",
    );
    only(&wrong("owners = { desktop = \"unknown\" }"), "its owner is unknown");
    only(&wrong("owners = { desktop = \"\" }"), "the word that such a program takes");
    only(&wrong("owners = { desktop = true }"), "it has to be a text");
}

#[test]
fn limits() {
    let limits = kind("rlimits = { nofile = 1_024, as = \"1GiB\", core = 0, cpu = 3600 }").rlimits;
    let limits: Vec<_> = limits.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(limits, [("as", 1 << 30), ("core", 0), ("cpu", 3_600), ("nofile", 1_024)]);
    only(
        &wrong("rlimits = { nofiles = 1 }"),
        "3:13: kind.x.rlimits.nofiles: there is no such limit; did you mean `nofile`?",
    );
    only(&wrong("rlimits = { nofile = 0 }"), "it has to be from 1 to");
    only(&wrong("rlimits = { nofile = -1 }"), "it has to be from 1 to");
    only(&wrong("rlimits = { nofile = \"1KiB\" }"), "it has to be a whole number");
    only(&wrong("rlimits = { as = \"unlimited\" }"), "is not a size");
    only(&wrong("rlimits = { as = 1.5 }"), "it has to be a whole number");
    only(&wrong("rlimits = 3"), "it has to be a table");
}

#[test]
fn idle_stop() {
    assert_eq!(kind("").idle_stop_ms, None);
    assert_eq!(kind("idle_stop = \"30m\"").idle_stop_ms, Some(1_800_000));
    only(&wrong("idle_stop = \"0s\""), "no time at all");
    only(&wrong("idle_stop = 30"), "it has to be a text");
}

#[test]
fn scheme() {
    assert_eq!(kind("").scheme, None);
    assert_eq!(kind("scheme = \"redis\"").scheme.as_deref(), Some("redis"));
    only(&wrong("scheme = \"redis://\""), "3:10: kind.x.scheme: \"redis://\" is not the scheme of a URL");
    only(&wrong("scheme = 6379"), "it has to be a text");
    let config =
        parse("[kind.x]\ncommand = [\"x\"]\nscheme = \"a\"\n[graph.g]\nkind = \"x\"\nscheme = \"b\"\n");
    assert_eq!(config.kind_of("g", None).unwrap().1.scheme.as_deref(), Some("b"));
    let shown = config.settings().into_iter().filter(|setting| setting.key.ends_with(".scheme"));
    assert_eq!(shown.map(|setting| setting.key).collect::<Vec<_>>(), ["kind.x.scheme", "graph.g.scheme"]);
}

/// Check, interval, timeout, failures, successes, restart.
fn live(check: Check) -> Liveness {
    let (interval_ms, timeout_ms, failures, successes, restart) = (10_000, 2_000, 3, 1, false);
    Liveness { check, interval_ms, timeout_ms, failures, successes, restart }
}

#[test]
fn liveness_defaults_to_the_values_of_readiness() {
    let http = |path: &str, status, port| Check::Http { path: path.into(), status, port };
    assert_eq!(kind("").liveness, None);
    for (lines, check) in [
        ("liveness = \"http\"", http("/", 200, HttpPort::Given)),
        (
            "readiness = { type = \"http\", path = \"/r\", port = 80 }\nliveness = \"http\"",
            http("/r", 200, HttpPort::Fixed(80)),
        ),
        (
            "readiness = { type = \"http\", path = \"/r\", status = 204 }\nliveness = { type = \"http\", path = \"/l\" }",
            http("/l", 204, HttpPort::Given),
        ),
        (
            "readiness = \"handshake\"\nliveness = { type = \"http\", port = \"discover\", status = 201 }",
            http("/", 201, HttpPort::Discover),
        ),
        (
            "readiness = { type = \"connect\", address = \"127.0.0.1:{port}\" }\nliveness = \"connect\"",
            Check::Connect { address: "127.0.0.1:{port}".into() },
        ),
        (
            "readiness = { type = \"log\", pattern = \"up\", stream = \"stderr\" }\n\
             liveness = { type = \"log\", pattern = \"tick\" }",
            Check::Log { pattern: "tick".into(), stream: None },
        ),
        ("liveness = \"notify\"", Check::Notify),
        ("liveness = \"handshake\"", Check::Handshake),
        ("liveness = { type = \"delay\", for = \"1s\" }", Check::Delay { for_ms: 1_000 }),
        ("readiness = \"notify\"\nliveness = {}", Check::Notify),
    ] {
        assert_eq!(kind(lines).liveness, Some(live(check)), "{lines}");
    }
    let all = kind(
        "liveness = { type = \"notify\", interval = \"3s\", timeout = \"1s\", failures = 1, successes = 4, restart = true }",
    );
    let (interval_ms, timeout_ms, failures, successes, restart) = (3_000, 1_000, 1, 4, true);
    let check = Check::Notify;
    assert_eq!(all.liveness, Some(Liveness { check, interval_ms, timeout_ms, failures, successes, restart }));
}

#[test]
fn a_graph_changes_parts_of_its_kinds_liveness_or_has_none() {
    let config = parse(
        "[kind.x]\ncommand = [\"x\"]\nreadiness = { type = \"http\", path = \"/r\" }\n\
         liveness = { type = \"http\", failures = 7 }\nowners = { \"*\" = \"cli\" }\nrlimits = { core = 0 }\n\
         [graph.slow]\nkind = \"x\"\nliveness = { interval = \"1m\" }\nrlimits = { nofile = 99 }\n\
         owners = { desktop = \"electron\" }\nidle_stop = \"1h\"\n\
         [graph.none]\nkind = \"x\"\nliveness = \"none\"\n",
    );
    let (_, slow) = config.kind_of("slow", None).unwrap();
    let liveness = slow.liveness.unwrap();
    assert_eq!((liveness.interval_ms, liveness.failures), (60_000, 7));
    assert_eq!(liveness.check, Check::Http { path: "/r".into(), status: 200, port: HttpPort::Discover });
    assert_eq!((slow.rlimits.len(), slow.foreign.owners.len(), slow.idle_stop_ms), (2, 2, Some(3_600_000)));
    let (_, none) = config.kind_of("none", None).unwrap();
    assert_eq!(none.liveness, None);
}

#[test]
fn bad_liveness_is_refused() {
    for (lines, part) in [
        ("liveness = \"connect\"", "it needs `address`, which readiness does not say"),
        ("liveness = { type = \"log\" }", "it needs `pattern`, which readiness does not say"),
        ("liveness = \"delay\"", "it needs `for`"),
        ("liveness = { interval = \"1s\" }", "it needs `type`, which readiness does not say"),
        (
            "readiness = \"handshake\"\nliveness = { interval = \"5s\" }",
            "it needs `type`, for what readiness looks at comes once, at the start; such as type = \"connect\", address = \"unix:{socket}\"",
        ),
        (
            "readiness = { type = \"log\", pattern = \"up\" }\nliveness = { restart = true }",
            "comes once, at the start; such as type = \"log\", pattern = \"^alive\"",
        ),
        ("readiness = { type = \"delay\", for = \"1s\" }\nliveness = {}", "such as type = \"http\""),
        (
            "readiness = { type = \"log\", pattern = \"up\" }\nliveness = \"log\"",
            "it needs `pattern`, for what readiness looks at comes once",
        ),
        ("liveness = \"htp\"", "did you mean \"http\"?"),
        ("liveness = { type = \"log\", pattern = \"(\" }", "is not a regular expression"),
        ("liveness = { type = \"connect\", address = \"127.0.0.1:{port}\" }", "gives the worker that port"),
        ("liveness = { type = \"http\", port = \"{port}\" }", "gives the worker that port"),
        ("liveness = { type = \"notify\", path = \"/\" }", "only liveness of type \"http\" has it"),
        ("liveness = { type = \"notify\", interval = \"0s\" }", "no time at all"),
        ("liveness = { type = \"notify\", failures = 0 }", "it has to be from 1 to 1000"),
        ("liveness = { type = \"notify\", successes = -1 }", "it has to be from 1 to 1000"),
        ("liveness = { type = \"notify\", restart = \"yes\" }", "it has to be true or false"),
        ("liveness = { type = \"notify\", every = \"1s\" }", "there is no such key"),
        ("liveness = 3", "it has to be a table"),
    ] {
        only(&wrong(lines), part);
    }
    // The built-in kind with this setting alone; and a graph whose kind has a check or has none.
    only(&problems("[kind.graph]\nliveness = { interval = \"5s\" }\n"), "such as type = \"connect\"");
    only(&problems("[graph.a]\nliveness = { interval = \"5s\" }\n"), "it needs `type`, for what readiness");
    let kind = "[kind.x]\ncommand = [\"x\"]\nreadiness = \"handshake\"\nliveness = \"notify\"\n";
    parse(&format!("{kind}[graph.a]\nkind = \"x\"\nliveness = {{ interval = \"5s\" }}\n"));
}

#[test]
fn a_checked_port_is_given_to_an_overridden_command_too() {
    let web = "default_kind = \"web\"\n[kind.web]\ncommand = [\"web\", \"{port}\"]\n";
    let (ready, lively) = ("readiness = \"http\"\n", "liveness = { type = \"http\", port = \"{port}\" }\n");
    let of = |check: &str, lines: &str| problems(&format!("{web}{check}[graph.a]\n{lines}\n"));
    for (check, part) in
        [(ready, "graph.a.command: its readiness looks at {port}"), (lively, "its liveness looks")]
    {
        only(&of(check, "command = [\"web\"]"), part);
        only(&of(check, "command = [\"web\"]\nenv = { PORT = \"80\" }"), part);
        parse(&format!("{web}{check}[graph.a]\ncommand = [\"web\"]\nenv = {{ PORT = \"{{port}}\" }}\n"));
        parse(&format!("{web}{check}[graph.a]\nautostart = true\n"));
    }
    let by_env = "[kind.web]\ncommand = [\"web\"]\nenv = { PORT = \"{port}\" }\nreadiness = \"http\"\n";
    let lost = format!("{by_env}[graph.a]\nkind = \"web\"\nenv = {{ PORT = \"80\" }}\n");
    only(&problems(&lost), "graph.a.env: its readiness looks at {port}");
}

#[test]
fn new_keys_are_shown_with_their_lines() {
    let text = "[kind.x]\ncommand = [\"x\"]\nreadiness = \"http\"\nliveness = { type = \"http\", failures = 7 }\n\
                rlimits = { as = \"1GiB\" }\nowners = { \"*\" = \"cli\" }\norphans = \"end\"\nidle_stop = \"30m\"\n\
                graph_dir_encoding = \"logseq\"\nlock_file = \"/l\"\n";
    let settings = parse(text).settings();
    let shown = |key: &str| {
        let found = settings.iter().find(|setting| setting.key == key);
        let found = found.unwrap_or_else(|| panic!("no {key}"));
        (found.value.to_string(), found.source.clone())
    };
    for (key, value, source) in [
        ("kind.x.liveness.type", "\"http\"", Source::Line("config.toml".into(), 4)),
        ("kind.x.liveness.failures", "7", Source::Line("config.toml".into(), 4)),
        ("kind.x.liveness.interval", "\"10s\"", Source::Default),
        ("kind.x.rlimits.as", "1073741824", Source::Line("config.toml".into(), 5)),
        ("kind.x.owners.\"*\"", "\"cli\"", Source::Line("config.toml".into(), 6)),
        ("kind.x.orphans", "\"end\"", Source::Line("config.toml".into(), 7)),
        ("kind.x.idle_stop", "\"30m\"", Source::Line("config.toml".into(), 8)),
        ("kind.x.graph_dir_encoding", "\"logseq\"", Source::Line("config.toml".into(), 9)),
        ("kind.x.lock_file", "\"/l\"", Source::Line("config.toml".into(), 10)),
        ("kind.graph.liveness.type", "\"none\"", Source::Default),
    ] {
        assert_eq!(shown(key), (value.to_owned(), source), "{key}");
    }
    let changed = parse(text).changes(&parse(&text.replace("= 7", "= 8").replace("\"end\"", "\"report\"")));
    assert_eq!(changed, ["kind.x.liveness.failures", "kind.x.orphans"]);
}
