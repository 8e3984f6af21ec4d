//! The supervisor and its keeper are killed together: the next command finds the processes that they left and
//! ends them, and no others (FEATURES A8, F2).

use crate::cgroups::leave_groups;
use crate::recovery::trees;
use gob_tests::Gob;
use gob_tests::process::{self, Handle};
use gob_tests::require::{Need, skip};
use gob_tests::script::{Child, Facts, Step, every_escape};
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Time limit for the leftovers after the next command.
const SOON: Duration = Duration::from_secs(3);

/// Returns a descendant that outlives its supervisor unless it is searched for.
pub(crate) fn away() -> Child {
    Child { detach: true, ignore_term: true, close_fds: true, ..Default::default() }
}

/// Kills the supervisor and its keeper so that neither can react, and waits until they are gone.
pub(crate) fn kill_both(gob: &Gob) {
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
    // The kernel kills the leaders with their supervisor; a count of the leftovers must not meet them.
    assert!(leaders.iter().all(|leader| leader.wait_gone(DEADLINE)));
}

fn alive(pids: &[i32]) -> usize {
    pids.iter().filter(|pid| process::is_alive(**pid)).count()
}

/// Runs the next command, after which none of these may be alive for long; returns the number of processes
/// that it ended.
pub(crate) fn recover(gob: &Gob, pids: &[i32]) -> u64 {
    gob.ctl(["ping"]).ok();
    let left = process::survivors(pids, SOON);
    assert!(left.is_empty(), "{:#?}", left.iter().map(|pid| process::describe(*pid)).collect::<Vec<_>>());
    gob.status()["orphans_recovered"].as_u64().unwrap()
}

/// Starts a process with the arguments of a graph's worker that gob did not start.
fn decoy(gob: &Gob, graph: &str, env: &[(&str, &str)]) -> std::process::Child {
    let Facts { args, .. } = gob.facts(graph, 1);
    gob.script_of_run(graph, 999, &[Step::Listen, Step::Hang]);
    let socket = gob.dir().join("decoy.sock");
    let mut command = Command::new(gob_tests::gob::built_binaries().join("gob-fixture"));
    command.arg0(&args[0]).env_clear().env("GOB_RUN", "999").envs(env.iter().copied());
    // All arguments but the socket, which the worker would lose to it.
    let own: Vec<String> = args[1..]
        .iter()
        .map(|arg| if arg.ends_with(".sock") { socket.display().to_string() } else { arg.clone() })
        .collect();
    command.args(own).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn after_a_double_kill_the_next_command_ends_all_and_no_others() {
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
    // The next life has nothing to find, after an orderly end and after another one.
    kill_both(&gob);
    assert_eq!(recover(&gob, &[]), 0);
    gob.ctl(["shutdown"]).ok();
    assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
    let journal = fs::read_to_string(gob.state_dir().join("journal")).unwrap();
    assert_eq!(journal.lines().last(), Some("{\"ended\":true}"), "{journal}");
    assert_eq!(recover(&gob, &[]), 0);
}

/// Small numbers here; GOB_TREES=50 GOB_ROUNDS=50 is the proof, and `--nocapture` shows the figures.
#[test]
fn trees_are_gone_after_every_kind_of_kill() {
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
fn a_process_without_its_tag_is_known_by_its_marker() {
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

#[test]
fn a_pid_in_the_journal_is_no_reason() {
    let gob = Gob::new();
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let mut bystander = Command::new("/bin/sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    let pid = bystander.id() as i32;
    // The worker's pid was given to another process, in the same tick even.
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
    // The child would go on for seconds, and then end by itself.
    let hopping = Child { hops: 100_000, ..away() };
    gob.script("g", &[Step::Child(hopping), Step::Child(away()), Step::Listen, Step::Handshake]);
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    kill_both(&gob);
    assert!(recover(&gob, &gob.children("g", 1)) >= 1);
    let hopping = || process::belonging_to(gob.dir()).into_iter().any(is_child);
    assert!(!hopping(), "{:#?}", gob.processes().into_iter().map(process::describe).collect::<Vec<_>>());
}

#[test]
fn orphans_are_found_after_the_state_directory_was_removed() {
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

/// Returns whether a process was made by a fixture.
pub(crate) fn is_child(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|args| args.windows(7).any(|part| part == b"--child"))
}

/// A directory on a small disk of its own; removed when this is dropped.
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
            return skip(Need::Mounts, "only root can make a disk");
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

/// A group of processes that the kernel does not run, so that they can't even die; thawed when this is
/// dropped.
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
fn a_process_that_stays_is_named_until_it_is_gone() {
    let gob = Gob::new();
    gob.script("g", &[Step::Child(away()), Step::Listen, Step::Handshake]);
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    let pid = gob.children("g", 1)[0];
    let name = gob.dir().file_name().unwrap().to_str().unwrap().to_owned();
    let Some(frozen) = Frozen::freeze(&name, pid) else {
        return skip(Need::Freezer, "there is no freezer to make a process that can't die");
    };
    kill_both(&gob);
    gob.ctl(["ping"]).ok();
    assert!(process::is_alive(pid), "the kernel has let it go");
    assert_eq!(gob.status()["orphans_recovered"], 0);
    let mut conn = gob.connect_as("cli");
    let error = conn.err("start", json!({"graph": "g"}), "server-start-timeout-orphan");
    assert_eq!(error["details"], json!({"pids": [pid]}));
    let another = conn.ok("start", json!({"graph": "another"}))["worker"]["pid"].clone();
    drop(frozen);
    assert_eq!(process::survivors(&[pid], DEADLINE), Vec::<i32>::new());
    let started = wait::until(DEADLINE, || conn.ask("start", json!({"graph": "g"}))["success"] == true);
    assert!(started, "{}", conn.ask("start", json!({"graph": "g"})));
    let worker = conn.ok("get", json!({"name": "another"}))["worker"].clone();
    assert_eq!((&worker["pid"], &worker["state"]), (&another, &json!("ready")), "what lives now is let live");
}
