//! What the supervisor can't undo because its first client had it: hard limits and the control group.

use super::scene::Scene;
use super::{Check, ok, warn};
use crate::process;
use std::path::PathBuf;

const FEW_FILES: u64 = 4096;
const FEW_PROCESSES: u64 = 256;

/// Their checks. They look at the supervisor, or at this process, whose limits a start from here would hand on.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let (pid, whose) = match scene.answers() {
        Some(answers) => (answers.status.pid, format!("for the supervisor (pid {})", answers.status.pid)),
        None => (0, "for a supervisor started from here".to_owned()),
    };
    let hard = |name| process::limit(pid, name).map(|(_, hard)| hard);
    let mut checks = Vec::new();
    checks.extend(hard("Max open files").map(|hard| open_files(hard, &whose)));
    checks.extend(hard("Max processes").map(|hard| processes(hard, process::own().len(), &whose)));
    checks.push(cgroup(process::cgroup(pid), scene.answers().map(|answers| answers.status.cgroup)));
    checks
}

fn open_files(hard: Option<u64>, whose: &str) -> Check {
    let what = "open files";
    match hard {
        Some(hard) if hard < FEW_FILES => {
            let hint = "raise the hard limit (ulimit -Hn, limits.conf, systemd's LimitNOFILE), then gobctl daemon restart";
            warn(what, format!("at most {hard} {whose}"), hint)
        }
        Some(hard) => ok(what, format!("at most {hard} {whose}")),
        None => ok(what, format!("as many as there is room for {whose}")),
    }
}

/// The limit counts all threads of this user; processes are a lower bound of that.
fn processes(hard: Option<u64>, mine: usize, whose: &str) -> Check {
    let what = "processes";
    let mine = u64::try_from(mine).unwrap_or(u64::MAX);
    match hard {
        Some(hard) if hard < FEW_PROCESSES || mine.saturating_mul(5) > hard.saturating_mul(4) => {
            let hint = "raise the hard limit (ulimit -Hu, limits.conf, systemd's TasksMax), then gobctl daemon restart";
            warn(what, format!("at most {hard} {whose}; you have {mine} now"), hint)
        }
        Some(hard) => ok(what, format!("at most {hard} {whose}; you have {mine} now")),
        None => ok(what, format!("as many as there is room for {whose}; you have {mine} now")),
    }
}

/// No problem either way: without a control group for each run gob finds trees by their tag. Whether runs get one is the
/// supervisor's to decide and to tell; without it only the place is known.
fn cgroup(place: Option<PathBuf>, in_use: Option<bool>) -> Check {
    let place = place.map(|path| format!("{}; ", path.display())).unwrap_or_default();
    let what = match in_use {
        Some(true) => "each run has one of its own below it",
        Some(false) => "not left to gob (Delegate=yes); trees of processes are found by their tag",
        None if place.is_empty() => "no version 2 here; trees of processes are found by their tag",
        None => "a supervisor started from here tells whether it is left to gob",
    };
    ok("control group", format!("{place}{what}"))
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn few_is_told() {
        assert_eq!(open_files(Some(1024), "x").level, Level::Warn);
        assert_eq!(open_files(Some(4096), "x").level, Level::Ok);
        assert_eq!(open_files(None, "x").level, Level::Ok);
        assert_eq!(processes(Some(100), 5, "x").level, Level::Warn);
        assert_eq!(processes(Some(1000), 900, "x").level, Level::Warn);
        assert_eq!(processes(Some(1000), 9, "x").level, Level::Ok);
    }

    #[test]
    fn whether_runs_have_control_groups_is_what_the_supervisor_says() {
        let found = |place: &str, in_use| {
            cgroup(Some(PathBuf::from(place)).filter(|_| !place.is_empty()), in_use).found
        };
        assert_eq!(found("/a", Some(true)), "/a; each run has one of its own below it");
        assert!(found("/a", Some(false)).starts_with("/a; not left to gob"));
        assert!(found("", None).starts_with("no version 2 here"));
        assert!(found("/a", None).starts_with("/a; a supervisor started from here"));
    }
}
