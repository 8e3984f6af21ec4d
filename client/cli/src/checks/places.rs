//! Finds more than one runtime directory in use: with XDG_RUNTIME_DIR in one shell and without it in
//! another, such as under cron.

use super::probe::{Listener, listener};
use super::scene::Scene;
use super::{Check, ok, warn};
use crate::places::{self, Elsewhere};
use gob_client::holder::holder;
use std::path::PathBuf;

const WHAT: &str = "runtime directories";

/// Runs the check.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let own = &scene.dirs.runtime;
    let mut checks = elsewhere(scene);
    let told = scene.socket.0.parent().filter(|dir| *dir != own);
    if let (Some(dir), Listener::Process(_) | Listener::Unknown) = (told, scene.socket.1) {
        let found = format!(
            "this shell means {}, the supervisor is in {}; gobctl finds it by its lock file",
            own.display(),
            dir.display()
        );
        let hint =
            format!("for other clients, the same everywhere: export GOB_RUNTIME_DIR={}", dir.display());
        checks.push(warn(WHAT, found, hint));
    }
    for dir in usual().into_iter().filter(|dir| dir != own && Some(dir.as_path()) != told) {
        let listens = matches!(listener(&dir.join("daemon.sock")), Listener::Process(_) | Listener::Unknown);
        let holder = holder(&dir);
        if !listens && holder.is_none() {
            continue;
        }
        let by =
            holder.map(|holder| format!(" (pid {}, {})", holder.pid, holder.program)).unwrap_or_default();
        let found = format!("a second supervisor{by} uses {}, beside {}", dir.display(), own.display());
        let hint = format!(
            "see what it runs: GOB_RUNTIME_DIR={} gobctl list; set XDG_RUNTIME_DIR and GOB_* alike everywhere",
            dir.display()
        );
        checks.push(warn(WHAT, found, hint));
    }
    if checks.is_empty() {
        checks.push(ok(WHAT, "one is in use, or none"));
    }
    checks
}

/// Warns of each directory that the supervisor has elsewhere than this shell's variables name.
fn elsewhere(scene: &Scene) -> Vec<Check> {
    let theirs = scene.answers().and_then(|answers| answers.server.dirs.clone());
    let Some(theirs) = theirs else { return Vec::new() };
    let told = |it: Elsewhere| {
        let found = format!(
            "the {} of the supervisor is {}, and this shell's is {}",
            it.what,
            it.theirs.display(),
            it.ours.display()
        );
        let theirs = crate::text::shell_path(&it.theirs);
        let hint = format!("the supervisor's holds; the same everywhere: export {}={theirs}", it.variable);
        warn("places", found, hint)
    };
    places::elsewhere(&scene.dirs, &theirs).into_iter().map(told).collect()
}

/// Returns the default runtime directories, with and without XDG_RUNTIME_DIR.
fn usual() -> Vec<PathBuf> {
    let uid = nix::unistd::geteuid();
    let mut dirs =
        vec![PathBuf::from(format!("/tmp/gob-{uid}")), PathBuf::from(format!("/run/user/{uid}/gob"))];
    let xdg = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    if let Some(dir) = xdg.map(|dir| dir.join("gob")).filter(|dir| !dirs.contains(dir)) {
        dirs.push(dir);
    }
    dirs
}
