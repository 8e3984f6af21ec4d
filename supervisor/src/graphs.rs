//! Graphs on disk: found by their records, measured, deleted. Bounded in everything, follows no link, decides nothing.

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

/// So many graphs are told.
pub(crate) const MAX_GRAPHS: usize = 10_000;

/// So many names of one directory are looked at.
const MAX_NAMES: usize = 100_000;

/// Counting of all sizes in one root takes this long at most, and ends in the middle of a graph.
const MEASURING: Duration = Duration::from_millis(1_500);

/// Finds the graphs of a root, and in the data directory those that are known in other roots, and older ones without a record.
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
            if !is_known && record::holds(&data) && found.len() < MAX_GRAPHS {
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

/// What the records of a root say.
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

/// A record of a root is of a graph in it, wherever that was when it was written.
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

/// Counts what the files of these graphs have, as far as time allows.
pub(crate) fn measure<'a>(graphs: impl Iterator<Item = &'a mut OnDisk>) {
    let until = Instant::now() + MEASURING;
    for graph in graphs {
        graph.size_bytes = size_of(Path::new(graph.data.dir()), until);
    }
}

/// What all files below a directory have; no link is followed and no mount entered.
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
            // What goes meanwhile has nothing any more.
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
    /// The names of the files in it, so many at most.
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
