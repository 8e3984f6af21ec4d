//! The kinds of `docs/examples/kinds`, each copied as it is and tried on the real server (FEATURES A10): two
//! graphs of it at once, used over their own protocols, stopped, started again, restarted.
//!
//! The servers are no part of this project. Their programs are searched for in `$GOB_TEST_TOOLS`
//! (`target/tools` when it is not set; `.ci/run` fills it: `venv` from PyPI, `npm` from npm), then on PATH,
//! then in Debian's directories of PostgreSQL. A test without its server is skipped
//! (`gob_tests::require`).

mod http;
mod postgres;
mod resp;

use gob_tests::gob::built_binaries;
use gob_tests::process;
use gob_tests::require::{Need, skip};
use gob_tests::wait::DEADLINE;
use gob_tests::{Ctl, Gob};
use nix::unistd::User;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time limit of a start or a restart: the longest timeout of a shipped kind, and a margin.
const START: Duration = Duration::from_secs(75);

/// A world in which one shipped kind is configured.
struct Servers {
    gob: Gob,
    kind: &'static str,
    path: Vec<PathBuf>,
}

/// One server of it, as it was when it was started.
struct Server {
    graph: &'static str,
    pid: i32,
    port: u16,
}

impl Servers {
    /// Makes it; `None`, with a message, when one of the programs is not installed.
    fn of(kind: &'static str, programs: &[&str]) -> Option<Self> {
        let path = tool_path();
        if let Some(missing) = programs.iter().find(|program| find(&path, program).is_none()) {
            skipped(kind, &format!("{missing} is not here"));
            return None;
        }
        let gob = Gob::new();
        let shipped =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/examples/kinds/{kind}.toml"));
        let config = gob.dir().join("config.toml");
        fs::copy(shipped, &config).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        Some(Self { gob, kind, path })
    }

    /// Creates a call with the servers' programs on its PATH, behind those of this world.
    fn call(&self, program: &Path, args: &[&str]) -> Ctl {
        let mut call = Ctl::new(program, self.gob.env());
        let own = self.gob.dir().join("bin");
        let path = std::env::join_paths(std::iter::once(&own).chain(&self.path)).unwrap();
        call.env("PATH", path.to_str().unwrap()).args(args.iter().copied());
        call
    }

    fn ctl(&self, args: &[&str]) -> Ctl {
        self.call(&self.gob.bin("gobctl"), args)
    }

    fn home(&self) -> PathBuf {
        self.gob.dir().join("home")
    }

    /// Starts or restarts a graph and checks its view, in the answer and in the list.
    fn up(&self, words: &[&str], graph: &'static str) -> Server {
        let told = self.ctl(words).run_within(START);
        assert_eq!(told.code, 0, "{told}");
        let listed = self.ctl(&["list", "--json"]).json();
        let worker =
            listed["workers"].as_array().unwrap().iter().find(|worker| worker["name"] == graph).unwrap();
        assert_eq!(
            (&worker["state"], &worker["kind"], &worker["owner"], &worker["restarts"]),
            (&json!("ready"), &json!(self.kind), &json!("cli"), &json!(0)),
            "{worker}"
        );
        let (pid, endpoint) = (worker["pid"].as_i64().unwrap(), worker["endpoint"].as_str().unwrap());
        assert!(told.stdout.contains(&format!("ed {graph} (pid {pid}, owner cli) in ")), "{told}");
        assert!(told.stdout.ends_with(&format!("\n{endpoint}\n")), "{told}");
        let row = self.ctl(&["list"]).ok();
        let row = row.lines().find(|line| line.starts_with(graph)).unwrap();
        assert!(row.contains(" ready ") && row.ends_with(endpoint), "{row}");
        let scheme = match self.kind {
            "redis" => "redis://127.0.0.1:",
            "postgresql" | "pglite" => "postgresql://127.0.0.1:",
            _ => "http://127.0.0.1:",
        };
        assert!(endpoint.starts_with(scheme), "{worker}");
        let port = endpoint.rsplit(':').next().unwrap().parse().unwrap();
        Server { graph, pid: pid as i32, port }
    }

    fn start(&self, graph: &'static str) -> Server {
        self.up(&["start", graph, "--kind", self.kind], graph)
    }

    /// Stops a server in order and checks its end: the exit, a receipt that names it, no survivor, no process
    /// left.
    fn stop(&self, server: &Server, exit: &Value) {
        // Some write their titles over their environment, by which the harness identifies their world.
        let tree = process::tree(server.pid);
        let told = self.ctl(&["stop", server.graph, "--json"]).json();
        assert_eq!((&told["worker"]["state"], &told["worker"]["exit"]), (&json!("idle"), exit), "{told}");
        assert_eq!(told["worker"]["reason"], Value::Null, "{told}");
        let signalled = told["receipt"]["signalled"].as_array().unwrap();
        assert!(signalled.iter().any(|process| process["pid"] == server.pid), "{told}");
        assert!(
            signalled.iter().all(|process| !process["signals"].to_string().contains("KILL")),
            "it did not stop by itself: {told}"
        );
        assert_eq!(told["receipt"]["survivors"], json!([]), "{told}");
        let left: Vec<_> = tree.iter().filter(|handle| !handle.wait_gone(Duration::ZERO)).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    /// Runs two graphs at once, which have nothing in common; one is stopped and started, the other one
    /// restarted.
    fn live(&self, exit: &Value, write: impl Fn(&Server, &str), read: impl Fn(&Server) -> String) {
        let (one, two) = (self.start("one"), self.start("two"));
        assert_ne!((one.pid, one.port), (two.pid, two.port));
        write(&one, "first");
        write(&two, "second");
        assert_eq!((read(&one), read(&two)), ("first".to_owned(), "second".to_owned()));

        self.stop(&one, exit);
        assert_eq!(read(&two), "second", "the other one goes on");
        let again = self.start("one");
        assert_eq!(read(&again), "first", "what was written outlives a stop");

        let tree = process::tree(two.pid);
        let restarted = self.up(&["restart", "two"], "two");
        assert!(tree.iter().all(|handle| handle.wait_gone(Duration::ZERO)), "the run before is left behind");
        assert_eq!(read(&restarted), "second", "what was written outlives a restart");
        self.stop(&again, exit);
        self.stop(&restarted, exit);
        self.ctl(&["shutdown"]).ok();
        assert!(self.gob.wait_empty(DEADLINE).is_empty(), "left behind");
    }
}

/// Returns the directory of the programs that `.ci/run` fetches.
pub(crate) fn tools() -> PathBuf {
    std::env::var_os("GOB_TEST_TOOLS")
        .map_or_else(|| built_binaries().parent().unwrap().join("tools"), PathBuf::from)
}

/// Finds a program in the directories that are searched.
pub(crate) fn tool(program: &str) -> Option<PathBuf> {
    find(&tool_path(), program)
}

/// Returns the directories that are searched for programs, in this order.
fn tool_path() -> Vec<PathBuf> {
    let tools = tools();
    let mut path = vec![tools.join("venv/bin"), tools.join("npm/node_modules/.bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    // Debian has several versions side by side, and none of them on PATH.
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path().join("bin"))
        .collect();
    versions.sort();
    path.extend(versions.into_iter().rev());
    path
}

fn find(path: &[PathBuf], program: &str) -> Option<PathBuf> {
    path.iter().map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Reports that a shipped kind is not tried.
fn skipped(kind: &'static str, why: &str) {
    skip(
        Need::Server(kind),
        &format!("{why}, so docs/examples/kinds/{kind}.toml is not tried on the real server"),
    );
}

/// A connection whose reads have a deadline.
fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

#[test]
fn redis() {
    let Some(servers) = Servers::of("redis", &["redis-server"]) else { return };
    let write = |server: &Server, value: &str| {
        assert_eq!(resp::ask(server.port, &["SET", "key", value]), "OK");
    };
    servers.live(&json!({"code": 0}), write, |server| resp::ask(server.port, &["GET", "key"]));
}

#[test]
fn oxigraph() {
    let Some(servers) = Servers::of("oxigraph", &["oxigraph"]) else { return };
    let write = |server: &Server, value: &str| {
        let triple = format!("INSERT DATA {{ <urn:gob:key> <urn:gob:is> \"{value}\" }}");
        http::ask(server.port, "POST /update", &[("Content-Type", "application/sparql-update")], &triple);
    };
    let read = |server: &Server| {
        let query = "SELECT ?value WHERE { <urn:gob:key> <urn:gob:is> ?value }";
        let types =
            [("Content-Type", "application/sparql-query"), ("Accept", "application/sparql-results+json")];
        let found: Value =
            serde_json::from_str(&http::ask(server.port, "POST /query", &types, query)).unwrap();
        let rows = found["results"]["bindings"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{found}");
        rows[0]["value"]["value"].as_str().unwrap().to_owned()
    };
    // It has no handler for the signal, and dies of it.
    servers.live(&json!({"signal": "SIGTERM", "core_dumped": false}), write, read);
}

#[test]
fn datasette() {
    let Some(servers) = Servers::of("datasette", &["datasette", "python3"]) else { return };
    // It serves files that are there; Python, without which there is no Datasette, makes and changes them.
    let folder = servers.home().join("datasette");
    fs::create_dir(&folder).unwrap();
    let sql = |graph: &str, sql: &str| {
        let file = folder.join(format!("{graph}.db"));
        let code = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: db.execute(sys.argv[2])";
        let python = find(&servers.path, "python3").unwrap();
        servers.call(&python, &["-c", code, file.to_str().unwrap(), sql]).ok();
    };
    for graph in ["one", "two"] {
        sql(graph, "CREATE TABLE pairs (key TEXT PRIMARY KEY, value TEXT)");
    }
    let write = |server: &Server, value: &str| {
        sql(server.graph, &format!("INSERT INTO pairs VALUES ('key', '{value}')"));
    };
    let read = |server: &Server| {
        let request = format!("GET /{}/pairs/key.json?_shape=array", server.graph);
        let rows: Value = serde_json::from_str(&http::ask(server.port, &request, &[], "")).unwrap();
        assert_eq!(rows[0]["key"], "key", "{rows}");
        rows[0]["value"].as_str().unwrap().to_owned()
    };
    // It ends in order, and then by the signal that it was sent.
    servers.live(&json!({"signal": "SIGTERM", "core_dumped": false}), write, read);
}

#[test]
fn pglite() {
    let Some(servers) = Servers::of("pglite", &["pglite-server", "node"]) else { return };
    servers.live(&json!({"code": 0}), write_row, read_row);
}

/// Puts a row into a table of its own, in a PostgreSQL or a server that speaks its protocol.
fn write_row(server: &Server, value: &str) {
    assert_eq!(postgres::ask(server.port, "SELECT 1"), ["1"]);
    postgres::ask(server.port, "CREATE TABLE pairs (key text PRIMARY KEY, value text)");
    postgres::ask(server.port, &format!("INSERT INTO pairs VALUES ('key', '{value}')"));
}

fn read_row(server: &Server) -> String {
    let rows = postgres::ask(server.port, "SELECT value FROM pairs WHERE key = 'key'");
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

#[test]
fn postgresql() {
    let Some(servers) = Servers::of("postgresql", &["postgres", "initdb"]) else { return };
    let data = servers.home().join(".local/share/gob/postgresql");
    fs::create_dir_all(&data).unwrap();
    if !step_down(&servers, &data) {
        return skipped("postgresql", "it does not run as root, and nothing here steps down to another user");
    }
    for graph in ["one", "two"] {
        let dir = data.join(graph);
        let args = ["-D", dir.to_str().unwrap(), "--username=postgres", "--no-sync"];
        let told = servers.call("initdb".as_ref(), &args).run_within(START);
        assert_eq!(told.code, 0, "{told}");
    }
    servers.live(&json!({"code": 0}), write_row, read_row);
}

/// PostgreSQL's programs refuse to run as root. For a test that is root, programs of their names come first
/// on PATH, which step down to another user and then become the real ones; so the kind's command stays as it
/// is. False when that fails.
fn step_down(servers: &Servers, data: &Path) -> bool {
    if !nix::unistd::geteuid().is_root() {
        return true;
    }
    #[expect(clippy::disallowed_methods, reason = "a test is dynamic")]
    let user = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).unwrap());
    let (Some(setpriv), Some(user)) = (find(&servers.path, "setpriv"), user) else { return false };
    for program in ["postgres", "initdb"] {
        let real = find(&servers.path, program).unwrap();
        let text = format!(
            "#!/bin/sh\ncd / && exec {} --reuid={} --regid={} --clear-groups {} \"$@\"\n",
            setpriv.display(),
            user.uid,
            user.gid,
            real.display()
        );
        gob_tests::program::write(&servers.gob.bin(program), text, 0o755);
    }
    // The user owns its data and may pass through what is above it.
    nix::unistd::chown(data, Some(user.uid), Some(user.gid)).unwrap();
    for above in data.ancestors().skip(1).take_while(|above| above.starts_with(servers.gob.dir())) {
        fs::set_permissions(above, fs::Permissions::from_mode(0o711)).unwrap();
    }
    true
}
