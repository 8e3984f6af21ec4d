//! Reads the configuration's files off the loop's thread, as far as they may be trusted, and parses them.
//!
//! The core decides what a new configuration means. A disk that hangs costs only the reading.

use crate::conn::real_path;
use crate::disks::{At, Disks};
use crate::mailbox::Post;
use gob_config::{Config, Reading, gather};
use gob_core::Read;
use gob_host::config::Disk;
use std::path::{Path, PathBuf};

/// The lane of readings, which come one after the other.
const LANE: &str = "configuration";

/// The configuration's place, and the receiver of its readings.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    place: Option<Place>,
    home: Option<String>,
    disks: Disks,
    to_loop: Post<Read>,
}

/// The place of `config.toml`.
#[derive(Debug, Clone)]
struct Place {
    path: PathBuf,
    /// `GOB_CONFIG` names it, so that it must exist.
    is_needed: bool,
}

/// Returns the place that the keeper resolved; without one there is no file.
fn place() -> Option<Place> {
    let set = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = set("GOB_CONFIG").map(|path| Place { path, is_needed: true });
    let usual = || set("XDG_CONFIG_HOME").map(|dir| dir.join("gob/config.toml"));
    named.or_else(|| usual().map(|path| Place { path, is_needed: false }))
}

/// Returns the path of `config.toml`, existing or not.
pub(crate) fn path() -> Option<String> {
    place().map(|place| place.path.to_string_lossy().into_owned())
}

impl Settings {
    /// Creates settings for the files that the environment names. The core requests one reading at a time; it
    /// goes to `to_loop`.
    pub(crate) fn from_env(disks: Disks, to_loop: Post<Read>) -> Self {
        Self { place: place(), home: std::env::var("HOME").ok(), disks, to_loop }
    }

    /// Begins a reading.
    pub(crate) fn begin(&self) {
        let this = self.clone();
        tokio::task::spawn_local(async move {
            let read = this.read().await;
            this.to_loop.send(read).await;
        });
    }

    /// Reads the files, and logs the result.
    pub(crate) async fn read(&self) -> Read {
        let Some(place) = self.place.clone() else { return Read::default() };
        let (shown, home) = (place.path.display().to_string(), self.home.clone());
        let reading =
            self.disks.ask(LANE, vec![shown.clone()], move |at| read_files(&place, home.as_deref(), at));
        let reading = reading.await.unwrap_or_else(|silent| Reading::unread(&*shown, silent.to_string()));
        // The log has all problems of refused files; the core knows what was in force before.
        let (config, rejected) = reading.clone().settle(&Config::default());
        for path in config.files() {
            tracing::info!(
                path,
                kinds = config.kinds.len(),
                graphs = config.graphs.len(),
                "configuration read"
            );
        }
        for file in rejected {
            for problem in &file.problems {
                let gap = if problem.line > 0 { "" } else { " " };
                tracing::error!("{}:{gap}{problem}", file.path);
            }
        }
        Box::new(reading)
    }
}

fn read_files(place: &Place, home: Option<&str>, at: &At) -> Reading {
    at.go("read", &place.path.display().to_string());
    let files = gather(&place.path, place.is_needed, nix::unistd::geteuid().as_raw(), &Disk);
    let mut reading = Reading::of(&files, home);
    reading.resolve_roots(|dir| {
        at.go("find", dir);
        real_path(Path::new(dir)).map_err(|e| e.to_string())
    });
    reading
}
