//! Graphs on disk: found by their records, measured, deleted. Every step is bounded and follows no link;
//! decisions are the core's.

mod delete;

pub(crate) use delete::delete;

use crate::beside::{Beside, is_missing};
use crate::record;
use gob_core::{OnDisk, Place, Record};
use gob_protocol::{Name, Owner, name};
use nix::dir::Dir;
use nix::fcntl::OFlag;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Limit of listed graphs.
pub(crate) const MAX_GRAPHS: usize = 10_000;

/// Limit of names read from one directory.
const MAX_NAMES: usize = 100_000;

/// Time limit of all measuring in one root; it may end in the middle of a graph.
const MEASURING: Duration = Duration::from_millis(1_500);

/// Finds the graphs of a root, and in the data directory also the known graphs of other roots and older ones
/// without a record.
pub(crate) fn find(root: &str, is_data_dir: bool) -> Vec<OnDisk> {
    let mut found: Vec<OnDisk> = records(root, is_data_dir);
    if is_data_dir {
        let entries = fs::read_dir(root).into_iter().flatten().take(MAX_NAMES).filter_map(Result::ok);
        for entry in entries {
            let graph = entry
                .file_name()
                .to_str()
                .and_then(name::decode_safe)
                .and_then(|name| Name::graph(&name).ok());
            let Some(graph) = graph else { continue };
            let data = Place::File(format!("{root}/{}/graph.sqlite", graph.on_disk()));
            let is_known = found.iter().any(|known| known.graph == graph && known.root_dir == root);
            // An empty file holds nothing, but keeps a graph from being served: it can be deleted.
            let is_there = record::holds(&data) || fs::symlink_metadata(data.path()).is_ok();
            if !is_known && is_there && found.len() < MAX_GRAPHS {
                let owner = Owner::unknown();
                let (root_dir, kind) = (root.to_owned(), None);
                found.push(OnDisk {
                    graph,
                    root_dir,
                    kind,
                    data,
                    owner,
                    last_used_at: None,
                    size_bytes: None,
                });
            }
        }
    }
    found
}

/// Returns the graphs in the records of a root.
fn records(root: &str, is_data_dir: bool) -> Vec<OnDisk> {
    let beside = match Beside::open(Path::new(root)) {
        Ok(beside) => beside,
        Err(e) if e.is_missing() => return Vec::new(),
        Err(e) => {
            tracing::warn!(root = %root, error = %e, "cannot look for graphs");
            return Vec::new();
        }
    };
    let names = beside.names(MAX_NAMES).unwrap_or_else(|error| {
        tracing::warn!(root = %root, %error, "cannot look for graphs");
        Vec::new()
    });
    let of_records = names.iter().filter_map(|file| Some((file, file.strip_suffix(".json")?)));
    let mut found = Vec::new();
    for (file, stem) in of_records.filter(|(_, stem)| is_data_dir || !stem.contains('@')).take(MAX_GRAPHS) {
        let Some(known) = record::read(&format!("{root}/{}/{file}", crate::beside::BESIDE)) else { continue };
        let is_pointer = stem.contains('@');
        if stem.split('@').next() != Some(known.graph.on_disk().as_str()) {
            continue;
        }
        found.push(on_disk(known, root, is_pointer));
    }
    found
}

/// A record of a root concerns a graph in that root, wherever the root was when it was written.
fn on_disk(known: Record, root: &str, is_pointer: bool) -> OnDisk {
    let Record { graph, kind, root_dir, data, owner, last_used_at, .. } = known;
    let moved = |path: String| {
        let rest = path.strip_prefix(&root_dir).filter(|rest| rest.starts_with('/'));
        if is_pointer { path } else { rest.map_or_else(|| path.clone(), |rest| format!("{root}{rest}")) }
    };
    let data = match data {
        Place::File(path) => Place::File(moved(path)),
        Place::Dir(path) => Place::Dir(moved(path)),
    };
    let root_dir = if is_pointer { root_dir } else { root.to_owned() };
    let (kind, last_used_at) = (Some(kind), Some(last_used_at));
    OnDisk { graph, root_dir, kind, data, owner, last_used_at, size_bytes: None }
}

/// Adds the sizes of these graphs' files, as far as time allows.
pub(crate) fn measure<'a>(graphs: impl Iterator<Item = &'a mut OnDisk>) {
    let until = Instant::now() + MEASURING;
    for graph in graphs {
        graph.size_bytes = size_of(Path::new(graph.data.dir()), until);
    }
}

/// Returns the size of all files below a directory; follows no link and enters no mount.
fn size_of(dir: &Path, until: Instant) -> Option<u64> {
    let device = match fs::symlink_metadata(dir) {
        Ok(found) if found.is_dir() => found.dev(),
        Ok(_) => return None,
        Err(e) if is_missing(&e) => return Some(0),
        Err(_) => return None,
    };
    let (mut bytes, mut open) = (0_u64, vec![PathBuf::from(dir)]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).ok()?.filter_map(Result::ok) {
            if Instant::now() >= until {
                return None;
            }
            // A file that goes meanwhile has no size any more.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() && found.dev() == device {
                open.push(entry.path());
            } else if found.is_file() {
                bytes = bytes.saturating_add(found.len());
            }
        }
    }
    Some(bytes)
}

impl Beside {
    /// Returns the names of the files in it, `most` at most.
    fn names(&self, most: usize) -> nix::Result<Vec<String>> {
        let mut dir = Dir::openat(
            self.dir().as_fd(),
            ".",
            OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            nix::sys::stat::Mode::empty(),
        )?;
        let names = dir.iter().take(most).filter_map(Result::ok);
        Ok(names.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned)).collect())
    }
}

#[cfg(test)]
mod tests;
