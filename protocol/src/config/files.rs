//! The files of a configuration: `config.toml` first, then those of `config.d` by name.
//!
//! Each file is refused alone. A kind, a graph, `default_kind`, `[restart]` and `[logs]` stand in one file each; what a later file
//! says again is a problem of that file. References go across files, also to what stands in a file that is refused.

use super::document::Document;
use super::overrides::{Overrides, RestartOverrides};
use super::problem::{Problem, Rejected};
use super::{BUILT_IN, Config, Graph, Logs, Place, shown};
use crate::kind::Kind;
use crate::name::Owner;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The directory of more files, beside `config.toml`.
pub const CONFIG_DIR: &str = "config.d";
/// Most files that are read of it.
pub const MAX_CONFIG_FILES: usize = 64;
/// Most bytes of all files together.
pub const MAX_ALL_CONFIG_BYTES: u64 = 4 << 20;

/// One file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText {
    /// Its path, for people.
    pub path: String,
    /// Its text; none where it could not be read.
    pub text: Option<String>,
    /// Why it may not be used, whatever it says.
    pub refused: Option<String>,
    /// While it can't be read it may say something of every graph: it is `config.toml`.
    pub is_main: bool,
}

impl FileText {
    /// A `config.toml` that was read and may be used.
    #[must_use]
    pub fn read(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: Some(text.into()), refused: None, is_main: true }
    }

    /// A `config.toml` that can't be read at all.
    #[must_use]
    pub fn unread(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self { path: path.into(), text: None, refused: Some(why.into()), is_main: true }
    }
}

/// What a file says, before it is laid over the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parts {
    pub(super) default_kind: Option<String>,
    pub(super) force_owners: Option<Vec<Owner>>,
    pub(super) restart: RestartOverrides,
    pub(super) logs: Option<Logs>,
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
    /// The kind that it names for graphs without one, whether there is such a kind or not.
    pub(super) default_kind: Option<String>,
    /// The graphs and kinds that it says something about.
    pub(super) named: Vec<String>,
    /// Nothing is known of it, and it may say something about every graph.
    pub(super) unknown: bool,
}

/// All files of a configuration as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    files: Vec<Examined>,
}

impl Reading {
    /// Judges the files. `home` is what `~/` stands for. The first one is `config.toml`, if there is one.
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

    /// A configuration of which nothing could be found out.
    #[must_use]
    pub fn unread(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self::of(&[FileText::unread(path, why)], None)
    }

    /// Has each root directory replaced, by its real path say. A file with one that can't be is refused.
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

    /// What holds from now on, and the files that are refused. Of a refused file that was in force `before`, what it said then
    /// still is.
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
            // A graph of that kind must not come up as one of another.
            config.default_kind = kind;
        }
        config.files = files;
        (config, rejected)
    }

    /// Everything that the files say, refused ones too: no worker is to be started by it; more that is wrong can be found in it.
    #[must_use]
    pub fn whole(&self) -> Config {
        assemble(self.files.iter().map(|file| (&file.parts, &file.path)))
    }

    /// The paths of all files, in the order in which they count.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| &*file.path)
    }
}

/// Lays what files say over the defaults. What an earlier one says goes before.
fn assemble<'a>(files: impl Iterator<Item = (&'a Parts, &'a Arc<str>)> + Clone) -> Config {
    let mut config = Config::default();
    for (parts, _) in files.clone() {
        parts.restart.lay_over(&mut config.restart);
    }
    if let Some(graph) = config.kinds.get_mut(BUILT_IN) {
        graph.restart = config.restart.clone();
    }
    let (mut said, mut default_kind, mut logs, mut force_owners) = (Vec::new(), None, None, None);
    for (parts, _) in files {
        default_kind = default_kind.or(parts.default_kind.as_ref());
        force_owners = force_owners.or(parts.force_owners.as_ref());
        logs = logs.or(parts.logs);
        for (name, overrides) in &parts.kinds {
            if said.contains(&name) {
                continue;
            }
            said.push(name);
            let mut kind = config.kinds.get(name).cloned().unwrap_or_else(|| super::empty(&config.restart));
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
    if let Some(owners) = force_owners {
        config.force_owners.clone_from(owners);
    }
    if let Some(kind) = default_kind {
        config.default_kind.clone_from(kind);
    }
    config
}

/// The built-in kind, where a kind of this name begins from it.
pub(super) fn base(name: &str) -> Option<Kind> {
    (name == BUILT_IN).then(Kind::graph)
}
