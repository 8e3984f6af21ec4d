//! The configuration on its way in: its files read off the main thread, as far as they may be trusted, and parsed.
//!
//! What a new configuration means is the core's to say. A disk that hangs costs only the reading.

use crate::conn::real_path;
use crate::disks::{At, Disks};
use crate::mailbox::Post;
use gob_core::Read;
use gob_host::config::Disk;
use gob_protocol::config::{Config, Reading, gather};
use std::path::{Path, PathBuf};

/// Readings come one after the other.
const LANE: &str = "configuration";

/// Where the configuration is, and who is told what it says.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    place: Option<Place>,
    home: Option<String>,
    disks: Disks,
    to_loop: Post<Read>,
}

/// Where `config.toml` is.
#[derive(Debug, Clone)]
struct Place {
    path: PathBuf,
    /// `GOB_CONFIG` names it, so that it has to be there.
    is_needed: bool,
}

/// As the keeper resolved it; without one there is no file.
fn place() -> Option<Place> {
    let set = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = set("GOB_CONFIG").map(|path| Place { path, is_needed: true });
    let usual = || set("XDG_CONFIG_HOME").map(|dir| dir.join("gob/config.toml"));
    named.or_else(|| usual().map(|path| Place { path, is_needed: false }))
}

/// The path of `config.toml`, whether there is one or not.
pub(crate) fn path() -> Option<String> {
    place().map(|place| place.path.to_string_lossy().into_owned())
}

impl Settings {
    /// The files that the environment names. The core asks for one reading at a time; it goes to `to_loop`.
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

    /// Reads the files, and says in the log what came of it.
    pub(crate) async fn read(&self) -> Read {
        let Some(place) = self.place.clone() else { return Read::default() };
        let (shown, home) = (place.path.display().to_string(), self.home.clone());
        let reading =
            self.disks.ask(LANE, vec![shown.clone()], move |at| read_files(&place, home.as_deref(), at));
        let reading = reading.await.unwrap_or_else(|silent| Reading::unread(&*shown, silent.to_string()));
        // Of what is refused the log has all; what was in force before is for the core to know.
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
