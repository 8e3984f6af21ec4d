//! Logseq's db-worker-node, as `tests/fixtures/db-worker-node.js` plays it, under gob and started by others.

use crate::Gob;
use crate::process::Handle;
use crate::require::{Need, skip};
use crate::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The stand-in.
pub const WORKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/db-worker-node.js");
/// The kind as people copy it.
const KIND: &str = include_str!("../../docs/examples/kinds/logseq.toml");

/// A world whose graphs are Logseq's.
#[derive(Debug)]
pub struct Logseq {
    /// Directories and binaries.
    pub gob: Gob,
    node: PathBuf,
}

impl Logseq {
    /// Creates a world with the example's kind, and with `change` made to its text. `None`, with a message:
    /// Node is not installed.
    #[must_use]
    pub fn new(change: impl Fn(&str) -> String) -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let found =
            std::env::split_paths(&path).map(|dir| dir.join("node")).find(|program| program.is_file());
        let Some(node) = found else {
            skip(Need::Node, "node is not here, so nobody tried Logseq's kind");
            return None;
        };
        let logseq = Self { gob: Gob::new(), node };
        fs::create_dir(logseq.root()).expect("a root");
        let quoted = |path: &Path| format!("{path:?}");
        let kind = change(KIND)
            .replace("\"node\"", &quoted(&logseq.node))
            .replace("\"~/logseq-cli/db-worker-node.js\"", &quoted(WORKER.as_ref()))
            .replace("\"~/logseq\"", &quoted(&logseq.root()));
        let config = logseq.gob.dir().join("config.toml");
        fs::write(&config, format!("default_kind = \"logseq\"\n{kind}")).expect("a configuration");
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).expect("its mode");
        Some(logseq)
    }

    /// Returns the directory that holds the graphs.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        fs::canonicalize(self.gob.dir()).expect("a real path").join("logseq")
    }

    /// Returns the lock file of a graph, by its directory.
    #[must_use]
    pub fn lock(&self, dir: &str) -> PathBuf {
        self.root().join("graphs").join(dir).join("db-worker.lock")
    }

    /// Returns the content of a graph's lock file.
    #[must_use]
    pub fn lock_note(&self, dir: &str) -> Value {
        serde_json::from_slice(&fs::read(self.lock(dir)).expect("a lock file")).expect("JSON")
    }

    /// Writes a lock file as another program would. A link is not followed.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn write_lock(&self, dir: &str, text: &str) {
        fs::create_dir_all(self.root().join("graphs").join(dir)).expect("a graph's directory");
        let mut file = File::options();
        let file = file.write(true).create(true).truncate(true).custom_flags(libc::O_NOFOLLOW);
        file.open(self.lock(dir)).and_then(|mut file| file.write_all(text.as_bytes())).expect("a lock file");
    }

    /// Returns the requests that the workers of a graph got, in order: `shutdown PID`, `SIGTERM PID`.
    #[must_use]
    pub fn asked(&self, dir: &str) -> Vec<String> {
        let text = fs::read_to_string(self.root().join("graphs").join(dir).join("asked")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Starts a worker as Logseq itself would, without gob.
    #[must_use]
    pub fn outside(&self, args: &[&str]) -> Outside {
        self.node(&[&[WORKER], args].concat())
    }

    /// Starts Node.
    #[must_use]
    pub fn node(&self, args: &[&str]) -> Outside {
        let mut command = Command::new(&self.node);
        Outside::start(command.args(args).env_clear().envs(self.gob.env()))
    }

    /// Starts the usual worker of a graph without gob, and waits until it listens.
    #[must_use]
    pub fn holder(&self, graph: &str, more: &[&str]) -> Outside {
        let root = self.root();
        let args = ["--repo", graph, "--root-dir", root.to_str().expect("a path in UTF-8")];
        let outside = self.outside(&[&args, more].concat());
        let listed = wait::until(DEADLINE, || self.port(outside.pid()).is_some());
        assert!(listed, "it does not come up");
        outside
    }

    /// Returns the port that a worker wrote down for itself.
    #[must_use]
    pub fn port(&self, pid: i32) -> Option<u16> {
        let text = fs::read_to_string(self.root().join("server-list")).ok()?;
        text.lines().find_map(|line| line.strip_prefix(&format!("{pid} "))?.parse().ok())
    }
}

/// A process that gob did not start; killed at the end.
#[derive(Debug)]
pub struct Outside {
    child: Child,
    handle: Handle,
}

impl Outside {
    /// Starts it.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let child = child.expect("a process");
        let handle = Handle::open(child.id() as i32).expect("a child");
        Self { child, handle }
    }

    /// Returns its pid.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.handle.pid
    }

    /// Returns whether it is alive.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        crate::process::is_alive(self.pid())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.handle.signal(signal);
    }

    /// Waits for its end; returns its exit code, if it has one.
    pub fn end(&mut self) -> Option<i32> {
        assert!(self.handle.wait_gone(DEADLINE), "{} does not end", self.pid());
        self.child.wait().expect("a child").code()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.handle.signal(Signal::SIGKILL);
        drop(self.child.wait());
    }
}

/// Sends one HTTP request; returns status and body.
#[must_use]
pub fn http(endpoint: &str, request: &str, body: &str) -> (u16, Value) {
    let address = endpoint.strip_prefix("http://").expect("an HTTP endpoint");
    let mut stream = TcpStream::connect(address).unwrap_or_else(|e| panic!("{endpoint}: {e}"));
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let length = body.len();
    write!(stream, "{request} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}")
        .expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}
