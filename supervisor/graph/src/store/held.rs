//! The files of an open graph, compared with those at their paths.
//!
//! A write is acknowledged only if a later reader of the path would find it: [`Place::check`] compares the
//! identity of the files, and the holder of the writer compares their content too ([`Content`]).

use super::content::{Content, Index, Overwritten};
use super::place::{COMPANIONS, Examined, Unfit, beside, examine, through, unfit_kind};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The files of an open graph, and their paths.
#[derive(Debug)]
pub(crate) struct Place {
    graph: Held,
    companions: Vec<Held>,
    log: Option<Log>,
}

/// The log of a graph, which shows changes of the files' content.
#[derive(Debug)]
struct Log {
    /// The index's file. Closed only with the worker: closing it drops SQLite's locks on it.
    index: File,
    /// The content at the last return of the writer. Only the holder of the writer changes it.
    known: Mutex<Content>,
}

#[derive(Debug)]
struct Held {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Held open, so that no other file can get its inode.
    file: File,
}

/// A file of the graph was moved, replaced or overwritten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} is not {} it was: it {became}", if *.in_place { "what" } else { "where" })]
pub(crate) struct Gone {
    /// Its former path.
    pub(crate) path: PathBuf,
    /// The present state of that path.
    pub(crate) became: String,
    /// The same file has other data.
    pub(crate) in_place: bool,
}

/// The log is long enough to be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due(pub(super) bool);

impl Place {
    /// Holds the files of a graph that was examined and opened since.
    ///
    /// # Errors
    /// When another file has taken the place of one meanwhile.
    pub(super) fn hold(path: &Path, examined: Examined) -> Result<Self, Unfit> {
        let graph = Held::new(path.to_owned(), examined);
        let mut companions = Vec::new();
        for suffix in COMPANIONS {
            let path = beside(path, suffix);
            if let Some(examined) = examine(&path)? {
                companions.push(Held::new(path, examined));
            }
        }
        let log = match companions.as_slice() {
            [log, index] => Log::of(&graph, log, index)
                .map_err(|source| Unfit::Io { path: index.path.clone(), source })?,
            // Without a log that others may read, the graph's file itself is written.
            _ => None,
        };
        Ok(Self { graph, companions, log })
    }

    /// Compares the held files with those at their paths: three system calls.
    ///
    /// # Errors
    /// The first difference.
    pub(crate) fn check(&self) -> Result<(), Gone> {
        self.graph.check()?;
        self.companions.iter().try_for_each(|held| held.check().map(drop))
    }

    /// As [`Self::check`], for the holder of the writer before a write: compares content, too.
    ///
    /// # Errors
    /// The first difference.
    pub(super) fn check_before_write(&self) -> Result<(), Gone> {
        let (Some(log), [held, _]) = (&self.log, self.companions.as_slice()) else { return self.check() };
        let (graph, of_log) = (self.graph.check()?, held.check()?);
        let mut known = log.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_at((&graph).into(), (&of_log).into()) {
            return Ok(());
        }
        let now = log.content(&graph, &of_log).map_err(|e| held.unreadable(&e))?;
        known.before_write(&now).map_err(|which| self.overwritten(which))?;
        *known = now;
        Ok(())
    }

    /// As [`Self::check`], for the holder of the writer after a write without a merge; returns whether a log
    /// of `pages` must be merged.
    ///
    /// # Errors
    /// The first difference.
    pub(super) fn check_after_write(&self, pages: u32) -> Result<Due, Gone> {
        let (Some(log), [held, index]) = (&self.log, self.companions.as_slice()) else {
            return self.check().map(|()| Due(false));
        };
        let (graph, of_log) = (self.graph.check()?, held.check()?);
        index.check()?;
        let mut known = log.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = log.content(&graph, &of_log).map_err(|e| index.unreadable(&e))?;
        known.after_write(&now).map_err(|which| self.overwritten(which))?;
        *known = now;
        let (frames, is_unmerged) = now.index.unmerged();
        Ok(Due(is_unmerged && frames >= pages))
    }

    /// Accepts the present content, after a merge by the holder of the writer.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(super) fn note_merge(&self) -> Result<(), Gone> {
        let (Some(log), [held, index]) = (&self.log, self.companions.as_slice()) else { return Ok(()) };
        let (graph, of_log) = (self.graph.check()?, held.check()?);
        let now = log.content(&graph, &of_log).map_err(|e| index.unreadable(&e))?;
        *log.known.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(())
    }

    /// Returns whether a merge of the log into the graph's file is safe: the file is in its place with its
    /// content, and no other log lies beside it. Called by the holder of the writer.
    pub(super) fn is_mergeable(&self) -> bool {
        let ours_or_absent = |held: &Held| held.check().is_ok() || fs::symlink_metadata(&held.path).is_err();
        let in_place = self.check_before_write().is_err_and(|gone| gone.in_place);
        !in_place && self.graph.check().is_ok() && self.companions.iter().all(ours_or_absent)
    }

    /// Returns whether the graph's file was moved away, another file took its place, and no other program has the
    /// moved one open. The log can then be merged into it: nothing that was acknowledged is lost for the user who
    /// moved it. Called once, at the worker's end.
    pub(super) fn is_moved_alone(&self) -> bool {
        let is_ours = |held: &Held| held.check().is_ok() || fs::symlink_metadata(&held.path).is_err();
        let was_replaced = fs::symlink_metadata(&self.graph.path)
            .is_ok_and(|found| !self.graph.is(&found) && found.is_file());
        let is_named = self.graph.file.metadata().is_ok_and(|found| found.nlink() == 1);
        was_replaced && is_named && self.companions.iter().all(is_ours) && self.graph.is_open_here_only()
    }

    /// Moves the log aside after the graph's file got other data: the next program that opens it would merge
    /// the log into it. Returns the log's new path.
    ///
    /// # Errors
    /// The error of the system.
    pub(super) fn put_log_aside(&self) -> io::Result<Option<PathBuf>> {
        let other = match fs::symlink_metadata(&self.graph.path) {
            Ok(found) if !self.graph.is(&found) => found.is_file(),
            Ok(_) => self.check_before_write().is_err_and(|gone| gone.in_place),
            Err(_) => false,
        };
        let Some(log) = self.companions.first().filter(|log| other && log.check().is_ok()) else {
            return Ok(None);
        };
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let aside = beside(&log.path, &format!("-of-{seconds}"));
        fs::rename(&log.path, &aside)?;
        Ok(Some(aside))
    }

    fn overwritten(&self, which: Overwritten) -> Gone {
        let path = match (which, self.companions.first()) {
            (Overwritten::Log, Some(log)) => &log.path,
            (Overwritten::Log | Overwritten::Graph, _) => &self.graph.path,
        };
        let became = "was overwritten in place by another program".to_owned();
        Gone { path: path.clone(), became, in_place: true }
    }
}

impl Log {
    /// Reads the present content; `None` where SQLite keeps no readable index of the log.
    fn of(graph: &Held, log: &Held, index: &Held) -> io::Result<Option<Self>> {
        let index = File::open(through(&index.file))?;
        let Ok(counted) = Index::read(&index) else { return Ok(None) };
        let (graph, of_log) = (graph.file.metadata()?, log.file.metadata()?);
        let known = Content { graph: (&graph).into(), log: (&of_log).into(), index: counted };
        Ok(Some(Self { index, known: Mutex::new(known) }))
    }

    fn content(&self, graph: &Metadata, log: &Metadata) -> io::Result<Content> {
        Ok(Content { graph: graph.into(), log: log.into(), index: Index::read(&self.index)? })
    }
}

impl Held {
    fn new(path: PathBuf, examined: Examined) -> Self {
        let Examined { file, found } = examined;
        Self { path, device: found.dev(), inode: found.ino(), file }
    }

    fn is(&self, found: &Metadata) -> bool {
        (found.dev(), found.ino()) == (self.device, self.inode)
    }

    fn check(&self) -> Result<Metadata, Gone> {
        let gone = |became: String| Err(Gone { path: self.path.clone(), became, in_place: false });
        let found = match fs::symlink_metadata(&self.path) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return gone("is gone".to_owned()),
            Err(e) => return gone(format!("cannot be reached ({e})")),
        };
        if !self.is(&found) {
            return gone(format!("was replaced by {}", unfit_kind(&found).unwrap_or("another file")));
        }
        if found.nlink() != 1 {
            return gone(format!("has {} names (hard links)", found.nlink()));
        }
        Ok(found)
    }

    /// Returns whether no other process has one of SQLite's locks on the file; false in doubt. Leaves a descriptor
    /// open: closing it would drop this process's own locks (fcntl(2)).
    fn is_open_here_only(&self) -> bool {
        let opened = OpenOptions::new().read(true).write(true).open(through(&self.file));
        let Ok(file) = opened.map(|file| Box::leak(Box::new(file))) else { return false };
        let mut lock = libc::flock {
            l_type: libc::F_WRLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(file, FcntlArg::F_GETLK(&mut lock)).is_ok() && i32::from(lock.l_type) == libc::F_UNLCK
    }

    fn unreadable(&self, error: &io::Error) -> Gone {
        let became = format!("cannot be read ({error})");
        Gone { path: self.path.clone(), became, in_place: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn each_difference_is_seen_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("g");
        let hold = || {
            fs::write(&path, "x").unwrap();
            fs::write(beside(&path, "-wal"), "x").unwrap();
            let examined = examine(&path).unwrap().unwrap();
            Place::hold(&path, examined).unwrap()
        };
        let said = |place: &Place| place.check().unwrap_err().became;
        let place = hold();
        assert_eq!(place.check(), Ok(()));
        fs::rename(&path, dir.path().join("away")).unwrap();
        assert_eq!(said(&place), "is gone");
        symlink("away", &path).unwrap();
        assert_eq!(said(&place), "was replaced by a symbolic link");
        fs::rename(dir.path().join("away"), &path).unwrap();
        assert_eq!(place.check(), Ok(()));
        fs::hard_link(&path, dir.path().join("away")).unwrap();
        assert_eq!(said(&place), "has 2 names (hard links)");
        fs::remove_file(dir.path().join("away")).unwrap();
        fs::remove_file(beside(&path, "-wal")).unwrap();
        assert_eq!(said(&place), "is gone");
        assert!(place.is_mergeable());
        fs::write(beside(&path, "-wal"), "y").unwrap();
        assert_eq!(said(&place), "was replaced by another file");
        assert!(!place.is_mergeable());
        fs::remove_file(&path).unwrap();
        drop(hold());
        assert!(place.check().is_err() && !place.is_mergeable());
    }
}
