//! `gobctl nuke`: ends everything and removes gob's own files.
//!
//! Without a supervisor there is nothing to end, and none is started for it: the files of the last one are
//! removed here. The journal stays, by which the next supervisor ends the processes of a killed one.

use super::shutdown::{end, force_arg, nothing_runs, workers};
use super::{Effect, SUPERVISOR, Verb, timeout};
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::keep_out::keep_out;
use crate::last::LastState;
use crate::out;
use clap::ArgMatches;
use gob_client::call::Nuke;
use gob_client::protocol::answer::NukeData;
use gob_client::{Dirs, Name};
use serde_json::json;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

pub(crate) const VERB: Verb = Verb {
    path: &["nuke"],
    group: SUPERVISOR,
    effect: Effect::Destroys,
    about: "End everything, remove logs and history; never data or configuration",
    examples: "Examples:\n  gobctl nuke\n  gobctl nuke --force\n",
    command: |command| command.arg(force_arg()),
    timeout: timeout::UNTIL_ENDED,
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let force = matches.get_flag("force");
    let Some(reply) = end(context, Nuke { force }, "ending everything", force)? else {
        return nuke_alone(context);
    };
    if context.json {
        print_data(reply.data())?;
    } else if !context.quiet {
        let NukeData { stopped, removed, unfinished } = reply.read()?;
        let text = format!(
            "stopped {}, removed {}; the supervisor has exited\n",
            workers(&stopped),
            workers(&removed)
        );
        out::print(&text)?;
        if unfinished > 0 {
            let jobs = if unfinished == 1 { "job" } else { "jobs" };
            context.note(&format!(
                "{unfinished} unfinished {jobs} of the queue stay; gobctl nuke --force removes them too"
            ));
        }
    }
    Ok(0)
}

/// Removes the files that a dead supervisor left.
fn nuke_alone(context: &Context) -> Result<u8, Failure> {
    let dirs = context.dirs()?;
    let removed = forget(&dirs).map_err(|(path, error)| {
        let message = format!("cannot remove {}: {error}", path.display());
        Failure::own("nuke-failed", 1, message).hint("gobctl doctor looks at the directories".to_owned())
    })?;
    let names: Vec<&str> = removed.iter().map(Name::as_str).collect();
    if removed.is_empty() || context.json {
        return nothing_runs(context, &json!({"stopped": [], "removed": names}).to_string());
    }
    if !context.quiet {
        out::print(&format!("no supervisor is running; removed {}\n", workers(&removed)))?;
    }
    Ok(0)
}

/// Forgets the recorded workers, with their logs and history; returns their names. Without a record, no file in the
/// directory is known to be gob's.
fn forget(dirs: &Dirs) -> Result<Vec<Name>, (PathBuf, io::Error)> {
    let (last, logs) = (dirs.last_state(), dirs.logs());
    if !fs::symlink_metadata(&last).is_ok_and(|found| found.is_file()) {
        return Ok(Vec::new());
    }
    let Some(locks) = keep_out(dirs) else {
        let error = io::Error::new(ErrorKind::WouldBlock, "a supervisor is about to begin; try again");
        return Err((last, error));
    };
    let names = LastState::read(dirs).map(|last| last.workers.into_iter().map(|view| view.name).collect());
    missing_is_removed(fs::remove_dir_all(&logs)).map_err(|error| (logs, error))?;
    // The record goes last: workers that are still recorded can be nuked again.
    for path in history(&dirs.state).map_err(|error| (dirs.state.clone(), error))?.into_iter().chain([last]) {
        missing_is_removed(fs::remove_file(&path)).map_err(|error| (path, error))?;
    }
    drop(locks);
    Ok(names.unwrap_or_default())
}

/// Returns the files of the history in a state directory.
fn history(state: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(state)? {
        let entry = entry?;
        let is_own = gob_store::is_own_file(&entry.file_name()) && !entry.file_type()?.is_dir();
        found.extend(is_own.then(|| entry.path()));
    }
    Ok(found)
}

fn missing_is_removed(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
