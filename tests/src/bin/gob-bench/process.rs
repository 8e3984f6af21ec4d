//! Figures of whole processes: from the spawn of a client to its end.

use crate::Samples;
use crate::table::{Table, Target, medians};
use gob_tests::Gob;
use gob_tests::process::Handle;
use gob_tests::wait::DEADLINE;
use nix::sys::signal::Signal;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Returns a command in the variables of this world, with its output discarded.
pub fn command(gob: &Gob, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(gob.env()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Milliseconds from the spawn of a process to its successful end.
pub fn timed(command: &mut Command) -> f64 {
    let begun = Instant::now();
    let status = command.status().expect("a process");
    let elapsed = begun.elapsed().as_secs_f64() * 1e3;
    assert!(status.success(), "{command:?}: {status}");
    elapsed
}

fn floor_binary() -> PathBuf {
    gob_tests::gob::built_binaries().join("gob-floor")
}

/// A floor server, ended by its handle.
pub struct Floor {
    socket: PathBuf,
    process: Child,
}

impl Floor {
    /// Starts the floor's server in this world's directory.
    pub fn start(gob: &Gob, worker: &[String]) -> Self {
        let socket = gob.dir().join("floor-server.sock");
        let process = under_gob(&mut command(gob, &floor_binary()), gob)
            .arg("serve")
            .arg(&socket)
            .arg("1")
            .args(worker)
            .spawn();
        let process = process.expect("the floor");
        assert!(gob_tests::wait::until(DEADLINE, || std::os::unix::net::UnixStream::connect(&socket).is_ok()));
        Self { socket, process }
    }

    /// Returns a call of its client.
    pub fn call(&self, gob: &Gob, verb: &str) -> Command {
        let mut call = command(gob, &floor_binary());
        call.arg(verb).arg(&self.socket);
        call
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Measures a client that starts the supervisor and has its answer.
pub fn cold_start(table: &mut Table, samples: &Samples) {
    let samples = samples.processes.div_ceil(5);
    let gob_cold = || {
        let gob = Gob::new();
        let gobctl = gob.bin("gobctl");
        timed(command(&gob, &gobctl).arg("ping"))
    };
    let floor_cold = || {
        let gob = Gob::new();
        let socket = gob.dir().join("floor.sock");
        let elapsed = timed(command(&gob, &floor_binary()).arg("cold").arg(&socket));
        let peer = std::os::unix::net::UnixStream::connect(&socket).expect("the floor");
        let peer =
            nix::sys::socket::getsockopt(&peer, nix::sys::socket::sockopt::PeerCredentials).expect("its pid");
        let floor = Handle::open(peer.pid()).expect("its process");
        floor.signal(Signal::SIGKILL);
        assert!(floor.wait_gone(DEADLINE));
        elapsed
    };
    let measured = medians(samples, gob_cold, floor_cold);
    table.against("cold start: first ping answered", "ms", measured, "floor", Target::RatioAtMost(3.0));
}

/// Measures one request of a client that is a process.
pub fn ping(table: &mut Table, samples: &Samples, gob: &Gob) {
    gob.ctl(["ping"]).ok();
    let floor = Floor::start(gob, &[]);
    let gobctl = gob.bin("gobctl");
    let ours = || timed(command(gob, &gobctl).arg("ping"));
    let measured = medians(samples.processes, ours, || timed(&mut floor.call(gob, "ping")));
    table.against("warm gobctl ping", "ms", measured, "floor", Target::RatioAtMost(1.8));
}

/// Sets the environment of a worker under gob: the same worker, without its own watch of the socket.
fn under_gob<'a>(command: &'a mut Command, gob: &Gob) -> &'a mut Command {
    command.env("GOB_SOCKET", gob.socket())
}

fn worker_args(gob: &Gob, graph: &str) -> Vec<String> {
    let text = |path: PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
    let socket = gob.runtime_dir().join(format!("graphs/{graph}.sock"));
    [
        text(gob.bin("gob-graph-worker")),
        "--root-dir".to_owned(),
        text(gob.data_dir()),
        "--graph".to_owned(),
        graph.to_owned(),
        "--socket".to_owned(),
        text(socket),
    ]
    .to_vec()
}

/// Measures the worker alone: milliseconds from its spawn until its handshake line has been read.
fn bare_spawn(gob: &Gob) -> f64 {
    let args = worker_args(gob, "bare");
    let begun = Instant::now();
    let mut bare = command(gob, Path::new(&args[0]));
    let bare = under_gob(&mut bare, gob).args(&args[1..]).process_group(0).stdout(Stdio::piped());
    let mut worker = bare.spawn().expect("a worker");
    let mut line = String::new();
    BufReader::new(worker.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
    let elapsed = begun.elapsed().as_secs_f64() * 1e3;
    assert!(line.contains("\"ready\":true"), "{line}");
    Handle::open(worker.id() as i32).expect("a child").signal(Signal::SIGTERM);
    worker.wait().expect("a child");
    elapsed
}

/// Measures from a start to the ready worker and back.
pub fn start_and_stop(table: &mut Table, samples: &Samples, gob: &Gob) {
    let samples = samples.processes.div_ceil(2);
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    conn.ok("stop", json!({"name": "g"}));
    let ours = || {
        let begun = Instant::now();
        conn.ok("start", json!({"graph": "g"}));
        let elapsed = begun.elapsed().as_secs_f64() * 1e3;
        conn.ok("stop", json!({"name": "g"}));
        elapsed
    };
    let measured = medians(samples, ours, || bare_spawn(gob));
    table.against("start → ready, on a connection", "ms", measured, "bare spawn", Target::RatioAtMost(1.4));

    let floor = Floor::start(gob, &worker_args(gob, "floor"));
    let gobctl = gob.bin("gobctl");
    // A floor whose worker does not come up is no floor.
    timed(&mut floor.call(gob, "start"));
    let up = std::os::unix::net::UnixStream::connect(gob.runtime_dir().join("graphs/floor.sock"));
    up.expect("the floor's worker");
    timed(&mut floor.call(gob, "stop"));
    let stops = std::cell::RefCell::new((Vec::new(), Vec::new()));
    let ours = || {
        let elapsed = timed(command(gob, &gobctl).args(["start", "g"]));
        stops.borrow_mut().0.push(timed(command(gob, &gobctl).args(["stop", "g"])));
        elapsed
    };
    let theirs = || {
        let elapsed = timed(&mut floor.call(gob, "start"));
        stops.borrow_mut().1.push(timed(&mut floor.call(gob, "stop")));
        elapsed
    };
    let measured = medians(samples, ours, theirs);
    table.against("gobctl start, worker ready", "ms", measured, "floor", Target::RatioAtMost(1.4));
    let (ours, theirs) = stops.into_inner();
    let (mut ours, mut theirs) = (ours.into_iter(), theirs.into_iter());
    let next = |values: &mut std::vec::IntoIter<f64>| values.next().expect("a sample");
    let measured = medians(samples, || next(&mut ours), || next(&mut theirs));
    table.against("gobctl stop, worker gone", "ms", measured, "floor", Target::RatioAtMost(1.3));
}
