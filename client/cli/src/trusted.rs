//! The project files that this user trusts: `trusted.json` in the state directory, 0600. A file is trusted by its path and the SHA-256 of
//! its text; the text is kept beside them, to show what has changed since.

use crate::failure::Failure;
use crate::project::Project;
use gob_client::Dirs;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use similar::TextDiff;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest list that is read.
const MAX_BYTES: u64 = 64 << 20;
/// Limit of the time in which a difference is looked for; it is less exact after it.
const DIFF_TIME: Duration = Duration::from_secs(1);

/// The trust in a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// In this very text.
    Given,
    /// In none.
    Missing,
    /// In an earlier text.
    Old(String),
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    version: u32,
    /// The trusted files by their paths.
    files: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    sha256: String,
    text: String,
}

/// Returns the SHA-256 of a text, in hexadecimal digits.
pub(crate) fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns whether the project's file is trusted as it was read.
pub(crate) fn trust_in(project: &Project, dirs: &Dirs) -> Result<Trust, Failure> {
    let path = path_of(dirs);
    let mut list = read(&path).map_err(|e| unusable(&path, &e))?;
    Ok(match list.files.remove(&project.path) {
        Some(entry) if entry.sha256 == sha256(&project.text) => Trust::Given,
        Some(entry) => Trust::Old(entry.text),
        None => Trust::Missing,
    })
}

/// Trusts the project's file as it was read. Files that are gone are forgotten.
pub(crate) fn give(project: &Project, dirs: &Dirs) -> Result<(), Failure> {
    let path = path_of(dirs);
    let failed = |e: io::Error| unusable(&path, &e);
    let mut list = read(&path).map_err(failed)?;
    list.version = 1;
    list.files.retain(|path, _| Path::new(path).symlink_metadata().is_ok());
    let entry = Entry { sha256: sha256(&project.text), text: project.text.clone() };
    list.files.insert(project.path.clone(), entry);
    write(&path, &list).map_err(failed)
}

/// Returns the failure of a verb that runs a file's jobs, unless the file is trusted.
pub(crate) fn needed(project: &Project, dirs: &Dirs) -> Result<(), Failure> {
    let message = match trust_in(project, dirs)? {
        Trust::Given => return Ok(()),
        Trust::Missing => format!("{} is not trusted", project.path),
        Trust::Old(_) => format!("{} has changed since it was trusted", project.path),
    };
    let failure = Failure::own("not-trusted", 1, message).cause("nothing of it was run");
    Err(failure.hint("gobctl trust shows what it would run, and trusts it"))
}

/// Returns what has changed in a text, as a unified difference.
pub(crate) fn difference(old: &str, new: &str) -> String {
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(old, new);
    diff.unified_diff().header("trusted", "now").to_string()
}

fn path_of(dirs: &Dirs) -> PathBuf {
    dirs.state.join("trusted.json")
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::own("trust-unusable", 1, format!("{} can't be used", path.display()));
    failure.cause(error.to_string()).hint("nothing is trusted without it; remove it to begin anew")
}

fn read(path: &Path) -> io::Result<List> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(List::default()),
        file => file?,
    };
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(io::Error::other("it is not a regular file that this user alone may write"));
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    let list: List = serde_json::from_str(&text).map_err(io::Error::from)?;
    if list.version != 1 {
        return Err(io::Error::other(format!("it is of the version {}, this gobctl knows 1", list.version)));
    }
    Ok(list)
}

fn write(path: &Path, list: &List) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let temporary = dir.join(format!("trusted.json.{}", std::process::id()));
    let text = serde_json::to_string(list).map_err(io::Error::from)?;
    if text.len() as u64 >= MAX_BYTES {
        return Err(io::Error::other("too many and too large files are trusted"));
    }
    let written = write_new(&temporary, &text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell.
        fs::remove_file(&temporary).ok();
        return written;
    }
    File::open(dir)?.sync_all()
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    // Of a process that was ended in between, and had the same id.
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_hash_that_others_compute() {
        assert_eq!(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_difference_names_the_lines_that_come_and_go() {
        let diff = difference("a\nb\nc\n", "a\nx\nc\n");
        assert!(diff.starts_with("--- trusted\n+++ now\n@@"), "{diff}");
        assert!(diff.contains("\n-b\n+x\n"), "{diff}");
    }
}
