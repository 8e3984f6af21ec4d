//! Reads what `/proc` tells of a process (proc(5)).
//!
//! Works on bytes: a program may choose any name, and the kernel cuts names off at 15 bytes, even in the
//! middle of a character.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Limits how much of a process's arguments and environment is read: more than execve(2) lets a program begin
/// with.
const MAX_BYTES: u64 = 8 << 20;
/// The room for what such a file mostly holds.
const ROOM: usize = 4096;

/// The fields of `/proc/PID/stat` that gob needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat<'a> {
    /// The program's name as the kernel has it.
    pub name: &'a str,
    /// The state letter.
    pub state: char,
    /// The parent's pid.
    pub parent: i32,
    /// The process group.
    pub pgid: i32,
    /// The session.
    pub session: i32,
    /// The nice value.
    pub nice: i32,
    /// The number of threads.
    pub threads: u32,
    /// The start, in clock ticks since boot.
    pub start_time: u64,
}

impl<'a> Stat<'a> {
    /// Parses a line; `None` for one that the kernel did not write. The name is in parentheses and may hold
    /// anything, parentheses included; fields 3 to 6, 19, 20 and 22 follow it.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let (head, rest) = line.rsplit_once(')')?;
        let (_, name) = head.split_once('(')?;
        let mut fields = rest.split_ascii_whitespace();
        Some(Self {
            name,
            state: fields.next()?.chars().next()?,
            parent: fields.next()?.parse().ok()?,
            pgid: fields.next()?.parse().ok()?,
            session: fields.next()?.parse().ok()?,
            nice: fields.nth(12)?.parse().ok()?,
            threads: fields.next()?.parse().ok()?,
            start_time: fields.nth(1)?.parse().ok()?,
        })
    }

    /// Returns whether any thread of the process is left. State Z alone is a process whose main thread has
    /// ended: while another thread lives, it holds its locks and ports, and takes signals.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        match self.state {
            'Z' => self.threads > 1,
            'X' | 'x' => false,
            _ => true,
        }
    }

    /// Returns whether a signal or a debugger stopped the process.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

/// A buffer for one line of `/proc/PID/stat`: some fifty numbers and a name, so that one read gives all of it.
pub struct StatLine([u8; 2048], usize);

impl StatLine {
    /// Reads the line of `pid`.
    ///
    /// # Errors
    /// When there is no such process, or the file can't be read, such as for lack of a descriptor
    /// ([`is_gone`] tells which).
    pub fn read(pid: i32) -> io::Result<Self> {
        let mut line = Self([0; 2048], 0);
        line.1 = File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut line.0))?;
        Ok(line)
    }

    /// Returns the line as text; invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.0.get(..self.1).unwrap_or_default())
    }
}

impl std::fmt::Debug for StatLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StatLine").field(&self.text()).finish()
    }
}

/// Returns whether an error says that there is no such process; ESRCH comes when it ends between open and
/// read.
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(nix::libc::ESRCH)
}

/// Returns all pids that `/proc` lists, in its order.
///
/// # Errors
/// When `/proc` can't be opened.
pub fn pids() -> io::Result<impl Iterator<Item = i32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// Returns the directory in which the kernel shows the memory of a process: descriptors, environment,
/// arguments. This is the main thread's, or another thread's where the main thread has ended and let go of
/// them.
#[must_use]
pub fn memory_of(pid: i32) -> PathBuf {
    let main = PathBuf::from(format!("/proc/{pid}"));
    // `exe` is the cheapest of these files to read; kernel threads have none either.
    let has_memory = |of: &PathBuf| fs::read_link(of.join("exe")).is_ok();
    let task = main.join("task");
    if has_memory(&main) || !has_more_threads(&task) {
        return main;
    }
    let threads = fs::read_dir(task).into_iter().flatten().flatten();
    threads.map(|thread| thread.path()).find(has_memory).unwrap_or(main)
}

/// Returns whether the directory of a process's threads holds more than the main thread. A directory has two
/// links, and one more for each directory in it. Asking costs one call; to list the single thread of each
/// kernel thread costs six.
fn has_more_threads(task: &Path) -> bool {
    fs::metadata(task).is_ok_and(|task| task.nlink() > 3)
}

/// Returns the arguments of a process; none when it is gone or may not be read.
#[must_use]
pub fn arguments(pid: i32) -> Vec<Vec<u8>> {
    words(pid, "cmdline")
}

/// Returns a variable of the environment with which a process was started; `None` also when it may not be read.
#[must_use]
pub fn variable(pid: i32, name: &str) -> Option<Vec<u8>> {
    let mut variables = words(pid, "environ").into_iter();
    variables.find_map(|pair| Some(pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec()))
}

fn words(pid: i32, file: &str) -> Vec<Vec<u8>> {
    let main = PathBuf::from(format!("/proc/{pid}"));
    let mut bytes = contents(&main.join(file));
    // A main thread that has ended shows none; neither do the many kernel threads, which have no other thread.
    if bytes.is_empty() && has_more_threads(&main.join("task")) {
        bytes = contents(&memory_of(pid).join(file));
    }
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

/// Returns what a file of the kernel's holds; nothing where it can't be read. It does not tell its size, and without room each of
/// many reads would be short.
fn contents(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ROOM);
    let read = File::open(file).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    read.map(|_| bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_parentheses_and_a_zombie_may_live() {
        let line = "42 (a) R (b) S 7 6 5 0 -1 4194304 1 2 3 4 5 6 7 8 20 15 1 0 123456 9";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.name, stat.state, stat.parent, stat.pgid, stat.session), ("a) R (b", 'S', 7, 6, 5));
        assert_eq!((stat.nice, stat.threads, stat.start_time), (15, 1, 123_456));
        let is_alive = |state, threads| Stat { state, threads, ..stat }.is_alive();
        assert!(is_alive('S', 1) && is_alive('Z', 2) && !is_alive('Z', 1) && !is_alive('X', 2));
        assert!(Stat { state: 'T', ..stat }.is_stopped() && !stat.is_stopped());
        assert_eq!(Stat::parse("42"), None);
    }

    #[test]
    fn this_process_is_read_as_it_is() {
        let me = i32::try_from(std::process::id()).unwrap();
        let line = StatLine::read(me).unwrap();
        let text = line.text();
        let stat = Stat::parse(&text).unwrap();
        assert!(stat.is_alive() && stat.parent == std::os::unix::process::parent_id() as i32);
        assert!(pids().unwrap().any(|pid| pid == me));
        let args: Vec<Vec<u8>> = std::env::args().map(String::into_bytes).collect();
        assert_eq!(arguments(me), args);
        assert_eq!(variable(me, "PATH"), std::env::var("PATH").ok().map(String::into_bytes));
        assert_eq!((variable(me, "PAT"), arguments(i32::MAX)), (None, vec![]));
        assert!(is_gone(&StatLine::read(i32::MAX).unwrap_err()));
    }
}
