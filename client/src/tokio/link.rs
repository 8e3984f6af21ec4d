//! Moves the bytes of one [`Connection`] on a tokio runtime. Every wait here is cancel safe: no await lies
//! between a system call and the connection's update.

use crate::blocking::link::Ends;
use crate::conn::{Connection, Received};
use std::io;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

const READ_BYTES: usize = 64 * 1024;

#[derive(Debug)]
enum Wire {
    Socket(UnixStream),
    Pair(pipe::Receiver, pipe::Sender),
}

impl Wire {
    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Socket(both) => both.readable().await,
            Self::Pair(input, _) => input.readable().await,
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Socket(both) => both.writable().await,
            Self::Pair(_, output) => output.writable().await,
        }
    }

    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Socket(both) => both.try_read(buf),
            Self::Pair(input, _) => input.try_read(buf),
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(both) => both.try_write(bytes),
            Self::Pair(_, output) => output.try_write(bytes),
        }
    }
}

#[derive(Debug)]
pub(super) struct Link {
    wire: Wire,
    conn: Connection,
    buf: Vec<u8>,
}

impl Link {
    /// Takes a connection after its hello; its descriptors do not block.
    pub(super) fn new(ends: Ends, conn: Connection) -> io::Result<Self> {
        let wire = match ends {
            Ends::Socket(stream) => Wire::Socket(UnixStream::from_std(stream)?),
            Ends::Pair { input, output } => Wire::Pair(
                pipe::Receiver::from_owned_fd_unchecked(input)?,
                pipe::Sender::from_owned_fd_unchecked(output)?,
            ),
        };
        Ok(Self { wire, conn, buf: vec![0; READ_BYTES] })
    }

    pub(super) const fn conn(&mut self) -> &mut Connection {
        &mut self.conn
    }

    /// Sends all that is queued and returns the next arrival; `None` once the connection has ended and all
    /// earlier ones are handed out.
    pub(super) async fn next(&mut self) -> io::Result<Option<Received>> {
        loop {
            if let Some(received) = self.conn.poll() {
                return Ok(Some(received));
            }
            let sends = !self.conn.outgoing().is_empty();
            tokio::select! {
                ready = self.wire.writable(), if sends => {
                    ready?;
                    self.send()?;
                }
                ready = self.wire.readable() => {
                    ready?;
                    if !self.receive()? {
                        self.conn.lose();
                        return Ok(self.conn.poll());
                    }
                }
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        match self.wire.try_write(self.conn.outgoing()) {
            Ok(count) => self.conn.advance(count),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            // The last bytes of the peer are read before the end.
            Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                self.conn.advance(self.conn.outgoing().len());
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Reads once; false at the end.
    fn receive(&mut self) -> io::Result<bool> {
        match self.wire.try_read(&mut self.buf) {
            Ok(0) => return Ok(false),
            Ok(count) => self.conn.receive(self.buf.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(e) => return Err(e),
        }
        Ok(true)
    }
}
