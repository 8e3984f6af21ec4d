//! The kinds of the configuration, for a person to choose from.

use crate::Dirs;
use gob_config::{Config, Reading, gather};
use gob_host::config::Disk;

/// Returns the names of all kinds, as a supervisor would have them that starts now.
#[must_use]
pub fn kinds(dirs: &Dirs) -> Vec<String> {
    let files = gather(&dirs.config, dirs.config_is_named, nix::unistd::geteuid().as_raw(), &Disk);
    let reading = Reading::of(&files, std::env::var("HOME").ok().as_deref());
    let (config, _) = reading.settle(&Config::default());
    config.kinds.into_keys().collect()
}
