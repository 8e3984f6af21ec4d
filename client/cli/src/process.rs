//! Processes as gobctl shows them (proc(5)). Reads only; a process that can't be read counts as dead.

use gob_host::process::{self as host, Stat, StatLine, memory_of};
use gob_host::siblings;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A living process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// Its program's name, as the kernel has it; invalid UTF-8 is replaced.
    pub(crate) name: String,
    /// The state letter.
    pub(crate) state: char,
    /// The start, in clock ticks since boot.
    pub(crate) start_time: u64,
}

/// Returns a process that lives.
pub(crate) fn living(pid: i32) -> Option<Process> {
    let line = StatLine::read(pid).ok()?;
    let text = line.text();
    let stat = Stat::parse(&text).filter(Stat::is_alive)?;
    let Stat { parent, state, start_time, .. } = stat;
    Some(Process { pid, parent, name: stat.name.to_owned(), state, start_time })
}

/// Returns every living process of this user, in the order of their pids.
pub(crate) fn own() -> Vec<Process> {
    let me = nix::unistd::geteuid().as_raw();
    all().into_iter().filter(|process| uid(process.pid) == Some(me)).collect()
}

/// Returns every living process that can be seen, in the order of their pids.
pub(crate) fn all() -> Vec<Process> {
    let mut pids: Vec<i32> = host::pids().into_iter().flatten().collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(living).collect()
}

/// Returns the user of a process.
pub(crate) fn uid(pid: i32) -> Option<u32> {
    Some(fs::metadata(format!("/proc/{pid}")).ok()?.uid())
}

/// Returns the children of a process's main thread, which adopted processes belong to.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Returns the arguments of a process; none when it is gone.
pub(crate) fn arguments(pid: i32) -> Vec<String> {
    host::arguments(pid).iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Returns the files that a process has open; none where they can't be read.
pub(crate) fn open_files(pid: i32) -> Vec<PathBuf> {
    let links = fs::read_dir(memory_of(pid).join("fd")).into_iter().flatten().flatten();
    links.filter_map(|link| fs::read_link(link.path()).ok()).collect()
}

/// Returns its arguments as one line.
pub(crate) fn command(pid: i32) -> String {
    arguments(pid).join(" ")
}

/// Returns a variable that a process was started with; `None` also when it may not be read.
pub(crate) fn variable(pid: i32, name: &str) -> Option<String> {
    host::variable(pid, name).map(|value| String::from_utf8_lossy(&value).into_owned())
}

/// Returns a limit: soft and hard, `None` for unlimited. `pid` 0 is this process.
pub(crate) fn limit(pid: i32, name: &str) -> Option<(Option<u64>, Option<u64>)> {
    read_limit(&fs::read_to_string(of(pid, "limits")).ok()?, name)
}

/// Returns its nice value. `pid` 0 is this process.
pub(crate) fn nice(pid: i32) -> Option<i32> {
    let pid = if pid == 0 { i32::try_from(std::process::id()).ok()? } else { pid };
    Some(Stat::parse(&StatLine::read(pid).ok()?.text())?.nice)
}

/// Returns a number of its status. `pid` 0 is this process.
pub(crate) fn status(pid: i32, field: &str) -> Option<u64> {
    let all = fs::read(of(pid, "status")).ok()?;
    let all = String::from_utf8_lossy(&all);
    let line = all.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().parse().ok()
}

/// Parses a line such as `Max open files            1024                 524288               files`.
fn read_limit(limits: &str, name: &str) -> Option<(Option<u64>, Option<u64>)> {
    let rest = limits.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let mut values = rest.split_ascii_whitespace().map(|word| match word {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    });
    Some((values.next()??, values.next()??))
}

/// Returns its control group in version 2 of the hierarchy (cgroups(7)), below the mount point. `pid` 0 is
/// this process.
pub(crate) fn cgroup(pid: i32) -> Option<PathBuf> {
    read_cgroup(&fs::read(of(pid, "cgroup")).ok()?)
}

/// Parses a line such as `0::/user.slice/user-1000.slice`.
fn read_cgroup(cgroups: &[u8]) -> Option<PathBuf> {
    let path = cgroups.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

fn of(pid: i32, file: &str) -> String {
    if pid == 0 { format!("/proc/self/{file}") } else { format!("/proc/{pid}/{file}") }
}

/// Returns the program that it runs, and whether another program, or none, is at that path by now.
pub(crate) fn program(pid: i32) -> Option<(PathBuf, bool)> {
    let link = memory_of(pid).join("exe");
    let told = fs::read_link(&link).ok()?;
    let bytes = told.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    let path = PathBuf::from(OsStr::from_bytes(bytes));
    // The link leads to the running file in any place, the path to the present file. A file that is gone is another one as well.
    fs::metadata(&link).ok()?;
    let is_other = siblings::differ(&link, &path).unwrap_or(true);
    Some((path, is_other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

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
    fn a_number_of_the_status() {
        assert_eq!(status(0, "NoSuchField"), None);
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
        assert!(
            own().iter().any(|one| one.pid == found.pid)
                && found.parent == std::os::unix::process::parent_id() as i32
        );
        assert_eq!((living(i32::MAX), arguments(i32::MAX), variable(i32::MAX, "PATH")), (None, vec![], None));
        assert_eq!((variable(me, "PATH"), variable(me, "PAT")), (std::env::var("PATH").ok(), None));
        let (path, replaced) = program(me).unwrap();
        assert_eq!((path, replaced), (std::env::current_exe().unwrap(), false));
    }

    /// The kernel keeps 15 bytes of a program's name, here the first half of the last character.
    #[test]
    fn a_process_with_a_name_that_is_no_text_is_living() {
        let dir = std::env::temp_dir().join(format!("gob-process-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let program = dir.join("fourteen-bytesü");
        std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
        let mut command = Command::new(&program);
        command.arg0("sh").args(["-c", "echo; read end"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // The child has its name only after the caller of vfork goes on.
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
