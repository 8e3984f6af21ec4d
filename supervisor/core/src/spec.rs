//! A worker's spec: all that its plan and its lifecycle read, apart from the run itself.
//!
//! A graph's worker and a job differ in where they come from, [`Origin`], and in nothing else: here and in `making`, by which
//! their runs are made.

use crate::paths::Paths;
use crate::pools::Pools;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use gob_config::Config as Settings;
use gob_config::kind::{Check, Kind, Liveness};
use gob_protocol::queue::LaneName;
use gob_protocol::{Env, Name};
use serde::{Deserialize, Serialize};

/// How a worker's runs are made, watched and ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) origin: Origin,
    /// The name of its policy.
    pub(crate) kind_name: Arc<str>,
    /// The policy: command, readiness, ways to stop, restarts.
    pub(crate) policy: Arc<Kind>,
    /// As much of its starter's environment as its origin lets through.
    #[serde(serialize_with = "Env::serialize_in_state")]
    pub(crate) env: Option<Arc<Env>>,
    /// The umask of its starter, where that is known and its runs get it.
    #[serde(default)]
    pub(crate) umask: Option<u32>,
}

/// Where the need for a worker comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// A graph, which one worker serves at most.
    Graph(Graph),
    /// A command in a directory, which is one job at most.
    Job(Job),
}

/// Two workers of one identity are the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Identity {
    /// A graph, and the real path of its root.
    Graph(Name, Arc<str>),
    /// The real path of a directory, and a command.
    Job(Arc<str>, Arc<[String]>),
    /// A job of the queue, which is like no other, whatever its command.
    Queued(Name),
}

/// A job: what runs, and where. Its arguments are taken as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) command: Arc<[String]>,
    /// The real path of its directory.
    pub(crate) cwd: Arc<str>,
    pub(crate) description: Option<String>,
    /// The reason why it must not run, as the project file of its directory had it when it was last read.
    #[serde(default)]
    pub(crate) blocked: Option<String>,
    /// Present where the queue runs it.
    #[serde(default)]
    pub(crate) queued: Option<Box<Queued>>,
}

/// The job of the queue that a worker is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Queued {
    pub(crate) id: Name,
    pub(crate) lane: LaneName,
    /// The number of its present or last attempt, which is that of its run.
    pub(crate) attempt: u32,
    /// The attempt has not ended.
    pub(crate) is_on: bool,
}

/// A graph as its worker knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Graph {
    pub(crate) name: Name,
    /// The real path of its root.
    pub(crate) root_dir: Arc<str>,
    /// Neither its start nor the configuration says of which kind the graph is: the record on disk does.
    pub(crate) kind_is_open: bool,
    /// Neither its start nor the configuration says in which root the graph is.
    pub(crate) root_is_open: bool,
    /// It was served in this supervisor's life.
    pub(crate) was_served: bool,
    /// An earlier supervisor had its worker.
    pub(crate) is_remembered: bool,
}

impl Spec {
    /// The time from the request to end until its processes are killed: as asked for, else its kind's.
    pub(crate) fn grace_ms(&self, asked_ms: Option<u64>) -> u64 {
        asked_ms.unwrap_or(self.policy.stop.grace_ms)
    }

    /// The graph that the worker serves.
    pub(crate) const fn graph(&self) -> Option<&Graph> {
        match &self.origin {
            Origin::Graph(graph) => Some(graph),
            Origin::Job(_) => None,
        }
    }

    pub(crate) const fn graph_mut(&mut self) -> Option<&mut Graph> {
        match &mut self.origin {
            Origin::Graph(graph) => Some(graph),
            Origin::Job(_) => None,
        }
    }

    /// The job that the worker is.
    pub(crate) const fn job(&self) -> Option<&Job> {
        match &self.origin {
            Origin::Graph(_) => None,
            Origin::Job(job) => Some(job),
        }
    }

    /// The job of the queue that the worker is.
    pub(crate) fn queued(&self) -> Option<&Queued> {
        self.job().and_then(|job| job.queued.as_deref())
    }

    /// Ends the attempt of a job of the queue; `None` where none is on.
    pub(crate) fn ends_attempt(&mut self) -> Option<(Name, u32)> {
        match &mut self.origin {
            Origin::Graph(_) => None,
            Origin::Job(job) => {
                let queued = job.queued.as_mut().filter(|queued| queued.is_on)?;
                queued.is_on = false;
                Some((queued.id.clone(), queued.attempt))
            }
        }
    }

    /// Gives a job another description; false where it has that already.
    pub(crate) fn describe(&mut self, text: &str) -> bool {
        match &mut self.origin {
            Origin::Graph(_) => false,
            Origin::Job(job) => job.description.replace(text.into()).as_deref() != Some(text),
        }
    }

    /// Notes whether the project file blocks a job; false where that is known already.
    pub(crate) fn block(&mut self, reason: Option<&str>) -> bool {
        match &mut self.origin {
            Origin::Graph(_) => false,
            Origin::Job(job) if job.blocked.as_deref() == reason => false,
            Origin::Job(job) => {
                job.blocked = reason.map(Into::into);
                true
            }
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        match &self.origin {
            Origin::Graph(graph) => Identity::Graph(graph.name.clone(), Arc::clone(&graph.root_dir)),
            Origin::Job(Job { queued: Some(queued), .. }) => Identity::Queued(queued.id.clone()),
            Origin::Job(job) => Identity::Job(Arc::clone(&job.cwd), Arc::clone(&job.command)),
        }
    }

    /// Notes that a run is ready. True when its graph's record is to be written: its kind and its root are settled.
    pub(crate) const fn is_served(&mut self) -> bool {
        let Some(graph) = self.graph_mut() else { return false };
        (graph.was_served, graph.kind_is_open, graph.root_is_open) = (true, false, false);
        true
    }

    /// Notes that the worker is at rest: the environment of a job, which is its starter's whole one, is kept for no longer than
    /// runs need it.
    pub(crate) fn rests(&mut self) {
        if self.job().is_some() {
            self.env = None;
        }
    }

    /// Takes the environment and the umask of a starter.
    pub(crate) fn starts_in(&mut self, env: Option<&Env>, umask: Option<u32>, pools: &mut Pools) {
        if let Some(env) = env {
            self.env = Some(pools.envs.of(self.passes(env)));
        }
        self.umask = umask.filter(|_| self.job().is_some()).or(self.umask);
    }

    /// The repeated check of a run that is up, where its policy has one that can be repeated.
    pub(crate) fn liveness(&self) -> Option<&Liveness> {
        self.policy.liveness.as_ref().filter(|liveness| match liveness.check {
            Check::None | Check::Delay { .. } => false,
            Check::Handshake | Check::Notify | Check::Http { .. } | Check::Connect { .. } => true,
            Check::Log { .. } => true,
        })
    }

    /// Gives it the policy of its name as the settings have it now. A policy that is gone from them stays as it was.
    pub(crate) fn renewed(&self, settings: &Settings) -> Option<Kind> {
        let graph = self.graph()?.name.as_str();
        settings.kind_of(graph, Some(&self.kind_name)).ok().map(|(_, kind)| kind)
    }

    /// Takes what workers share from their pools.
    pub(crate) fn intern(&mut self, pools: &mut Pools) {
        self.policy = pools.kinds.of(Arc::clone(&self.policy));
        self.kind_name = pools.kind_names.of(Arc::clone(&self.kind_name));
        self.env = self.env.take().map(|env| pools.envs.of(env));
        if let Some(graph) = self.graph_mut() {
            graph.root_dir = pools.root_dirs.of(Arc::clone(&graph.root_dir));
        }
    }

    /// The variables of an environment that its runs get.
    pub(crate) fn passes(&self, env: &Env) -> Env {
        match &self.origin {
            Origin::Graph(_) => graph_env(env, &self.policy.pass_env),
            Origin::Job(_) => env.clone(),
        }
    }
}

/// Variables of the requester that every graph gets; `LC_` and `XDG_` stand for all that begin so.
const COMMON: [&str; 8] = ["PATH", "HOME", "USER", "SHELL", "LANG", "TZ", "TMPDIR", "SSH_AUTH_SOCK"];
const COMMON_PREFIXES: [&str; 2] = ["LC_", "XDG_"];

/// The part of an environment that a graph gets.
pub(crate) fn graph_env(from: &Env, pass: &[String]) -> Env {
    let passes = |name: &str| {
        COMMON.contains(&name)
            || COMMON_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || pass.iter().any(|wanted| wanted == name)
    };
    from.iter().filter(|(name, _)| passes(name)).collect()
}

/// Tells whether a worker of this kind needs a socket that has no room: gob's own can listen on a path of any length.
pub(crate) fn lacks_socket(kind: &Kind, name: &Name, paths: &Paths) -> bool {
    kind.takes_socket() && !kind.is_own() && !paths.has_room_for(name)
}

/// Tells whether a kind's runs get a port: one of its texts has `{port}`, or its check connects to it.
pub(crate) fn needs_port(kind: &Kind) -> bool {
    let mut texts = kind.command.iter().chain(kind.env.values()).chain(&kind.cwd).chain(&kind.stop.http);
    kind.port.is_some()
        || kind.readiness.check.wants_given_port()
        || texts.any(|text| text.contains("{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    #[test]
    fn a_graph_gets_the_common_part_of_the_environment() {
        let env: Env = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("XDG_RUNTIME_DIR", "/run"),
            ("SECRET", "x"),
            ("WANTED", "y"),
            ("GOB_OWNER", "desktop"),
        ]
        .into_iter()
        .collect();
        let got = graph_env(&env, &["WANTED".to_string()]);
        let names: Vec<&str> = got.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["LC_ALL", "PATH", "WANTED", "XDG_RUNTIME_DIR"]);
    }
}
