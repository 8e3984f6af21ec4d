//! `gobctl --host … with`: endpoints of another machine at addresses here, while a command runs.

use gob_tests::Worker;
use gob_tests::there::There;
use gob_tests::wait::{self, DEADLINE};
use serde_json::json;
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
