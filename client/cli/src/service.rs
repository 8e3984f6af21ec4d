//! The service: whatever starts the supervisor when its user logs in, or at the first request.
//!
//! | module | work |
//! |---|---|
//! | [`texts`] | the files, from one text each |
//! | [`place`] | where they lie; whether they are gob's; writing and removing them |
//! | [`calls`] | what systemctl and loginctl are asked |

pub(crate) mod calls;
pub(crate) mod place;
pub(crate) mod texts;

use crate::context::Context;
use crate::failure::Failure;
use crate::process;
use gob_client::Dirs;
use gob_host::siblings;
use std::path::{Path, PathBuf};
use texts::Names;

/// Variables of this shell that decide which supervisor the service is, or which programs it finds.
const VARIABLES: [&str; 10] = [
    "GOB_RUNTIME_DIR",
    "GOB_STATE_DIR",
    "GOB_DATA_DIR",
    "GOB_CONFIG",
    "GOB_LIBEXEC",
    "GOB_LOG",
    "XDG_STATE_HOME",
    "XDG_DATA_HOME",
    "XDG_CONFIG_HOME",
    "PATH",
];

/// The longest path of a socket, in bytes (unix(7)).
const LONGEST: usize = 107;

/// Returns the programs and variables for the service's files.
///
/// # Errors
/// When one of them is missing, or can't stand in such a file.
pub(crate) fn names(dirs: &Dirs, activation: bool) -> Result<Names, Failure> {
    let keeper = siblings::find("gob-keeper")
        .map_err(|looked| Failure::Client(gob_client::Error::NoKeeper { looked }))?;
    let gobctl = std::env::current_exe().unwrap_or_else(|_| keeper.with_file_name("gobctl"));
    let set = |name: &'static str| {
        Some((name, PathBuf::from(std::env::var_os(name).filter(|value| !value.is_empty())?)))
    };
    let mut variables = Vec::new();
    for (name, value) in VARIABLES.into_iter().filter_map(set) {
        // The service has another working directory.
        let value = if name == "GOB_LIBEXEC" { std::path::absolute(&value).unwrap_or(value) } else { value };
        variables.push((name, line(name, &value)?));
    }
    let is_named = variables.iter().any(|(name, _)| *name == "GOB_RUNTIME_DIR");
    // In the standard place, the unit's own runtime directory counts, whatever this shell has.
    let socket = if is_named { Some(line("the socket", &dirs.socket())?) } else { None };
    if let Some(path) = socket.as_ref().filter(|path| activation && path.len() > LONGEST) {
        let message = format!("{path} has {} bytes, and systemd takes {LONGEST}", path.len());
        return Err(Failure::own("not-installed", 1, message)
            .hint("choose a shorter GOB_RUNTIME_DIR, or leave --socket-activation out"));
    }
    Ok(Names { keeper: line("gob-keeper", &keeper)?, gobctl: line("gobctl", &gobctl)?, socket, variables })
}

/// Returns a path or value as a part of a line.
fn line(what: &str, path: &Path) -> Result<String, Failure> {
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control));
    text.map(ToOwned::to_owned).ok_or_else(|| {
        let message = format!("{what} cannot stand in a unit: {}", path.to_string_lossy().escape_debug());
        Failure::own("not-installed", 1, message).hint("unit files take UTF-8 without control characters")
    })
}

/// Returns the pid of the supervisor that answers, and whether the unit started it.
pub(crate) fn running(context: &Context) -> Option<(i32, bool)> {
    let client = Context { quiet: true, ..context.without_autostart() }.connect("hello").ok()?;
    let pid = client.server().pid;
    Some((pid, is_in_unit(pid)))
}

/// Returns whether a process belongs to the service unit.
pub(crate) fn is_in_unit(pid: i32) -> bool {
    process::cgroup(pid)
        .is_some_and(|group| group.components().any(|part| part.as_os_str() == place::SERVICE))
}
