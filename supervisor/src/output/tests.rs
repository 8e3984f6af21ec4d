//! The data plane with real pipes, real files and both threads.

mod bench;
mod budget;
mod endings;
mod files;
mod floods;
mod trouble;
mod watching;

use super::*;
use crate::mailbox::{Happened, Post};
use gob_protocol::handshake::HandshakeReader;
use gob_protocol::logindex::{RECORD_BYTES, Record, Stream};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(20);

/// A data plane with a directory of its own and a stand-in for the loop.
struct Plane {
    dir: PathBuf,
    config: OutputConfig,
    output: Output,
    mailbox: Receiver<Happened>,
    runtime: tokio::runtime::Runtime,
}

impl Plane {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// Creates one with another configuration, or with existing files.
    fn with(change: impl FnOnce(&mut OutputConfig)) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("gob-output-test-{}-{number}", std::process::id()));
        fs::remove_dir_all(&dir).ok();
        fs::create_dir(&dir).unwrap();
        let log_dir = dir.join("logs");
        let mut config =
            OutputConfig { log_dir, rotate_bytes: 10 << 20, keep: 5, budget_bytes: 1 << 30, runs: 100 };
        change(&mut config);
        Self::start(dir, config, 64)
    }

    fn start(dir: PathBuf, config: OutputConfig, room: usize) -> Self {
        let (to_loop, mailbox) = tokio::sync::mpsc::channel(room);
        let output = Output::start(config.clone(), Post::new(&to_loop, Happened::Output)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { dir, config, output, mailbox, runtime }
    }

    /// Attaches a run and returns the worker's ends of its pipes.
    fn attach(&self, key: &RunKey) -> Worker {
        self.attach_watched(key, Watches::default())
    }

    fn attach_watched(&self, key: &RunKey, watches: Watches) -> Worker {
        let (stdout, out) = pipe();
        let (stderr, err) = pipe();
        let pipes = Pipes { stdout: Some(stdout), stderr: Some(stderr) };
        let tap = self.output.attach(key.clone(), pipes, watches);
        Worker { out, err, tap }
    }

    /// Returns the next report.
    fn report(&mut self) -> FromOutput {
        let next = self.runtime.block_on(async { timeout(DEADLINE, self.mailbox.recv()).await });
        let Some(Happened::Output(report)) = next.expect("a report by the deadline") else {
            panic!("no report")
        };
        report
    }

    /// Waits until a run has ended for the data plane: both streams have, and its files are closed.
    fn ended(&self, tap: &Arc<Tap>) {
        let deadline = std::time::Instant::now() + DEADLINE;
        while Arc::strong_count(tap) > 1 {
            assert!(std::time::Instant::now() < deadline, "the run goes on");
            std::thread::yield_now();
        }
        self.settle();
    }

    /// Reads and writes all output.
    fn settle(&self) {
        assert!(self.output.flush(DEADLINE));
    }

    /// Drains a run.
    fn drain(&mut self, key: &RunKey) {
        self.output.drain(key.clone());
        assert_eq!(self.report(), FromOutput::Drained { key: key.clone() });
    }

    fn path(&self, key: &RunKey, stream: Stream) -> PathBuf {
        self.config.log_dir.join(gob_protocol::logindex::log_path(&key.name, key.run, stream))
    }

    fn text(&self, key: &RunKey, stream: Stream) -> String {
        fs::read_to_string(self.path(key, stream)).unwrap()
    }

    fn index_path(&self, key: &RunKey) -> PathBuf {
        self.path(key, Stream::Stdout).with_file_name(format!("{}.idx", key.run))
    }

    fn index(&self, key: &RunKey) -> Vec<Record> {
        let bytes = fs::read(self.index_path(key)).unwrap();
        assert_eq!(bytes.len() % RECORD_BYTES, 0, "whole records");
        bytes.as_chunks::<RECORD_BYTES>().0.iter().map(|bytes| Record::from_bytes(bytes).unwrap()).collect()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // Nothing writes any more, so no report comes back.
        self.output.flush(DEADLINE);
        fs::remove_dir_all(&self.dir).ok();
    }
}

/// The worker's ends of its pipes.
struct Worker {
    out: File,
    err: File,
    tap: Arc<Tap>,
}

impl Worker {
    fn out(&mut self, text: &str) {
        self.out.write_all(text.as_bytes()).unwrap();
    }

    fn err(&mut self, text: &str) {
        self.err.write_all(text.as_bytes()).unwrap();
    }

    /// Ends both streams.
    fn hang_up(self) -> Arc<Tap> {
        self.tap
    }
}

fn pipe() -> (OwnedFd, File) {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    (read, File::from(write))
}

fn key(name: &str, run: u64) -> RunKey {
    RunKey { name: Name::any(name).unwrap(), run }
}

/// Reads all existing files of a stream, oldest first.
fn all_files(path: &Path) -> Vec<String> {
    let older = (1..).map_while(|n| fs::read_to_string(rotation::rotated(path, n)).ok());
    let mut files: Vec<String> = older.collect();
    files.reverse();
    files.extend(fs::read_to_string(path).ok());
    files
}

/// Watches for the handshake.
fn handshake() -> Watches {
    Watches { ready: Some(Box::new(HandshakeReader::default())), well: None }
}
