//! Whether somebody else says when the socket is gone, so that the worker need not watch it by itself.
//!
//! An inotify descriptor costs the end of its process up to ten milliseconds: the kernel lets everybody finish who may still
//! see its watches before it closes it. gob, which waits for that end, watches all its workers' sockets at once, and sends
//! SIGURG (PROTOCOL 11).

use std::ffi::OsStr;
use std::path::Path;

/// Whether gob says so of this socket. `gob` is its own, as it is in the environment of each of its workers; it signals
/// the leaders of its process groups, and watches one directory.
pub(crate) fn by_gob(socket: &Path, gob: Option<&OsStr>, is_leader: bool) -> bool {
    let watched = gob.map(Path::new).and_then(Path::parent).map(|dir| dir.join("graphs"));
    is_leader && watched.is_some_and(|watched| socket.parent() == Some(&watched))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_socket_that_gob_gave_to_its_own_child() {
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
