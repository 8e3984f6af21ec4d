//! Files in the runtime directory by which the next supervisor learns what the store may not be able to tell it: that locks may be
//! held, and which tokens may have been given (PROTOCOL 5, Locks), and which numbers jobs may have. The core decides when they are
//! written; they are made again here where they are lost.
//!
//! It is published by rename, so that a full disk leaves the earlier one. It is not synchronized: a loss of power ends the holders
//! too. What can't be used as a number counts as a mark without one, which is the safe side: the holders are waited for, the store
//! alone says which tokens were given, and no number in a file decides where the next ones begin.

use crate::files;
use gob_core::LocksMark;
use nix::errno::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::atomic::{AtomicU64, Ordering};

/// The name of the file about locks.
pub(crate) const LOCKS_HELD: &str = "locks.held";
/// The name of the file about numbers of jobs.
pub(crate) const JOBS_NUMBERED: &str = "jobs.numbered";

/// The most of it that is read.
const MAX_BYTES: u64 = 1_024;

/// In the place of a number: a mark that has none.
const UNREADABLE: u64 = u64::MAX;

const WORDS_OF_LOCKS: &str =
    "Locks were held: the next gobd grants none for 6 s, so that their holders can claim them.\n";
const WORDS_OF_JOBS: &str = "The next gobd gives no job a number up to this one.\n";

/// The number that a file is to have, from the loop to the threads that write it; 0 where there is to be none.
#[derive(Debug)]
pub(crate) struct Mark {
    file: &'static str,
    words: &'static str,
    number: AtomicU64,
}

impl Mark {
    /// Reads the mark of an earlier supervisor about locks.
    pub(crate) fn of_locks(runtime: &File) -> Self {
        Self::find(runtime, LOCKS_HELD, WORDS_OF_LOCKS)
    }

    /// Reads the mark of an earlier supervisor about numbers of jobs.
    pub(crate) fn of_jobs(runtime: &File) -> Self {
        Self::find(runtime, JOBS_NUMBERED, WORDS_OF_JOBS)
    }

    fn find(runtime: &File, file: &'static str, words: &'static str) -> Self {
        let mark = Self { file, words, number: AtomicU64::new(0) };
        mark.set(read(runtime, file));
        mark
    }

    /// Returns it as a number, for another program.
    pub(crate) fn hand_over(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// Goes on with a mark that another program kept.
    pub(crate) fn resume(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> LocksMark {
        match self.number.load(Ordering::Relaxed) {
            0 => LocksMark::Missing,
            UNREADABLE => LocksMark::Unreadable,
            up_to => LocksMark::UpTo(up_to),
        }
    }

    pub(crate) fn set(&self, mark: LocksMark) {
        let value = match mark {
            LocksMark::Missing => 0,
            LocksMark::Unreadable => UNREADABLE,
            LocksMark::UpTo(up_to) => up_to,
        };
        self.number.store(value, Ordering::Relaxed);
    }

    /// Returns the highest number that a job may have; 0 where none is known.
    pub(crate) fn up_to(&self) -> u64 {
        match self.get() {
            LocksMark::UpTo(up_to) => up_to,
            LocksMark::Missing | LocksMark::Unreadable => 0,
        }
    }

    /// Makes the file say what it is to say; true when it did not. An end that has no need of it removes it.
    pub(crate) fn keep(&self, runtime: &File) -> io::Result<bool> {
        let mark = self.get();
        if mark == LocksMark::Missing || read(runtime, self.file) == mark {
            return Ok(false);
        }
        let number = match mark {
            LocksMark::UpTo(up_to) => format!("{up_to}\n"),
            LocksMark::Missing | LocksMark::Unreadable => String::new(),
        };
        files::write_runtime_file(runtime, self.file, &format!("{number}{}", self.words)).map(|()| true)
    }
}

/// Reads what lies there. A link and a special file are marks without a number, and so is one that can't be read.
fn read(runtime: &File, name: &str) -> LocksMark {
    let flags = libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(files::below(runtime, name));
    match opened {
        Err(error) if error.raw_os_error() == Some(Errno::ENOENT as i32) => LocksMark::Missing,
        Err(_) => LocksMark::Unreadable,
        Ok(file) => number(&file).map_or(LocksMark::Unreadable, LocksMark::UpTo),
    }
}

/// Returns the number in the first line of our own file.
fn number(file: &File) -> Option<u64> {
    let found = file.metadata().ok()?;
    if !found.is_file() || found.uid() != nix::unistd::geteuid().as_raw() {
        return None;
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    // Without its line feed a number may be the begin of a longer one.
    let (first, _) = text.split_once('\n')?;
    let is_plain = first.bytes().all(|byte| byte.is_ascii_digit()) && !first.starts_with('0');
    first.parse().ok().filter(|number| is_plain && (1..=LocksMark::MAX).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::fs;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_made_again_where_it_is_lost_or_changed() {
        let dir = Scratch::new("kept");
        let runtime = File::open(&dir).unwrap();
        let mark = Mark::of_locks(&runtime);
        assert_eq!((mark.get(), mark.keep(&runtime).unwrap()), (LocksMark::Missing, false));
        for number in [1, 1_024, LocksMark::MAX] {
            mark.set(LocksMark::UpTo(number));
            assert!(mark.keep(&runtime).unwrap());
            assert!(!mark.keep(&runtime).unwrap(), "it is there");
            assert_eq!(Mark::of_locks(&runtime).get(), LocksMark::UpTo(number));
        }
        fs::remove_file(dir.join(LOCKS_HELD)).unwrap();
        assert!(mark.keep(&runtime).unwrap());
        fs::write(dir.join(LOCKS_HELD), "7\n").unwrap();
        assert!(mark.keep(&runtime).unwrap());
        assert_eq!(Mark::of_locks(&runtime).get(), LocksMark::UpTo(LocksMark::MAX));
    }

    #[test]
    fn what_is_no_number_is_a_mark_without_one_and_stays_one() {
        let dir = Scratch::new("damaged");
        let runtime = File::open(&dir).unwrap();
        let path = dir.join(LOCKS_HELD);
        let above = format!("{}\n", LocksMark::MAX + 1);
        let long = format!("{}\n", "1".repeat(2_000));
        let texts = ["", "\n", "0\n", "12", "12 \n", "+12\n", "012\n", "-1\n", WORDS_OF_LOCKS, &above, &long];
        for text in texts {
            fs::write(&path, text).unwrap();
            let mark = Mark::of_locks(&runtime);
            assert_eq!(mark.get(), LocksMark::Unreadable, "{text:?}");
            assert!(!mark.keep(&runtime).unwrap());
            fs::remove_file(&path).unwrap();
            assert!(mark.keep(&runtime).unwrap(), "{text:?}");
            assert_eq!(Mark::of_locks(&runtime).get(), LocksMark::Unreadable, "{text:?}");
        }
        fs::write(&path, b"\xff\xfe\n").unwrap();
        assert_eq!(Mark::of_locks(&runtime).get(), LocksMark::Unreadable);
        fs::write(dir.join("other"), "12\n").unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(dir.join("other"), &path).unwrap();
        assert_eq!(Mark::of_locks(&runtime).get(), LocksMark::Unreadable, "a link is not followed");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let mark = Mark::of_locks(&runtime);
        assert_eq!(mark.get(), LocksMark::Unreadable);
        mark.set(LocksMark::UpTo(3));
        assert!(mark.keep(&runtime).is_err());
        let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "nothing is left of a failed write: {left:?}");
    }
}
