//! Starts of real processes: the attributes of a child, and the errors of failed starts.

use super::*;
use crate::alone::alone;
use std::os::fd::AsFd;

fn strings(texts: &[&str]) -> Vec<CString> {
    texts.iter().map(|text| CString::new(*text).unwrap()).collect()
}

fn run(program: &str, argv: &[&str]) -> Result<(i32, String), SpawnError> {
    run_with(program, argv, [None; 2], &[])
}

fn run_with(
    program: &str,
    argv: &[&str],
    [lock, second_lock]: [Option<BorrowedFd<'_>>; 2],
    limits: &[Limit],
) -> Result<(i32, String), SpawnError> {
    let ways = [false, true].map(|shares| run_one_way(program, argv, [lock, second_lock], limits, shares));
    let [own_table, shared_table] = ways;
    assert_eq!(own_table.as_ref().ok(), shared_table.as_ref().ok(), "both ways are the same");
    shared_table
}

/// Runs a program whose process has a copy of our table of descriptors, or shares it at first.
fn run_one_way(
    program: &str,
    argv: &[&str],
    [lock, second_lock]: [Option<BorrowedFd<'_>>; 2],
    limits: &[Limit],
    shares: bool,
) -> Result<(i32, String), SpawnError> {
    let null = std::fs::File::open("/dev/null").unwrap();
    let (read, write) = super::super::fds::pipe().unwrap();
    let cwd = std::fs::File::open("/").unwrap();
    let spec = Spec {
        program: &CString::new(program).unwrap(),
        argv: &strings(argv),
        envp: &strings(&["A=1"]),
        cwd: cwd.as_fd(),
        stdin: null.as_fd(),
        stdout: write.as_fd(),
        stderr: write.as_fd(),
        umask: 0o077,
        nice: None,
        open_files: libc::rlimit { rlim_cur: 256, rlim_max: 256 },
        tag: Tag(77 << 22),
        limits,
        cgroup: None,
        lock,
        second_lock,
        close_first: true,
    };
    let lent = shares.then(|| slots::lend(&spec).expect("slots"));
    let started = start(&spec, lent)?;
    // A child that has ended and was not reaped still has its line in the table.
    let line = std::fs::read_to_string(format!("/proc/{}/stat", started.id.pid)).unwrap();
    let told = line[line.rfind(')').unwrap()..].split(' ').nth(20).unwrap().to_owned();
    assert_eq!(told, started.id.start_time.to_string());
    drop(write);
    let output = io::read_to_string(std::fs::File::from(read)).unwrap();
    let mut status = 0;
    // SAFETY: our own child; writes one integer.
    assert_eq!(unsafe { libc::waitpid(started.id.pid, &raw mut status, 0) }, started.id.pid);
    Ok((status, output))
}

#[test]
fn a_child_has_what_it_was_given_and_nothing_else() {
    let script = "umask; pwd; ulimit -n; echo $A; ls /proc/self/fd | wc -l; \
        grep -E '^Sig(Blk|Ign)' /proc/self/status; sed -n 's/^Max file locks *\\([0-9]*\\) .*/\\1/p' /proc/self/limits";
    let (status, output) = run("/bin/sh", &["sh", "-c", script]).unwrap();
    let lines: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(status, 0, "{output}");
    assert_eq!(lines[..4], ["0077", "/", "256", "1"]);
    // 0, 1, 2 and the directory that ls reads; the shell's pipeline replaces, it does not add.
    assert_eq!(lines[4], "4");
    assert_eq!(lines[5..9], ["SigBlk:", "0000000000000000", "SigIgn:", "0000000000000000"]);
    assert_eq!(lines[9], (77u64 << 22).to_string());
}

#[test]
fn a_lock_is_inherited_and_nothing_else() {
    let lock = std::fs::File::open("/dev/zero").unwrap();
    let one = [Some(lock.as_fd()), None];
    let (_, output) = run_with("/bin/ls", &["ls", "/proc/self/fd"], one, &[]).unwrap();
    assert_eq!(output.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3", "63"]);
    let (_, output) = run_with("/bin/sh", &["sh", "-c", "readlink /proc/self/fd/63"], one, &[]).unwrap();
    assert_eq!(output, "/dev/zero\n");
}

#[test]
fn two_locks_are_inherited_whatever_numbers_they_had() {
    if !alone("sys::spawn::tests::two_locks_are_inherited_whatever_numbers_they_had") {
        return;
    }
    // Every number up to these is taken, so that the locks must be moved to their numbers.
    let mut files: Vec<_> = (0..80).map(|_| std::fs::File::open("/dev/zero").unwrap()).collect();
    let of_number = |files: &mut Vec<std::fs::File>, number: RawFd, path: &str| {
        let at = files.iter().position(|file| file.as_raw_fd() == number).unwrap();
        files.remove(at);
        let file = std::fs::File::open(path).unwrap();
        assert_eq!(file.as_raw_fd(), number);
        file
    };
    for (first, second) in [(62, 63), (63, 62), (62, 40), (40, 63), (40, 41)] {
        let lock = of_number(&mut files, first, "/dev/full");
        let other = of_number(&mut files, second, "/dev/null");
        let both = [Some(lock.as_fd()), Some(other.as_fd())];
        let script = "readlink /proc/self/fd/63 /proc/self/fd/62; ls /proc/self/fd";
        let (_, output) = run_with("/bin/sh", &["sh", "-c", script], both, &[]).unwrap();
        let told: Vec<&str> = output.split_whitespace().collect();
        let right = ["/dev/full", "/dev/null", "0", "1", "2", "3", "62", "63"];
        assert_eq!(told, right, "{first} {second}");
        drop((lock, other));
        files.extend((0..2).map(|_| std::fs::File::open("/dev/zero").unwrap()));
    }
}

#[test]
fn what_a_child_was_given_stays_with_nobody_else() {
    if !alone("sys::spawn::tests::what_a_child_was_given_stays_with_nobody_else") {
        return;
    }
    let path = std::env::temp_dir().join(format!("gob-slots-{}", std::process::id()));
    let lock = std::fs::File::create(&path).unwrap();
    let count = || {
        let links = std::fs::read_dir("/proc/self/fd").unwrap();
        links
            .filter(|link| std::fs::read_link(link.as_ref().unwrap().path()).is_ok_and(|to| to == path))
            .count()
    };
    let both = [Some(lock.as_fd()); 2];
    assert_eq!(run_with("/bin/true", &["true"], both, &[]).unwrap().0, 0);
    assert_eq!(count(), 1);
    assert!(run_with("/nonexistent", &["none"], both, &[]).is_err());
    assert_eq!(count(), 1);
    std::fs::remove_file(path).unwrap();
}

/// Returns a program that ends at once, in no control group and without a lock.
fn harmless<'a>(argv: &'a [CString], null: &'a std::fs::File, cwd: &'a std::fs::File) -> Spec<'a> {
    Spec {
        program: c"/bin/true",
        argv,
        envp: &[],
        cwd: cwd.as_fd(),
        stdin: null.as_fd(),
        stdout: null.as_fd(),
        stderr: null.as_fd(),
        umask: 0o077,
        nice: None,
        open_files: libc::rlimit { rlim_cur: 256, rlim_max: 256 },
        tag: Tag(77 << 22),
        limits: &[],
        cgroup: None,
        lock: None,
        second_lock: None,
        close_first: false,
    }
}

#[test]
fn a_lock_that_a_child_is_not_to_have_is_free_as_soon_as_it_is_let_go() {
    if !alone("sys::spawn::tests::a_lock_that_a_child_is_not_to_have_is_free_as_soon_as_it_is_let_go") {
        return;
    }
    let (null, cwd) = (std::fs::File::open("/dev/null").unwrap(), std::fs::File::open("/").unwrap());
    let argv = strings(&["true"]);
    let path = std::env::temp_dir().join(format!("gob-spawn-{}", std::process::id()));
    let open = || std::fs::File::create(&path).unwrap();
    let mut busy = 0;
    for lock in [None, Some(null.as_fd())].into_iter().cycle().take(100) {
        let of_another_graph = open();
        of_another_graph.try_lock().unwrap();
        let spec = Spec { tag: Tag(79 << 22), lock, close_first: true, ..harmless(&argv, &null, &cwd) };
        let started = spawn(&spec).unwrap();
        drop(of_another_graph);
        busy += u32::from(open().try_lock().is_err());
        let mut status = 0;
        // SAFETY: our own child; writes one integer.
        assert_eq!(unsafe { libc::waitpid(started.id.pid, &raw mut status, 0) }, started.id.pid);
    }
    std::fs::remove_file(path).unwrap();
    assert_eq!(busy, 0, "a child that runs its program had the lock {busy} times of 100");
}

#[test]
fn a_place_that_is_no_control_group_is_done_without() {
    let (null, cwd) = (std::fs::File::open("/dev/null").unwrap(), std::fs::File::open("/").unwrap());
    let argv = strings(&["true"]);
    let spec = Spec { tag: Tag(78 << 22), cgroup: Some(null.as_fd()), ..harmless(&argv, &null, &cwd) };
    let started = spawn(&spec).unwrap();
    assert!(!started.in_cgroup);
    let mut status = 0;
    // SAFETY: our own child; writes one integer.
    assert_eq!(unsafe { libc::waitpid(started.id.pid, &raw mut status, 0) }, started.id.pid);
    assert_eq!(status, 0);
}

#[test]
fn limits_are_set_or_the_start_fails() {
    for name in gob_config::kind::RLIMITS {
        assert!(Limit::new(name, 7).is_some(), "{name}");
    }
    assert_eq!(Limit::new("locks", 7), None, "that one is the tag");
    let limits = [Limit::new("nofile", 50).unwrap(), Limit::new("core", 4096).unwrap()];
    let script = "ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc";
    let (_, output) = run_with("/bin/sh", &["sh", "-c", script], [None; 2], &limits).unwrap();
    assert_eq!(output.split_whitespace().collect::<Vec<_>>(), ["50", "50", "8", "8"]);
    // More than the kernel can do, so that not even root may.
    let limits = [Limit::new("nofile", 1 << 40).unwrap()];
    let error = run_with("/bin/true", &["true"], [None; 2], &limits).unwrap_err();
    assert_eq!(
        (error.step, error.source.raw_os_error()),
        (ForkStep::Limit("NOFILE").into(), Some(libc::EPERM))
    );
}

#[test]
fn a_missing_program_is_an_error_with_its_step() {
    let error = run("/nonexistent/program", &["x"]).unwrap_err();
    assert_eq!((error.step, error.source.raw_os_error()), (ChildStep::Exec, Some(libc::ENOENT)));
}
