//! Finds the holder of a graph as any program can: by the lock file of programs that don't ask gob, by the
//! lock of gob's own workers, or by arguments. Reads only; nothing is removed here.

use crate::checks::whose::{Whose, whose};
use crate::process;
use gob_client::{Dirs, Name, Owner};
use gob_config::foreign::{Known, MAX_LOCK_BYTES, read_lock};
use gob_config::kind::Kind;
use gob_config::placeholder::filled;
use nix::fcntl::OFlag;
use serde::Deserialize;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The graph, and its place.
pub(crate) struct Place<'a> {
    pub(crate) graph: &'a Name,
    pub(crate) kind: &'a Kind,
    /// The real path of its root.
    pub(crate) root: &'a Path,
    /// gob's own directories: graphs without a directory of their own are there.
    pub(crate) dirs: &'a Dirs,
}

/// A process that holds the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: i32,
    /// The owner by its own word.
    pub(crate) owner: Owner,
    /// The file that it holds; `None` where only its arguments show it.
    pub(crate) path: Option<PathBuf>,
    /// Its arguments.
    pub(crate) command: String,
    /// Its supervisor, if it has one.
    pub(crate) whose: Option<Whose>,
}

/// The result of a search.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    /// The holders; several only where arguments show them.
    pub(crate) holders: Vec<Holder>,
    /// A further remark: a lock that a dead process left.
    pub(crate) note: Option<String>,
    /// A lock is held by a process that can't be told.
    pub(crate) is_unseen: bool,
}

/// Examines every lock, and then the processes.
pub(crate) fn look(place: &Place<'_>) -> Sight {
    let (mut holders, mut note, mut is_unseen) = (Vec::new(), None, false);
    if let Some(path) = &place.kind.foreign.lock_file {
        (holders, note) = by_lock_file(place, &PathBuf::from(fill(place, path)));
    }
    if holders.is_empty() {
        match by_own_lock(place) {
            Some(Ok(holder)) => holders.push(holder),
            Some(Err(remark)) => (note, is_unseen) = (Some(remark), true),
            None => {}
        }
    }
    if holders.is_empty() && place.kind.foreign.is_looked_for() {
        holders = by_arguments(place);
    }
    Sight { holders, note, is_unseen }
}

fn by_lock_file(place: &Place<'_>, path: &Path) -> (Vec<Holder>, Option<String>) {
    let shown = path.display();
    let lock = match read(path) {
        Ok(None) => return (vec![], None),
        Ok(Some(bytes)) => read_lock(&bytes),
        Err(e) => Err(format!("it can't be read: {e}")),
    };
    match lock {
        Err(why) => (vec![], Some(format!("the lock file {shown} says nothing: {why}"))),
        Ok(lock) if process::living(lock.pid).is_none() => {
            (vec![], Some(format!("the lock file {shown} is of pid {}, which is dead", lock.pid)))
        }
        Ok(lock) => (vec![holder(place, lock.pid, lock.owner, Some(path.to_owned()))], None),
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // Such a program makes neither a FIFO nor a symbolic link.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(e),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_LOCK_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// The note in the lock of a graph, as far as it is needed here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Note {
    pid: i32,
    start_time: Option<u64>,
    owner: Option<String>,
}

/// Returns a worker of any supervisor, by the lock that lies with the graph (ARCHITECTURE, Directories) or
/// the graph worker's own; a remark where its process can't be told.
fn by_own_lock(place: &Place<'_>) -> Option<Result<Holder, String>> {
    let encoded = place.graph.on_disk();
    let locks = [
        place.root.join(".gob").join(format!("{encoded}.lock")),
        place.root.join(&encoded).join("worker.lock"),
    ];
    locks.into_iter().find_map(|path| {
        let note: Note =
            read(&path).ok()?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        // While its process is alive, so is its lock. The kernel names the process that took it, which may be
        // a dead supervisor.
        let noted = process::living(note.pid)
            .filter(|found| note.pid > 0 && note.start_time.is_none_or(|noted| noted == found.start_time));
        let taken = noted.is_none().then(|| gob_client::holder::holder(&path)).flatten();
        let pid = noted.map(|found| found.pid).or_else(|| {
            let taker = process::living(taken.as_ref()?.pid);
            taker.map(|taker| taker.pid).or_else(|| having_open(&path))
        });
        let Some(pid) = pid else {
            let taker = taken?.pid;
            return Some(Err(format!(
                "the lock {} is held; pid {taker} took it, is dead, and has left it to another process: gobctl doctor",
                path.display()
            )));
        };
        let owner = note.owner.and_then(|owner| Owner::new(&owner).ok());
        Some(Ok(holder(place, pid, owner.unwrap_or_else(Owner::unknown), Some(path))))
    })
}

/// Returns the oldest process that has a file open, as far as that may be read: a dead process has left its lock to those that it
/// started.
fn having_open(path: &Path) -> Option<i32> {
    let has_it = |pid: i32| process::open_files(pid).iter().any(|open| open == path);
    let others = process::all().into_iter().filter(|process| process.name != "gobctl");
    others
        .filter(|process| has_it(process.pid))
        .min_by_key(|process| process.start_time)
        .map(|found| found.pid)
}

/// Returns workers that are alive without a lock file.
fn by_arguments(place: &Place<'_>) -> Vec<Holder> {
    let command: Vec<String> = place.kind.command.iter().map(|word| fill(place, word)).collect();
    let Some(root_dir) = place.root.to_str() else { return vec![] };
    let known = Known { command: &command, graph: place.graph.as_str(), root_dir };
    let is_worker = |pid: i32| {
        let args = process::arguments(pid);
        let real_path = |dir: &str| {
            let base = std::fs::read_link(gob_host::process::memory_of(pid).join("cwd")).ok()?;
            std::fs::canonicalize(base.join(dir)).ok()?.to_str().map(str::to_owned)
        };
        let as_node =
            || process::variable(pid, "ELECTRON_RUN_AS_NODE").is_some_and(|value| !value.is_empty());
        known.is_worker(&args, false, real_path) || (known.is_worker(&args, true, real_path) && as_node())
    };
    let found = process::own().into_iter().map(|process| process.pid).filter(|pid| is_worker(*pid));
    found.map(|pid| holder(place, pid, Owner::unknown(), None)).collect()
}

fn holder(place: &Place<'_>, pid: i32, owner: Owner, path: Option<PathBuf>) -> Holder {
    Holder { pid, owner, path, command: process::command(pid), whose: whose(place.dirs, pid) }
}

/// Fills the placeholders of a kind's text.
fn fill(place: &Place<'_>, text: &str) -> String {
    filled(text, |name| {
        Some(match name {
            "graph" | "name" => place.graph.to_string(),
            "graph_dir" => place.kind.foreign.graph_dir_encoding.dir_of(place.graph),
            "root_dir" => place.root.to_str()?.to_owned(),
            "data_dir" => place.dirs.data.join(place.graph.on_disk()).to_str()?.to_owned(),
            _ => return None,
        })
    })
}
