//! Moves the bytes of one [`Connection`] over a tokio socket. Every wait here is cancel safe: bytes are taken in or
//! sent without a pause between the system call and the connection's knowing of it.

use crate::conn::{Connection, Received};
use std::io;
use tokio::io::Interest;
use tokio::net::UnixStream;

const READ_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    conn: Connection,
    buf: Vec<u8>,
}

impl Link {
    /// Takes over a connection on which hello was said.
    pub(super) fn new(stream: std::os::unix::net::UnixStream, conn: Connection) -> io::Result<Self> {
        Ok(Self { stream: UnixStream::from_std(stream)?, conn, buf: vec![0; READ_BYTES] })
    }

    pub(super) const fn conn(&mut self) -> &mut Connection {
        &mut self.conn
    }

    /// Sends what there is to send and returns what comes in next; `None` once the connection has ended and all that
    /// came before is handed out.
    pub(super) async fn next(&mut self) -> io::Result<Option<Received>> {
        loop {
            if let Some(received) = self.conn.poll() {
                return Ok(Some(received));
            }
            let mut interest = Interest::READABLE;
            if !self.conn.outgoing().is_empty() {
                interest |= Interest::WRITABLE;
            }
            let ready = self.stream.ready(interest).await?;
            if ready.is_writable() && !self.conn.outgoing().is_empty() {
                self.send()?;
            }
            if ready.is_readable() && !self.receive()? {
                self.conn.lose();
                return Ok(self.conn.poll());
            }
        }
    }

    fn send(&mut self) -> io::Result<()> {
        match self.stream.try_write(self.conn.outgoing()) {
            Ok(count) => self.conn.advance(count),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            // What the other side said before it closed is read first.
            Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
                self.conn.advance(self.conn.outgoing().len());
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// False at the end.
    fn receive(&mut self) -> io::Result<bool> {
        match self.stream.try_read(&mut self.buf) {
            Ok(0) => return Ok(false),
            Ok(count) => self.conn.receive(self.buf.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(e) => return Err(e),
        }
        Ok(true)
    }
}
