//! Moves the bytes of one [`Connection`] over a socket or a pair of pipes, with a deadline for every wait.
//!
//! Owns the descriptors, and the answers and events that came in during a wait for others. It knows neither
//! the meaning of the requests nor its peer.

use crate::conn::{Answer, Connection, Dropped, Received, RequestId};
use crate::error::Error;
use crate::pulse::{Beat, Deadline, Pulse, ahead};
use gob_protocol::{Request, WireError};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Size of one read, and thereby the number of system calls for a large answer.
const READ_BYTES: usize = 64 * 1024;

/// A callback for skipped lines.
pub type OnDropped = Box<dyn FnMut(&Dropped) + Send>;

/// Called while an answer is awaited: at intervals, with the time since the wait began.
pub(crate) type Tick<'a, B> = (Duration, &'a mut dyn FnMut(Duration) -> ControlFlow<B>);

/// The descriptors of a connection.
#[derive(Debug)]
pub(crate) enum Ends {
    /// One for both directions.
    Socket(UnixStream),
    /// One for each direction, such as the standard streams of a program.
    Pair {
        /// The descriptor for answers.
        input: OwnedFd,
        /// The descriptor for requests.
        output: OwnedFd,
    },
}

impl Ends {
    fn input(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(both) => both.as_fd(),
            Self::Pair { input, .. } => input.as_fd(),
        }
    }

    fn output(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(both) => both.as_fd(),
            Self::Pair { output, .. } => output.as_fd(),
        }
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Socket(both) => both.set_nonblocking(true),
            Self::Pair { input, output } => {
                for end in [input, output] {
                    let flags = OFlag::from_bits_retain(fcntl(end, FcntlArg::F_GETFL)?);
                    fcntl(end, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
                }
                Ok(())
            }
        }
    }
}

/// The first arrival.
pub(crate) enum Came {
    /// The answer.
    Answer(Answer),
    /// An event.
    Event(String),
}

/// A connection that blocks.
pub(crate) struct Link {
    ends: Ends,
    path: PathBuf,
    conn: Connection,
    answers: BTreeMap<RequestId, Answer>,
    pulse: Pulse,
    events: VecDeque<String>,
    unassigned: Option<WireError>,
    foreign: Option<Dropped>,
    on_dropped: Option<OnDropped>,
    buf: Vec<u8>,
    ended: bool,
    /// Until the first answer an unreadable line means that the listener is another program; the line goes to
    /// `foreign`.
    strict: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("path", &self.path).field("conn", &self.conn).finish_non_exhaustive()
    }
}

impl Link {
    pub(crate) fn new(ends: Ends, path: &Path) -> Result<Self, Error> {
        ends.set_nonblocking().map_err(|source| Error::Io { socket: path.to_owned(), source })?;
        Ok(Self {
            ends,
            path: path.to_owned(),
            conn: Connection::new(),
            answers: BTreeMap::new(),
            pulse: Pulse::default(),
            events: VecDeque::new(),
            unassigned: None,
            foreign: None,
            on_dropped: None,
            buf: vec![0; READ_BYTES],
            ended: false,
            strict: false,
        })
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn into_parts(self) -> (Ends, Connection) {
        (self.ends, self.conn)
    }

    /// Returns the descriptor for answers.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.ends.input()
    }

    pub(crate) fn on_dropped(&mut self, callback: OnDropped) {
        self.on_dropped = Some(callback);
    }

    pub(crate) fn conn(&mut self) -> &mut Connection {
        &mut self.conn
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets whether an unreadable line before the first answer ends every wait with [`Error::Foreign`].
    pub(crate) const fn strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    /// Waits for the answer to one request.
    pub(crate) fn wait(&mut self, id: RequestId, deadline: Deadline) -> Result<Answer, Error> {
        let ControlFlow::Continue(answer) = self.wait_while::<Infallible>(id, deadline, None)?;
        Ok(answer)
    }

    /// As [`Link::wait`], until the tick breaks; the answer can be waited for again then.
    pub(crate) fn wait_while<B>(
        &mut self,
        id: RequestId,
        deadline: Deadline,
        mut tick: Option<Tick<'_, B>>,
    ) -> Result<ControlFlow<B, Answer>, Error> {
        let begun = Instant::now();
        self.pulse.begin(begun);
        let mut next_tick = tick.as_ref().map(|(every, _)| begun + *every);
        loop {
            if let Some(dropped) = self.foreign.as_ref() {
                return Err(Error::Foreign { socket: self.path.clone(), said: dropped.line.clone() });
            }
            if let Some(answer) = self.answers.remove(&id) {
                return Ok(ControlFlow::Continue(answer));
            }
            if let Some(error) = self.unassigned.take() {
                return Err(Error::Refused(error));
            }
            let now = Instant::now();
            let until = match deadline {
                Deadline::In(after) if now.duration_since(begun) >= after => {
                    let request = self.conn.forget(id).unwrap_or_default();
                    return Err(Error::Timeout { request, after, sent: true });
                }
                Deadline::In(after) => ahead(after.saturating_sub(now.duration_since(begun))),
                Deadline::WhileAlive => self.beat(id, now)?,
            };
            if let (Some((every, call)), Some(at)) = (tick.as_mut(), next_tick)
                && now >= at
            {
                if let ControlFlow::Break(why) = call(now.duration_since(begun)) {
                    return Ok(ControlFlow::Break(why));
                }
                next_tick = Some(now + *every);
            }
            self.pump(Some(next_tick.map_or(until, |at| at.min(until))))?;
        }
    }

    /// Sends a ping when one is due, and returns the end of the wait for its answer.
    fn beat(&mut self, id: RequestId, now: Instant) -> Result<Instant, Error> {
        match self.pulse.step(now, self.conn.unanswered()) {
            Beat::Wait(until) => Ok(until),
            Beat::Ping => {
                let ping = self.conn.request(&Request::Ping)?;
                self.pulse.asked(ping, now);
                Ok(now + Pulse::SILENCE)
            }
            Beat::Stalled => {
                // This process may have been stopped itself: the answers of that time are still unread.
                self.pump(Some(now))?;
                if !self.pulse.is_waiting() || self.answers.contains_key(&id) {
                    return Ok(now);
                }
                let request = self.conn.forget(id).unwrap_or_default();
                Err(Error::Stalled { request, silent: Pulse::SILENCE })
            }
        }
    }

    /// Waits for the answer to one request or an event before it, for `timeout` at most.
    pub(crate) fn wait_or_event(&mut self, id: RequestId, timeout: Duration) -> Result<Came, Error> {
        let deadline = ahead(timeout);
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Came::Event(event));
            }
            if self.answers.contains_key(&id) || self.unassigned.is_some() || Instant::now() >= deadline {
                return match self.wait(id, Deadline::In(Duration::ZERO)) {
                    Err(Error::Timeout { request, .. }) => {
                        Err(Error::Timeout { request, after: timeout, sent: true })
                    }
                    answer => answer.map(Came::Answer),
                };
            }
            self.pump(Some(deadline))?;
        }
    }

    /// Waits for the next event; `None` at the deadline or the connection's end.
    pub(crate) fn next_event(&mut self, deadline: Option<Instant>) -> Result<Option<String>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if self.ended || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            self.pump(deadline)?;
        }
    }

    /// Takes in what has come, without a wait, and returns the next event.
    pub(crate) fn arrived_event(&mut self) -> Result<Option<String>, Error> {
        self.take_in()?;
        Ok(self.events.pop_front())
    }

    /// Returns whether an event was taken in and not handed out.
    pub(crate) fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// Takes in what has come, without a wait, and returns the answer to one request.
    pub(crate) fn arrived_answer(&mut self, id: RequestId) -> Result<Option<Answer>, Error> {
        self.take_in()?;
        Ok(self.answers.remove(&id))
    }

    fn take_in(&mut self) -> Result<(), Error> {
        if self.ended { Ok(()) } else { self.pump(Some(Instant::now())) }
    }

    /// Waits until the peer closes the connection; false at the deadline.
    pub(crate) fn wait_for_end(&mut self, deadline: Instant) -> Result<bool, Error> {
        while !self.ended && Instant::now() < deadline {
            self.pump(Some(deadline))?;
        }
        Ok(self.ended)
    }

    /// Returns whether the peer closed the connection.
    pub(crate) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Sends queued bytes, waits until some come or `until` passes, and takes them in.
    fn pump(&mut self, until: Option<Instant>) -> Result<(), Error> {
        self.exchange(until).map_err(|source| Error::Io { socket: self.path.clone(), source })
    }

    fn exchange(&mut self, until: Option<Instant>) -> io::Result<()> {
        self.flush()?;
        let mut fds = [
            PollFd::new(self.ends.input(), PollFlags::POLLIN),
            PollFd::new(self.ends.output(), PollFlags::POLLOUT),
        ];
        let both = !self.conn.outgoing().is_empty();
        match poll(fds.get_mut(..if both { 2 } else { 1 }).unwrap_or_default(), poll_timeout(until)) {
            Ok(0) | Err(Errno::EINTR) => return Ok(()),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        match nix::unistd::read(self.ends.input(), &mut self.buf) {
            Ok(0) | Err(Errno::ECONNRESET) => self.end(),
            Ok(count) => {
                self.conn.receive(self.buf.get(..count).unwrap_or_default());
                self.sort();
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.conn.outgoing().is_empty() {
            match nix::unistd::write(self.ends.output(), self.conn.outgoing()) {
                Ok(count) => self.conn.advance(count),
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                // The peer may have sent the reason before it closed: its last bytes are read before the end.
                Err(Errno::EPIPE | Errno::ECONNRESET) => self.conn.advance(self.conn.outgoing().len()),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        self.ended = true;
        self.conn.lose();
        self.sort();
    }

    fn sort(&mut self) {
        while let Some(received) = self.conn.poll() {
            match received {
                Received::Response { id, .. } if self.pulse.answered(id) => {}
                Received::Response { id, answer } => {
                    self.answers.insert(id, answer);
                }
                Received::Event(line) => self.events.push_back(line),
                Received::Unassigned(error) => self.unassigned = Some(error),
                Received::Dropped(dropped) => {
                    if let Some(callback) = self.on_dropped.as_mut() {
                        callback(&dropped);
                    }
                    if self.strict && self.answers.is_empty() {
                        self.foreign = Some(dropped);
                    }
                }
            }
        }
    }
}

/// Returns the time left, rounded up: poll must not return just before the deadline and spin.
pub(crate) fn poll_timeout(until: Option<Instant>) -> PollTimeout {
    let Some(until) = until else { return PollTimeout::NONE };
    let left = until.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}
