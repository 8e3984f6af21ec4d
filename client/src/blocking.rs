//! The blocking client: one connection to the supervisor, deadlines for every request, auto-start on demand.
//!
//! A verb of one request needs no runtime; the command line uses this client. [`Connector`] knows how to
//! reach the supervisor, [`Client`] is a connection after its hello. Its requests are the types of
//! [`crate::call`].
//!
//! ```no_run
//! use gob_client::{Dirs, Owner, blocking::Connector};
//!
//! # fn main() -> Result<(), gob_client::Error> {
//! let mut client = Connector::new(Dirs::from_env()?, Owner::cli()).connect()?;
//! let uptime = client.ask(gob_client::call::Ping)?.uptime_ms;
//! assert!(uptime > 0);
//! # Ok(())
//! # }
//! ```

mod client;
pub(crate) mod link;
pub(crate) mod socket;

use crate::autostart::{Changes, LOOK_MS, Reach, after, changes, silent};
use crate::call::{Call, Sent};
use crate::conn::{Failure, RequestId};
use crate::error::Error;
use crate::ssh::{Process, Ssh};
pub use client::Client;
use gob_host::dirs::Dirs;
use gob_protocol::answer::{HelloData, ServerInfo};
use gob_protocol::limits::{CONNECT_MS, PROTOCOL};
use gob_protocol::request::{ClientInfo, Hello, Subscribe};
use gob_protocol::{ErrorCode, Owner, Request, WireError};
pub use link::OnDropped;
pub(crate) use link::poll_timeout;
use link::{Ends, Link};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The way to the supervisor, and the owner of its connections.
#[derive(Clone)]
pub struct Connector {
    dirs: Dirs,
    over: Option<Ssh>,
    owner: Owner,
    program: ClientInfo,
    autostart: bool,
    waits: bool,
    hello_timeout: Option<Duration>,
    notify: Arc<dyn Fn(&str) + Send + Sync>,
    on_dropped: Option<fn(&crate::conn::Dropped)>,
}

/// Longest wait for a supervisor of another machine over one connection; then there is another one.
const FOR_LONG: Duration = Duration::from_secs(60 * 60);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("dirs", &self.dirs)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// Creates a connector that starts the supervisor when none runs.
    #[must_use]
    pub fn new(dirs: Dirs, owner: Owner) -> Self {
        let program =
            ClientInfo { name: "gob-client".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        Self {
            dirs,
            over: None,
            owner,
            program,
            autostart: true,
            waits: false,
            hello_timeout: None,
            notify: Arc::new(|_| {}),
            on_dropped: None,
        }
    }

    /// Creates a connector to the supervisor of another machine, which is started there when none runs.
    #[must_use]
    pub fn over(ssh: Ssh, owner: Owner) -> Self {
        // Never used: what another machine has is asked of gobctl there.
        let none = || PathBuf::from("/nonexistent");
        let dirs =
            Dirs { runtime: none(), state: none(), data: none(), config: none(), config_is_named: false };
        Self { over: Some(ssh), ..Self::new(dirs, owner) }
    }

    /// Names the program in every event it causes. Bounded by [`ClientInfo::MAX_BYTES`] each.
    #[must_use]
    pub fn program(mut self, name: &str, version: &str) -> Self {
        self.program = ClientInfo { name: name.to_owned(), version: version.to_owned() };
        self
    }

    /// Sets whether to start the supervisor when none runs.
    #[must_use]
    pub const fn autostart(mut self, autostart: bool) -> Self {
        self.autostart = autostart;
        self
    }

    /// Sets the time limit of the supervisor's answer to hello; 5 s by default, and over ssh what connecting may take, too.
    #[must_use]
    pub const fn hello_timeout(mut self, timeout: Duration) -> Self {
        self.hello_timeout = Some(timeout);
        self
    }

    /// Sets a callback for the subject of a wait, in one line.
    #[must_use]
    pub fn notify(mut self, notify: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.notify = Arc::new(notify);
        self
    }

    /// Sets a callback for skipped lines.
    #[must_use]
    pub const fn on_dropped(mut self, callback: fn(&crate::conn::Dropped)) -> Self {
        self.on_dropped = Some(callback);
        self
    }

    /// Returns its directories.
    #[must_use]
    pub const fn dirs(&self) -> &Dirs {
        &self.dirs
    }

    /// Returns the way to the other machine, where there is one.
    #[must_use]
    pub const fn ssh(&self) -> Option<&Ssh> {
        self.over.as_ref()
    }

    /// Watches the directories where a supervisor may come; none of this machine has to do with one over ssh.
    pub(crate) fn changes(&self) -> Changes {
        if self.over.is_some() { Changes::of(&[]) } else { changes(&self.dirs) }
    }

    /// Waits over there for a supervisor that other programs start, for as long as the next attempt to connect may take: until
    /// the deadline, but long enough for the network. Without ssh nothing changes.
    pub(crate) fn waiting(&self, deadline: Option<Instant>) -> Self {
        let Some(ssh) = &self.over else { return self.clone() };
        let left = deadline.map_or(FOR_LONG, |at| at.saturating_duration_since(Instant::now()));
        let timeout = Some(left.max(ssh.first_answer_within()));
        Self { autostart: false, waits: true, hello_timeout: timeout, ..self.clone() }
    }

    /// Connects and says hello.
    ///
    /// # Errors
    /// When no supervisor answers, none can be started, or the listener is not a supervisor of this protocol.
    pub fn connect(&self) -> Result<Client, Error> {
        self.open(None).map(|(client, _)| client)
    }

    /// Connects and sends a first call. A call that only reads goes out together with hello, which saves a
    /// round trip; any other one waits until the listener is certain.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub fn connect_with<C: Call>(&self, first: C) -> Result<(Client, Sent<C>), Error> {
        if !C::READS {
            let mut client = self.connect()?;
            let sent = client.send(first)?;
            return Ok((client, sent));
        }
        let deadline = first.deadline();
        let (client, id) = self.open(Some(&first.into_request()))?;
        let lost = || Error::Lost { request: C::TYPE.to_owned() };
        Ok((client, Sent::new(id.ok_or_else(lost)?, deadline)))
    }

    /// Says hello over two descriptors that lead to a supervisor, such as the pipes of a program that relays its socket.
    /// `place` names them in errors. Starts nothing.
    ///
    /// # Errors
    /// When the peer is not a supervisor of this protocol.
    pub fn connect_over(&self, input: OwnedFd, output: OwnedFd, place: &Path) -> Result<Client, Error> {
        let link = self.link(Ends::Pair { input, output }, place)?;
        self.hello(link, None).map(|(client, _)| client)
    }

    /// Goes on with a connection on which another process of this program has said hello, and has nothing unanswered: it was
    /// inherited. `place` names it in errors; `server` is what the supervisor said of itself.
    ///
    /// # Errors
    /// When the descriptor can't be used.
    pub fn go_on(&self, connection: OwnedFd, place: &Path, server: ServerInfo) -> Result<Client, Error> {
        let link = self.link(Ends::Socket(connection.into()), place)?;
        let (owner, features) = (self.owner.clone(), Vec::new());
        Ok(Client { link, server, owner, features, subscribed: Subscribe::default(), way: None })
    }

    /// Connects to the socket, without a hello: for a program that relays its bytes. Returns its path, too.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub fn connect_raw(&self) -> Result<(UnixStream, PathBuf), Error> {
        Reach { dirs: &self.dirs, autostart: self.autostart, notify: &*self.notify }.connect()
    }

    /// As [`Connector::connect_raw`], once a supervisor is there, which other programs have to start.
    ///
    /// # Errors
    /// As [`Connector::connect`], except for errors that may pass by themselves.
    pub fn connect_raw_when_there(&self) -> Result<(UnixStream, PathBuf), Error> {
        let connector = self.clone().autostart(false);
        loop {
            let reached =
                crate::subscription::when_there((self, &mut None), None, || connector.connect_raw())?;
            if let Some(reached) = reached {
                return Ok(reached);
            }
        }
    }

    /// Examines the process behind a connection of [`Connector::connect_raw`] that has answered.
    ///
    /// # Errors
    /// [`Error::Impostor`] where it is not the supervisor that the lock file names.
    pub fn examine(&self, socket: &UnixStream, path: &Path) -> Result<(), Error> {
        crate::impostor::examine(&self.dirs, socket, path)
    }

    /// Returns the error for a connection without an answer for so long.
    #[must_use]
    pub fn silent(&self, waited: Duration) -> Error {
        silent(&self.dirs, waited)
    }

    fn open(&self, first: Option<&Request>) -> Result<(Client, Option<RequestId>), Error> {
        let deadline = after(CONNECT_MS);
        loop {
            let opened = match &self.over {
                Some(ssh) => self.open_over(ssh, first),
                None => self.open_here(first),
            };
            match opened {
                // A supervisor on its way out still accepts. With auto-start the client waits for the next
                // one.
                Err(error) if self.autostart && is_going(&error) && Instant::now() < deadline => {
                    self.changes().wait(deadline.min(after(LOOK_MS)));
                }
                result => return result,
            }
        }
    }

    fn open_here(&self, first: Option<&Request>) -> Result<(Client, Option<RequestId>), Error> {
        let reach = Reach { dirs: &self.dirs, autostart: self.autostart, notify: &*self.notify };
        let (stream, path) = reach.connect()?;
        let link = self.link(Ends::Socket(stream), &path)?;
        self.hello(link, first)
    }

    fn open_over(&self, ssh: &Ssh, first: Option<&Request>) -> Result<(Client, Option<RequestId>), Error> {
        let (stream, process) = ssh.connect(self.autostart, self.waits)?;
        let place = PathBuf::from(ssh.address().to_string());
        let opened = self
            .link(Ends::Socket(stream), &place)
            .and_then(|link| self.hello_over((ssh, &process), link, first));
        // It may still wait for the network or for a password.
        let (mut client, first) = opened.inspect_err(|_| process.end())?;
        client.way = Some((ssh.address().clone(), process));
        Ok((client, first))
    }

    fn hello_over(
        &self,
        (ssh, process): (&Ssh, &Process),
        link: Link,
        first: Option<&Request>,
    ) -> Result<(Client, Option<RequestId>), Error> {
        self.hello(link, first).map_err(|error| {
            // Before a first answer: after it the supervisor went away.
            if matches!(error, Error::Lost { .. }) {
                return ssh.why(process);
            }
            // No supervisor has such a code: gobctl over there says that it reaches none.
            if let Error::Refused(told) = &error
                && told.code == ErrorCode::Unrecognised
            {
                return ssh.told(told);
            }
            error
        })
    }

    fn link(&self, ends: Ends, place: &Path) -> Result<Link, Error> {
        let mut link = Link::new(ends, place)?;
        if let Some(callback) = self.on_dropped {
            link.on_dropped(Box::new(callback));
        }
        Ok(link)
    }

    fn hello(&self, mut link: Link, first: Option<&Request>) -> Result<(Client, Option<RequestId>), Error> {
        let hello =
            Hello { protocol: PROTOCOL, client: Some(self.program.clone()), owner: Some(self.owner.clone()) };
        let id = link.conn().request(&Request::Hello(hello))?;
        let first = first.map(|request| link.conn().request(request)).transpose()?;
        let foreign = |link: &Link, error: WireError| {
            Err(Error::Foreign { socket: link.path().to_owned(), said: error.message })
        };
        link.strict(true);
        let data = match link.wait(id, self.hello_timeout.unwrap_or_else(|| self.usual()).into()) {
            Ok(Ok(data)) => data,
            Ok(Err(Failure::Refused(error))) | Err(Error::Refused(error))
                if error.code == ErrorCode::UnknownRequest =>
            {
                return foreign(&link, error);
            }
            Ok(Err(failure)) => return Err(failure.into()),
            Err(Error::Timeout { after, .. }) => return Err(self.no_hello(after)),
            Err(error) => return Err(error),
        };
        link.strict(false);
        let data: HelloData = crate::call::read("hello", &data)?;
        if self.over.is_none() {
            crate::impostor::check(&self.dirs, &mut link)?;
        }
        let HelloData { server, owner, features, .. } = data;
        Ok((Client { link, server, owner, features, subscribed: Subscribe::default(), way: None }, first))
    }

    /// Returns the time limit of an answer to hello, where the caller sets none.
    fn usual(&self) -> Duration {
        self.over.as_ref().map_or(Duration::from_millis(CONNECT_MS), Ssh::first_answer_within)
    }

    fn no_hello(&self, waited: Duration) -> Error {
        // The caller's time is shorter than a supervisor's time to answer: it shows nothing.
        if waited < self.usual() {
            return Error::Timeout { request: "hello".to_owned(), after: waited, sent: false };
        }
        match &self.over {
            Some(ssh) => ssh.silent(waited),
            None => silent(&self.dirs, waited),
        }
    }
}

fn is_going(error: &Error) -> bool {
    match error {
        Error::Refused(error) => error.code == ErrorCode::ShuttingDown,
        Error::Lost { .. } => true,
        Error::Io { source, .. } => source.kind() == std::io::ErrorKind::ConnectionReset,
        Error::Dirs(_)
        | Error::Nobody { .. }
        | Error::Connect { .. }
        | Error::Peer { .. }
        | Error::Foreign { .. }
        | Error::NoKeeper { .. }
        | Error::Start { .. }
        | Error::StartFailed { .. }
        | Error::Impostor { .. }
        | Error::Silent { .. }
        | Error::Timeout { .. }
        | Error::Stalled { .. }
        | Error::Answer { .. }
        | Error::Ssh(_) => false,
    }
}

#[cfg(test)]
#[path = "blocking/tests.rs"]
mod tests;
