//! Another program of the keeper takes its place: the same process, with its locks, its child and the count of its restarts.
//!
//! gobd asks for it by SIGURG after its own upgrade; a keeper that knows nothing of this ignores the signal. The new program is tried as a
//! child on what it would get, and executed only when it says that it goes on. Until then nothing is given away: whatever fails is told
//! on the pipe of the one who asks, and this program goes on.

use crate::error::Error;
use crate::handed::{self, GOES_ON, Handed, WOULD_GO_ON};
use crate::keep::Keeper;
use crate::locks::Locks;
use crate::paths::{self, Paths, c_path};
use crate::sys::{self, Ended};
use crate::{How, fault, log};
use gob_host::siblings;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, execveat, pipe2};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const PROGRAM: &str = "gob-keeper";
/// The line of a program that would go on.
const GOING_ON: &str = "gob-keeper goes on";
/// Time limit of a trial.
const LIMIT: Duration = Duration::from_secs(5);
/// The most of a program's words that is read.
const MAX_WORDS: u64 = 4096;

/// The pipe of the one who asks.
#[derive(Debug)]
pub(crate) struct Told(File);

impl Told {
    /// Opens a descriptor of another process of this user.
    fn of(asker: Pid, fd: RawFd) -> io::Result<Self> {
        let options = File::options().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).to_owned();
        options.open(format!("/proc/{asker}/fd/{fd}")).map(Self)
    }

    fn goes_on(mut self) {
        // The one who asked may have left.
        self.0.write_all(b"R\n").unwrap_or_default();
    }

    fn fails(mut self, why: &str) {
        log::event(&format!("goes on with its own program: {why}"));
        let why: String = why.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        self.0.write_all(format!("E{why}\n").as_bytes()).unwrap_or_default();
    }
}

/// A program that is tried.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) pid: Pid,
    /// The descriptor that is tried is the one that is executed.
    file: File,
    path: PathBuf,
    said: OwnedFd,
    until: Instant,
    is_late: bool,
    told: Told,
}

impl Trial {
    /// Returns the rest of its time; `None` when it is over.
    pub(crate) fn left(&self) -> Option<Duration> {
        (!self.is_late).then(|| self.until.saturating_duration_since(Instant::now()))
    }

    /// Ends it, when its time is over.
    pub(crate) fn end_late(&mut self) {
        if self.left().is_some_and(|left| left.is_zero()) {
            self.is_late = true;
            // It was not reaped yet, so its number is its own.
            kill(self.pid, Signal::SIGKILL).unwrap_or_default();
        }
    }

    fn verdict(&self, ended: Ended) -> Result<(), String> {
        let path = self.path.display();
        if self.is_late {
            return Err(format!("{path} had not ended its trial run after {} s", LIMIT.as_secs()));
        }
        let mut said = Vec::new();
        let read = self.said.try_clone().map(File::from).and_then(|said_on| {
            // A process that still holds the other end is not waited for.
            match said_on.take(MAX_WORDS).read_to_end(&mut said) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                Ok(_) | Err(_) => Ok(()),
            }
        });
        read.map_err(|error| format!("what {path} says in its trial run can't be read: {error}"))?;
        if ended == Ended::Code(0)
            && said.split(|byte| *byte == b'\n').any(|line| line == GOING_ON.as_bytes())
        {
            return Ok(());
        }
        Err(format!("{path} does not go on for the one that runs: its trial run ended with {ended}"))
    }
}

impl Keeper<'_> {
    /// The supervisor asks for the program beside it; the answer goes to its descriptor of this number.
    pub(crate) fn is_asked(&mut self, told: RawFd) {
        let told = match Told::of(self.supervisor, told) {
            Ok(told) => told,
            Err(error) => return log::event(&format!("cannot answer on descriptor {told} of gobd: {error}")),
        };
        fault::at("keeper-asked", &self.paths.dirs.state);
        if self.stopping || self.trial.is_some() {
            return told.fails("it is about to end, or tries a program already");
        }
        match open_beside(self.supervisor).and_then(|found| self.try_program(found)) {
            Ok(None) => told.goes_on(),
            Ok(Some((pid, file, path, said))) => {
                let until = Instant::now() + LIMIT;
                self.trial = Some(Trial { pid, file, path, said, until, is_late: false, told });
            }
            Err(why) => told.fails(&why),
        }
    }

    /// Begins a trial; `None` where the program is the one that runs.
    fn try_program(
        &self,
        (file, path): (File, PathBuf),
    ) -> Result<Option<(Pid, File, PathBuf, OwnedFd)>, String> {
        let failed = |error: io::Error| format!("{} can't be tried: {error}", path.display());
        let of = |found: std::fs::Metadata| (found.dev(), found.ino());
        let own = std::fs::metadata("/proc/self/exe").map_err(failed)?;
        if of(own) == of(file.metadata().map_err(failed)?) {
            return Ok(None);
        }
        let (said, says) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|e| failed(e.into()))?;
        let words = command(WOULD_GO_ON, &self.handed(says.as_fd()));
        let mut inherited = self.held();
        inherited.push(says.as_fd());
        // The child executes it before the descriptor is closed.
        let program = c_path(format!("/proc/self/fd/{}", file.as_raw_fd()).into()).unwrap_or_default();
        let pid = sys::spawn(&program, &words, &environment(), &inherited).map_err(failed)?;
        Ok(Some((pid, file, path, said)))
    }

    /// A trial has ended. Returns only where the program does not take this one's place.
    pub(crate) fn is_tried(&mut self, trial: Trial, ended: Ended) {
        fault::at("keeper-tried", &self.paths.dirs.state);
        let judged = match trial.verdict(ended) {
            Ok(()) if self.stopping => Err("it is about to end".to_owned()),
            judged => judged,
        };
        let why = match judged {
            Ok(()) => {
                let words = command(GOES_ON, &self.handed(trial.told.0.as_fd()));
                let mut kept = self.held();
                kept.push(trial.told.0.as_fd());
                let error = execute(&trial.file, &words, &kept);
                format!("{} can't be executed: {error}", trial.path.display())
            }
            Err(why) => why,
        };
        trial.told.fails(&why);
    }

    fn handed(&self, told: BorrowedFd<'_>) -> Handed {
        Handed {
            supervisor: self.supervisor.as_raw(),
            locks: [self.locks.state.as_raw_fd(), self.locks.runtime.as_raw_fd()],
            listener: self.listener.map(AsRawFd::as_raw_fd),
            told: told.as_raw_fd(),
            restarts: handed::ages(self.restarts.all(), Instant::now()),
            detached: self.how.detached,
            logs: self.how.logs,
            stopping: self.stopping,
        }
    }

    /// Returns the descriptors that the next program needs.
    fn held(&self) -> Vec<BorrowedFd<'_>> {
        let mut held = vec![self.locks.state.as_fd(), self.locks.runtime.as_fd()];
        held.extend(self.listener.map(AsFd::as_fd));
        held
    }
}

/// Opens the keeper's program beside the supervisor's own.
fn open_beside(supervisor: Pid) -> Result<(File, PathBuf), String> {
    let exe = std::fs::read_link(format!("/proc/{supervisor}/exe"));
    let exe = exe.map_err(|error| format!("the program of gobd can't be seen: {error}"))?;
    let path = siblings::find_beside(&exe, PROGRAM).map_err(|looked| {
        let beside = looked.into_iter().next().unwrap_or_default();
        format!("there is no {PROGRAM} in {}", beside.display())
    })?;
    let file = File::open(&path).map_err(|error| format!("{} can't be opened: {error}", path.display()))?;
    Ok((file, path))
}

fn command(first: &str, handed: &Handed) -> Vec<CString> {
    let words = [PROGRAM.to_owned(), first.to_owned()].into_iter().chain(handed.words());
    words.filter_map(|word| CString::new(word).ok()).collect()
}

/// Returns this process's own environment, which its next program resolves the paths from.
fn environment() -> Vec<CString> {
    let lines = std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    lines.filter_map(|line| CString::new(line).ok()).collect()
}

/// Replaces this program. Returns only where that fails, with all as it was.
fn execute(program: &File, words: &[CString], kept: &[BorrowedFd<'_>]) -> io::Error {
    let environment = environment();
    kept.iter().for_each(|fd| sys::close_on_exec(*fd, false));
    let Err(errno) = execveat(program, c"", words, &environment, AtFlags::AT_EMPTY_PATH);
    kept.iter().for_each(|fd| sys::close_on_exec(*fd, true));
    errno.into()
}

/// Takes what a program of the keeper has handed to this one, if one has.
pub(crate) fn begin(words: &[OsString]) -> Option<ExitCode> {
    let (first, words) = words.split_first()?;
    let is_trial = match first.to_str()? {
        GOES_ON => false,
        WOULD_GO_ON => true,
        _ => return None,
    };
    let ended =
        Handed::parse(words).and_then(|handed| if is_trial { try_on(&handed) } else { go_on(&handed) });
    Some(ended.unwrap_or_else(|error| {
        log::event(&error.line());
        ExitCode::FAILURE
    }))
}

/// The things that a keeper needs, taken over.
struct Taken {
    paths: Paths,
    locks: Locks,
    listener: Option<UnixListener>,
    told: Told,
}

fn take(handed: &Handed) -> Result<Taken, Error> {
    let [state, runtime] = handed.locks;
    let fd = |number| {
        sys::take_fd(number).map_err(|source| Error::Usage(format!("descriptor {number}: {source}")))
    };
    let (state, runtime) = (File::from(fd(state)?), File::from(fd(runtime)?));
    let listener = handed.listener.map(fd).transpose()?.map(UnixListener::from);
    let told = Told(File::from(fd(handed.told)?));
    let is_handed_on = |name: &str| !handed.detached || name != paths::NOTIFY;
    let paths = Paths::resolve(|name| std::env::var_os(name).filter(|_| is_handed_on(name)))?;
    Ok(Taken { paths, locks: Locks { state, runtime }, listener, told })
}

/// Says that this program would go on.
fn try_on(handed: &Handed) -> Result<ExitCode, Error> {
    let Taken { mut told, .. } = take(handed)?;
    let said = told.0.write_all(format!("{GOING_ON}\n").as_bytes());
    said.map_err(|source| Error::Process { operation: "answer", source })?;
    Ok(ExitCode::SUCCESS)
}

/// Goes on in the place of the program before.
fn go_on(handed: &Handed) -> Result<ExitCode, Error> {
    // The kernel names a process after the number of the descriptor that it executes.
    nix::sys::prctl::set_name(c"gob-keeper").unwrap_or_default();
    sys::show_that_upgrades_are_known();
    let Taken { paths, locks, listener, told } = take(handed)?;
    fault::at("keeper-begun", &paths.dirs.state);
    if handed.logs {
        log::is_ours();
    }
    let how = How { detached: handed.detached, logs: handed.logs };
    let mut keeper = Keeper::of(Pid::from_raw(handed.supervisor), paths, locks, how, listener.as_ref());
    keeper.restarts.extend(handed::moments(&handed.restarts, Instant::now()));
    keeper.stopping = handed.stopping;
    log::event(&format!("goes on with another program: {}", own_path().display()));
    told.goes_on();
    keeper.keep()
}

fn own_path() -> PathBuf {
    std::fs::read_link(Path::new("/proc/self/exe")).unwrap_or_default()
}
