//! Facts about processes, from `/proc` (proc(5)). Reads only; what can't be read is not known.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A living process of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// Its program's name, as the kernel has it.
    pub(super) name: String,
}

/// Every living process of this user; a zombie is dead.
pub(super) fn mine() -> Vec<Process> {
    let me = nix::unistd::geteuid().as_raw();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
        (entry.metadata().ok()?.uid() == me).then_some(pid)
    });
    pids.filter_map(|pid| {
        let (name, state, parent) = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        (!matches!(state, 'Z' | 'X')).then_some(Process { pid, parent, name })
    })
    .collect()
}

/// Its state as one letter; `None` when there is no such process.
pub(super) fn state(pid: i32) -> Option<char> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?).map(|(_, state, _)| state)
}

/// Its program's name, as the kernel has it.
pub(super) fn name(pid: i32) -> Option<String> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?).map(|(name, _, _)| name)
}

/// Whether there is such a process; a zombie is dead.
pub(super) fn is_alive(pid: i32) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Name, state and parent. The name is in parentheses and may hold anything, parentheses included.
fn parse_stat(stat: &str) -> Option<(String, char, i32)> {
    let (head, rest) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((name.to_owned(), state, fields.next()?.parse().ok()?))
}

/// Its arguments, as one line.
pub(super) fn command(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " ")
}

/// A variable that it was started with; `None` also when it may not be read.
pub(super) fn variable(pid: i32, name: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    bytes.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}

/// A limit: soft and hard, `None` for unlimited. `pid` 0 is this process.
pub(super) fn limit(pid: i32, name: &str) -> Option<(Option<u64>, Option<u64>)> {
    let of = if pid == 0 { "self".to_owned() } else { pid.to_string() };
    parse_limit(&fs::read_to_string(format!("/proc/{of}/limits")).ok()?, name)
}

/// A line is `Max open files            1024                 524288               files`.
fn parse_limit(limits: &str, name: &str) -> Option<(Option<u64>, Option<u64>)> {
    let rest = limits.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let mut values = rest.split_ascii_whitespace().map(|word| match word {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    });
    Some((values.next()??, values.next()??))
}

/// The program that it runs, and whether another file, or none, is at that path by now.
pub(super) fn program(pid: i32) -> Option<(PathBuf, bool)> {
    let link = PathBuf::from(format!("/proc/{pid}/exe"));
    let told = fs::read_link(&link).ok()?;
    let bytes = told.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    // The link leads to the file that runs, wherever that is; the path to the one that is there.
    let running = fs::metadata(&link).map(|file| (file.dev(), file.ino())).ok()?;
    let there = fs::metadata(&path).map(|file| (file.dev(), file.ino())).ok();
    Some((path, there != Some(running)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses() {
        let stat = "42 (a) R (b) S 7 42 42 0";
        assert_eq!(parse_stat(stat), Some(("a) R (b".to_owned(), 'S', 7)));
        assert_eq!(parse_stat("42"), None);
    }

    #[test]
    fn limits_are_numbers_or_none() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 524288               files     \n\
                    Max file locks            unlimited            unlimited            locks     \n";
        assert_eq!(parse_limit(text, "Max open files"), Some((Some(1024), Some(524_288))));
        assert_eq!(parse_limit(text, "Max file locks"), Some((None, None)));
        assert_eq!(parse_limit(text, "Max processes"), None);
    }

    #[test]
    fn knows_itself() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(mine().iter().any(|process| process.pid == me));
        assert!(is_alive(me) && !is_alive(i32::MAX));
        assert_eq!(variable(me, "PATH"), std::env::var("PATH").ok());
        let (path, replaced) = program(me).unwrap();
        assert_eq!((path, replaced), (std::env::current_exe().unwrap(), false));
    }
}
