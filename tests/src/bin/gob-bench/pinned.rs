//! Both sides of a round trip on one processor. Where they are is the scheduler's choice otherwise, and on a machine of two
//! processors that choice costs more (8 or 60 µs) than all of the work.

use std::mem::size_of;

/// Runs `what` with this thread and all threads of these processes on the first processor that this thread may use.
pub fn pinned<T>(pids: &[i32], what: impl FnOnce() -> T) -> T {
    let all: Vec<i32> = [0].into_iter().chain(pids.iter().flat_map(|pid| threads(*pid))).collect();
    let before: Vec<_> = all.iter().map(|pid| affinity(*pid)).collect();
    if let Some(Some(mine)) = before.first() {
        let one = only_first(mine);
        all.iter().for_each(|pid| pin(*pid, &one));
    }
    let result = what();
    for (pid, set) in all.iter().zip(&before) {
        if let Some(set) = set {
            pin(*pid, set);
        }
    }
    result
}

fn threads(pid: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn affinity(pid: i32) -> Option<libc::cpu_set_t> {
    // SAFETY: a set of processors is plain bits, and all of them off is one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the given number of bytes to memory that is ours.
    let done = unsafe { libc::sched_getaffinity(pid, size_of::<libc::cpu_set_t>(), &raw mut set) };
    (done == 0).then_some(set)
}

fn pin(pid: i32, set: &libc::cpu_set_t) {
    // SAFETY: the kernel reads the given number of bytes of a set that is borrowed.
    let done = unsafe { libc::sched_setaffinity(pid, size_of::<libc::cpu_set_t>(), set) };
    assert_eq!(done, 0, "sched_setaffinity: {}", std::io::Error::last_os_error());
}

fn only_first(set: &libc::cpu_set_t) -> libc::cpu_set_t {
    let most = libc::CPU_SETSIZE as usize;
    // SAFETY: every number is below the size of a set; a set is plain bits.
    unsafe {
        let mut one: libc::cpu_set_t = std::mem::zeroed();
        let first = (0..most).find(|cpu| libc::CPU_ISSET(*cpu, set)).unwrap_or(0);
        libc::CPU_SET(first, &mut one);
        one
    }
}
