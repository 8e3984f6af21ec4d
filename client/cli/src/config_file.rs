//! The configuration from gobctl's side: read, judged, never changed. The supervisor reads it by itself.

use crate::failure::Failure;
use gob_client::protocol::{ErrorCode, WireError};
use gob_client::{Dirs, Error};
use gob_config::{Config, Problem, Reading, Rejected, gather};
use gob_host::config::Disk;
use gob_host::siblings;
use nix::unistd::{AccessFlags, access};
use std::io;
use std::path::Path;

/// Reads the present files.
fn reading(dirs: &Dirs) -> Reading {
    let files = gather(&dirs.config, dirs.config_is_named, nix::unistd::geteuid().as_raw(), &Disk);
    Reading::of(&files, std::env::var("HOME").ok().as_deref())
}

/// Returns the configuration of a supervisor that starts now, and the files that it would refuse.
pub(crate) fn read(dirs: &Dirs) -> (Config, Vec<Rejected>) {
    reading(dirs).settle(&Config::default())
}

/// The result of judging the files.
pub(crate) struct Judged {
    /// The existing files, in order of precedence.
    pub(crate) files: Vec<String>,
    /// The files that the supervisor does not use.
    pub(crate) refused: Vec<Rejected>,
    /// Missing programs, each with its file; such a file is still used.
    pub(crate) missing: Vec<(String, Problem)>,
    /// Settings that are no errors and probably not intended.
    pub(crate) doubtful: Vec<(String, Problem)>,
}

/// Formats a place as `config.toml:12:3: kind.x: …`, which editors understand.
pub(crate) fn place((path, problem): &(String, Problem)) -> String {
    let gap = if problem.line > 0 { "" } else { " " };
    format!("{path}:{gap}{problem}")
}

impl Judged {
    /// Returns all problems, file by file.
    pub(crate) fn all(&self) -> Vec<(String, Problem)> {
        let mut all = Vec::new();
        for path in self.files.iter() {
            let refused = self.refused.iter().filter(|file| file.path == *path);
            let mut of_file: Vec<_> = refused
                .flat_map(|file| &file.problems)
                .map(|problem| (path.clone(), problem.clone()))
                .collect();
            of_file.extend(self.missing.iter().filter(|(file, _)| file == path).cloned());
            of_file.sort();
            all.extend(of_file);
        }
        all
    }
}

/// Reads the files and finds all their problems at once.
pub(crate) fn judge(dirs: &Dirs) -> Judged {
    let mut reading = reading(dirs);
    reading.resolve_roots(|dir| can_be(Path::new(dir)).map(|()| dir.to_owned()));
    let (files, whole) = (reading.paths().map(str::to_owned).collect(), reading.whole());
    let (_, refused) = reading.settle(&Config::default());
    let mut doubtful = whole.doubtful_braces();
    doubtful.extend(whole.doubtful_programs());
    doubtful.sort();
    Judged { files, refused, missing: missing_programs(&whole), doubtful }
}

/// Checks that a directory exists, or that the existing part of its path can be walked.
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

fn missing_programs(config: &Config) -> Vec<(String, Problem)> {
    let executable = |path: &Path| path.is_file() && access(path, AccessFlags::X_OK).is_ok();
    config.missing_programs(|program, path| {
        if program.contains('/') {
            return executable(Path::new(program));
        }
        let listed = path.map(|path| std::env::split_paths(path).any(|dir| executable(&dir.join(program))));
        listed.unwrap_or_else(|| siblings::find(program).is_ok())
    })
}

/// Returns the supervisor's error for files that can't be used.
pub(crate) fn invalid(rejected: &[Rejected]) -> Failure {
    let all: Vec<&Rejected> = rejected.iter().collect();
    let problems = all.iter().map(|file| file.problems.len()).sum();
    refused(Rejected::details(&all), problems, 0)
}

/// Returns the error for judged files, missing programs included; `None` without a problem.
pub(crate) fn wrong(judged: &Judged) -> Option<Failure> {
    let (all, missing) = (judged.all(), judged.missing.len());
    let path = all.first().map(|(path, _)| path.clone())?;
    let mut files: Vec<Rejected> = Vec::new();
    for (path, problem) in all {
        match files.last_mut().filter(|file| file.path == path) {
            Some(file) => file.problems.push(problem),
            None => files.push(Rejected { path, problems: vec![problem], named: Vec::new(), unknown: false }),
        }
    }
    let mut details = Rejected::details(&files.iter().collect::<Vec<_>>());
    if let Some(fields) = details.as_object_mut() {
        fields.insert("path".to_owned(), path.into());
    }
    let problems: usize = judged.refused.iter().map(|file| file.problems.len()).sum();
    Some(refused(details, problems, missing))
}

fn refused(details: serde_json::Value, problems: usize, missing: usize) -> Failure {
    let count = |count: usize, one: &str, many: &str| match count {
        1 => format!("one {one}"),
        count => format!("{count} {many}"),
    };
    let gone = count(missing, "program is missing", "programs are missing");
    let message = match (problems, missing) {
        (0, _) => format!("{gone}, and the rest of the configuration is valid"),
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
        "install what is missing, or correct its command; graphs of other kinds start all the same"
    } else {
        "correct the file, then gobctl config reload has a running supervisor read it"
    };
    let error = WireError::new(ErrorCode::ConfigInvalid, message).details(details);
    Failure::Client(Error::Refused(error.hint(hint)))
}
