//! `gobctl who GRAPH`: the real holder of a graph: gob's worker, another process, or none. Never starts
//! anything, and needs no supervisor for facts from locks and processes.

use super::{Effect, LOOKING, Verb};
use crate::checks::orphans::{described as described_survivor, way_out};
use crate::checks::whose::Whose;
use crate::config_file;
use crate::context::Context;
use crate::each::{name, name_arg};
use crate::failure::Failure;
use crate::foreign::{Holder, Place, Sight, look};
use crate::out;
use crate::process;
use crate::render::who;
use crate::speech::Speech;
use crate::text::{escape, shell_path};
use clap::ArgMatches;
use gob_client::call::{Get, List, Status as StatusOf};
use gob_client::protocol::view::Survivor;
use gob_client::protocol::{ErrorCode, State};
use gob_client::{Dirs, Error, Name, View};
use gob_config::Config;
use gob_config::kind::Kind;
use serde_json::json;
use std::path::PathBuf;

pub(crate) const VERB: Verb = Verb {
    path: &["who"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "Who really holds a graph: a worker, another process, or nobody",
    examples: "Examples:\n  gobctl who demo\n",
    command: |command| command.arg(name_arg("GRAPH")),
    run: Some(run),
    ..Verb::ROW
};

/// The holder.
enum Answer {
    Worker(Box<View>),
    /// The supervisor's view of a foreign process, and the facts seen from here.
    External(Option<Box<View>>, Sight),
    /// Processes that an earlier supervisor left and that could not be ended, and the supervisor's view of their worker.
    Left(Option<Box<View>>, Vec<Survivor>),
    Nobody(Sight),
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let name = name(matches)?;
    let answer = find(context, &name)?;
    out::print(&if context.json { json_of(&name, &answer) } else { told(&name, &answer, Speech::Commands) })?;
    Ok(0)
}

/// Returns the holder of a graph as an agent is told of it.
pub(crate) fn for_agent(context: &Context, name: &Name) -> Result<String, Failure> {
    Ok(told(name, &find(context, name)?, Speech::Tools))
}

/// Finds the holder of a graph.
fn find(context: &Context, name: &Name) -> Result<Answer, Failure> {
    let dirs = context.dirs()?;
    let Asked { worker, left, nobody } = ask(context, name)?;
    Ok(match worker {
        // An ending worker exists as long as a process of it is left, even without its leader.
        Some(worker)
            if worker.state != State::External
                && (worker.pid.is_some() || worker.state == State::Stopping) =>
        {
            Answer::Worker(Box::new(worker))
        }
        worker if !left.is_empty() => Answer::Left(worker.map(Box::new), left),
        worker => {
            let (sight, told_by_locks) = see(context, &dirs, name, worker.as_ref());
            let external = worker.filter(|worker| worker.state == State::External);
            match (external, nobody) {
                (Some(worker), _) => Answer::External(Some(Box::new(worker)), sight),
                (None, _) if !sight.holders.is_empty() => Answer::External(None, sight),
                // Without a supervisor only the contents of locks are known.
                (None, Some(nobody)) if !told_by_locks && !sight.is_unseen => return Err(nobody.into()),
                (None, _) => Answer::Nobody(sight),
            }
        }
    })
}

/// The supervisor's word on a graph.
#[derive(Default)]
struct Asked {
    worker: Option<View>,
    /// Processes of it that an earlier supervisor left and that could not be ended.
    left: Vec<Survivor>,
    /// The error where there is no supervisor.
    nobody: Option<Error>,
}

/// Asks the supervisor.
fn ask(context: &Context, name: &Name) -> Result<Asked, Failure> {
    let mut client = match context.without_autostart().connect("get") {
        Ok(client) => client,
        Err(Failure::Client(error @ Error::Nobody { .. })) => {
            return Ok(Asked { nobody: Some(error), ..Asked::default() });
        }
        Err(failure) => return Err(failure),
    };
    let worker = match client.ask(Get { name: name.clone() }) {
        Ok(data) => Some(data.worker),
        // A graph may be served under another name than its own.
        Err(Error::Refused(error)) if error.code == ErrorCode::ServerNotFound => {
            let serves =
                |worker: &View| worker.graph.as_deref() == Some(name.as_str()) && worker.pid.is_some();
            client.list(List::default())?.into_iter().find(serves)
        }
        Err(error) => return Err(error.into()),
    };
    let own = worker.as_ref().map_or(name, |worker| &worker.name);
    let left = client.ask(StatusOf)?.survivors.into_iter().filter(|left| left.worker.as_ref() == Some(own));
    let left = left.map(|left| left.process).collect();
    Ok(Asked { worker, left, nobody: None })
}

/// Returns the facts seen from here, and whether a lock would show any holder.
fn see(context: &Context, dirs: &Dirs, name: &Name, worker: Option<&View>) -> (Sight, bool) {
    let (config, rejected) = config_file::read(dirs);
    for file in &rejected {
        context.note(&format!("left out, it cannot be used: {file}"));
    }
    let graph = worker.and_then(|worker| Name::graph(worker.graph.as_ref()?).ok());
    let graph = graph.unwrap_or_else(|| name.clone());
    let (mut first, mut told_by_locks): (Option<Sight>, bool) = (None, false);
    for kind in kinds(&config, &graph, worker) {
        let said = worker.and_then(|worker| worker.root_dir.as_deref()).or(kind.root_dir.as_deref());
        let root = said.map_or_else(|| dirs.data.clone(), PathBuf::from);
        let root = root.canonicalize().unwrap_or(root);
        let sight = look(&Place { graph: &graph, kind: &kind, root: &root, dirs });
        told_by_locks |= kind.foreign.is_looked_for();
        if !sight.holders.is_empty() {
            return (sight, told_by_locks);
        }
        first = first.filter(|first| first.note.is_some()).or(Some(sight));
    }
    (first.unwrap_or_default(), told_by_locks)
}

/// Returns the kinds in whose places a graph may be held: its worker's, else the configured one; for an
/// unknown graph the default kind and every other one.
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

fn told(name: &Name, answer: &Answer, speech: Speech) -> String {
    let name = escape(name.as_str());
    let (mut text, sight) = match answer {
        Answer::Worker(worker) => {
            let owned = if worker.owned { "" } else { "; you don't own it" };
            let own = escape(worker.name.as_str());
            let called = if own == name { String::new() } else { format!(" {own}") };
            let reason = worker.reason.as_ref().filter(|_| worker.state == State::Stopping);
            let reason = reason.map_or_else(String::new, |reason| format!(": {}", escape(reason)));
            return format!(
                "{name} is held by gob's worker{called} ({}{owned}), {}{reason}\n",
                who(worker),
                worker.state
            );
        }
        Answer::External(worker, sight) => {
            let of_view = worker.as_ref().filter(|_| sight.holders.is_empty()).map(|worker| who(worker));
            let of_sight = sight.holders.iter().map(described);
            let whom: Vec<String> = of_view.into_iter().chain(of_sight).collect();
            let process = match sight.holders.as_slice() {
                [holder] => kind_of(holder),
                _ if whom.len() > 1 => "processes that are not workers of gob's",
                _ => FOREIGN,
            };
            let endpoint = worker.as_ref().and_then(|worker| worker.endpoint.as_ref());
            let endpoint = endpoint.map_or_else(String::new, |endpoint| format!("{}\n", escape(endpoint)));
            (format!("{name} is held by {process} ({})\n{endpoint}", whom.join("; ")), sight)
        }
        Answer::Left(_, left) => return told_left(&name, left, speech),
        Answer::Nobody(sight) if sight.is_unseen => {
            (format!("{name} is held by a process that can't be seen from here\n"), sight)
        }
        Answer::Nobody(sight) => (format!("{name} is held by nobody\n"), sight),
    };
    for holder in &sight.holders {
        if !holder.command.is_empty() {
            text.push_str(&format!("  {}: {}\n", holder.pid, escape(&holder.command)));
        }
        text.extend(supervisor_of(holder, speech).map(|line| format!("  {}\n", escape(&line))));
    }
    text.extend(sight.note.iter().map(|note| format!("  {}\n", escape(note))));
    text
}

/// Describes what an earlier supervisor left of a worker, and the way to end it.
fn told_left(name: &str, left: &[Survivor], speech: Speech) -> String {
    let whom: Vec<String> = left.iter().map(described_survivor).collect();
    let mut text = format!("{name} is held by what an earlier supervisor left of it: {}\n", whom.join("; "));
    for process in left {
        let command = process::command(process.pid);
        if !command.is_empty() {
            text.push_str(&format!("  {}: {}\n", process.pid, escape(&command)));
        }
    }
    let denied = left.iter().filter(|process| process.error.is_some()).map(|process| process.pid);
    let for_agent = "only the user can end them; call status for how it goes on".to_owned();
    text.push_str(&format!("  {}\n", speech.of(way_out(denied), for_agent)));
    text
}

const FOREIGN: &str = "a process that is not a worker of gob's";

fn kind_of(holder: &Holder) -> &'static str {
    match &holder.whose {
        None => FOREIGN,
        Some(Whose::Supervisor { .. }) => "a worker of another supervisor",
        Some(Whose::Nobodys { .. }) => "a worker whose supervisor is dead, or not to be seen from here",
    }
}

/// Returns the place of a worker's supervisor, and the command to type.
fn supervisor_of(holder: &Holder, speech: Speech) -> Option<String> {
    Some(match holder.whose.as_ref()? {
        Whose::Supervisor { pid, state_dir } => {
            let look =
                speech.of(format!(": GOB_STATE_DIR={} gobctl list", shell_path(state_dir)), String::new());
            format!("its supervisor is gobd (pid {pid}) of the state directory {}{look}", state_dir.display())
        }
        Whose::Nobodys { ours: true } => {
            let next = speech.of("gobctl daemon start", "start of any worker starts that");
            format!("it was started by a supervisor of this state directory; the next one ends it: {next}")
        }
        Whose::Nobodys { ours: false } => {
            "the next supervisor of its state directory, which is not this one, ends it".to_owned()
        }
    })
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
        Answer::Left(worker, _) => ("external", worker.as_ref(), &nothing),
        Answer::Nobody(sight) if sight.is_unseen => ("external", None, sight),
        Answer::Nobody(sight) => ("nobody", None, sight),
    };
    let first = sight.holders.first();
    let left: &[Survivor] = if let Answer::Left(_, left) = answer { left } else { &[] };
    let supervisor = |holder: &Holder| match holder.whose.as_ref()? {
        Whose::Supervisor { pid, state_dir } => {
            Some(json!({"pid": pid, "state_dir": state_dir.to_string_lossy()}))
        }
        Whose::Nobodys { .. } => Some(json!({"pid": null, "state_dir": null})),
    };
    let each = |holder: &Holder| {
        json!({"pid": holder.pid, "owner": holder.owner, "path": holder.path,
        "command": holder.command, "supervisor": supervisor(holder)})
    };
    let answer = json!({
        "graph": name.as_str(),
        "holder": holder,
        "pid": worker.and_then(|worker| worker.pid).or(first.map(|first| first.pid)).or(left.first().map(|first| first.pid)),
        "owner": worker.map(|worker| &worker.owner).or(first.map(|first| &first.owner)),
        "path": first.and_then(|first| first.path.as_ref()),
        "endpoint": worker.and_then(|worker| worker.endpoint.as_ref()),
        "worker": worker,
        "supervisor": first.and_then(supervisor),
        "processes": sight.holders.iter().map(each).collect::<Vec<_>>(),
        "survivors": left,
        "note": sight.note,
    });
    format!("{answer}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gob_client::Owner;

    #[test]
    fn the_supervisor_of_a_worker_is_named() {
        let told = |whose| {
            let holder = Holder { pid: 7, owner: Owner::cli(), path: None, command: String::new(), whose };
            super::told(
                &Name::any("g").unwrap(),
                &Answer::External(None, Sight { holders: vec![holder], ..Sight::default() }),
                Speech::Commands,
            )
        };
        assert!(
            told(None)
                .starts_with("g is held by a process that is not a worker of gob's (pid 7, owner cli, ")
        );
        let other = told(Some(Whose::Supervisor { pid: 8, state_dir: "/my state".into() }));
        assert!(other.starts_with("g is held by a worker of another supervisor (pid 7, "), "{other}");
        assert!(other.ends_with("directory /my state: GOB_STATE_DIR='/my state' gobctl list\n"), "{other}");
        let own = told(Some(Whose::Nobodys { ours: true }));
        assert!(own.ends_with("the next one ends it: gobctl daemon start\n"), "{own}");
        let unknown = told(Some(Whose::Nobodys { ours: false }));
        assert!(unknown.ends_with("which is not this one, ends it\n"), "{unknown}");
    }
}
