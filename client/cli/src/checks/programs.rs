//! gob's programs: where they are, whether they are of one version, whether what runs is what is on disk.

use super::scene::Scene;
use super::supervisor::RESTART;
use super::{Check, fail, ok, warn};
use crate::process;
use gob_client::siblings;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A program that does not tell its version within this time is not asked again.
const PATIENCE: Duration = Duration::from_secs(2);
const MAX_TOLD: u64 = 256;

/// Their checks.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let mut checks = vec![sibling("gob-keeper"), sibling("gobd"), sibling("gob-graph-worker")];
    if let Some(answers) = scene.answers() {
        let running = [("gobd", answers.status.pid), ("gob-keeper", answers.status.keeper_pid)];
        checks.push(on_disk(&running));
    }
    checks
}

fn sibling(name: &'static str) -> Check {
    let Ok(path) = siblings::find(name) else {
        return fail(name, "not found", "install it beside gobctl, or name its directory in GOB_LIBEXEC");
    };
    let found = path.display().to_string();
    let (ours, wanted) = (env!("CARGO_PKG_VERSION"), format!("{name} {}", env!("CARGO_PKG_VERSION")));
    match version(&path) {
        Some(told) if told == wanted => ok(name, format!("{found} ({ours})")),
        Some(told) => {
            let found = format!("{found} says `{told}`, and gobctl is {ours}");
            warn(name, found, format!("install the same version beside gobctl; {RESTART}"))
        }
        None => {
            warn(name, format!("{found} does not tell its version"), "install the same version beside gobctl")
        }
    }
}

/// What `--version` says. Nothing of this environment reaches the program, so that one that takes the flag for
/// something else finds no supervisor's directory.
fn version(path: &Path) -> Option<String> {
    let mut command = Command::new(path);
    command.arg("--version").env_clear().env("GOB_RUNTIME_DIR", "/nonexistent/gob");
    command.env("GOB_STATE_DIR", "/nonexistent/gob").current_dir("/");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let stdout = child.stdout.take()?;
    let (send, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.take(MAX_TOLD).read_to_string(&mut text);
        send.send(read.ok().map(|_| text)).ok();
    });
    let text = told.recv_timeout(PATIENCE).ok().flatten();
    // An unreaped child of ours: its number is its own. One that has ended already takes no notice.
    child.kill().ok();
    child.wait().ok()?;
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty() && !text.contains('\n'))
}

fn on_disk(running: &[(&str, i32)]) -> Check {
    let what = "running programs";
    let known = running.iter().filter_map(|(name, pid)| Some((name, pid, process::program(*pid)?)));
    let (mut fresh, mut replaced) = (Vec::new(), Vec::new());
    for (name, pid, (path, is_replaced)) in known {
        let text = format!("{name} (pid {pid}) is {}", path.display());
        if is_replaced { replaced.push(text) } else { fresh.push(text) }
    }
    if replaced.is_empty() {
        return ok(what, if fresh.is_empty() { "not to be seen".to_owned() } else { fresh.join("; ") });
    }
    warn(what, format!("{}, which was replaced on disk since", replaced.join("; ")), RESTART)
}
