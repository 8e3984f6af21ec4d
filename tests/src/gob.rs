//! One user's whole world: its directories, its programs, and connections to them.

mod ending;
mod fixture;

use crate::conn::Conn;
use crate::ctl::Ctl;
use crate::program;
use crate::wait::{self, DEADLINE};
use gob_protocol::name::encode_safe;
use serde_json::{Value, json};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The program in `gob-graph-worker`'s place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worker {
    /// The fixture.
    Fixture,
    /// gob's own.
    Real,
}

/// Directories and binaries of one test.
#[derive(Debug)]
pub struct Gob {
    dir: PathBuf,
    state: PathBuf,
    checks: bool,
}

impl Default for Gob {
    fn default() -> Self {
        Self::new()
    }
}

impl Gob {
    /// Creates a world with the fixture as its worker.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Worker::Fixture)
    }

    /// Creates a world with this worker. Nothing runs in it yet.
    ///
    /// # Panics
    /// When the binaries were not built.
    #[must_use]
    pub fn with(worker: Worker) -> Self {
        let template = CString::new(std::env::temp_dir().join("gob-XXXXXX").as_os_str().as_bytes());
        let mut template = template.expect("a path without NUL").into_bytes_with_nul();
        // SAFETY: the template is a C string that mkdtemp may write to.
        let made = unsafe { libc::mkdtemp(template.as_mut_ptr().cast()) };
        assert!(!made.is_null(), "mkdtemp: {}", std::io::Error::last_os_error());
        template.pop();
        let dir = PathBuf::from(String::from_utf8(template).expect("a path in UTF-8"));
        for part in ["bin", "home", "data", "state"] {
            fs::create_dir(dir.join(part)).expect("a directory");
        }
        // `GOB_CONFIG` names it, so it must exist.
        fs::write(dir.join("config.toml"), "").expect("a configuration");
        let gob = Self { state: dir.join("state"), dir, checks: true };
        let worker = if worker == Worker::Real { "gob-graph-worker" } else { "gob-fixture" };
        for (from, to) in [
            ("gobd", "gobd"),
            ("gob-keeper", "gob-keeper"),
            ("gobctl", "gobctl"),
            (worker, "gob-graph-worker"),
        ] {
            let from = program_to_test(from);
            assert!(from.exists(), "{} is missing: cargo build --bins", from.display());
            let to = gob.bin(to);
            if fs::hard_link(&from, &to).is_err() {
                program::copy(&from, &to, 0o755);
            }
        }
        gob
    }

    /// Leaves out the check for processes that are left behind, for a test that makes such on purpose and
    /// ends them itself.
    pub fn without_leftover_check(&mut self) {
        self.checks = false;
    }

    /// Returns the directory that holds all others.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the path of a program.
    #[must_use]
    pub fn bin(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    /// Returns the runtime directory, which does not exist at first.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// Returns the state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.state.clone()
    }

    /// Moves the state directory below this directory, which does not exist yet: a mount point can't be
    /// deleted, and a directory below it can. Nothing may run yet.
    pub fn move_state_below(&mut self, name: &str) -> PathBuf {
        let above = self.dir.join(name);
        fs::create_dir(&above).expect("a directory");
        self.state = above.join("state");
        above
    }

    /// Returns the data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Returns the supervisor's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime_dir().join("daemon.sock")
    }

    /// Returns a graph's own directory.
    #[must_use]
    pub fn graph_dir(&self, graph: &str) -> PathBuf {
        self.data_dir().join(encode_safe(graph))
    }

    /// Returns the variables that every program of this world gets, and no others.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let path = |p: PathBuf| p.to_str().expect("a path in UTF-8").to_owned();
        [
            ("HOME", path(self.dir.join("home"))),
            ("USER", "tester".to_owned()),
            ("PATH", format!("{}:/usr/bin:/bin", path(self.dir.join("bin")))),
            ("LANG", "C.UTF-8".to_owned()),
            ("GOB_RUNTIME_DIR", path(self.runtime_dir())),
            ("GOB_STATE_DIR", path(self.state_dir())),
            ("GOB_DATA_DIR", path(self.data_dir())),
            ("GOB_CONFIG", path(self.dir.join("config.toml"))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Creates a call of gobctl.
    #[must_use]
    pub fn ctl<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ctl {
        let mut ctl = Ctl::new(&self.bin("gobctl"), self.env());
        ctl.args(args);
        ctl
    }

    /// Starts the supervisor, unless it runs, and connects without a hello.
    #[must_use]
    pub fn connect(&self) -> Conn {
        match std::os::unix::net::UnixStream::connect(self.socket()) {
            Ok(stream) => Conn::over(stream),
            Err(_) => {
                self.ctl(["ping"]).ok();
                Conn::open(&self.socket())
            }
        }
    }

    /// Starts the supervisor, unless it runs, and connects as this owner.
    #[must_use]
    pub fn connect_as(&self, owner: &str) -> Conn {
        self.connect().hello(owner)
    }

    /// Returns a connection that gets every event from now on.
    #[must_use]
    pub fn events(&self) -> Conn {
        let mut conn = self.connect_as("watcher");
        conn.ok("subscribe", json!({}));
        conn
    }

    /// Connects to the control socket of a graph's worker.
    #[must_use]
    pub fn worker(&self, graph: &str) -> Conn {
        let data = self.connect().ok("get", json!({"name": graph}));
        let endpoint = data["worker"]["endpoint"].as_str().expect("an endpoint");
        Conn::open(Path::new(endpoint.strip_prefix("unix:").expect("a Unix socket")))
    }

    /// Returns the path of a run's log file.
    #[must_use]
    pub fn log(&self, graph: &str, run: u64, stream: &str) -> PathBuf {
        self.state_dir().join("logs").join(encode_safe(graph)).join(format!("{run}.{stream}.log"))
    }

    /// Returns the line in the lock file, where a supervisor runs.
    #[must_use]
    pub fn lock_line(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.state_dir().join("gobd.lock")).ok()?).ok()
    }

    /// Returns the supervisor's own status.
    #[must_use]
    pub fn status(&self) -> Value {
        self.connect().ok("status", json!({}))
    }

    /// Returns the pid of the supervisor.
    #[must_use]
    pub fn gobd_pid(&self) -> i32 {
        self.status()["pid"].as_i64().expect("a pid") as i32
    }

    /// Waits for a supervisor of another life than this one; returns its pid.
    pub fn wait_other_instance(&self, instance: &str) -> i32 {
        let mut pid = None;
        let found = wait::until(DEADLINE, || {
            let Ok(stream) = std::os::unix::net::UnixStream::connect(self.socket()) else { return false };
            let mut conn = Conn::over(stream);
            if conn.try_send(b"{\"id\":1,\"type\":\"status\"}\n").is_err() {
                return false;
            }
            let Some(frame) = conn.frame_within(DEADLINE) else { return false };
            pid = frame["data"]["pid"].as_i64();
            frame["data"]["instance"].as_str().is_some_and(|other| other != instance)
        });
        assert!(found, "no other supervisor came");
        pid.expect("a pid") as i32
    }
}

/// Returns the path of a program to test: one of `GOB_TEST_PROGRAMS`, the directory of an installed package, if it is there; else the
/// one that cargo built.
fn program_to_test(name: &str) -> PathBuf {
    let installed = std::env::var_os("GOB_TEST_PROGRAMS").map(|dir| PathBuf::from(dir).join(name));
    installed.filter(|path| path.exists()).unwrap_or_else(|| built_binaries().join(name))
}

/// Returns the directory where cargo puts binaries: beside this executable, or above it when that is a test.
#[must_use]
pub fn built_binaries() -> PathBuf {
    let mut dir = std::env::current_exe().expect("this executable");
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    dir
}
