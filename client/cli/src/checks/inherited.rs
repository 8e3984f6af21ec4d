//! Attributes of the first client that the keeper can't set back: every worker of every owner has them too.

use super::scene::Scene;
use super::{Check, ok, warn};
use crate::process;

const WHAT: &str = "inherited";

/// Hard limits by their names in /proc, without those that the system sets for all processes and those with
/// checks of their own.
const LIMITS: [&str; 6] = [
    "Max cpu time",
    "Max file size",
    "Max data size",
    "Max stack size",
    "Max resident set",
    "Max address space",
];

/// Runs the checks: on the supervisor, or on this process, which would hand them on at a start.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let (pid, whose) = match scene.answers() {
        Some(answers) => (answers.status.pid, "the supervisor and its workers have"),
        None => (0, "a supervisor started from here would have"),
    };
    let mut found: Vec<String> = Vec::new();
    for name in LIMITS {
        if let Some((_, Some(hard))) = process::limit(pid, name) {
            let name = name.trim_start_matches("Max ");
            found.push(format!("a hard limit on {name} ({hard}){}", ends(name)));
        }
    }
    let nice = process::nice(pid).filter(|nice| *nice > 0);
    found.extend(nice.map(|nice| format!("a nice value of {nice}")));
    // An attribute that this process has too is the machine's or the container's own setting.
    for (field, name) in [("NoNewPrivs", "no_new_privs, so that sudo fails"), ("Seccomp", "a seccomp filter")]
    {
        let is_set = |pid| process::status(pid, field).is_some_and(|value| value != 0);
        if pid != 0 && is_set(pid) && !is_set(0) {
            found.push(name.to_owned());
        }
    }
    if found.is_empty() {
        return vec![ok(WHAT, "nothing of the shell that started it")];
    }
    let hint = "from a shell without it (a new login, or systemd-run --user --pty sh): gobctl daemon restart";
    found
        .into_iter()
        .map(|it| warn(WHAT, format!("{whose} {it}, as the shell that started it"), hint))
        .collect()
}

/// Explains the effect of a limit on a worker, where its name does not.
fn ends(name: &str) -> &'static str {
    if name == "cpu time" { ", in seconds: a busy worker is killed after that" } else { "" }
}
