//! The fixture worker's script, as data: a test writes it, `gob-fixture` plays it.
//!
//! The script of a graph is `<root_dir>/<encoded graph>/fixture.json`, or `fixture.<run>.json` for one run of
//! it. Without one, a fixture listens, writes its handshake, and serves its control socket.

use serde::{Deserialize, Serialize};

/// One step; the next one follows when it is done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Ignores these signals, by name.
    Ignore(Vec<String>),
    /// Writes a line, `heard NAME`, whenever one of these signals comes.
    Hear(Vec<String>),
    /// Makes another process and waits until it has taken its form.
    Child(Child),
    /// Writes text; `{HANDSHAKE}` in it stands for the usual handshake line without its newline.
    Write(Write),
    /// Writes these bytes to standard output.
    Bytes(Vec<u8>),
    /// Floods a stream.
    Flood(Flood),
    /// Binds and serves the control socket.
    Listen,
    /// Writes the usual handshake line.
    Handshake,
    /// Serves HTTP on the port of its argument `--port`, or on any.
    Http(Http),
    /// Sends this to the socket of `NOTIFY_SOCKET`.
    Notify(String),
    /// Waits until a test writes to this FIFO in the graph's directory.
    WaitFor(String),
    /// Exits with this code.
    Exit(i32),
    /// Sends itself this signal.
    Kill(String),
    /// Closes standard output.
    CloseStdout,
    /// Closes all but the standard streams, as daemons do at their start.
    CloseOthers,
    /// Does nothing for ever.
    Hang,
}

/// A process that the fixture makes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Child {
    /// Leads a session of its own.
    pub setsid: bool,
    /// Forks twice with a new session between, so that its parent is not the fixture.
    pub detach: bool,
    /// Has no environment.
    pub env_clear: bool,
    /// Closes all its descriptors.
    pub close_fds: bool,
    /// Ignores TERM, HUP and INT.
    pub ignore_term: bool,
    /// Stops itself with SIGSTOP.
    pub stop: bool,
    /// Keeps the fixture's standard output and error open.
    pub hold_output: bool,
    /// Resets its resource limits to the defaults, and with them the mark of its run.
    pub reset_limits: bool,
    /// Ends its main thread and goes on in another one.
    pub end_main_thread: bool,
    /// Becomes this user, at last.
    pub uid: Option<u32>,
    /// Goes on as its own child and ends, this many times in a row, and is gone then.
    pub hops: u32,
    /// The pause before each of them.
    pub hop_us: u32,
}

/// Returns every way out of a process group, out of the environment, and out of politeness: with the fixture
/// itself, a tree of seven processes.
#[must_use]
pub fn every_escape() -> Vec<Step> {
    let away = |env_clear, ignore_term, stop| Child {
        detach: true,
        env_clear,
        close_fds: true,
        ignore_term,
        stop,
        ..Default::default()
    };
    vec![
        Step::Ignore(vec!["TERM".to_owned()]),
        Step::Child(Child::default()),
        Step::Child(Child { setsid: true, ..Default::default() }),
        Step::Child(Child { setsid: true, env_clear: true, ignore_term: true, ..Default::default() }),
        Step::Child(away(false, false, false)),
        Step::Child(away(true, true, false)),
        Step::Child(away(true, true, true)),
    ]
}

/// An HTTP server.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The address that it binds; 127.0.0.1 when absent.
    pub host: Option<String>,
    /// The port that it binds; when absent the one of the argument `--port`, else any.
    pub port: Option<u16>,
    /// The line that it writes once it listens, in which `{PORT}` stands for its port; a line of JSON when
    /// absent.
    pub line: Option<String>,
    /// Requests that are answered 503 before the first 200.
    pub unready: u32,
    /// A file in the graph's directory during whose existence it answers 503.
    pub sick_while: Option<String>,
    /// Ends with code 0 on a POST; otherwise a POST is answered 403.
    pub takes_shutdown: bool,
}

/// Text for one of the streams.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Write {
    /// The text.
    pub text: String,
    /// Writes to standard error in place of standard output.
    pub stderr: bool,
    /// Bytes per write; all in one when 0.
    pub chunk: usize,
}

/// Many bytes for one of the streams.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flood {
    /// The number of bytes.
    pub bytes: u64,
    /// Bytes between newlines; no newline when 0.
    pub line: usize,
    /// Writes to standard error in place of standard output.
    pub stderr: bool,
}

/// The surroundings of a worker at its begin, before its own runtime changed anything.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    /// Its process id.
    pub pid: i32,
    /// Its parent.
    pub ppid: i32,
    /// Its process group.
    pub pgid: i32,
    /// Its session.
    pub sid: i32,
    /// The signal that its parent's death sends it; 0 for none.
    pub pdeathsig: i32,
    /// Program and arguments.
    pub args: Vec<String>,
    /// Its working directory.
    pub cwd: String,
    /// Its environment as `NAME=value`.
    pub env: Vec<String>,
    /// Descriptor number and the file that it refers to.
    pub fds: Vec<(i32, String)>,
    /// Soft and hard limit of open files.
    pub nofile: (u64, u64),
    /// Lines of `/proc/self/status`: `SigBlk`, `SigIgn`, `SigCgt` as bit masks in hex, `Umask` in octal.
    pub status: std::collections::BTreeMap<String, String>,
}

impl Facts {
    /// Returns the value of an environment variable.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}
