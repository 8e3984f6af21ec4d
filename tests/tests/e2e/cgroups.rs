//! Control groups: one for each run, where gob may make them.

use crate::orphans::{away, kill_both, recover};
use gob_tests::process;
use gob_tests::require::{Need, skip};
use gob_tests::script::{Child, Step};
use gob_tests::{Ctl, Gob};
use serde_json::json;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Returns every control group that a gob has made, of this world or another.
fn groups() -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new("/sys/fs/cgroup").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with("gob-"));
                if is_ours { found.push(entry.path()) } else { folders.push(entry.path()) }
            }
        }
    }
    found
}

/// Returns the control group that gob has made for a process.
fn group_of(pid: i32) -> Option<std::path::PathBuf> {
    groups().into_iter().find(|group| {
        fs::read_to_string(group.join("cgroup.procs"))
            .is_ok_and(|pids| pids.lines().any(|line| line == pid.to_string()))
    })
}

/// Moves processes out of their control groups, so that these no longer identify them.
pub(crate) fn leave_groups(pids: &[i32]) {
    for pid in pids {
        if let Some(group) = group_of(*pid) {
            fs::write(group.parent().unwrap().join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }
}

/// A control group that is delegated to its processes, as systemd does for `Delegate=yes`.
struct Delegated(std::path::PathBuf);

impl Delegated {
    fn make(name: &str) -> Option<Self> {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.procs").exists())?;
        let group = Self(root.join(name));
        fs::create_dir(&group.0).ok()?;
        let path = CString::new(group.0.as_os_str().as_bytes()).unwrap();
        // SAFETY: both names end with a NUL, and one byte is read of the value.
        let set =
            unsafe { libc::setxattr(path.as_ptr(), c"user.delegate".as_ptr(), c"1".as_ptr().cast(), 1, 0) };
        (set == 0).then_some(group)
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
fn each_run_has_a_control_group_and_leaves_none_behind() {
    let Some(delegated) = Delegated::make(&format!("test-{}", std::process::id())) else {
        return skip(Need::Cgroups, "nobody may make control groups here");
    };
    let gob = Gob::new();
    // A process that has lost its tag and its session is still in its group.
    let child = Child { reset_limits: true, env_clear: true, ..away() };
    gob.script("g", &[Step::Child(child), Step::Listen, Step::Handshake]);
    let script = format!("echo 0 > {}/cgroup.procs && exec gobctl ping", delegated.0.display());
    let output = Ctl::new("/bin/sh".as_ref(), gob.env()).args(["-c", &script]).run();
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(gob.status()["cgroup"], true);
    let mut conn = gob.connect_as("cli");
    for run in 1..=20 {
        let worker = conn.ok("start", json!({"graph": "g"}))["worker"].clone();
        let pid = gob.children("g", run)[0];
        let group = group_of(worker["pid"].as_i64().unwrap() as i32).unwrap();
        assert_eq!(group_of(pid), Some(group.clone()));
        assert_eq!(group.parent(), Some(delegated.0.as_path()));
        let receipt = conn.ok("stop", json!({"name": "g", "grace_ms": 500}))["receipt"].clone();
        assert!(!process::is_alive(pid), "{receipt}");
        let signalled = receipt["signalled"].as_array().unwrap();
        assert!(
            signalled.iter().any(|one| one["pid"] == pid && one["signals"] == json!(["SIGTERM", "SIGKILL"])),
            "{receipt}"
        );
        assert!(!group.exists());
    }
    // After both are killed, only the group identifies them.
    conn.ok("start", json!({"graph": "g"}));
    let pid = gob.children("g", 21)[0];
    kill_both(&gob);
    assert!(process::is_alive(pid));
    assert_eq!(recover(&gob, &[pid]), 1);
    let left: Vec<_> = groups().into_iter().filter(|group| group.starts_with(&delegated.0)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(gob.status()["cgroup"], false, "the next one was started by somebody else");
}
