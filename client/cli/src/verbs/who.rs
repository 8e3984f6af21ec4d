//! `gobctl who GRAPH`: who really holds a graph: gob's worker, another process, or nobody. Never starts anything.

use super::{LOOKING, Verb};
use crate::context::Context;
use crate::each::{name, name_arg};
use crate::failure::Failure;
use crate::lock_holder::{Holder, holder};
use crate::out;
use crate::render::who;
use crate::text::escape;
use clap::ArgMatches;
use gob_client::protocol::{ErrorCode, State};
use gob_client::{Error, Name, View};
use serde_json::json;
use std::path::{Path, PathBuf};

pub(crate) const VERB: Verb = Verb {
    name: "who",
    aliases: &[],
    group: LOOKING,
    about: "Who really holds a graph: a worker, another process, or nobody",
    examples: "Examples:\n  gobctl who demo\n",
    command: |command| command.arg(name_arg("GRAPH")),
    run,
};

/// Who holds it.
enum Answer {
    Worker(Box<View>),
    External(Option<Box<View>>, Option<Holder>),
    Nobody,
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let dirs = context.dirs()?;
    let (worker, nobody) = ask(context, &name)?;
    let root = worker.as_ref().and_then(|worker| worker.root_dir.as_ref()).map_or(dirs.data, PathBuf::from);
    let answer = match worker {
        Some(worker) if worker.state == State::External => Answer::External(Some(Box::new(worker)), None),
        Some(worker) if worker.pid.is_some() => Answer::Worker(Box::new(worker)),
        Some(_) | None => match locked_by(&root, &name) {
            Some(holder) => Answer::External(None, Some(holder)),
            None => Answer::Nobody,
        },
    };
    if let (Answer::Nobody, Some(nobody)) = (&answer, nobody) {
        // Without a supervisor nobody knows what is not written down in a lock.
        return Err(nobody.into());
    }
    out::print(&if context.json { json_of(&name, &answer) } else { told(&name, &answer) })?;
    Ok(0)
}

/// What the supervisor knows of it, and that there is none.
fn ask(context: &Context, name: &Name) -> Result<(Option<View>, Option<Error>), Failure> {
    let mut client = match context.without_autostart().connect("get") {
        Ok(client) => client,
        Err(Failure::Client(error @ Error::Nobody { .. })) => return Ok((None, Some(error))),
        Err(failure) => return Err(failure),
    };
    match client.get(name.clone()) {
        Ok(worker) => Ok((Some(worker), None)),
        Err(Error::Refused(error)) if error.code == ErrorCode::ServerNotFound => Ok((None, None)),
        Err(error) => Err(error.into()),
    }
}

/// The locks that say that a graph is in use (ARCHITECTURE, Directories), and the graph worker's own.
fn locked_by(root: &Path, name: &Name) -> Option<Holder> {
    let encoded = name.on_disk();
    let own = root.join(&encoded);
    let locks =
        [root.join(".gob").join(format!("{encoded}.lock")), own.join("lock"), own.join("worker.lock")];
    locks.iter().find_map(|path| holder(path))
}

fn told(name: &Name, answer: &Answer) -> String {
    let name = escape(name.as_str());
    match answer {
        Answer::Worker(worker) => {
            let owned = if worker.owned { "" } else { "; you don't own it" };
            format!("{name} is held by gob's worker ({}{owned}), {}\n", who(worker), worker.state)
        }
        Answer::External(worker, holder) => {
            let of_view = worker.as_ref().and_then(|worker| worker.pid).map(|pid| format!("pid {pid}"));
            let of_lock =
                holder.as_ref().map(|holder| format!("pid {}, {}", holder.pid, escape(&holder.program)));
            let whom = of_view.or(of_lock).unwrap_or_else(|| "pid unknown".to_owned());
            format!("{name} is held by a process that is not a worker of gob's ({whom})\n")
        }
        Answer::Nobody => format!("{name} is held by nobody\n"),
    }
}

fn json_of(name: &Name, answer: &Answer) -> String {
    let (holder, pid, worker) = match answer {
        Answer::Worker(worker) => ("worker", worker.pid, Some(worker)),
        Answer::External(worker, holder) => {
            let pid = worker.as_ref().and_then(|worker| worker.pid);
            ("external", pid.or(holder.as_ref().map(|holder| holder.pid)), worker.as_ref())
        }
        Answer::Nobody => ("nobody", None, None),
    };
    format!("{}\n", json!({"graph": name.as_str(), "holder": holder, "pid": pid, "worker": worker}))
}
