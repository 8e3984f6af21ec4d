//! The worker of the end-to-end tests: plays a script (see `gob_tests::script`), and misbehaves by it.
//!
//! It takes the arguments of `gob-graph-worker` and stands in its place. It has no `main` of Rust's, whose
//! runtime would ignore SIGPIPE and catch SIGSEGV before the inherited signal dispositions can be seen.
//!
//! It leaves `facts.<run>.json` and `pids.<run>` (a line `<pid>` for each process that it made) in the
//! graph's directory.

#![no_main]

mod child;
mod facts;
mod raw;
mod serve;

use child::live_as_child;
use facts::facts;
use gob_protocol::name::encode_safe;
use gob_tests::process;
use gob_tests::script::{Child, Facts, Step, Write};
use raw::{end, flood, hang, hear, ignore, pipe, raise, signal_number, write_all};
use serde_json::json;
use std::ffi::{c_char, c_int};
use std::fs;
use std::io::{self, Read, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let facts = facts();
    let mut args = std::env::args().skip(1);
    let first = args.next();
    if first.as_deref() == Some("--child") {
        let tell = args.next().and_then(|fd| fd.parse().ok()).expect("--child FD JSON");
        let child = serde_json::from_str(&args.next().expect("--child FD JSON")).expect("a child");
        live_as_child(tell, &child);
    }
    let worker = Worker::from_args(facts).expect("--root-dir D --graph G --socket S");
    if let Err(error) = worker.play() {
        write_all(2, format!("gob-fixture: {error}\n").as_bytes());
        return 99;
    }
    0
}

struct Worker {
    dir: PathBuf,
    socket: PathBuf,
    run: String,
    facts: Facts,
}

impl Worker {
    fn from_args(facts: Facts) -> Option<Arc<Self>> {
        let value = |flag: &str| {
            let at = facts.args.iter().position(|arg| arg == flag)?;
            facts.args.get(at + 1).cloned()
        };
        let dir = PathBuf::from(value("--root-dir")?).join(encode_safe(&value("--graph")?));
        let socket = PathBuf::from(value("--socket")?);
        let run = facts.var("GOB_RUN").unwrap_or("0").to_owned();
        Some(Arc::new(Self { dir, socket, run, facts }))
    }

    fn play(self: &Arc<Self>) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let facts = serde_json::to_vec(&self.facts)?;
        let temporary = self.dir.join(format!(".facts.{}", self.facts.pid));
        fs::write(&temporary, facts)?;
        fs::rename(&temporary, self.dir.join(format!("facts.{}.json", self.run)))?;
        // A graph that was served has data; without any, a supervisor that remembers it takes it for lost.
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.dir.join("graph.sqlite"))?
            .write_all(b"-")?;
        for step in self.script()? {
            self.step(step)?;
        }
        hang()
    }

    fn script(&self) -> io::Result<Vec<Step>> {
        for file in [format!("fixture.{}.json", self.run), "fixture.json".to_owned()] {
            match fs::read(self.dir.join(file)) {
                Ok(bytes) => return Ok(serde_json::from_slice(&bytes)?),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok(vec![Step::Listen, Step::Handshake])
    }

    fn step(self: &Arc<Self>, step: Step) -> io::Result<()> {
        match step {
            Step::Ignore(names) => names.iter().for_each(|name| ignore(signal_number(name))),
            Step::Hear(names) => names.iter().for_each(|name| hear(signal_number(name))),
            Step::Child(child) => {
                self.spawn(&child)?;
            }
            Step::Write(Write { text, stderr, chunk }) => {
                let text = text.replace("{HANDSHAKE}", &self.handshake());
                let chunk = if chunk == 0 { text.len().max(1) } else { chunk };
                text.as_bytes().chunks(chunk).for_each(|part| write_all(if stderr { 2 } else { 1 }, part));
            }
            Step::Bytes(bytes) => write_all(1, &bytes),
            Step::Flood(what) => flood(&what),
            Step::Listen => self.listen()?,
            Step::Handshake => write_all(1, format!("{}\n", self.handshake()).as_bytes()),
            Step::Http(what) => self.serve_http(what)?,
            Step::Notify(text) => {
                let socket = self.facts.var("NOTIFY_SOCKET").ok_or(io::ErrorKind::NotFound)?;
                UnixDatagram::unbound()?.send_to(text.as_bytes(), socket)?;
            }
            Step::WaitFor(fifo) => {
                fs::File::open(self.dir.join(fifo))?.read_to_end(&mut Vec::new())?;
            }
            Step::Exit(code) => end(code),
            Step::Kill(name) => raise(signal_number(&name)),
            // SAFETY: nothing else of this process uses descriptor 1 from here on.
            Step::CloseStdout => unsafe {
                libc::close(1);
            },
            // SAFETY: as above, for every higher number.
            Step::CloseOthers => unsafe {
                libc::close_range(3, u32::MAX, 0);
            },
            Step::Hang => hang(),
        }
        Ok(())
    }

    fn handshake(&self) -> String {
        let endpoint = format!("unix:{}", self.socket.display());
        json!({"ready": true, "version": "fixture", "pid": self.facts.pid, "endpoint": endpoint,
               "target": {"run": self.run}})
        .to_string()
    }

    /// Starts a process, waits until it has taken its form, and returns its pid.
    fn spawn(&self, child: &Child) -> io::Result<i32> {
        let (mut ours, theirs) = pipe()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--child", &theirs.as_raw_fd().to_string(), &serde_json::to_string(child)?]);
        command.stdin(Stdio::null());
        if !child.hold_output {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        if child.env_clear {
            command.env_clear();
        }
        let mut started = command.spawn()?;
        drop(theirs);
        let mut pid = String::new();
        ours.read_to_string(&mut pid)?;
        if child.detach {
            started.wait()?;
        }
        let mut pids = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.join(format!("pids.{}", self.run)))?;
        pids.write_all(format!("{pid}\n").as_bytes())?;
        let pid = pid.parse().map_err(io::Error::other)?;
        if child.stop && !child.detach {
            process::wait_stopped(pid)?;
        }
        Ok(pid)
    }
}
