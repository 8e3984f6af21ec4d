//! Starts workers and speaks with them. A worker is killed when it is dropped; no helper sleeps.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for one answer; a test that waits longer fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Directories of one test.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path().join("run/demo.sock")
    }

    pub(crate) fn graph_file(&self) -> PathBuf {
        self.path().join("graphs/demo/graph.sqlite")
    }

    /// Starts a worker for the graph `demo`.
    pub(crate) fn start(&self) -> Worker {
        self.try_start(&self.socket()).unwrap_or_else(|failed| panic!("{failed:?}"))
    }

    pub(crate) fn try_start(&self, socket: &Path) -> Result<Worker, Failed> {
        Self::run(&mut self.command(socket))
    }

    /// Starts a worker as gob does, with a socket in the directory that gob watches.
    pub(crate) fn start_under_gob(&self) -> Worker {
        let gob = self.path().join("run");
        let mut command = self.command(&gob.join("graphs/demo.sock"));
        command.env("GOB_SOCKET", gob.join("daemon.sock")).process_group(0);
        Self::run(&mut command).unwrap_or_else(|failed| panic!("{failed:?}"))
    }

    fn command(&self, socket: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gob-graph-worker"));
        command
            .arg("--root-dir")
            .arg(self.path().join("graphs"))
            .args(["--graph", "demo", "--socket"])
            .arg(socket)
            .env_remove("GOB_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(command: &mut Command) -> Result<Worker, Failed> {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let handshake: Value = serde_json::from_str(&line).unwrap();
        if handshake["ready"] == true {
            let endpoint = handshake["endpoint"].as_str().unwrap();
            let socket = PathBuf::from(endpoint.strip_prefix("unix:").unwrap());
            return Ok(Worker { child, handshake, socket });
        }
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = child.wait().unwrap();
        Err(Failed { status, handshake, stderr })
    }
}

/// A worker that did not start.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) status: ExitStatus,
    pub(crate) handshake: Value,
    pub(crate) stderr: String,
}

/// A running worker.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    pub(crate) handshake: Value,
    pub(crate) socket: PathBuf,
}

impl Worker {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.socket)
    }

    /// Sends SIGKILL and waits for the end.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGKILL and waits until no process has its standard error open any more.
    pub(crate) fn kill_and_read(mut self) -> (ExitStatus, String) {
        self.child.kill().unwrap();
        self.end()
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.child.wait().unwrap()
    }

    /// Waits until it ends by itself, and returns its standard error.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Returns whether it has an inotify descriptor.
    pub(crate) fn has_inotify(&self) -> bool {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        let mut targets = open.map(|fd| std::fs::read_link(fd.unwrap().path()).unwrap());
        targets.any(|target| target.as_os_str() == "anon_inode:inotify")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        if std::thread::panicking()
            && let Some(mut stderr) = self.child.stderr.take()
        {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            eprintln!("the worker said:\n{text}");
        }
    }
}

/// One connection.
pub(crate) struct Client {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    next: i64,
}

impl Client {
    pub(crate) fn connect(socket: &Path) -> Self {
        Self::new(UnixStream::connect(socket).unwrap())
    }

    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader, next: 1 }
    }

    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Writes bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads one frame; null at the end of the stream.
    pub(crate) fn read(&mut self) -> Value {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Value::Null,
            Ok(_) => serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => Value::Null,
            Err(e) => panic!("{e}"),
        }
    }

    /// Sends a request and does not wait.
    pub(crate) fn send(&mut self, kind: &str, payload: &Value) -> i64 {
        let id = self.next;
        self.next += 1;
        let line = json!({"id": id, "type": kind, "payload": payload});
        self.write(format!("{line}\n").as_bytes());
        id
    }

    /// Sends a request and returns its response, without the events before it.
    pub(crate) fn call(&mut self, kind: &str, payload: &Value) -> Value {
        let id = self.send(kind, payload);
        loop {
            let frame = self.read();
            if frame.get("event").is_none() {
                assert_eq!(frame["id"], id, "{frame}");
                return frame;
            }
            assert_eq!(frame["id"], id, "{frame}");
        }
    }

    /// Returns the data of a request that must succeed.
    pub(crate) fn data(&mut self, kind: &str, payload: &Value) -> Value {
        let mut frame = self.call(kind, payload);
        assert_eq!(frame["success"], true, "{frame}");
        frame["data"].take()
    }

    /// Returns the error of a request that must fail.
    pub(crate) fn error(&mut self, kind: &str, payload: &Value) -> Value {
        let mut frame = self.call(kind, payload);
        assert_eq!(frame["success"], false, "{frame}");
        frame["error"].take()
    }

    /// Returns all lines of the graph.
    pub(crate) fn export(&mut self) -> Vec<Value> {
        let id = self.send("export", &json!({}));
        let mut lines = Vec::new();
        loop {
            let mut frame = self.read();
            assert_eq!(frame["id"], id, "{frame}");
            if frame["event"] == "export_chunk" {
                lines.append(frame["lines"].as_array_mut().unwrap());
            } else {
                assert_eq!(frame["success"], true, "{frame}");
                let data = &frame["data"];
                let counted = data["nodes"].as_u64().unwrap() + data["edges"].as_u64().unwrap();
                assert_eq!(counted, lines.len() as u64);
                return lines;
            }
        }
    }

    pub(crate) fn counts(&mut self) -> (i64, i64) {
        let stats = self.data("stats", &json!({}));
        (stats["nodes"].as_i64().unwrap(), stats["edges"].as_i64().unwrap())
    }
}
