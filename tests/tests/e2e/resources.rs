//! Lack of descriptors, of file size, of processes: present workers and clients go on, and everything works
//! again afterwards.

use gob_tests::process;
use gob_tests::require::{Need, root, skip};
use gob_tests::script::{Flood, Step};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Ctl, Gob};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

type Resource = libc::__rlimit_resource_t;

/// Changes a soft limit of a process; returns the former one.
fn limit(pid: i32, resource: Resource, soft: u64) -> u64 {
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one limit; the null pointer sets nothing.
    let got = unsafe { libc::prlimit(pid, resource, std::ptr::null(), &raw mut before) };
    assert_eq!(got, 0, "{}", std::io::Error::last_os_error());
    let new = libc::rlimit { rlim_cur: soft.min(before.rlim_max), rlim_max: before.rlim_max };
    // SAFETY: reads one limit.
    let set = unsafe { libc::prlimit(pid, resource, &raw const new, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    before.rlim_cur
}

/// As `limit`, for a process of the stranger, on whose limits root alone has no say everywhere.
fn limit_of_stranger(pid: i32, resource: Resource, soft: u64) -> u64 {
    let thread = std::thread::spawn(move || {
        // SAFETY: the system calls themselves, unlike their wrappers, change only this thread, which ends right after.
        let changed = unsafe {
            libc::syscall(libc::SYS_setresgid, STRANGER, STRANGER, STRANGER)
                + libc::syscall(libc::SYS_setresuid, STRANGER, STRANGER, STRANGER)
        };
        assert_eq!(changed, 0);
        limit(pid, resource, soft)
    });
    thread.join().unwrap()
}

fn watches(pid: i32) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut files = files.filter_map(|file| fs::read_link(file.path()).ok());
    files.any(|file| file.to_string_lossy().contains("inotify"))
}

fn open_files(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Returns the limit under which a process can open so many more files, whatever the numbers of those that it has open.
fn limit_for(pid: i32, more: usize) -> u64 {
    let open: Vec<u64> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|file| file.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    (0..).filter(|number| !open.contains(number)).nth(more).unwrap()
}

/// Returns the processor time of a process, all threads, in clock ticks.
fn ticks(pid: i32) -> u64 {
    [14, 15].iter().map(|field| process::stat_field(pid, *field).unwrap().parse::<u64>().unwrap()).sum()
}

/// Opens connections until one is turned away, and returns what it is told. One that finds a free descriptor is served, and
/// hears nothing.
fn turned_away(gob: &Gob, crowd: &mut Vec<Conn>) -> Value {
    let mut told = None;
    let is_told = wait::until(DEADLINE, || {
        let mut client = Conn::open(&gob.socket());
        told = client.frame_within(DEADLINE / 30);
        crowd.push(client);
        told.is_some()
    });
    assert!(is_told, "none of {} is turned away: {}", crowd.len(), gob.logs());
    told.expect("what it was told")
}

#[test]
fn the_last_descriptor_is_no_clients() {
    let gob = Gob::new();
    let mut old = gob.connect_as("cli");
    old.ok("start", json!({"graph": "g"}));
    let pid = gob.gobd_pid();
    assert!(wait::until(DEADLINE, || watches(pid)), "no watch");
    // A client comes where nothing can be opened: the descriptor that is kept for this is closed, and not to be had again.
    let with_reserve = open_files(pid);
    let was = limit(pid, libc::RLIMIT_NOFILE, 3);
    let first = Conn::open(&gob.socket());
    assert!(wait::until(DEADLINE, || open_files(pid) < with_reserve), "{}", open_files(pid));
    limit(pid, libc::RLIMIT_NOFILE, limit_for(pid, 6));
    let mut crowd = vec![first];
    crowd.extend((0..20).map(|_| Conn::open(&gob.socket())));
    let busy = turned_away(&gob, &mut crowd);
    assert_eq!(busy["error"]["details"], json!({"limit": "connections"}), "{busy}");
    old.ok("ping", json!({}));
    drop(crowd);
    limit(pid, libc::RLIMIT_NOFILE, was);
    Conn::open(&gob.socket()).hello("cli").ok("ping", json!({}));
}

#[test]
fn without_descriptors_it_neither_spins_nor_forgets_open_connections() {
    let gob = Gob::new();
    let mut old = gob.connect_as("cli");
    old.ok("start", json!({"graph": "g"}));
    let pid = gob.gobd_pid();
    // Descriptors of first use are open before anything is counted: the watch of its own files, and those of
    // a sweep.
    old.ok("restart", json!({"name": "g"}));
    assert!(wait::until(DEADLINE, || watches(pid)), "no watch");
    let before = open_files(pid);
    // Five more, and none above that number is open.
    let was = limit(pid, libc::RLIMIT_NOFILE, before as u64 + 5);
    let mut crowd: Vec<Conn> = (0..100).map(|_| Conn::open(&gob.socket())).collect();
    assert!(wait::until(DEADLINE, || open_files(pid) >= before + 4), "{} of {before}", open_files(pid));
    let (begun, used) = (Instant::now(), ticks(pid));
    let busy = turned_away(&gob, &mut crowd);
    assert_eq!(busy["error"]["code"], "busy", "{busy}");
    assert_eq!(busy["error"]["details"], json!({"limit": "connections"}));
    while begun.elapsed() < Duration::from_secs(2) {
        let asked = Instant::now();
        old.ok("ping", json!({}));
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let (used, ticks_per_second) = (ticks(pid) - used, 100);
    let allowed = begun.elapsed().as_secs() * ticks_per_second / 10;
    eprintln!("out of descriptors: {used} ticks of 10 ms in {:?}", begun.elapsed());
    assert!(used <= allowed, "{used} ticks in {:?}: it spins", begun.elapsed());

    // A start needs descriptors too, and is refused.
    let error = old.err("start", json!({"graph": "h"}), "busy");
    assert_eq!(error["details"], json!({"limit": "open files"}), "{error}");
    drop(crowd);
    assert!(wait::until(DEADLINE, || open_files(pid) <= before + 1), "{}", open_files(pid));
    let mut new = Conn::open(&gob.socket()).hello("cli");
    limit(pid, libc::RLIMIT_NOFILE, was);
    assert_eq!(new.ok("start", json!({"graph": "h"}))["worker"]["state"], "ready");
    assert_eq!(gob.ctl(["list", "--json"]).json()["workers"].as_array().unwrap().len(), 2);
}

/// Starts the supervisor from a client that may have so many files, and no more.
fn begin_with_few_files(gob: &Gob, files: u64) {
    let mut first = gob.ctl(["ping"]);
    // SAFETY: setrlimit may be called between fork and exec.
    unsafe {
        first.command().pre_exec(move || {
            let low = libc::rlimit { rlim_cur: files, rlim_max: files };
            assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const low), 0);
            Ok(())
        });
    }
    first.ok();
}

#[test]
fn workers_that_would_take_the_last_descriptors_are_refused_and_requests_are_served() {
    let gob = Gob::new();
    begin_with_few_files(&gob, 256);
    let mut conn = gob.connect_as("cli");
    let starts = (0..40).map(|n| conn.ask("start", json!({"graph": format!("g{n}"), "wait": "spawned"})));
    let (started, refused): (Vec<_>, Vec<_>) =
        starts.collect::<Vec<_>>().into_iter().partition(|a| a["success"] == true);
    assert!((5..40).contains(&started.len()), "{} started", started.len());
    for refused in &refused {
        assert_eq!(refused["error"]["code"], "busy", "{refused}");
        assert_eq!(refused["error"]["details"], json!({"limit": "open files"}));
    }
    // There is always room for some clients that list, stop, and start their workers again.
    let _looking: Vec<Conn> = (0..20).map(|_| Conn::open(&gob.socket()).hello("cli")).collect();
    assert_eq!(gob.ctl(["list", "--json"]).json()["workers"].as_array().unwrap().len(), 40);
    gob.ctl(["stop", "g0", "g1"]).ok();
    gob.ctl(["start", "g0"]).ok();
    conn.ok("shutdown", json!({}));
}

#[test]
fn a_low_limit_from_the_beginning_leaves_room_for_workers() {
    let gob = Gob::new();
    begin_with_few_files(&gob, 256);
    let mut old = gob.connect_as("cli");
    let mut crowd: Vec<Conn> = (0..200).map(|_| Conn::open(&gob.socket())).collect();
    let busy = crowd.last_mut().unwrap().frame_within(DEADLINE).expect("an answer");
    assert_eq!(busy["error"]["code"], "busy", "{busy}");
    for graph in ["a", "b", "c"] {
        assert_eq!(old.ok("start", json!({"graph": graph}))["worker"]["state"], "ready");
    }
    drop(crowd);
    let served = || Conn::open(&gob.socket()).frame_within(Duration::from_millis(20)).is_none();
    assert!(wait::until(DEADLINE, served), "nobody is turned away any more");
    gob.ctl(["stop", "a"]).ok();
}

#[test]
fn the_table_of_descriptors_has_room_before_threads_share_it() {
    let gob = Gob::new();
    let status = fs::read_to_string(format!("/proc/{}/status", gob.gobd_pid())).unwrap();
    let room = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap().trim().parse::<u64>();
    assert!(room.unwrap() >= 1_024, "growing it later delays everything by some 10 ms: {status}");
}

#[test]
fn a_file_that_may_not_grow_costs_output_and_nothing_else() {
    const LIMIT: u64 = 64 * 1024;
    let gob = Gob::new();
    let flood = Flood { bytes: 1 << 20, line: 100, stderr: false };
    gob.script("g", &[Step::Listen, Step::Handshake, Step::Flood(flood)]);
    let mut conn = gob.connect_as("cli");
    let pid = gob.gobd_pid();
    let was = limit(pid, libc::RLIMIT_FSIZE, LIMIT);
    conn.ok("start", json!({"graph": "g"}));
    let dropped = |conn: &mut Conn| conn.ok("status", json!({}))["log_bytes_dropped"].as_u64().unwrap();
    assert!(wait::until(DEADLINE, || dropped(&mut conn) >= (1 << 20) - LIMIT), "{}", dropped(&mut conn));
    let size = || fs::metadata(gob.log("g", 1, "stdout")).unwrap().len();
    assert!(size() <= LIMIT, "{}", size());
    assert_eq!(gob.gobd_pid(), pid, "it lives");
    let other = conn.ok("start", json!({"graph": "other"}));
    assert_eq!(other["worker"]["state"], "ready");

    limit(pid, libc::RLIMIT_FSIZE, was);
    let lost = dropped(&mut conn);
    conn.ok("restart", json!({"name": "g"}));
    let whole = || fs::metadata(gob.log("g", 2, "stdout")).is_ok_and(|log| log.len() > 1 << 20);
    assert!(wait::until(DEADLINE, whole), "{}", gob.logs());
    assert_eq!((gob.gobd_pid(), dropped(&mut conn)), (pid, lost));
}

/// A user without any process, so that a limit of processes counts no other.
const STRANGER: u32 = 61_413;

/// Gives everything below to that user, except the programs, which are links.
fn give_away(gob: &Gob) {
    for part in ["", "home", "data", "state"] {
        chown(gob.dir().join(part), Some(STRANGER), Some(STRANGER)).unwrap();
    }
}

#[test]
fn without_processes_a_start_fails_with_the_reason_and_works_later() {
    if !root("only root can be a user with no other processes") {
        return;
    }
    let gob = Gob::new();
    give_away(&gob);
    let ctl = |args: &[&'static str]| {
        let mut ctl: Ctl = gob.ctl(args.iter().copied());
        ctl.command().uid(STRANGER).gid(STRANGER);
        ctl
    };
    if ctl(&["ping"]).run().code != 0 {
        let told = ctl(&["ping"]).run();
        return skip(Need::OtherUser, &format!("the programs can't be run by another user: {told}"));
    }
    let worker = ctl(&["start", "g", "--json"]).json();
    let pid = ctl(&["status", "--json"]).json()["pid"].as_i64().unwrap() as i32;
    let was = limit_of_stranger(pid, libc::RLIMIT_NPROC, 1);
    for _ in 0..3 {
        let failed = ctl(&["start", "h", "--json"]).fails(8);
        let error: Value = serde_json::from_str(failed.stderr.lines().last().unwrap()).unwrap();
        assert_eq!(error["error"]["code"], "server-start-failed", "{error}");
        assert_eq!(error["error"]["details"]["errno"], "EAGAIN", "{error}");
        assert!(error["error"]["hint"].as_str().is_some_and(|hint| hint.contains("ulimit -u")), "{error}");
    }
    // The writes a second after each change, and the healing, must do without a thread of their own.
    let last = || fs::read_to_string(gob.state_dir().join("last.json")).unwrap_or_default();
    assert!(wait::until(DEADLINE, || last().contains("\"h\"")), "{}", gob.logs());
    fs::remove_file(gob.socket()).unwrap();
    assert!(wait::until(DEADLINE, || gob.socket().exists()), "{}", gob.logs());
    let status = ctl(&["status", "--json"]).json();
    assert_eq!((status["pid"].as_i64(), &status["healed"]), (Some(i64::from(pid)), &json!(1)), "{status}");
    assert!(status["spawn_failures"].as_u64().unwrap() >= 3, "{status}");

    limit_of_stranger(pid, libc::RLIMIT_NPROC, was);
    let started = ctl(&["start", "h", "--json"]).json();
    assert_eq!(started["worker"]["state"], "ready", "{started}");
    // The restart policy, which goes on after a start that failed, may have come first.
    assert!(started["outcome"] == "started" || started["outcome"] == "reused", "{started}");
    let same = ctl(&["get", "g", "--json"]).json();
    assert_eq!(same["worker"]["pid"], worker["worker"]["pid"], "nobody else was touched");
}

/// `GOB_TEST_CONNECTS=50000` for the whole number.
#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    let count = std::env::var("GOB_TEST_CONNECTS").ok().and_then(|n| n.parse().ok()).unwrap_or(5_000);
    let gob = Gob::new();
    let mut old = gob.connect_as("cli");
    let pid = gob.gobd_pid();
    let come_and_go = |times: usize| {
        for n in 0..times {
            let stream = UnixStream::connect(gob.socket()).unwrap();
            match n % 3 {
                0 => drop(stream),
                1 => drop(Conn::over(stream).try_send(b"{\"id\":1,\"type\":\"pi")),
                _ => drop(Conn::over(stream).ok("ping", json!({}))),
            }
        }
    };
    let mut settled = || wait::until(DEADLINE, || old.ok("status", json!({}))["connections"] == 1);
    // Buffers grow to their usual size first. Memory of its own alone counts: its program is shared with the supervisors of other
    // tests, and each that ends leaves it a larger part.
    come_and_go(count / 10);
    assert!(settled());
    let (files, memory) = (open_files(pid), process::smaps_bytes(pid, "Pss_Anon").unwrap());
    come_and_go(count);
    assert!(settled());
    // The watch of its own files is opened a moment after the start.
    assert!(wait::until(DEADLINE, || open_files(pid) <= files + 1), "{files} → {}", open_files(pid));
    let (files_now, memory_now) = (open_files(pid), process::smaps_bytes(pid, "Pss_Anon").unwrap());
    eprintln!("{count} connections: {files} → {files_now} descriptors, {memory} → {memory_now} bytes");
    assert!(memory_now < memory + (1 << 20), "{memory} → {memory_now} bytes");
}

#[test]
fn idle_connections_leave_room_for_those_who_ask_at_once() {
    let gob = Gob::new();
    begin_with_few_files(&gob, 64);
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    // As many as it takes, of which the last are not served.
    let mut crowd: Vec<Conn> = (0..60).map(|_| Conn::open(&gob.socket())).collect();
    let asks = |words: &[&str]| {
        wait::until(DEADLINE, || gob.ctl(words.iter().copied()).command().status().is_ok_and(|s| s.success()))
    };
    assert!(asks(&["list"]), "the list");
    // Those that were there before them stay.
    crowd.first_mut().unwrap().ok("ping", json!({}));
    // One who holds something keeps the place for as long as it does.
    let mut holder = None;
    assert!(wait::until(DEADLINE, || {
        let mut conn = Conn::open(&gob.socket());
        // A connection that is turned away may be closed by now.
        let asked = conn.try_send(b"{\"id\":1,\"type\":\"lease\",\"payload\":{\"name\":\"g\"}}\n");
        let granted = asked.is_ok()
            && conn.frame_within(Duration::from_secs(1)).is_some_and(|answer| answer["success"] == true);
        holder = granted.then_some(conn);
        granted
    }));
    wait::while_time_passes(Duration::from_secs(4));
    holder.unwrap().ok("ping", json!({}));
    assert!(asks(&["stop", "g"]), "the stop");
    assert!(asks(&["daemon", "stop"]), "the end");
}
