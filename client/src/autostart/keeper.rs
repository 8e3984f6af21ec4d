//! Spawns gob-keeper and waits on its readiness pipe.
//!
//! The contract: `gob-keeper --detach --ready-fd N`, no variable of the caller but the resolved directories,
//! HOME, USER, PATH and LANG; the keeper sheds what else it inherits, the working directory too; the direct
//! child exits at once; the pipe brings `R` when the supervisor serves, `E` and one line when it could not
//! start, or the end without a byte when another process holds the lock.

use crate::blocking::poll_timeout;
use crate::error::Error;
use gob_host::dirs::Dirs;
use gob_host::siblings;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command};
use std::time::Instant;

/// The name of the program.
const KEEPER: &str = "gob-keeper";
/// Longest message about a failed start, in bytes.
const MAX_SAID: u64 = 4096;

/// The result of a keeper.
pub(super) enum Outcome {
    /// The supervisor serves.
    Ready,
    /// The pipe ended without a byte: another process holds the lock, or the deadline passed.
    Ceded,
}

/// Starts a keeper and waits until it is ready, has failed, has ceded, or the deadline passes.
pub(super) fn start(dirs: &Dirs, deadline: Instant) -> Result<Outcome, Error> {
    let program = siblings::find(KEEPER).map_err(|looked| Error::NoKeeper { looked })?;
    let failed = |what: &str, source: io::Error| Error::Start { operation: what.to_owned(), source };
    let (reader, writer) = pipe().map_err(|errno| failed("cannot make a pipe", errno.into()))?;
    let mut command = Command::new(&program);
    command.arg("--detach").arg("--ready-fd").arg(writer.as_raw_fd().to_string());
    let null = |write: bool| {
        let opened = OpenOptions::new().read(!write).write(write).open("/dev/null");
        opened.map_err(|source| failed("cannot open /dev/null", source))
    };
    // The keeper changes its directory itself: to have that done here would cost a fork where this program is static.
    command.stdin(null(false)?).stdout(null(true)?).stderr(null(true)?);
    environment(&mut command, dirs);
    // The pipe is handed down by number. All other descriptors of this library are close-on-exec.
    fcntl(&writer, FcntlArg::F_SETFD(FdFlag::empty()))
        .map_err(|errno| failed("cannot hand the readiness pipe down", errno.into()))?;
    let mut child =
        command.spawn().map_err(|source| failed(&format!("cannot run {}", program.display()), source))?;
    drop(writer);
    let said = read_pipe(&mut File::from(reader), deadline);
    let said = said.map_err(|source| failed("cannot read the readiness pipe", source))?;
    reap(&mut child, said.is_some()).map_err(|source| failed("cannot wait for gob-keeper", source))?;
    match said.as_deref() {
        Some([b'R', ..]) => Ok(Outcome::Ready),
        Some([b'E', text @ ..]) => {
            let said = String::from_utf8_lossy(text).trim().to_owned();
            Err(Error::StartFailed { said, log: dirs.daemon_log() })
        }
        _ => Ok(Outcome::Ceded),
    }
}

/// The reading end does not block; the writing end is the keeper's and stays blocking.
pub(super) fn pipe() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader, writer))
}

fn environment(command: &mut Command, dirs: &Dirs) {
    command.env_clear();
    for name in ["HOME", "USER", "PATH", "LANG", "GOB_LOG"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if let Some(libexec) = std::env::var_os("GOB_LIBEXEC").filter(|dir| !dir.is_empty()) {
        // The keeper has another working directory.
        command.env("GOB_LIBEXEC", std::path::absolute(&libexec).unwrap_or_else(|_| libexec.into()));
    }
    command.envs(dirs.variables());
}

/// Reads the pipe up to its end or to `R`; `None` at the deadline.
pub(super) fn read_pipe(pipe: &mut File, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
    let mut said = Vec::new();
    loop {
        let read = pipe.by_ref().take(MAX_SAID).read_to_end(&mut said);
        if said.first() == Some(&b'R') || said.len() as u64 >= MAX_SAID {
            return Ok(Some(said));
        }
        match read {
            Ok(_) => return Ok(Some(said)),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(e) => return Err(e),
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, poll_timeout(Some(deadline))) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The direct child has detached before any byte comes; without one it is not waited for.
fn reap(child: &mut Child, said: bool) -> io::Result<()> {
    if said { child.wait().map(drop) } else { child.try_wait().map(drop) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    fn files() -> (File, File) {
        let (reader, writer) = pipe().unwrap();
        (reader.into(), writer.into())
    }

    #[test]
    fn ready_does_not_wait_for_the_end() {
        let (mut reader, mut writer) = files();
        writer.write_all(b"R").unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        assert_eq!(read_pipe(&mut reader, deadline).unwrap().unwrap(), b"R");
    }

    #[test]
    fn an_error_is_read_to_its_end() {
        let (mut reader, mut writer) = files();
        let thread = std::thread::spawn(move || {
            writer.write_all(b"Ecannot open /x: ").unwrap();
            std::thread::yield_now();
            writer.write_all(b"EACCES\n").unwrap();
        });
        let deadline = Instant::now() + Duration::from_secs(5);
        assert_eq!(read_pipe(&mut reader, deadline).unwrap().unwrap(), b"Ecannot open /x: EACCES\n");
        thread.join().unwrap();
    }

    #[test]
    fn a_pipe_without_a_byte_is_ceded() {
        let (mut reader, writer) = files();
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(read_pipe(&mut reader, deadline).unwrap(), None);
        drop(writer);
        assert_eq!(read_pipe(&mut reader, deadline).unwrap().unwrap(), b"");
    }
}
