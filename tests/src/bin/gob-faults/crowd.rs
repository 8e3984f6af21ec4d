//! The proof for a crowd: first so many clients that the kernel's queue is full while the supervisor is
//! stopped, and then so many connections that each is served, or answered `busy`.

use crate::options::Options;
use gob_tests::process::{self, Handle};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use serde_json::json;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Descriptors of this process that are not connections.
const OWN_FILES: u64 = 200;
/// Time after which a client that waits for its place must not have given up.
const WAITS: Duration = Duration::from_millis(300);

/// Connects as often as the options say; true when every connection was served or turned away.
pub fn run(options: &Options) -> bool {
    let own = std::process::id() as i32;
    process::limit_files(own, u64::MAX).expect("this process");
    let limit = open_files_limit(own);
    let count = options.connections.min(limit.saturating_sub(OWN_FILES));
    if count < options.connections {
        eprintln!("note: {limit} files may be open, so there are {count} connections");
    }
    let gob = Gob::new();
    let mut old = gob.connect_as("cli");
    old.ok("start", json!({"graph": "g"}));
    let gobd = Handle::open(gob.gobd_pid()).expect("gobd");
    let (files, memory) =
        (process::open_files(gobd.pid), process::smaps_bytes(gobd.pid, "Pss_Anon").unwrap_or(0));
    let mut crowd = fill_queue(&gob, &gobd, count);
    let queued = crowd.len();
    while (crowd.len() as u64) < count {
        crowd.push(Conn::open(&gob.socket()));
    }
    let begin = Instant::now();
    // A connection that was turned away may be closed already, with its answer waiting.
    crowd.iter_mut().for_each(|conn| drop(conn.try_send(b"{\"id\":\"crowd\",\"type\":\"ping\"}\n")));
    let (mut served, mut busy, mut other) = (0_u64, 0_u64, 0_u64);
    for conn in &mut crowd {
        match conn.frame_within(DEADLINE) {
            Some(frame) if frame["id"] == "crowd" && frame["success"] == true => served += 1,
            Some(frame) if frame["error"]["code"] == "busy" => busy += 1,
            frame => {
                other += 1;
                eprintln!("VIOLATION: neither served nor told busy: {frame:?}");
            }
        }
    }
    let took = begin.elapsed();
    let now = process::smaps_bytes(gobd.pid, "Pss_Anon").unwrap_or(0);
    // Older connections go on, and there are descriptors for another worker.
    let (asked, started) = (Instant::now(), old.ask("start", json!({"graph": "h"})));
    let start = asked.elapsed();
    drop(crowd);
    let alone = wait::until(DEADLINE, || old.ok("status", json!({}))["connections"] == 1);
    let left = process::open_files(gobd.pid);
    println!("{queued} waited in the kernel's queue, and one more client for its place there");
    println!("{count} connections: {served} served, {busy} told busy, {other} neither, within {took:.1?}");
    println!(
        "a worker started among them in {start:.1?}; descriptors {files} → {left}; {memory} → {now} bytes"
    );
    let room = open_files_limit(gobd.pid) / 2 - OWN_FILES;
    let held = started["success"] == true && alone && left < files + OWN_FILES && served >= count.min(room);
    held && other == 0
}

/// Connects while the supervisor is stopped until the kernel has no place for more, and lets a client wait
/// for one.
fn fill_queue(gob: &Gob, gobd: &Handle, most: u64) -> Vec<Conn> {
    gobd.signal(Signal::SIGSTOP);
    assert!(wait::until(DEADLINE, || process::is_stopped(gobd.pid)), "gobd does not stop");
    let address = UnixAddr::new(&gob.socket()).expect("a short path");
    let mut queue = Vec::new();
    let mut is_full = false;
    while !is_full && (queue.len() as u64) < most {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None).expect("a socket");
        match connect(socket.as_raw_fd(), &address) {
            Ok(()) => queue.push(UnixStream::from(socket)),
            Err(nix::errno::Errno::EAGAIN) => is_full = true,
            Err(e) => panic!("connect: {e}"),
        }
    }
    if !is_full {
        eprintln!("note: the queue has room for more than {most}");
    }
    let mut client = gob.ctl(["ping"]).spawn();
    let waits = !Handle::open(client.id() as i32).expect("a child").wait_gone(WAITS);
    gobd.signal(Signal::SIGCONT);
    let status = client.wait().expect("a child");
    assert!(waits && status.success(), "a client in a full queue: waited {waits}, {status}");
    queue.iter().for_each(|stream| stream.set_nonblocking(false).expect("a socket"));
    queue.into_iter().map(Conn::over).collect()
}

/// The soft limit.
fn open_files_limit(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
