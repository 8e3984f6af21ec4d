//! The record of a graph on disk, beside its lock, by which a later supervisor knows the graph (ARCHITECTURE, "The
//! record of a graph").
//!
//! The shell reads and writes it while it holds the graph's lock. [`Keep::judge`] decides by it whether a run may
//! begin: a graph stays of the kind that served it last, and one whose data is gone is not begun anew unasked.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::{Name, Owner, Timestamp};
use serde::{Deserialize, Serialize};

/// The form of the record that this version writes.
pub const RECORD_VERSION: u32 = 1;

/// Largest file that is read as a record.
pub const MAX_RECORD_BYTES: u64 = 64 * 1024;

/// The record of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its form, and the word by which a file is known to be a record.
    pub gob_record: u32,
    /// The graph.
    pub graph: Name,
    /// The kind that served it last.
    pub kind: String,
    /// The real path of its root.
    pub root_dir: String,
    /// Where its data is.
    pub data: Place,
    /// Its last owner.
    pub owner: Owner,
    /// The begin or end of the latest run that served it.
    pub last_used_at: Timestamp,
    /// True if there was data in its place.
    pub held_data: bool,
}

/// The place of a graph's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// This file. It exists and is not empty once the graph has been served.
    File(String),
    /// This directory. An empty one holds nothing.
    Dir(String),
}

impl Place {
    /// The file or directory.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::File(path) | Self::Dir(path) => path,
        }
    }

    /// The graph's own directory.
    #[must_use]
    pub fn dir(&self) -> &str {
        match self {
            Self::File(path) => path.rsplit_once('/').map_or("", |(dir, _)| dir),
            Self::Dir(path) => path,
        }
    }
}

/// The record that a run writes of its graph, and the files of earlier records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// The record's file, beside the lock.
    pub path: String,
    /// A copy in the data directory, for a graph in another root: it makes the graph findable, and shows that it is missing
    /// when its root is not mounted.
    pub pointer: Option<String>,
    /// Copies to read where there is no record, for a start that names no kind.
    pub elsewhere: Vec<String>,
    /// The new contents once the run serves; the shell fills in the time and whether there is data.
    pub record: Record,
    /// The graph has been served in this supervisor's life.
    pub was_served: bool,
}

/// The reason why a run does not begin on the graph as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// The graph was last of another kind, or is known in another root.
    Kind(Box<Record>),
    /// It held data that is no longer there.
    Gone {
        /// The former place of the data.
        path: String,
        /// When it was last used, as far as that is known.
        last_used_at: Option<Timestamp>,
    },
    /// Its directory is the one that a worker serves already.
    Served {
        /// The worker.
        worker: Name,
        /// The directory.
        path: String,
    },
}

impl Keep {
    /// Decides by the record and its copy whether the run may begin; `holds` says whether there is data in a place.
    ///
    /// # Errors
    /// Returns the reason why it may not.
    pub fn judge(
        &self,
        known: Option<&Record>,
        copy: Option<&Record>,
        elsewhere: Option<&Record>,
        mut holds: impl FnMut(&Place) -> bool,
    ) -> Result<New, Unfit> {
        let missed = || copy.filter(|copy| copy.held_data && !holds(&self.record.data));
        // The record goes with the disk of its root, so data without a record is older than records, or not gob's.
        let Some(known) = known.or_else(missed) else {
            let there = holds(&self.record.data);
            if self.was_served && !there && matches!(self.record.data, Place::File(_)) {
                // The root was removed in this supervisor's life, and the record with it.
                return Err(gone(&self.record.data, None));
            }
            let elsewhere = elsewhere.filter(|_| !there).cloned();
            return elsewhere.map_or(Ok(New(!there)), |known| Err(Unfit::Kind(Box::new(known))));
        };
        if known.kind != self.record.kind {
            // The record may name a former path: a root that is moved takes its records along.
            return Err(Unfit::Kind(Box::new(Record {
                root_dir: self.record.root_dir.clone(),
                ..known.clone()
            })));
        }
        let moved = known.data != self.record.data;
        let there = holds(&known.data) || (moved && holds(&self.record.data));
        if known.held_data && !there {
            return Err(gone(&known.data, Some(known.last_used_at)));
        }
        // A graph that stays empty is reported as new only once.
        Ok(New(false))
    }
}

fn gone(data: &Place, last_used_at: Option<Timestamp>) -> Unfit {
    Unfit::Gone { path: data.path().to_string(), last_used_at }
}

/// True if the graph begins with this run: there was nothing of it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct New(pub bool);

/// The file of a record, by the directory beside the graphs of a root.
pub(crate) fn record_path(root_dir: &str, graph: &Name) -> String {
    alloc::format!("{root_dir}/.gob/{}.json", graph.on_disk())
}

/// The lock of a graph, by the directory beside the graphs of a root and the name that the lock has for it.
pub(crate) fn lock_path(root_dir: &str, lock_name: &str) -> String {
    alloc::format!("{root_dir}/.gob/{lock_name}.lock")
}

/// The file of the copy in the data directory of a record in another root. No graph's name has an `@` on the disk.
pub(crate) fn pointer_path(data_dir: &str, graph: &Name, root_dir: &str) -> String {
    alloc::format!("{data_dir}/.gob/{}@{:016x}.json", graph.on_disk(), crate::paths::hash(root_dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn record(kind: &str, held_data: bool) -> Record {
        Record {
            gob_record: RECORD_VERSION,
            graph: Name::graph("papers").unwrap(),
            kind: kind.into(),
            root_dir: "/r".into(),
            data: Place::File("/r/papers/graph.sqlite".into()),
            owner: Owner::cli(),
            last_used_at: Timestamp(7),
            held_data,
        }
    }

    fn keep() -> Keep {
        let record = record("graph", false);
        Keep {
            path: "/r/.gob/papers.json".into(),
            pointer: None,
            elsewhere: vec![],
            record,
            was_served: false,
        }
    }

    fn gone(last_used_at: Option<Timestamp>) -> Result<New, Unfit> {
        Err(Unfit::Gone { path: "/r/papers/graph.sqlite".into(), last_used_at })
    }

    #[test]
    fn a_graph_without_a_record_is_new_where_nothing_is_there() {
        assert_eq!(keep().judge(None, None, None, |_| false), Ok(New(true)));
        assert_eq!(keep().judge(None, None, None, |_| true), Ok(New(false)), "older than records are");
    }

    #[test]
    fn another_kind_or_root_is_refused_with_the_known_record() {
        let known = record("oxigraph", false);
        assert_eq!(
            keep().judge(Some(&known), None, None, |_| true),
            Err(Unfit::Kind(Box::new(known.clone())))
        );
        let same = record("graph", true);
        let elsewhere = Record { root_dir: "/other".into(), ..same.clone() };
        assert_eq!(
            keep().judge(None, None, Some(&elsewhere), |_| false),
            Err(Unfit::Kind(Box::new(elsewhere.clone())))
        );
        assert_eq!(
            keep().judge(None, None, Some(&elsewhere), |_| true),
            Ok(New(false)),
            "what is here comes first"
        );
        assert_eq!(keep().judge(Some(&same), None, Some(&elsewhere), |_| true), Ok(New(false)));
    }

    #[test]
    fn vanished_data_is_reported_as_gone() {
        assert_eq!(
            keep().judge(Some(&record("graph", true)), None, None, |_| false),
            gone(Some(Timestamp(7)))
        );
        assert_eq!(keep().judge(Some(&record("graph", false)), None, None, |_| false), Ok(New(false)));
        // The configuration names another place by now, and it was moved there.
        let moved = Record { data: Place::Dir("/old".into()), ..record("graph", true) };
        assert_eq!(keep().judge(Some(&moved), None, None, |place| *place != moved.data), Ok(New(false)));
    }

    #[test]
    fn a_root_that_is_not_mounted_is_missed_by_the_copy_of_its_record() {
        let copy = record("graph", true);
        assert_eq!(keep().judge(None, Some(&copy), None, |_| false), gone(Some(Timestamp(7))));
        assert_eq!(keep().judge(None, Some(&copy), None, |_| true), Ok(New(false)), "it is there");
        let empty = record("graph", false);
        assert_eq!(keep().judge(None, Some(&empty), None, |_| false), Ok(New(true)), "nothing is missed");
        assert_eq!(
            keep().judge(Some(&empty), Some(&copy), None, |_| false),
            Ok(New(false)),
            "the record itself counts"
        );
        let other = record("redis", true);
        let told = keep().judge(None, Some(&other), None, |_| false);
        assert_eq!(told, Err(Unfit::Kind(Box::new(other))), "nothing of another kind is begun in its place");
    }

    #[test]
    fn a_root_removed_with_its_records_makes_no_new_graph_in_the_same_life() {
        let served = Keep { was_served: true, ..keep() };
        assert_eq!(served.judge(None, None, None, |_| false), gone(None));
        assert_eq!(served.judge(None, None, None, |_| true), Ok(New(false)));
        let data = Place::Dir("/r/papers".into());
        let dir = Keep { record: Record { data, ..record("redis", false) }, ..served };
        assert_eq!(
            dir.judge(None, None, None, |_| false),
            Ok(New(true)),
            "nobody knows that it held anything"
        );
    }
}
