//! Logs of unknown workers: of an earlier supervisor's workers, and those that a crash kept from being
//! removed.
//!
//! Only a supervisor knows its workers, so without one nothing is reported or deleted.

use super::scene::Scene;
use super::{Check, Fixed, ok, warn};
use crate::text::list;
use gob_client::Name;
use gob_client::View;
use gob_client::call::List;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const WHAT: &str = "logs";

/// The files of a directory of logs at one moment.
type Seen = BTreeMap<String, Vec<LogFile>>;

/// One log file.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    /// Device, inode, and time of the last change: another file of the same name has others.
    identity: (u64, u64, i64, i64),
    bytes: u64,
}

impl LogFile {
    fn look(path: PathBuf) -> Option<Self> {
        let stat = fs::symlink_metadata(&path).ok()?;
        let identity = (stat.dev(), stat.ino(), stat.ctime(), stat.ctime_nsec());
        Some(Self { path, identity, bytes: stat.len() })
    }

    /// Deletes it, and returns whether it did. Another file with its name stays.
    fn delete(&self) -> bool {
        Self::look(self.path.clone()).is_some_and(|now| now.identity == self.identity)
            && fs::remove_file(&self.path).is_ok()
    }
}

/// Runs the check.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let seen = seen(&scene.dirs.logs());
    let Some(answers) = scene.answers() else {
        return vec![ok(WHAT, "nobody says whose they are while no supervisor answers")];
    };
    let left = without_worker(&seen, &answers.workers);
    let names: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
    let bytes: u64 = left.iter().flat_map(|(_, files)| files.iter()).map(|file| file.bytes).sum();
    vec![if left.is_empty() {
        ok(WHAT, "each belongs to a worker")
    } else {
        let found = format!(
            "{} in {} belong to no worker: {} ({:.1} MB)",
            left.len(),
            scene.dirs.logs().display(),
            list(&names),
            bytes as f64 / 1e6
        );
        warn(WHAT, found, "gobctl logs NAME still shows them; gobctl doctor --fix deletes them")
    }]
}

/// Deletes them. The files are listed first, and the workers requested afterwards: a file in the first list
/// belongs to no run of a worker that is not listed. A run that begins meanwhile makes files of its own,
/// which may have the same names, such as after a `remove`; each file is deleted only if it is the listed
/// one.
pub(super) fn mend(scene: &Scene) -> Vec<Fixed> {
    let logs = scene.dirs.logs();
    let seen = seen(&logs);
    let Some(workers) = workers(scene) else { return Vec::new() };
    let mut fixed = Vec::new();
    for (name, files) in without_worker(&seen, &workers) {
        let deleted = files.iter().filter(|file| file.delete()).count();
        // Stays when a run has begun, or when it holds files that are not gob's.
        let gone = fs::remove_dir(logs.join(name)).is_ok();
        if deleted > 0 || gone {
            let dir = logs.join(name);
            let files = if deleted == 1 { "1 file".to_owned() } else { format!("{deleted} files") };
            fixed.push((WHAT, format!("deleted {} ({files})", dir.display())));
        }
    }
    fixed
}

fn workers(scene: &Scene) -> Option<Vec<View>> {
    let answers = scene.answers()?;
    let mut client = scene.context.connect("list").ok()?;
    if client.server().instance != answers.server.instance {
        return None;
    }
    // The logs are those of that supervisor only if it holds this lock.
    if scene.lock.as_ref().map(|holder| holder.pid) != Some(answers.status.keeper_pid) {
        return None;
    }
    let data = client.call(List::default(), scene.context.timeout?).ok()?;
    let data = client.whole_list(&List::default(), data).ok()?;
    Some(data.read().ok()?.workers)
}

/// Returns every directory with a worker's name, with its files that are named like logs.
fn seen(logs: &Path) -> Seen {
    let dirs = fs::read_dir(logs).into_iter().flatten().flatten();
    let dirs = dirs.filter(|dir| dir.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.filter_map(|dir| {
        let name = dir.file_name().into_string().ok()?;
        let decoded = gob_client::protocol::name::decode_safe(&name)?;
        Name::any(&decoded).ok().filter(|decoded| decoded.on_disk() == name)?;
        let all: Vec<fs::DirEntry> = fs::read_dir(dir.path()).ok()?.flatten().collect();
        let is_log = |file: &&fs::DirEntry| {
            file.file_type().is_ok_and(|kind| kind.is_file()) && file.file_name().to_str().is_some_and(is_log)
        };
        let files: Vec<LogFile> =
            all.iter().filter(is_log).filter_map(|file| LogFile::look(file.path())).collect();
        // A directory that holds only other files is none of gob's logs.
        (all.is_empty() || !files.is_empty()).then_some((name, files))
    })
    .collect()
}

fn without_worker<'a>(seen: &'a Seen, workers: &[View]) -> Vec<(&'a String, &'a Vec<LogFile>)> {
    let known: Vec<String> = workers.iter().map(|worker| worker.name.on_disk()).collect();
    seen.iter().filter(|(name, _)| !known.contains(name)).collect()
}

/// Returns whether a name is `3.stdout.log`, one of its rotated files, or `3.idx`.
fn is_log(name: &str) -> bool {
    let Some((run, rest)) = name.split_once('.') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let rotated = |text: &str| text.is_empty() || text.strip_prefix('.').is_some_and(digits);
    digits(run)
        && ["stdout.log", "stderr.log", "idx"].iter().any(|kind| rest.strip_prefix(kind).is_some_and(rotated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_came_in_the_place_of_another_is_not_deleted() {
        let logs = std::env::temp_dir().join(format!("gob-doctor-logs-{}", std::process::id()));
        let file = |name: &str| logs.join("demo").join(name);
        fs::create_dir_all(logs.join("demo")).unwrap();
        for name in ["1.stdout.log", "1.stderr.log"] {
            fs::write(file(name), "of the run before\n").unwrap();
        }
        let seen = seen(&logs);
        // The worker was removed and started meanwhile; the new file exists before the old one goes.
        fs::write(file("new"), "of the run that began\n").unwrap();
        fs::rename(file("new"), file("1.stdout.log")).unwrap();
        let deleted = seen["demo"].iter().filter(|file| file.delete()).count();
        let left = fs::read_to_string(file("1.stdout.log"));
        let other = file("1.stderr.log").exists();
        fs::remove_dir_all(&logs).unwrap();
        assert_eq!((deleted, left.unwrap().as_str(), other), (1, "of the run that began\n", false));
    }

    #[test]
    fn only_names_of_logs_count() {
        for name in ["3.stdout.log", "12.stderr.log", "3.stdout.log.2", "3.idx", "3.idx.1"] {
            assert!(is_log(name), "{name}");
        }
        for name in
            ["notes.txt", "stdout.log", "3.stdout.log.bak", "x.stdout.log", "3.stdout.logs", ".stdout.log"]
        {
            assert!(!is_log(name), "{name}");
        }
    }
}
