//! Trees with a process of another user, as below `sudo`: gob, as an ordinary user, may not signal it, names
//! it as a survivor, and ends in bounded time (F1). And trees that can't be marked (F17).

use gob_tests::Gob;
use gob_tests::ctl::{Ctl, Output};
use gob_tests::gob::built_binaries;
use gob_tests::process::{self, Handle};
use gob_tests::program;
use gob_tests::require::root;
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, chown};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const NOBODY: u32 = 65534;
/// A grace, and the time limit of an answer after it.
const GRACE: Duration = Duration::from_millis(200);
const LATER: Duration = Duration::from_secs(5 + 2);

/// Makes a world of user `nobody`, with a program `rootsleep` that becomes root; `None` unless the tests run
/// as root.
fn world(script: &str) -> Option<Gob> {
    if !root("only root can make a set-user-ID program") {
        return None;
    }
    let gob = Gob::new();
    program::copy(&built_binaries().join("gob-rootsleep"), &gob.bin("rootsleep"), 0o4755);
    let config = gob.dir().join("config.toml");
    let text = format!(
        "[kind.k]\ncommand = [\"sh\", \"-c\", {script:?}]\nreadiness = \"none\"\nstop.grace = \"200ms\"\n"
    );
    fs::write(&config, text).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    let home = gob.dir().join("home");
    for path in [gob.dir(), &home, &gob.data_dir(), &gob.state_dir(), &config] {
        chown(path, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).unwrap();
    }
    Some(gob)
}

/// Runs gobctl as user `nobody`, below this program.
fn ctl(gob: &Gob, below: &[&str], args: &[&str]) -> Output {
    let mut ctl = Ctl::new("/usr/bin/setpriv".as_ref(), gob.env());
    ctl.args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(below.iter().copied())
        .args(["gobctl"]);
    ctl.args(args.iter().copied()).run()
}

/// Runs gobctl as user `nobody` where `/proc` hides every process that it may not trace; a supervisor that it starts lives there too.
fn hiding(gob: &Gob, args: &[&str]) -> Output {
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups gobctl \"$@\"";
    let script = format!("mount -t proc -o hidepid=2 proc /proc && exec {nobody}");
    let mut ctl = Ctl::new("/usr/bin/unshare".as_ref(), gob.env());
    ctl.args(["-m", "sh", "-c", &script, "sh"]).args(args.iter().copied()).run()
}

fn started(gob: &Gob, below: &[&str]) -> i32 {
    let data = told(&ctl(gob, below, &["start", "g", "--kind", "k", "--json"]));
    data["worker"]["pid"].as_i64().unwrap() as i32
}

/// Waits for a process of this world with this name and this user.
fn wait_for(gob: &Gob, name: &str, uid: u32) -> Handle {
    use std::os::unix::fs::MetadataExt;
    let is_it = |pid: &i32| {
        process::exe(*pid).is_some_and(|exe| exe.ends_with(name))
            && fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == uid)
    };
    let find = || gob.processes().into_iter().find(is_it);
    assert!(wait::until(DEADLINE, || find().is_some()), "no {name}: {}", gob.logs());
    Handle::open(find().unwrap()).unwrap()
}

fn told(output: &Output) -> Value {
    let text = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {output}"))
}

fn error(output: &Output) -> Value {
    told(output)["error"].clone()
}

/// Checks the survivor in an error.
fn assert_survivor(error: &Value, pid: i32) {
    assert_eq!(error["code"], "server-stop-timeout", "{error}");
    let survivors = error["details"]["receipt"]["survivors"].as_array().unwrap();
    let survivor = json!({"pid": pid, "start_time": process::start_time(pid), "uid": 0, "error": "EPERM"});
    assert_eq!(survivors, &[survivor], "{error}");
    assert!(error["message"].as_str().unwrap().contains(&format!("pid {pid} of uid 0: EPERM")), "{error}");
    assert_eq!(error["hint"].as_str().unwrap().rsplit(": ").next(), Some(&*format!("sudo kill -KILL {pid}")));
}

#[test]
fn a_child_of_root_is_named_as_survivor_and_nothing_is_started_beside_it() {
    let Some(gob) = world("rootsleep & exec sleep 1000") else { return };
    let leader = started(&gob, &[]);
    let child = wait_for(&gob, "rootsleep", 0);
    let begun = Instant::now();
    let stop = ctl(&gob, &[], &["stop", "g", "--grace", "200ms", "--json"]);
    assert!(begun.elapsed() < GRACE + LATER, "{:?}", begun.elapsed());
    assert_eq!(stop.code, 1, "{stop}");
    let error_of_stop = error(&stop);
    assert_survivor(&error_of_stop, child.pid);
    let signalled = error_of_stop["details"]["receipt"]["signalled"].as_array().unwrap().clone();
    let of = |pid: i32| signalled.iter().find(|entry| entry["pid"] == pid).unwrap().clone();
    assert_eq!((&of(leader)["signals"][0], &of(child.pid)["signals"]), (&json!("SIGTERM"), &json!([])));
    assert_eq!(of(child.pid)["error"], "EPERM");
    assert!(process::is_alive(child.pid));
    // The next start names it, and so does the graph's holder.
    let start = ctl(&gob, &[], &["start", "g", "--json"]);
    let error = error(&start);
    assert_eq!(
        (&error["code"], &error["details"]["pids"]),
        (&json!("server-start-timeout-orphan"), &json!([child.pid]))
    );
    let who = ctl(&gob, &[], &["who", "g"]);
    let named = format!(
        ", stopping: 1 process(es) of g could not be ended yet (pid {} of uid 0: EPERM)\n",
        child.pid
    );
    assert!(who.stdout.ends_with(&named), "{who}");
    // Once a process with the right to has ended it, all is well.
    child.signal(Signal::SIGKILL);
    let idle = || told(&ctl(&gob, &[], &["get", "g", "--json"]))["worker"]["state"] != "stopping";
    assert!(wait::until(DEADLINE, idle));
    let started = ctl(&gob, &[], &["start", "g"]);
    assert_eq!(started.code, 0, "{started}");
    wait_for(&gob, "rootsleep", 0).signal(Signal::SIGKILL);
}

/// A new supervisor said of such a worker that it was not running, with success, and of nothing else; `who` named a
/// supervisor that was dead.
#[test]
fn a_later_supervisor_names_the_child_of_root_that_the_first_one_left() {
    let Some(gob) = world("rootsleep & exec sleep 1000") else { return };
    // A worker of root's own supervisor is none of its business.
    let others = Gob::new();
    let of_root = others.connect_as("cli").ok("start", json!({"graph": "g"}))["worker"]["pid"].clone();
    for end in ["shutdown", "kill", "nuke"] {
        started(&gob, &[]);
        let child = wait_for(&gob, "rootsleep", 0);
        match end {
            "shutdown" => {
                assert_survivor(&error(&ctl(&gob, &[], &["daemon", "stop", "--force", "--json"])), child.pid)
            }
            "nuke" => assert_survivor(&error(&ctl(&gob, &[], &["nuke", "--force", "--json"])), child.pid),
            _killed => kill_both(&gob),
        }
        assert!(wait::until(DEADLINE, || gob.running("gobd").is_empty()));
        // Without a supervisor its mark tells whose it is.
        let doctor = ctl(&gob, &[], &["doctor"]);
        let way_out = format!("gob may not signal processes of another user: sudo kill -KILL {}", child.pid);
        assert!(doctor.stdout.contains(&way_out), "{end}: {doctor}");
        assert!(!doctor.stdout.contains(&format!("{of_root} (")), "{doctor}");
        assert!(
            ctl(&gob, &[], &["who", "g"]).stdout.starts_with("g is held by a process that can't be seen")
        );
        let begun = Instant::now();
        let start = ctl(&gob, &[], &["start", "g", "--kind", "k", "--json"]);
        assert!(begun.elapsed() < Duration::from_secs(2), "nothing waits for it: {:?}", begun.elapsed());
        let refused = error(&start);
        let found = (&refused["code"], &refused["details"]["pids"]);
        assert_eq!(found, (&json!("server-start-timeout-orphan"), &json!([child.pid])), "{end}");
        assert_survivor(&error(&ctl(&gob, &[], &["stop", "g", "--json"])), child.pid);
        let named = format!("pid {} (uid 0, EPERM)", child.pid);
        let who = ctl(&gob, &[], &["who", "g"]);
        let begins = format!("g is held by what an earlier supervisor left of it: {named}\n");
        assert!(who.stdout.starts_with(&begins), "{end}: {who}");
        let doctor = ctl(&gob, &[], &["doctor"]);
        assert_eq!(doctor.code, 1, "{doctor}");
        assert!(doctor.stdout.contains(&format!("{named} of g")), "{end}: {doctor}");
        let list = ctl(&gob, &[], &["list"]);
        assert!(list.stdout.contains(&format!("(pid {} of uid 0: EPERM)", child.pid)), "{end}: {list}");
        assert_survivor(&error(&ctl(&gob, &[], &["daemon", "stop", "--force", "--json"])), child.pid);
        child.signal(Signal::SIGKILL);
        let started = || ctl(&gob, &[], &["start", "g", "--kind", "k"]).code == 0;
        assert!(wait::until(DEADLINE, started), "{end}: {}", gob.logs());
        // Before it is root, the stop would end it.
        let child = wait_for(&gob, "rootsleep", 0);
        ctl(&gob, &[], &["stop", "g", "--force"]);
        child.signal(Signal::SIGKILL);
        assert!(wait::until(DEADLINE, || told(&ctl(&gob, &[], &["get", "g", "--json"]))["worker"]["state"]
            == "idle"));
    }
}

#[test]
fn a_leader_of_root_takes_no_signal_and_delays_no_end() {
    for end in ["nuke", "term"] {
        let Some(gob) = world("exec rootsleep") else { return };
        let leader = started(&gob, &[]);
        wait_for(&gob, "rootsleep", 0);
        let signal = ctl(&gob, &[], &["signal", "g", "HUP", "--json"]);
        assert_ne!(signal.code, 0, "{signal}");
        let refused = error(&signal);
        assert_eq!(refused["code"], "permission-denied", "{refused}");
        assert_eq!(refused["details"], json!({"pid": leader, "errno": "EPERM"}));
        let stop = ctl(&gob, &[], &["stop", "g", "--force", "--json"]);
        assert_survivor(&error(&stop), leader);
        let gobd = gob.running("gobd").into_iter().find_map(Handle::open).unwrap();
        let begun = Instant::now();
        if end == "nuke" {
            let nuke = ctl(&gob, &[], &["nuke", "--force", "--json"]);
            assert_survivor(&error(&nuke), leader);
        } else {
            gobd.signal(Signal::SIGTERM);
        }
        assert!(gobd.wait_gone(DEADLINE), "{:?}", begun.elapsed());
        assert!(begun.elapsed() < LATER + LATER, "{:?}", begun.elapsed());
        assert!(process::is_alive(leader));
        assert!(gob.logs().contains(&format!("sudo kill -KILL {leader}")), "{}", gob.logs());
        Handle::open(leader).unwrap().signal(Signal::SIGKILL);
        assert_eq!(gob.wait_empty(DEADLINE), Vec::<i32>::new());
    }
}

#[test]
fn processes_that_proc_hides_are_ended_too() {
    let Some(gob) = world("rootsleep hidden & exec sleep 1000") else { return };
    let start = hiding(&gob, &["start", "g", "--kind", "k"]);
    assert_eq!(start.code, 0, "{start}");
    let hidden = wait_for(&gob, "rootsleep", NOBODY);
    let stop = ctl(&gob, &[], &["stop", "g", "--json"]);
    assert!(hidden.wait_gone(Duration::ZERO), "{stop}");
    let data = told(&stop);
    let of_it = |entry: &&Value| entry["pid"] == hidden.pid;
    let entry = data["receipt"]["signalled"].as_array().unwrap().iter().find(of_it).cloned();
    assert_eq!(entry.map(|entry| entry["signals"].clone()), Some(json!(["SIGTERM"])), "{data}");
    // The keeper ends it as well, after its supervisor was killed.
    let start = ctl(&gob, &[], &["start", "g"]);
    assert_eq!(start.code, 0, "{start}");
    let hidden = wait_for(&gob, "rootsleep", NOBODY);
    gob.running("gobd").into_iter().filter_map(Handle::open).for_each(|gobd| gobd.signal(Signal::SIGKILL));
    assert!(hidden.wait_gone(DEADLINE), "{}", gob.logs());
}

#[test]
fn a_tree_that_cannot_be_marked_is_ended_and_reported() {
    let Some(gob) = world("setsid sleep 987 & exec sleep 1000") else { return };
    let leader = started(&gob, &["prlimit", "--locks=1000:1000"]);
    let child = || {
        let mut tree = process::tree(leader).into_iter();
        tree.find(|handle| process::stat_field(handle.pid, 6) == Some(handle.pid.to_string()))
    };
    assert!(wait::until(DEADLINE, || child().is_some()));
    let child = child().unwrap().pid;
    assert_eq!(told(&ctl(&gob, &[], &["status", "--json"]))["unmarked_runs"], 1);
    let doctor = ctl(&gob, &[], &["doctor"]);
    assert!(doctor.stdout.contains("marks of runs") && doctor.stdout.contains("1000 file locks"), "{doctor}");
    assert!(gob.logs().contains("can't be marked"), "{}", gob.logs());
    let data = told(&ctl(&gob, &[], &["stop", "g", "--json"]));
    assert!(!process::is_alive(leader) && !process::is_alive(child), "{data}");
    for pid in [leader, child] {
        let all = data["receipt"]["signalled"].as_array().unwrap();
        let entry = all.iter().find(|entry| entry["pid"] == pid).unwrap_or_else(|| panic!("{pid}: {data}"));
        assert_eq!(entry["signals"], json!(["SIGTERM"]), "{data}");
    }
}

/// Kills the supervisor and its keeper, so that neither clears up; they are found by name, as another user's supervisor answers nobody
/// else.
fn kill_both(gob: &Gob) {
    let of = |name| gob.running(name).into_iter().filter_map(Handle::open).collect::<Vec<_>>();
    let (keepers, supervisors) = (of("gob-keeper"), of("gobd"));
    // One that is stopped starts no other supervisor.
    keepers.iter().for_each(|keeper| keeper.signal(Signal::SIGSTOP));
    let both: Vec<Handle> = supervisors.into_iter().chain(keepers).collect();
    both.iter().for_each(|one| one.signal(Signal::SIGKILL));
    both.iter().for_each(|one| assert!(one.wait_gone(DEADLINE)));
}

/// A process that took its mark and its marker off, as `su` does, kept its graph from being started for good.
#[test]
fn a_child_that_only_the_lock_of_its_graph_tells_of_is_ended_after_both_were_killed() {
    let unmarked = "env -i /usr/bin/setsid /usr/bin/prlimit --locks=unlimited:unlimited";
    for of_another_user in [false, true] {
        // A supervisor of root may end a process of any user.
        let as_whom = if of_another_user { " /usr/bin/setpriv --reuid=65534 --clear-groups" } else { "" };
        let Some(gob) = world(&format!("{unmarked}{as_whom} /bin/sleep 987 & exec sleep 1000")) else {
            return;
        };
        if of_another_user {
            let config = gob.dir().join("config.toml");
            for path in [gob.dir(), &gob.dir().join("home"), &gob.data_dir(), &gob.state_dir(), &config] {
                chown(path, Some(Uid::from_raw(0)), Some(Gid::from_raw(0))).unwrap();
            }
        }
        let run = |args: &[&str]| match of_another_user {
            true => gob.ctl(args.iter().copied()).run(),
            false => ctl(&gob, &[], args),
        };
        let data = told(&run(&["start", "g", "--kind", "k", "--json"]));
        let leader = data["worker"]["pid"].as_i64().unwrap() as i32;
        let find = || {
            let sleeps = |one: &Handle| process::exe(one.pid).is_some_and(|exe| exe.ends_with("sleep"));
            process::tree(leader).into_iter().find(|one| one.pid != leader && sleeps(one))
        };
        assert!(wait::until(DEADLINE, || find().is_some()), "{data}");
        let child = find().unwrap();
        kill_both(&gob);
        assert!(wait::until(DEADLINE, || !process::is_alive(leader)), "the kernel kills it");
        assert!(process::is_alive(child.pid), "the kernel kills only the leader");
        let who = run(&["who", "g"]);
        assert!(who.stdout.contains(&format!("(pid {}, ", child.pid)), "{who}");
        let start = run(&["start", "g"]);
        assert_eq!(start.code, 0, "{start}\n{}", gob.logs());
        assert!(child.wait_gone(DEADLINE), "{}", gob.logs());
    }
}

#[test]
fn a_child_that_proc_hides_is_ended_after_both_were_killed() {
    let Some(gob) = world("rootsleep hidden & exec sleep 1000") else { return };
    let start = hiding(&gob, &["start", "g", "--kind", "k"]);
    assert_eq!(start.code, 0, "{start}");
    let hidden = wait_for(&gob, "rootsleep", NOBODY);
    kill_both(&gob);
    assert!(process::is_alive(hidden.pid), "the kernel kills only the leader");
    let list = hiding(&gob, &["list"]);
    assert!(list.stdout.contains("idle"), "{list}");
    assert!(hidden.wait_gone(Duration::ZERO), "{}", gob.logs());
}
