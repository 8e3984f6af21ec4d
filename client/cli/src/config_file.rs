//! The configuration file as gobctl looks at it: read, judged, never changed. The supervisor reads it by itself.

use crate::failure::Failure;
use gob_client::protocol::config::{Config, FileFacts, MAX_CONFIG_BYTES, Problem, Rejected, refusal};
use gob_client::protocol::{ErrorCode, WireError};
use gob_client::{Dirs, Error, siblings};
use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, access};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Reads the file; `None` when there is none, which is fine.
pub(crate) fn read(dirs: &Dirs) -> Result<Option<Config>, Box<Rejected>> {
    let path = dirs.config.to_string_lossy();
    let whole = |message: String| Box::new(Rejected::whole(path.clone(), message));
    // Without O_NONBLOCK the open of somebody's FIFO would wait for its writer.
    let file = match OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&dirs.config) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(whole(format!("it cannot be opened: {e}"))),
    };
    let text = text(file).map_err(whole)?;
    let home = std::env::var("HOME").ok();
    Config::parse(&text, home.as_deref(), &path).map(Some)
}

fn text(file: File) -> Result<String, String> {
    let stat = file.metadata().map_err(|e| format!("it cannot be looked at: {e}"))?;
    let facts = FileFacts { is_file: stat.is_file(), uid: stat.uid(), mode: stat.mode(), len: stat.len() };
    if let Some(why) = refusal(facts, nix::unistd::geteuid().as_raw()) {
        return Err(why);
    }
    let mut text = String::new();
    file.take(MAX_CONFIG_BYTES).read_to_string(&mut text).map_err(|e| format!("it cannot be read: {e}"))?;
    Ok(text)
}

/// The programs of the file that are not there.
pub(crate) fn missing_programs(config: &Config) -> Vec<Problem> {
    let executable = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    config.missing_programs(|program, path| {
        if program.contains('/') {
            return executable(Path::new(program));
        }
        let listed = path.map(|path| std::env::split_paths(path).any(|dir| executable(&dir.join(program))));
        listed.unwrap_or_else(|| siblings::find(program).is_ok())
    })
}

/// A file that can't be used, as the supervisor would say it.
pub(crate) fn invalid(rejected: &Rejected) -> Failure {
    let message = match rejected.problems.len() {
        1 => "the configuration cannot be used".to_owned(),
        count => format!("the configuration cannot be used: {count} problems"),
    };
    let error = WireError::new(ErrorCode::ConfigInvalid, message).details(rejected.details());
    Failure::Client(Error::Refused(
        error.hint("mend the file, then gobctl config reload has a running supervisor read it"),
    ))
}
