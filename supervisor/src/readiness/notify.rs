//! The socket on which workers say how they are (sd_notify(3)): one for all, in the runtime directory, 0600.
//! Whose worker speaks the kernel says: the sender's process id comes with each message, and its tag tells the run.

use super::Found;
use crate::files::Identity;
use gob_core::Note;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, UnixAddr, UnixCredentials, recvmsg, setsockopt, sockopt,
};
use std::fs::{self, File, Permissions};
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use tokio::io::Interest;
use tokio::sync::mpsc::Sender;

/// A longer message is cut off; nobody says more than a few lines.
const MAX_BYTES: usize = 4096;
/// A status is shown in lists: so many characters of it.
const MAX_STATUS: usize = 200;

/// Where it is, by a way through the descriptor that is short, whatever the directory is called.
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

/// Passes on what is said, until nobody listens any more.
pub(super) async fn listen(socket: tokio::net::UnixDatagram, found: Sender<Found>) {
    loop {
        match socket.async_io(Interest::READABLE, || receive(&socket)).await {
            Ok(Some(said)) => {
                if found.send(said).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => return tracing::warn!(%error, "no notifications any more"),
        }
    }
}

/// One message; `None` when there is nothing in it for us.
fn receive(socket: &tokio::net::UnixDatagram) -> io::Result<Option<Found>> {
    let mut bytes = [0; MAX_BYTES];
    // Room for the credentials alone: the kernel closes descriptors that somebody sends along.
    let mut control = nix::cmsg_space!(UnixCredentials);
    let mut into = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut into, Some(&mut control), flags)?;
    let mut sender = None;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmCredentials(credentials) = control {
            sender = Some(credentials.pid());
        }
    }
    let len = message.bytes;
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

    #[test]
    fn what_is_said() {
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
}
