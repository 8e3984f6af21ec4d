//! `gobctl who GRAPH`: who really holds a graph: gob's worker, another process, or nobody. Never starts anything, and
//! needs no supervisor for what locks and processes tell.

use super::{LOOKING, Verb};
use crate::config_file;
use crate::context::Context;
use crate::each::{name, name_arg};
use crate::failure::Failure;
use crate::foreign::{Holder, Place, Sight, look};
use crate::out;
use crate::render::who;
use crate::text::escape;
use clap::ArgMatches;
use gob_client::protocol::config::Config;
use gob_client::protocol::kind::Kind;
use gob_client::protocol::{ErrorCode, State};
use gob_client::{Dirs, Error, Name, View};
use serde_json::json;
use std::path::PathBuf;

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
    /// What the supervisor says of a process that is not its own, and what can be seen.
    External(Option<Box<View>>, Sight),
    Nobody(Sight),
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let dirs = context.dirs()?;
    let (worker, nobody) = ask(context, &name)?;
    let answer = match worker {
        Some(worker) if worker.state != State::External && worker.pid.is_some() => {
            Answer::Worker(Box::new(worker))
        }
        worker => {
            let (sight, told_by_locks) = see(context, &dirs, &name, worker.as_ref());
            let external = worker.filter(|worker| worker.state == State::External);
            match (external, nobody) {
                (Some(worker), _) => Answer::External(Some(Box::new(worker)), sight),
                (None, _) if !sight.holders.is_empty() => Answer::External(None, sight),
                // Without a supervisor nobody knows what is not written down in a lock.
                (None, Some(nobody)) if !told_by_locks => return Err(nobody.into()),
                (None, _) => Answer::Nobody(sight),
            }
        }
    };
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

/// What can be seen from here, and whether a lock would tell if anybody held it.
fn see(context: &Context, dirs: &Dirs, name: &Name, worker: Option<&View>) -> (Sight, bool) {
    let config = config_file::read(dirs).unwrap_or_else(|rejected| {
        let problem = rejected.problems.first().map(ToString::to_string).unwrap_or_default();
        context.note(&format!("the configuration is left out, it cannot be used: {problem}"));
        None
    });
    let config: Config = config.unwrap_or_default();
    let graph = worker.and_then(|worker| Name::graph(worker.graph.as_ref()?).ok());
    let graph = graph.unwrap_or_else(|| name.clone());
    let (mut first, mut told_by_locks): (Option<Sight>, bool) = (None, false);
    for kind in kinds(&config, &graph, worker) {
        let said = worker.and_then(|worker| worker.root_dir.as_deref()).or(kind.root_dir.as_deref());
        let root = said.map_or_else(|| dirs.data.clone(), PathBuf::from);
        let root = root.canonicalize().unwrap_or(root);
        let sight = look(&Place { graph: &graph, kind: &kind, root: &root, data: &dirs.data });
        told_by_locks |= kind.foreign.is_looked_for();
        if !sight.holders.is_empty() {
            return (sight, told_by_locks);
        }
        first = first.filter(|first| first.note.is_some()).or(Some(sight));
    }
    (first.unwrap_or_default(), told_by_locks)
}

/// The kinds in whose places a graph may be held: its worker's, else the one that the file says; of a graph of which
/// neither knows anything, the default one and every other, for nobody said yet which it would be.
fn kinds(config: &Config, graph: &Name, worker: Option<&View>) -> Vec<Kind> {
    let of = |asked: Option<&str>| config.kind_of(graph.as_str(), asked).ok().map(|(_, kind)| kind);
    if let Some(kind) = worker.and_then(|worker| of(Some(&worker.kind))) {
        return vec![kind];
    }
    let own = of(None);
    if worker.is_some() || config.graphs.get(graph.as_str()).is_some_and(|said| said.kind.is_some()) {
        return own.into_iter().collect();
    }
    let others = config.kinds.keys().filter(|name| **name != config.default_kind);
    own.into_iter().chain(others.filter_map(|name| of(Some(name)))).collect()
}

fn told(name: &Name, answer: &Answer) -> String {
    let name = escape(name.as_str());
    let (mut text, sight) = match answer {
        Answer::Worker(worker) => {
            let owned = if worker.owned { "" } else { "; you don't own it" };
            return format!("{name} is held by gob's worker ({}{owned}), {}\n", who(worker), worker.state);
        }
        Answer::External(worker, sight) => {
            let of_view = worker.as_ref().filter(|_| sight.holders.is_empty()).map(|worker| who(worker));
            let of_sight = sight.holders.iter().map(described);
            let whom: Vec<String> = of_view.into_iter().chain(of_sight).collect();
            let process = if whom.len() > 1 {
                "processes that are not workers"
            } else {
                "a process that is not a worker"
            };
            let endpoint = worker.as_ref().and_then(|worker| worker.endpoint.as_ref());
            let endpoint = endpoint.map_or_else(String::new, |endpoint| format!("{}\n", escape(endpoint)));
            (format!("{name} is held by {process} of gob's ({})\n{endpoint}", whom.join("; ")), sight)
        }
        Answer::Nobody(sight) => (format!("{name} is held by nobody\n"), sight),
    };
    for holder in sight.holders.iter().filter(|holder| !holder.command.is_empty()) {
        text.push_str(&format!("  {}: {}\n", holder.pid, escape(&holder.command)));
    }
    text.extend(sight.note.iter().map(|note| format!("  {}\n", escape(note))));
    text
}

fn described(holder: &Holder) -> String {
    let by = match &holder.path {
        Some(path) => escape(&path.to_string_lossy()),
        None => "by its arguments, without a lock file".to_owned(),
    };
    format!("pid {}, owner {}, {by}", holder.pid, holder.owner)
}

fn json_of(name: &Name, answer: &Answer) -> String {
    let nothing = Sight::default();
    let (holder, worker, sight) = match answer {
        Answer::Worker(worker) => ("worker", Some(worker), &nothing),
        Answer::External(worker, sight) => ("external", worker.as_ref(), sight),
        Answer::Nobody(sight) => ("nobody", None, sight),
    };
    let first = sight.holders.first();
    let each = |holder: &Holder| json!({"pid": holder.pid, "owner": holder.owner, "path": holder.path, "command": holder.command});
    let answer = json!({
        "graph": name.as_str(),
        "holder": holder,
        "pid": worker.and_then(|worker| worker.pid).or(first.map(|first| first.pid)),
        "owner": worker.map(|worker| &worker.owner).or(first.map(|first| &first.owner)),
        "path": first.and_then(|first| first.path.as_ref()),
        "endpoint": worker.and_then(|worker| worker.endpoint.as_ref()),
        "worker": worker,
        "processes": sight.holders.iter().map(each).collect::<Vec<_>>(),
        "note": sight.note,
    });
    format!("{answer}\n")
}
