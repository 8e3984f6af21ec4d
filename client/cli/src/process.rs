//! What the kernel tells of processes (proc(5)). Looks only; what can't be read is not known.
//!
//! The one place in gobctl that reads it. Bytes, not text: a program may call itself what it likes, and a name that the kernel
//! cuts off at 15 bytes may end in the middle of a character. Whoever is not read is taken for dead.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// So much of a process's arguments and environment is read: more than the kernel lets a program begin with (execve(2)).
const MAX_BYTES: u64 = 8 << 20;

/// A process, or what is left of one that nobody has asked for its end yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// Its program's name, as the kernel has it; what is no text is replaced.
    pub(crate) name: String,
    /// As one letter.
    pub(crate) state: char,
    /// How many threads it has.
    threads: u32,
    /// In clock ticks since boot.
    pub(crate) start_time: u64,
}

impl Process {
    /// Whether not all of it has ended. One whose main thread has ended is in state Z too, and lives while it has another.
    fn is_alive(&self) -> bool {
        match self.state {
            'Z' => self.threads > 1,
            'X' | 'x' => false,
            _ => true,
        }
    }
}

/// A process that lives.
pub(crate) fn living(pid: i32) -> Option<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    read_stat(pid, &String::from_utf8_lossy(&stat)).filter(Process::is_alive)
}

/// Every living process of this user, in the order of their numbers.
pub(crate) fn own() -> Vec<Process> {
    let me = nix::unistd::geteuid().as_raw();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = entries.filter(|entry| entry.metadata().is_ok_and(|meta| meta.uid() == me));
    let mut pids: Vec<i32> = own.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(living).collect()
}

/// The name is in parentheses and may hold anything, parentheses included; fields 3, 4, 20 and 22 follow it.
fn read_stat(pid: i32, stat: &str) -> Option<Process> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let threads = fields.nth(15)?.parse().ok()?;
    let start_time = fields.nth(1)?.parse().ok()?;
    Some(Process { pid, parent, name: name.to_owned(), state, threads, start_time })
}

/// The children of a process's main thread, to which those fall that it adopts.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// The arguments of a process; none when it is gone.
pub(crate) fn arguments(pid: i32) -> Vec<String> {
    words(pid, "cmdline").iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Its arguments, as one line.
pub(crate) fn command(pid: i32) -> String {
    arguments(pid).join(" ")
}

/// A variable that a process was started with; `None` also when it may not be read.
pub(crate) fn variable(pid: i32, name: &str) -> Option<String> {
    words(pid, "environ").iter().find_map(|word| {
        let value = word.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}

fn words(pid: i32, file: &str) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    let read =
        File::open(memory_of(pid).join(file)).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if read.is_err() || bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

/// Where the kernel shows what a process has in memory: with its main thread, or where that has ended with another one.
pub(crate) fn memory_of(pid: i32) -> PathBuf {
    let main = PathBuf::from(format!("/proc/{pid}"));
    let has_memory = |of: &PathBuf| fs::read_link(of.join("exe")).is_ok();
    if has_memory(&main) {
        return main;
    }
    let threads = fs::read_dir(main.join("task")).into_iter().flatten().flatten();
    threads.map(|thread| thread.path()).find(has_memory).unwrap_or(main)
}

/// A limit: soft and hard, `None` for unlimited. `pid` 0 is this process.
pub(crate) fn limit(pid: i32, name: &str) -> Option<(Option<u64>, Option<u64>)> {
    read_limit(&fs::read_to_string(of(pid, "limits")).ok()?, name)
}

/// Its nice value. `pid` 0 is this process.
pub(crate) fn nice(pid: i32) -> Option<i32> {
    read_nice(&String::from_utf8_lossy(&fs::read(of(pid, "stat")).ok()?))
}

/// Field 19; the name in parentheses before field 3 may hold anything.
fn read_nice(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(16)?.parse().ok()
}

/// A number of its status. `pid` 0 is this process.
pub(crate) fn status(pid: i32, field: &str) -> Option<u64> {
    let all = fs::read(of(pid, "status")).ok()?;
    let all = String::from_utf8_lossy(&all);
    let line = all.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().parse().ok()
}

/// A line is `Max open files            1024                 524288               files`.
fn read_limit(limits: &str, name: &str) -> Option<(Option<u64>, Option<u64>)> {
    let rest = limits.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let mut values = rest.split_ascii_whitespace().map(|word| match word {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    });
    Some((values.next()??, values.next()??))
}

/// Its control group in version 2 of the hierarchy (cgroups(7)), below where that is mounted. `pid` 0 is this process.
pub(crate) fn cgroup(pid: i32) -> Option<PathBuf> {
    read_cgroup(&fs::read(of(pid, "cgroup")).ok()?)
}

/// A line is `0::/user.slice/user-1000.slice`.
fn read_cgroup(cgroups: &[u8]) -> Option<PathBuf> {
    let path = cgroups.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

fn of(pid: i32, file: &str) -> String {
    if pid == 0 { format!("/proc/self/{file}") } else { format!("/proc/{pid}/{file}") }
}

/// The program that it runs, and whether another file, or none, is at that path by now.
pub(crate) fn program(pid: i32) -> Option<(PathBuf, bool)> {
    let link = memory_of(pid).join("exe");
    let told = fs::read_link(&link).ok()?;
    let bytes = told.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    let path = PathBuf::from(OsStr::from_bytes(bytes));
    // The link leads to the file that runs, wherever that is; the path to the one that is there.
    let running = fs::metadata(&link).map(|file| (file.dev(), file.ino())).ok()?;
    let there = fs::metadata(&path).map(|file| (file.dev(), file.ino())).ok();
    Some((path, there != Some(running)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    #[test]
    fn a_name_with_parentheses() {
        let stat = "42 (a) R (b) S 7 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 9";
        let name = "a) R (b".to_owned();
        let process = Process { pid: 42, parent: 7, name, state: 'S', threads: 1, start_time: 123_456 };
        assert_eq!(read_stat(42, stat), Some(process));
        let is_alive = |state: char, threads: u32| {
            let line = stat.replacen(") S ", &format!(") {state} "), 1);
            read_stat(42, &line.replacen(" 1 0 123456", &format!(" {threads} 0 123456"), 1))
                .unwrap()
                .is_alive()
        };
        assert!(is_alive('S', 1) && is_alive('Z', 2), "its main thread has ended, another one goes on");
        assert!(!is_alive('Z', 1) && !is_alive('X', 2));
        assert_eq!(read_stat(42, "42"), None);
    }

    #[test]
    fn limits_are_numbers_or_none() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 524288               files     \n\
                    Max file locks            unlimited            unlimited            locks     \n";
        assert_eq!(read_limit(text, "Max open files"), Some((Some(1024), Some(524_288))));
        assert_eq!(read_limit(text, "Max file locks"), Some((None, None)));
        assert_eq!(read_limit(text, "Max processes"), None);
    }

    #[test]
    fn the_nice_value_is_behind_a_name_that_may_hold_anything() {
        let stat = "7 (a) b 1) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 15 1 0 500 1 1";
        assert_eq!(read_nice(stat), Some(15));
        assert_eq!((read_nice("7 (a"), status(0, "NoSuchField")), (None, None));
        assert_eq!(status(0, "Tgid"), Some(u64::from(std::process::id())));
    }

    #[test]
    fn the_control_group_of_version_2() {
        assert_eq!(read_cgroup(b"8:pids:/a\n0::/user.slice\n"), Some(PathBuf::from("/user.slice")));
        assert_eq!(read_cgroup(b"8:pids:/a\n"), None);
        let bytes = read_cgroup(b"0::/\xc3\n").unwrap();
        assert_eq!(bytes.as_os_str().as_bytes(), b"/\xc3");
    }

    #[test]
    fn this_process() {
        let me = i32::try_from(std::process::id()).unwrap();
        let args: Vec<String> = std::env::args().collect();
        assert_eq!((arguments(me), command(me)), (args.clone(), args.join(" ")));
        let found = living(me).unwrap();
        assert!(own().contains(&found) && found.parent == std::os::unix::process::parent_id() as i32);
        assert_eq!((living(i32::MAX), arguments(i32::MAX), variable(i32::MAX, "PATH")), (None, vec![], None));
        assert_eq!((variable(me, "PATH"), variable(me, "PAT")), (std::env::var("PATH").ok(), None));
        let (path, replaced) = program(me).unwrap();
        assert_eq!((path, replaced), (std::env::current_exe().unwrap(), false));
    }

    /// The kernel keeps 15 bytes of a program's name, here the first half of the last character.
    #[test]
    fn a_name_that_is_no_text_is_of_a_living_process() {
        let dir = std::env::temp_dir().join(format!("gob-process-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let program = dir.join("fourteen-bytesü");
        std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
        let mut command = Command::new(&program);
        command.arg0("sh").args(["-c", "echo; read end"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It has its name only after the caller of vfork goes on.
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let raw = fs::read(format!("/proc/{pid}/comm")).unwrap();
        let found = living(pid);
        let listed = own();
        drop(child.stdin.take());
        child.wait().unwrap();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(raw, b"fourteen-bytes\xc3\n");
        let found = found.unwrap();
        assert_eq!(found.name, "fourteen-bytes\u{fffd}");
        assert!(listed.iter().any(|process| process.pid == pid && process.start_time == found.start_time));
    }
}
