//! The configuration file, `config.toml` (CLI, Configuration): text in, kinds and graphs out.
//!
//! Pure: the file is read, its directories resolved and its programs looked for by whoever has them. Every problem is
//! found in one go, with its place; every value remembers where it came from. `docs/CONFIGURATION.md` is the reference
//! of the keys.

mod example;
mod limits;
mod liveness;
mod overrides;
mod problem;
mod reader;
mod readiness;
mod scalar;
mod sections;
mod shown;
#[cfg(test)]
mod tests;
mod trust;

pub use example::EXAMPLE;
pub use problem::{Problem, Rejected};
pub use shown::{Setting, Source};
pub use trust::{FileFacts, MAX_CONFIG_BYTES, refusal};

use crate::kind::{Check, Kind, Readiness, RestartPolicy, StopWay};
use crate::name::{Name, Owner};
use overrides::{Overrides, uses};
use reader::{Reader, Section};
use std::collections::BTreeMap;
use toml::de::DeTable;

/// The kind that is there without a file.
pub const BUILT_IN: &str = "graph";

/// Owners that may end other owners' workers by force, unless the file says others.
const FORCE_OWNERS: [&str; 3] = ["cli", "desktop", "electron"];

/// What a configuration says, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The kind of a graph that names none.
    pub default_kind: String,
    /// Owners whose `force` of `nuke` and `shutdown` counts.
    pub force_owners: Vec<Owner>,
    /// The kinds by name; the built-in one is always among them.
    pub kinds: BTreeMap<String, Kind>,
    /// What is said of single graphs.
    pub graphs: BTreeMap<String, Graph>,
    /// The restart policy of kinds that have none of their own.
    pub restart: RestartPolicy,
    /// How much of the workers' output is kept.
    pub logs: Logs,
    /// Line and column of each value in the file.
    found: BTreeMap<String, (u32, u32)>,
}

/// What is said of one graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// Its kind, unless a start names another.
    pub kind: Option<String>,
    overrides: Overrides,
}

/// How much of the workers' output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logs {
    /// A file that has grown to this is rotated.
    pub rotate_bytes: u64,
    /// Rotated files that are kept of each stream.
    pub keep: u32,
    /// What all logs together may have.
    pub budget_bytes: u64,
}

impl Default for Logs {
    fn default() -> Self {
        Self { rotate_bytes: 10 << 20, keep: 5, budget_bytes: 1 << 30 }
    }
}

impl Default for Config {
    /// What there is without a file.
    fn default() -> Self {
        Self {
            default_kind: BUILT_IN.to_owned(),
            force_owners: FORCE_OWNERS.iter().filter_map(|owner| Owner::new(owner).ok()).collect(),
            kinds: BTreeMap::from([(BUILT_IN.to_owned(), Kind::graph())]),
            graphs: BTreeMap::new(),
            restart: RestartPolicy::default(),
            logs: Logs::default(),
            found: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Reads a configuration. `home` is what `~/` stands for.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file; `path` only names it.
    pub fn parse(text: &str, home: Option<&str>, path: &str) -> Result<Self, Box<Rejected>> {
        let mut reader = Reader::new(text, home);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            reader.problem(at, "", error.message().replace('\n', ", "));
        }
        let broken: Vec<u32> = reader.problems.iter().map(|problem| problem.line).collect();
        let root = Section { table: document.get_ref(), key: String::new(), span: document.span() };
        let config = reader.config(&root);
        let mut problems = reader.problems;
        // What follows from a line that is no TOML is no second problem.
        problems.retain(|problem| problem.key.is_empty() || !broken.contains(&problem.line));
        problems.sort();
        problems.dedup();
        let read = Self { found: reader.found, ..config };
        if problems.is_empty() {
            return Ok(read);
        }
        let default_kind = root.get("default_kind").and_then(|item| item.get_ref().as_str());
        Err(Box::new(Rejected {
            path: path.to_owned(),
            problems,
            read,
            default_kind: default_kind.map(str::to_owned),
            named: [("graph", root.get("graph")), ("kind", root.get("kind"))]
                .into_iter()
                .flat_map(|(of, item)| names(of, item))
                .collect(),
        }))
    }

    /// The kind by which a graph is started, and its name: the one that was asked for, else the graph's own, else the
    /// default; with what is said of the graph laid over it. `None`: there is no kind of that name, which is told.
    ///
    /// # Errors
    /// The name of the kind that there is not.
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

    /// What the file says of which kind this graph is.
    #[must_use]
    pub fn own_kind(&self, graph: &str) -> Option<&str> {
        self.graphs.get(graph)?.kind.as_deref()
    }

    /// What the file says of where this graph lies, whatever its kind.
    #[must_use]
    pub fn own_root(&self, graph: &str) -> Option<&str> {
        self.graphs.get(graph)?.overrides.root_dir.as_deref()
    }

    /// The directories in which the file says that graphs lie.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        let of_graphs = self.graphs.values().filter_map(|graph| graph.overrides.root_dir.as_deref());
        self.kinds.values().filter_map(|kind| kind.root_dir.as_deref()).chain(of_graphs)
    }

    /// The graphs of the file that start with the supervisor.
    pub fn autostart(&self) -> impl Iterator<Item = &str> {
        let starts = |name: &&String| self.kind_of(name, None).is_ok_and(|(_, kind)| kind.autostart);
        self.graphs.keys().filter(starts).map(String::as_str)
    }

    /// Has each root directory replaced, by its real path say, and collects why that could not be.
    pub fn resolve_roots(&mut self, mut resolve: impl FnMut(&str) -> Result<String, String>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let found = &self.found;
        let mut each = |key: String, dir: &mut Option<String>| {
            let Some(dir) = dir else { return };
            match resolve(dir) {
                Ok(real) => *dir = real,
                Err(why) => problems.push(at(found, key, format!("{dir} can't be used: {why}"))),
            }
        };
        for (name, kind) in &mut self.kinds {
            each(format!("{}.root_dir", shown::prefix("kind", name)), &mut kind.root_dir);
        }
        for (name, graph) in &mut self.graphs {
            each(format!("{}.root_dir", shown::prefix("graph", name)), &mut graph.overrides.root_dir);
        }
        problems
    }

    /// Has each program of the file looked for, with the PATH that its kind sets if it does; tells those that are not
    /// there. A program whose name has a placeholder in it is known only when it starts.
    pub fn missing_programs(&self, mut exists: impl FnMut(&str, Option<&str>) -> bool) -> Vec<Problem> {
        let kinds = self.kinds.iter().map(|(name, kind)| (shown::prefix("kind", name), kind.clone()));
        let graphs = self.graphs.keys().filter_map(|name| {
            let (_, kind) = self.kind_of(name, None).ok()?;
            Some((shown::prefix("graph", name), kind))
        });
        let mut problems = Vec::new();
        for (prefix, kind) in kinds.chain(graphs) {
            let key = format!("{prefix}.command");
            let program = kind.command.first().filter(|program| !program.contains('{'));
            let Some(program) = program.filter(|_| self.found.contains_key(&key)) else { continue };
            if !exists(program, kind.env.get("PATH").map(String::as_str)) {
                let what = if program.contains('/') { "is no program" } else { "is not on PATH" };
                problems.push(at(&self.found, key, format!("{program} {what}")));
            }
        }
        problems.sort();
        problems
    }
}

fn at(found: &BTreeMap<String, (u32, u32)>, key: String, message: String) -> Problem {
    let (line, column) = found.get(&key).copied().unwrap_or_default();
    Problem { line, column, key, message }
}

impl<'t> Reader<'t> {
    fn config(&mut self, root: &Section<'_, 't>) -> Config {
        let known = ["default_kind", "force_owners", "kind", "graph", "restart", "logs"];
        self.only(root, &known, &["lanes", "queue"]);
        let mut config = Config { logs: self.logs(root), ..Config::default() };
        if let Some(owners) = self.texts(root, "force_owners", force_owner) {
            config.force_owners = owners;
        }
        self.restart(root, "restart").lay_over(&mut config.restart);
        if let Some(graph) = config.kinds.get_mut(BUILT_IN) {
            graph.restart = config.restart.clone();
        }
        if let Some(kinds) = self.section(root, "kind") {
            self.kinds(&kinds, &mut config);
        }
        let known = |text: &str| known_kind(&config.kinds, text);
        if let Some(kind) = self.parsed(root, "default_kind", known) {
            config.default_kind = kind;
        }
        // What is said of a graph has to fit its kind, which may be that one.
        if let Some(graphs) = self.section(root, "graph") {
            self.graphs(&graphs, &mut config);
        }
        config
    }

    fn kinds(&mut self, kinds: &Section<'_, 't>, config: &mut Config) {
        for (key, item) in kinds.table {
            let name = key.get_ref().as_ref();
            if let Err(e) = Name::job(name) {
                let message = format!("a kind is named as a job is: {e}");
                self.problem(key.span().start, kinds.key_of(name), message);
            }
            let Some(section) = self.as_section(item, kinds.key_of(name)) else { continue };
            let overrides = self.overrides(&section, false);
            let mut kind = config.kinds.get(name).cloned().unwrap_or_else(|| empty(&config.restart));
            let looked_at = kind.liveness.is_some();
            overrides.lay_over(&mut kind);
            if kind.command.is_empty() && section.get("command").is_none() {
                let message =
                    "it needs a `command`; such as command = [\"redis-server\", \"--port\", \"{port}\"]";
                self.problem(section.span.start, section.key.clone(), message);
            }
            self.given_port(&section, &kind);
            self.lively(&section, &overrides.liveness, &kind, looked_at);
            config.kinds.insert(name.to_owned(), kind);
        }
    }

    fn graphs(&mut self, graphs: &Section<'_, 't>, config: &mut Config) {
        for (key, item) in graphs.table {
            let name = key.get_ref().as_ref();
            if let Err(e) = Name::graph(name) {
                self.problem(key.span().start, graphs.key_of(name), e.to_string());
            }
            let Some(section) = self.as_section(item, graphs.key_of(name)) else { continue };
            let overrides = self.overrides(&section, true);
            let kind = self.parsed(&section, "kind", |text| known_kind(&config.kinds, text));
            let liveness = overrides.liveness.clone();
            config.graphs.insert(name.to_owned(), Graph { kind, overrides });
            if let Ok((of, kind)) = config.kind_of(name, None) {
                let looked_at = config.kinds.get(&of).is_some_and(|kind| kind.liveness.is_some());
                self.given_port(&section, &kind);
                self.lively(&section, &liveness, &kind, looked_at);
            }
        }
    }

    /// A check of the port that the worker was given needs a worker that is given one. Where the section says nothing of the
    /// check, what takes the port away is wrong.
    fn given_port(&mut self, section: &Section<'_, 't>, kind: &Kind) {
        if kind.command.is_empty() || uses(kind, "{port}") {
            return;
        }
        let liveness = kind.liveness.as_ref().map(|liveness| &liveness.check);
        for (name, check) in [("readiness", Some(&kind.readiness.check)), ("liveness", liveness)] {
            if !check.is_some_and(Check::wants_given_port) {
                continue;
            }
            let at = [name, "command", "env"].into_iter().find_map(|key| Some((key, section.get(key)?)));
            let Some((key, item)) = at else { continue };
            let message = if key == name {
                "it looks at {port}, but neither `command` nor `env` gives the worker that port".to_owned()
            } else {
                format!(
                    "its {name} looks at {{port}}, but neither `command` nor `env` gives the worker that port"
                )
            };
            self.problem(item.span().start, section.key_of(key), message);
        }
    }
}

/// The keys of the tables in a table.
fn names(of: &'static str, item: Option<reader::Item<'_, '_>>) -> Vec<String> {
    let table = item.and_then(|item| item.get_ref().as_table());
    table.into_iter().flatten().map(|(key, _)| shown::prefix(of, key.get_ref())).collect()
}

fn known_kind(kinds: &BTreeMap<String, Kind>, text: &str) -> Result<String, String> {
    if kinds.contains_key(text) {
        return Ok(text.to_owned());
    }
    let near = crate::suggest::nearest(text, kinds.keys().map(String::as_str));
    Err(match near {
        Some(near) => format!("there is no kind {text:?}; did you mean {near:?}?"),
        None => format!("there is no kind {text:?}; it would be [kind.{text}]"),
    })
}

/// A kind of which nothing was said.
fn empty(restart: &RestartPolicy) -> Kind {
    let readiness = Readiness { check: Check::None, timeout_ms: crate::limits::START_MS };
    let (stop, restart) = (StopWay::default(), restart.clone());
    Kind { command: Vec::new(), readiness, stop, restart, ..Kind::graph() }
}

/// An owner that may be given a right; `unknown` is nobody.
fn force_owner(text: &str) -> Result<Owner, String> {
    let owner = Owner::new(text).map_err(|e| e.to_string())?;
    if owner.is_unknown() {
        Err("`unknown` is nobody, and can't be given a right".to_owned())
    } else {
        Ok(owner)
    }
}
