//! What the kernel tells of a process (proc(5)). Looks only.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

/// So much of a process's arguments and environment is read.
const MAX_BYTES: u64 = 256 * 1024;

/// When a process was started; `None` when there is none, or it is a zombie.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name is in parentheses and may hold anything, parentheses included.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X" | "x");
    fields.nth(18)?.parse().ok().filter(|_| !dead)
}

/// The arguments of a process; none when it is gone.
pub(crate) fn arguments(pid: i32) -> Vec<String> {
    words(pid, "cmdline").iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Whether a variable is set in the environment in which a process was started.
pub(crate) fn has_variable(pid: i32, name: &str) -> bool {
    let start = format!("{name}=");
    words(pid, "environ")
        .iter()
        .any(|word| word.strip_prefix(start.as_bytes()).is_some_and(|v| !v.is_empty()))
}

/// The processes of this user.
pub(crate) fn own() -> Vec<i32> {
    let me = nix::unistd::geteuid().as_raw();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = entries.filter(|entry| entry.metadata().is_ok_and(|meta| meta.uid() == me));
    let mut pids: Vec<i32> = own.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

fn words(pid: i32, file: &str) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(format!("/proc/{pid}/{file}"))
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    let text = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if read.is_err() || text.is_empty() {
        return Vec::new();
    }
    text.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process() {
        let me = std::process::id().try_into().unwrap();
        let args: Vec<String> = std::env::args().collect();
        assert_eq!(arguments(me), args);
        assert!(start_time(me).is_some() && own().contains(&me));
        assert!(has_variable(me, "PATH") && !has_variable(me, "PAT"));
        assert_eq!((start_time(i32::MAX), arguments(i32::MAX)), (None, vec![]));
    }
}
