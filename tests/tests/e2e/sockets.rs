//! Lost sockets of workers: gob signals the worker, and the graph worker publishes its own again.

use crate::healing::remove_all;
use gob_tests::script::Step;
use gob_tests::wait;
use gob_tests::{Gob, Worker, process};
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time limit until a socket is there again.
const SOON: Duration = Duration::from_secs(5);

fn socket(gob: &Gob, graph: &str) -> PathBuf {
    gob.runtime_dir().join(format!("graphs/{graph}.sock"))
}

/// Starts the worker of a graph and returns its pid.
fn start(gob: &Gob, graph: &str) -> i32 {
    gob.connect_as("cli").ok("start", json!({"graph": graph}))["worker"]["pid"].as_i64().unwrap() as i32
}

fn comes_back(path: &Path, what: &str) {
    assert!(wait::until(SOON, || UnixStream::connect(path).is_ok()), "{what}: {}", path.display());
}

#[test]
fn a_workers_socket_comes_back_and_nothing_else_is_touched() {
    let gob = Gob::with(Worker::Real);
    let pids = ["a", "b"].map(|graph| start(&gob, graph));
    for pid in pids {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let open: Vec<_> = open.map(|fd| fs::read_link(fd.unwrap().path()).unwrap()).collect();
        assert!(open.iter().any(|target| target.to_string_lossy().contains("signalfd")), "{open:?}");
        assert!(!open.iter().any(|target| target.to_string_lossy().contains("inotify")), "{open:?}");
    }
    let (path, other) = (socket(&gob, "a"), socket(&gob, "b"));
    let inode = fs::metadata(&other).unwrap().ino();
    let aside = gob.dir().join("aside");
    for _ in 0..2 {
        fs::remove_file(&path).unwrap();
        comes_back(&path, "deleted");
        fs::rename(&path, &aside).unwrap();
        comes_back(&path, "moved away");
        fs::remove_file(&aside).unwrap();
        // The kernel merges the events of a publication and of its replacement while the former is not read
        // yet. Events before the first of two requests are read before the answer to the second.
        for _ in 0..2 {
            assert_eq!(gob.status()["healed"], 0, "none of these are gob's own");
        }
        // A socket without a listener.
        drop(UnixListener::bind(&aside).unwrap());
        fs::rename(&aside, &path).unwrap();
        comes_back(&path, "replaced");
    }
    assert_eq!(fs::metadata(&other).unwrap().ino(), inode, "it was there all the time");
    gob.ctl(["invoke", "a", "stats"]).ok();
    let list = gob.connect().ok("list", json!({}));
    let now = [0, 1].map(|at| list["workers"][at]["pid"].as_i64().unwrap() as i32);
    assert_eq!(now, pids);
    gob.ctl(["stop", "a"]).ok();
    assert!(!path.exists());
}

#[test]
fn the_directory_of_workers_sockets_comes_back_and_is_watched_again() {
    let gob = Gob::with(Worker::Real);
    let graphs = ["a", "b"];
    for graph in graphs {
        start(&gob, graph);
    }
    let dir = gob.runtime_dir().join("graphs");
    let all_come_back = |what| graphs.iter().for_each(|graph| comes_back(&socket(&gob, graph), what));
    let mut watcher = gob.events();
    // Possibly before gob watches it.
    remove_all(&dir);
    all_come_back("removed at once");
    remove_all(&dir);
    watcher.find("removed", SOON, |event| event["event"] == "supervisor_healed");
    all_come_back("removed");
    fs::rename(&dir, gob.dir().join("aside")).unwrap();
    watcher.find("moved away", SOON, |event| event["event"] == "supervisor_healed");
    all_come_back("moved away");
    fs::remove_file(socket(&gob, "b")).unwrap();
    all_come_back("deleted afterwards");
}

#[test]
fn a_lost_socket_is_signalled_harmlessly() {
    let gob = Gob::new();
    gob.script("hears", &[Step::Hear(vec!["URG".to_owned()]), Step::Listen, Step::Handshake]);
    let pids = ["does not", "hears"].map(|graph| start(&gob, graph));
    let mut watcher = gob.events();
    // A subscriber hears of the healing after all workers were signalled.
    fs::rename(gob.runtime_dir(), gob.dir().join("aside")).unwrap();
    watcher.find("moved away", SOON, |event| event["event"] == "supervisor_healed");
    let log = gob.log("hears", 1, "stdout");
    let heard = || fs::read_to_string(&log).is_ok_and(|text| text.contains("heard SIGURG\n"));
    assert!(wait::until(SOON, heard), "{}", gob.logs());
    comes_back(&gob.socket(), "the supervisor's");
    let list = gob.connect().ok("list", json!({}));
    let workers = list["workers"].as_array().unwrap();
    assert!(workers.len() == 2 && workers.iter().all(|worker| worker["state"] == "ready"), "{list}");
    assert!(pids.iter().all(|pid| process::is_alive(*pid)));
}
