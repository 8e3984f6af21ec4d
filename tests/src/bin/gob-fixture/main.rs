//! The worker of the end-to-end tests: plays a script (see `gob_tests::script`), and misbehaves by it.
//!
//! It takes the arguments of `gob-graph-worker` and stands in its place. It has no `main` of Rust's, whose
//! runtime would ignore SIGPIPE and catch SIGSEGV before the inherited signal dispositions can be seen.
//!
//! It leaves `facts.<run>.json` and `pids.<run>` (a line `<pid>` for each process that it made) in the
//! graph's directory.

#![no_main]

use gob_protocol::Framer;
use gob_protocol::name::encode_safe;
use gob_tests::process;
use gob_tests::script::{Child, Facts, Flood, Http, Step, Write};
use serde_json::{Value, json};
use std::ffi::{c_char, c_int};
use std::fs;
use std::io::{self, Read, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
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

    fn listen(self: &Arc<Self>) -> io::Result<()> {
        if let Some(parent) = self.socket.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::remove_file(&self.socket) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&self.socket)?;
        let worker = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let worker = Arc::clone(&worker);
                std::thread::spawn(move || worker.serve(&stream));
            }
        });
        Ok(())
    }

    /// Serves HTTP, and prints its port on standard output.
    fn serve_http(&self, what: Http) -> io::Result<()> {
        let args = &self.facts.args;
        let port = args.iter().position(|arg| arg == "--port").and_then(|at| args.get(at + 1)?.parse().ok());
        let host = what.host.as_deref().and_then(|host| host.parse().ok());
        let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = what.port.or(port).unwrap_or(0);
        let listener = TcpListener::bind((host, port))?;
        let port = listener.local_addr()?.port();
        let line = what.line.unwrap_or_else(|| "listening on {\"port\":{PORT}}\n".to_owned());
        write_all(1, line.replace("{PORT}", &port.to_string()).as_bytes());
        let sick = what.sick_while.map(|file| self.dir.join(file));
        std::thread::spawn(move || {
            for (n, mut stream) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                let mut head = Vec::new();
                let mut chunk = [0; 4096];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut chunk) {
                        Ok(len @ 1..) => head.extend_from_slice(&chunk[..len]),
                        Ok(_) | Err(_) => break,
                    }
                }
                let shutdown = head.starts_with(b"POST ");
                let status = match (shutdown, what.takes_shutdown) {
                    (true, false) => "403 Forbidden",
                    (false, _) if n < what.unready || sick.as_ref().is_some_and(|file| file.exists()) => {
                        "503 Later"
                    }
                    _ => "200 OK",
                };
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                let written = stream.write_all(answer.as_bytes());
                if shutdown && what.takes_shutdown && written.is_ok() {
                    end(0);
                }
            }
        });
        Ok(())
    }

    fn serve(&self, mut stream: &UnixStream) {
        let mut framer = Framer::new(1 << 20);
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(len @ 1..) = stream.read(&mut chunk) {
            framer.extend(&chunk[..len]);
            while let Some(Ok(line)) = framer.next_frame() {
                let answer = self.answer(line);
                if stream.write_all(format!("{answer}\n").as_bytes()).is_err() {
                    return;
                }
            }
        }
    }

    fn answer(&self, line: &[u8]) -> Value {
        let request: Value = serde_json::from_slice(line).unwrap_or_default();
        let payload = request["payload"].clone();
        let data = match request["type"].as_str() {
            Some("ping") => json!({"pong": true, "pid": self.facts.pid}),
            Some("facts") => json!(self.facts),
            Some("exit") => end(payload["code"].as_i64().unwrap_or(0) as i32),
            Some("kill") => {
                raise(signal_number(payload["signal"].as_str().unwrap_or("KILL")));
                json!({})
            }
            Some("spawn") => match serde_json::from_value(payload).map(|child| self.spawn(&child)) {
                Ok(Ok(pid)) => json!({"pid": pid}),
                _ => Value::Null,
            },
            Some("write") => match serde_json::from_value::<Write>(payload) {
                Ok(what) => {
                    write_all(if what.stderr { 2 } else { 1 }, what.text.as_bytes());
                    json!({})
                }
                Err(_) => Value::Null,
            },
            Some("flood") => match serde_json::from_value::<Flood>(payload) {
                Ok(what) => {
                    flood(&what);
                    json!({})
                }
                Err(_) => Value::Null,
            },
            _ => Value::Null,
        };
        json!({"id": request["id"], "success": !data.is_null(), "data": data})
    }
}

/// Runs a child of the fixture: takes the requested form, reports its pid, and waits for its end.
fn live_as_child(tell: c_int, child: &Child) -> ! {
    if child.detach {
        fork_away();
    }
    if child.setsid || child.detach {
        // SAFETY: no arguments; failing (already a leader) leaves everything as it was.
        unsafe { libc::setsid() };
    }
    if child.detach {
        fork_away();
    }
    if child.ignore_term {
        [libc::SIGTERM, libc::SIGHUP, libc::SIGINT].into_iter().for_each(ignore);
    }
    if child.reset_limits {
        let none = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: reads one `rlimit`.
        unsafe { libc::setrlimit(libc::RLIMIT_LOCKS, &raw const none) };
    }
    if let Some(uid) = child.uid {
        // SAFETY: takes numbers only. A process that may not become that user goes on as it is.
        unsafe { libc::setresuid(uid, uid, uid) };
    }
    write_all(tell, std::process::id().to_string().as_bytes());
    // SAFETY: this process, which has one thread, uses none of the descriptors afterwards.
    unsafe {
        if child.close_fds {
            libc::close_range(0, u32::MAX, 0);
        } else {
            libc::close(tell);
        }
    }
    if child.stop {
        raise(libc::SIGSTOP);
    }
    if child.end_main_thread {
        std::thread::spawn(hang);
        // SAFETY: ends this thread alone; nothing on its stack is borrowed by the other one.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
    if child.hops > 0 {
        for _ in 0..child.hops {
            if child.hop_us > 0 {
                // SAFETY: takes an integer.
                unsafe { libc::usleep(child.hop_us) };
            }
            fork_away();
        }
        end(0);
    }
    hang()
}

fn fork_away() {
    // SAFETY: a child process of the fixture has one thread, so the forked one may go on as it likes.
    match unsafe { libc::fork() } {
        0 => {}
        _ => end(0),
    }
}

fn facts() -> Facts {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let status = status.lines().filter_map(|line| line.split_once(":\t"));
    let status = status.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect();
    let link = |path: &Path| fs::read_link(path).map(|p| p.display().to_string()).unwrap_or_default();
    let fds = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let target = link(&entry.path());
        (!target.ends_with("/fd") || !target.starts_with("/proc/")).then_some((number, target))
    });
    let fds = fds.collect();
    let environ = fs::read("/proc/self/environ").unwrap_or_default();
    let env = environ.split(|b| *b == 0).filter(|part| !part.is_empty());
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let mut pdeathsig: c_int = 0;
    // SAFETY: both calls write into the variables that they are given; the others take no pointers.
    let (pid, ppid, pgid, sid) = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut pdeathsig);
        (libc::getpid(), libc::getppid(), libc::getpgid(0), libc::getsid(0))
    };
    Facts {
        pid,
        ppid,
        pgid,
        sid,
        pdeathsig,
        args: std::env::args().collect(),
        cwd: link(Path::new("/proc/self/cwd")),
        env: env.map(|pair| String::from_utf8_lossy(pair).into_owned()).collect(),
        fds,
        nofile: (limit.rlim_cur, limit.rlim_max),
        status,
    }
}

/// Makes a pipe whose writing end a child inherits.
fn pipe() -> io::Result<(fs::File, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    nix::fcntl::fcntl(&write, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    Ok((fs::File::from(read), write))
}

fn flood(what: &Flood) {
    let mut block = vec![b'x'; 64 * 1024];
    let mut left = what.bytes;
    let mut column = 0;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        if what.line > 0 {
            for byte in &mut block[..len] {
                column += 1;
                *byte = if column % what.line == 0 { b'\n' } else { b'x' };
            }
        }
        write_all(if what.stderr { 2 } else { 1 }, &block[..len]);
        left -= len as u64;
    }
}

/// Writes straight to the descriptor; without a reader the bytes are dropped.
fn write_all(fd: c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the pointer and the length are those of one slice.
        match unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) } {
            written @ 1.. => bytes = &bytes[written as usize..],
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

fn signal_number(name: &str) -> c_int {
    let name = if name.starts_with("SIG") { name.to_owned() } else { format!("SIG{name}") };
    name.parse::<nix::sys::signal::Signal>().map_or(0, |signal| signal as c_int)
}

fn ignore(signal: c_int) {
    // SAFETY: SIG_IGN is a valid disposition; no handler is installed.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

fn hear(signal: c_int) {
    extern "C" fn say(signal: c_int) {
        let name = nix::sys::signal::Signal::try_from(signal).map_or("nothing", |signal| signal.as_str());
        ["heard ", name, "\n"].iter().for_each(|part| write_all(1, part.as_bytes()));
    }
    // SAFETY: the handler has this signature, and does nothing but write(2).
    unsafe { libc::signal(signal, say as extern "C" fn(c_int) as libc::sighandler_t) };
}

fn raise(signal: c_int) {
    // SAFETY: a signal to this process itself.
    unsafe { libc::kill(libc::getpid(), signal) };
}

fn end(code: c_int) -> ! {
    // SAFETY: ends the process without running anything of it, as a crash would.
    unsafe { libc::_exit(code) }
}

fn hang() -> ! {
    loop {
        // SAFETY: no arguments; comes back only after a signal handler, of which there is none.
        unsafe { libc::pause() };
    }
}
