//! The configuration file on its way in: read off the main thread, as far as it may be trusted, and parsed.
//!
//! What a new configuration means is the core's to say. A disk that hangs costs only the reading.

use crate::conn::real_path;
use crate::disks::{At, Disks};
use gob_core::Read;
use gob_protocol::config::{Config, FileFacts, MAX_CONFIG_BYTES, Rejected, refusal};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Readings come one after the other.
const LANE: &str = "configuration";

/// Where the configuration is, and who is told what it says.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `GOB_CONFIG`, as the keeper resolved it; without one there is no file.
    path: Option<PathBuf>,
    home: Option<String>,
    disks: Disks,
    to_loop: mpsc::Sender<Read>,
}

impl Settings {
    /// The file that the environment names. Readings that were begun come out of the channel.
    pub(crate) fn from_env(disks: Disks) -> (Self, mpsc::Receiver<Read>) {
        // The core asks for one reading at a time.
        let (to_loop, readings) = mpsc::channel(1);
        let path = std::env::var_os("GOB_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        (Self { path, home: std::env::var("HOME").ok(), disks, to_loop }, readings)
    }

    /// Begins a reading.
    pub(crate) fn begin(&self) {
        let this = self.clone();
        tokio::task::spawn_local(async move {
            let read = this.read().await;
            // Without a loop there is nobody whom it could matter to.
            this.to_loop.send(read).await.unwrap_or_default();
        });
    }

    /// Reads the file, and says in the log what came of it.
    pub(crate) async fn read(&self) -> Read {
        let Some(path) = self.path.clone() else { return Ok(Box::default()) };
        let (shown, home) = (path.display().to_string(), self.home.clone());
        let reading =
            self.disks.ask(LANE, vec![shown.clone()], move |at| read_file(&path, home.as_deref(), at));
        let read = reading
            .await
            .unwrap_or_else(|silent| Err(Box::new(Rejected::whole(&*shown, silent.to_string()))));
        match &read {
            Ok(config) => {
                tracing::info!(path = %shown, kinds = config.kinds.len(), graphs = config.graphs.len(), "configuration read");
            }
            Err(rejected) => {
                for problem in &rejected.problems {
                    tracing::error!("{shown}:{problem}");
                }
            }
        }
        read
    }
}

fn read_file(path: &Path, home: Option<&str>, at: &At) -> Read {
    let shown = path.display().to_string();
    at.go("read", &shown);
    let rejected = |why: String| Box::new(Rejected::whole(&*shown, why));
    let text = match trusted_text(path) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(Box::default()),
        Err(why) => return Err(rejected(why)),
    };
    let mut config = Config::parse(&text, home, &shown)?;
    let problems = config.resolve_roots(|dir| {
        at.go("find", dir);
        real_path(Path::new(dir)).map_err(|e| e.to_string())
    });
    if problems.is_empty() {
        Ok(Box::new(config))
    } else {
        Err(Box::new(Rejected { problems, ..*rejected(String::new()) }))
    }
}

/// The file's text; `None` when there is no file.
fn trusted_text(path: &Path) -> Result<Option<String>, String> {
    // A FIFO in its place must not hold up whoever opens it.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = match opened {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| format!("cannot open it: {e}"))?,
    };
    let meta = file.metadata().map_err(|e| format!("cannot look at it: {e}"))?;
    let facts = FileFacts { is_file: meta.is_file(), uid: meta.uid(), mode: meta.mode(), len: meta.len() };
    if let Some(why) = refusal(facts, nix::unistd::geteuid().as_raw()) {
        return Err(why);
    }
    read_text(file).map(Some)
}

fn read_text(file: File) -> Result<String, String> {
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut bytes).map_err(|e| format!("cannot read it: {e}"))?;
    if bytes.len() as u64 > MAX_CONFIG_BYTES {
        return Err(format!("it has more than {MAX_CONFIG_BYTES} bytes"));
    }
    String::from_utf8(bytes).map_err(|e| format!("it is not UTF-8: {e}"))
}
