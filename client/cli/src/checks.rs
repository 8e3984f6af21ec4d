//! The checks of `doctor`. Each looks, and says what it found and whether that is a problem.

use crate::context::Context;
use crate::failure::Failure;
use crate::lock_holder::holder;
use gob_client::autostart::LockHolder;
use gob_client::protocol::request::List;
use gob_client::{Dirs, Error, siblings};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statfs::{FUSE_SUPER_MAGIC, FsType, NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, statfs};
use std::path::Path;
use std::time::Duration;

/// One check.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) found: String,
    pub(crate) problem: Option<Problem>,
}

/// What is wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Nothing will work before it is mended.
    pub(crate) fatal: bool,
    pub(crate) hint: Option<String>,
}

/// The kernel's own number for what it mounts as cifs (statfs(2)).
const CIFS_SUPER_MAGIC: FsType = FsType(0xff53_4d42);
const OTHER_DISK: &str =
    "flock does not hold across machines there: choose a local directory, GOB_STATE_DIR or GOB_RUNTIME_DIR";

fn ok(what: &'static str, found: impl Into<String>) -> Check {
    Check { what, found: found.into(), problem: None }
}

fn bad(what: &'static str, fatal: bool, found: impl Into<String>, hint: impl Into<Option<String>>) -> Check {
    Check { what, found: found.into(), problem: Some(Problem { fatal, hint: hint.into() }) }
}

/// Runs all checks.
pub(crate) fn all(context: &Context) -> Result<Vec<Check>, Failure> {
    let dirs = context.dirs()?;
    let mut checks = vec![runtime(&dirs)];
    for (what, dir) in
        [("runtime disk", &dirs.runtime), ("state disk", &dirs.state), ("data disk", &dirs.data)]
    {
        checks.extend(disk(what, dir));
    }
    for program in ["gob-keeper", "gobd", "gob-graph-worker"] {
        checks.push(sibling(program));
    }
    checks.push(descriptors());
    checks.extend(supervisor(context, &dirs));
    Ok(checks)
}

fn runtime(dirs: &Dirs) -> Check {
    let what = "runtime directory";
    match dirs.open_runtime() {
        Ok(Some(_)) => ok(what, dirs.runtime.display().to_string()),
        Ok(None) => ok(what, format!("{} (not there yet)", dirs.runtime.display())),
        Err(error) => {
            let error = Error::from(error);
            bad(what, true, error.to_string(), error.hint())
        }
    }
}

fn disk(what: &'static str, dir: &Path) -> Option<Check> {
    let there = dir.ancestors().find(|dir| dir.exists())?;
    let kind = statfs(there).ok()?.filesystem_type();
    let far = [
        (NFS_SUPER_MAGIC, "NFS"),
        (CIFS_SUPER_MAGIC, "a Windows share"),
        (SMB_SUPER_MAGIC, "a Windows share"),
        (FUSE_SUPER_MAGIC, "FUSE"),
    ];
    let (_, name) = far.into_iter().find(|(magic, _)| *magic == kind)?;
    Some(bad(what, false, format!("{} is on {name}", dir.display()), OTHER_DISK.to_owned()))
}

fn sibling(name: &'static str) -> Check {
    match siblings::find(name) {
        Ok(path) => ok(name, path.display().to_string()),
        Err(_) => {
            let hint = "install it beside gobctl, or name its directory in GOB_LIBEXEC".to_owned();
            bad(name, true, "not found", hint)
        }
    }
}

fn descriptors() -> Check {
    const FEW: u64 = 4096;
    let what = "open files";
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) if hard < FEW => {
            let found = format!("at most {hard} for the supervisor and each worker");
            bad(
                what,
                false,
                found,
                "raise the hard limit: ulimit -Hn, limits.conf or systemd's LimitNOFILE".to_owned(),
            )
        }
        Ok((_, hard)) => ok(what, format!("at most {hard}")),
        Err(errno) => bad(what, false, errno.to_string(), None),
    }
}

fn supervisor(context: &Context, dirs: &Dirs) -> Vec<Check> {
    let what = "supervisor";
    let context = Context {
        timeout: Some(context.timeout.unwrap_or(Duration::from_secs(2))),
        ..context.without_autostart()
    };
    match context.connect("list") {
        Ok(mut client) => {
            let server = client.server();
            let mut checks = vec![ok(what, format!("{} answers (pid {})", server.version, server.pid))];
            if let Ok(workers) = client.list(List::default()) {
                let known: Vec<String> = workers.iter().map(|worker| worker.name.on_disk()).collect();
                checks.extend(orphaned_logs(dirs, &known));
            }
            checks
        }
        Err(Failure::Client(Error::Nobody { .. })) => vec![nobody(dirs)],
        Err(failure) => {
            let text = match &failure {
                Failure::Client(error) => error.to_string(),
                Failure::Own { message, .. } => message.clone(),
                Failure::Help(_) | Failure::Closed => String::new(),
            };
            vec![bad(what, true, text, lock_hint(dirs))]
        }
    }
}

/// Nobody answers: right if nobody holds the lock either.
fn nobody(dirs: &Dirs) -> Check {
    let what = "supervisor";
    match holder(&dirs.lock_file()) {
        None => ok(what, "none runs; the first request starts one"),
        Some(holder) => {
            let found = format!("nobody answers, but pid {} ({}) holds the lock", holder.pid, holder.program);
            bad(what, true, found, lock_hint(dirs))
        }
    }
}

fn lock_hint(dirs: &Dirs) -> Option<String> {
    let pid = LockHolder::read(dirs)
        .map(|holder| holder.pid)
        .or(holder(&dirs.lock_file()).map(|holder| holder.pid));
    let log = dirs.daemon_log();
    Some(match pid {
        Some(pid) => format!("look at process {pid} and at {}; nothing is broken open", log.display()),
        None => format!("look at {}", log.display()),
    })
}

/// Directories of logs whose worker nobody knows.
fn orphaned_logs(dirs: &Dirs, known: &[String]) -> Option<Check> {
    let entries = std::fs::read_dir(dirs.logs()).ok()?;
    let mut orphans: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !known.contains(name))
        .collect();
    orphans.sort_unstable();
    if orphans.is_empty() {
        return None;
    }
    let found =
        format!("{} in {} belong to no worker: {}", orphans.len(), dirs.logs().display(), orphans.join(", "));
    Some(bad("logs", false, found, "gobctl logs NAME still shows them; they may be deleted".to_owned()))
}
