//! `gobctl mcp` beside supervisors that are killed, leave, or are stopped.

use crate::mcp::session::Session;
use gob_tests::Gob;
use gob_tests::process::Handle;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;

#[test]
fn another_supervisor_is_found_again_and_a_wait_hears_of_the_end() {
    let gob = Gob::new();
    let mut agent = Session::open(&gob, &[]);
    agent.ok("add", json!({"command": ["sleep", "1000"], "name": "web"}));
    let waits = agent.post_call("wait", json!({"name": "web", "timeout_ms": 60_000}));
    let instance = gob.status()["instance"].as_str().unwrap().to_owned();
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    gob.wait_other_instance(&instance);
    let told = agent.told(waits);
    assert!(told.text.starts_with("web has ended, and how is not known"), "{}", told.text);
    assert!(agent.ok("list", json!({})).text.starts_with("web: idle"));
    // One that left in order is started again by the next call.
    gob.ctl(["shutdown", "--force"]).ok();
    let has_left = || gob.processes().iter().all(|pid| *pid == agent.pid());
    assert!(wait::until(DEADLINE, has_left), "the supervisor does not leave");
    assert!(agent.ok("start", json!({"name": "web"})).text.starts_with("started web"));
    assert_eq!(agent.end().0, Some(0));
}

#[test]
fn a_stopped_supervisor_costs_a_call_its_time_and_the_server_nothing() {
    let gob = Gob::new();
    let mut agent = Session::open(&gob, &["--timeout", "2s"]);
    agent.ok("add", json!({"command": ["sleep", "1000"], "name": "web"}));
    let pid = gob.gobd_pid();
    let supervisor = Handle::open(pid).unwrap();
    supervisor.signal(Signal::SIGSTOP);
    assert!(wait::until(DEADLINE, || gob_tests::process::is_stopped(pid)), "it is not stopped");
    let calls: Vec<i64> = (0..5).map(|_| agent.post_call("list", json!({}))).collect();
    // Requests that need no supervisor are answered meanwhile.
    assert_eq!(agent.request("ping", json!({}))["result"], json!({}));
    assert!(agent.request("tools/list", json!({}))["result"].is_object());
    for id in calls {
        let told = agent.told(id);
        assert!(told.is_error && told.text.starts_with("client-timeout: "), "{}", told.text);
        assert!(told.text.contains("call status in some seconds"), "{}", told.text);
    }
    supervisor.signal(Signal::SIGCONT);
    let mut answers = || {
        let id = agent.post_call("list", json!({}));
        agent.told(id).text.starts_with("web: running")
    };
    assert!(wait::until(DEADLINE, &mut answers), "it does not answer again");
    assert_eq!(agent.end().0, Some(0));
}
