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

/// A desktop with a tray.
struct Watcher(Sender<String>);

#[zbus::interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    fn register_status_notifier_item(&self, service: String) {
        self.0.send(service).ok();
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }
}

struct Bus(Child, String);

impl Bus {
    fn open(gob: &Gob) -> Self {
        let mut child = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address"])
            .arg(format!("--address=unix:path={}", gob.dir().join("bus").display()))
            // Services that it starts keep their files below it.
            .env("HOME", gob.dir().join("home"))
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
    let gob = Gob::new();
    let bus = Bus::open(&gob);
    let (tell, told) = channel();
    let _desktop = zbus::blocking::connection::Builder::address(bus.1.as_str())
        .unwrap()
        .name("org.freedesktop.Notifications")
        .unwrap()
        .serve_at("/org/freedesktop/Notifications", Desktop(tell))
        .unwrap()
        .build()
        .unwrap();
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

#[test]
fn the_tray_tells_how_the_workers_are_and_closes_the_window() {
    if !has_display("the tray is not tried") {
        return;
    }
    if !screen::is_installed("dbus-daemon") {
        return require::skip(require::Need::Display, "the tray is not tried without dbus-daemon");
    }
    let gob = Gob::new();
    let bus = Bus::open(&gob);
    let (tell, told) = channel();
    let desktop = zbus::blocking::connection::Builder::address(bus.1.as_str())
        .unwrap()
        .name("org.kde.StatusNotifierWatcher")
        .unwrap()
        .serve_at("/StatusNotifierWatcher", Watcher(tell))
        .unwrap()
        .build()
        .unwrap();
    gob.ctl(["start", "notes", "--owner", "desktop"]).ok();
    let screen = Screen::open(&gob);
    let mut window = screen.window_with(&gob, &[("DBUS_SESSION_BUS_ADDRESS", bus.1.as_str())]);
    let item = told.recv_timeout(DEADLINE).expect("an item of the tray");
    let of_item = |path: &'static str, interface: &'static str| {
        zbus::blocking::Proxy::new(&desktop, item.clone(), path, interface).unwrap()
    };
    let title = || {
        let item = of_item("/StatusNotifierItem", "org.kde.StatusNotifierItem");
        item.get_property::<String>("Title").unwrap_or_default()
    };
    assert!(wait::until(DEADLINE, || title() == "gob: 1 ready"), "{}", title());
    gob.ctl(["add", "--name", "bad", "--", "/no/such/program"]).run();
    assert!(wait::until(DEADLINE, || title() == "gob: 1 ready, 1 failed"), "{}", title());
    // The last item of the menu closes the window, and the worker goes on.
    let menu = of_item("/MenuBar", "com.canonical.dbusmenu");
    let label = |id: &i32| {
        let value = menu.call::<_, _, OwnedValue>("GetProperty", &(*id, "label"));
        value.ok().and_then(|value| String::try_from(value).ok())
    };
    let close = (1..100).find(|id| label(id).is_some_and(|label| label.starts_with("Close"))).unwrap();
    let data = zbus::zvariant::Value::from(0_i32);
    menu.call::<_, _, ()>("Event", &(close, "clicked", data, 0_u32)).unwrap();
    assert_eq!(window.end(), Some(0));
    assert_eq!(worker(&gob, "notes")["state"], "ready");
}
