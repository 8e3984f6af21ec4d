//! `gobctl --host … with`: endpoints of another machine at addresses here, while a command runs.

use gob_tests::Worker;
use gob_tests::process::Handle;
use gob_tests::terminal::Terminal;
use gob_tests::there::There;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

#[test]
fn a_socket_over_there_is_one_here_for_the_time_of_a_command() {
    let Some(there) = There::with("/bin/sh", Worker::Real) else { return };
    let script = "echo $GOB_ENDPOINT; test \"$GOB_ENDPOINT\" = \"$GOB_ENDPOINT_NOTES_A\" || exit 9; \
                  echo '{\"id\":1,\"type\":\"stats\"}' | python3 -c '\
import os,socket,sys\n\
s = socket.socket(socket.AF_UNIX)\n\
s.connect(os.environ[\"GOB_ENDPOINT\"][5:])\n\
s.sendall(sys.stdin.buffer.read())\n\
print(s.recv(1000).decode())'; exit 3";
    let ran = there.ctl(["with", "notes:a", "--", "sh", "-c", script]).fails(3);
    let (endpoint, answer) = ran.stdout.split_once('\n').unwrap();
    let socket = Path::new(endpoint.strip_prefix("unix:").unwrap());
    assert!(answer.contains("\"success\":true"), "{ran}");
    assert!(!socket.exists() && !socket.parent().unwrap().exists(), "nothing is left of {endpoint}");
    let leases = || there.ctl(["get", "notes:a", "--json"]).json()["worker"]["leases"].clone();
    assert!(wait::until(DEADLINE, || leases() == 0), "the lease has ended: {}", leases());
    let calls = there.calls();
    let forwarding = calls.lines().find(|call| call.contains(" -L ")).unwrap();
    assert!(
        forwarding.contains("ExitOnForwardFailure=yes") && forwarding.contains("-- there"),
        "{forwarding}"
    );
}

#[test]
fn a_port_over_there_is_one_here() {
    let Some(there) = There::new() else { return };
    let files = there.gob.dir().join("files");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("x"), "over there").unwrap();
    let config = format!(
        "[kind.web]\ncommand = [\"python3\", \"-m\", \"http.server\", \"{{port}}\", \"--bind\", \"127.0.0.1\", \
         \"--directory\", \"{}\"]\nreadiness = {{ type = \"http\", path = \"/\" }}\n",
        files.display()
    );
    std::fs::write(there.gob.dir().join("config.toml"), config).unwrap();
    let started = there.ctl(["start", "w", "--kind", "web", "--json"]).json();
    let endpoint = started["worker"]["endpoint"].as_str().unwrap().to_owned();
    let script = "echo $GOB_ENDPOINT; python3 -c 'import os,urllib.request as u; \
                  print(u.urlopen(os.environ[\"GOB_ENDPOINT\"] + \"/x\").read().decode())'";
    let ran = there.ctl(["with", "w", "--", "sh", "-c", script]).ok();
    let (here, answer) = ran.split_once('\n').unwrap();
    assert!(here.starts_with("http://127.0.0.1:") && here != endpoint, "{ran}");
    assert_eq!(answer, "over there\n");
}

#[test]
fn a_worker_that_with_has_started_is_stopped_over_there() {
    let Some(there) = There::with("/bin/sh", Worker::Real) else { return };
    there.ctl(["with", "ci", "--stop", "--", "true"]).ok();
    let worker = there.ctl(["get", "ci", "--json"]).json();
    assert_eq!(worker["worker"]["state"], json!("idle"), "{worker}");
    let mut hidden = there.ctl(["with", "ci", "--", "true"]);
    hidden.env("GOB_TEST_SECRET", "x").ok();
    let pid = there.ctl(["start", "ci", "--json"]).json()["worker"]["pid"].as_i64().unwrap();
    let env = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    assert!(!env.contains("GOB_TEST_SECRET") && env.contains("home"), "{env}");
}

#[test]
fn endpoints_that_sshd_does_not_forward_fail_before_the_command() {
    let Some(there) = There::with("/bin/sh", Worker::Real) else { return };
    let file = there.here.dir().join("ran");
    let touch = format!("touch {}", file.display());
    // The directory of the sockets can't be entered by ssh: as where no local socket can be made.
    there.configure("  LocalForward 127.0.0.1:1 127.0.0.1:1\n  ExitOnForwardFailure yes\n");
    there.ctl(["ping"]).ok();
    let mut with = there.ctl(["with", "g", "--", "sh", "-c", &touch]);
    let ran = with.run();
    assert!(ran.code == 0 || ran.code == 125, "{ran}");
    assert_eq!(file.exists(), ran.code == 0, "{ran}");
}

/// A command that tells its endpoint in a file, waits for another file, and asks the endpoint.
fn script(there: &There) -> String {
    let dir = there.here.dir().display();
    format!(
        "echo $GOB_ENDPOINT >{dir}/.told; mv {dir}/.told {dir}/told; while ! test -e {dir}/go; do sleep 0.05; done; python3 -c '\
import os,socket\n\
s = socket.socket(socket.AF_UNIX)\n\
s.connect(os.environ[\"GOB_ENDPOINT\"][5:])\n\
s.sendall(b\"{{\\\"id\\\":1,\\\"type\\\":\\\"stats\\\"}}\\n\")\n\
print(s.recv(1000).decode())'"
    )
}

#[test]
fn a_forwarding_that_is_lost_is_made_again_at_the_same_address() {
    let Some(there) = There::with("/bin/sh", Worker::Real) else { return };
    let mut with = there.ctl(["with", "g", "--", "sh", "-c", &script(&there)]).spawn();
    assert!(wait::until(DEADLINE, || there.here.dir().join("told").exists()));
    let forwards = there.ssh_with(" -L ");
    assert_eq!(forwards.len(), 1, "{}", there.calls());
    Handle::open(forwards[0]).unwrap().signal(Signal::SIGKILL);
    let mut said = BufReader::new(with.stderr.take().unwrap()).lines();
    let mut says = |want: &str| assert_eq!(said.next().unwrap().unwrap(), want);
    says("the connection to ssh://there that forwards the endpoints was lost; connecting again");
    says("the endpoints are forwarded to ssh://there again");
    std::fs::write(there.here.dir().join("go"), "").unwrap();
    let mut answer = String::new();
    with.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
    assert_eq!(with.wait().unwrap().code(), Some(0), "{answer}");
    assert!(answer.contains("\"success\":true"), "{answer}");
    assert!(wait::until(DEADLINE, || there.ssh().is_empty()), "no ssh is left");
}

#[test]
fn a_lost_connection_of_held_workers_is_told_as_that() {
    let Some(there) = There::with("/bin/sh", Worker::Real) else { return };
    let mut with = there.ctl(["with", "g", "--", "sh", "-c", &script(&there)]).spawn();
    assert!(wait::until(DEADLINE, || there.here.dir().join("told").exists()));
    for ssh in there.ssh_with("gob proxy") {
        Handle::open(ssh).unwrap().signal(Signal::SIGKILL);
    }
    let mut said = BufReader::new(with.stderr.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    let want = "the connection to ssh://there was lost; the command goes on, and the leases of g are taken again once it is there";
    assert_eq!(first, want);
    let again = said.next().unwrap().unwrap();
    assert!(again.starts_with("holding g again (pid "), "{again}");
    std::fs::write(there.here.dir().join("go"), "").unwrap();
    assert_eq!(with.wait().unwrap().code(), Some(0));
}

#[test]
fn signals_reach_the_command_and_nothing_is_left_of_its_endpoints() {
    let Some(there) = There::with("/bin/sh", Worker::Real) else { return };
    let told = there.here.dir().join("told");
    let script = format!(
        "trap 'echo term; exit 9' TERM; echo $GOB_ENDPOINT >{0}.new; mv {0}.new {0}; while :; do sleep 0.05; done",
        told.display()
    );
    let mut with = there.ctl(["with", "g", "--", "sh", "-c", &script]).spawn();
    assert!(wait::until(DEADLINE, || told.exists()));
    Handle::open(with.id() as i32).unwrap().signal(Signal::SIGTERM);
    let mut said = String::new();
    with.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((with.wait().unwrap().code(), said.as_str()), (Some(9), "term\n"));
    let endpoint = || std::fs::read_to_string(&told).unwrap();
    let dir = |endpoint: &str| {
        Path::new(endpoint.trim().strip_prefix("unix:").unwrap()).parent().unwrap().to_owned()
    };
    assert!(!dir(&endpoint()).exists(), "{}", endpoint());
    std::fs::remove_file(&told).unwrap();
    // The key of a terminal, which ends the command by itself.
    let script = format!("echo $GOB_ENDPOINT >{0}.new; mv {0}.new {0}; exec sleep 60", told.display());
    let mut terminal = Terminal::session(there.ctl(["with", "g", "--", "sh", "-c", &script]), 80);
    assert!(wait::until(DEADLINE, || told.exists()));
    terminal.type_in("\u{3}");
    let (code, shown) = terminal.end();
    assert_eq!(code, 130, "{shown}");
    assert!(!dir(&endpoint()).exists(), "{}", endpoint());
}

#[test]
fn an_interrupt_before_the_endpoints_are_forwarded_leaves_nothing() {
    let Some(there) = There::with("/bin/sh", Worker::Real) else { return };
    there.ctl(["start", "g"]).ok();
    // An ssh that never gets to forward.
    let ssh = std::fs::read_to_string(there.here.bin("ssh")).unwrap();
    let waits = ssh.replacen("#!/bin/sh\n", "#!/bin/sh\ncase \"$*\" in *' -L '*) exec sleep 60;; esac\n", 1);
    gob_tests::program::write(&there.here.bin("ssh"), &waits, 0o755);
    let tmp = there.here.dir().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    let mut with = there.ctl(["with", "g", "--", "true"]);
    with.env("TMPDIR", tmp.to_str().unwrap()).env("XDG_RUNTIME_DIR", "");
    let mut with = with.spawn();
    let made = || std::fs::read_dir(&tmp).unwrap().count();
    assert!(wait::until(DEADLINE, || made() == 1));
    Handle::open(with.id() as i32).unwrap().signal(Signal::SIGINT);
    assert_eq!(with.wait().unwrap().code(), Some(130));
    assert_eq!(made(), 0);
}
