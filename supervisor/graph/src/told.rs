//! Decides whether gob watches the socket, so that the worker need not.
//!
//! An inotify descriptor delays the end of its process by up to ten milliseconds: the kernel waits for all
//! users of its watches before it closes it. gob, which waits for that end, watches all its workers' sockets
//! at once, and sends SIGURG (PROTOCOL 11).

use std::ffi::OsStr;
use std::path::Path;

/// Returns whether gob watches this socket. `gob` is gob's own socket, as in the environment of each of its
/// workers; gob signals the leaders of its process groups, and watches one directory.
pub(crate) fn by_gob(socket: &Path, gob: Option<&OsStr>, is_leader: bool) -> bool {
    let watched = gob.map(Path::new).and_then(Path::parent).map(|dir| dir.join("graphs"));
    is_leader && watched.is_some_and(|watched| socket.parent() == Some(&watched))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_of_gobs_own_child_is_watched_by_gob() {
        let told =
            |socket: &str, gob: Option<&str>, leads| by_gob(Path::new(socket), gob.map(OsStr::new), leads);
        let gob = Some("/run/gob/daemon.sock");
        assert!(told("/run/gob/graphs/demo.sock", gob, true));
        // A child of a worker has the same environment.
        assert!(!told("/run/gob/graphs/demo.sock", gob, false));
        assert!(!told("/run/gob/graphs/demo.sock", None, true));
        for elsewhere in ["/run/gob/demo.sock", "/run/gob/graphs/sub/demo.sock", "/tmp/graphs/demo.sock"] {
            assert!(!told(elsewhere, gob, true), "{elsewhere}");
        }
        assert!(!told("/run/gob/graphs/demo.sock", Some(""), true));
    }
}
