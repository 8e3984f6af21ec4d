//! A client that can't make a thread, as of a user whose processes are used up (`ulimit -u`), does without or
//! reports it.

use gob_tests::Gob;
use gob_tests::ctl::{Ctl, Output};
use gob_tests::require::root;
use nix::unistd::{Gid, Uid, chown};
use serde_json::json;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

const NOBODY: u32 = 65534;

/// Makes a world of user `nobody`: root is bound by no limit on processes.
fn world() -> Option<Gob> {
    if !root("only root can become another user") {
        return None;
    }
    let gob = Gob::new();
    let home = gob.dir().join("home");
    for path in [gob.dir(), &home, &gob.data_dir(), &gob.state_dir()] {
        chown(path, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).unwrap();
    }
    Some(gob)
}

/// Runs gobctl as user `nobody`, below this program.
fn ctl(gob: &Gob, below: &[&str], args: &[&str]) -> Output {
    let mut ctl = Ctl::new("/usr/bin/setpriv".as_ref(), gob.env());
    ctl.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).args(below.iter().copied());
    ctl.args(["gobctl"]).args(args.iter().copied()).run()
}

/// Runs gobctl as the only process that its user may have.
fn alone(gob: &Gob, args: &[&str]) -> Output {
    ctl(gob, &["prlimit", "--nproc=1"], args)
}

#[test]
fn verbs_do_without_a_thread_or_report_the_lack() {
    let Some(gob) = world() else { return };
    let started = ctl(&gob, &[], &["start", "g"]);
    assert_eq!(started.code, 0, "{started}");
    let no_thread = "error: cannot make the thread by which ";
    let hint = "hint: end some processes of this user, or raise the limit on them: ulimit -u";
    for (args, code, said) in [
        (&["events", "--snapshot", "--timeout", "2s"][..], 124, "events has ended"),
        (&["list", "--watch", "--timeout", "2s"], 124, "list --watch has ended"),
        (&["lease", "g", "--timeout", "2s"], 124, "lease has ended"),
        (&["restart", "g"], 0, ""),
        (&["with", "g", "--", "true"], 125, "the command is waited for"),
        (&["logs", "-f", "g", "--timeout", "2s"], 1, "the supervisor is listened to"),
    ] {
        let output = alone(&gob, args);
        assert!(output.code == code && output.stderr.contains(said), "{args:?}: {output}");
        let is_told = output.stderr.contains(no_thread) && output.stderr.contains(hint);
        assert_eq!(is_told, matches!(code, 1 | 125), "{args:?}: {output}");
    }
    let stop = alone(&gob, &["stop", "g"]);
    assert_eq!(stop.code, 0, "{stop}");
}

#[test]
fn the_start_lock_is_waited_for_without_a_thread() {
    let Some(gob) = world() else { return };
    fs::create_dir(gob.runtime_dir()).unwrap();
    fs::set_permissions(gob.runtime_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    let path = gob.runtime_dir().join("start.lock");
    let lock = File::create(&path).unwrap();
    for path in [&gob.runtime_dir(), &path] {
        chown(path, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).unwrap();
    }
    lock.lock().unwrap();
    let ping = alone(&gob, &["ping", "--json"]);
    let error: serde_json::Value = serde_json::from_str(ping.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((ping.code, &error["error"]["code"]), (7, &json!("supervisor-unreachable")), "{ping}");
    let own = format!("pid {} holds it", std::process::id());
    // Some sandboxes show an empty list of locks.
    if fs::read_to_string("/proc/locks").is_ok_and(|locks| !locks.is_empty()) {
        assert!(ping.stderr.contains(&own), "{ping}");
    }
}
