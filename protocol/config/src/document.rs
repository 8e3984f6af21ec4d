//! One file of the configuration on its way from text to parts: first its kinds; its references once the
//! kinds of all files are known.

use crate::duplicate::Found;
use crate::files::{Examined, FileText, Parts, base};
use crate::kind::JOB;
use crate::kind::{Check, Kind, RestartPolicy};
use crate::overrides::{Overrides, uses};
use crate::problem::Problem;
use crate::reader::{Reader, Section};
use crate::{Config, Graph, Place, duplicate, empty, shown};
use gob_protocol::name::{Name, Owner};
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeTable;

/// Tables and keys that may stand in one file only.
const SINGLE: [&str; 8] =
    ["default_kind", "force_owners", "restart", "logs", "history", "jobs", "queue", "shared"];

/// A file during its reading.
pub(super) struct Document<'t> {
    pub(super) path: Arc<str>,
    pub(super) parts: Parts,
    root: Spanned<DeTable<'t>>,
    reader: Reader<'t>,
    /// Lines that are not TOML.
    broken: Vec<u32>,
    unknown: bool,
}

impl<'t> Document<'t> {
    /// Parses a file as TOML.
    pub(super) fn parse(file: &'t FileText, home: Option<&'t str>) -> Self {
        let text = file.text.as_deref().unwrap_or_default();
        let mut reader = Reader::new(text, home);
        let (root, errors) = DeTable::parse_recoverable(text);
        if let Some(why) = &file.refused {
            reader.problems.push(Problem::whole(why.as_str()));
        }
        let broken = note_errors(&mut reader, text, &file.path, errors);
        let path = Arc::from(file.path.as_str());
        Self {
            path,
            parts: Parts::default(),
            root,
            reader,
            broken,
            unknown: file.is_main && file.text.is_none(),
        }
    }

    /// Reads everything that refers to nothing else. `said` holds the tables of the earlier files, and where
    /// they stand.
    pub(super) fn read_kinds(&mut self, said: &mut BTreeMap<String, String>) {
        let Self { root, reader, parts, path, .. } = self;
        let root = Section { table: root.get_ref(), key: String::new(), span: root.span() };
        reader.only(
            &root,
            &[
                "default_kind",
                "force_owners",
                "kind",
                "graph",
                "restart",
                "logs",
                "history",
                "jobs",
                "lanes",
                "queue",
                "shared",
            ],
            &[],
        );
        parts.logs = root.get("logs").is_some().then(|| reader.logs(&root));
        parts.history = root.get("history").is_some().then(|| reader.history(&root));
        parts.jobs = root.get("jobs").is_some().then(|| reader.limits_of_jobs(&root));
        parts.lanes = reader.lanes(&root);
        parts.queue = root.get("queue").is_some().then(|| reader.queue(&root));
        parts.shared = reader.shared(&root);
        parts.restart = reader.restart(&root, "restart");
        parts.force_owners = reader.texts(&root, "force_owners", force_owner);
        if let Some(kinds) = reader.section(&root, "kind") {
            reader.kinds(&kinds, &mut parts.kinds);
        }
        for (key, at) in tables(&root) {
            match said.get(&key) {
                Some(place) => {
                    reader.problem(at, key, format!("it stands in {place} already, and one file may say it"))
                }
                None => {
                    let (line, _) = reader.place(at);
                    said.insert(key, format!("{path}:{line}"));
                }
            }
        }
    }

    /// Reads everything that refers to kinds. `pool` holds the kinds of all files.
    pub(super) fn read_graphs(&mut self, pool: &Config) {
        let Self { root, reader, parts, .. } = self;
        let root = Section { table: root.get_ref(), key: String::new(), span: root.span() };
        let known = |text: &str| known_kind(&pool.kinds, text);
        reader.shared_lanes(&root, pool);
        parts.default_kind = reader.parsed(&root, "default_kind", known);
        let default_kind = parts.default_kind.as_deref().unwrap_or(&pool.default_kind);
        // The settings of a graph must fit its kind, which may be that one.
        if let Some(graphs) = reader.section(&root, "graph") {
            reader.graphs(&graphs, &pool.kinds, default_kind, &mut parts.graphs);
        }
    }

    /// Returns the parts and the problems of the file.
    pub(super) fn finish(self) -> Examined {
        let Self { path, mut parts, root, reader, broken, unknown } = self;
        let root = Section { table: root.get_ref(), key: String::new(), span: root.span() };
        let mut problems = reader.problems;
        sift(&mut problems, &broken);
        let place = |(line, column)| Place { file: Arc::clone(&path), line, column };
        parts.found = reader.found.into_iter().map(|(key, at)| (key, place(at))).collect();
        let default_kind = root.get("default_kind").and_then(|item| item.get_ref().as_str());
        let default_kind = default_kind.map(str::to_owned);
        let named = tables(&root).into_iter().map(|(key, _)| key);
        let named = named.filter(|key| !SINGLE.contains(&key.as_str())).collect();
        Examined { path, parts, problems, default_kind, named, unknown }
    }
}

/// Notes the errors of the TOML parser. Returns the lines that are not TOML.
pub(super) fn note_errors(
    reader: &mut Reader<'_>,
    text: &str,
    path: &str,
    errors: Vec<toml::de::Error>,
) -> Vec<u32> {
    let (mut search, mut follow) = (duplicate::Search::new(text), Vec::new());
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        match search.find(&error) {
            Found::Twice(twice) => {
                let (line, _) = reader.place(twice.first);
                let message = if twice.is_closed {
                    format!("it stands in {path}:{line} already, with a value that ends there")
                } else {
                    format!("it stands twice: in {path}:{line} already")
                };
                reader.problem(at, twice.key, message);
            }
            Found::WithItsTable => follow.push(reader.place(at).0),
            Found::Other => reader.problem(at, "", error.message().replace('\n', ", ")),
        }
    }
    let broken = reader.problems.iter().filter(|problem| problem.line > 0).map(|problem| problem.line);
    broken.chain(follow).collect()
}

/// Sorts problems, and drops those that follow from a line that is not TOML.
pub(super) fn sift(problems: &mut Vec<Problem>, broken: &[u32]) {
    let first = |problem: &Problem| problem.message.starts_with(duplicate::TWICE);
    problems.retain(|problem| problem.key.is_empty() || first(problem) || !broken.contains(&problem.line));
    problems.sort();
    problems.dedup();
}

/// Returns the kinds, the graphs and the other tables of a file that may stand once, by their keys, with
/// their places.
fn tables(root: &Section<'_, '_>) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    for (key, item) in root.table {
        let (name, at) = (key.get_ref().as_ref(), key.span().start);
        match (name, item.get_ref().as_table()) {
            ("kind" | "graph" | "lanes", Some(table)) => {
                all.extend(
                    table.iter().map(|(key, _)| (shown::prefix(name, key.get_ref()), key.span().start)),
                );
            }
            _ if SINGLE.contains(&name) => all.push((name.to_owned(), at)),
            _ => {}
        }
    }
    all
}

impl<'t> Reader<'t> {
    fn kinds(&mut self, kinds: &Section<'_, 't>, into: &mut BTreeMap<String, Overrides>) {
        for (key, item) in kinds.table {
            let name = key.get_ref().as_ref();
            if let Err(e) = Name::job(name) {
                let message = format!("a kind is named as a job is: {e}");
                self.problem(key.span().start, kinds.key_of(name), message);
            }
            if name == JOB {
                let message = "the kind of this name is that of jobs: choose another name";
                self.problem(key.span().start, kinds.key_of(name), message);
            }
            let Some(section) = self.as_section(item, kinds.key_of(name)) else { continue };
            let overrides = self.overrides(&section, false);
            let mut kind = base(name).unwrap_or_else(|| empty(&RestartPolicy::default()));
            let looked_at = kind.liveness.is_some();
            overrides.lay_over(&mut kind);
            if kind.command.is_empty() && section.get("command").is_none() {
                let message =
                    "it needs a `command`; such as command = [\"redis-server\", \"--port\", \"{port}\"]";
                self.problem(section.span.start, section.key.clone(), message);
            }
            self.given_port(&section, &kind);
            self.lively(&section, &overrides.liveness, &kind, looked_at);
            into.insert(name.to_owned(), overrides);
        }
    }

    fn graphs(
        &mut self,
        graphs: &Section<'_, 't>,
        kinds: &BTreeMap<String, Kind>,
        default_kind: &str,
        into: &mut BTreeMap<String, Graph>,
    ) {
        for (key, item) in graphs.table {
            let name = key.get_ref().as_ref();
            if let Err(e) = Name::graph(name) {
                self.problem(key.span().start, graphs.key_of(name), e.to_string());
            }
            let Some(section) = self.as_section(item, graphs.key_of(name)) else { continue };
            let overrides = self.overrides(&section, true);
            let kind = self.parsed(&section, "kind", |text| known_kind(kinds, text));
            if let Some(of) = kinds.get(kind.as_deref().unwrap_or(default_kind)) {
                let (mut kind, looked_at) = (of.clone(), of.liveness.is_some());
                overrides.lay_over(&mut kind);
                self.given_port(&section, &kind);
                self.lively(&section, &overrides.liveness, &kind, looked_at);
            }
            into.insert(name.to_owned(), Graph { kind, overrides });
        }
    }

    /// Refuses a check of the given port where the worker is given none. Where the section has no check, the
    /// problem is the setting that takes the port away.
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

fn known_kind(kinds: &BTreeMap<String, Kind>, text: &str) -> Result<String, String> {
    if kinds.contains_key(text) {
        return Ok(text.to_owned());
    }
    let near = gob_protocol::suggest::nearest(text, kinds.keys().map(String::as_str));
    Err(match near {
        Some(near) => format!("there is no kind {text:?}; did you mean {near:?}?"),
        None => format!("there is no kind {text:?}; it would be [kind.{text}]"),
    })
}

/// Parses an owner that may be given a right; `unknown` may not.
fn force_owner(text: &str) -> Result<Owner, String> {
    let owner = Owner::new(text).map_err(|e| e.to_string())?;
    if owner.is_unknown() {
        Err("`unknown` is nobody, and can't be given a right".to_owned())
    } else {
        Ok(owner)
    }
}
