//! The files of a configuration: `config.toml` first, then those of `config.d` by name.
//!
//! Each file is refused alone. A kind, a graph, a lane, `default_kind`, `[restart]`, `[logs]`, `[history]`, `[queue]` and `[shared]` may stand in one
//! file only; a second one is a problem of the later file. References go across files, refused ones included.

use crate::document::Document;
use crate::kind::Kind;
use crate::overrides::{Overrides, RestartOverrides};
use crate::problem::{Problem, Rejected};
use crate::{BUILT_IN, Config, Graph, History, Jobs, LaneSettings, Logs, Place, Queue, Shared, shown};
use gob_protocol::name::Owner;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The directory of more files, beside `config.toml`.
pub const CONFIG_DIR: &str = "config.d";
/// Limits how many files of `config.d` are read.
pub const MAX_CONFIG_FILES: usize = 64;
/// Limits the bytes of all files together.
pub const MAX_ALL_CONFIG_BYTES: u64 = 4 << 20;

/// One file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText {
    /// Its path, for people.
    pub path: String,
    /// Its text; `None` where it could not be read.
    pub text: Option<String>,
    /// A reason to refuse the file, whatever its text.
    pub refused: Option<String>,
    /// The file is `config.toml`: while it can't be read it may concern every graph.
    pub is_main: bool,
}

impl FileText {
    /// Returns a `config.toml` that was read and may be used.
    #[must_use]
    pub fn read(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: Some(text.into()), refused: None, is_main: true }
    }

    /// Returns a `config.toml` that can't be read at all.
    #[must_use]
    pub fn unread(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self { path: path.into(), text: None, refused: Some(why.into()), is_main: true }
    }
}

/// The settings of one file, before they are laid over the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Parts {
    pub(super) default_kind: Option<String>,
    pub(super) force_owners: Option<Vec<Owner>>,
    pub(super) restart: RestartOverrides,
    pub(super) logs: Option<Logs>,
    #[serde(default)]
    pub(super) history: Option<History>,
    pub(super) jobs: Option<Jobs>,
    #[serde(default)]
    pub(super) lanes: BTreeMap<String, LaneSettings>,
    #[serde(default)]
    pub(super) queue: Option<Queue>,
    #[serde(default)]
    pub(super) shared: Option<Shared>,
    pub(super) kinds: BTreeMap<String, Overrides>,
    pub(super) graphs: BTreeMap<String, Graph>,
    pub(super) found: BTreeMap<String, Place>,
}

/// A file that was read and judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Examined {
    pub(super) path: Arc<str>,
    pub(super) parts: Parts,
    pub(super) problems: Vec<Problem>,
    /// The kind for graphs without one that the file names, existing or not.
    pub(super) default_kind: Option<String>,
    /// The graphs and kinds that the file mentions.
    pub(super) named: Vec<String>,
    /// The file could not be read and may concern every graph.
    pub(super) unknown: bool,
}

/// All files of a configuration as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    files: Vec<Examined>,
}

impl Reading {
    /// Judges the files; `home` replaces `~/`. The first file is `config.toml`, if there is one.
    #[must_use]
    pub fn of(files: &[FileText], home: Option<&str>) -> Self {
        let mut documents: Vec<Document<'_>> = files.iter().map(|file| Document::parse(file, home)).collect();
        let mut said = BTreeMap::new();
        for document in &mut documents {
            document.read_kinds(&mut said);
        }
        let pool = assemble(documents.iter().map(|document| (&document.parts, &document.path)));
        for document in &mut documents {
            document.read_graphs(&pool);
        }
        Self { files: documents.into_iter().map(Document::finish).collect() }
    }

    /// Returns a configuration whose files could not be found out.
    #[must_use]
    pub fn unread(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self::of(&[FileText::unread(path, why)], None)
    }

    /// Replaces each root directory by `resolve`, such as its real path. A file with a root that can't be
    /// resolved is refused.
    pub fn resolve_roots(&mut self, mut resolve: impl FnMut(&str) -> Result<String, String>) {
        for file in &mut self.files {
            let Parts { kinds, graphs, found, .. } = &mut file.parts;
            let kinds =
                kinds.iter_mut().map(|(name, kind)| (shown::prefix("kind", name), &mut kind.root_dir));
            let graphs = graphs
                .iter_mut()
                .map(|(name, graph)| (shown::prefix("graph", name), &mut graph.overrides.root_dir));
            for (table, dir) in kinds.chain(graphs) {
                let Some(dir) = dir else { continue };
                match resolve(dir) {
                    Ok(real) => *dir = real,
                    Err(why) => {
                        let place = found.get(&format!("{table}.root_dir"));
                        let (line, column) = place.map_or((0, 0), |place| (place.line, place.column));
                        let (key, message) =
                            (format!("{table}.root_dir"), format!("{dir} can't be used: {why}"));
                        file.problems.push(Problem { line, column, key, message });
                    }
                }
            }
            file.problems.sort();
        }
    }

    /// Returns the configuration in effect and the refused files. A refused file that was in force in
    /// `before` keeps its earlier settings.
    #[must_use]
    pub fn settle(self, before: &Config) -> (Config, Vec<Rejected>) {
        let (mut rejected, mut files) = (Vec::new(), Vec::new());
        let mut default_kind = None;
        for file in self.files {
            if file.problems.is_empty() {
                files.push((file.path, Arc::new(file.parts)));
                continue;
            }
            let Examined { path, problems, named, unknown, .. } = file;
            let old = before.files.iter().find(|(old, _)| *old == path);
            let mut refused = Rejected { path: path.to_string(), problems, named, unknown };
            if let Some((_, parts)) = old {
                files.push((path, Arc::clone(parts)));
                (refused.named, refused.unknown) = (Vec::new(), false);
            } else {
                default_kind = default_kind.or(file.default_kind);
            }
            rejected.push(refused);
        }
        let mut config = assemble(files.iter().map(|(path, parts)| (&**parts, path)));
        if let Some(kind) = default_kind {
            // A graph of the missing kind must not come up as one of another.
            config.default_kind = kind;
        }
        config.files = files;
        (config, rejected)
    }

    /// Returns all settings, those of refused files too. No worker may be started from it; it serves to find
    /// more problems.
    #[must_use]
    pub fn whole(&self) -> Config {
        assemble(self.files.iter().map(|file| (&file.parts, &file.path)))
    }

    /// Returns the paths of all files, in order of precedence.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| &*file.path)
    }
}

/// Lays the files over the defaults. An earlier file wins.
fn assemble<'a>(files: impl Iterator<Item = (&'a Parts, &'a Arc<str>)> + Clone) -> Config {
    let mut config = Config::default();
    for (parts, _) in files.clone() {
        parts.restart.lay_over(&mut config.restart);
    }
    if let Some(graph) = config.kinds.get_mut(BUILT_IN) {
        graph.restart = config.restart.clone();
    }
    let (mut said, mut default_kind, mut logs, mut force_owners) = (Vec::new(), None, None, None);
    let (mut history, mut jobs, mut queue, mut shared) = (None, None, None, None);
    for (parts, _) in files {
        default_kind = default_kind.or(parts.default_kind.as_ref());
        force_owners = force_owners.or(parts.force_owners.as_ref());
        logs = logs.or(parts.logs);
        history = history.or(parts.history);
        jobs = jobs.or(parts.jobs);
        queue = queue.or(parts.queue);
        shared = shared.or(parts.shared.as_ref());
        for (name, lane) in &parts.lanes {
            config.lanes.entry(name.clone()).or_insert(*lane);
        }
        for (name, overrides) in &parts.kinds {
            if said.contains(&name) {
                continue;
            }
            said.push(name);
            let mut kind = config.kinds.get(name).cloned().unwrap_or_else(|| crate::empty(&config.restart));
            overrides.lay_over(&mut kind);
            config.kinds.insert(name.clone(), kind);
        }
        for (name, graph) in &parts.graphs {
            config.graphs.entry(name.clone()).or_insert_with(|| graph.clone());
        }
        for (key, place) in &parts.found {
            config.found.entry(key.clone()).or_insert_with(|| place.clone());
        }
    }
    config.logs = logs.unwrap_or_default();
    config.history = history.unwrap_or_default();
    config.jobs = jobs.unwrap_or_default();
    config.queue = queue.unwrap_or_default();
    config.shared = shared.cloned();
    if let Some(owners) = force_owners {
        config.force_owners.clone_from(owners);
    }
    if let Some(kind) = default_kind {
        config.default_kind.clone_from(kind);
    }
    config
}

/// Returns the built-in kind, where a kind of this name begins from it.
pub(super) fn base(name: &str) -> Option<Kind> {
    (name == BUILT_IN).then(Kind::graph)
}
