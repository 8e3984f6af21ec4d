//! The checks of `doctor`, a file for each subject. A check reports its finding, a level, and a command to
//! type. Only a subject's `mend` changes anything, and only under `--fix`.

mod clock;
mod config;
mod deadline;
mod directories;
mod disks;
mod inherited;
mod kernel;
mod limits;
mod logs;
pub(crate) mod orphans;
mod places;
mod probe;
mod programs;
mod scene;
mod service;
mod session;
mod sockets;
mod stale;
mod supervisor;
pub(crate) mod whose;

use crate::context::Context;
use deadline::Subject;
use gob_client::{Dirs, Error};
use scene::Scene;
use std::sync::Arc;
use std::time::Duration;

/// Time limit of one subject: three programs may hang, two seconds each.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time limit when a disk is known to hang, which several subjects use.
const NO_PATIENCE: Duration = Duration::from_secs(3);

/// The level of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Everything is in order.
    Ok,
    /// A feature is missing, or may fail one day.
    Warn,
    /// Something does not work until it is repaired.
    Fail,
}

/// One check.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) level: Level,
    pub(crate) found: String,
    /// The remedy.
    pub(crate) hint: Option<String>,
    /// The repairs that were just made, a line each.
    pub(crate) fixed: Vec<String>,
}

/// A repair: the check, and the change.
type Fixed = (&'static str, String);

fn ok(what: &'static str, found: impl Into<String>) -> Check {
    Check { what, level: Level::Ok, found: found.into(), hint: None, fixed: Vec::new() }
}

fn warn(what: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Check {
    Check { level: Level::Warn, hint: Some(hint.into()), ..ok(what, found) }
}

fn fail(what: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Check {
    Check { level: Level::Fail, hint: Some(hint.into()), ..ok(what, found) }
}

/// Runs all checks; with `fix` makes the safe repairs before.
pub(crate) fn all(context: &Context, fix: bool) -> Vec<Check> {
    let dirs = match Dirs::from_env() {
        Ok(dirs) => dirs,
        Err(error) => {
            let error = Error::from(error);
            let hint = error.hint().unwrap_or_default();
            return vec![fail("directories", error.to_string(), hint)];
        }
    };
    // No other check is possible while these hang.
    let hung = disks::hung(&dirs);
    if hung.iter().any(|(_, is_needed)| *is_needed) {
        return hung.into_iter().map(|(check, _)| check).collect();
    }
    // A directory that is private again may lead to a supervisor, so it comes before any connection.
    let mut fixed = if fix { directories::mend(&dirs) } else { Vec::new() };
    let scene = Scene::look(context, dirs);
    if fix {
        fixed.extend(stale::mend(&scene));
        fixed.extend(logs::mend(&scene));
    }
    let subjects: [Subject<Scene>; 16] = [
        ("supervisor", supervisor::look),
        ("programs", programs::look),
        ("directories", directories::look),
        ("worker sockets", sockets::look),
        ("disks", disks::look),
        ("places", places::look),
        ("stale files", stale::look),
        ("kernel", kernel::look),
        ("limits", limits::look),
        ("inherited", inherited::look),
        ("service", service::look),
        ("logout", session::look),
        ("configuration", config::look),
        ("logs", logs::look),
        ("orphans", orphans::look),
        ("clock", clock::look),
    ];
    let patience = if hung.is_empty() { PATIENCE } else { NO_PATIENCE };
    let mut checks: Vec<Check> = hung.into_iter().map(|(check, _)| check).collect();
    checks.extend(deadline::each(&subjects, &Arc::new(scene), patience));
    for (what, line) in fixed {
        if let Some(check) = checks.iter_mut().find(|check| check.what == what) {
            check.fixed.push(line);
        }
    }
    checks
}
