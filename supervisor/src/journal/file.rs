//! The journal's file: appended to, or replaced as a whole by a rename, so that no reader ever sees half of
//! it.

use crate::upgrade::{Fd, Inherited, Named, Unfit};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Limit of an earlier journal that is read; a larger file is not gob's.
const READ_BYTES: u64 = 4 << 20;

/// The file, if it could be opened.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    pub(super) file: Option<File>,
    /// The last write may lack its end.
    is_torn: bool,
    /// The file is of this supervisor's life.
    is_own: bool,
    /// The number of failed writes.
    failures: Arc<AtomicU64>,
}

/// The file as data.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JournalFileState {
    file: Option<Fd>,
    is_torn: bool,
    is_own: bool,
}

impl JournalFile {
    pub(super) fn hand_over(&self, named: &mut Named) -> JournalFileState {
        let file = self.file.as_ref().map(|file| named.name(file));
        JournalFileState { file, is_torn: self.is_torn, is_own: self.is_own }
    }

    pub(super) fn resume(
        JournalFileState { file, is_torn, is_own }: JournalFileState,
        path: PathBuf,
        failures: Arc<AtomicU64>,
        inherited: &mut Inherited,
    ) -> Result<Self, Unfit> {
        let file = file.map(|fd| inherited.take(fd)).transpose()?.map(File::from);
        Ok(Self { path, file, is_torn, is_own, failures })
    }

    /// Opens and reads an existing file. Makes none: a missing journal has no records.
    pub(super) fn open(path: PathBuf, failures: Arc<AtomicU64>) -> (Self, Vec<u8>) {
        let mut this = Self { path, file: None, is_torn: false, is_own: false, failures };
        match this.read() {
            Ok((file, text)) => {
                this.file = Some(file);
                (this, text)
            }
            Err(e) => {
                if e.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %this.path.display(), error = %e, "no journal");
                }
                (this, Vec::new())
            }
        }
    }

    fn read(&self) -> io::Result<(File, Vec<u8>)> {
        // The path may be any kind of file by now.
        let flags = libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).append(true).custom_flags(flags).open(&self.path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut text = Vec::new();
        (&file).take(READ_BYTES).read_to_end(&mut text)?;
        Ok((file, text))
    }

    /// Appends text.
    pub(super) fn append(&mut self, text: &[u8]) {
        let Some(mut file) = self.file.as_ref() else {
            self.failures.fetch_add(1, Ordering::Relaxed);
            return;
        };
        // A truncated line must not spoil the next one.
        let begin: &[u8] = if self.is_torn { b"\n" } else { b"" };
        match file.write_all(&[begin, text].concat()) {
            Ok(()) => self.is_torn = false,
            Err(e) => {
                self.is_torn = true;
                self.failed(&e);
            }
        }
    }

    /// Replaces the file. Where that fails, a file of this life goes on as it is; a file of an earlier life
    /// is removed, since its last line may say that nothing is left.
    pub(super) fn replace(&mut self, text: &[u8]) {
        match self.write_anew(text) {
            Ok(file) => (self.file, self.is_torn, self.is_own) = (Some(file), false, true),
            Err(e) => {
                self.failed(&e);
                if self.is_own && self.is_in_its_place() {
                    return;
                }
                self.file = None;
                if fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_file()) {
                    fs::remove_file(&self.path).unwrap_or_default();
                }
            }
        }
    }

    fn write_anew(&self, text: &[u8]) -> io::Result<File> {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("what is there is not a regular file"));
        }
        let new = self.path.with_extension("new");
        match fs::remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text)?;
        fs::rename(new, &self.path)?;
        Ok(file)
    }

    /// Returns whether the next supervisor will find it.
    pub(super) fn is_in_its_place(&self) -> bool {
        let identity = |found: Metadata| (found.dev(), found.ino());
        let there = fs::symlink_metadata(&self.path).map(identity).ok();
        there.is_some() && there == self.file.as_ref().and_then(|file| file.metadata().map(identity).ok())
    }

    fn failed(&self, error: &io::Error) {
        if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(path = %self.path.display(), %error, "the journal can't be written");
        }
    }
}
