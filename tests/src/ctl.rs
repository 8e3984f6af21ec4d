//! Calls of gobctl, with exactly the environment that a test gives and a deadline.

use crate::process::Handle;
use crate::wait::DEADLINE;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A call of gobctl before its start.
#[derive(Debug)]
pub struct Ctl {
    command: Command,
    stdin: Option<Vec<u8>>,
    shown: String,
}

/// The result of a call.
#[derive(Debug)]
pub struct Output {
    /// The command line.
    pub shown: String,
    /// The exit code; 128 plus the signal when one ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ctl {
    /// Creates a call of a program with this environment and no other.
    #[must_use]
    pub fn new(program: &Path, env: Vec<(String, String)>) -> Self {
        let mut command = Command::new(program);
        command.env_clear().envs(env).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, stdin: None, shown: program.display().to_string() }
    }

    /// Adds arguments.
    pub fn args<'a>(&mut self, args: impl IntoIterator<Item = &'a str>) -> &mut Self {
        for arg in args {
            self.command.arg(arg);
            self.shown.push(' ');
            self.shown.push_str(arg);
        }
        self
    }

    /// Sets a variable.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.command.env(name, value);
        self
    }

    /// Removes a variable.
    pub fn env_remove(&mut self, name: &str) -> &mut Self {
        self.command.env_remove(name);
        self
    }

    /// Sets the working directory.
    pub fn cwd(&mut self, dir: &Path) -> &mut Self {
        self.command.current_dir(dir);
        self
    }

    /// Sets its standard input.
    pub fn stdin(&mut self, text: &str) -> &mut Self {
        self.stdin = Some(text.as_bytes().to_vec());
        self.command.stdin(Stdio::piped());
        self
    }

    /// Returns the command itself, for further settings.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts it and leaves it running; the caller ends it.
    pub fn spawn(&mut self) -> Child {
        self.command.spawn().unwrap_or_else(|e| panic!("{}: {e}", self.shown))
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it has not ended, and closed its output, by the deadline.
    pub fn run(&mut self) -> Output {
        self.run_within(DEADLINE)
    }

    /// Runs it to its end within this time.
    ///
    /// # Panics
    /// When it has not ended by then, or another process still holds its output.
    pub fn run_within(&mut self, timeout: Duration) -> Output {
        let mut child = self.spawn();
        if let Some(text) = self.stdin.take() {
            let mut stdin = child.stdin.take().expect("a pipe");
            // A program that does not read to the end shows that by its exit code.
            drop(stdin.write_all(&text));
        }
        let stdout = drain(child.stdout.take().expect("a pipe"));
        let stderr = drain(child.stderr.take().expect("a pipe"));
        let handle = Handle::open(child.id() as i32).expect("a child");
        let in_time = handle.wait_gone(timeout);
        if !in_time {
            handle.signal(Signal::SIGKILL);
        }
        let status = child.wait().expect("a child");
        let take = |receiver: std::sync::mpsc::Receiver<String>, what: &str| {
            receiver.recv_timeout(timeout).unwrap_or_else(|_| panic!("{}: {what} is still open", self.shown))
        };
        let (stdout, stderr) = (take(stdout, "stdout"), take(stderr, "stderr"));
        assert!(in_time, "{} ran longer than {timeout:?}\n{stdout}\n{stderr}", self.shown);
        Output { shown: self.shown.clone(), code: exit_code(status), stdout, stderr }
    }

    /// Runs it and expects success; returns its output.
    pub fn ok(&mut self) -> String {
        let output = self.run();
        assert_eq!(output.code, 0, "{output}");
        output.stdout
    }

    /// Runs it and expects one JSON document.
    pub fn json(&mut self) -> Value {
        let output = self.run();
        assert_eq!(output.code, 0, "{output}");
        serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output}"))
    }

    /// Runs it and expects this exit code.
    pub fn fails(&mut self, code: i32) -> Output {
        let output = self.run();
        assert_eq!(output.code, code, "{output}");
        output
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shown, code, stdout, stderr } = self;
        write!(f, "{shown}\nexit {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Reads to the end on a thread of its own, so that neither stream can block the other.
fn drain(mut from: impl Read + Send + 'static) -> std::sync::mpsc::Receiver<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if from.read_to_end(&mut bytes).is_ok() {
            // The receiver is gone when the test has failed.
            drop(sender.send(String::from_utf8_lossy(&bytes).into_owned()));
        }
    });
    receiver
}
