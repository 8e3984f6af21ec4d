//! The units of `gobctl daemon install` under a real user manager of systemd (D1, B1 under activation).
//!
//! The manager runs in a mount namespace of its own, which is all that it takes to be believed to have been booted with systemd, and in a
//! control group of its own.

use crate::instance::many_at_once;
use gob_tests::process::{self, Handle};
use gob_tests::require::{Need, root, skip};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A user with a manager.
struct Machine {
    gob: Gob,
    manager: Child,
    group: PathBuf,
}

impl Machine {
    /// Starts a manager; `None`, which is said, where that can't be.
    fn new() -> Option<Self> {
        if !root("only root can give a manager a control group and mounts") {
            return None;
        }
        let systemd = ["/lib/systemd/systemd", "/usr/lib/systemd/systemd"].map(Path::new);
        let Some(systemd) = systemd.into_iter().find(|path| path.exists()) else {
            skip(Need::Systemd, "systemd is not here");
            return None;
        };
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let group = roots.into_iter().find(|root| root.join("cgroup.procs").exists());
        let group = group.map(|root| {
            root.join(
                format!("gob-test-manager-{}-{:?}", std::process::id(), std::thread::current().id())
                    .replace(['(', ')'], ""),
            )
        });
        let Some(group) = group.filter(|group| fs::create_dir(group).is_ok()) else {
            skip(Need::Cgroups, "no control group can be made");
            return None;
        };
        let gob = Gob::new();
        fs::create_dir(gob.dir().join("rt")).unwrap();
        let script = format!(
            "mount -t tmpfs none /run && mkdir -p /run/systemd/system && echo $$ >{}/cgroup.procs && exec {} --user",
            group.display(),
            systemd.display()
        );
        let mut manager = Command::new("unshare");
        manager.args(["--mount", "sh", "-c", &script]).env_clear().envs(gob.env()).envs(session(&gob));
        manager.env("SYSTEMD_LOG_TARGET", "console").env_remove("GOB_CONFIG");
        let log = File::create(gob.dir().join("state/manager.log")).unwrap();
        manager.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut machine = Self { manager: manager.spawn().unwrap(), gob, group };
        let is_up = || machine.gob.dir().join("rt/systemd/private").exists();
        let ended = |manager: &mut Child| manager.try_wait().unwrap().is_some();
        assert!(wait::until(DEADLINE, || is_up() || ended(&mut machine.manager)));
        if is_up() {
            // Until then it starts whatever is enabled by itself, such as a socket to which `install` then connects.
            let mut settled = machine.systemctl_call(["is-active", "default.target"]);
            assert!(wait::until(DEADLINE, || settled.run().code == 0));
            return Some(machine);
        }
        skip(Need::Mounts, "a user manager of systemd does not start in a namespace");
        None
    }

    fn ctl<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ctl {
        let mut ctl = self.gob.ctl(args);
        ctl.command().envs(session(&self.gob));
        ctl
    }

    fn systemctl<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> String {
        self.systemctl_call(args).ok()
    }

    fn systemctl_call<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ctl {
        let mut ctl = Ctl::new(Path::new("systemctl"), self.gob.env());
        ctl.command().envs(session(&self.gob));
        ctl.args(["--user"]).args(args);
        ctl
    }

    /// Returns a property of the service.
    fn shows(&self, property: &str) -> String {
        self.systemctl(["show", "gobd.service", "--value", "-p", property]).trim().to_owned()
    }

    fn pid(&self, property: &str) -> i32 {
        self.shows(property).parse().unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.ctl(["shutdown", "--force", "--no-autostart"]).run());
        if let Some(manager) = Handle::open(self.manager.id() as i32) {
            // Its own way to end: SIGRTMIN+24 (systemd(1)).
            drop(Command::new("kill").args(["-s", "RTMIN+24", &manager.pid.to_string()]).status());
            if !manager.wait_gone(DEADLINE) {
                manager.signal(Signal::SIGKILL);
            }
        }
        drop(self.manager.wait());
        // Where version 1 is mounted too, the manager makes a group of this name in its hierarchy.
        let name = self.group.file_name().unwrap();
        let others = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let mut all: Vec<PathBuf> = others.map(|entry| entry.path().join(name)).collect();
        all.push(self.group.clone());
        let removed = wait::until(DEADLINE, || all.iter().all(|group| removes(group)));
        assert!(removed || std::thread::panicking(), "{} has processes", self.group.display());
    }
}

/// Removes a control group and those below it.
fn removes(group: &Path) -> bool {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            removes(&entry.path());
        }
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}

/// The variables of a session, by which systemctl finds the manager.
fn session(gob: &Gob) -> [(&'static str, PathBuf); 1] {
    [("XDG_RUNTIME_DIR", gob.dir().join("rt"))]
}

#[test]
fn the_unit_starts_reloads_comes_back_upgrades_and_stops() {
    let Some(machine) = Machine::new() else { return };
    let told = machine.ctl(["daemon", "install"]).ok();
    assert!(told.contains("started gobd.service"), "{told}");
    machine.ctl(["start", "g"]).ok();
    let status = machine.ctl(["status", "--json"]).json();
    assert_eq!(
        (machine.shows("ActiveState"), machine.pid("MainPID")),
        ("active".to_owned(), status["keeper_pid"].as_i64().unwrap() as i32)
    );
    assert_eq!(machine.shows("StatusText"), format!("serving (pid {})", status["pid"]));
    machine.systemctl(["reload", "gobd.service"]);

    // A killed supervisor is the keeper's business, a killed keeper that of the manager.
    let gobd = status["pid"].as_i64().unwrap() as i32;
    Handle::open(gobd).unwrap().signal(Signal::SIGKILL);
    let next = machine.gob.wait_other_instance(status["instance"].as_str().unwrap());
    assert!(wait::until(DEADLINE, || machine.shows("StatusText") == format!("serving (pid {next})")));
    assert_eq!(
        (machine.shows("NRestarts").as_str(), machine.pid("MainPID")),
        ("0", status["keeper_pid"].as_i64().unwrap() as i32)
    );
    Handle::open(machine.pid("MainPID")).unwrap().signal(Signal::SIGKILL);
    assert!(
        wait::until(DEADLINE, || machine.shows("NRestarts") == "1" && machine.shows("SubState") == "running")
    );
    let worker = machine.ctl(["start", "g", "--json"]).json()["worker"]["pid"].as_i64().unwrap() as i32;

    // The main process stays what it is while the supervisor goes on with another program.
    let keeper = machine.pid("MainPID");
    machine.ctl(["daemon", "upgrade"]).ok();
    assert_eq!((machine.pid("MainPID"), machine.shows("ActiveState").as_str()), (keeper, "active"));
    assert_eq!(machine.ctl(["get", "g", "--json"]).json()["worker"]["pid"], worker);

    machine.systemctl(["stop", "gobd.service"]);
    assert_eq!(
        (machine.shows("ActiveState").as_str(), machine.shows("Result").as_str()),
        ("inactive", "success")
    );
    assert_eq!(process::survivors(&[worker, keeper], DEADLINE), Vec::<i32>::new());
    // A client that needs the supervisor has the manager start it, more often than the manager would by itself.
    for _ in 0..6 {
        machine.ctl(["daemon", "restart"]).ok();
    }
    machine.ctl(["start", "g"]).ok();
    assert_eq!(machine.shows("ActiveState"), "active");
    assert!(machine.ctl(["doctor"]).run().stdout.contains("gobd.service is enabled\n"));
    // One with other directories is none of the unit.
    let mut other = machine.ctl(["status", "--json"]);
    other.env("GOB_RUNTIME_DIR", machine.gob.dir().join("other").to_str().unwrap());
    other.env("GOB_STATE_DIR", machine.gob.dir().join("other-state").to_str().unwrap());
    assert_ne!(other.json()["pid"], machine.gob.gobd_pid());
    let mut end = machine.ctl(["shutdown"]);
    end.env("GOB_RUNTIME_DIR", machine.gob.dir().join("other").to_str().unwrap());
    end.env("GOB_STATE_DIR", machine.gob.dir().join("other-state").to_str().unwrap());
    end.ok();
    machine.ctl(["daemon", "stop"]).ok();
    assert!(wait::until(DEADLINE, || machine.shows("ActiveState") == "inactive"), "it is not started again");
    assert_eq!(machine.shows("Result"), "success");
    let told = machine.ctl(["daemon", "uninstall"]).ok();
    assert!(told.contains("removed "), "{told}");
}

#[test]
fn the_first_client_starts_the_unit_of_the_socket() {
    let Some(machine) = Machine::new() else { return };
    machine.ctl(["daemon", "install", "--socket-activation"]).ok();
    assert_eq!((machine.shows("ActiveState").as_str(), machine.gob.socket().exists()), ("inactive", true));
    // A hundred at once find one supervisor.
    many_at_once(&machine.gob, 100);
    let pid = machine.gob.gobd_pid();
    assert_eq!(machine.shows("StatusText"), format!("serving (pid {pid})"));
    let mut conn = machine.gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    machine.ctl(["daemon", "upgrade"]).ok();
    assert_eq!(machine.gob.gobd_pid(), pid, "it went on");
    conn.ok("get", json!({"name": "g"}));
    Handle::open(pid).unwrap().signal(Signal::SIGKILL);
    // In between a client waits in the socket's queue.
    assert!(machine.ctl(["list", "--no-autostart"]).ok().contains('g'));
    machine.systemctl(["stop", "gobd.service"]);
    assert!(machine.gob.socket().exists(), "the manager listens on");
    assert!(machine.ctl(["ping", "--no-autostart"]).ok().contains("pong"));
    machine.ctl(["daemon", "stop"]).ok();
    machine.ctl(["daemon", "uninstall"]).ok();
}
