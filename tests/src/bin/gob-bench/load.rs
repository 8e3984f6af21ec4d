//! Requests per second: on one connection, on 64, and with 64 under way on one.

use crate::Samples;
use crate::pinned::pinned;
use crate::table::{Table, Target, medians};
use gob_tests::Gob;
use gob_tests::wait::{self, DEADLINE};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// The request.
pub const REQUEST: &[u8] = b"{\"id\":1234,\"type\":\"ping\"}\n";

/// The echo, ended by its handle.
pub struct Echo {
    /// Where it listens.
    pub socket: PathBuf,
    process: Child,
}

impl Echo {
    /// Starts the echo in this world's directory.
    pub fn start(gob: &Gob) -> Self {
        let socket = gob.dir().join("echo.sock");
        // Not started by its path: the build may have put another file there.
        let mut echo = Command::new("/proc/self/exe");
        let process = echo.arg("echo").arg(&socket).stdin(Stdio::null()).spawn().expect("the echo");
        assert!(wait::until(DEADLINE, || UnixStream::connect(&socket).is_ok()));
        Self { socket, process }
    }
}

impl Echo {
    fn pid(&self) -> i32 {
        self.process.id().try_into().expect("a pid")
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Measures the three ways, each against the echo.
pub fn connections(table: &mut Table, samples: &Samples, gob: &Gob) {
    let echo = Echo::start(gob);
    let ways = [("on one connection", 1, 1), ("on 64 connections", 64, 1), ("64 in flight on one", 1, 64)];
    for (what, connections, in_flight) in ways {
        let requests = if connections * in_flight == 1 { samples.requests } else { samples.requests * 5 };
        let ours = || per_second(&gob.socket(), connections, in_flight, requests);
        let limit = || per_second(&echo.socket, connections, in_flight, requests);
        let measured = match connections * in_flight {
            1 => pinned(&[gob.gobd_pid(), echo.pid()], || medians(7, ours, limit)),
            _ => medians(7, ours, limit),
        };
        table.against(&format!("requests {what}"), "/s", measured, "tokio echo", Target::RatioAtLeast(0.85));
    }
}

struct Client {
    stream: UnixStream,
    unanswered: usize,
}

/// Keeps this many requests in flight on each of this many connections until all have been answered.
fn per_second(socket: &Path, connections: usize, in_flight: usize, requests: usize) -> f64 {
    let mut clients: Vec<Client> = (0..connections)
        .map(|_| Client { stream: UnixStream::connect(socket).expect("a connection"), unanswered: 0 })
        .collect();
    let batch = REQUEST.repeat(in_flight);
    let mut chunk = vec![0; 256 * 1024];
    let (mut sent, mut answered) = (0, 0);
    let begun = Instant::now();
    for client in &mut clients {
        client.stream.set_nonblocking(true).expect("a socket");
        send(client, &batch, in_flight, &mut sent);
    }
    let mut polls: Vec<libc::pollfd> = clients
        .iter()
        .map(|client| libc::pollfd { fd: client.stream.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    while answered < requests {
        // SAFETY: the pointer and the length are those of one vector.
        let ready = unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, -1) };
        assert!(ready > 0, "poll: {}", std::io::Error::last_os_error());
        for (client, poll) in clients.iter_mut().zip(&polls) {
            if poll.revents == 0 {
                continue;
            }
            match client.stream.read(&mut chunk) {
                Ok(0) => panic!("the server has closed the connection"),
                Ok(len) => {
                    let lines = chunk[..len].iter().filter(|byte| **byte == b'\n').count();
                    client.unanswered -= lines;
                    answered += lines;
                    if sent < requests {
                        send(client, &batch[..lines * REQUEST.len()], lines, &mut sent);
                    }
                }
                Err(e) => assert!(matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted), "{e}"),
            }
        }
        if sent >= requests && clients.iter().all(|client| client.unanswered == 0) {
            break;
        }
    }
    answered as f64 / begun.elapsed().as_secs_f64()
}

fn send(client: &mut Client, bytes: &[u8], count: usize, sent: &mut usize) {
    client.stream.write_all(bytes).expect("a request fits into the socket's buffer");
    client.unanswered += count;
    *sent += count;
}
