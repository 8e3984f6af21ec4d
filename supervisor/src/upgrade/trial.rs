//! The trial of a program: it runs as a child on a state that is its to read, and says in one line whether it would go on with it.
//! The child stays, so that while clients wait it has only to read the state once more: the one that it is to go on with.
//!
//! The child has none of the environment by which it would take itself for a supervisor, no descriptor but the state, its own file and two
//! pipes, and a limit of time.

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
use tokio::io::unix::AsyncFd;

/// Time limit of a trial while clients are served.
const LIMIT: Duration = Duration::from_secs(5);
/// The same while they wait.
const SHORT_LIMIT: Duration = Duration::from_secs(2);
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

/// The process of a trial.
#[derive(Debug)]
pub(crate) struct Tester<H = OwnedFd> {
    pub(crate) pidfd: H,
    /// The words of the program.
    pub(crate) said: OwnedFd,
    /// A byte has it judge the state once more.
    pub(crate) again: OwnedFd,
}

/// A trial that is under way. The process ends with it.
#[derive(Debug)]
pub(crate) struct Trial {
    pidfd: OwnedFd,
    said: AsyncFd<OwnedFd>,
    again: File,
    /// The file in memory from which the process reads the state.
    pub(super) state: File,
    /// Words that are no verdict yet.
    heard: Vec<u8>,
}

/// A program that has passed its first trial.
#[derive(Debug)]
pub(crate) struct Successor {
    pub(crate) candidate: Candidate,
    pub(super) trial: Trial,
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
    /// Goes on with the trial of a process that reads the state in this file.
    pub(crate) fn new(Tester { pidfd, said, again }: Tester, state: File) -> io::Result<Self> {
        Ok(Self { pidfd, said: fds::awaited(said)?, again: again.into(), state, heard: Vec::new() })
    }

    /// Waits for the verdict, while clients are served.
    pub(crate) async fn pass(mut self, candidate: Candidate) -> Result<Successor, String> {
        self.judged(LIMIT).await.map(|()| Successor { candidate, trial: self })
    }

    /// Has the program judge the state that it is to go on with. Nobody can change it any more.
    pub(super) async fn pass_again(&mut self, bytes: &[u8]) -> Result<(), String> {
        let told = fds::fill(&self.state, bytes).and_then(|()| fds::seal(&self.state));
        told.map_err(|error| format!("the state can't be written: {error}"))?;
        super::fault::at("sealed");
        // A process that has ended is found by what it does not say.
        self.again.write_all(&[1]).unwrap_or_default();
        self.judged(SHORT_LIMIT).await
    }

    async fn judged(&mut self, limit: Duration) -> Result<(), String> {
        match tokio::time::timeout(limit, self.verdict()).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => Err(format!("what the program says in its trial run can't be read: {error}")),
            Err(_) => Err(format!("the program had not ended its trial run after {} s", limit.as_secs())),
        }
    }

    async fn verdict(&mut self) -> io::Result<Result<(), String>> {
        let mut room = [0; 4096];
        loop {
            if let Some(verdict) = verdict(&self.heard) {
                self.heard.clear();
                return Ok(verdict);
            }
            let read = |fd: &OwnedFd| nix::unistd::read(fd, &mut room).map_err(io::Error::from);
            let len = self.said.async_io(Interest::READABLE, read).await?;
            self.heard.extend_from_slice(room.get(..len).unwrap_or_default());
            if len == 0 || self.heard.len() > MAX_BYTES {
                return Ok(Err(no_verdict(&self.heard)));
            }
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // A process that has ended takes no signal.
        process::send_group_of(&self.pidfd, libc::SIGKILL)
            .or_else(|_| process::send(&self.pidfd, libc::SIGKILL))
            .unwrap_or_default();
    }
}

/// Returns the verdict among a program's words, as soon as its line is there.
fn verdict(said: &[u8]) -> Option<Result<(), String>> {
    let mut lines = said.split(|byte| *byte == b'\n');
    let verdict = lines.find_map(|line| serde_json::from_slice::<Verdict>(line).ok())?;
    Some(verdict.refused.map_or(Ok(()), |why| Err(format!("the program refuses: {}", short(&why)))))
}

/// Says what is wrong with a program that gave no verdict.
fn no_verdict(said: &[u8]) -> String {
    if said.trim_ascii().is_empty() {
        return "the program said nothing in its trial run".to_owned();
    }
    let words = String::from_utf8_lossy(said);
    let first = words.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    format!("the program is no supervisor of gob that can be upgraded to: {}", short(first))
}

fn short(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
}

/// Tries the state in the descriptor of this number, and says in one line whether this program would go on with it; and so again
/// with each byte of `again`, for the state may be another one by then. Returns whether it would.
pub fn try_state(fd: i32, again: &mut impl Read, out: &mut impl Write) -> bool {
    let mut file = fds::inherited(fd).map(File::from);
    loop {
        let refused = judge(&mut file).err().map(|why| why.to_string());
        let is_taken = refused.is_none();
        let line = serde_json::to_string(&Verdict { gob_upgrade: 1, refused }).unwrap_or_default();
        // A supervisor that hears nothing goes on as it is.
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() || !is_taken {
            return false;
        }
        if !matches!(again.read(&mut [0]), Ok(1)) {
            return true;
        }
    }
}

fn judge(file: &mut io::Result<File>) -> Result<(), Unfit> {
    let file = file.as_mut().map_err(|error| io::Error::from(error.kind()))?;
    let mut state: State = state::read(file)?;
    state.check()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    /// A process that says this, waits to be told, and says that.
    fn trial(first: &str, second: &str) -> (Trial, Child) {
        let script = "echo \"$1\"; dd bs=1 count=1 of=/dev/null status=none; test -n \"$2\" || exit; echo \"$2\"; exec sleep 100";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "trial", first, second]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pidfd = process::pidfd_open(child.id().try_into().unwrap()).unwrap();
        let said: OwnedFd = child.stdout.take().unwrap().into();
        fds::do_not_block(&said).unwrap();
        let tester = Tester { pidfd, said, again: child.stdin.take().unwrap().into() };
        (Trial::new(tester, fds::in_memory(b"sketch").unwrap()).unwrap(), child)
    }

    fn run<T>(what: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(what)
    }

    const YES: &str = r#"{"gob_upgrade":1}"#;

    #[test]
    fn a_program_judges_once_more_what_nobody_can_change_then_and_ends_with_its_trial() {
        run(async {
            let no = r#"{"gob_upgrade":1,"refused":"it is another one"}"#;
            let (mut trial, mut child) = trial(YES, no);
            assert_eq!(trial.judged(LIMIT).await, Ok(()));
            fds::fill(&trial.state, b"still").unwrap();
            let refused = trial.pass_again(b"the state").await;
            assert_eq!(refused, Err("the program refuses: it is another one".to_owned()));
            assert_eq!(
                std::fs::read(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&trial.state)))
                    .unwrap(),
                b"the state"
            );
            assert!(fds::fill(&trial.state, b"x").is_err(), "it is sealed");
            drop(trial);
            assert!(!child.wait().unwrap().success(), "it was killed");
        });
    }

    #[test]
    fn a_program_that_is_gone_before_the_second_trial_is_refused() {
        run(async {
            let (mut trial, mut child) = trial(YES, "");
            assert_eq!(trial.judged(LIMIT).await, Ok(()));
            process::send(&trial.pidfd, libc::SIGKILL).unwrap();
            child.wait().unwrap();
            let refused = trial.pass_again(b"the state").await;
            assert_eq!(refused, Err("the program said nothing in its trial run".to_owned()));
        });
    }

    #[test]
    fn only_the_line_of_a_supervisor_that_goes_on_counts() {
        let yes = serde_json::to_string(&Verdict { gob_upgrade: 1, refused: None }).unwrap();
        let no = serde_json::to_string(&Verdict { gob_upgrade: 1, refused: Some("schema\u{7} 2".into()) })
            .unwrap();
        let judged = |said: &[u8]| verdict(said).unwrap_or_else(|| Err(no_verdict(said)));
        assert_eq!(judged(format!("a warning\n{yes}\n").as_bytes()), Ok(()));
        let told = |said: &[u8]| judged(said).unwrap_err();
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
