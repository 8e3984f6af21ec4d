//! The configuration file, `config.toml` (CLI, Configuration): text in, kinds and graphs out.
//!
//! [`kind`] has the kinds, which the core decides by; [`foreign`] the rules of programs that hold a graph without
//! asking gob, which a kind may name. Pure: callers read the files, resolve the directories and find the programs. One pass reports every
//! problem with its place, and every value remembers where it came from. `docs/CONFIGURATION.md` is the
//! reference of the keys.

mod braces;
mod document;
mod duplicate;
mod example;
mod files;
pub mod foreign;
mod gather;
pub mod gobfile;
mod keys;
pub mod kind;
mod lanes;
mod limits;
mod liveness;
mod overrides;
pub mod placeholder;
mod problem;
mod reader;
mod readiness;
mod scalar;
mod sections;
mod shown;
mod socket;
#[cfg(test)]
mod tests;
mod trust;

pub use braces::PLACEHOLDERS;
pub use example::EXAMPLE;
pub use files::{CONFIG_DIR, FileText, MAX_ALL_CONFIG_BYTES, MAX_CONFIG_FILES, Reading};
pub use gather::{ConfigDisk, gather};
pub use lanes::{LaneSettings, Queue, Shared};
pub use problem::{Problem, Rejected};
pub use shown::{Setting, Source};
pub use trust::{FileFacts, MAX_CONFIG_BYTES};

use crate::kind::{Check, Kind, Readiness, RestartPolicy, StopWay};
use files::Parts;
use gob_protocol::name::Owner;
use overrides::Overrides;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The kind that exists without a file.
pub const BUILT_IN: &str = "graph";

/// Default owners that may end other owners' workers by force.
const FORCE_OWNERS: [&str; 3] = ["cli", "desktop", "electron"];

/// A whole configuration, with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The kind of a graph that names none.
    pub default_kind: String,
    /// Owners whose `force` of `nuke` and `shutdown` counts.
    pub force_owners: Vec<Owner>,
    /// The kinds by name; the built-in one is always among them.
    pub kinds: BTreeMap<String, Kind>,
    /// Settings of single graphs.
    pub graphs: BTreeMap<String, Graph>,
    /// The restart policy of kinds that have none of their own.
    pub restart: RestartPolicy,
    /// How much of the workers' output is kept.
    pub logs: Logs,
    /// The bounds of the history.
    #[serde(default)]
    pub history: History,
    /// The limits beyond which a job seems stuck to those who wait for it.
    #[serde(default)]
    pub jobs: Jobs,
    /// The lanes of the queue that a file names.
    #[serde(default)]
    pub lanes: BTreeMap<String, LaneSettings>,
    /// The settings of the queue.
    #[serde(default)]
    pub queue: Queue,
    /// The database that several machines share.
    #[serde(default)]
    pub shared: Option<Shared>,
    /// The place of each value that came from a file.
    found: BTreeMap<String, Place>,
    /// The parts of each file, in order of precedence.
    files: Vec<(Arc<str>, Arc<Parts>)>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    file: Arc<str>,
    line: u32,
    column: u32,
}

/// Settings of one graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// Its kind, unless a start names another.
    pub kind: Option<String>,
    overrides: Overrides,
}

/// Limits on the workers' output that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logs {
    /// A log file of this size is rotated.
    pub rotate_bytes: u64,
    /// Rotated files kept per stream.
    pub keep: u32,
    /// The bound for all logs together.
    pub budget_bytes: u64,
    /// Ended runs of one worker that keep their logs.
    pub runs: u32,
}

/// The bounds of the history of each worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Runs that are kept.
    pub keep_runs: u32,
    /// Time for which they are kept.
    pub keep_ms: u64,
}

/// The limits beyond which a job seems stuck: it is silent, and runs for longer than it does as a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jobs {
    /// Time without output.
    pub silent_ms: u64,
    /// Time beyond the mean of its successful runs.
    pub over_ms: u64,
    /// Age of a run, where none has succeeded before.
    pub without_history_ms: u64,
}

impl Default for Jobs {
    fn default() -> Self {
        Self { silent_ms: 60_000, over_ms: 60_000, without_history_ms: 5 * 60_000 }
    }
}

impl Default for History {
    fn default() -> Self {
        Self { keep_runs: 1_000, keep_ms: 90 * 24 * 3_600_000 }
    }
}

impl Default for Logs {
    fn default() -> Self {
        Self { rotate_bytes: 10 << 20, keep: 5, budget_bytes: 1 << 30, runs: 100 }
    }
}

impl Default for Config {
    /// Returns the configuration without a file.
    fn default() -> Self {
        Self {
            default_kind: BUILT_IN.to_owned(),
            force_owners: FORCE_OWNERS.iter().filter_map(|owner| Owner::new(owner).ok()).collect(),
            kinds: BTreeMap::from([(BUILT_IN.to_owned(), Kind::graph())]),
            graphs: BTreeMap::new(),
            restart: RestartPolicy::default(),
            logs: Logs::default(),
            history: History::default(),
            jobs: Jobs::default(),
            lanes: BTreeMap::new(),
            queue: Queue::default(),
            shared: None,
            found: BTreeMap::new(),
            files: Vec::new(),
        }
    }
}

impl Config {
    /// Parses a configuration of one file. `home` replaces `~/`.
    ///
    /// # Errors
    /// Every problem, in the order of the file; `path` is only named in them.
    pub fn parse(text: &str, home: Option<&str>, path: &str) -> Result<Self, Box<Rejected>> {
        let (config, rejected) = Reading::of(&[FileText::read(path, text)], home).settle(&Self::default());
        rejected.into_iter().next().map_or(Ok(config), |rejected| Err(Box::new(rejected)))
    }

    /// Returns the files of this configuration, in order of precedence.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(path, _)| &**path)
    }

    /// Returns the kind that starts a graph, with its name: `asked`, else the graph's own, else the default;
    /// with the graph's own settings laid over it.
    ///
    /// # Errors
    /// The name of the missing kind.
    pub fn kind_of(&self, graph: &str, asked: Option<&str>) -> Result<(String, Kind), String> {
        let said = self.graphs.get(graph);
        let own = said.and_then(|graph| graph.kind.as_deref());
        let name = asked.or(own).unwrap_or(&self.default_kind);
        let mut kind = self.kinds.get(name).ok_or_else(|| name.to_owned())?.clone();
        if let Some(graph) = said {
            graph.overrides.lay_over(&mut kind);
        }
        Ok((name.to_owned(), kind))
    }

    /// Returns the kind that the file sets for this graph.
    #[must_use]
    pub fn own_kind(&self, graph: &str) -> Option<&str> {
        self.graphs.get(graph)?.kind.as_deref()
    }

    /// Returns the root directory that the file sets for this graph, whatever its kind.
    #[must_use]
    pub fn own_root(&self, graph: &str) -> Option<&str> {
        self.graphs.get(graph)?.overrides.root_dir.as_deref()
    }

    /// Returns the root directories that the file sets.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        let of_graphs = self.graphs.values().filter_map(|graph| graph.overrides.root_dir.as_deref());
        self.kinds.values().filter_map(|kind| kind.root_dir.as_deref()).chain(of_graphs)
    }

    /// Returns the graphs that start with the supervisor.
    pub fn autostart(&self) -> impl Iterator<Item = &str> {
        let starts = |name: &&String| self.kind_of(name, None).is_ok_and(|(_, kind)| kind.autostart);
        self.graphs.keys().filter(starts).map(String::as_str)
    }

    /// Reports the programs of the files that `find` does not find, each with its file. `find` is called with
    /// a path and the PATH that the kind sets, if any. A relative path is resolved in the kind's `cwd`, as at
    /// a start. A program whose path holds a placeholder is known only at its start, and is passed over.
    pub fn missing_programs(
        &self,
        mut exists: impl FnMut(&str, Option<&str>) -> bool,
    ) -> Vec<(String, Problem)> {
        let mut problems = Vec::new();
        for (prefix, kind) in self.kinds_and_graphs() {
            let key = format!("{prefix}.command");
            let said = kind.command.first().filter(|_| self.found.contains_key(&key));
            let program = said.and_then(|program| program_path(program, kind.cwd.as_deref()));
            let (Some(said), Some(program)) = (said, program) else { continue };
            if !exists(&program, kind.env.get("PATH").map(String::as_str)) {
                let what = match said.contains('/') {
                    true if *said == program => "is no program".to_owned(),
                    true => format!("is no program: there is no {program}"),
                    false => "is not on PATH".to_owned(),
                };
                let program = said;
                problems.extend(self.at(key, format!("{program} {what}")));
            }
        }
        problems.sort();
        problems
    }

    /// Returns relative paths of programs without a `cwd`, each with its file: a start finds such a program in
    /// the directory of its graph and nowhere else. They are no error.
    #[must_use]
    pub fn doubtful_programs(&self) -> Vec<(String, Problem)> {
        let told = self.kinds_and_graphs().filter_map(|(table, kind)| {
            let program = kind.command.first()?;
            let is_relative = program.contains('/') && !program.starts_with(['/', '{']);
            let message = format!(
                "{program} is run as {{data_dir}}/{program}, in the directory of each graph; give an absolute path, or a cwd"
            );
            let told = self.at(format!("{table}.command"), message)?;
            (is_relative && kind.cwd.is_none()).then_some(told)
        });
        let mut all: Vec<_> = told.collect();
        all.sort();
        all
    }

    /// Returns the settings of every kind and every graph, each with its dotted name.
    fn kinds_and_graphs(&self) -> impl Iterator<Item = (String, Kind)> {
        let kinds = self.kinds.iter().map(|(name, kind)| (shown::prefix("kind", name), kind.clone()));
        let graphs = self.graphs.keys().filter_map(|name| {
            let (_, kind) = self.kind_of(name, None).ok()?;
            Some((shown::prefix("graph", name), kind))
        });
        kinds.chain(graphs)
    }

    /// Returns a problem with a value from a file, and that file.
    fn at(&self, key: String, message: String) -> Option<(String, Problem)> {
        let Place { file, line, column } = self.found.get(&key)?;
        Some((file.to_string(), Problem { line: *line, column: *column, key, message }))
    }
}

/// Returns the path of a program, a relative one inside the worker's directory; `None` where it is known only
/// at the start.
fn program_path(program: &str, cwd: Option<&str>) -> Option<String> {
    let path = match program.contains('/') && !program.starts_with('/') {
        true => format!("{}/{program}", cwd?.trim_end_matches('/')),
        false => program.to_owned(),
    };
    (!path.contains('{')).then_some(path)
}

/// Returns a kind without any settings.
fn empty(restart: &RestartPolicy) -> Kind {
    let readiness = Readiness { check: Check::None, timeout_ms: gob_protocol::limits::START_MS };
    let (stop, restart) = (StopWay::default(), restart.clone());
    Kind { command: Vec::new(), readiness, stop, restart, ..Kind::graph() }
}
