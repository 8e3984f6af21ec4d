//! The keeper is asked, after an upgrade, to go on with the program that lies beside the new one.
//!
//! It tries that program, executes it in its own process, with its locks, and says what came of it on a pipe that it finds here by its number. A
//! keeper that knows nothing of this does not wait for the signal, and is left alone.

use crate::disks::Disks;
use crate::sys::fds;
use gob_host::siblings;
use gob_protocol::answer::KeeperUpgrade;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use tokio::io::Interest;

const PROGRAM: &str = "gob-keeper";
/// Time limit of the keeper's answer: it gives a trial five seconds.
const LIMIT: Duration = Duration::from_secs(7);
/// The most of its answer that is read.
const MAX_BYTES: usize = 1024;

/// Has the keeper go on with the program that belongs to this one.
pub(crate) async fn bring_keeper(pid: i32, disks: &Disks) -> KeeperUpgrade {
    let brought = bring(pid, disks).await;
    if let Err(why) = &brought {
        tracing::warn!(why, pid, "the keeper goes on with its own program");
    }
    let upgraded = brought == Ok(true);
    KeeperUpgrade { pid, upgraded, error: brought.err() }
}

/// Returns whether it goes on with another program than before.
async fn bring(keeper: i32, disks: &Disks) -> Result<bool, String> {
    let place = super::own_path();
    let compared = disks.ask(PROGRAM, vec![place.clone()], move |at| {
        at.go("look for gob-keeper beside", &place);
        is_another(keeper)
    });
    if !compared.await.map_err(|silent| silent.to_string())?? {
        return Ok(false);
    }
    if !waits_for_it(keeper) {
        return Err("it is of a version that can't go on with another one".to_owned());
    }
    let failed = |error: io::Error| format!("it can't be asked: {error}");
    let (said, says) = fds::pipe().map_err(failed)?;
    fds::do_not_block(&said).map_err(failed)?;
    fds::ask_keeper(keeper, &says).map_err(failed)?;
    // The other end stays open until then: the keeper opens it here.
    let answer = tokio::time::timeout(LIMIT, read(said)).await;
    drop(says);
    match answer {
        Ok(Ok(said)) => judge(&said),
        Ok(Err(error)) => Err(format!("its answer can't be read: {error}")),
        Err(_) => Err(format!("it has not answered for {} s", LIMIT.as_secs())),
    }
}

/// Returns whether another program lies beside this one than the keeper runs.
fn is_another(keeper: i32) -> Result<bool, String> {
    let beside = siblings::find(PROGRAM).map_err(|looked| {
        let beside = looked.into_iter().next().unwrap_or_default();
        format!("there is no {PROGRAM} in {}", beside.display())
    })?;
    let own = format!("/proc/{keeper}/exe");
    siblings::differ(Path::new(&own), &beside)
        .map_err(|error| format!("{} can't be read: {error}", beside.display()))
}

/// Returns whether a process has a use for SIGURG (proc(5), `SigCgt` of `status`). `SigBlk` does not tell: the kernel leaves out what is waited for.
fn waits_for_it(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (libc::SIGURG - 1)) != 0)
}

/// Reads one line.
async fn read(said: OwnedFd) -> io::Result<Vec<u8>> {
    let said = fds::awaited(said)?;
    let (mut all, mut room) = (Vec::new(), [0; MAX_BYTES]);
    while all.last() != Some(&b'\n') && all.len() < MAX_BYTES {
        let read = |fd: &OwnedFd| nix::unistd::read(fd, &mut room).map_err(io::Error::from);
        let len = said.async_io(Interest::READABLE, read).await?;
        all.extend_from_slice(room.get(..len).unwrap_or_default());
        if len == 0 {
            break;
        }
    }
    Ok(all)
}

fn judge(said: &[u8]) -> Result<bool, String> {
    let said = String::from_utf8_lossy(said);
    match said.trim_end().split_at_checked(1) {
        Some(("R", _)) => Ok(true),
        Some(("E", why)) => Err(why.to_owned()),
        _ => Err("it gave no answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_answer_is_a_letter_and_a_reason() {
        assert_eq!(judge(b"R\n"), Ok(true));
        assert_eq!(judge(b"Ethe disk hangs\n"), Err("the disk hangs".to_owned()));
        for none in [&b""[..], b"\n", b"x\n", "\u{e9}".as_bytes()] {
            assert_eq!(judge(none), Err("it gave no answer".to_owned()));
        }
    }

    #[test]
    fn a_process_that_does_not_wait_for_the_signal_is_known() {
        assert!(!waits_for_it(std::process::id().cast_signed()));
        assert!(!waits_for_it(-1));
    }
}
