//! `gobctl nuke`: ends everything and removes gob's own files.
//!
//! Without a supervisor there is nothing to end, and none is started for it: the files of the last one are
//! removed here. The journal stays, by which the next supervisor ends the processes of a killed one. Unfinished jobs of the
//! queue stay as well, with or without a supervisor, unless `--force` is given.

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
use gob_store::{Reader, Supervisor};
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
    command: |command| {
        let help = "Also end workers of other owners, and remove schedules and unfinished jobs of the queue; else these stay";
        command.arg(force_arg().help(help))
    },
    timeout: timeout::UNTIL_ENDED,
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let force = matches.get_flag("force");
    let Some(reply) = end(context, Nuke { force }, "ending everything", force)? else {
        return nuke_alone(context, force);
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
        tell_kept(context, &Queue::of(unfinished));
    }
    Ok(0)
}

/// The fate of the queue.
enum Queue {
    /// There is none, or it goes.
    Goes,
    /// So many jobs are not finished.
    Stays(u64),
    /// Its file can't be read, for this reason.
    Unread(String),
}

impl Queue {
    const fn of(unfinished: u64) -> Self {
        if unfinished == 0 { Self::Goes } else { Self::Stays(unfinished) }
    }

    /// Reads how many jobs are unfinished.
    fn read(state: &Path) -> Self {
        if !gob_store::has_queue(state) {
            return Self::Goes;
        }
        match Reader::open(state, Supervisor::Gone).and_then(|store| store.unfinished()) {
            Ok(count) => Self::of(count),
            Err(error) => Self::Unread(error.to_string()),
        }
    }

    const fn unfinished(&self) -> u64 {
        match self {
            Self::Stays(count) => *count,
            Self::Goes | Self::Unread(_) => 0,
        }
    }
}

/// Tells that the queue stays, where it does.
fn tell_kept(context: &Context, queue: &Queue) {
    match queue {
        Queue::Goes => {}
        Queue::Stays(count) => {
            let (jobs, stay, them) = if *count == 1 {
                ("job or schedule", "stays", "it")
            } else {
                ("jobs or schedules", "stay", "them")
            };
            context.note(&format!(
                "{count} unfinished {jobs} of the queue {stay}; gobctl nuke --force removes {them} too"
            ));
        }
        Queue::Unread(why) => context.note(&format!(
            "the queue stays, since its unfinished jobs can't be counted ({why}); gobctl nuke --force removes it too"
        )),
    }
}

/// Removes the files that a dead supervisor left.
fn nuke_alone(context: &Context, force: bool) -> Result<u8, Failure> {
    let dirs = context.dirs()?;
    let (removed, queue) = forget(&dirs, force).map_err(|(path, error)| {
        let message = format!("cannot remove {}: {error}", path.display());
        Failure::own("nuke-failed", 1, message).hint("gobctl doctor looks at the directories".to_owned())
    })?;
    let names: Vec<&str> = removed.iter().map(Name::as_str).collect();
    let mut data = json!({"stopped": [], "removed": names});
    if let Some(data) = data.as_object_mut().filter(|_| queue.unfinished() > 0) {
        data.insert("unfinished".to_owned(), queue.unfinished().into());
    }
    if removed.is_empty() || context.json {
        nothing_runs(context, &data.to_string())?;
    } else if !context.quiet {
        out::print(&format!("no supervisor is running; removed {}\n", workers(&removed)))?;
    }
    if !context.json && !context.quiet {
        tell_kept(context, &queue);
    }
    Ok(0)
}

/// Forgets the recorded workers, with their logs and history; returns their names. Unfinished jobs stay, and so does the store
/// that has them, without the history of these workers. Without a record, no file in the directory is known to be gob's.
fn forget(dirs: &Dirs, force: bool) -> Result<(Vec<Name>, Queue), (PathBuf, io::Error)> {
    let (last, logs) = (dirs.last_state(), dirs.logs());
    let is_recorded = fs::symlink_metadata(&last).is_ok_and(|found| found.is_file());
    let is_queue = gob_store::has_queue(&dirs.state);
    if !is_recorded && !is_queue {
        return Ok((Vec::new(), Queue::Goes));
    }
    let Some(locks) = keep_out(dirs) else {
        let error = io::Error::new(ErrorKind::WouldBlock, "a supervisor is about to begin; try again");
        return Err((last, error));
    };
    let queue = if force { Queue::Goes } else { Queue::read(&dirs.state) };
    let last_state = LastState::read(dirs).map(|last| last.workers).unwrap_or_default();
    let names: Vec<Name> = last_state.into_iter().map(|view| view.name).collect();
    missing_is_removed(fs::remove_dir_all(&logs)).map_err(|error| (logs, error))?;
    let mut own = match queue {
        Queue::Goes => history(&dirs.state).map_err(|error| (dirs.state.clone(), error))?,
        Queue::Stays(_) => {
            let path = dirs.state.join(gob_store::FILE);
            gob_store::forget_all(&dirs.state, &names).map_err(|error| (path, io::Error::other(error)))?;
            Vec::new()
        }
        Queue::Unread(_) => Vec::new(),
    };
    // The record goes last: workers that are still recorded can be nuked again.
    own.push(last);
    for path in own {
        missing_is_removed(fs::remove_file(&path)).map_err(|error| (path, error))?;
    }
    drop(locks);
    Ok((names, queue))
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
