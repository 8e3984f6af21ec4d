//! The supervisor and its keeper are killed together: the next command finds what they left and ends it, and nobody else
//! (FEATURES A8, F2); and the lock of a graph outlives them all.

use crate::recovery::trees;
use gob_tests::process::{self, Handle};
use gob_tests::script::{Child, Facts, Step, every_escape};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::ffi::CString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long what is left may live once the next command has been given.
const SOON: Duration = Duration::from_secs(3);

/// A descendant that outlives its supervisor when nobody looks for it.
fn away() -> Child {
    Child { detach: true, ignore_term: true, close_fds: true, ..Default::default() }
}

/// Kills the supervisor and its keeper so that neither can do anything about it, and waits until they are gone.
fn kill_both(gob: &Gob) {
    let status = gob.status();
    let handle = |key: &str| Handle::open(status[key].as_i64().unwrap() as i32).unwrap();
    let (gobd, keeper) = (handle("pid"), handle("keeper_pid"));
    let workers = gob.connect().ok("list", json!({}))["workers"].take();
    let leaders = workers.as_array().unwrap().iter().filter_map(|worker| worker["pid"].as_i64());
    let leaders: Vec<Handle> = leaders.filter_map(|pid| Handle::open(pid as i32)).collect();
    gobd.signal(Signal::SIGSTOP);
    keeper.signal(Signal::SIGKILL);
    gobd.signal(Signal::SIGKILL);
    assert!(gobd.wait_gone(DEADLINE) && keeper.wait_gone(DEADLINE));
    // The kernel kills them with their supervisor; who counts what is left must not meet them.
    assert!(leaders.iter().all(|leader| leader.wait_gone(DEADLINE)));
}

fn alive(pids: &[i32]) -> usize {
    pids.iter().filter(|pid| process::is_alive(**pid)).count()
}

/// Gives the next command, after which none of these may be alive for long; answers how many were ended by it.
fn recover(gob: &Gob, pids: &[i32]) -> u64 {
    gob.ctl(["ping"]).ok();
    let left = process::survivors(pids, SOON);
    assert!(left.is_empty(), "{:#?}", left.iter().map(|pid| process::describe(*pid)).collect::<Vec<_>>());
    gob.status()["orphans_recovered"].as_u64().unwrap()
}

/// A process with the arguments of a graph's worker that gob did not start.
fn decoy(gob: &Gob, graph: &str, env: &[(&str, &str)]) -> std::process::Child {
    let Facts { args, .. } = gob.facts(graph, 1);
    gob.script_of_run(graph, 999, &[Step::Listen, Step::Hang]);
    let socket = gob.dir().join("decoy.sock");
    let mut command = Command::new(gob_tests::gob::built_binaries().join("gob-fixture"));
    command.arg0(&args[0]).env_clear().env("GOB_RUN", "999").envs(env.iter().copied());
    // All of them but the socket, which the worker would lose to it.
    let own: Vec<String> = args[1..]
        .iter()
        .map(|arg| if arg.ends_with(".sock") { socket.display().to_string() } else { arg.clone() })
        .collect();
    command.args(own).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn both_killed_and_the_next_command_ends_all_and_nobody_else() {
    let gob = Gob::new();
    let pids = trees(&gob, 3);
    let socket = gob.socket().display().to_string();
    let mut decoys = [
        decoy(&gob, "tree 0", &[]),
        decoy(
            &gob,
            "tree 1",
            &[("GOB_NAME", "tree 1"), ("GOB_SOCKET", &socket), ("GOB_INSTANCE", "not ours")],
        ),
    ];
    kill_both(&gob);
    // The leaders die with their supervisor, and one child of each too; five of each are in sessions of their own.
    let leaders =
        |pid: &&i32| process::stat_field(**pid, 6).is_some_and(|session| session == pid.to_string());
    assert!(pids.iter().filter(leaders).count() > 0);
    let before = alive(&pids);
    assert!(before >= 12, "only {before} have outlived both");
    let recovered = recover(&gob, &pids);
    assert!((12..=before as u64).contains(&recovered), "{recovered} of {before}");
    for decoy in &mut decoys {
        assert!(decoy.try_wait().unwrap().is_none(), "a bystander was ended");
        decoy.kill().unwrap();
        decoy.wait().unwrap();
    }
    // The next life has nothing to find, whether it ended in order or not.
    kill_both(&gob);
    assert_eq!(recover(&gob, &[]), 0);
    gob.ctl(["shutdown"]).ok();
    assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
    assert_eq!(fs::read(gob.state_dir().join("journal")).unwrap(), b"");
    assert_eq!(recover(&gob, &[]), 0);
}

/// Small numbers here; GOB_TREES=50 GOB_ROUNDS=50 is the proof, and `--nocapture` shows the figures.
#[test]
fn trees_are_gone_whoever_is_killed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let (count, rounds) = (number("GOB_TREES").unwrap_or(4), number("GOB_ROUNDS").unwrap_or(2));
    let gob = Gob::new();
    let mut slowest = [Duration::ZERO; 2];
    let mut ended = 0;
    for _ in 0..rounds {
        let pids = trees(&gob, count);
        let instance = gob.status()["instance"].as_str().unwrap().to_owned();
        let begun = Instant::now();
        Handle::open(gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
        assert_eq!(process::survivors(&pids, SOON), Vec::<i32>::new());
        slowest[0] = slowest[0].max(begun.elapsed());
        gob.wait_other_instance(&instance);

        let pids = trees(&gob, count);
        kill_both(&gob);
        assert!(alive(&pids) > 0);
        let begun = Instant::now();
        assert!(recover(&gob, &pids) >= count as u64);
        slowest[1] = slowest[1].max(begun.elapsed());
        ended += 2 * pids.len();
    }
    eprintln!(
        "{rounds} rounds of {count} trees, {ended} processes; slowest, gobd killed and both: {slowest:?}"
    );
}

#[test]
fn without_its_journal_or_with_garbage_in_its_place() {
    type Spoil = fn(&Path);
    let spoils: [Spoil; 5] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, b"\xff\x00 garbage\n{\"name\":7}\n{").unwrap(),
        |path| {
            let text = fs::read(path).unwrap();
            fs::write(path, &text[..text.len() / 3]).unwrap();
        },
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        |path| {
            fs::write(path, fs::read_to_string(path).unwrap().replace("boot_id\":\"", "boot_id\":\"x"))
                .unwrap()
        },
    ];
    let gob = Gob::new();
    for spoil in spoils {
        let pids = trees(&gob, 1);
        leave_groups(&pids);
        kill_both(&gob);
        assert!(alive(&pids) >= 4, "only {} have outlived both", alive(&pids));
        let journal = gob.state_dir().join("journal");
        if journal.is_file() {
            spoil(&journal);
        }
        assert!(recover(&gob, &pids) >= 4);
    }
}

#[test]
fn what_has_lost_its_tag_is_known_by_its_marker() {
    let gob = Gob::new();
    let child = Child { reset_limits: true, ..away() };
    gob.script("g", &[Step::Child(child), Step::Listen, Step::Handshake]);
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let pid = gob.children("g", 1)[0];
    leave_groups(&[pid]);
    kill_both(&gob);
    assert!(process::is_alive(pid));
    assert_eq!(recover(&gob, &[pid]), 1);
}

/// Every control group that a gob has made, of this world or another.
fn groups() -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new("/sys/fs/cgroup").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with("gob-"));
                if is_ours { found.push(entry.path()) } else { folders.push(entry.path()) }
            }
        }
    }
    found
}

/// The control group of a process, where gob has made it one.
fn group_of(pid: i32) -> Option<std::path::PathBuf> {
    groups().into_iter().find(|group| {
        fs::read_to_string(group.join("cgroup.procs"))
            .is_ok_and(|pids| pids.lines().any(|line| line == pid.to_string()))
    })
}

/// Takes processes out of their control groups, so that these tell nothing of them.
fn leave_groups(pids: &[i32]) {
    for pid in pids {
        if let Some(group) = group_of(*pid) {
            fs::write(group.parent().unwrap().join("cgroup.procs"), pid.to_string()).unwrap();
        }
    }
}

/// A control group whose inside is left to whoever is in it, as systemd makes one for `Delegate=yes`.
struct Delegated(std::path::PathBuf);

impl Delegated {
    fn make(name: &str) -> Option<Self> {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.procs").exists())?;
        let group = Self(root.join(name));
        fs::create_dir(&group.0).ok()?;
        let path = CString::new(group.0.as_os_str().as_bytes()).unwrap();
        // SAFETY: both names end with a NUL, and one byte is read of the value.
        let set =
            unsafe { libc::setxattr(path.as_ptr(), c"user.delegate".as_ptr(), c"1".as_ptr().cast(), 1, 0) };
        (set == 0).then_some(group)
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
fn each_run_has_a_control_group_and_leaves_none_behind() {
    let Some(delegated) = Delegated::make(&format!("test-{}", std::process::id())) else {
        eprintln!("SKIPPED: nobody may make control groups here");
        return;
    };
    let gob = Gob::new();
    // What has lost its tag and has gone to a session of its own is still in its group.
    let child = Child { reset_limits: true, env_clear: true, ..away() };
    gob.script("g", &[Step::Child(child), Step::Listen, Step::Handshake]);
    let script = format!("echo 0 > {}/cgroup.procs && exec gobctl ping", delegated.0.display());
    let output = Ctl::new("/bin/sh".as_ref(), gob.env()).args(["-c", &script]).run();
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(gob.status()["cgroup"], true);
    let mut conn = gob.connect_as("cli");
    for run in 1..=20 {
        let worker = conn.ok("start", json!({"graph": "g"}))["worker"].clone();
        let pid = gob.children("g", run)[0];
        let group = group_of(worker["pid"].as_i64().unwrap() as i32).unwrap();
        assert_eq!(group_of(pid), Some(group.clone()));
        assert_eq!(group.parent(), Some(delegated.0.as_path()));
        let receipt = conn.ok("stop", json!({"name": "g"}))["receipt"].clone();
        assert!(!process::is_alive(pid), "{receipt}");
        let signalled = receipt["signalled"].as_array().unwrap();
        assert!(
            signalled.iter().any(|one| one["pid"] == pid && one["signals"] == json!(["SIGKILL"])),
            "{receipt}"
        );
        assert!(!group.exists());
    }
    // Nor when both are killed: by their group, nothing else tells whose they were.
    conn.ok("start", json!({"graph": "g"}));
    let pid = gob.children("g", 21)[0];
    kill_both(&gob);
    assert!(process::is_alive(pid));
    assert_eq!(recover(&gob, &[pid]), 1);
    let left: Vec<_> = groups().into_iter().filter(|group| group.starts_with(&delegated.0)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(gob.status()["cgroup"], false, "the next one was started by somebody else");
}

#[test]
fn a_number_in_the_journal_is_no_reason() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let mut bystander = Command::new("/bin/sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let pid = bystander.id() as i32;
    // As if the worker's number had been given to somebody else, in the same tick even.
    let line =
        json!({"name": "g", "run": 1, "pid": pid, "start_time": process::start_time(pid), "tag": 1u64 << 40});
    let mut journal = fs::OpenOptions::new().append(true).open(gob.state_dir().join("journal")).unwrap();
    writeln!(journal, "{line}").unwrap();
    kill_both(&gob);
    assert_eq!(recover(&gob, &[]), 0);
    assert!(bystander.try_wait().unwrap().is_none(), "a bystander was ended");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn a_process_that_keeps_going_on_as_its_child_does_not_get_away() {
    let gob = Gob::new();
    // It would go on for seconds, and then end by itself.
    let hopping = Child { hops: 100_000, ..away() };
    gob.script("g", &[Step::Child(hopping), Step::Child(away()), Step::Listen, Step::Handshake]);
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    kill_both(&gob);
    assert!(recover(&gob, &gob.children("g", 1)) >= 1);
    let hopping = || process::belonging_to(gob.dir()).into_iter().any(is_child);
    assert!(!hopping(), "{:#?}", gob.processes().into_iter().map(process::describe).collect::<Vec<_>>());
}

#[test]
fn nor_does_it_get_away_from_a_stop() {
    let gob = Gob::new();
    for round in 0..5 {
        let graph = format!("g{round}");
        gob.script(&graph, &[Step::Child(Child { hops: 100_000, ..away() }), Step::Listen, Step::Handshake]);
        let mut conn = gob.connect_as("cli");
        conn.ok("start", json!({"graph": graph}));
        conn.ok("stop", json!({"name": graph}));
        let hopping = || process::belonging_to(gob.dir()).into_iter().any(is_child);
        assert!(!hopping(), "{:#?}", gob.processes().into_iter().map(process::describe).collect::<Vec<_>>());
    }
}

#[test]
fn they_are_found_also_when_the_state_directory_was_taken_away_before() {
    let gob = Gob::new();
    gob.script("g", &[every_escape(), vec![Step::Listen, Step::Handshake]].concat());
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let mut watcher = gob.connect();
    watcher.ok("subscribe", json!({"events": ["supervisor_healed"]}));
    fs::rename(gob.state_dir(), gob.dir().join("aside")).unwrap();
    watcher.find("supervisor_healed", DEADLINE, |frame| frame["event"] == "supervisor_healed");
    let healed =
        || fs::read_to_string(gob.state_dir().join("journal")).is_ok_and(|text| text.lines().count() == 2);
    assert!(gob_tests::wait::until(DEADLINE, healed));
    kill_both(&gob);
    assert!(recover(&gob, &gob.children("g", 1)) >= 1);
}

/// Whether a process is one that a fixture has made.
fn is_child(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|args| args.windows(7).any(|part| part == b"--child"))
}

/// A directory on a small disk of its own; taken away when this is dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(path: &'a Path) -> Option<Self> {
        let mut mount = Command::new("/bin/mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs"]).arg(path);
        let mounted = nix::unistd::geteuid().is_root() && mount.status().is_ok_and(|status| status.success());
        mounted.then_some(Self(path))
    }

    fn fill(&self) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.0.join("filler")).unwrap();
        for size in [4096, 1] {
            while file.write(&vec![b'x'; size]).is_ok() {}
        }
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        drop(Command::new("/bin/umount").arg("-l").arg(self.0).status());
    }
}

#[test]
fn with_a_full_disk_under_its_state_directory() {
    for full_from_the_start in [false, true] {
        let gob = Gob::new();
        let state = gob.state_dir();
        let Some(disk) = SmallDisk::mount(&state) else {
            eprintln!("SKIPPED: only root can make a disk");
            return;
        };
        if full_from_the_start {
            disk.fill();
        }
        gob.ctl(["ping"]).ok();
        disk.fill();
        let pids = trees(&gob, 1);
        kill_both(&gob);
        assert!(alive(&pids) >= 4, "only {} have outlived both", alive(&pids));
        assert!(recover(&gob, &pids) >= 4);
        gob.ctl(["shutdown"]).ok();
        assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
    }
}

/// A group of processes that the kernel does not run, so that they can't even die; thawed when this is dropped.
struct Frozen(std::path::PathBuf);

impl Frozen {
    fn freeze(name: &str, pid: i32) -> Option<Self> {
        let dir = Path::new("/sys/fs/cgroup/freezer").join(name);
        fs::create_dir(&dir).ok()?;
        let frozen = Self(dir);
        fs::write(frozen.0.join("cgroup.procs"), pid.to_string()).ok()?;
        fs::write(frozen.0.join("freezer.state"), "FROZEN").ok()?;
        let state = || fs::read_to_string(frozen.0.join("freezer.state")).unwrap_or_default();
        assert!(wait::until(DEADLINE, || state().trim() == "FROZEN"));
        Some(frozen)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(fs::write(self.0.join("freezer.state"), "THAWED"));
        let gone = || fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().is_empty();
        if wait::until(DEADLINE, gone) {
            drop(fs::remove_dir(&self.0));
        }
    }
}

#[test]
fn what_cannot_be_ended_in_time_is_named_until_it_is_gone() {
    let gob = Gob::new();
    gob.script("g", &[Step::Child(away()), Step::Listen, Step::Handshake]);
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let pid = gob.children("g", 1)[0];
    let name = gob.dir().file_name().unwrap().to_str().unwrap().to_owned();
    let Some(frozen) = Frozen::freeze(&name, pid) else {
        eprintln!("SKIPPED: there is no freezer to make a process that can't die");
        return;
    };
    kill_both(&gob);
    gob.ctl(["ping"]).ok();
    assert!(process::is_alive(pid), "the kernel has let it go");
    assert_eq!(gob.status()["orphans_recovered"], 0);
    let mut conn = gob.connect_as("cli");
    let error = conn.err("start", json!({"graph": "g"}), "server-start-timeout-orphan");
    assert_eq!(error["details"], json!({"pids": [pid]}));
    conn.ok("start", json!({"graph": "another"}));
    drop(frozen);
    assert_eq!(process::survivors(&[pid], DEADLINE), Vec::<i32>::new());
    let started = wait::until(DEADLINE, || conn.ask("start", json!({"graph": "g"}))["success"] == true);
    assert!(started, "{}", conn.ask("start", json!({"graph": "g"})));
}

/// Starts a graph in a root that both supervisors know.
fn start_in(gob: &Gob, root: &Path) -> Value {
    gob.connect_as("cli").ask("start", json!({"graph": "g", "root_dir": root}))
}

fn shared_root(gob: &Gob) -> std::path::PathBuf {
    let root = gob.dir().join("shared");
    fs::create_dir(&root).unwrap();
    root
}

#[test]
fn two_supervisors_never_make_two_workers_on_one_graph() {
    let (one, other) = (Gob::new(), Gob::new());
    let root = shared_root(&one);
    let worker = start_in(&one, &root)["data"]["worker"].clone();
    let lock = root.join(".gob/g.lock");
    for _ in 0..2 {
        let refused = start_in(&other, &root);
        let error = &refused["error"];
        assert_eq!(error["code"], "server-locked-by-external", "{refused}");
        assert_eq!(
            error["details"],
            json!({"pid": worker["pid"], "owner": "cli", "path": lock}),
            "{refused}"
        );
        // A note that says nothing is made up for by a look at who has the file open.
        fs::write(&lock, "garbage").unwrap();
        let refused = start_in(&other, &root);
        let details = &refused["error"]["details"];
        assert_eq!((&details["pid"], &details["owner"]), (&worker["pid"], &json!("unknown")), "{refused}");
        let note = json!({"pid": worker["pid"], "owner": "cli",
            "start_time": process::start_time(worker["pid"].as_i64().unwrap() as i32)});
        fs::write(&lock, note.to_string()).unwrap();
    }
    assert!(process::is_alive(worker["pid"].as_i64().unwrap() as i32));
    one.connect_as("cli").ok("stop", json!({"name": "g"}));
    let started = start_in(&other, &root);
    assert_eq!(started["data"]["outcome"], "started", "{started}");
    let note: Value = serde_json::from_slice(&fs::read(&lock).unwrap()).unwrap();
    assert_eq!(note["pid"], started["data"]["worker"]["pid"]);
    assert_eq!(note["socket"], other.socket().to_str().unwrap());
    let refused = start_in(&one, &root);
    assert_eq!(refused["error"]["details"]["pid"], note["pid"], "{refused}");
    other.connect_as("cli").ok("stop", json!({"name": "g"}));
}

#[test]
fn whoever_is_left_of_a_worker_keeps_its_graph() {
    let (mut one, other) = (Gob::new(), Gob::new());
    one.without_leftover_check();
    let root = shared_root(&one);
    let graph_dir = one.graph_dir("g");
    fs::create_dir_all(&graph_dir).unwrap();
    // It neither closes its descriptors nor keeps its tag or its environment: nobody can know any more whose it is.
    let child = Child { close_fds: false, reset_limits: true, env_clear: true, ..away() };
    let steps = serde_json::to_vec(&[Step::Child(child), Step::Listen, Step::Handshake]).unwrap();
    fs::create_dir_all(root.join("g")).unwrap();
    fs::write(root.join("g/fixture.json"), &steps).unwrap();
    let started = start_in(&one, &root);
    assert_eq!(started["success"], true, "{started}");
    let pid: i32 = fs::read_to_string(root.join("g/pids.1")).unwrap().trim().parse().unwrap();
    leave_groups(&[pid]);
    kill_both(&one);
    assert!(process::is_alive(pid));
    fs::write(root.join("g/fixture.json"), serde_json::to_vec(&[Step::Listen, Step::Handshake]).unwrap())
        .unwrap();
    let refused = start_in(&other, &root);
    assert_eq!(refused["error"]["code"], "server-locked-by-external", "{refused}");
    assert_eq!(refused["error"]["details"]["pid"], pid, "{refused}");
    assert_eq!(start_in(&one, &root)["error"]["details"]["pid"], pid, "nor does its own next supervisor");
    Handle::open(pid).unwrap().signal(Signal::SIGKILL);
    assert_eq!(process::survivors(&[pid], DEADLINE), Vec::<i32>::new());
    assert_eq!(start_in(&other, &root)["data"]["outcome"], "started");
    other.connect_as("cli").ok("stop", json!({"name": "g"}));
}

#[test]
fn a_lock_that_was_deleted_is_made_anew_for_the_next_run() {
    let gob = Gob::new();
    let root = shared_root(&gob);
    let lock = root.join(".gob/g.lock");
    for garbage in [Some(""), None, Some("{\"pid\":1}"), Some("\u{0}")] {
        assert_eq!(start_in(&gob, &root)["data"]["outcome"], "started");
        match garbage {
            Some(text) => fs::write(&lock, text).unwrap(),
            None => fs::remove_file(&lock).unwrap(),
        }
        gob.connect_as("cli").ok("stop", json!({"name": "g"}));
    }
    assert_eq!(start_in(&gob, &root)["success"], true);
    let note: Value = serde_json::from_slice(&fs::read(&lock).unwrap()).unwrap();
    assert_eq!((&note["name"], &note["run"]), (&json!("g"), &json!(5)));
}

#[test]
fn a_graph_whose_lock_cannot_be_made_does_not_start() {
    let gob = Gob::new();
    let root = shared_root(&gob);
    // In the way of the directory: root may write everywhere, so that taking rights away would show nothing.
    fs::write(root.join(".gob"), "").unwrap();
    let refused = start_in(&gob, &root);
    let error = &refused["error"];
    assert_eq!(error["code"], "server-start-failed", "{refused}");
    assert!(error["details"]["errno"].is_string(), "{refused}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(".gob/g.lock") && message.contains("open"), "{message}");
    gob.connect_as("cli").ok("stop", json!({"name": "g"}));
}
