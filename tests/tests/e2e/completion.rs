//! Completions in the real bash, zsh and fish: names with spaces, quotes and umlauts become one word, nothing is started for them,
//! and a supervisor that hangs delays nobody.

use gob_tests::Gob;
use gob_tests::ctl::Ctl;
use gob_tests::process::Handle;
use gob_tests::require::{Need, skip};
use gob_tests::terminal::Terminal;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::{Duration, Instant};

/// A shell, its arguments without files of its user, and the line that makes `show` print its words, completed as gobctl's.
const SHELLS: [(&str, &[&str], &str); 3] = [
    (
        "bash",
        &["--norc", "--noprofile", "-i"],
        "eval \"$(gobctl completion bash)\"; complete -F _gobctl show; show() { printf '<%s>' \"$@\"; echo; }; echo rea''dy\n",
    ),
    (
        "zsh",
        &["-f", "-i"],
        "autoload -Uz compinit; compinit -u -D; source <(gobctl completion zsh); compdef _gobctl show; show() { printf '<%s>' \"$@\"; echo; }; echo rea''dy\n",
    ),
    (
        "fish",
        &["--no-config", "-i"],
        "gobctl completion fish | source; complete -c show -f -k -a '(__gobctl_complete)'; function show; printf '<%s>' $argv; echo; end; echo rea''dy\n",
    ),
];

/// Tries on a busy machine, where an answer may come too late.
const TRIES: usize = 10;

/// Finds a program where `.ci/run` finds it.
fn program(name: &str) -> Option<String> {
    let dirs = ["/usr/bin", "/bin", "/usr/local/bin"];
    dirs.iter().map(|dir| format!("{dir}/{name}")).find(|path| Path::new(path).exists())
}

fn world() -> Gob {
    let gob = Gob::new();
    gob.ctl(["start", "my notes", "it's", "größe", "demo"]).ok();
    gob.ctl(["hand-over", "demo", "editor"]).ok();
    gob
}

/// Opens a shell that has read its completions.
fn shell(gob: &Gob, name: &str, args: &[&str], line: &str) -> Option<Terminal> {
    let Some(path) = program(name) else {
        skip(Need::Shell(name_of(name)), &format!("{name} is not here, and nobody tried its completions"));
        return None;
    };
    let mut call = Ctl::new(path.as_ref(), gob.env());
    call.args(args.iter().copied());
    // fish makes a pipe there, else in /tmp.
    call.command().current_dir(gob.dir()).env("XDG_RUNTIME_DIR", gob.dir());
    let mut terminal = Terminal::session(call, 200);
    terminal.type_in(line);
    terminal.wait_for(|shown| shown.contains("ready"));
    Some(terminal)
}

fn name_of(name: &str) -> &'static str {
    SHELLS.iter().map(|(known, ..)| *known).find(|known| *known == name).expect("a shell")
}

/// Types each line with a tab at its end, and compares the words that the shell makes of it.
fn completes(gob: &Gob, cases: &[(&str, &str)]) {
    for (name, args, line) in SHELLS {
        let Some(mut terminal) = shell(gob, name, args, line) else { continue };
        for (typed, words) in cases {
            let seen = terminal.shown().matches(words).count();
            let is_there = |terminal: &Terminal| terminal.shown().matches(words).count() > seen;
            // On a busy machine names may come too late for the first time.
            let done = (0..TRIES).any(|_| {
                terminal.type_in(&format!("show {typed}\t\n"));
                wait::until(DEADLINE / 10, || is_there(&terminal))
            });
            assert!(done, "{name}: no {words} of {typed}:\n{}", terminal.shown());
        }
        terminal.type_in("exit\n");
        terminal.end();
    }
}

#[test]
fn names_verbs_flags_and_values_become_one_word_in_each_shell() {
    let gob = world();
    std::fs::create_dir(gob.dir().join("some where")).unwrap();
    completes(
        &gob,
        &[
            ("stop my", "<stop><my notes>"),
            ("stop 'my n", "<stop><my notes>"),
            ("stop \"my n", "<stop><my notes>"),
            ("stop 'my notes' it", "<stop><my notes><it's>"),
            ("stop 'it", "<stop><it's>"),
            ("stop \"it", "<stop><it's>"),
            ("stop grö", "<stop><größe>"),
            ("stop --gra", "<stop><--grace>"),
            ("hand-ov", "<hand-over>"),
            ("list --owner ed", "<list><--owner><editor>"),
            ("list --owner=ed", "<list><--owner=editor>"),
            ("list --state star", "<list><--state><starting>"),
            ("queue unsch", "<queue><unschedule>"),
            // zsh takes the slash away where the word ends.
            ("trust some", "<trust><some where"),
            ("with demo -- gob-graph-wor", "<with><demo><--><gob-graph-worker>"),
        ],
    );
    gob.ctl(["nuke", "--force"]).ok();
}

/// The answer of gobctl to the scripts for `gobctl WORDS` with the cursor behind an empty word.
fn words(gob: &Gob, words: &[&str]) -> Vec<String> {
    let out = gob.ctl(["complete-words", "zsh"].into_iter().chain(words.iter().copied()).chain([""])).ok();
    let mut lines = out.lines();
    assert_eq!(lines.next(), Some("words"), "{out}");
    lines.map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_kind_of_name_is_told() {
    let gob = world();
    std::fs::write(gob.dir().join("config.toml"), "[lanes.chat]\nwidth = 1\n").unwrap();
    gob.ctl(["add", "--name", "web", "--", "sleep", "600"]).ok();
    gob.ctl(["queue", "add", "ci", "--", "true"]).ok();
    gob.ctl(["queue", "every", "mail", "--interval", "10h", "--name", "digest", "--", "true"]).ok();
    gob.ctl(["lock", "run", "deploy", "--", "true"]).ok();
    let has = |line: &[&str], wanted: &[&str]| {
        let lacks =
            |told: &[String]| wanted.iter().find(|word| !told.iter().any(|told| told == **word)).copied();
        let mut told = words(&gob, line);
        for _ in 1..TRIES {
            if lacks(&told).is_some() {
                told = words(&gob, line);
            }
        }
        assert_eq!(lacks(&told), None, "{line:?}: {told:?}");
        told
    };
    has(&["stop"], &["my notes", "it's", "größe", "demo", "web"]);
    let left = has(&["stop", "demo"], &["web"]);
    assert!(!left.contains(&"demo".to_owned()), "{left:?}");
    let graphs = has(&["start"], &["my notes", "demo"]);
    assert!(!graphs.contains(&"web".to_owned()), "{graphs:?}");
    has(&["start", "--kind"], &["graph"]);
    has(&["hand-over", "demo"], &["cli", "desktop", "agent", "editor"]);
    has(&["queue", "list"], &["ci", "chat"]);
    has(&["queue", "logs"], &["j1"]);
    has(&["queue", "unschedule"], &["digest"]);
    has(&["runs", "delete", "web"], &["1"]);
    has(&["events", "--type"], &["ready", "lock_granted"]);
    has(&["queue", "list", "--status"], &["failed"]);
    has(&["signal", "web"], &["HUP"]);
    has(&["help"], &["exit-codes", "start"]);
    has(&["add", "--name"], &["web"]);
    has(&["completion"], &["bash", "zsh", "fish"]);
    gob.ctl(["nuke", "--force"]).ok();
}

/// Returns the shortest of some calls: the machine may be busy with other tests.
fn fastest(gob: &Gob) -> Duration {
    let time = |_| {
        let begin = Instant::now();
        words(gob, &["stop"]);
        begin.elapsed()
    };
    (0..10).map(time).min().expect("calls")
}

#[test]
fn nothing_is_started_and_a_supervisor_that_hangs_delays_nobody() {
    let gob = Gob::new();
    assert_eq!(words(&gob, &["stop"]), Vec::<String>::new());
    gob.ctl(["completion", "bash"]).ok();
    assert_eq!(gob.processes(), Vec::<i32>::new(), "nothing is started");
    gob.ctl(["start", "my notes", "demo"]).ok();
    let saved = || std::fs::read_to_string(gob.state_dir().join("last.json")).unwrap_or_default();
    assert!(wait::until(DEADLINE, || saved().contains("demo")), "last.json is written");
    let gobd = Handle::open(gob.gobd_pid()).expect("a supervisor");
    gobd.signal(Signal::SIGSTOP);
    let knows = || {
        let told = words(&gob, &["stop"]);
        ["my notes", "demo"].iter().all(|name| told.iter().any(|told| told == name))
    };
    let (knows, took) = ((0..TRIES).any(|_| knows()), fastest(&gob));
    gobd.signal(Signal::SIGCONT);
    assert!(knows, "names without its answer");
    assert!(took < Duration::from_millis(200), "{took:?}");
    gob.ctl(["shutdown", "--force"]).ok();
    assert!(words(&gob, &["stop"]).contains(&"my notes".to_owned()), "the last known state");
    assert!(words(&gob, &["start"]).contains(&"demo".to_owned()), "graphs are on disk");
    // The keeper of the old one ends a little later than the answer comes; a new one would stay.
    assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new(), "nothing is started");
    gob.ctl(["nuke", "--force"]).ok();
}

#[test]
fn an_unknown_shell_is_a_slip_that_names_the_known_ones() {
    let out = Gob::new().ctl(["completion", "tcsh"]).run();
    assert_eq!(out.code, 2, "{}", out.stderr);
    assert!(out.stderr.contains("bash, zsh, fish"), "{}", out.stderr);
}
