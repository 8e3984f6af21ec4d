//! What the supervisor can't undo because its first client had it: hard limits and the control group.

use super::scene::Scene;
use super::{Check, ok, process, warn};
use nix::unistd::{AccessFlags, access};
use std::path::{Path, PathBuf};

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
    checks.extend(hard("Max processes").map(|hard| processes(hard, process::mine().len(), &whose)));
    checks.push(cgroup(pid));
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

/// No problem either way: without a control group of its own gob finds trees by their tag.
fn cgroup(pid: i32) -> Check {
    let what = "control group";
    let of = if pid == 0 { "self".to_owned() } else { pid.to_string() };
    let text = std::fs::read_to_string(format!("/proc/{of}/cgroup")).unwrap_or_default();
    let Some(path) = version_2(&text) else {
        return ok(what, "no version 2 here; trees of processes are found by their tag");
    };
    let dir = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    let writable = access(&dir.join("cgroup.procs"), AccessFlags::W_OK).is_ok() && path != "/";
    let own = if writable {
        "its own to write to"
    } else {
        "not ours to write to; trees of processes are found by their tag"
    };
    ok(what, format!("{}, {own}", PathBuf::from(path).display()))
}

/// A line is `0::/user.slice/user-1000.slice` (cgroups(7)).
fn version_2(cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|line| line.strip_prefix("0::"))
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
    fn the_line_of_version_2() {
        assert_eq!(version_2("8:pids:/a\n0::/user.slice\n"), Some("/user.slice"));
        assert_eq!(version_2("8:pids:/a\n"), None);
    }
}
