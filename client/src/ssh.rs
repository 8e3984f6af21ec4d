//! The supervisor of another machine, or of another user, over the system's OpenSSH.
//!
//! `ssh HOST gobctl proxy` carries the bytes of one connection between its standard streams and the socket over there. Host
//! keys, agents, passwords, jump hosts and shared connections are OpenSSH's own business and its configuration's. What stands
//! on its command line: no name that begins with a dash, words that sh, fish and csh read alike, and limits for a dead network.
//!
//! Owns the ssh processes that it starts: each is waited for by a thread, and ends with its connection.

mod address;
mod no_way;
mod process;
mod words;

pub use address::{Address, BadAddress};
pub use no_way::{NoWay, Why};
pub(crate) use process::Process;
pub use words::{decode, encode};

use crate::error::Error;
use gob_protocol::WireError;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use words::quoted;

/// Seconds in which the network has to carry a connection to the other machine's ssh, as docker has it.
const CONNECT_SECONDS: u32 = 30;
/// Seconds of silence after which ssh asks the other side for a sign of life, and how many may stay unanswered.
const ALIVE_SECONDS: u32 = 15;
const ALIVE_COUNT: u32 = 3;

/// Finds gobctl over there, for a shell that gives its place to this one: an interrupt of a terminal would end it, too. A shell that ssh starts for one command reads no profile, where a user's own directories would
/// be added to PATH.
const FIND: &str = "PATH=\"$PATH:$HOME/.local/bin:$HOME/.cargo/bin:/usr/local/bin\"; export PATH; \
                    command -v gobctl >/dev/null 2>&1 ||";

/// The exit code of a shell that has not found a program.
const NOT_FOUND: i32 = 127;
/// The exit code of a program that can't be executed.
const NOT_EXECUTABLE: i32 = 126;
/// The exit code of `gobctl proxy` without a supervisor; it has told why.
const PROXY_TOLD: i32 = 7;
/// The exit code of ssh for its own failures.
const SSH_FAILED: i32 = 255;

/// The way to another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    address: Address,
    asks: bool,
    shows_errors: bool,
    keeps_interrupts: bool,
}

/// The terminal that a program over there gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tty {
    /// None: its standard streams are pipes.
    None,
    /// One of its own, joined to the terminal of this program.
    Own,
}

impl Ssh {
    /// Creates a way that asks for no passwords, and keeps what ssh says for the error of a failed connection.
    #[must_use]
    pub const fn new(address: Address) -> Self {
        Self { address, asks: false, shows_errors: false, keeps_interrupts: false }
    }

    /// Sets whether ssh may ask for passwords and unknown host keys, on the terminal of this program.
    #[must_use]
    pub const fn asks(mut self, asks: bool) -> Self {
        self.asks = asks;
        self
    }

    /// Sets whether what ssh says goes to the standard error of this program as it is.
    #[must_use]
    pub const fn shows_errors(mut self, shows: bool) -> Self {
        self.shows_errors = shows;
        self
    }

    /// Sets whether the interrupts of a terminal leave ssh alone: this program handles them.
    #[must_use]
    pub const fn keeps_interrupts(mut self, keeps: bool) -> Self {
        self.keeps_interrupts = keeps;
        self
    }

    /// Returns its address.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the time limit of the first answer: of the network, of a person who types a password, of a supervisor that starts.
    #[must_use]
    pub(crate) const fn first_answer_within(&self) -> Duration {
        Duration::from_secs(if self.asks { 150 } else { 45 })
    }

    /// Returns the command that runs gobctl over there with these words. `missing` is what is printed where it is not
    /// found, with `\\n` for the end of a line, and exit code 7; without it the code is 127.
    #[must_use]
    pub fn gobctl(&self, tty: Tty, words: &[String], missing: Option<&str>) -> Command {
        let (script, mut args) = match missing {
            None => (format!("{FIND} exit {NOT_FOUND}; exec gobctl \"$@\""), vec!["gob".to_owned()]),
            Some(text) => (
                format!("{FIND} {{ printf %b \"$1\" >&2; exit 7; }}; shift; exec gobctl \"$@\""),
                vec!["gob".to_owned(), text.to_owned()],
            ),
        };
        args.extend(words.iter().cloned());
        let args: Vec<_> = args.iter().map(|word| quoted(word)).collect();
        let mut command = self.command(tty);
        command.args(["-o", "ClearAllForwardings=yes"]);
        self.to(&mut command, &format!("exec sh -c '{script}' {}", args.join(" ")));
        command
    }

    /// Returns the command that keeps local addresses forwarded for as long as its standard input is open. It prints a line
    /// once they are. Each pair is a local address and one over there, as `ssh -L` takes them.
    #[must_use]
    pub fn forward(&self, pairs: &[(String, String)]) -> Command {
        let mut command = self.command(Tty::None);
        // A shared connection would keep the forwarding after this command.
        command.args(["-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes"]);
        command.args(["-o", "StreamLocalBindMask=0177", "-o", "StreamLocalBindUnlink=yes"]);
        for (here, there) in pairs {
            command.arg("-L").arg(format!("{here}:{there}"));
        }
        self.to(&mut command, "exec sh -c 'echo forwarded; exec cat >/dev/null'");
        command
    }

    fn command(&self, tty: Tty) -> Command {
        let mut command = if self.keeps_interrupts {
            let mut command = Command::new("sh");
            command.args(["-c", "trap '' INT HUP QUIT; exec ssh \"$@\"", "ssh"]);
            command
        } else {
            Command::new("ssh")
        };
        match tty {
            Tty::None => command.arg("-T"),
            // Else ssh says in the end that the connection was closed.
            Tty::Own => command.args(["-t", "-o", "LogLevel=ERROR"]),
        };
        command.arg("-x").args(["-o", "RemoteCommand=none"]);
        command.args(["-o", &format!("ConnectTimeout={CONNECT_SECONDS}")]);
        command.args(["-o", &format!("ServerAliveInterval={ALIVE_SECONDS}")]);
        command.args(["-o", &format!("ServerAliveCountMax={ALIVE_COUNT}")]);
        if !self.asks {
            command.args(["-o", "BatchMode=yes"]);
        }
        command
    }

    /// Adds the destination, behind a mark after which nothing is an option, and the command line for the shell over there.
    fn to(&self, command: &mut Command, line: &str) {
        if let Some(port) = self.address.port() {
            command.args(["-p", &port.to_string()]);
        }
        if let Some(user) = self.address.user() {
            command.args(["-l", user]);
        }
        command.args(["--", self.address.host(), line]);
    }

    /// Joins the standard input and output of this program to the socket of the supervisor over there, until one of them ends.
    /// Returns the exit code of `gobctl proxy`, which tells its own errors in lines of the protocol.
    ///
    /// # Errors
    /// [`Error::Ssh`], with the last words of ssh, where it failed or found no gobctl that could be run.
    pub fn relay(&self, autostart: bool, waits: bool) -> Result<u8, Error> {
        let quiet = self.clone().shows_errors(false);
        let process = quiet.proxy(autostart, waits, Stdio::inherit(), Stdio::inherit())?;
        let no_ssh = |source: io::Error| self.no_way(Why::NoSsh(source), String::new());
        process.end_with(io::stdout()).inspect_err(|_| process.end()).map_err(no_ssh)?;
        match process.wait() {
            Some(code @ (0 | PROXY_TOLD)) => Ok(code.try_into().unwrap_or_default()),
            _ => Err(self.why(&process)),
        }
    }

    /// Begins a connection to the supervisor over there.
    pub(crate) fn connect(&self, autostart: bool, waits: bool) -> Result<(UnixStream, Arc<Process>), Error> {
        let no_ssh = |source: io::Error| self.no_way(Why::NoSsh(source), String::new());
        let (ours, theirs) = UnixStream::pair().map_err(no_ssh)?;
        let input = Stdio::from(OwnedFd::from(theirs.try_clone().map_err(no_ssh)?));
        let process = self.proxy(autostart, waits, input, Stdio::from(OwnedFd::from(theirs)))?;
        Ok((ours, process))
    }

    fn proxy(
        &self,
        autostart: bool,
        waits: bool,
        input: Stdio,
        output: Stdio,
    ) -> Result<Arc<Process>, Error> {
        let mut words = vec!["proxy"];
        if !autostart {
            words.insert(0, "--no-autostart");
        }
        if waits {
            words.push("--wait");
        }
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let mut command = self.gobctl(Tty::None, &words, None);
        command.stdin(input).stdout(output);
        command.stderr(if self.shows_errors { Stdio::inherit() } else { Stdio::piped() });
        Process::start(command).map_err(|source| self.no_way(Why::NoSsh(source), String::new()))
    }

    /// Returns the reason why a connection has ended before its first answer.
    pub(crate) fn why(&self, process: &Process) -> Error {
        let (code, said) = process.ended();
        let why = match code {
            // The supervisor went away.
            Some(0) => return Error::Lost { request: "hello".to_owned() },
            Some(SSH_FAILED) => Why::Refused,
            Some(NOT_FOUND) => Why::NoGob,
            Some(NOT_EXECUTABLE) => Why::NotExecutable,
            code => Why::Ended(code),
        };
        self.no_way(why, said)
    }

    /// Returns the error that gobctl over there has told in the place of a supervisor.
    pub(crate) fn told(&self, error: &WireError) -> Error {
        let cause = error.details.as_ref().and_then(|details| details.get("cause")?.as_str());
        let said = cause.unwrap_or_default().to_owned();
        self.no_way(Why::There { message: error.message.clone(), hint: error.hint.clone() }, said)
    }

    /// Returns the error for a connection without an answer for so long.
    pub(crate) fn silent(&self, waited: Duration) -> Error {
        self.no_way(Why::Silent(waited), String::new())
    }

    fn no_way(&self, why: Why, said: String) -> Error {
        Error::Ssh(Box::new(NoWay { address: self.address.clone(), why, said }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(command: &Command) -> Vec<&str> {
        command.get_args().map(|arg| arg.to_str().unwrap()).collect()
    }

    #[test]
    fn the_destination_stands_behind_all_options() {
        let ssh = Ssh::new(Address::parse("ssh://me@[fe80::1%eth0]:2222").unwrap());
        let command = ssh.gobctl(Tty::None, &["proxy".to_owned()], None);
        let args = args(&command);
        let at = args.iter().position(|arg| *arg == "--").unwrap();
        assert_eq!(args[at + 1], "fe80::1%eth0");
        assert_eq!(args.len(), at + 3);
        assert_eq!(&args[at - 4..at], ["-p", "2222", "-l", "me"]);
        assert!(args.contains(&"BatchMode=yes"));
        assert!(args[at + 2].ends_with("exec gobctl \"$@\"' gob proxy"), "{}", args[at + 2]);
    }

    #[test]
    fn a_person_may_be_asked() {
        let ssh = Ssh::new(Address::parse("ssh://h").unwrap()).asks(true);
        assert!(!args(&ssh.gobctl(Tty::Own, &[], None)).contains(&"BatchMode=yes"));
    }
}
