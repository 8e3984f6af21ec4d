//! The log directories of workers: told by the supervisor, or found on disk without one.

use super::log_dir;
use crate::context::Context;
use crate::failure::Failure;
use crate::last::LastState;
use crate::suggest::with_remedy;
use gob_client::blocking::Client;
use gob_client::call::{Get, List};
use gob_client::logs;
use gob_client::protocol::ErrorCode;
use gob_client::{Dirs, Name, View};
use std::path::PathBuf;

/// The directory of a worker's logs, or the reason why it is unknown.
pub(super) struct Found {
    pub(super) name: Name,
    pub(super) dir: Option<PathBuf>,
    pub(super) failure: Option<Failure>,
}

/// Finds the log directories of the named workers, or of all.
pub(super) fn find(context: &Context, names: Vec<Name>, cwd: Option<&str>) -> Result<Vec<Found>, Failure> {
    let dirs = context.dirs()?;
    match context.connect("get") {
        Ok(mut client) if names.is_empty() => {
            let workers = client.list(List { cwd: cwd.map(str::to_owned), ..List::default() })?;
            if workers.is_empty() && cwd.is_some() {
                context.note("no worker has this working directory; gobctl list shows all");
            } else if workers.is_empty() {
                context
                    .note("no workers, so there are no logs; gobctl daemon logs shows the supervisor's own");
            }
            Ok(workers.iter().map(|worker| found(&dirs, worker)).collect())
        }
        Ok(mut client) => Ok(names.into_iter().map(|name| ask(context, &dirs, &mut client, name)).collect()),
        Err(failure) if failure.exit_code() == 7 => on_disk(context, &dirs, names, cwd, failure),
        Err(failure) => Err(failure),
    }
}

fn ask(context: &Context, dirs: &Dirs, client: &mut Client, name: Name) -> Found {
    match client.ask(Get { name: name.clone() }) {
        Ok(data) => found(dirs, &data.worker),
        Err(error) => {
            let failure = Failure::from(error);
            let left =
                left_over(dirs, &name).filter(|_| failure.wire_code() == Some(ErrorCode::ServerNotFound));
            if left.is_some() {
                context.note(&format!(
                    "the supervisor does not know {name} any more; these are the files that it left"
                ));
                return Found { name, dir: left, failure: None };
            }
            let failure = with_remedy(client, &name, failure);
            Found { name, dir: None, failure: Some(failure) }
        }
    }
}

fn found(dirs: &Dirs, worker: &View) -> Found {
    Found { name: worker.name.clone(), dir: Some(log_dir(dirs, worker)), failure: None }
}

/// Finds the files without a supervisor.
fn on_disk(
    context: &Context,
    dirs: &Dirs,
    names: Vec<Name>,
    cwd: Option<&str>,
    failure: Failure,
) -> Result<Vec<Found>, Failure> {
    if names.is_empty() {
        let Some(last) = LastState::read(dirs) else { return Err(failure) };
        context.note("no supervisor answers; these are the files that the last one left");
        let is_here = |worker: &&View| cwd.is_none_or(|cwd| worker.cwd.as_deref() == Some(cwd));
        return Ok(last.workers.iter().filter(is_here).map(|worker| found(dirs, worker)).collect());
    }
    if !names.iter().any(|name| left_over(dirs, name).is_some()) {
        return Err(failure);
    }
    context.note("no supervisor answers; these are the files that the last one left");
    let each = |name: Name| {
        let dir = left_over(dirs, &name);
        let missing =
            Failure::own(ErrorCode::ServerNotFound.as_str(), 4, format!("there is no log of {name}"));
        Found { name, failure: dir.is_none().then_some(missing), dir }
    };
    Ok(names.into_iter().map(each).collect())
}

fn left_over(dirs: &Dirs, name: &Name) -> Option<PathBuf> {
    let dir = dirs.logs().join(name.on_disk());
    logs::runs(&dir).is_ok_and(|runs| !runs.is_empty()).then_some(dir)
}
