//! One supervisor, however it is started and whatever files lie around (B1, E4).

use gob_tests::process::{self, Handle};
use gob_tests::require::root;
use gob_tests::wait::DEADLINE;
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

/// Has so many clients at once ask for the supervisor, and checks that all of them were answered by one.
pub(crate) fn many_at_once(gob: &Gob, clients: usize) {
    let mut calls: Vec<Ctl> = (0..clients).map(|_| gob.ctl(["status", "--json"])).collect();
    let pids: BTreeSet<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = calls
            .iter_mut()
            .map(|call| {
                scope.spawn(|| {
                    let output = call.run_within(Duration::from_secs(60));
                    assert_eq!(output.code, 0, "{output}");
                    let status: Value = serde_json::from_str(&output.stdout).unwrap();
                    status["pid"].as_i64().unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(pids.len(), 1, "{pids:?}");
    assert_eq!(gob.running("gobd").len(), 1);
    assert_eq!(gob.running("gob-keeper").len(), 1);
}

#[test]
fn a_hundred_cold_starts_at_once_make_one_supervisor() {
    many_at_once(&Gob::new(), 100);
}

#[test]
fn a_second_supervisor_reports_the_first_and_exits_0() {
    let gob = Gob::new();
    let status = gob.status();
    for program in ["gobd", "gob-keeper"] {
        let output = Ctl::new(&gob.bin(program), gob.env()).run();
        assert_eq!(output.code, 0, "{output}");
        assert!(
            !output.stderr.trim().is_empty() || !output.stdout.trim().is_empty(),
            "it says why: {output}"
        );
    }
    assert_eq!(gob.status()["instance"], status["instance"]);
    assert_eq!(gob.running("gobd").len(), 1);
}

#[test]
fn the_lock_file_names_the_supervisor_and_is_emptied_at_the_end() {
    let gob = Gob::new();
    let status = gob.status();
    let line = gob.lock_line().unwrap();
    assert_eq!((&line["pid"], &line["instance"]), (&status["pid"], &status["instance"]));
    assert_eq!(line["socket"], json!(gob.socket()));
    assert!(line["started_at"].is_string());
    let text = fs::read_to_string(gob.state_dir().join("gobd.lock")).unwrap();
    assert_eq!(text.lines().count(), 1);
    let keeper = status["keeper_pid"].as_i64().unwrap() as i32;
    assert_eq!(process::parent(gob.gobd_pid()), Some(keeper));
    let arguments = fs::read_to_string(format!("/proc/{keeper}/cmdline")).unwrap();
    let name = fs::read_to_string(format!("/proc/{keeper}/comm")).unwrap();
    let folder = gob.dir().display().to_string();
    assert!(!arguments.replace(&folder, "").contains("gobd") && !name.contains("gobd"), "{arguments} {name}");
    Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGTERM);
    assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
    assert_eq!(fs::read(gob.state_dir().join("gobd.lock")).unwrap(), b"", "emptied, not unlinked");
    for name in ["daemon.sock", "daemon.pid", "notify.sock"] {
        assert!(!gob.runtime_dir().join(name).exists(), "{name} is left");
    }
}

#[test]
fn stale_files_stop_no_start() {
    let gob = Gob::new();
    fs::create_dir(gob.runtime_dir()).unwrap();
    fs::set_permissions(gob.runtime_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    drop(UnixListener::bind(gob.socket()).unwrap());
    assert!(fs::metadata(gob.socket()).unwrap().file_type().is_socket(), "a socket of nobody");
    fs::write(gob.runtime_dir().join("daemon.pid"), "1\n").unwrap();
    fs::write(gob.runtime_dir().join("start.lock"), "garbage").unwrap();
    fs::write(gob.state_dir().join("gobd.lock"), "{\"pid\":1,\"socket\":\"/nowhere\" garbage \0\n").unwrap();
    gob.ctl(["ping"]).ok();
    assert_eq!(gob.lock_line().unwrap()["pid"], gob.status()["pid"]);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(gob.socket()), mode(gob.runtime_dir())), (0o600, 0o700));
}

#[test]
fn files_in_place_of_socket_and_pid_file_are_replaced() {
    let gob = Gob::new();
    fs::create_dir(gob.runtime_dir()).unwrap();
    fs::set_permissions(gob.runtime_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(gob.socket(), "not a socket").unwrap();
    gob.ctl(["ping"]).ok();
    assert!(fs::metadata(gob.socket()).unwrap().file_type().is_socket());
}

#[test]
fn another_program_that_answers_keeps_its_place() {
    let gob = Gob::new();
    fs::create_dir(gob.runtime_dir()).unwrap();
    fs::set_permissions(gob.runtime_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    let other = UnixListener::bind(gob.socket()).unwrap();
    let output = Ctl::new(&gob.bin("gob-keeper"), gob.env()).run_within(Duration::from_secs(60));
    assert_ne!(output.code, 0, "{output}");
    assert_eq!(gob.running("gobd"), Vec::<i32>::new());
    // The other program is unharmed: it accepts on the same path.
    let client = std::os::unix::net::UnixStream::connect(gob.socket()).unwrap();
    other.accept().unwrap();
    drop(client);
}

#[test]
fn the_first_shell_gets_its_prompt_back() {
    let gob = Gob::new();
    let mut call = Ctl::new("/bin/sh".as_ref(), gob.env());
    let output = call.args(["-c", "x=$(gobctl ping 2>&1); echo \"status $?\""]).run();
    assert_eq!(output.stdout, "status 0\n", "{output}");
    assert_eq!(gob.running("gobd").len(), 1);
}

#[test]
fn a_client_with_another_runtime_directory_finds_it() {
    let gob = Gob::new();
    let xdg = gob.dir().join("xdg");
    fs::create_dir(&xdg).unwrap();
    fs::set_permissions(&xdg, fs::Permissions::from_mode(0o700)).unwrap();
    let here = |ctl: &mut Ctl| {
        ctl.env_remove("GOB_RUNTIME_DIR").env("XDG_RUNTIME_DIR", xdg.to_str().unwrap()).json()
    };
    let there = |ctl: &mut Ctl| ctl.env_remove("GOB_RUNTIME_DIR").env_remove("XDG_RUNTIME_DIR").json();
    let first = here(&mut gob.ctl(["status", "--json"]));
    assert_eq!(first["socket"], json!(xdg.join("gob/daemon.sock")));
    let second = there(&mut gob.ctl(["status", "--json"]));
    assert_eq!((&first["pid"], &first["instance"]), (&second["pid"], &second["instance"]));
    here(&mut gob.ctl(["start", "g", "--json"]));
    let list = there(&mut gob.ctl(["list", "--json"]));
    assert_eq!(list["workers"][0]["name"], "g");
    assert_eq!(gob.running("gobd").len(), 1);
}

#[test]
fn another_user_gets_nothing() {
    if !root("only root can be somebody else for a moment") {
        return;
    }
    let gob = Gob::new();
    let status = gob.status();
    fs::set_permissions(gob.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    // The directory is soon closed again when it is opened to others, so a way in is made before.
    let way = fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(gob.socket()).unwrap();
    let socket = PathBuf::from(format!("/proc/self/fd/{}", way.as_raw_fd()));
    let answer = std::thread::spawn(move || {
        let nobody = 65534;
        // SAFETY: the system call itself, unlike its wrapper, changes only this thread, which ends right after.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, nobody, nobody, nobody) };
        assert_eq!(changed, 0);
        let mut conn = gob_tests::Conn::open(&socket);
        // The supervisor may have closed it already.
        drop(conn.try_send(b"{\"id\":1,\"type\":\"nuke\",\"payload\":{\"force\":true}}\n"));
        let answer = conn.frame_within(DEADLINE);
        conn.wait_closed();
        answer
    });
    let answer = answer.join().unwrap();
    if let Some(answer) = answer {
        assert_eq!(answer["error"]["code"], "permission-denied", "{answer}");
        assert_eq!(answer["id"], Value::Null, "nothing of the request was read: {answer}");
    }
    assert_eq!(gob.status()["instance"], status["instance"]);
}
