//! The global flags, and a verb's connection to the supervisor under them.

use crate::failure::{Failure, Telling};
use crate::out;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::terminal::{self, Look};
use crate::versions;
use gob_client::blocking::{Client, Connector};
use gob_client::call::{Call, Reply, Sent};
use gob_client::protocol::limits::CONNECT_MS;
use gob_client::pulse::Deadline;
use gob_client::ssh::{Address, Ssh};
use gob_client::{Dirs, Error, Name, Owner};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::Duration;

/// Exit code for a worker that did not become ready.
const NOT_READY: u8 = 8;

/// The condition for colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Reads the value of `--color`; clap refuses other values.
    pub(crate) fn of(word: Option<&str>) -> Self {
        match word {
            Some("always") => Self::Always,
            Some("never") => Self::Never,
            _ => Self::Auto,
        }
    }

    /// Returns whether a stream may be coloured.
    pub(crate) fn wanted(self, stream: &impl IsTerminal) -> bool {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                stream.is_terminal()
                    && set("NO_COLOR").is_none()
                    && set("TERM").is_none_or(|term| term != "dumb")
            }
        }
    }
}

impl Host {
    /// Reads the address that the program which started the guard of a lock hands on.
    pub(crate) fn of_guard(address: &str) -> Option<Self> {
        let ssh = Ssh::new(Address::parse(address).ok()?).shows_errors(true).keeps_interrupts(true);
        Some(Self { ssh })
    }
}

/// The global flags.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) owner: Owner,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) color: Color,
    pub(crate) autostart: bool,
    pub(crate) timeout: Option<Duration>,
    /// `--timeout` is a part of the requests: it limits a worker's readiness, not the wait for an answer.
    pub(crate) waits_for_readiness: bool,
    /// The supervisor's machine, where that is another one.
    pub(crate) host: Option<Host>,
}

/// Another machine.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) ssh: Ssh,
}

#[cfg(test)]
impl Context {
    /// Returns the context of a command line without global flags.
    pub(crate) fn of_tests() -> Self {
        Self {
            owner: Owner::cli(),
            json: false,
            quiet: false,
            verbose: false,
            color: Color::Never,
            autostart: true,
            timeout: None,
            waits_for_readiness: false,
            host: None,
        }
    }
}

impl Context {
    /// Returns gob's directories.
    pub(crate) fn dirs(&self) -> Result<Dirs, Failure> {
        Ok(Dirs::from_env().map_err(gob_client::Error::from)?)
    }

    /// Returns the connector to the supervisor.
    pub(crate) fn connector(&self) -> Result<Connector, Failure> {
        let connector = match &self.host {
            Some(host) => Connector::over(host.ssh.clone(), self.owner.clone()),
            None => Connector::new(self.dirs()?, self.owner.clone()),
        };
        let mut connector = connector.program("gobctl", env!("CARGO_PKG_VERSION")).autostart(self.autostart);
        if !self.quiet {
            connector = connector.notify(out::note);
        }
        if self.verbose {
            connector = connector.on_dropped(|dropped| out::note(&dropped.to_string()));
        }
        if let Some(timeout) = self.answer_timeout() {
            let most = if self.host.is_some() { timeout } else { Duration::from_millis(CONNECT_MS) };
            connector = connector.hello_timeout(timeout.min(most));
        }
        Ok(connector)
    }

    /// Connects and says hello. `purpose` appears in the error when the supervisor does not answer.
    pub(crate) fn connect(&self, purpose: &str) -> Result<Client, Failure> {
        let client = self.connector()?.connect().map_err(|error| named(error, purpose))?;
        versions::note(self, &client);
        Ok(client)
    }

    /// Connects and sends a first call along.
    pub(crate) fn connect_with<C: Call>(&self, call: C) -> Result<(Client, Sent<C>), Failure> {
        let connected = self.connector()?.connect_with(call);
        let (client, sent) = connected.map_err(|error| named(error, C::TYPE))?;
        versions::note(self, &client);
        Ok((client, sent))
    }

    /// Makes one call on a connection of its own.
    pub(crate) fn ask<C: Call>(&self, call: C) -> Result<(Client, Reply<C>), Failure> {
        let (mut client, sent) = self.connect_with(call)?;
        match self.wait(&mut client, sent) {
            Ok(reply) => Ok((client, reply)),
            Err(error) => Err(versions::explained(&client, C::TYPE, error)),
        }
    }

    /// Makes one call on an existing connection.
    pub(crate) fn call<C: Call>(&self, client: &mut Client, call: C) -> Result<Reply<C>, Error> {
        let sent = client.send(call)?;
        self.wait(client, sent)
    }

    /// Waits for the answer to a call.
    pub(crate) fn wait<C: Call>(&self, client: &mut Client, sent: Sent<C>) -> Result<Reply<C>, Error> {
        client.wait(sent, self.deadline_of(&sent))
    }

    /// As [`Context::wait`], showing the time that has passed.
    pub(crate) fn wait_showing<C: Call>(
        &self,
        client: &mut Client,
        sent: Sent<C>,
        progress: &mut Progress,
    ) -> Result<Reply<C>, Error> {
        let reply = client.wait_ticking(sent, self.deadline_of(&sent), Progress::EVERY, &mut |waited| {
            progress.show(waited);
        });
        progress.clear();
        reply
    }

    /// As [`Context::wait_showing`], until one of the signals comes; `None` then. The answer can be waited for again.
    pub(crate) fn wait_unless<C: Call>(
        &self,
        client: &mut Client,
        (sent, deadline): (Sent<C>, Deadline),
        progress: &mut Progress,
        signals: &Signals,
    ) -> Result<Option<Reply<C>>, Error> {
        let waited = client.wait_while(sent, deadline, Progress::EVERY, &mut |waited| {
            progress.show(waited);
            signals.next().map_or(ControlFlow::Continue(()), ControlFlow::Break)
        });
        progress.clear();
        Ok(match waited? {
            ControlFlow::Continue(reply) => Some(reply),
            ControlFlow::Break(_) => None,
        })
    }

    /// Returns how long this client waits for the answer.
    pub(crate) fn deadline_of<C: Call>(&self, sent: &Sent<C>) -> Deadline {
        self.answer_timeout().map_or_else(|| sent.deadline(), Deadline::In)
    }

    /// Returns the limit of each answer, where `--timeout` is that.
    fn answer_timeout(&self) -> Option<Duration> {
        self.timeout.filter(|_| !self.waits_for_readiness)
    }

    /// Returns the same context, never starting anything.
    pub(crate) fn without_autostart(&self) -> Self {
        Self { autostart: false, ..self.clone() }
    }

    /// Returns the layout of a view on standard output.
    pub(crate) fn look(&self) -> Look {
        Look { color: self.color.wanted(&std::io::stdout()), width: terminal::stdout_width() }
    }

    /// Folds text to the width of a terminal; unchanged where standard output is none.
    pub(crate) fn folded(&self, text: &str) -> String {
        terminal::stdout_width().map_or_else(|| text.to_owned(), |width| terminal::fold(text, width))
    }

    /// Returns how failures are printed.
    pub(crate) fn telling(&self) -> Telling {
        Telling { json: self.json, color: self.color.wanted(&std::io::stderr()) }
    }

    /// Writes a note to standard error, unless quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            out::note(text);
        }
    }

    /// Notes the supervisor's state directory when this client's variables name another one: its workers and
    /// logs are not those that the client means.
    pub(crate) fn note_state_dir(&self, dirs: &Dirs, client: &Client) {
        self.note_elsewhere(dirs, client, "GOB_STATE_DIR", "its workers and logs");
    }

    /// Notes the supervisor's data directory when this client's variables name another one.
    pub(crate) fn note_data_dir(&self, dirs: &Dirs, client: &Client) {
        self.note_elsewhere(dirs, client, "GOB_DATA_DIR", "graphs");
    }

    fn note_elsewhere(&self, dirs: &Dirs, client: &Client, variable: &str, what: &str) {
        let Some(theirs) = client.server().dirs.as_ref().filter(|_| self.host.is_none()) else { return };
        if let Some(it) = crate::places::elsewhere_of(variable, dirs, theirs) {
            let (theirs, ours) = (it.theirs.display(), it.ours.display());
            self.note(&format!(
                "the supervisor keeps {what} in {theirs}, not in {ours}: gobctl doctor compares"
            ));
        }
    }

    /// Notes the files of the configuration that are not in effect.
    pub(crate) fn note_config(&self, client: &Client) {
        let invalid = &client.server().config_invalid;
        if let Some(first) = invalid.first() {
            let more = match invalid.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            self.note(&format!("not in effect: {first}{more}; gobctl config check says why"));
        }
    }
}

/// Returns the reason why no worker is ready. A missing answer means no more than that either.
pub(crate) fn not_ready(name: &Name, error: Error) -> Failure {
    let Error::Timeout { sent: true, .. } = &error else { return error.into() };
    let failure = Failure::own(error.code(), NOT_READY, format!("{name} is not ready yet: {error}"));
    let failure = failure.cause(error.cause().unwrap_or_default());
    failure.hint(format!("watch it: gobctl logs -f {0}, gobctl events {0}", name.as_argument()))
}

fn named(error: Error, purpose: &str) -> Error {
    if let Error::Timeout { after, sent, .. } = error {
        Error::Timeout { request: purpose.to_owned(), after, sent }
    } else if let Error::Lost { .. } = error {
        Error::Lost { request: purpose.to_owned() }
    } else {
        error
    }
}
