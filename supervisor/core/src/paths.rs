//! Where things are: directories, and the sockets that workers are given.

use alloc::format;
use alloc::string::String;
use gob_protocol::Name;
use serde::{Deserialize, Serialize};

/// Where things are: absolute paths without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paths {
    /// Sockets.
    pub runtime_dir: String,
    /// Logs, journal, store.
    pub state_dir: String,
    /// Graphs that have no root of their own.
    pub data_dir: String,
    /// The supervisor's socket.
    pub socket: String,
}

/// Longest name of a socket's file without its suffix.
const SOCKET_NAME_BYTES: usize = 40;

/// Bytes that a hash takes in the name of a socket's file.
const HASH_BYTES: usize = 16;

/// Longest path that a socket's address takes (unix(7)), without the NUL at its end.
const SOCKET_PATH_BYTES: usize = 107;

/// The end of the name of a socket's file.
pub const SOCKET_SUFFIX: &str = ".sock";

impl Paths {
    /// Bytes that the name of a worker's socket may have, without its suffix.
    fn socket_room(&self) -> usize {
        let above = sockets_dir(&self.runtime_dir).len() + 1 + SOCKET_SUFFIX.len();
        SOCKET_PATH_BYTES.saturating_sub(above).min(SOCKET_NAME_BYTES)
    }

    /// Tells whether the path of this worker's socket fits into a socket's address.
    pub(crate) fn has_room_for(&self, name: &Name) -> bool {
        self.socket_of(name).len() <= SOCKET_PATH_BYTES
    }

    pub(crate) fn socket_of(&self, name: &Name) -> String {
        format!("{}/{}", sockets_dir(&self.runtime_dir), self.socket_file(name))
    }

    /// The file of the socket that a worker is given, in [`sockets_dir`].
    pub(crate) fn socket_file(&self, name: &Name) -> String {
        format!("{}{SOCKET_SUFFIX}", socket_name(name, self.socket_room()))
    }

    /// Tells whether a socket's name, without its suffix, may have been cut.
    pub(crate) fn is_cut(&self, stem: &str) -> bool {
        stem.len() == HASH_BYTES || stem.len() == self.socket_room()
    }
}

/// The socket on which workers say that they are ready, one for all of them.
#[must_use]
pub fn notify_socket(runtime_dir: &str) -> String {
    format!("{runtime_dir}/notify.sock")
}

/// The directory of the sockets that workers are given.
#[must_use]
pub fn sockets_dir(runtime_dir: &str) -> String {
    format!("{runtime_dir}/graphs")
}

/// The name's file name, or its beginning and a hash (FNV-1a, 64 bits) where that does not fit into `room` bytes; the hash alone
/// where there is no room for more.
fn socket_name(name: &Name, room: usize) -> String {
    let full = name.on_disk();
    if full.len() <= room {
        return full;
    }
    let hash = hash(name.as_str());
    let start: String = full.chars().take(room.saturating_sub(HASH_BYTES + 1)).collect();
    if start.is_empty() { format!("{hash:016x}") } else { format!("{start}-{hash:016x}") }
}

/// FNV-1a of 64 bits.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sockets_path_is_cut_to_the_room_there_is() {
        let paths = |len: usize| Paths {
            runtime_dir: format!("/{}", "r".repeat(len - 1)),
            state_dir: String::new(),
            data_dir: String::new(),
            socket: String::new(),
        };
        let cjk = Name::graph("一二三四五六七八九").unwrap();
        let other = Name::graph("一二三四五六七八十").unwrap();
        assert_eq!(paths(20).socket_file(&Name::graph("demo").unwrap()), "demo.sock");
        for len in 1..=78 {
            let (one, two) = (paths(len).socket_of(&cjk), paths(len).socket_of(&other));
            assert!(one.len() <= 107 && paths(len).has_room_for(&cjk), "{len}: {}", one.len());
            assert!(one != two && one == paths(len).socket_of(&cjk), "{one}");
            let file = paths(len).socket_file(&cjk);
            let stem = file.strip_suffix(SOCKET_SUFFIX).unwrap();
            assert!(stem == cjk.on_disk() || paths(len).is_cut(stem), "{stem}");
        }
        assert!(!paths(79).has_room_for(&cjk), "there is no room for a hash");
        assert!(paths(90).has_room_for(&Name::graph("demo").unwrap()));
        assert!(!paths(91).has_room_for(&Name::graph("demo").unwrap()));
    }

    #[test]
    fn socket_names_are_short_and_distinct() {
        let long = |last: char| Name::graph(&format!("{}{last}", "x".repeat(150))).unwrap();
        let (a, b) = (socket_name(&long('a'), SOCKET_NAME_BYTES), socket_name(&long('b'), SOCKET_NAME_BYTES));
        assert!(a.len() <= SOCKET_NAME_BYTES && a != b);
        assert_eq!(socket_name(&Name::graph("demo").unwrap(), SOCKET_NAME_BYTES), "demo");
    }
}
