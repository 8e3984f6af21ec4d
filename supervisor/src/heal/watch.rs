//! Watches gob's own files and the sockets of workers.
//!
//! Each file is watched by itself, not its directory: logs and temporary files come and go there all day, and
//! none of that must cause a wake-up. A lost link is a change of attributes, so that a deletion is heard
//! although the file is open. A runtime directory is emptied before it is removed; a move is reported by the
//! directory itself, and by those above it. The directory of logs and that of workers' sockets report nothing
//! while files in them are open, but the ones above them do, in which deletions are rare. The check once a
//! minute finds the rest.
//!
//! The directory of workers' sockets reports them by name (`heard`), so that the loss of one does not start a
//! check of everything.

use super::heard::Heard;
use crate::sys::fds;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The watched paths.
#[derive(Debug)]
pub(super) struct Places<'a> {
    /// Files of gob's own.
    pub(super) files: [&'a Path; 4],
    /// Its directories.
    pub(super) dirs: [&'a Path; 3],
    /// Directories in which only directories of gob's are ever deleted.
    pub(super) above: [&'a Path; 2],
    /// The directory of workers' sockets, directly below one of `dirs`.
    pub(super) sockets: &'a Path,
}

/// A watch, made on any thread.
#[derive(Debug)]
pub(super) struct New {
    inotify: OwnedFd,
    sockets: Option<i32>,
}

impl New {
    pub(super) fn over(places: &Places<'_>) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let add = |path: &Path, events: AddWatchFlags| {
            // One directory may lie below the other, and is then watched for both reasons.
            match inotify.add_watch(path, events | AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD)) {
                Ok(watch) => Ok(Some(watch)),
                // A missing path was reported as trouble, and is tried again soon.
                Err(Errno::ENOENT | Errno::EACCES) => Ok(None),
                Err(errno) => Err(io::Error::from(errno)),
            }
        };
        let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        for file in places.files {
            let changed = AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_CLOSE_WRITE;
            add(file, gone | changed | AddWatchFlags::IN_DONT_FOLLOW)?;
        }
        for dir in places.dirs {
            add(dir, gone | AddWatchFlags::IN_ATTRIB)?;
            for above in dir.ancestors().skip(1) {
                add(above, AddWatchFlags::IN_MOVE_SELF)?;
            }
        }
        for above in places.above {
            add(above, AddWatchFlags::IN_DELETE)?;
        }
        // Attributes are left out: those of the files in it would be reported too, and each worker that
        // starts sets some.
        let sockets = add(places.sockets, gone | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE)?;
        Ok(Self { inotify: inotify.into(), sockets: sockets.map(WatchDescriptor::as_raw) })
    }
}

/// A watch that the runtime waits on.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: AsyncFd<OwnedFd>,
    heard: Heard,
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.get_ref().as_fd()
    }
}

impl Watch {
    pub(super) fn new(new: New) -> io::Result<Self> {
        Ok(Self { inotify: fds::awaited(new.inotify)?, heard: Heard::new(new.sockets) })
    }

    /// Returns once there was a change.
    pub(super) async fn changed(&self) -> io::Result<()> {
        self.inotify.readable().await.map(|mut ready| ready.retain_ready())
    }

    /// Returns the descriptor, which no task waits on any more.
    pub(super) fn into_inner(self) -> OwnedFd {
        self.inotify.into_inner()
    }

    /// Reads all reports: a check from now on sees everything that they are about.
    pub(super) fn hear(&mut self) -> &mut Heard {
        let mut events = [0; 4096];
        // An error is an empty queue; any other failure would show again as a change.
        while let Ok(len) = self
            .inotify
            .try_io(Interest::READABLE, |inotify| Ok(nix::unistd::read(inotify.as_fd(), &mut events)?))
        {
            self.heard.add(events.get(..len).unwrap_or_default());
        }
        &mut self.heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gob_core::Lost;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    async fn soon(watch: &Watch) {
        tokio::time::timeout(Duration::from_secs(10), watch.changed()).await.unwrap().unwrap();
    }

    #[test]
    fn a_worker_that_comes_and_goes_changes_its_socket_alone() {
        let top = std::env::temp_dir().join(format!("gob-watch-{}", std::process::id()));
        let [run, state] = ["run", "state"].map(|name| top.join(name));
        let (sockets, logs, file) = (run.join("graphs"), state.join("logs"), run.join("file"));
        [&sockets, &logs].into_iter().for_each(|dir| fs::create_dir_all(dir).unwrap());
        fs::write(&file, "").unwrap();
        let places = Places {
            files: [&file; 4],
            dirs: [&run, &state, &logs],
            above: [&run, &state],
            sockets: &sockets,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut watch = Watch::new(New::over(&places).unwrap()).unwrap();
            let [temporary, socket] = [".gob-1", "a.sock"].map(|name| sockets.join(name));
            let listener = UnixListener::bind(&temporary).unwrap();
            fs::set_permissions(&temporary, Permissions::from_mode(0o600)).unwrap();
            fs::rename(&temporary, &socket).unwrap();
            soon(&watch).await;
            let heard = watch.hear();
            assert_eq!((heard.take_files(), heard.take_lost()), (false, None), "it comes");
            fs::remove_file(&socket).unwrap();
            soon(&watch).await;
            let heard = watch.hear();
            let lost = Lost::Files(["a.sock".to_owned()].into());
            assert_eq!((heard.take_files(), heard.take_lost()), (false, Some(lost)), "it goes");
            // The socket is still open, so that its directory itself reports nothing.
            fs::remove_dir(&sockets).unwrap();
            soon(&watch).await;
            assert!(watch.hear().take_files(), "the directory goes");
            drop(listener);
        });
        fs::remove_dir_all(top).unwrap();
    }
}
