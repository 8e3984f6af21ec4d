//! What is known of a graph on disk from one supervisor to the next: its record, beside its lock (ARCHITECTURE, "What is
//! remembered of a graph").
//!
//! The shell reads and writes it while it holds the graph's lock. [`Keep::judge`] decides whether a run may begin on what
//! it says: a graph stays of the kind that served it last, and one whose data is gone is not begun anew unasked.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::{Name, Owner, Timestamp};
use serde::{Deserialize, Serialize};

/// The form of the record that this version writes.
pub const RECORD_VERSION: u32 = 1;

/// A record that is longer is none.
pub const MAX_RECORD_BYTES: u64 = 64 * 1024;

/// What the record of a graph says.
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
    /// Whose it was last.
    pub owner: Owner,
    /// When it was last begun to be served, or ended to be.
    pub last_used_at: Timestamp,
    /// Whether there was data in its place.
    pub held_data: bool,
}

/// Where the data of a graph is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// This file, which is there and not empty as soon as the graph was served.
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

/// What is kept of a graph that a run is to serve, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// The record's file, beside the lock.
    pub path: String,
    /// A copy in the data directory of a graph that lies in another root, by which it is found, and missed when its root is
    /// not there.
    pub pointer: Option<String>,
    /// Copies to look at where there is no record, for the kind is nobody's choice.
    pub elsewhere: Vec<String>,
    /// What it is to say once the run serves; time and data are the shell's to fill in.
    pub record: Record,
    /// The graph has been served in this supervisor's life.
    pub was_served: bool,
}

/// Why a run does not begin on what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// The graph was last of another kind, or is known in another root.
    Kind(Box<Record>),
    /// It held data, and that is not where it was.
    Gone {
        /// Where it was.
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
    /// Why it may not.
    pub fn judge(
        &self,
        known: Option<&Record>,
        copy: Option<&Record>,
        elsewhere: Option<&Record>,
        mut holds: impl FnMut(&Place) -> bool,
    ) -> Result<New, Unfit> {
        let missed = || copy.filter(|copy| copy.held_data && !holds(&self.record.data));
        // A record goes with the disk of its root. What is there without one is older, or somebody else's.
        let Some(known) = known.or_else(missed) else {
            let there = holds(&self.record.data);
            if self.was_served && !there && matches!(self.record.data, Place::File(_)) {
                // The record went with what it tells of.
                return Err(gone(&self.record.data, None));
            }
            let elsewhere = elsewhere.filter(|_| !there).cloned();
            return elsewhere.map_or(Ok(New(!there)), |known| Err(Unfit::Kind(Box::new(known))));
        };
        if known.kind != self.record.kind {
            // What it says of the root may be old: a root that is moved takes its records along.
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
        // One that was never anything but empty is told as new only once.
        Ok(New(false))
    }
}

fn gone(data: &Place, last_used_at: Option<Timestamp>) -> Unfit {
    Unfit::Gone { path: data.path().to_string(), last_used_at }
}

/// Whether the graph begins with this run: there was nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct New(pub bool);

/// The file of a record, by the directory beside the graphs of a root.
pub(crate) fn record_path(root_dir: &str, graph: &Name) -> String {
    alloc::format!("{root_dir}/.gob/{}.json", graph.on_disk())
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
    fn another_kind_or_root_is_told_with_what_was_known() {
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
    fn data_that_was_there_and_is_not_is_gone() {
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
    fn a_root_that_was_taken_away_with_its_records_makes_no_new_graph_in_the_same_life() {
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
