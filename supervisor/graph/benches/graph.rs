//! Compares the worker with plain SQLite, in one run on one machine: `cargo bench -p gob-graph-worker`.
//!
//! Import: 100,000 nodes and 1,000,000 edges over the socket, beside the same rows put by prepared statements
//! in this process, without socket, JSON, checks or search. Get: single nodes over the socket, one at a time
//! and 64 at a time, beside a prepared SELECT on the same file in this process, and beside `ping`, which is
//! the socket alone. Figures are the best of five rounds. A first argument is the number of edges.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use rusqlite::{Connection, params};
use serde_json::Value;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const NODES: u64 = 100_000;
const EDGES: u64 = 1_000_000;
const GETS: u64 = 100_000;
const LINES_PER_REQUEST: u64 = 2_000;
/// Requests that are sent before their answers are read.
const AHEAD: usize = 16;
const ROUNDS: usize = 5;

/// The worker, killed at the end.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

struct Client {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    line: String,
}

impl Client {
    fn read(&mut self) -> Result<&str> {
        self.line.clear();
        self.reader.read_line(&mut self.line)?;
        Ok(&self.line)
    }

    /// Reads up to the next response.
    fn response(&mut self) -> Result<()> {
        loop {
            let line = self.read()?;
            if line.contains("\"success\":true") {
                return Ok(());
            }
            if !line.starts_with("{\"event\"") {
                return Err(line.into());
            }
        }
    }
}

/// Pseudo-random numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn main() -> Result<()> {
    let edges = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(EDGES);
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("bench.sock");
    let (_worker, mut client, file) = start(dir.path(), &socket)?;
    let frames = frames(edges)?;
    let bytes: usize = frames.iter().map(String::len).sum();

    let began = Instant::now();
    import(&mut client, &frames)?;
    let imported = began.elapsed();
    drop(frames);
    let plain = plain_import(&dir.path().join("plain.sqlite"), edges)?;
    let rate = |took: Duration| edges as f64 / took.as_secs_f64();
    println!("import of {NODES} nodes and {edges} edges ({} MB of requests)", bytes / 1_000_000);
    println!("  worker                {:>9.0} edges/s   {:.2} s", rate(imported), imported.as_secs_f64());
    println!("  plain SQLite          {:>9.0} edges/s   {:.2} s", rate(plain), plain.as_secs_f64());
    println!("  ratio                 {:>9.2}", imported.as_secs_f64() / plain.as_secs_f64());

    print_gets(&mut client, &file)
}

/// The four measurements take turns, so that other load on the machine affects all of them.
fn print_gets(client: &mut Client, file: &str) -> Result<()> {
    let ping = |out: &mut String, _| {
        out.push_str("{\"id\":1,\"type\":\"ping\"}\n");
        Ok(())
    };
    let get = |out: &mut String, id: u64| {
        Ok(writeln!(out, r#"{{"id":1,"type":"get","payload":{{"id":"node-{id}"}}}}"#)?)
    };
    let mut best = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        let round =
            [plain_gets(file)?, singles(client, ping)?, singles(client, get)?, pipelined(client, get)?];
        for (best, took) in best.iter_mut().zip(round) {
            *best = took.min(*best);
        }
    }
    let [plain, ping, single, ahead] = best;
    println!("get of one node, best of {ROUNDS} rounds of {GETS}");
    for (name, took) in [
        ("plain SQLite", plain),
        ("ping, a round trip", ping),
        ("get, a round trip", single),
        ("get, 64 in flight", ahead),
    ] {
        let each = took.as_secs_f64() * 1e6 / GETS as f64;
        println!("  {name:<20}  {each:>9.2} µs   {:>6.2} × plain", took.as_secs_f64() / plain.as_secs_f64());
    }
    println!("  get ÷ ping            {:>9.2}", single.as_secs_f64() / ping.as_secs_f64());
    Ok(())
}

fn start(dir: &Path, socket: &Path) -> Result<(Worker, Client, String)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gob-graph-worker"))
        .args([Path::new("--root-dir"), dir, Path::new("--graph=bench"), Path::new("--socket"), socket])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let stdout = child.stdout.take().ok_or("no standard output")?;
    let worker = Worker(child);
    BufReader::new(stdout).read_line(&mut line)?;
    let handshake: Value = serde_json::from_str(&line)?;
    let file = handshake.pointer("/target/path").and_then(Value::as_str).ok_or("no path")?.to_owned();
    let stream = UnixStream::connect(socket)?;
    let reader = BufReader::with_capacity(1 << 16, stream.try_clone()?);
    Ok((worker, Client { stream, reader, line: String::new() }, file))
}

fn properties(id: u64) -> String {
    format!(r#"{{"name":"name of {id}","year":{}}}"#, 1900 + id % 125)
}

fn frames(edges: u64) -> Result<Vec<String>> {
    let mut numbers = Numbers(1);
    let mut frames = Vec::new();
    let mut frame = String::new();
    for at in 0..NODES + edges {
        frame.push_str(if frame.is_empty() {
            r#"{"id":1,"type":"import_lines","payload":{"lines":["#
        } else {
            ","
        });
        if at < NODES {
            write!(
                frame,
                r#"{{"node":{{"id":"node-{at}","label":"Thing","properties":{}}}}}"#,
                properties(at)
            )?;
        } else {
            let (from, to) = (numbers.below(NODES), numbers.below(NODES));
            write!(
                frame,
                r#"{{"edge":{{"from":"node-{from}","to":"node-{to}","type":"LINKS","properties":{{"w":{at}}}}}}}"#
            )?;
        }
        if (at + 1) % LINES_PER_REQUEST == 0 || at + 1 == NODES + edges {
            frame.push_str("]}}\n");
            frames.push(std::mem::take(&mut frame));
        }
    }
    Ok(frames)
}

fn import(client: &mut Client, frames: &[String]) -> Result<()> {
    client.stream.write_all(b"{\"id\":1,\"type\":\"import_begin\"}\n")?;
    let mut unanswered = 1;
    for frame in frames {
        client.stream.write_all(frame.as_bytes())?;
        unanswered += 1;
        if unanswered > AHEAD {
            client.response()?;
            unanswered -= 1;
        }
    }
    client.stream.write_all(b"{\"id\":1,\"type\":\"import_end\"}\n")?;
    for _ in 0..=unanswered {
        client.response()?;
    }
    Ok(())
}

/// Puts the import's rows by the shortest way there is.
fn plain_import(file: &Path, edges: u64) -> Result<Duration> {
    let db = Connection::open(file)?;
    db.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    db.execute_batch(
        "PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536;
         CREATE TABLE node(key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, label TEXT, properties TEXT NOT NULL);
         CREATE TABLE edge(source INTEGER, type TEXT, target INTEGER, properties TEXT,
                           PRIMARY KEY (source, type, target)) WITHOUT ROWID;
         CREATE INDEX edge_target ON edge(target, type, source);",
    )?;
    let began = Instant::now();
    let transaction = db.unchecked_transaction()?;
    let mut node = db.prepare("INSERT INTO node(id, label, properties) VALUES (?1, 'Thing', ?2)")?;
    for id in 0..NODES {
        node.execute(params![format!("node-{id}"), properties(id)])?;
    }
    let mut edge = db.prepare(
        "INSERT OR REPLACE INTO edge SELECT s.key, 'LINKS', t.key, ?3 FROM node s, node t WHERE s.id = ?1 AND t.id = ?2",
    )?;
    let mut numbers = Numbers(1);
    for at in NODES..NODES + edges {
        let (from, to) = (numbers.below(NODES), numbers.below(NODES));
        edge.execute(params![format!("node-{from}"), format!("node-{to}"), format!(r#"{{"w":{at}}}"#)])?;
    }
    transaction.commit()?;
    Ok(began.elapsed())
}

fn plain_gets(file: &str) -> Result<Duration> {
    let db = Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut find = db.prepare("SELECT id, label, properties FROM node WHERE id = ?1")?;
    let mut numbers = Numbers(2);
    let (mut id, mut bytes) = (String::new(), 0);
    let began = Instant::now();
    for _ in 0..GETS {
        id.clear();
        write!(id, "node-{}", numbers.below(NODES))?;
        bytes += find.query_row([&id], |row| Ok(row.get_ref(2)?.as_str()?.len()))?;
    }
    let took = began.elapsed();
    if bytes == 0 { Err("nothing was read".into()) } else { Ok(took) }
}

fn singles(client: &mut Client, request: impl Fn(&mut String, u64) -> Result<()>) -> Result<Duration> {
    let mut numbers = Numbers(2);
    let mut line = String::new();
    let began = Instant::now();
    for _ in 0..GETS {
        line.clear();
        request(&mut line, numbers.below(NODES))?;
        client.stream.write_all(line.as_bytes())?;
        client.response()?;
    }
    Ok(began.elapsed())
}

fn pipelined(client: &mut Client, request: impl Fn(&mut String, u64) -> Result<()>) -> Result<Duration> {
    let mut numbers = Numbers(2);
    let mut lines = String::new();
    let began = Instant::now();
    for _ in 0..GETS / 64 {
        lines.clear();
        for _ in 0..64 {
            request(&mut lines, numbers.below(NODES))?;
        }
        client.stream.write_all(lines.as_bytes())?;
        for _ in 0..64 {
            client.response()?;
        }
    }
    Ok(began.elapsed())
}
