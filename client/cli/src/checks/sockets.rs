//! The room for the sockets of workers: their paths begin with the runtime directory, and a socket's address
//! is short.

use super::scene::Scene;
use super::{Check, fail, warn};
use crate::config_file;
use crate::text::list;
use gob_client::protocol::Name;
use gob_config::Config;
use gob_host::address::MAX_PATH_BYTES;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const WHAT: &str = "worker sockets";
/// Bytes around the name of a worker in the path of its socket, without the runtime directory.
const AROUND: usize = "/graphs/.sock".len();
/// Bytes of a name that was cut to its hash.
const HASH: usize = 16;
const HINT: &str = "choose a shorter directory: export GOB_RUNTIME_DIR=/path/to/a/private/directory; or kinds that listen on a {port}";

/// Runs the check, which is silent when every name fits. It reads the configuration, whose disk may hang, so it
/// is no part of the check of directories.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    // The running supervisor's directory counts, which may be another one than this shell's.
    let told = scene.answers().and_then(|_| scene.socket.0.parent());
    let dir = told.unwrap_or(&scene.dirs.runtime);
    judge(dir, &config_file::read(&scene.dirs).0).into_iter().collect()
}

/// Judges a directory; `None` when every name fits.
fn judge(dir: &Path, config: &Config) -> Option<Check> {
    let length = dir.as_os_str().as_bytes().len();
    let room = MAX_PATH_BYTES.saturating_sub(length + AROUND);
    if room >= HASH {
        return None;
    }
    let takes = |kind: &gob_config::kind::Kind| kind.takes_socket() && !kind.is_own();
    let kinds: Vec<&str> =
        config.kinds.iter().filter(|(_, kind)| takes(kind)).map(|(name, _)| name.as_str()).collect();
    let graphs = config.graphs.keys().filter(|name| {
        let fits = Name::graph(name).is_ok_and(|name| name.on_disk().len() <= room);
        !fits && config.kind_of(name, None).is_ok_and(|(_, kind)| takes(&kind))
    });
    let graphs: Vec<&str> = graphs.map(String::as_str).collect();
    let whole = format!("the runtime directory {} has {length} bytes", dir.display());
    let limit = format!("the {MAX_PATH_BYTES} that a socket's path may have");
    Some(if room == 0 && !(kinds.is_empty() && graphs.is_empty()) {
        let whose = if kinds.is_empty() { list(&graphs) } else { list(&kinds) };
        fail(
            WHAT,
            format!("no worker of {whose} can start: {whole}, and no name fits behind it into {limit}"),
            HINT,
        )
    } else if graphs.is_empty() {
        let names = if room == 0 {
            "no name fits".to_owned()
        } else {
            format!("only names of {room} bytes or less fit")
        };
        let found = format!("{whole}, and {names} behind it into {limit}; kinds with a {{socket}} need that");
        warn(WHAT, found, HINT)
    } else {
        let graphs = list(&graphs);
        fail(
            WHAT,
            format!(
                "{graphs} cannot start: {whole}, and only names of {room} bytes or less fit behind it into {limit}"
            ),
            HINT,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn the_room_behind_the_directory_is_measured_for_kinds_with_a_socket() {
        let config = |text: &str| Config::parse(text, None, "c.toml").unwrap_or_else(|e| panic!("{e}"));
        let own = config("");
        let kind = "[kind.redis]\ncommand = [\"redis-server\", \"--unixsocket\", \"{socket}\"]\n";
        let (some, with_graph) =
            (config(kind), config(&format!("{kind}[graph.long-name]\nkind = \"redis\"\n")));
        let level = |length: usize, config: &Config| {
            judge(Path::new(&format!("/{}", "r".repeat(length - 1))), config).map(|check| check.level)
        };
        for length in [20, 78] {
            assert_eq!(level(length, &with_graph), None, "{length}");
        }
        for length in [79, 86, 93] {
            assert_eq!((level(length, &own), level(length, &some)), (Some(Level::Warn), Some(Level::Warn)));
        }
        assert_eq!(level(85, &with_graph), Some(Level::Warn), "its name has nine bytes");
        assert_eq!(level(86, &with_graph), Some(Level::Fail));
        for length in [94, 95, 100, 106, 120] {
            assert_eq!((level(length, &own), level(length, &some)), (Some(Level::Warn), Some(Level::Fail)));
        }
    }
}
