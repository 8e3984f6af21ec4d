//! Limits and control group that the supervisor inherited from its first client and can't undo.

use super::scene::Scene;
use super::{Check, ok, warn};
use crate::process;
use std::path::PathBuf;

const FEW_FILES: u64 = 4096;
const FEW_PROCESSES: u64 = 256;
/// All marks are lower than this.
const HIGHEST_MARK: u64 = 1 << 62;

/// Runs the checks on the supervisor, or on this process, which would hand its limits on at a start.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let (pid, whose) = match scene.answers() {
        Some(answers) => (answers.status.pid, format!("for the supervisor (pid {})", answers.status.pid)),
        None => (0, "for a supervisor started from here".to_owned()),
    };
    let hard = |name| process::limit(pid, name).map(|(_, hard)| hard);
    let mut checks = Vec::new();
    checks.extend(hard("Max open files").map(|hard| open_files(hard, &whose)));
    checks.extend(hard("Max processes").map(|hard| processes(hard, process::own().len(), &whose)));
    checks.push(marks(
        hard("Max file locks").flatten(),
        scene.answers().map(|answers| answers.status.unmarked_runs),
        &whose,
    ));
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

/// Checks the hard limit on file locks. The processes of a run carry a mark, a soft limit, which a lower hard
/// limit makes impossible. `unmarked`: the runs of the supervisor without one.
fn marks(hard: Option<u64>, unmarked: Option<u64>, whose: &str) -> Check {
    let what = "marks of runs";
    let may_raise = nix::unistd::geteuid().is_root() && unmarked.is_none_or(|unmarked| unmarked == 0);
    let limit = hard.filter(|hard| *hard < HIGHEST_MARK && !may_raise);
    let runs = unmarked.filter(|unmarked| *unmarked > 0);
    if limit.is_none() && runs.is_none() {
        return ok(what, "every process of a run can carry its mark");
    }
    let why = limit.map_or_else(String::new, |hard| format!("a hard limit of {hard} file locks {whose}: "));
    let runs = runs.map_or_else(String::new, |runs| format!("; {runs} of the runs have none"));
    let found = format!(
        "{why}processes of runs can't be marked{runs}. Their trees are known by their parents alone, ports of processes that have left their leader can't be \
         discovered, and after the supervisor and its keeper were both killed some may be left"
    );
    let hint = "raise the hard limit (ulimit -Hx, limits.conf: locks, systemd's LimitLOCKS), then gobctl daemon restart";
    warn(what, found, hint)
}

/// Checks the control group. Neither result is a problem: without a control group for each run gob finds
/// trees by their tag. The supervisor decides and tells whether runs get one; without a supervisor only the
/// place is known.
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
    fn low_limits_are_reported() {
        assert_eq!(open_files(Some(1024), "x").level, Level::Warn);
        assert_eq!(open_files(Some(4096), "x").level, Level::Ok);
        assert_eq!(open_files(None, "x").level, Level::Ok);
        assert_eq!(processes(Some(100), 5, "x").level, Level::Warn);
        assert_eq!(processes(Some(1000), 900, "x").level, Level::Warn);
        assert_eq!(processes(Some(1000), 9, "x").level, Level::Ok);
    }

    #[test]
    fn marks_that_cannot_be_set_are_reported() {
        assert_eq!(marks(None, Some(0), "x").level, Level::Ok);
        assert_eq!(marks(Some(HIGHEST_MARK), None, "x").level, Level::Ok);
        let found = marks(Some(1000), Some(2), "for x");
        assert_eq!(found.level, Level::Warn);
        assert!(found.found.starts_with("a hard limit of 1000 file locks for x: "), "{}", found.found);
        assert!(found.found.contains("2 of the runs"), "{}", found.found);
    }

    #[test]
    fn the_supervisor_tells_whether_runs_have_control_groups() {
        let found = |place: &str, in_use| {
            cgroup(Some(PathBuf::from(place)).filter(|_| !place.is_empty()), in_use).found
        };
        assert_eq!(found("/a", Some(true)), "/a; each run has one of its own below it");
        assert!(found("/a", Some(false)).starts_with("/a; not left to gob"));
        assert!(found("", None).starts_with("no version 2 here"));
        assert!(found("/a", None).starts_with("/a; a supervisor started from here"));
    }
}
