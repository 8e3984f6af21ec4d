//! The socket for workers' notifications (sd_notify(3)): one for all, in the runtime directory, 0600. The
//! kernel adds the sender's process id to each message, and its tag names the run.

use super::Found;
use crate::files::Identity;
use crate::mailbox::Post;
use crate::sys::message;
use gob_core::Note;
use nix::sys::socket::{setsockopt, sockopt};
use std::cell::Cell;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::Interest;

/// Limit of a message; a longer one is cut off.
const MAX_BYTES: usize = 4096;
/// Characters of a status, which is shown in lists.
const MAX_STATUS: usize = 200;
/// Time to the next read of the socket after a failure, such as a lack of memory.
const AGAIN: Duration = Duration::from_secs(1);

/// Returns the path of the socket through the directory's descriptor, which is short whatever the directory's
/// own path.
pub(crate) fn path(runtime: &File) -> PathBuf {
    gob_core::notify_socket(&format!("/proc/self/fd/{}", runtime.as_raw_fd())).into()
}

/// Makes the socket anew. It does not block.
pub(crate) fn bind(runtime: &File) -> io::Result<(UnixDatagram, Identity)> {
    let path = path(runtime);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let socket = UnixDatagram::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    setsockopt(&socket, sockopt::PassCred, &true)?;
    socket.set_nonblocking(true)?;
    Ok((socket, Identity::at(&path)?))
}

/// A socket that is listened to.
#[derive(Debug)]
pub(super) struct Heard {
    socket: tokio::net::UnixDatagram,
    /// A message that was received is not in the loop's queue.
    is_telling: Cell<bool>,
}

impl Heard {
    /// Takes a socket that does not block.
    pub(super) fn on(socket: UnixDatagram) -> io::Result<Self> {
        Ok(Self { socket: tokio::net::UnixDatagram::from_std(socket)?, is_telling: Cell::new(false) })
    }

    pub(super) fn is_telling(&self) -> bool {
        self.is_telling.get()
    }
}

impl AsFd for Heard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Passes on messages until the receiver is gone. A bad message does not stop the next one.
pub(super) async fn listen(heard: Rc<Heard>, found: Post<Found>) {
    let (socket, mut failing) = (&heard.socket, false);
    loop {
        match socket.async_io(Interest::READABLE, || receive(socket)).await {
            Ok(said) => {
                failing = false;
                if let Some(said) = said {
                    heard.is_telling.set(true);
                    if !found.send(said).await {
                        return;
                    }
                    heard.is_telling.set(false);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "cannot read a notification");
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Receives one message; `None` when it holds nothing for gob.
fn receive(socket: &tokio::net::UnixDatagram) -> io::Result<Option<Found>> {
    let mut bytes = [0; MAX_BYTES];
    let (len, sender) = message::receive(socket, &mut bytes)?;
    let text = String::from_utf8_lossy(bytes.get(..len).unwrap_or_default());
    Ok(sender.and_then(|pid| read(pid, &text)))
}

fn read(pid: i32, text: &str) -> Option<Found> {
    let (mut note, mut status) = (Note::default(), None);
    let ms = |usec: &str| usec.parse::<u64>().ok().map(|usec| usec.div_ceil(1_000));
    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
        match (name, value) {
            ("READY", "1") => note.ready = true,
            ("STOPPING", "1") => note.stopping = true,
            ("WATCHDOG", "1") => note.alive = true,
            ("WATCHDOG", "trigger") => note.failed = true,
            ("WATCHDOG_USEC", usec) => note.watchdog_ms = ms(usec),
            ("EXTEND_TIMEOUT_USEC", usec) => note.extend_ms = ms(usec),
            ("STATUS", words) => {
                status = Some(words.chars().filter(|c| !c.is_control()).take(MAX_STATUS).collect());
            }
            (_, _) => {}
        }
    }
    (note != Note::default() || status.is_some()).then_some(Found::Notified { pid, note, status })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{Happened, mailbox};

    #[test]
    fn notifications_are_parsed() {
        let said = |text: &str| match read(1, text) {
            Some(Found::Notified { note, status, .. }) => Some((note, status)),
            _nothing => None,
        };
        let ready = Note { ready: true, ..Note::default() };
        assert_eq!(said("READY=1"), Some((ready, None)));
        assert_eq!(said("STATUS=loading\u{7}\nREADY=1\n"), Some((ready, Some("loading".to_owned()))));
        assert_eq!(said("MAINPID=5\nREADY=0\nWATCHDOG_USEC=soon"), None);
        let all = "WATCHDOG=1\nSTOPPING=1\nWATCHDOG_USEC=1500000\nEXTEND_TIMEOUT_USEC=1";
        let note = Note {
            stopping: true,
            alive: true,
            watchdog_ms: Some(1_500),
            extend_ms: Some(1),
            ..Note::default()
        };
        assert_eq!(said(all), Some((note, None)));
        assert_eq!(said("WATCHDOG=trigger"), Some((Note { failed: true, ..Note::default() }, None)));
        assert_eq!(
            said(&format!("STATUS={}", "é".repeat(300))).unwrap().1.unwrap().chars().count(),
            MAX_STATUS
        );
    }
    /// Longer than any of this takes.
    const DEADLINE: Duration = Duration::from_secs(20);

    #[test]
    fn attached_descriptors_are_closed_and_later_messages_are_received() {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
        use std::io::IoSlice;
        use std::os::fd::AsFd;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let runtime_is_here = runtime.enter();
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        setsockopt(&ours, sockopt::PassCred, &true).unwrap();
        ours.set_nonblocking(true).unwrap();
        let (to_loop, mut heard) = mailbox();
        let found = Post::new(&to_loop, Happened::Probed);
        let listening = listen(Rc::new(Heard::on(ours).unwrap()), found);
        let (end, barrier) = std::io::pipe().unwrap();
        for (text, with) in [("BARRIER=1", true), ("STATUS=a", true), ("READY=1", false)] {
            let fds = [barrier.as_raw_fd(); 3];
            let rights = [ControlMessage::ScmRights(&fds)];
            let beside = if with { &rights[..] } else { &[] };
            let text = [IoSlice::new(text.as_bytes())];
            sendmsg::<UnixAddr>(theirs.as_raw_fd(), &text, beside, MsgFlags::empty(), None).unwrap();
        }
        drop(barrier);
        let hear = async {
            let mut said = Vec::new();
            while said.len() < 2 {
                let Some(Happened::Probed(Found::Notified { pid, note, status })) = heard.recv().await else {
                    break;
                };
                assert_eq!(pid, i32::try_from(std::process::id()).unwrap());
                said.push((note.ready, status));
            }
            said
        };
        let said = tokio::time::timeout(DEADLINE, async {
            tokio::select! {
                said = hear => said,
                () = listening => panic!("it listens no longer"),
            }
        });
        drop(runtime_is_here);
        assert_eq!(runtime.block_on(said).unwrap(), [(false, Some("a".to_owned())), (true, None)]);
        // The end comes when no process has the barrier any more, for which its sender waits.
        let mut ended = [PollFd::new(end.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut ended, PollTimeout::try_from(DEADLINE).unwrap()), Ok(1));
    }
}
