//! Under a service manager: what it is told, and the socket that it listens on (B1 under activation).

use gob_tests::manager::{Manager, listen, listen_at};
use gob_tests::process::{self, Handle};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

fn pid(child: &Child) -> i32 {
    child.id() as i32
}

/// Waits for the end of a unit's process, and returns its exit code.
fn ends(child: &mut Child) -> Option<i32> {
    assert!(Handle::open(pid(child)).unwrap().wait_gone(DEADLINE), "it goes on");
    child.wait().unwrap().code()
}

/// Sends a signal to the main process of a unit, as a manager does to end it, and returns its exit code.
fn told_to_end(child: &mut Child) -> Option<i32> {
    Handle::open(pid(child)).unwrap().signal(Signal::SIGTERM);
    ends(child)
}

fn says_ready(told: &[String], keeper: i32) {
    assert_eq!(told[0], "READY=1", "{told:?}");
    assert_eq!(told[1], format!("MAINPID={keeper}"), "{told:?}");
    assert!(told[2].starts_with("STATUS=serving (pid "), "{told:?}");
}

#[test]
fn a_manager_is_told_of_readiness_of_a_reload_and_of_the_end() {
    let gob = Gob::new();
    let manager = Manager::new(&gob);
    let mut keeper = manager.start(&gob, &[]);
    says_ready(&manager.next(), pid(&keeper));
    assert!(gob.socket().exists(), "ready means that it serves");
    // The keeper passes it on, as ExecReload= does.
    Handle::open(pid(&keeper)).unwrap().signal(Signal::SIGHUP);
    let told = manager.next();
    assert_eq!(told[0], "RELOADING=1", "{told:?}");
    assert!(told[1].strip_prefix("MONOTONIC_USEC=").is_some_and(|at| at.parse::<u64>().is_ok()), "{told:?}");
    assert_eq!(manager.next(), ["READY=1"]);
    // A supervisor that is killed is started again by the keeper, which stays the main process.
    let (gobd, instance) = (gob.gobd_pid(), gob.status()["instance"].as_str().unwrap().to_owned());
    Handle::open(gobd).unwrap().signal(Signal::SIGKILL);
    says_ready(&manager.next(), pid(&keeper));
    assert_ne!(gob.wait_other_instance(&instance), gobd);
    assert!(gob.ctl(["daemon", "stop"]).ok().contains("the supervisor has exited"));
    assert_eq!(manager.next(), ["STOPPING=1"]);
    // A clean end: Restart=on-failure starts nothing.
    assert_eq!(ends(&mut keeper), Some(0));
    assert_eq!(manager.next_within(Duration::from_millis(1)), None);
}

#[test]
fn a_manager_that_ends_the_unit_sees_a_clean_end() {
    let gob = Gob::new();
    let manager = Manager::new(&gob);
    let mut keeper = manager.start(&gob, &[]);
    says_ready(&manager.next(), pid(&keeper));
    let worker = gob.connect_as("cli").ok("start", json!({"graph": "g"}))["worker"]["pid"].clone();
    assert_eq!(told_to_end(&mut keeper), Some(0));
    assert_eq!(manager.next(), ["STOPPING=1"]);
    assert!(!process::is_alive(worker.as_i64().unwrap() as i32));
    assert!(!gob.socket().exists());
}

#[test]
fn neither_workers_nor_a_detached_keeper_speak_to_the_manager() {
    let gob = Gob::new();
    let manager = Manager::new(&gob);
    gob.ctl(["add", "--name", "sleeper", "sleep", "1000"]).env("NOTIFY_SOCKET", manager.path()).ok();
    let worker = gob.connect().ok("get", json!({"name": "sleeper"}))["worker"]["pid"].as_i64().unwrap();
    for pid in [worker as i32, gob.gobd_pid()] {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        assert!(!String::from_utf8_lossy(&environment).contains("NOTIFY_SOCKET"), "{pid}");
    }
    gob.ctl(["shutdown"]).ok();
    let mut unit = manager.start(&gob, &[]);
    says_ready(&manager.next(), pid(&unit));
    gob.ctl(["start", "sleeper"]).ok();
    let worker = gob.connect().ok("get", json!({"name": "sleeper"}))["worker"]["pid"].as_i64().unwrap();
    let environment = fs::read(format!("/proc/{worker}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(!environment.contains("NOTIFY_SOCKET") && !environment.contains("LISTEN_"), "{environment}");
    assert_eq!(told_to_end(&mut unit), Some(0));
}

#[test]
fn a_unit_beside_another_supervisor_ends_in_order_and_says_so() {
    let gob = Gob::new();
    let manager = Manager::new(&gob);
    let other = gob.status()["pid"].as_i64().unwrap();
    let mut unit = manager.start(&gob, &[]);
    // Without READY=1 the manager would call it failed, and Restart= would try again and again.
    let told = manager.next();
    assert_eq!(told[0], "READY=1");
    assert_eq!(told[1], format!("STATUS=gob is already running (pid {other}), outside of this unit"));
    assert_eq!(ends(&mut unit), Some(0));
    assert_eq!(gob.status()["pid"].as_i64(), Some(other));
}

#[test]
fn a_socket_of_the_manager_is_served_by_every_supervisor_of_the_unit() {
    let gob = Gob::new();
    let manager = Manager::new(&gob);
    let listener = listen(&gob, 0o666);
    let inode = || fs::metadata(gob.socket()).map(|file| file.ino()).ok();
    let there = inode();
    // The client that causes the start connects before there is a supervisor, and is served by it.
    let mut first = gob.ctl(["ping", "--no-autostart"]);
    let mut first = first.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(wait::readable(listener.as_fd(), DEADLINE));
    let mut keeper = manager.start(&gob, &[listener.as_fd()]);
    says_ready(&manager.next(), pid(&keeper));
    let ended = first.wait_with_output_within();
    assert!(ended.0, "{}", ended.1);
    assert_eq!((inode(), gob.running("gob-keeper").len()), (there, 1));
    assert_eq!(fs::metadata(gob.socket()).unwrap().permissions().mode() & 0o777, 0o600);
    // The next one gets the same socket. A client that comes in between waits in its queue.
    let gobd = gob.gobd_pid();
    Handle::open(gobd).unwrap().signal(Signal::SIGKILL);
    let mut between = Conn::open(&gob.socket()).hello("cli");
    assert_ne!(between.ok("status", json!({}))["pid"].as_i64(), Some(i64::from(gobd)));
    says_ready(&manager.next(), pid(&keeper));
    drop(between);
    gob.ctl(["ping"]).ok();
    assert_eq!(inode(), there);
    // A restart of the unit by its manager: the socket stays and is served again.
    assert_eq!(told_to_end(&mut keeper), Some(0));
    assert_eq!(manager.next(), ["STOPPING=1"]);
    assert_eq!(inode(), there, "the manager listens there");
    let mut keeper = manager.start(&gob, &[listener.as_fd()]);
    says_ready(&manager.next(), pid(&keeper));
    gob.ctl(["ping", "--no-autostart"]).ok();
    assert_eq!(inode(), there);
    assert_eq!(told_to_end(&mut keeper), Some(0));
}

/// Waits for a call of gobctl.
trait Within {
    /// Returns whether it succeeded, and its standard error.
    fn wait_with_output_within(&mut self) -> (bool, String);
}

impl Within for Child {
    fn wait_with_output_within(&mut self) -> (bool, String) {
        assert!(Handle::open(pid(self)).unwrap().wait_gone(DEADLINE), "gobctl hangs");
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.stderr.take().unwrap(), &mut said).unwrap();
        (self.wait().unwrap().success(), said)
    }
}

#[test]
fn a_requested_end_takes_the_socket_away_from_clients_and_a_lost_one_is_healed() {
    let gob = Gob::new();
    let manager = Manager::new(&gob);
    let listener = listen(&gob, 0o600);
    let mut keeper = manager.start(&gob, &[listener.as_fd()]);
    says_ready(&manager.next(), pid(&keeper));
    fs::remove_file(gob.socket()).unwrap();
    assert!(wait::until(DEADLINE, || gob.socket().exists()), "healed");
    let gobd = gob.status()["pid"].as_i64();
    assert_eq!(gobd, Some(i64::from(gob.gobd_pid())));
    // A killed one left a socket at the path that no process listens on; the manager's is not to be reached any more.
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    says_ready(&manager.next(), pid(&keeper));
    gob.ctl(["ping", "--no-autostart"]).ok();
    // Whatever client connects next would start it again, and `list` and `doctor` connect too.
    gob.ctl(["daemon", "stop"]).ok();
    assert_eq!(ends(&mut keeper), Some(0));
    assert!(!gob.socket().exists());
    assert_eq!(manager.next(), ["STOPPING=1"]);
    assert_eq!(gob.ctl(["ping", "--no-autostart"]).run().code, 7);
    assert!(
        !wait::readable(listener.as_fd(), Duration::from_millis(1)),
        "nothing asks the manager for a start"
    );
    // Asked to, the manager starts it all the same, with a socket of its own.
    let mut keeper = manager.start(&gob, &[listener.as_fd()]);
    says_ready(&manager.next(), pid(&keeper));
    gob.ctl(["ping", "--no-autostart"]).ok();
    assert_eq!(told_to_end(&mut keeper), Some(0));
}

#[test]
fn an_activated_unit_that_loses_the_locks_leaves_no_client_waiting() {
    let gob = Gob::new();
    let manager = Manager::new(&gob);
    let other = gob.status()["pid"].as_i64();
    // The supervisor misses its socket and asks whoever has the place; this test looks for clients that are left waiting there.
    let gobd = Handle::open(gob.gobd_pid()).unwrap();
    gobd.signal(Signal::SIGSTOP);
    // A manager takes the place of any socket.
    let listener = listen(&gob, 0o600);
    let stream = UnixStream::connect(gob.socket()).unwrap();
    let mut unit = manager.start(&gob, &[listener.as_fd()]);
    assert!(manager.next()[1].contains("outside of this unit"));
    assert_eq!(ends(&mut unit), Some(0));
    assert!(
        !wait::readable(listener.as_fd(), Duration::from_millis(1)),
        "or the manager would start it again"
    );
    let mut conn = Conn::over(stream);
    conn.wait_closed();
    // The socket unit gives up, and the supervisor is to be found again.
    gobd.signal(Signal::SIGCONT);
    drop(listener);
    assert!(wait::until(DEADLINE, || gob.ctl(["ping", "--no-autostart"]).run().code == 0));
    assert_eq!(gob.status()["pid"].as_i64(), other);
}

#[test]
fn a_client_that_starts_a_supervisor_beside_a_socket_unit_ends_up_in_one() {
    let gob = Gob::new();
    let manager = Manager::new(&gob);
    let listener = listen(&gob, 0o600);
    // It was started by hand, and leaves the manager's socket alone.
    let by_hand = Ctl::new(&gob.bin("gob-keeper"), gob.env()).run();
    assert_ne!(by_hand.code, 0, "{by_hand}");
    assert!(by_hand.stderr.contains("another program answers on"), "{by_hand}");
    let mut keeper = manager.start(&gob, &[listener.as_fd()]);
    says_ready(&manager.next(), pid(&keeper));
    let mut calls: Vec<Ctl> = (0..8).map(|_| gob.ctl(["ping"])).collect();
    std::thread::scope(|scope| calls.iter_mut().for_each(|call| drop(scope.spawn(|| call.ok()))));
    assert_eq!((gob.running("gobd").len(), gob.running("gob-keeper").len()), (1, 1));
    assert_eq!(told_to_end(&mut keeper), Some(0));
}

#[test]
fn descriptors_that_are_not_its_socket_are_reported_and_left() {
    let gob = Gob::new();
    let manager = Manager::new(&gob);
    let (file, elsewhere) =
        (fs::File::open("/dev/null").unwrap(), listen_at(&gob.dir().join("x.sock"), 0o600));
    let mut keeper = manager.start(&gob, &[file.as_fd(), elsewhere.as_fd()]);
    says_ready(&manager.next(), pid(&keeper));
    let said = fs::read_to_string(&manager.journal).unwrap();
    for part in
        ["descriptor 3 of LISTEN_FDS is no such socket", "descriptor 4 of LISTEN_FDS is ", "x.sock, not "]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    gob.ctl(["ping", "--no-autostart"]).ok();
    assert_eq!((told_to_end(&mut keeper), manager.next()), (Some(0), vec!["STOPPING=1".to_owned()]));
    assert!(!gob.socket().exists(), "its own");
    // Descriptors for another process, and variables that make no sense.
    let listener = listen(&gob, 0o600);
    for (name, value, says) in [
        ("LISTEN_PID", "1", ""),
        ("LISTEN_PID", "x", "invalid LISTEN_PID"),
        ("LISTEN_FDS", "x", "invalid LISTEN_FDS"),
        ("LISTEN_FDS", "90", "Bad file descriptor"),
    ] {
        fs::remove_file(&manager.journal).unwrap();
        drop(fs::remove_file(gob.socket()));
        let mut keeper = manager.start_with(&gob, &[listener.as_fd()], &[(name, value)]);
        says_ready(&manager.next(), pid(&keeper));
        assert!(fs::read_to_string(&manager.journal).unwrap().contains(says), "{name}={value}");
        gob.ctl(["ping", "--no-autostart"]).ok();
        assert_eq!((told_to_end(&mut keeper), manager.next()), (Some(0), vec!["STOPPING=1".to_owned()]));
    }
}
