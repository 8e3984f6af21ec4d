//! Notifications, on a bus of the test's own.

use super::*;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use zbus::zvariant::OwnedValue;

/// A desktop that shows notifications.
struct Desktop(Sender<(String, String)>);

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Desktop {
    #[expect(clippy::too_many_arguments, reason = "the specification's")]
    fn notify(
        &self,
        _app: String,
        _replaces: u32,
        _icon: String,
        summary: String,
        body: String,
        _actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _expires: i32,
    ) -> u32 {
        self.0.send((summary, body)).ok();
        1
    }
}

struct Bus(Child, String);

impl Bus {
    fn open() -> Self {
        let mut child = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address", "--address=unix:tmpdir=/tmp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon");
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self(child, address.trim().to_owned())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_failure_and_a_hand_over_are_told_of_workers_that_were_chosen() {
    if !has_display("notifications are not tried") {
        return;
    }
    if !screen::is_installed("dbus-daemon") {
        return require::skip(require::Need::Display, "notifications are not tried without dbus-daemon");
    }
    let bus = Bus::open();
    let (tell, told) = channel();
    let _desktop = zbus::blocking::connection::Builder::address(bus.1.as_str())
        .unwrap()
        .name("org.freedesktop.Notifications")
        .unwrap()
        .serve_at("/org/freedesktop/Notifications", Desktop(tell))
        .unwrap()
        .build()
        .unwrap();
    let gob = Gob::new();
    std::fs::write(gob.dir().join("desktop.toml"), "notify = [\"notes\", \"bad\"]\n").unwrap();
    gob.ctl(["start", "notes", "other", "--owner", "desktop"]).ok();
    let screen = Screen::open(&gob);
    let _window = screen.window_with(&gob, &[("DBUS_SESSION_BUS_ADDRESS", bus.1.as_str())]);
    gob.ctl(["hand-over", "other", "cli", "--owner", "desktop"]).ok();
    gob.ctl(["hand-over", "notes", "cli", "--owner", "desktop"]).ok();
    let (summary, body) = told.recv_timeout(DEADLINE).expect("a notification");
    assert_eq!(summary, "notes was handed over");
    assert!(body.starts_with("to cli\nby desktop (gobctl, pid "), "{body}");
    gob.ctl(["add", "--name", "bad", "--", "/no/such/program"]).run();
    let (summary, _) = told.recv_timeout(DEADLINE).expect("a notification");
    assert_eq!(summary, "bad failed");
}
