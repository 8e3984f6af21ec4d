//! The content of a graph's files, as far as it can be told without reading them.
//!
//! Only SQLite may write to these files, and to the graph's file only by a merge of the log. [`Content`]
//! holds size and time of both after the worker's last write, and SQLite's counters in the index of the log.
//! A file that changed without SQLite's counting was overwritten in place (`cp backup graph.sqlite`): the
//! same file with other data, to which the log does not belong. A change within one tick of the file system's
//! clock (some milliseconds) that leaves the size as it was is not seen.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// Bytes of the index's header and of the merge counters behind it: `WalIndexHdr` twice, and `WalCkptInfo`.
const INDEX_BYTES: usize = 100;
/// Bytes of one copy of the header.
const HEADER_BYTES: usize = 48;

/// Size and time of change of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    modified: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        Self { size: found.len(), modified: (found.mtime(), found.mtime_nsec()) }
    }
}

/// SQLite's counters of a log, shared by all programs that have the graph open (`wal.c`, "WAL-INDEX FORMAT").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Index {
    header: [u8; HEADER_BYTES],
    /// Frames that were merged into the graph's file.
    merged: u32,
}

impl Index {
    /// Reads the counters from the file of the index, which SQLite maps.
    pub(super) fn read(file: &File) -> io::Result<Self> {
        let mut bytes = [0; INDEX_BYTES];
        file.read_exact_at(&mut bytes, 0)?;
        let (header, rest) = bytes.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
        let merged = rest.last_chunk().copied().map(u32::from_ne_bytes).unwrap_or_default();
        Ok(Self { header: *header, merged })
    }

    /// Returns the frames of the log that the graph's file may not have yet.
    pub(super) fn unmerged(&self) -> (u32, bool) {
        let frames = self.header.get(16..20).and_then(|bytes| bytes.try_into().ok());
        let frames = frames.map(u32::from_ne_bytes).unwrap_or_default();
        (frames, self.merged < frames)
    }

    /// Returns a value that changes whenever the log is begun anew.
    fn salt(&self) -> Option<&[u8]> {
        self.header.get(32..40)
    }
}

/// The files of a graph at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) graph: Stamp,
    pub(super) log: Stamp,
    pub(super) index: Index,
}

/// The file that was overwritten in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overwritten {
    Graph,
    Log,
}

impl Content {
    /// Returns whether the files are the same in size and time.
    pub(super) fn is_at(&self, graph: Stamp, log: Stamp) -> bool {
        self.graph == graph && self.log == log
    }

    /// Compares with the files before a write; another program may have written and merged through SQLite
    /// meanwhile.
    pub(super) fn before_write(&self, now: &Self) -> Result<(), Overwritten> {
        let was_merged = (self.index.salt(), self.index.merged) != (now.index.salt(), now.index.merged);
        if self.graph != now.graph && !was_merged {
            return Err(Overwritten::Graph);
        }
        if self.log != now.log && self.index.header == now.index.header {
            return Err(Overwritten::Log);
        }
        Ok(())
    }

    /// Compares with the graph's file after a write, which merges nothing: a log that is begun anew has none
    /// merged.
    pub(super) fn after_write(&self, now: &Self) -> Result<(), Overwritten> {
        let was_merged = self.index.salt() == now.index.salt() && self.index.merged != now.index.merged;
        if self.graph == now.graph || was_merged { Ok(()) } else { Err(Overwritten::Graph) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(graph: u64, log: u64, salt: u8, frames: u8, merged: u32) -> Content {
        let stamp = |size| Stamp { size, modified: (1, 1) };
        let mut header = [0; HEADER_BYTES];
        header[16..20].copy_from_slice(&u32::from(frames).to_ne_bytes());
        header[32] = salt;
        Content { graph: stamp(graph), log: stamp(log), index: Index { header, merged } }
    }

    #[test]
    fn a_change_that_sqlite_did_not_count_is_told_from_one_that_it_did() {
        let known = content(10, 5, 1, 7, 3);
        let before = |now| known.before_write(&now);
        assert_eq!(before(known), Ok(()));
        assert_eq!(before(content(11, 5, 1, 7, 3)), Err(Overwritten::Graph));
        assert_eq!(before(content(10, 6, 1, 7, 3)), Err(Overwritten::Log));
        // Another program merged, wrote, or did both and began the log anew.
        assert_eq!(before(content(11, 5, 1, 7, 7)), Ok(()));
        assert_eq!(before(content(10, 6, 1, 8, 3)), Ok(()));
        assert_eq!(before(content(11, 6, 2, 1, 0)), Ok(()));
    }

    #[test]
    fn the_own_write_excuses_no_change_of_the_graphs_file() {
        let known = content(10, 5, 1, 7, 7);
        let after = |now| known.after_write(&now);
        assert_eq!(after(content(10, 6, 1, 8, 7)), Ok(()));
        assert_eq!(after(content(11, 6, 1, 8, 7)), Err(Overwritten::Graph));
        assert_eq!(
            after(content(11, 6, 2, 1, 0)),
            Err(Overwritten::Graph),
            "its own write began the log anew"
        );
        assert_eq!(after(content(11, 6, 1, 9, 8)), Ok(()), "another program merged");
    }

    #[test]
    fn the_index_is_read_as_sqlite_writes_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("g");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(x)").unwrap();
        let read = || Index::read(&File::open(dir.path().join("g-shm")).unwrap()).unwrap();
        let before = read();
        assert!(before.unmerged().0 > 0 && before.unmerged().1);
        db.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
        let after = read();
        assert_eq!(after.unmerged(), (before.unmerged().0, false));
        assert_eq!(after.salt(), before.salt());
        db.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        assert_ne!(read().salt(), before.salt());
    }
}
