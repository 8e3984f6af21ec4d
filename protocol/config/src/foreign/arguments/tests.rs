//! Tests which processes are workers, and which only resemble one.

use super::*;

const KIND: &str = "node /home/me/logseq-cli/db-worker-node.js --repo work --root-dir /r --owner-source cli";

fn words(line: &str) -> Vec<String> {
    line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Matches a process, run as Node by Electron or not.
fn is(kind: &str, graph: &str, line: &str, as_node: bool) -> bool {
    let command = words(kind);
    let known = Known { command: &command, graph, root_dir: "/r" };
    known.is_worker(&words(line), as_node, |dir| (dir == "/link/r" || dir == "../r").then(|| "/r".to_owned()))
}

fn works(line: &str) -> bool {
    is(KIND, "work", line, false)
}

#[test]
fn options_match_in_every_spelling() {
    for line in [
        "node db-worker-node.js --repo work --root-dir /r",
        "/usr/bin/node /opt/other/db-worker-node.js --repo=work --root-dir=/r --create-empty-db",
        "nodejs db-worker-node.js --owner-source electron --data-dir /r --repo work --log-level debug",
        "node22 db-worker-node.js --graph work --data-dir=/r",
        "node --inspect --max-old-space-size=4096 -r ./hook.js db-worker-node.js --repo work --root-dir /r",
        "node -- db-worker-node.js --repo work --root-dir /r",
        "node db-worker-node.js --repo logseq_db_work --root-dir /r",
        "node db-worker-node.js --repo work --root-dir /r/",
        "node db-worker-node.js --repo work --root-dir /link/r",
        "node db-worker-node.js --repo work --root-dir ../r",
        "node db-worker-node.js --repo work --root-dir /r --data-dir /r",
    ] {
        assert!(works(line), "{line}");
    }
}

#[test]
fn another_program_graph_or_directory_is_no_match() {
    for line in [
        "",
        "node",
        "node db-worker-node.js",
        "node db-worker-node.js --repo work",
        "node db-worker-node.js --root-dir /r",
        "node db-worker-node.js --repo work --root-dir",
        "node db-worker-node.js --root-dir /r --repo",
        "node db-worker-node.js --repo work2 --root-dir /r",
        "node db-worker-node.js --repo wor --root-dir /r",
        "node db-worker-node.js --repo Work --root-dir /r",
        "node db-worker-node.js --repo work --root-dir /r2",
        "node db-worker-node.js --repo work --root-dir /r/work",
        "node db-worker-node.js --repo work --root-dir /",
        "node db-worker-node.js --repo work --root-dir /other/r",
        "node db-worker-node.js --repository work --root-dir /r",
        "node db-worker-node.js --repo-work --root-dir /r",
        "node db-worker-node.js --repo= work --root-dir /r",
        "node db-worker-node.js work /r",
        "node db-worker-node.js -- --repo work --root-dir /r",
        "node db-worker-node.js --repo work --repo other --root-dir /r",
        "node db-worker-node.js --repo work --root-dir /r --root-dir /other",
        "node db-worker-node.js --repo work --root-dir /r --data-dir /other",
        "node other.js --repo work --root-dir /r",
        "node db-worker-node.js.bak --repo work --root-dir /r",
        "node old-db-worker-node.js --repo work --root-dir /r",
        "python3 db-worker-node.js --repo work --root-dir /r",
        "db-worker-node.js --repo work --root-dir /r",
    ] {
        assert!(!works(line), "{line}");
    }
}

#[test]
fn a_command_that_only_mentions_a_worker_is_none() {
    for line in [
        "vim db-worker-node.js --repo work --root-dir /r",
        "grep -r db-worker-node.js --repo work --root-dir /r",
        "less /home/me/logseq-cli/db-worker-node.js",
        "sh -c node db-worker-node.js --repo work --root-dir /r",
        "strace node db-worker-node.js --repo work --root-dir /r",
        "gobctl run node db-worker-node.js --repo work --root-dir /r",
        "node editor.js db-worker-node.js --repo work --root-dir /r",
        "node -e code db-worker-node.js --repo work --root-dir /r",
        "node --check db-worker-node.js --repo work --root-dir /r",
        "node --title db-worker-node.js node other.js --repo work --root-dir /r2",
        "Logseq db-worker-node.js --repo work --root-dir /r",
        "tail -f node db-worker-node.js --repo work --root-dir /r",
    ] {
        assert!(!works(line), "{line}");
    }
}

#[test]
fn electron_as_node() {
    let line = "/opt/Logseq/Logseq /opt/Logseq/resources/app/js/db-worker-node.js --repo work --root-dir /r";
    assert!(is(KIND, "work", line, true));
    assert!(!is(KIND, "work", line, false));
    assert!(!is(KIND, "work", "/opt/Logseq/Logseq --type=renderer --repo work --root-dir /r", true));
}

#[test]
fn a_graph_named_as_an_option_is() {
    let kind = "node db-worker-node.js --repo --root-dir --root-dir /r";
    assert!(is(kind, "--root-dir", "node db-worker-node.js --repo --root-dir --root-dir /r", false));
    assert!(!is(kind, "--root-dir", "node db-worker-node.js --repo work --root-dir /r", false));
    assert!(!works("node db-worker-node.js --repo --root-dir --root-dir /r"));
    // A graph whose name equals another option's value is not found by that option.
    let kind = "node db-worker-node.js --repo debug --root-dir /r --log-level debug";
    assert!(!is(kind, "debug", "node db-worker-node.js --repo other --root-dir /r --log-level debug", false));
    assert!(is(kind, "debug", "node db-worker-node.js --repo debug --root-dir /r --log-level info", false));
}

#[test]
fn other_programs_and_their_own_options() {
    let kind = "/usr/bin/served --db work --in /r --port \u{1}port\u{1}";
    assert!(is(kind, "work", "served --db work --in=/r --port 81", false));
    assert!(!is(kind, "work", "served --db other --in /r", false));
    assert!(!is(kind, "work", "server --db work --in /r", false));
    // Either of two options may name the graph, so both must match.
    let kind = "served --db debug --log debug --in /r";
    assert!(is(kind, "debug", "served --db debug --log debug --in /r", false));
    for line in ["served --db other --log debug --in /r", "served --log debug --in /r"] {
        assert!(!is(kind, "debug", line, false), "{line}");
    }
    // A script by its own name, a module, a graph that is no option's value.
    assert!(is(
        "serve.py --graph work --root-dir /r",
        "work",
        "/usr/bin/python3.11 ./serve.py --graph work --root-dir /r",
        false
    ));
    assert!(is(
        "python -m served --graph work --root-dir /r",
        "work",
        "python3 -X dev -m served --graph work --root-dir /r",
        false
    ));
    assert!(!is(
        "python -m served --graph work --root-dir /r",
        "work",
        "python3 -c served --graph work --root-dir /r",
        false
    ));
    assert!(!is("served /r/work.db", "work", "served /r/work.db", false));
}
