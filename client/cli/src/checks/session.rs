//! The fate of the workers at a logout. Under systemd three things decide it (docs/SERVICE.md): the control group of the supervisor,
//! `KillUserProcesses=` of logind, and whether the user lingers (loginctl(1)).

use super::scene::Scene;
use super::{Check, ok, warn};
use crate::process;
use crate::service::calls;
use std::path::Path;

const WHAT: &str = "logout";

/// Runs the check.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let user = gob_host::passwd::user(nix::unistd::geteuid().as_raw()).map(|user| user.name);
    let pid = scene.answers().map_or(0, |answers| answers.status.pid);
    let systemd = Path::new("/run/systemd/system").is_dir();
    let login = Login {
        systemd,
        lingers: user.is_some_and(|user| Path::new("/var/lib/systemd/linger").join(user).exists()),
        // logind knows its own default, which distributions change.
        kills: if systemd { calls::kills_user_processes() } else { None },
    };
    let group = process::cgroup(pid).map(|group| Place::of(&group)).unwrap_or(Place::Other);
    vec![judge(login, group, pid != 0, &scene.dirs.runtime)]
}

/// Facts about logins on this machine.
#[derive(Debug, Clone, Copy)]
struct Login {
    systemd: bool,
    lingers: bool,
    kills: Option<bool>,
}

/// The part of the machine's control groups that a process is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A login session.
    Session,
    /// The user's own manager: a unit, or a program of the desktop.
    Manager,
    /// Elsewhere.
    Other,
}

impl Place {
    fn of(group: &Path) -> Self {
        let has = |from: &str, to: &str| {
            let mut parts = group.components().filter_map(|part| part.as_os_str().to_str());
            parts.any(|part| part.starts_with(from) && part.ends_with(to))
        };
        match () {
            () if has("user@", ".service") => Self::Manager,
            () if has("session-", ".scope") => Self::Session,
            () => Self::Other,
        }
    }
}

fn judge(login: Login, place: Place, runs: bool, runtime: &Path) -> Check {
    if !login.systemd {
        return ok(WHAT, "systemd does not run here; nothing goes with a session");
    }
    let whose = if runs { "the supervisor" } else { "a supervisor started from here" };
    if place == Place::Session && login.kills == Some(true) {
        let found =
            format!("{whose} ends with this login session, and its workers too: KillUserProcesses=yes");
        return warn(WHAT, found, "gobctl daemon install --linger");
    }
    if login.lingers {
        return ok(WHAT, "you linger: what runs outlives your sessions");
    }
    if place == Place::Manager {
        let found =
            format!("{whose} ends with your last login session, and its workers too: you don't linger");
        return warn(WHAT, found, "loginctl enable-linger");
    }
    if !runtime.starts_with("/run/user") {
        return ok(WHAT, format!("you don't linger, but {} stays when you log out", runtime.display()));
    }
    let found = format!("{} vanishes when you log out, and the workers' sockets with it", runtime.display());
    warn(WHAT, found, "loginctl enable-linger")
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    const SYSTEMD: Login = Login { systemd: true, lingers: false, kills: Some(false) };

    #[test]
    fn only_users_with_something_to_lose_are_warned() {
        let level = |login, dir| judge(login, Place::Session, true, Path::new(dir)).level;
        assert_eq!(level(SYSTEMD, "/run/user/1000/gob"), Level::Warn);
        assert_eq!(level(Login { lingers: true, ..SYSTEMD }, "/run/user/1000/gob"), Level::Ok);
        assert_eq!(level(SYSTEMD, "/tmp/gob-1000"), Level::Ok);
        assert_eq!(level(Login { systemd: false, ..SYSTEMD }, "/run/user/1000/gob"), Level::Ok);
    }

    #[test]
    fn the_control_group_decides_what_a_logout_ends() {
        let found = |login, place| judge(login, place, true, Path::new("/tmp/gob-1000")).found;
        let kills = Login { kills: Some(true), lingers: true, ..SYSTEMD };
        assert!(found(kills, Place::Session).contains("KillUserProcesses=yes"), "lingering or not");
        assert!(found(kills, Place::Manager).contains("you linger"));
        assert!(found(SYSTEMD, Place::Manager).contains("ends with your last login session"));
        assert!(found(Login { kills: None, ..SYSTEMD }, Place::Session).contains("stays when you log out"));
        let group = |path: &str| Place::of(Path::new(path));
        assert_eq!(group("/user.slice/user-1000.slice/session-3.scope"), Place::Session);
        assert_eq!(
            group("/user.slice/user-1000.slice/user@1000.service/app.slice/gobd.service"),
            Place::Manager
        );
        assert_eq!(group("/system.slice/cron.service"), Place::Other);
        assert_eq!(group("/"), Place::Other);
    }
}
