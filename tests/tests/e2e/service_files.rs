//! `gobctl daemon install` and `uninstall`, with systemd's programs and without (D1).

use gob_tests::program;
use gob_tests::require::{Need, root, skip};
use gob_tests::{Ctl, Gob, Output};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The error of systemctl and loginctl without a user's bus, as in a container.
const NO_BUS: &str = "echo 'Failed to connect to bus: No medium found' >&2; exit 1";

/// A user's machine with stand-ins for systemd's programs.
struct Machine {
    gob: Gob,
}

impl Machine {
    fn new() -> Self {
        Self { gob: Gob::new() }
    }

    /// Puts a program on PATH that notes its words, then does this.
    fn with(self, name: &str, does: &str) -> Self {
        let text =
            format!("#!/bin/sh\necho {name} \"$@\" >> {}\n{does}\n", self.gob.dir().join("calls").display());
        program::write(&self.gob.bin(name), &text, 0o755);
        self
    }

    /// As on a machine where a user is logged in.
    fn with_systemd(self) -> Self {
        self.with("systemctl", "exit 0").with("loginctl", "exit 0")
    }

    /// A call of gobctl with the standard directories, whose PATH has nothing of this machine's systemd.
    fn ctl<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ctl {
        let mut ctl = self.gob.ctl(args);
        ctl.env("PATH", self.gob.dir().join("bin").to_str().unwrap());
        ctl
    }

    fn install(&self, flags: &[&'static str]) -> Output {
        self.ctl(["daemon", "install"].into_iter().chain(flags.iter().copied())).run()
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.gob.dir().join("calls")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    fn units(&self) -> PathBuf {
        self.gob.dir().join("home/.config/systemd/user")
    }

    fn unit(&self, name: &str) -> String {
        fs::read_to_string(self.units().join(name)).unwrap()
    }

    fn enabled(&self) -> [bool; 2] {
        ["default.target.wants/gobd.service", "sockets.target.wants/gobd.socket"]
            .map(|link| self.units().join(link).exists())
    }
}

fn says(output: &Output, code: i32, parts: &[&str]) {
    assert_eq!(output.code, code, "{output}");
    for part in parts {
        assert!(format!("{}{}", output.stdout, output.stderr).contains(part), "{part}: {output}");
    }
}

#[test]
fn install_writes_enables_and_starts_a_unit_and_changes_nothing_the_second_time() {
    let machine = Machine::new().with_systemd();
    let output = machine.install(&[]);
    says(&output, 0, &["wrote ", "/gobd.service\n", "enabled by ", "started gobd.service\n"]);
    assert!(output.stderr.is_empty(), "{output}");
    let unit = machine.unit("gobd.service");
    let keeper = machine.gob.bin("gob-keeper");
    for line in [
        &format!("ExecStart={} --log", keeper.display()),
        "Type=notify",
        "Delegate=yes",
        "Restart=on-failure",
        "KillMode=mixed",
        &format!("Environment=\"GOB_STATE_DIR={}\"", machine.gob.state_dir().display()),
    ] {
        assert!(unit.lines().any(|there| there == line), "{line}: {unit}");
    }
    assert_eq!(machine.enabled(), [true, false]);
    assert_eq!(machine.calls(), ["systemctl --user daemon-reload", "systemctl --user start gobd.service"]);
    says(&machine.install(&[]), 0, &["is up to date: "]);
    assert_eq!(machine.unit("gobd.service"), unit);
    // Another gob in its place, and no word about a rewrite that did not happen.
    fs::write(machine.units().join("gobd.service"), unit.replace("/bin/gob-keeper", "/old/gob-keeper"))
        .unwrap();
    says(&machine.install(&[]), 0, &["wrote anew "]);
    assert_eq!(machine.unit("gobd.service"), unit);
    says(&machine.ctl(["daemon", "uninstall"]).run(), 0, &["removed "]);
    assert_eq!((machine.enabled(), machine.units().join("gobd.service").exists()), ([false; 2], false));
    says(&machine.ctl(["daemon", "uninstall"]).run(), 0, &["nothing of gobctl's was installed"]);
}

#[test]
fn socket_activation_can_be_had_and_given_back() {
    let machine = Machine::new().with_systemd();
    says(&machine.install(&["--socket-activation"]), 0, &["started gobd.socket\n"]);
    let socket = machine.unit("gobd.socket");
    for line in [
        &format!("ListenStream={}", machine.gob.socket().display()),
        &format!("ExecStartPre={} --unlocked", machine.gob.bin("gob-keeper").display()),
        "SocketMode=0600",
        "DirectoryMode=0700",
    ] {
        assert!(socket.lines().any(|there| there == line), "{line}: {socket}");
    }
    assert_eq!(machine.enabled(), [false, true]);
    says(&machine.install(&[]), 0, &["removed ", "stopped gobd.socket", "started gobd.service\n"]);
    assert_eq!((machine.enabled(), machine.units().join("gobd.socket").exists()), ([true, false], false));
    machine.install(&["--socket-activation"]);
    says(&machine.ctl(["daemon", "uninstall"]).run(), 0, &["stopped gobd.socket", "removed "]);
    assert_eq!(machine.calls().iter().filter(|call| *call == "systemctl --user stop gobd.socket").count(), 2);
    // With the standard directories, the path is the same in every session.
    let mut standard = machine.ctl(["daemon", "install", "--socket-activation", "--print"]);
    let output = standard.env_remove("GOB_RUNTIME_DIR").env("XDG_RUNTIME_DIR", "/run/user/1000").run();
    assert!(output.stdout.contains("\nListenStream=%t/gob/daemon.sock\n"), "{output}");
    let long = format!("/{}", "x".repeat(120));
    let output =
        machine.ctl(["daemon", "install", "--socket-activation"]).env("GOB_RUNTIME_DIR", &long).run();
    says(&output, 1, &["systemd takes 107", "hint: choose a shorter GOB_RUNTIME_DIR"]);
}

#[test]
fn print_shows_the_files_and_writes_nothing() {
    let machine = Machine::new().with_systemd();
    let output = machine.install(&["--socket-activation", "--print", "--linger"]);
    says(&output, 0, &["/gobd.service\n", "/gobd.socket\n", "[Socket]"]);
    let json: Value = serde_json::from_str(&machine.install(&["--print", "--json"]).stdout).unwrap();
    assert_eq!(json["files"].as_array().unwrap().len(), 1);
    assert!(json["files"][0]["text"].as_str().unwrap().contains("ExecStart="), "{json}");
    assert!(!machine.gob.dir().join("home/.config").exists());
    assert_eq!(machine.calls(), Vec::<String>::new());
}

#[test]
fn without_a_bus_the_unit_is_written_and_enabled_and_the_rest_is_named() {
    let machine = Machine::new()
        .with("systemctl", NO_BUS)
        .with("loginctl", "echo 'Could not enable linger: Access denied' >&2; exit 1");
    let parts = [
        "wrote ",
        "enabled by ",
        "not done: start it: Failed to connect to bus: No medium found",
        "systemctl --user start gobd.service",
    ];
    says(&machine.install(&[]), 0, &parts);
    assert_eq!(machine.enabled(), [true, false]);
    // A flag asked for it.
    says(&machine.install(&["--linger"]), 1, &["not done: linger: Could not enable linger: Access denied"]);
    let output = machine.install(&["--linger", "--json"]);
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (output.code, &json["form"], &json["undone"][1]["what"]),
        (1, &"systemd".into(), &"linger".into())
    );
    says(
        &machine.ctl(["daemon", "uninstall"]).run(),
        0,
        &["removed ", "not done: tell systemd: Failed to connect"],
    );
    // And with one that hears it.
    let machine = machine.with_systemd();
    says(&machine.install(&["--linger"]), 0, &["enabled linger"]);
    assert!(machine.calls().contains(&"loginctl enable-linger".to_owned()));
}

#[test]
fn a_running_supervisor_is_left_alone() {
    let machine = Machine::new().with_systemd();
    let pid = machine.gob.status()["pid"].to_string();
    says(
        &machine.install(&[]),
        0,
        &[&format!("not done: start it: the supervisor (pid {pid}) was not started by the unit")],
    );
    assert_eq!(machine.calls(), ["systemctl --user daemon-reload"]);
    let doctor = machine.ctl(["doctor"]).run();
    assert!(
        doctor.stdout.contains(&format!("is enabled, and the supervisor (pid {pid}) was not started by it")),
        "{doctor}"
    );
    says(
        &machine.ctl(["daemon", "uninstall"]).run(),
        0,
        &[&format!("the running supervisor (pid {pid}); gobctl daemon stop ends it")],
    );
    assert_eq!(machine.gob.status()["pid"].to_string(), pid);
}

#[test]
fn without_systemd_the_desktop_starts_it() {
    let machine = Machine::new();
    let file = machine.gob.dir().join("home/.config/autostart/gob.desktop");
    says(
        &machine.install(&[]),
        0,
        &["wrote ", "gob.desktop\n", "not done: start it: the desktop does that at the next login"],
    );
    let text = fs::read_to_string(&file).unwrap();
    let exec = text.lines().find_map(|line| line.strip_prefix("Exec=")).unwrap();
    assert!(exec.ends_with(&format!(" {} daemon start", machine.gob.bin("gobctl").display())), "{text}");
    // The content of the file is a command.
    assert!(
        Command::new("/bin/sh")
            .args(["-c", exec])
            .env_clear()
            .env("HOME", machine.gob.dir().join("home"))
            .env("PATH", "/usr/bin:/bin")
            .status()
            .unwrap()
            .success()
    );
    machine.gob.ctl(["ping", "--no-autostart"]).ok();
    says(&machine.install(&[]), 0, &["is up to date: ", "left alone: the running supervisor"]);
    for flag in ["--linger", "--socket-activation"] {
        says(&machine.install(&[flag]), 1, &[&format!("error: {flag} needs systemd"), "hint: "]);
    }
    says(&machine.ctl(["daemon", "uninstall"]).run(), 0, &["removed "]);
    assert!(!file.exists());
}

#[test]
fn of_two_forms_one_is_left_and_none_after_an_uninstall() {
    let machine = Machine::new();
    let desktop = machine.gob.dir().join("home/.config/autostart/gob.desktop");
    says(&machine.install(&[]), 0, &["wrote "]);
    let doctor = machine.ctl(["doctor"]).run();
    assert!(doctor.stdout.contains(&format!("{} starts it at a login", desktop.display())), "{doctor}");
    // systemctl comes on PATH.
    let machine = machine.with_systemd();
    says(&machine.install(&[]), 0, &["gobd.service\n", &format!("removed {}\n", desktop.display())]);
    assert!(!desktop.exists() && machine.enabled() == [true, false]);
    fs::remove_file(machine.gob.bin("systemctl")).unwrap();
    says(&machine.install(&[]), 0, &["wrote ", "gob.desktop\n", "removed ", "gobd.service\n"]);
    assert!(desktop.exists() && machine.enabled() == [false, false]);
    // Another program's file of that name is not gob's.
    let machine = machine.with_systemd();
    says(&machine.ctl(["daemon", "uninstall"]).run(), 0, &[&format!("removed {}\n", desktop.display())]);
    fs::write(&desktop, "[Desktop Entry]\n").unwrap();
    says(&machine.install(&[]), 0, &["gobd.service\n"]);
    says(&machine.ctl(["daemon", "uninstall"]).run(), 0, &["gobd.service\n"]);
    assert!(desktop.exists());
}

#[test]
fn what_gobctl_did_not_write_stays() {
    let machine = Machine::new().with_systemd();
    fs::create_dir_all(machine.units()).unwrap();
    let path = machine.units().join("gobd.service");
    fs::write(&path, "[Service]\nExecStart=/usr/bin/true\n").unwrap();
    let parts = [
        "gobd.service is there already",
        "gobctl did not write it; nothing was changed",
        "hint: to have gob's own, move it away first: mv ",
    ];
    says(&machine.install(&[]), 1, &parts);
    assert_eq!(machine.enabled(), [false; 2]);
    let doctor = machine.ctl(["doctor"]).run();
    assert!(
        doctor.stdout.contains("gobd.service starts /usr/bin/true, and this gobctl belongs to "),
        "{doctor}"
    );
    says(
        &machine.ctl(["daemon", "uninstall"]).run(),
        0,
        &["left alone, since gobctl did not write it: ", "nothing was removed"],
    );
    fs::remove_file(&path).unwrap();
    // systemctl --user mask
    symlink("/dev/null", &path).unwrap();
    says(&machine.install(&[]), 1, &["it is a link to /dev/null"]);
    assert!(machine.ctl(["doctor"]).run().stdout.contains("gobd.service is masked"));
    says(&machine.ctl(["daemon", "uninstall"]).run(), 0, &["left alone"]);
    assert_eq!(fs::read_link(&path).unwrap(), Path::new("/dev/null"));
    assert_eq!(machine.calls(), Vec::<String>::new());
    fs::remove_file(&path).unwrap();
    // A file in the place of the link that enables it.
    fs::create_dir(machine.units().join("default.target.wants")).unwrap();
    fs::write(machine.units().join("default.target.wants/gobd.service"), "mine").unwrap();
    says(&machine.install(&[]), 1, &["default.target.wants/gobd.service is there already"]);
    assert!(!path.exists(), "all or nothing");
}

#[test]
fn a_unit_that_is_not_enabled_or_of_another_gob_is_found_by_doctor() {
    let machine = Machine::new().with_systemd();
    let says = |part: &str| {
        let doctor = machine.ctl(["doctor"]).run();
        assert!(doctor.stdout.contains(part), "{part}: {doctor}");
    };
    says("none is installed; gobctl starts the supervisor when it is needed (gobctl daemon install)");
    machine.install(&[]);
    says("gobd.service is enabled");
    fs::remove_file(machine.units().join("default.target.wants/gobd.service")).unwrap();
    says("gobd.service is not enabled: nothing starts it");
    let unit = machine.unit("gobd.service").replace("/bin/gob-keeper", "/old/gob-keeper");
    fs::write(machine.units().join("gobd.service"), unit).unwrap();
    says("gobctl daemon install writes it anew");
}

#[test]
fn directories_that_cannot_be_used_are_named() {
    let machine = Machine::new().with_systemd();
    // A file in the place of a directory: for root too, who may write anywhere.
    fs::write(machine.gob.dir().join("home/.config"), "").unwrap();
    says(&machine.install(&[]), 1, &["error: cannot write ", "gobd.service", "Not a directory"]);
    fs::remove_file(machine.gob.dir().join("home/.config")).unwrap();
    // The configuration's own place has no say about units, and a relative directory counts as not set.
    let output = machine
        .ctl(["daemon", "install", "--print"])
        .env("GOB_CONFIG", "/elsewhere/x.toml")
        .env("XDG_CONFIG_HOME", "relative")
        .run();
    says(&output, 0, &["/home/.config/systemd/user/gobd.service\n"]);
    let output = machine.ctl(["daemon", "install", "--print"]).env("XDG_CONFIG_HOME", "/xdg").run();
    says(&output, 0, &["==> /xdg/systemd/user/gobd.service\n"]);
    // Without HOME the user database has it.
    let output = machine.ctl(["daemon", "install", "--print"]).env_remove("HOME").run();
    says(&output, 0, &["/.config/systemd/user/gobd.service\n"]);
    let output = machine.ctl(["daemon", "install"]).env("GOB_LOG", "a\nb").run();
    says(&output, 1, &["GOB_LOG cannot stand in a unit"]);
    assert!(!machine.units().exists());
    if root("the home of another user is made by root") {
        let home = machine.gob.dir().join("ada");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(65534), Some(65534)).unwrap();
        let output = machine.ctl(["daemon", "install"]).env("HOME", home.to_str().unwrap()).run();
        says(&output, 1, &["error: "]);
        assert_eq!(fs::read_dir(&home).unwrap().count(), 0, "{output}");
    } else {
        fs::create_dir_all(machine.units()).unwrap();
        fs::set_permissions(machine.units(), Permissions::from_mode(0o500)).unwrap();
        says(&machine.install(&[]), 1, &["error: cannot write ", "Permission denied"]);
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if !Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success())
    {
        return skip(Need::Systemd, "systemd-analyze is not here");
    }
    let machine = Machine::new().with_systemd();
    says(&machine.install(&["--socket-activation"]), 0, &[]);
    let runtime = machine.gob.dir().join("xdg");
    fs::create_dir(&runtime).unwrap();
    fs::set_permissions(&runtime, Permissions::from_mode(0o700)).unwrap();
    let verify = |unit: &str| {
        let mut command = Command::new("systemd-analyze");
        command.args(["verify", "--user", "--man=no"]).arg(machine.units().join(unit));
        command
            .env("HOME", machine.gob.dir().join("home"))
            .env("XDG_RUNTIME_DIR", &runtime)
            .env_remove("XDG_CONFIG_HOME");
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for unit in ["gobd.service", "gobd.socket"] {
        let (is_good, said) = verify(unit);
        assert!(is_good, "{said}");
        // Units of the machine are read as well, and their trouble is none of gob's.
        assert!(!said.lines().any(|line| line.contains("gobd.")), "{said}");
    }
    // It finds what is wrong.
    let path = machine.units().join("gobd.service");
    fs::write(&path, machine.unit("gobd.service").replace("KillMode=mixed", "KillMode=mixd")).unwrap();
    assert!(verify("gobd.service").1.contains("mixd"));
}
