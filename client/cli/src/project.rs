//! The project file from gobctl's side: found from the current directory, read once, judged as a whole.

use crate::context::Context;
use crate::failure::Failure;
use crate::text::escape;
use gob_client::call::Add;
use gob_client::protocol::request::{RestartOn, Wait};
use gob_client::protocol::{Env, ErrorCode, WireError};
use gob_client::{Error, View};
use gob_config::gobfile::{FileJob, Gobfile};
use gob_config::{Problem, Rejected};
use gob_host::gobfile::{path_in, read};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The code of the failure where there is no project file.
pub(crate) const MISSING: &str = "no-project-file";

/// A project and its file as it was read.
#[derive(Debug)]
pub(crate) struct Project {
    /// The real path of its directory.
    pub(crate) dir: PathBuf,
    /// The path of the file.
    pub(crate) path: String,
    /// The text, of which everything else follows.
    pub(crate) text: String,
    pub(crate) file: Gobfile,
}

/// Finds and reads the project file of the current directory: its own, else that of the nearest directory above it, up to the one that
/// has a `.git`, and up to the home directory.
pub(crate) fn find() -> Result<Project, Failure> {
    let here = std::env::current_dir().map_err(|e| unusable("the current directory", &e.to_string()))?;
    let home = std::env::var_os("HOME").and_then(|home| Path::new(&home).canonicalize().ok());
    for dir in here.ancestors() {
        if path_in(dir).symlink_metadata().is_ok() {
            return load(dir);
        }
        if dir.join(".git").symlink_metadata().is_ok() || home.as_deref() == Some(dir) {
            break;
        }
    }
    Err(missing(&here))
}

/// Reads the project file of a directory.
pub(crate) fn load(dir: &Path) -> Result<Project, Failure> {
    let shown = dir.display().to_string();
    let dir = dir.canonicalize().map_err(|e| unusable(&shown, &e.to_string()))?;
    let path =
        path_in(&dir).into_os_string().into_string().map_err(|_| unusable(&shown, "it is not UTF-8"))?;
    let text = read(&dir).map_err(|e| unusable(&path, &e.to_string()))?.ok_or_else(|| missing(&dir))?;
    let home = std::env::var("HOME").ok();
    let file = Gobfile::parse(&text, home.as_deref(), &path).map_err(|rejected| invalid(&rejected))?;
    Ok(Project { dir, path, text, file })
}

impl Project {
    /// Returns the directory that a job runs in.
    pub(crate) fn cwd_of(&self, job: &FileJob) -> String {
        let dir = job.cwd.as_ref().map_or_else(|| self.dir.clone(), |cwd| self.dir.join(cwd));
        let dir = dir.canonicalize().unwrap_or(dir);
        dir.to_string_lossy().into_owned()
    }

    /// Returns the request that starts a job, in this environment and the job's own variables.
    pub(crate) fn request(&self, job: &FileJob, env: &Env) -> Add {
        let mut env = env.clone();
        for (name, value) in &job.env {
            env.set(name, value.as_str());
        }
        Add {
            command: job.command.clone(),
            cwd: self.cwd_of(job),
            env: Some(env),
            name: job.name.clone(),
            description: job.description.clone(),
            restart: Some(job.restart.unwrap_or(RestartOn::Never)),
            readiness: Some(job.readiness.clone().unwrap_or_else(|| "none".into())),
            wait: Some(Wait::Ready),
            ..Add::default()
        }
    }

    /// Returns the live workers of these jobs and of all that they depend on, in waves, those that others depend on first.
    pub(crate) fn live<'w>(
        &self,
        wanted: impl IntoIterator<Item = usize>,
        workers: &'w [View],
    ) -> Vec<Vec<&'w View>> {
        let mut taken = BTreeSet::new();
        let mut found = |place: usize| {
            let worker = self.worker_of(self.file.jobs.get(place)?, workers)?;
            taken.insert(&worker.name).then_some(worker)
        };
        self.file
            .waves(wanted)
            .into_iter()
            .map(|wave| wave.into_iter().filter_map(&mut found).collect())
            .collect()
    }

    /// Returns the live worker of a job: the one of its command and directory, else that of its name there, which runs what the
    /// file had before it was edited.
    fn worker_of<'w>(&self, job: &FileJob, workers: &'w [View]) -> Option<&'w View> {
        let cwd = self.cwd_of(job);
        let is_here = |worker: &&View| worker.state.is_live() && worker.cwd.as_deref() == Some(cwd.as_str());
        let mut here = workers.iter().filter(is_here);
        let is_named = |worker: &&View| job.name.as_ref() == Some(&worker.name);
        here.clone().find(|worker| *worker.command == job.command).or_else(|| here.find(is_named))
    }

    /// Returns the job of a word on the command line.
    pub(crate) fn job(&self, word: &str) -> Result<usize, Failure> {
        self.file.find(word).ok_or_else(|| {
            let labels = self.file.jobs.iter().map(FileJob::label);
            let near = gob_client::protocol::suggest::nearest(word, labels);
            let failure = Failure::own("no-such-job", 4, format!("there is no job {word} in {}", self.path));
            match near {
                Some(near) => failure.hint(format!("did you mean {near}?")),
                None => {
                    failure.hint("gobctl trust shows its jobs; a job is named by `name`, else by its command")
                }
            }
        })
    }
}

/// Warns of a project file beside a job that the supervisor can't use either: it blocks nothing then.
pub(crate) fn warn_of(context: &Context, dir: &Path) {
    let path = path_in(dir);
    let home = std::env::var("HOME").ok();
    let why = match read(dir) {
        Ok(None) => return,
        Ok(Some(text)) => Gobfile::parse(&text, home.as_deref(), &path.to_string_lossy())
            .err()
            .map(|rejected| rejected.to_string()),
        Err(unread) => Some(unread.to_string()),
    };
    if let Some(why) = why {
        let path = escape(&path.to_string_lossy());
        let why = escape(why.lines().next().unwrap_or_default());
        context.note(&format!("warning: {path} can't be used, and blocks nothing: {why}"));
    }
}

fn missing(dir: &Path) -> Failure {
    let message = format!("there is no project file in {} or above it", dir.display());
    Failure::own(MISSING, 1, message).hint("write one: .config/gobfile.toml, with a [[job]] for each command")
}

fn unusable(what: &str, why: &str) -> Failure {
    Failure::own("project-file-invalid", 1, format!("{what} can't be used")).cause(why)
}

/// Returns the failure of a file with problems, all of them, in the form of the configuration's.
fn invalid(rejected: &Rejected) -> Failure {
    let message = match rejected.problems.as_slice() {
        [Problem { .. }] => "the project file cannot be used".to_owned(),
        many => format!("the project file cannot be used: {} problems", many.len()),
    };
    let error = WireError::new(ErrorCode::ConfigInvalid, message).details(Rejected::details(&[rejected]));
    Failure::Client(Error::Refused(error.hint("correct the file; nothing of it was run")))
}
