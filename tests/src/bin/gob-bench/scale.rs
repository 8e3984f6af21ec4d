//! Growth: many subscribers, many workers, many busy connections.

use crate::idle;
use crate::load::{Echo, REQUEST};
use crate::pinned::pinned;
use crate::process::{command, timed};
use crate::table::{Table, Target, alternate, median, medians, p99};
use gob_protocol::limits::RING_EVENTS;
use gob_tests::process::smaps_bytes;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The numbers of each, and of samples.
pub struct Sizes {
    /// Running workers, and subscribers.
    pub many: usize,
    /// Samples of each sort.
    pub samples: usize,
}

/// Measures every figure of growth.
pub fn run(table: &mut Table, sizes: &Sizes) {
    let full = Gob::new();
    let graphs = workers(table, sizes, &full);
    // Not earlier: two supervisors share the pages of their program, and each one's PSS would count half of
    // them.
    let empty = Gob::new();
    growth(table, sizes, &full, &empty);
    list(table, sizes, &full);
    let mut conn = full.connect_as("cli");
    for graph in &graphs {
        conn.ok("stop", json!({"name": graph}));
    }
    drop((conn, full));
    fan_out(table, sizes, &empty);
    busy(table, sizes, &empty);
}

/// Starts all workers and measures the memory of each.
fn workers(table: &mut Table, sizes: &Sizes, gob: &Gob) -> Vec<String> {
    let mut conn = gob.connect_as("cli");
    // The first worker pays for state that all later ones share, and the ring of events has a bound of its own.
    conn.ok("start", json!({"graph": "g"}));
    for _ in 0..RING_EVENTS / 2 {
        conn.ok("lease", json!({"name": "g"}));
        conn.ok("release", json!({"name": "g"}));
    }
    conn.ok("stop", json!({"name": "g"}));
    let gobd = gob.gobd_pid();
    let memory = || {
        idle::come_to_rest(gobd);
        ["Pss", "Pss_Anon"].map(|key| smaps_bytes(gobd, key).map(|bytes| bytes as f64 / 1024.0))
    };
    let before = memory();
    let graphs: Vec<String> = (0..sizes.many).map(|n| format!("many {n}")).collect();
    for graph in &graphs {
        conn.ok("start", json!({"graph": graph}));
    }
    for ((before, after), what) in before.into_iter().zip(memory()).zip(["PSS", "anonymous PSS"]) {
        let what = format!("{what} of gobd per worker, at {}", sizes.many);
        match (before, after) {
            (Some(before), Some(after)) => {
                table.alone(&what, "KB", (after - before) / sizes.many as f64, 2.0);
            }
            _ => table.skip(&what, "smaps_rollup can't be read"),
        }
    }
    graphs
}

/// Returns the milliseconds of a request.
fn asked(conn: &RefCell<Conn>, type_name: &str, payload: Value) -> f64 {
    let begun = Instant::now();
    conn.borrow_mut().ok(type_name, payload);
    begun.elapsed().as_secs_f64() * 1e3
}

/// Returns the microseconds of one ping on a connection, as the mean of many.
fn pinged(stream: &UnixStream) -> f64 {
    const TIMES: u32 = 500;
    let begun = Instant::now();
    (0..TIMES).for_each(|_| round_trip(stream));
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
}

/// One request that is answered by one line.
fn round_trip(mut stream: &UnixStream) {
    stream.write_all(REQUEST).expect("a request");
    read_line(stream);
}

/// Reads one line with nothing behind it.
pub fn read_line(mut stream: &UnixStream) -> Vec<u8> {
    let (mut line, mut chunk) = (Vec::new(), [0; 4096]);
    while line.last() != Some(&b'\n') {
        let len = stream.read(&mut chunk).expect("a line");
        assert!(len > 0, "the server has closed the connection");
        line.extend_from_slice(&chunk[..len]);
    }
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "more than one line");
    line
}

/// Measures requests with many workers, each beside the same with none.
fn growth(table: &mut Table, sizes: &Sizes, full: &Gob, empty: &Gob) {
    let many = sizes.many;
    let (with, without) = (RefCell::new(full.connect_as("cli")), RefCell::new(empty.connect_as("cli")));

    let (gobctl, other) = (full.bin("gobctl"), empty.bin("gobctl"));
    let ours = || timed(command(full, &gobctl).arg("ping"));
    let measured = medians(sizes.samples, ours, || timed(command(empty, &other).arg("ping")));
    table.against(
        &format!("gobctl ping, {many} workers"),
        "ms",
        measured,
        "no workers",
        Target::RatioAtMost(1.05),
    );

    let streams = [full, empty].map(|gob| UnixStream::connect(gob.socket()).expect("a connection"));
    let gobds = [full.gobd_pid(), empty.gobd_pid()];
    let measured = pinned(&gobds, || medians(sizes.samples, || pinged(&streams[0]), || pinged(&streams[1])));
    let what = format!("ping on a connection, {many} workers");
    table.against(&what, "µs", measured, "no workers", Target::RatioAtMost(1.05));

    let stops = RefCell::new((Vec::new(), Vec::new()));
    let ours = || {
        let elapsed = asked(&with, "start", json!({"graph": "g"}));
        stops.borrow_mut().0.push(asked(&with, "stop", json!({"name": "g"})));
        elapsed
    };
    let theirs = || {
        let elapsed = asked(&without, "start", json!({"graph": "g"}));
        stops.borrow_mut().1.push(asked(&without, "stop", json!({"name": "g"})));
        elapsed
    };
    let measured = medians(sizes.samples, ours, theirs);
    let what = format!("start → ready of one more, {many} workers");
    table.against(&what, "ms", measured, "no workers", Target::RatioAtMost(1.2));
    let (ours, theirs) = stops.into_inner();
    let what = format!("stop of one, {many} workers");
    let measured = (median(&ours[1..]), median(&theirs[1..]));
    table.against(&what, "ms", measured, "no workers", Target::RatioAtMost(1.2));

    let measured =
        medians(sizes.samples, || asked(&with, "list", json!({})), || asked(&without, "list", json!({})));
    let what = format!("list on a connection, {many} workers");
    table.against(&what, "ms", measured, "no workers", Target::RatioAtMost(many as f64));
}

/// A server of this program's own, ended by its handle.
pub struct Server(Child);

impl Server {
    /// Starts it with these arguments, of which the first one names its task.
    pub fn start(socket: &Path, args: &[&str]) -> Self {
        let mut server = Command::new("/proc/self/exe");
        let server = server.arg(args[0]).arg(socket).args(&args[1..]).stdin(Stdio::null()).spawn();
        assert!(wait::until(DEADLINE, || socket.exists()));
        Self(server.expect("a server"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Measures `gobctl list` beside a client that reads the same bytes from a server which has them ready.
fn list(table: &mut Table, sizes: &Sizes, gob: &Gob) {
    let mut stream = UnixStream::connect(gob.socket()).expect("a connection");
    stream.write_all(b"{\"id\":1,\"type\":\"list\"}\n").expect("a request");
    let (socket, answer) = (gob.dir().join("canned.sock"), gob.dir().join("canned.json"));
    std::fs::write(&answer, read_line(&stream)).expect("a file");
    let _server = Server::start(&socket, &["canned", answer.to_str().expect("a path in UTF-8")]);
    let gobctl = gob.bin("gobctl");
    let ours = || timed(command(gob, &gobctl).arg("list"));
    let theirs = || timed(command(gob, Path::new("/proc/self/exe")).arg("fetch").arg(&socket));
    let measured = medians(sizes.samples, ours, theirs);
    let what = format!("gobctl list, {} workers", sizes.many);
    table.against(&what, "ms", measured, "bytes ready", Target::RatioAtMost(4.0));
}

/// Answers every line with the bytes of a file, until it is killed.
pub fn canned(socket: &str, answer: &str) -> ExitCode {
    let answer = std::fs::read(answer).expect("the answer");
    let listener = UnixListener::bind(socket).expect("a socket");
    loop {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("a request");
        stream.write_all(&answer).expect("an answer");
    }
}

/// The client of that server: prints the answer.
pub fn fetch(socket: &str) -> ExitCode {
    let mut stream = UnixStream::connect(socket).expect("a connection");
    stream.write_all(b"{\"id\":1,\"type\":\"list\"}\n").expect("a request");
    std::io::stdout().write_all(&read_line(&stream)).expect("output");
    ExitCode::SUCCESS
}

/// Measures one event to many subscribers, beside a loop of writes of the same bytes to as many sockets.
fn fan_out(table: &mut Table, sizes: &Sizes, gob: &Gob) {
    let many = sizes.many;
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "g"}));
    let subscribers: Vec<Conn> = (0..many).map(|_| gob.events()).collect();
    for subscriber in &subscribers {
        subscriber.stream().set_read_timeout(None).expect("a socket");
    }
    let all_read = || subscribers.iter().map(|one| read_line(one.stream()).len()).max();
    conn.post("lease", json!({"name": "g"}));
    let event = read_line(subscribers[0].stream());
    subscribers[1..].iter().for_each(|one| drop(read_line(one.stream())));
    conn.frame();

    let socket = gob.dir().join("fan-out.sock");
    let _server = Server::start(&socket, &["fan-out", &many.to_string()]);
    let sockets: Vec<UnixStream> =
        (0..=many).map(|_| UnixStream::connect(&socket).expect("a connection")).collect();
    let (trigger, listeners) = sockets.split_first().expect("one at least");

    let mut next = "release";
    let ours = || {
        let begun = Instant::now();
        let id = conn.post(next, json!({"name": "g"}));
        all_read();
        let elapsed = begun.elapsed().as_secs_f64() * 1e3;
        assert_eq!(conn.response(id)["success"], true);
        next = if next == "release" { "lease" } else { "release" };
        elapsed
    };
    let theirs = || {
        let begun = Instant::now();
        (&mut &*trigger).write_all(&event).expect("a request");
        listeners.iter().for_each(|one| drop(read_line(one)));
        begun.elapsed().as_secs_f64() * 1e3
    };
    let (ours, theirs) = alternate(sizes.samples * 4, ours, theirs);
    for (what, of) in [("median", median as fn(&[f64]) -> f64), ("p99", p99)] {
        let what = format!("one event to {many} subscribers, {what}");
        table.against(&what, "ms", (of(&ours), of(&theirs)), "loop of writes", Target::RatioAtMost(1.3));
    }
    drop(subscribers);
    conn.ok("stop", json!({"name": "g"}));
}

/// Writes every line of the first connection to each of the others, until it is killed.
pub fn loop_of_writes(socket: &str, count: &str) -> ExitCode {
    let listener = UnixListener::bind(socket).expect("a socket");
    let count: usize = count.parse().expect("a number");
    let mut sockets: Vec<UnixStream> =
        (0..=count).map(|_| listener.accept().expect("a connection").0).collect();
    let (trigger, listeners) = sockets.split_first_mut().expect("one at least");
    let mut lines = BufReader::new(trigger);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
        listeners.iter_mut().for_each(|one| one.write_all(&line).expect("a line"));
        line.clear();
    }
    ExitCode::SUCCESS
}

/// Measures the wait of one connection while 63 others send without a pause.
fn busy(table: &mut Table, sizes: &Sizes, gob: &Gob) {
    let echo = Echo::start(gob);
    let own = gob.socket();
    let requests = sizes.samples * 40;
    let (ours, theirs) = alternate(9, || one_of_64(&own, requests), || one_of_64(&echo.socket, requests));
    let at = |sample: fn(&(f64, f64)) -> f64| {
        let all = |values: &[(f64, f64)]| median(&values.iter().map(sample).collect::<Vec<_>>());
        (all(&ours), all(&theirs))
    };
    let what = "a request while 63 other connections are busy";
    for (name, measured) in [("median", at(|of| of.0)), ("p99", at(|of| of.1))] {
        table.against(&format!("{what}, {name}"), "µs", measured, "tokio echo", Target::RatioAtMost(1.18));
    }
}

/// Returns median and p99 in microseconds of requests on one connection, under the load of the others.
fn one_of_64(socket: &Path, requests: usize) -> (f64, f64) {
    let (all_asked, ended) = (Barrier::new(2), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| keep_busy(socket, 63, &all_asked, &ended));
        let stream = UnixStream::connect(socket).expect("a connection");
        let took = |_| {
            let begun = Instant::now();
            round_trip(&stream);
            begun.elapsed().as_secs_f64() * 1e6
        };
        all_asked.wait();
        let values: Vec<f64> = (0..requests + requests / 10).map(took).skip(requests / 10).collect();
        ended.store(true, Ordering::Relaxed);
        (median(&values), p99(&values))
    })
}

/// Keeps one request in flight on each of this many connections.
fn keep_busy(socket: &Path, connections: usize, all_asked: &Barrier, ended: &AtomicBool) {
    let mut streams: Vec<UnixStream> =
        (0..connections).map(|_| UnixStream::connect(socket).expect("a connection")).collect();
    let mut polls: Vec<libc::pollfd> = streams
        .iter()
        .map(|stream| libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    for stream in &mut streams {
        stream.set_nonblocking(true).expect("a socket");
        stream.write_all(REQUEST).expect("a request");
    }
    all_asked.wait();
    let mut chunk = [0; 4096];
    while !ended.load(Ordering::Relaxed) {
        // SAFETY: the pointer and the length are those of one vector.
        let ready = unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, 1_000) };
        assert!(ready >= 0, "poll: {}", std::io::Error::last_os_error());
        for (stream, _) in streams.iter_mut().zip(&polls).filter(|(_, poll)| poll.revents != 0) {
            match stream.read(&mut chunk) {
                Ok(0) => panic!("the server has closed the connection"),
                Ok(len) if chunk[len - 1] == b'\n' => stream.write_all(REQUEST).expect("a request"),
                Ok(_) => {}
                Err(e) => assert!(matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted), "{e}"),
            }
        }
    }
}
