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

/// Everything that is to be said of the file.
pub(crate) struct Judged {
    /// Whether there is one.
    pub(crate) exists: bool,
    /// Why the supervisor does not use it.
    pub(crate) problems: Vec<Problem>,
    /// The programs of it that are not there; it is used all the same.
    pub(crate) missing: Vec<Problem>,
}

impl Judged {
    /// All of it, in the order of the file.
    pub(crate) fn all(&self) -> Vec<Problem> {
        let mut all = [self.problems.as_slice(), &self.missing].concat();
        all.sort();
        all
    }
}

/// Reads the file and looks for everything that is wrong with it at once.
pub(crate) fn judge(dirs: &Dirs) -> Judged {
    let (config, mut problems) = match read(dirs) {
        Ok(config) => (config, Vec::new()),
        Err(rejected) => (Some(rejected.read), rejected.problems),
    };
    let exists = config.is_some();
    let mut config = config.unwrap_or_default();
    problems.extend(config.resolve_roots(|dir| can_be(Path::new(dir)).map(|()| dir.to_owned())));
    Judged { exists, problems, missing: missing_programs(&config) }
}

/// Whether a directory is there, or what is there of the way to it can be walked.
fn can_be(dir: &Path) -> Result<(), String> {
    for dir in dir.ancestors() {
        match dir.canonicalize() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.to_string()),
            Ok(_) => break,
        }
    }
    Ok(())
}

fn missing_programs(config: &Config) -> Vec<Problem> {
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
    refused(rejected, rejected.problems.len(), 0)
}

/// What is wrong with a file that was judged, programs that are missing included; nothing when it is right.
pub(crate) fn wrong(judged: &Judged, path: &str) -> Option<Failure> {
    let (problems, missing) = (judged.problems.len(), judged.missing.len());
    let rejected = Rejected { problems: judged.all(), ..Rejected::whole(path, "") };
    (problems + missing > 0).then(|| refused(&rejected, problems, missing))
}

fn refused(rejected: &Rejected, problems: usize, missing: usize) -> Failure {
    let count = |count: usize, one: &str, many: &str| match count {
        1 => format!("one {one}"),
        count => format!("{count} {many}"),
    };
    let gone = count(missing, "program is missing", "programs are missing");
    let message = match (problems, missing) {
        (0, _) => format!("{gone}, and the rest of the configuration is right"),
        (1, 0) => "the configuration cannot be used".to_owned(),
        (_, 0) => format!("the configuration cannot be used: {problems} problems"),
        (_, _) => {
            format!(
                "the configuration cannot be used: {}, and {gone}",
                count(problems, "problem", "problems")
            )
        }
    };
    let hint = if problems == 0 {
        "install what is missing, or mend its command; graphs of other kinds start all the same"
    } else {
        "mend the file, then gobctl config reload has a running supervisor read it"
    };
    let error = WireError::new(ErrorCode::ConfigInvalid, message).details(rejected.details());
    Failure::Client(Error::Refused(error.hint(hint)))
}
