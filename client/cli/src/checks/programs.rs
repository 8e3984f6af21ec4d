//! gob's programs: their paths, their versions, and whether the running ones are those on disk.

use super::scene::Scene;
use super::{Check, fail, ok, warn};
use crate::process;
use crate::text::shell_path;
use crate::versions;
use gob_host::siblings;
use gob_protocol::build;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Time limit for a program to print its version.
const PATIENCE: Duration = Duration::from_secs(2);
const MAX_TOLD: usize = 256;

/// Runs the checks.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let mut checks = vec![sibling("gob-keeper"), sibling("gobd"), sibling("gob-graph-worker")];
    if let Some(answers) = scene.answers() {
        let running = [("gobd", answers.status.pid), ("gob-keeper", answers.status.keeper_pid)];
        let way = versions::way(build::VERSION, &answers.server.version, answers.upgrades);
        checks.push(on_disk(&running, way));
    }
    checks
}

fn sibling(name: &'static str) -> Check {
    let Ok(path) = siblings::find(name) else {
        return fail(name, "not found", "install it beside gobctl, or name its directory in GOB_LIBEXEC");
    };
    let found = path.display().to_string();
    let (ours, wanted) = (build::version_of("gobctl"), build::version_of(name));
    let told = match version(&path) {
        Ok(told) => told,
        Err(NotRun { what, error }) => {
            let found = format!("{found} cannot be run: {what}: {error}");
            return fail(name, found, way_out(&error, &path));
        }
    };
    match told {
        Some(told) if told == wanted => ok(name, format!("{found} ({})", build::VERSION)),
        Some(told) => {
            let found = format!("{found} says `{told}`, and this one `{ours}`");
            warn(name, found, "install the same version beside gobctl; then gobctl daemon upgrade")
        }
        None => {
            warn(name, format!("{found} does not tell its version"), "install the same version beside gobctl")
        }
    }
}

/// The step that failed when a program was run, and its error.
struct NotRun {
    what: &'static str,
    error: io::Error,
}

/// Returns the hint for a program that could not be run.
fn way_out(error: &io::Error, path: &Path) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN | Errno::ENOMEM) => {
            "this user has as many processes as it may, or there is no memory: end some, or raise ulimit -u"
                .to_owned()
        }
        Some(Errno::EMFILE | Errno::ENFILE) => "close files, or raise ulimit -n".to_owned(),
        _ => format!(
            "ls -l /dev/null {0}; namei -l {0}; this user needs to read and execute it",
            shell_path(path)
        ),
    }
}

/// Returns the version that `--version` prints; `None` when it prints none. Nothing of this environment reaches the program, so that one that takes the flag for
/// something else finds no supervisor's directory.
fn version(path: &Path) -> Result<Option<String>, NotRun> {
    // Opened here, to distinguish this error from the program's own.
    let null = |write: bool| {
        let opened = File::options().read(!write).write(write).open("/dev/null");
        opened.map_err(|error| NotRun { what: "/dev/null", error })
    };
    let mut command = Command::new(path);
    command.arg("--version").env_clear().env("GOB_RUNTIME_DIR", "/nonexistent/gob");
    command.env("GOB_STATE_DIR", "/nonexistent/gob").current_dir("/");
    command.stdin(null(false)?).stdout(Stdio::piped()).stderr(null(true)?);
    let mut child = command.spawn().map_err(|error| NotRun { what: "to start it", error })?;
    let text = child.stdout.take().and_then(|stdout| first_words(stdout, Instant::now() + PATIENCE));
    // An unreaped child of ours: its pid is its own. A child that has ended already ignores it.
    child.kill().ok();
    child.wait().ok();
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty() && !text.contains('\n')))
}

/// Reads a program's output to its end; `None` at the deadline. Needs no thread, since there may be none.
fn first_words(mut stdout: ChildStdout, deadline: Instant) -> Option<String> {
    let mut said = Vec::new();
    let mut chunk = [0; MAX_TOLD];
    while said.len() < MAX_TOLD {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(1..) => {}
            Err(Errno::EINTR) if !left.is_zero() => continue,
            _ => return None,
        }
        match stdout.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => said.extend(chunk.iter().take(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    String::from_utf8(said).ok()
}

fn on_disk(running: &[(&str, i32)], way: String) -> Check {
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
    warn(what, format!("{}, which was replaced on disk since", replaced.join("; ")), way)
}
