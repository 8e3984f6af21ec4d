//! The supervisor: whether it answers in our protocol, and whether its keeper is there and not alone.

use super::probe::Listener;
use super::scene::{Answers, Scene, Supervisor};
use super::{Check, fail, ok, warn};
use crate::failure::Failure;
use crate::process;
use crate::text::{escape, took};
use crate::versions;
use gob_client::Error;
use gob_client::holder::{Holder, Stopped};
use gob_client::protocol::ErrorCode;
use gob_client::protocol::database;
use gob_client::protocol::view::SharedStatus;
use gob_client::screen::{self, journal_trouble};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

const WHAT: &str = "supervisor";
const KEEPER: &str = "keeper";
const SHARED: &str = "shared database";
const OTHER_DIR: &str = "end that program, or choose another directory for gob: export GOB_RUNTIME_DIR=/path/to/a/private/directory";

/// Runs the checks.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    match &scene.supervisor {
        Supervisor::Answers(answers) => {
            let found = format!("{} answers (pid {})", name(answers), answers.server.pid);
            let mut checks = vec![ok(WHAT, found), protocol(answers), keeper(answers), journal(answers)];
            checks.extend(answers.status.shared.as_ref().map(shared));
            checks
        }
        Supervisor::Nobody => vec![nobody(scene)],
        Supervisor::Trouble(failure) => vec![trouble(scene, failure)],
    }
}

fn name(answers: &Answers) -> String {
    format!("gobd {}", answers.server.version)
}

fn protocol(answers: &Answers) -> Check {
    let ours = env!("CARGO_PKG_VERSION");
    let spoken = answers.status.protocol;
    if answers.server.version == ours {
        return ok("protocol", format!("{spoken}, and gobctl and gobd are of one version"));
    }
    let found = format!("{spoken}; this gobctl is {ours}, the supervisor is {}", answers.server.version);
    warn("protocol", found, versions::way(ours, &answers.server.version, answers.upgrades))
}

/// The remedy for a program that is not the one on disk.
pub(super) const RESTART: &str = "when nobody needs the workers: gobctl daemon restart";

fn keeper(answers: &Answers) -> Check {
    let (gobd, keeper) = (answers.status.pid, answers.status.keeper_pid);
    let parent = process::own().into_iter().find(|process| process.pid == gobd && process.name == "gobd");
    let Some(parent) = parent.map(|process| process.parent) else {
        // Seen from outside its container, where pids mean other processes.
        return ok(KEEPER, format!("pid {keeper}, which cannot be seen from here"));
    };
    if process::living(keeper).is_some() && parent == keeper {
        return ok(KEEPER, format!("pid {keeper}"));
    }
    let found = format!(
        "pid {keeper} is not above the supervisor (pid {gobd}); nobody clears up after it should it be killed"
    );
    fail(KEEPER, found, RESTART)
}

fn journal(answers: &Answers) -> Check {
    match journal_trouble(&answers.status) {
        None => ok("journal", "each write of it succeeded"),
        Some(trouble) => {
            let hint = "see free space and state directory here, and gobctl daemon logs; it is made anew once that works";
            warn("journal", trouble, hint)
        }
    }
}

/// Checks the database that several machines share.
fn shared(of: &SharedStatus) -> Check {
    let found = screen::shared(of);
    if of.state != "away" {
        return ok(SHARED, found);
    }
    let (found, remedy) = database::remedy(&found);
    let remedy = remedy.unwrap_or("see that its server runs and shared.url names it");
    let hint = format!("{remedy}; until then shared lanes stand still, the others go on: docs/SHARED.md");
    warn(SHARED, found, hint)
}

/// Checks the case without an answer: in order if the lock has no holder either.
fn nobody(scene: &Scene) -> Check {
    let Some(Holder { pid, program }) = &scene.lock else {
        return given_up(scene).unwrap_or_else(|| ok(WHAT, "none runs; the first request starts one"));
    };
    let below = process::own().into_iter().any(|process| process.parent == *pid && process.name == "gobd");
    if let Some(stopped) = Stopped::find(&scene.dirs) {
        return fail(WHAT, format!("nobody answers, and {stopped}"), stopped.hint());
    }
    if program == "gob-keeper" && !below {
        let found = format!("the keeper (pid {pid}) holds the lock and has no supervisor");
        return fail(
            WHAT,
            found,
            format!("gobctl daemon logs -n 20 says why it ended; kill {pid} ends the keeper"),
        );
    }
    let found =
        format!("nobody answers, but pid {pid} ({program}) holds {}", scene.dirs.lock_file().display());
    fail(WHAT, found, format!("gobctl daemon logs -n 20; {}; nothing is broken open", look_at(*pid)))
}

/// Bytes of the end of the log that are read.
const TAIL_BYTES: u64 = 16 * 1024;

/// Returns a check if the last line of the log is that of a keeper that gave up: nothing has begun since.
fn given_up(scene: &Scene) -> Option<Check> {
    let mut log = File::open(scene.dirs.daemon_log())
        .ok()
        .filter(|log| log.metadata().is_ok_and(|log| log.is_file()))?;
    let len = log.metadata().ok()?.len();
    log.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES))).ok()?;
    let mut tail = Vec::new();
    log.take(TAIL_BYTES).read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    let (time, said) = tail.trim_end().lines().next_back()?.split_once(" gob-keeper: ")?;
    let why = said.strip_suffix("; giving up")?;
    let found = format!(
        "none runs; the keeper gave up at {}: {}; the next command starts a new one",
        escape(time),
        escape(why)
    );
    Some(warn(
        WHAT,
        found,
        "gobctl daemon logs -n 40 says how it ended each time; then gobctl ping starts it",
    ))
}

fn trouble(scene: &Scene, failure: &Failure) -> Check {
    let (socket, listener) = (scene.socket.0.display(), scene.socket.1);
    let pid = if let Listener::Process(pid) = listener { Some(pid).filter(|pid| *pid > 0) } else { None };
    let Failure::Client(error) = failure else { return fail(WHAT, "it could not be asked", "gobctl ping") };
    let whose = pid.map(|pid| format!(" (pid {pid}: {})", process::command(pid))).unwrap_or_default();
    if let Error::Foreign { said, .. } = error {
        let found = format!("another program{whose} answers on {socket}; it answered: {said}");
        return fail(WHAT, found, OTHER_DIR);
    }
    if let Error::Timeout { after, .. } | Error::Silent { waited: after, .. } = error {
        return silent(scene, pid, *after);
    }
    if matches!(error, Error::Lost { .. } | Error::Answer { .. }) {
        let found = format!("what listens on {socket}{whose} does not answer as a supervisor does: {error}");
        return fail(WHAT, found, format!("gobctl ping; if it stays so, {OTHER_DIR}"));
    }
    if let Error::Refused(refused) = error
        && refused.code == ErrorCode::VersionMismatch
    {
        // The supervisor knows its own pid; this gobctl can't even request it.
        return fail("protocol", error.to_string(), error.hint().unwrap_or_default());
    }
    let cause = error.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
    let hint = if let Error::Dirs(_) = error {
        "repair the runtime directory first, see below".to_owned()
    } else {
        error.hint().unwrap_or_default()
    };
    fail(WHAT, format!("{error}{cause}"), hint)
}

/// Checks a supervisor that takes the connection and does not answer.
fn silent(scene: &Scene, pid: Option<i32>, waited: Duration) -> Check {
    let waited = took(waited);
    let Some(pid) = pid.or(scene.lock.as_ref().map(|holder| holder.pid)) else {
        let found = format!("it does not answer within {waited}");
        return fail(WHAT, found, "gobctl daemon logs -n 20");
    };
    let log = format!("gobctl daemon logs -n 20; {}", look_at(pid));
    let process = process::living(pid);
    let program = process.as_ref().map(|process| process.name.clone()).unwrap_or_default();
    let (how, hint) = match process.map(|process| process.state) {
        Some('T' | 't') => ("; it is stopped", Stopped::of(pid).map_or(log, |stopped| stopped.hint())),
        Some('D') => ("; it waits for a disk", log),
        _ if program != "gobd" => ("; it is no supervisor of gob", OTHER_DIR.to_owned()),
        _ => ("", format!("{log}; nothing is broken open")),
    };
    fail(WHAT, format!("{program} (pid {pid}) does not answer within {waited}{how}"), hint)
}

fn look_at(pid: i32) -> String {
    format!("ps -o pid,stat,wchan,etime,args -p {pid}")
}
