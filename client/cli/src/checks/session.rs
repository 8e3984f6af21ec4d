//! Finds processes that would not outlive a logout: under systemd the user's runtime directory, and the processes of the
//! session, may go with the last session unless the user lingers (loginctl(1)).

use super::scene::Scene;
use super::{Check, ok, warn};
use std::path::Path;

/// Runs the check.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let systemd = Path::new("/run/systemd/system").is_dir();
    let user = gob_host::passwd::user(nix::unistd::geteuid().as_raw()).map(|user| user.name);
    let lingers = user.is_some_and(|user| Path::new("/var/lib/systemd/linger").join(user).exists());
    vec![judge(systemd, lingers, &scene.dirs.runtime)]
}

fn judge(systemd: bool, lingers: bool, runtime: &Path) -> Check {
    let what = "logout";
    if !systemd {
        return ok(what, "systemd does not run here; nothing goes with a session");
    }
    if lingers {
        return ok(what, "you linger: what runs outlives your sessions");
    }
    if !runtime.starts_with("/run/user") {
        return ok(what, format!("you don't linger, but {} stays when you log out", runtime.display()));
    }
    let found = format!("{} vanishes when you log out, and the workers' sockets with it", runtime.display());
    warn(what, found, "loginctl enable-linger")
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn only_users_with_something_to_lose_are_warned() {
        let level = |systemd, lingers, dir| judge(systemd, lingers, Path::new(dir)).level;
        assert_eq!(level(true, false, "/run/user/1000/gob"), Level::Warn);
        assert_eq!(level(true, true, "/run/user/1000/gob"), Level::Ok);
        assert_eq!(level(true, false, "/tmp/gob-1000"), Level::Ok);
        assert_eq!(level(false, false, "/run/user/1000/gob"), Level::Ok);
    }
}
