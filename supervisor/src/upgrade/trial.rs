//! The trial of a program: it runs as a child on a state that is its to read, and says in one line whether it would go on with it.
//!
//! It has none of the environment by which it would take itself for a supervisor, no descriptor but the state and its own file,
//! and a limit of time.

use super::Unfit;
use super::state::{self, State};
use crate::disks::Disks;
use crate::sys::fds;
use crate::sys::process;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::Interest;

/// Time limit of a trial while clients are served.
const LIMIT: Duration = Duration::from_secs(5);
/// The most of a program's output that is read.
const MAX_BYTES: usize = 64 * 1024;
/// The most of its own words that is told.
const MAX_WORDS: usize = 300;

/// A program that may be the next one. The descriptor that was tried is the one that is executed.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) file: File,
    pub(crate) path: String,
}

/// A trial that is under way.
#[derive(Debug)]
pub(crate) struct Trial<H = OwnedFd> {
    pub(crate) pidfd: H,
    /// The words of the program.
    pub(crate) said: OwnedFd,
}

/// The line by which a program says whether it goes on with a state.
#[derive(Debug, Serialize, Deserialize)]
struct Verdict {
    /// Tells it from any other output.
    gob_upgrade: u32,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// Opens a program, off the loop's thread.
pub(crate) async fn open(path: String, disks: &Disks) -> Result<Candidate, String> {
    let at_path = path.clone();
    let opened = disks.ask(&path, vec![path.clone()], move |at| {
        at.go("open", &at_path);
        open_here(&at_path)
    });
    match opened.await {
        Ok(Ok(file)) => Ok(Candidate { file, path }),
        Ok(Err(why)) => Err(format!("{path} {why}")),
        Err(silent) => Err(silent.to_string()),
    }
}

fn open_here(path: &str) -> Result<File, String> {
    if !path.starts_with('/') {
        return Err("is not an absolute path".to_owned());
    }
    let cannot = |error: io::Error| format!("can't be opened: {error}");
    // It may be a FIFO.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut file = File::options().read(true).custom_flags(flags).open(path).map_err(cannot)?;
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err("is not a file".to_owned());
    }
    if !gob_host::siblings::is_program(Path::new(path)) {
        return Err("is not executable".to_owned());
    }
    let mut begin = [0; 4];
    let len = file.read(&mut begin).map_err(cannot)?;
    match begin.get(..len).unwrap_or_default() {
        // Its interpreter would be the supervisor.
        [b'#', b'!', ..] => Err("is a script; the supervisor's program is needed".to_owned()),
        b"\x7fELF" => Ok(file),
        _ => Err("is no program".to_owned()),
    }
}

impl Trial {
    /// Waits for the program's word.
    pub(crate) async fn judged(self, limit: Duration) -> Result<(), String> {
        let said = tokio::time::timeout(limit, read(self.said)).await;
        // One that has ended takes no signal.
        process::send_group_of(&self.pidfd, libc::SIGKILL)
            .or_else(|_| process::send(&self.pidfd, libc::SIGKILL))
            .unwrap_or_default();
        match said {
            Ok(Ok(said)) => judge(&said),
            Ok(Err(error)) => Err(format!("what the program says in its trial run can't be read: {error}")),
            Err(_) => Err(format!("the program had not ended its trial run after {} s", limit.as_secs())),
        }
    }

    /// As [`Trial::judged`], while clients are served.
    pub(crate) async fn judged_while_serving(self) -> Result<(), String> {
        self.judged(LIMIT).await
    }
}

async fn read(said: OwnedFd) -> io::Result<Vec<u8>> {
    let said = fds::awaited(said)?;
    let (mut all, mut room) = (Vec::new(), [0; 4096]);
    loop {
        let read = |fd: &OwnedFd| nix::unistd::read(fd, &mut room).map_err(io::Error::from);
        let len = said.async_io(Interest::READABLE, read).await?;
        all.extend_from_slice(room.get(..len).unwrap_or_default());
        if len == 0 || all.len() > MAX_BYTES {
            return Ok(all);
        }
    }
}

fn judge(said: &[u8]) -> Result<(), String> {
    let mut verdicts = said.split(|byte| *byte == b'\n');
    match verdicts.find_map(|line| serde_json::from_slice::<Verdict>(line).ok()) {
        Some(Verdict { refused: None, .. }) => Ok(()),
        Some(Verdict { refused: Some(why), .. }) => Err(format!("the program refuses: {}", short(&why))),
        None if said.trim_ascii().is_empty() => Err("the program said nothing in its trial run".to_owned()),
        None => {
            let words = String::from_utf8_lossy(said);
            let first = words.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            Err(format!("the program is no supervisor of gob that can be upgraded to: {}", short(first)))
        }
    }
}

fn short(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
}

/// Tries the state in the descriptor of this number, and says in one line whether this program would go on with it. Returns whether
/// it would.
pub fn try_state(fd: i32, out: &mut impl Write) -> bool {
    let tried = fds::inherited(fd).map_err(Unfit::from).and_then(|fd| {
        let mut file = File::from(fd);
        let mut state: State = state::read(&mut file)?;
        state.check()
    });
    let refused = tried.err().map(|why| why.to_string());
    let is_taken = refused.is_none();
    let line = serde_json::to_string(&Verdict { gob_upgrade: 1, refused }).unwrap_or_default();
    // A supervisor that hears nothing goes on as it is.
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok() && is_taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_of_a_supervisor_that_goes_on_counts() {
        let yes = serde_json::to_string(&Verdict { gob_upgrade: 1, refused: None }).unwrap();
        let no = serde_json::to_string(&Verdict { gob_upgrade: 1, refused: Some("schema\u{7} 2".into()) })
            .unwrap();
        assert_eq!(judge(format!("a warning\n{yes}\n").as_bytes()), Ok(()));
        let told = |said: &[u8]| judge(said).unwrap_err();
        assert_eq!(told(no.as_bytes()), "the program refuses: schema 2");
        assert!(told(b"").contains("said nothing") && told(b"\n \n").contains("said nothing"));
        assert!(told(b"\n{}\n").ends_with(": {}"), "any other object is none");
        assert!(told(b"error: unknown argument\nhint").ends_with("unknown argument"));
        assert!(told(&[b'x'; 10_000]).len() < 400);
    }

    #[test]
    fn what_is_no_program_is_told_as_what_it_is() {
        let dir = crate::scratch::Scratch::new("candidate");
        let write = |name: &str, bytes: &[u8], mode: u32| {
            use std::os::unix::fs::PermissionsExt;
            let path = dir.join(name);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let told = |path: &str| open_here(path).unwrap_err();
        assert_eq!(told("gobd"), "is not an absolute path");
        assert!(told(&write("gone", b"", 0o644).replace("gone", "none")).starts_with("can't be opened"));
        assert_eq!(told(dir.to_str().unwrap()), "is not a file");
        assert_eq!(told(&write("data", b"\x7fELF", 0o644)), "is not executable");
        assert!(told(&write("script", b"#!/bin/sh\n", 0o755)).starts_with("is a script"));
        assert_eq!(told(&write("text", b"x", 0o755)), "is no program");
        assert!(open_here("/proc/self/exe").is_ok());
    }
}
