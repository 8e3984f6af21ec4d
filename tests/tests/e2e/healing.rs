//! Removed files of gob's own are back in a moment, with the same supervisor, the same workers, and never a
//! second supervisor (B2).

use gob_tests::process::{self, Handle};
use gob_tests::script::{Flood, Step, Write};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Ctl, Gob, Worker};
use nix::fcntl::RenameFlags;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// Time limit until everything is as it was.
const SOON: Duration = Duration::from_secs(5);

/// A supervisor with two workers, and the facts that must stay the same.
struct Alive {
    gob: Gob,
    instance: String,
    pids: BTreeSet<i32>,
    /// A subscriber from before the loss.
    watcher: Conn,
    healed: u64,
}

impl Alive {
    fn new(gob: Gob) -> Self {
        let mut conn = gob.connect_as("cli");
        let start = |graph| conn.ok("start", json!({"graph": graph}))["worker"]["pid"].as_i64().unwrap();
        let mut pids: BTreeSet<i32> = ["a", "b"].map(start).map(|pid| pid as i32).into();
        let status = gob.status();
        pids.extend(["pid", "keeper_pid"].map(|key| status[key].as_i64().unwrap() as i32));
        let instance = status["instance"].as_str().unwrap().to_owned();
        Self { watcher: gob.events(), gob, instance, pids, healed: 0 }
    }

    /// Removes something and waits until it is healed.
    fn loses(&mut self, what: &str, lose: impl FnOnce(&Gob)) {
        let seq = self.watcher.ok("status", json!({}))["events_seq"].as_u64();
        lose(&self.gob);
        let begun = Instant::now();
        let is_new = |event: &Value| event["event"] == "supervisor_healed" && event["seq"].as_u64() > seq;
        let event = self.watcher.find(what, SOON, is_new);
        // The healing may have begun while the rest was still being removed.
        assert!(wait::until(SOON, || self.is_there()), "{what}: not all is there");
        assert_eq!((&event["actor"], &event["worker"]), (&json!("supervisor"), &Value::Null));
        eprintln!("{what}: healed after {:?}", begun.elapsed());
        self.healed += 1;
        self.is_whole(what);
    }

    /// Returns whether all files are there that clients need to find it.
    fn is_there(&self) -> bool {
        let runtime = self.gob.runtime_dir();
        let is_socket =
            |name| fs::metadata(runtime.join(name)).is_ok_and(|found| found.file_type().is_socket());
        let line = self.gob.lock_line();
        UnixStream::connect(self.gob.socket()).is_ok()
            && is_socket("notify.sock")
            && runtime.join("daemon.pid").exists()
            && line.is_some_and(|line| line["instance"] == self.instance.as_str())
    }

    /// Checks that new clients and old ones find the same supervisor and the same workers, and one of each.
    fn is_whole(&mut self, what: &str) {
        let stream = UnixStream::connect(self.gob.socket()).unwrap_or_else(|e| panic!("{what}: {e}"));
        let mut conn = Conn::over(stream);
        for conn in [&mut conn, &mut self.watcher] {
            let status = conn.ok("status", json!({}));
            assert_eq!(status["instance"], self.instance.as_str(), "{what}");
            assert!(status["healed"].as_u64().unwrap() >= self.healed, "{what}: {status}");
        }
        let list = conn.ok("list", json!({}));
        let workers = list["workers"].as_array().unwrap();
        assert!(workers.len() >= 2 && workers.iter().all(|worker| worker["state"] == "ready"), "{list}");
        assert!(self.pids.iter().all(|pid| process::is_alive(*pid)), "{what}: somebody ended");
        let line = self.gob.lock_line().unwrap_or_else(|| panic!("{what}: the lock says nothing"));
        assert_eq!((&line["instance"], &line["socket"]), (&json!(self.instance), &json!(self.gob.socket())));
        let pid = fs::read_to_string(self.gob.runtime_dir().join("daemon.pid")).unwrap();
        assert_eq!(pid.trim(), line["pid"].to_string());
        is_locked(&self.gob);
        // Rivals on their way to be a second one have gone by then.
        let alone = || ["gobd", "gob-keeper"].iter().all(|program| self.gob.running(program).len() == 1);
        assert!(wait::until(SOON, alone), "{what}: {:?}", self.gob.processes());
    }
}

/// Checks that both locks are held, on the files at their paths.
fn is_locked(gob: &Gob) {
    for path in [gob.state_dir().join("gobd.lock"), gob.runtime_dir()] {
        let locked = File::open(&path).unwrap().try_lock();
        assert!(matches!(locked, Err(fs::TryLockError::WouldBlock)), "{}: {locked:?}", path.display());
    }
    let second = Ctl::new(&gob.bin("gob-keeper"), gob.env()).run();
    assert!(second.code == 0 && second.stderr.contains("already running"), "{second}");
}

fn make_private(dir: &Path) {
    fs::DirBuilder::new().mode(0o700).create(dir).unwrap();
}

/// Swaps two files in one step, so that neither path is ever empty.
fn exchange(one: &Path, other: &Path) {
    let flags = RenameFlags::RENAME_EXCHANGE;
    nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, one, nix::fcntl::AT_FDCWD, other, flags).unwrap();
}

/// Removes like `rm -rf`: a file that comes into a directory during its removal is removed with it.
pub(crate) fn remove_all(dir: &Path) {
    let gone = wait::until(SOON, || match fs::remove_dir_all(dir) {
        Ok(()) => true,
        Err(e) => e.kind() != std::io::ErrorKind::DirectoryNotEmpty,
    });
    assert!(gone, "{}", dir.display());
}

#[test]
fn each_file_comes_back() {
    let mut alive = Alive::new(Gob::new());
    let files = |gob: &Gob| {
        let runtime = gob.runtime_dir();
        ["daemon.sock", "daemon.pid", "notify.sock"]
            .map(|name| runtime.join(name))
            .into_iter()
            .chain([gob.state_dir().join("gobd.lock")])
    };
    for path in files(&alive.gob) {
        let name = path.file_name().unwrap().to_str().unwrap();
        alive.loses(&format!("{name} deleted"), |_| fs::remove_file(&path).unwrap());
        let aside = alive.gob.dir().join("aside");
        alive.loses(&format!("{name} moved away"), |_| fs::rename(&path, &aside).unwrap());
        fs::write(alive.gob.dir().join("junk"), "junk").unwrap();
        alive.loses(&format!("{name} replaced"), |gob| fs::rename(gob.dir().join("junk"), &path).unwrap());
    }
    alive.loses("what the lock says", |gob| fs::write(gob.state_dir().join("gobd.lock"), "").unwrap());
    alive.loses("the mode of the runtime directory", |gob| {
        fs::set_permissions(gob.runtime_dir(), Permissions::from_mode(0o755)).unwrap();
    });
    let mode = fs::metadata(alive.gob.runtime_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    alive.gob.ctl(["ping"]).ok();
}

#[test]
fn the_runtime_directory_comes_back() {
    let mut alive = Alive::new(Gob::with(Worker::Real));
    let own = |gob: &Gob| gob.runtime_dir();
    alive.loses("removed", |gob| remove_all(&own(gob)));
    alive.loses("moved away", |gob| fs::rename(own(gob), gob.dir().join("aside")).unwrap());
    alive.loses("made by somebody else, and empty", |gob| {
        make_private(&gob.dir().join("empty"));
        exchange(&gob.dir().join("empty"), &own(gob));
    });
    alive.loses("made by somebody else, and full of junk", |gob| {
        let made = gob.dir().join("made");
        make_private(&made);
        fs::write(made.join("daemon.sock"), "no socket").unwrap();
        fs::write(made.join("daemon.pid"), "1\n").unwrap();
        drop(UnixListener::bind(made.join("notify.sock")).unwrap());
        exchange(&made, &own(gob));
    });
    // The workers heal their own sockets: gob signals them.
    for graph in ["a", "b"] {
        let path = alive.gob.runtime_dir().join(format!("graphs/{graph}.sock"));
        assert!(wait::until(SOON, || UnixStream::connect(&path).is_ok()), "{}", path.display());
        alive.gob.ctl(["invoke", graph, "stats"]).ok();
    }
}

#[test]
fn notifications_are_heard_on_the_new_socket() {
    let gob = Gob::new();
    let config = "[kind.n]\ncommand = [\"gob-graph-worker\", \"--root-dir\", \"{root_dir}\", \"--graph\", \"{graph}\", \
        \"--socket\", \"{socket}\"]\nreadiness = \"notify\"\n";
    fs::write(gob.dir().join("config.toml"), config).unwrap();
    let mut alive = Alive::new(gob);
    alive.loses("notify.sock", |gob| fs::remove_file(gob.runtime_dir().join("notify.sock")).unwrap());
    alive.loses("the runtime directory", |gob| remove_all(&gob.runtime_dir()));
    alive.gob.script("n", &[Step::Notify("READY=1".to_owned())]);
    let data = alive.gob.connect_as("cli").ok("start", json!({"graph": "n", "kind": "n"}));
    assert_eq!(data["worker"]["state"], "ready");
}

#[test]
fn the_state_directory_comes_back_with_logs_that_go_on() {
    let gob = Gob::new();
    gob.fifo("a", "go");
    let text = |text: &str| Step::Write(Write { text: text.to_owned(), ..Write::default() });
    let steps =
        [Step::Listen, text("before\n"), Step::Handshake, Step::WaitFor("go".to_owned()), text("after\n")];
    gob.script("a", &steps);
    let mut alive = Alive::new(gob);
    let log = alive.gob.log("a", 1, "stdout");
    assert!(wait::until(DEADLINE, || fs::read_to_string(&log).is_ok_and(|text| text.contains("before"))));
    alive.loses("removed", |gob| remove_all(&gob.state_dir()));
    alive.gob.release("a", "go");
    let has = |path: &Path, text: &str| fs::read_to_string(path).is_ok_and(|found| found.contains(text));
    assert!(wait::until(DEADLINE, || has(&log, "after\n")), "{}", alive.gob.logs());
    assert!(!has(&log, "before"), "that is gone");
    assert!(alive.gob.ctl(["logs", "a"]).ok().contains("after"));
    // The supervisor's own log, and `last.json`, are written there too.
    let own = alive.gob.state_dir().join("gobd.log");
    assert!(wait::until(DEADLINE, || has(&own, "healed")));
    assert!(wait::until(DEADLINE, || has(&alive.gob.state_dir().join("last.json"), &alive.instance)));

    alive.loses("the directory of logs", |gob| remove_all(&gob.state_dir().join("logs")));
    assert!(wait::until(DEADLINE, || log.exists()));
    alive.loses("moved away", |gob| fs::rename(gob.state_dir(), gob.dir().join("aside")).unwrap());
    assert!(wait::until(DEADLINE, || log.exists()));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&alive.gob.state_dir()), mode(&own)), (0o700, 0o600));

    // Output of the keeper at its next start is there too.
    fs::remove_file(&own).unwrap();
    alive.gob.connect_as("cli").ok("stop", json!({"name": "a", "force": true}));
    Handle::open(alive.gob.gobd_pid()).unwrap().signal(Signal::SIGKILL);
    alive.gob.wait_other_instance(&alive.instance);
    assert!(wait::until(DEADLINE, || has(&own, "started the supervisor again") && has(&own, "serving")));
}

#[test]
fn a_hundred_clients_meanwhile_find_the_same_supervisor() {
    let mut alive = Alive::new(Gob::new());
    let (runtime, state) = (alive.gob.runtime_dir(), alive.gob.state_dir());
    let losses: [(&str, &[&Path]); 3] =
        [("both directories", &[&runtime, &state]), ("the socket's", &[&runtime]), ("the lock's", &[&state])];
    for (what, lost) in losses {
        // Half of them search for the socket elsewhere, and would put theirs there.
        let elsewhere = alive.gob.dir().join("elsewhere");
        let mut calls: Vec<Ctl> = (0..100)
            .map(|n| {
                let mut call = alive.gob.ctl(["status", "--json"]);
                if n % 2 == 1 {
                    call.env("GOB_RUNTIME_DIR", elsewhere.to_str().unwrap());
                }
                call
            })
            .collect();
        let instances: BTreeSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = calls
                .iter_mut()
                .enumerate()
                .map(|(n, call)| {
                    scope.spawn(move || {
                        if n % 25 == 0 {
                            lost.iter().for_each(|dir| remove_all(dir));
                        }
                        let output = call.run_within(Duration::from_secs(60));
                        assert_eq!(output.code, 0, "{output}");
                        let status: Value = serde_json::from_str(&output.stdout).unwrap();
                        status["instance"].as_str().unwrap().to_owned()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(instances, BTreeSet::from([alive.instance.clone()]), "{what}");
        assert!(!elsewhere.join("daemon.sock").exists(), "{what}");
        assert!(wait::until(SOON, || alive.is_there()), "{what}: not all is there");
        alive.is_whole(what);
    }
}

/// While the lock file is missing, two keepers may make it one after the other, each before the other's
/// supervisor is to be seen.
#[test]
fn a_start_whose_lock_was_replaced_meanwhile_ends_before_it_touches_anything() {
    let mut alive = Alive::new(Gob::new());
    let told = alive.gob.dir().join("told");
    let script = "exec 7>\"$1\" 8<>\"$1.lock\" 9<\"$GOB_RUNTIME_DIR\" && \
                  exec \"$2\" --lock-fd 8 --runtime-fd 9 --ready-fd 7 --keeper-pid $PPID";
    let mut second = Ctl::new(Path::new("/bin/sh"), alive.gob.env());
    let gobd = alive.gob.bin("gobd");
    second.args(["-c", script, "sh", told.to_str().unwrap(), gobd.to_str().unwrap()]);
    let output = second.run();
    let lock = alive.gob.state_dir().join("gobd.lock");
    let expected = format!("{} was removed or replaced", lock.display());
    assert!(output.code == 78 && output.stderr.contains(&expected), "{output}");
    assert_eq!(fs::read_to_string(told).unwrap(), "", "its client goes on connecting");
    alive.is_whole("a second one");
}

#[test]
fn the_keeper_brings_it_back_with_locks_that_hold() {
    let losses = [
        ("the lock", (|gob| fs::remove_file(gob.state_dir().join("gobd.lock")).unwrap()) as fn(&Gob)),
        ("the runtime directory", |gob| remove_all(&gob.runtime_dir())),
        ("the state directory", |gob| remove_all(&gob.state_dir())),
    ];
    let mut alive = Alive::new(Gob::new());
    for (what, lose) in losses {
        alive.loses(what, lose);
        let status = alive.gob.status();
        Handle::open(status["pid"].as_i64().unwrap() as i32).unwrap().signal(Signal::SIGKILL);
        alive.gob.wait_other_instance(&alive.instance);
        let now = alive.gob.status();
        assert_eq!(now["keeper_pid"], status["keeper_pid"], "{what}");
        is_locked(&alive.gob);
        // Killed before anything could be healed: then the keeper has lost its locks too.
        lose(&alive.gob);
        Handle::open(now["pid"].as_i64().unwrap() as i32).unwrap().signal(Signal::SIGKILL);
        alive.gob.wait_other_instance(now["instance"].as_str().unwrap());
        is_locked(&alive.gob);
        let gob = std::mem::take(&mut alive.gob);
        alive = Alive::new(gob);
        alive.is_whole(what);
    }
}

#[test]
fn a_foreign_file_in_the_place_is_not_touched() {
    let mut alive = Alive::new(Gob::new());
    let (runtime, target) = (alive.gob.runtime_dir(), alive.gob.dir().join("target"));
    make_private(&target);
    symlink(&target, alive.gob.dir().join("link")).unwrap();
    exchange(&alive.gob.dir().join("link"), &runtime);
    let log = alive.gob.state_dir().join("gobd.log");
    let told =
        |text: &str| wait::until(DEADLINE, || fs::read_to_string(&log).is_ok_and(|log| log.contains(text)));
    assert!(told("cannot heal"), "{}", alive.gob.logs());
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "a link is not followed");
    alive.loses("a symbolic link removed", |_| fs::remove_file(&runtime).unwrap());

    let open = alive.gob.dir().join("open");
    fs::DirBuilder::new().mode(0o755).create(&open).unwrap();
    exchange(&open, &runtime);
    assert!(told("may be entered by others"), "{}", alive.gob.logs());
    assert_eq!(fs::metadata(&runtime).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::read_dir(&runtime).unwrap().count(), 0);
    alive.loses("an open directory removed", |_| remove_all(&runtime));
}

#[test]
fn a_rival_is_waited_out() {
    let mut alive = Alive::new(Gob::new());
    let log = alive.gob.state_dir().join("gobd.log");
    let told =
        |text: &str| wait::until(DEADLINE, || fs::read_to_string(&log).is_ok_and(|log| log.contains(text)));
    let made = alive.gob.dir().join("made");

    let rival = File::create(&made).unwrap();
    rival.try_lock().unwrap();
    fs::rename(&made, alive.gob.state_dir().join("gobd.lock")).unwrap();
    assert!(told("another process holds it"), "{}", alive.gob.logs());
    alive.loses("the lock let go", |_| drop(rival));

    let rival = UnixListener::bind(&made).unwrap();
    fs::rename(&made, alive.gob.socket()).unwrap();
    assert!(told("another program answers"), "{}", alive.gob.logs());
    drop(UnixStream::connect(alive.gob.socket()).unwrap());
    rival.accept().expect("it still has its place");
    alive.loses("the socket let go", |_| drop(rival));
}

#[test]
fn after_healing_it_ends_in_order_and_removes_the_new_files() {
    let mut alive = Alive::new(Gob::new());
    alive.loses("the runtime directory", |gob| remove_all(&gob.runtime_dir()));
    alive.loses("the state directory", |gob| remove_all(&gob.state_dir()));
    Handle::open(alive.gob.gobd_pid()).unwrap().signal(Signal::SIGTERM);
    assert_eq!(alive.gob.wait_empty(DEADLINE), Vec::<i32>::new());
    assert!(!alive.gob.socket().exists() && !alive.gob.runtime_dir().join("daemon.pid").exists());
    assert_eq!(fs::read(alive.gob.state_dir().join("gobd.lock")).unwrap(), b"");
}

#[test]
fn under_a_flood_of_output_nothing_waits_for_it() {
    let gob = Gob::new();
    // Less than what is kept of a log (five rotated files of 10 MiB): all of it may come behind the last line.
    let flood = Flood { bytes: 48 << 20, line: 100, stderr: false };
    gob.script("a", &[Step::Listen, Step::Handshake, Step::Flood(flood)]);
    let mut alive = Alive::new(gob);
    alive.loses("the state directory", |gob| remove_all(&gob.state_dir()));
    // The flood may be over before the directory is gone, or go on behind this line.
    let end = Write { text: "END\n".to_owned(), ..Write::default() };
    alive.gob.worker("a").ok("write", json!(end));
    let logs = alive.gob.log("a", 1, "stdout").parent().unwrap().to_owned();
    let has_end = |file: &Path| fs::read_to_string(file).is_ok_and(|text| text.contains("END\n"));
    assert!(wait::until(DEADLINE, || {
        let files = fs::read_dir(&logs).into_iter().flatten().flatten();
        files.map(|file| file.path()).any(|file| has_end(&file))
    }));
}
