//! Signals of a person and of a terminal that closes: the commands that end, the signals that are passed on, and
//! the messages about the rest (F4).

use gob_tests::Gob;
use gob_tests::process::{Handle, is_alive};
use gob_tests::script::Step;
use gob_tests::terminal::Terminal;
use gob_tests::wait::{self, DEADLINE};
use serde_json::json;

/// A command that prints its pid and waits for ever.
const WAITS: [&str; 4] = ["--", "sh", "-c", "echo up $$ up; exec sleep 1000"];

fn pid_of_command(terminal: &Terminal) -> i32 {
    terminal.wait_for(|shown| shown.matches(" up").count() >= 1 && shown.contains("up "));
    let shown = terminal.shown();
    shown.split("up ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap()
}

#[test]
fn with_ends_with_its_terminal_and_so_do_its_command_and_its_lease() {
    let gob = Gob::new();
    let mut terminal = Terminal::session(gob.ctl(["with", "demo"].into_iter().chain(WAITS)), 80);
    let (own, command) = (terminal.pid(), pid_of_command(&terminal));
    let leases = || gob.connect().ok("get", json!({"name": "demo"}))["worker"]["leases"].as_u64();
    assert_eq!(leases(), Some(1));
    terminal.hang_up();
    for pid in [own, command] {
        let gone = Handle::open(pid).is_none_or(|handle| handle.wait_gone(DEADLINE));
        assert!(gone, "{pid} lives on without its terminal");
    }
    terminal.kill();
    assert!(wait::until(DEADLINE, || leases() == Some(0)), "the lease is let go");
}

#[test]
fn an_interrupt_of_the_terminal_reaches_the_command_once() {
    let gob = Gob::new();
    // Without a process in the loop: a shell that is just making one by vfork loses the signal.
    let script =
        "trap 'echo heard >> heard' INT; echo up 1 up; while ! test -e go; do :; done; wc -l < heard";
    let mut call = gob.ctl(["with", "demo", "--", "sh", "-c", script]);
    call.cwd(gob.dir());
    let mut terminal = Terminal::session(call, 80);
    pid_of_command(&terminal);
    terminal.type_in("\u{3}");
    let heard = gob.dir().join("heard");
    assert!(wait::until(DEADLINE, || heard.exists()));
    // A second interrupt would have come with it; so would one that was passed on.
    wait::while_time_passes(std::time::Duration::from_millis(200));
    std::fs::write(gob.dir().join("go"), "").unwrap();
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(std::fs::read_to_string(heard).unwrap(), "heard\n", "{shown}");
}

#[test]
fn an_interrupted_command_prints_what_goes_on_without_it() {
    let gob = Gob::new();
    gob.fifo("slow", "go");
    gob.script("slow", &[Step::WaitFor("go".to_owned()), Step::Listen, Step::Handshake]);
    gob.script("st", &[Step::Ignore(vec!["TERM".to_owned()]), Step::Listen, Step::Handshake]);
    gob.ctl(["start", "st"]).ok();
    let interrupted = |args: &[&str], shows: &str, says: &str| {
        let mut terminal = Terminal::session(gob.ctl(args.iter().copied()), 80);
        terminal.wait_for(|shown| shown.contains(shows));
        terminal.type_in("\u{3}");
        let (code, shown) = terminal.end();
        assert!(shown.contains(says), "{shown}");
        assert_eq!(code, 130, "{shown}");
    };
    interrupted(
        &["start", "slow"],
        "starting slow …",
        "interrupted; slow goes on starting: gobctl events slow\n",
    );
    let with = ["with", "slow", "--", "true"];
    interrupted(&with, "starting slow …", "interrupted; slow goes on starting: gobctl events slow\n");
    interrupted(
        &["stop", "st", "--grace", "3s"],
        "stopping st …",
        "interrupted; st goes on stopping: gobctl events st\n",
    );
    // The start went on.
    let state = || gob.connect().ok("get", json!({"name": "st"}))["worker"]["state"].clone();
    assert!(wait::until(DEADLINE, || state() == "idle"));
    gob.ctl(["start", "st"]).ok();
    interrupted(
        &["restart", "st", "--grace", "2s"],
        "restarting st …",
        "interrupted; st goes on restarting: gobctl events st\n",
    );
    assert!(wait::until(DEADLINE, || state() == "ready"));
    gob.script("st", &[]);
    interrupted(
        &["shutdown"],
        "stopping all workers …",
        "interrupted; the supervisor goes on stopping all workers: gobctl daemon logs\n",
    );
    assert!(wait::until(DEADLINE, || gob.lock_line().is_none()));
}

#[test]
fn an_interrupted_wait_for_jobs_of_the_queue_tells_that_they_go_on() {
    let gob = Gob::new();
    let add = || {
        let mut call = gob.ctl(["queue", "add", "-q", "ci", "--", "sleep", "1000"]);
        call.cwd(gob.dir()).ok().trim().to_owned()
    };
    let (runs, waits) = (add(), add());
    let status = |id: &str| gob.connect().ok("queue_get", json!({"job_id": id}))["job"]["status"].clone();
    let interrupted = |args: &[&str], shows: &str, says: &str| {
        let mut terminal =
            Terminal::session(gob.ctl(["queue", "wait"].into_iter().chain(args.to_vec())), 200);
        terminal.wait_for(|shown| shown.contains(shows));
        terminal.type_in("\u{3}");
        let (code, shown) = terminal.end();
        assert!(shown.ends_with(&format!("\r\u{1b}[K{says}\n")), "{shown:?}");
        assert_eq!(code, 130, "{shown}");
    };
    interrupted(
        &[&runs],
        &format!("{runs} running"),
        &format!(
            "interrupted; {runs} goes on: gobctl queue wait {runs}; or cancel it: gobctl queue cancel {runs}"
        ),
    );
    let both = format!("{runs} {waits}");
    interrupted(
        &[&runs, &waits],
        &format!("{waits} pending"),
        &format!(
            "interrupted; {runs}, {waits} go on: gobctl queue wait {both}; or cancel them: gobctl queue cancel {both}"
        ),
    );
    assert_eq!((status(&runs), status(&waits)), (json!("running"), json!("pending")));
    gob.ctl(["queue", "cancel", &waits]).ok();
    interrupted(
        &[&runs, &waits],
        &format!("{runs} running"),
        &format!(
            "interrupted; {runs} goes on: gobctl queue wait {runs}; or cancel it: gobctl queue cancel {runs}"
        ),
    );
    gob.ctl(["queue", "cancel", &runs]).ok();
}

#[test]
fn with_stop_ends_unused_workers_that_it_started() {
    let gob = Gob::new();
    let pid = |name: &str| gob.connect().ok("get", json!({"name": name}))["worker"]["pid"].as_i64();
    gob.ctl(["start", "theirs"]).ok();
    let out = gob.ctl(["with", "theirs", "mine", "--stop", "--", "sh", "-c", "exit 3"]).fails(3);
    assert_eq!((pid("mine"), out.stderr.as_str()), (None, ""));
    assert!(pid("theirs").is_some_and(|pid| is_alive(pid as i32)), "it was there before");
    let mut other = gob.connect_as("desktop");
    let script = format!("while ! test -e {}; do sleep 0.02; done", gob.dir().join("go").display());
    let mut call = gob.ctl(["with", "mine", "--stop", "--", "sh", "-c", &script]);
    let child = call.command().spawn().unwrap();
    assert!(wait::until(DEADLINE, || pid("mine").is_some()));
    other.ok("lease", json!({"name": "mine"}));
    std::fs::write(gob.dir().join("go"), "").unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success());
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "mine goes on: others hold it, leases: 1\n");
    assert!(pid("mine").is_some());
    // A worker that came up beside a failed one is ended too.
    gob.script("bad", &[Step::Exit(1)]);
    gob.ctl(["with", "fresh", "bad", "--stop", "--", "true"]).fails(125);
    assert_eq!(pid("fresh"), None);
    let refused = gob.ctl(["with", "a-b", "a_b", "--", "true"]).fails(2);
    assert!(refused.stderr.contains("a-b and a_b would both be GOB_ENDPOINT_A_B"), "{refused}");
}

#[test]
fn the_endpoint_is_the_last_line_of_every_start() {
    let gob = Gob::new();
    let first = gob.ctl(["start", "demo"]).ok();
    let again = gob.ctl(["start", "demo"]).ok();
    let quiet = gob.ctl(["start", "demo", "-q"]).ok();
    assert!(again.starts_with("demo is already running (pid "), "{again}");
    assert_eq!(first.lines().last(), again.lines().last());
    assert_eq!(quiet.lines().collect::<Vec<_>>(), [first.lines().last().unwrap()]);
}
