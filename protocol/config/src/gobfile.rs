//! The project file, `.config/gobfile.toml`: text in, jobs out (CLI, `up`, `down`, `trust`).
//!
//! Pure, as the configuration is: callers read the file and join its directories with the project's. Every problem is
//! reported with its place, all of them at once. A job's readiness is read by the configuration's own reader, here and in
//! `add` (PROTOCOL 5).

mod order;
mod readiness;
#[cfg(test)]
mod tests;

pub use order::Order;
pub use readiness::{BadReadiness, readiness_of};

use crate::document::{note_errors, sift};
use crate::kind::RestartOn;
use crate::problem::{Problem, Rejected};
use crate::reader::{Reader, Section};
use crate::sections::POLICIES;
use gob_protocol::limits::{MAX_DESCRIPTION_BYTES, MAX_JOB_ARGUMENTS};
use gob_protocol::name::Name;
use std::collections::BTreeMap;
use toml::de::DeTable;

/// Path of the file below the directory of its project.
pub const GOBFILE: &str = ".config/gobfile.toml";

/// Largest project file, in bytes.
pub const MAX_GOBFILE_BYTES: u64 = 1 << 20;

/// The keys of a job.
const JOB: [&str; 10] = [
    "command",
    "description",
    "autostart",
    "blocked",
    "name",
    "readiness",
    "restart",
    "env",
    "cwd",
    "depends_on",
];

/// A project file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gobfile {
    /// The jobs, in the order of the file.
    pub jobs: Vec<FileJob>,
}

/// A job of a project file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileJob {
    /// Program and arguments: the text of `command`, split as a shell splits it.
    pub command: Vec<String>,
    /// The text of `command`.
    pub text: String,
    /// The job's name, if it has one.
    pub name: Option<Name>,
    /// A description for people; the reason of a blocked job.
    pub description: Option<String>,
    /// `up` starts it without being asked for it.
    pub autostart: bool,
    /// It must not run.
    pub blocked: bool,
    /// The readiness check as `add` takes it: a word or a table.
    pub readiness: Option<serde_json::Value>,
    /// The restart policy.
    pub restart: Option<RestartOn>,
    /// Variables on top of the environment of its starter.
    pub env: BTreeMap<String, String>,
    /// Directory to run in: absolute, or below the project's; the project's when absent.
    pub cwd: Option<String>,
    /// The jobs that have to be ready before it, by their places in the file.
    pub depends_on: Vec<usize>,
    /// The line at which it begins.
    pub line: u32,
}

impl FileJob {
    /// Returns the word for the job in messages and in `up NAME`: its name, else its command as the file has it.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_ref().map_or(&self.text, Name::as_str)
    }
}

/// Where the parts of a job stand, for problems that concern several jobs.
#[derive(Debug, Clone, Default)]
struct Marks {
    name: usize,
    command: usize,
    depends_on: usize,
    needs: Vec<String>,
}

impl Gobfile {
    /// Parses a project file. `home` replaces `~/`; `path` is only named in problems.
    ///
    /// # Errors
    /// Every problem, in the order of the file.
    pub fn parse(text: &str, home: Option<&str>, path: &str) -> Result<Self, Box<Rejected>> {
        let rejected = |problems| {
            Box::new(Rejected { path: path.to_owned(), problems, named: Vec::new(), unknown: false })
        };
        if text.len() as u64 > MAX_GOBFILE_BYTES {
            let message = format!("it has {} bytes, at most {MAX_GOBFILE_BYTES} are read", text.len());
            return Err(rejected(vec![Problem::whole(message)]));
        }
        let mut reader = Reader::new(text, home);
        let (root, errors) = DeTable::parse_recoverable(text);
        let broken = note_errors(&mut reader, text, path, errors);
        let root = Section { table: root.get_ref(), key: String::new(), span: root.span() };
        let mut jobs = reader.jobs(&root);
        reader.settle_dependencies(&mut jobs);
        let mut problems = std::mem::take(&mut reader.problems);
        sift(&mut problems, &broken);
        if !problems.is_empty() {
            return Err(rejected(problems));
        }
        Ok(Self { jobs: jobs.into_iter().map(|(job, _)| job).collect() })
    }

    /// Returns the place of the job of this name, or of this command as the file has it.
    #[must_use]
    pub fn find(&self, label: &str) -> Option<usize> {
        find(self.jobs.iter(), label)
    }

    /// Returns the reason why this command must not run in the project's directory, if the file blocks it.
    #[must_use]
    pub fn blocked(&self, command: &[String]) -> Option<&str> {
        let job = self.jobs.iter().find(|job| job.blocked && job.command == command)?;
        Some(job.description.as_deref().unwrap_or("its project file gives no reason"))
    }
}

fn find<'a>(jobs: impl Iterator<Item = &'a FileJob> + Clone, label: &str) -> Option<usize> {
    let named = |job: &FileJob| job.name.as_ref().is_some_and(|name| name.as_str() == label);
    jobs.clone().position(named).or_else(|| jobs.clone().position(|job| job.text == label))
}

impl<'t> Reader<'t> {
    fn jobs(&mut self, root: &Section<'_, 't>) -> Vec<(FileJob, Marks)> {
        self.only(root, &["job"], &[]);
        let Some(item) = root.get("job") else { return Vec::new() };
        let Some(array) = item.get_ref().as_array() else {
            self.wrong_type(item, "job", "a list of tables, each of which begins with [[job]]");
            return Vec::new();
        };
        let mut jobs: Vec<(FileJob, Marks)> = Vec::new();
        for item in array {
            let Some(section) = self.as_section(item, "job".to_owned()) else { continue };
            let Some((job, marks)) = self.job(&section) else { continue };
            let mut earlier = jobs.iter().map(|(job, _)| job);
            if let Some(same) = earlier.clone().find(|other| other.name.is_some() && other.name == job.name) {
                let message = format!("the job at line {} has this name already", same.line);
                self.problem(marks.name, "job.name", message);
            }
            if let Some(same) = earlier.find(|other| other.command == job.command && other.cwd == job.cwd) {
                let message = format!("the job at line {} has this command already", same.line);
                self.problem(marks.command, "job.command", message);
            }
            jobs.push((job, marks));
        }
        jobs
    }

    /// Reads a job; `None` for one without a usable command.
    fn job(&mut self, section: &Section<'_, 't>) -> Option<(FileJob, Marks)> {
        self.only(section, &JOB, &[]);
        let at = |name: &str| section.get(name).map_or(section.span.start, |item| item.span().start);
        if section.get("command").is_none() {
            let message = "it needs a `command`; such as command = \"npm run dev\"";
            self.problem(section.span.start, section.key.clone(), message);
        }
        let command = self.parsed(section, "command", |text| Ok((split(text)?, text.to_owned())));
        let needs = self.texts(section, "depends_on", |text| Ok(text.to_owned())).unwrap_or_default();
        let marks = Marks { name: at("name"), command: at("command"), depends_on: at("depends_on"), needs };
        let job = FileJob {
            command: Vec::new(),
            text: String::new(),
            name: self.parsed(section, "name", named),
            description: self.parsed(section, "description", described),
            autostart: self.flag(section, "autostart").unwrap_or(false),
            blocked: self.flag(section, "blocked").unwrap_or(false),
            readiness: self.job_readiness(section),
            restart: self.word(section, "restart", &POLICIES),
            env: self.env(section),
            cwd: self.path(section, "cwd").filter(|dir| !matches!(dir.as_str(), "" | "." | "./")),
            depends_on: Vec::new(),
            line: self.place(section.span.start).0,
        };
        if job.blocked && job.cwd.is_some() {
            let message =
                "a blocked job is looked for in its own directory; block it in the project file there";
            self.problem(at("cwd"), "job.cwd", message);
        }
        let (command, text) = command?;
        Some((FileJob { command, text, ..job }, marks))
    }

    /// Replaces the names of dependencies by places.
    fn settle_dependencies(&mut self, jobs: &mut [(FileJob, Marks)]) {
        let found: Vec<Vec<Option<usize>>> = jobs
            .iter()
            .map(|(_, marks)| {
                let of = |need: &String| find(jobs.iter().map(|(job, _)| job), need);
                marks.needs.iter().map(of).collect()
            })
            .collect();
        for ((job, marks), found) in jobs.iter_mut().zip(found) {
            for (need, place) in marks.needs.iter().zip(&found) {
                if place.is_none() {
                    let message = format!("there is no job {need:?} in this file");
                    self.problem(marks.depends_on, "job.depends_on", message);
                }
            }
            job.depends_on = found.into_iter().flatten().collect();
        }
        let all: Vec<FileJob> = jobs.iter().map(|(job, _)| job.clone()).collect();
        let cycle = order::cycle(&all);
        let first = cycle.first().and_then(|first| jobs.get(*first));
        if let Some((_, marks)) = first {
            let labels = cycle.iter().filter_map(|place| all.get(*place)).map(FileJob::label);
            let labels: Vec<&str> = labels.collect();
            let message = format!("the jobs wait for each other: {}", labels.join(" → "));
            self.problem(marks.depends_on, "job.depends_on", message);
        }
        for (job, marks) in jobs.iter().filter(|(job, _)| !job.blocked) {
            let blocked =
                job.depends_on.iter().filter_map(|place| all.get(*place)).find(|other| other.blocked);
            if let Some(other) = blocked {
                let message = format!("{} is blocked, so that this job can never run", other.label());
                self.problem(marks.depends_on, "job.depends_on", message);
            }
        }
    }
}

/// Splits a command line as a shell does, without its variables, patterns and operators.
fn split(text: &str) -> Result<Vec<String>, String> {
    let command = shlex::split(text)
        .ok_or_else(|| format!("{text:?} is no command line: a quote or a backslash is left open"))?;
    if command.first().is_none_or(String::is_empty) {
        return Err("it has to begin with a program".to_owned());
    }
    if command.len() > MAX_JOB_ARGUMENTS {
        return Err(format!("it has {} words, at most {MAX_JOB_ARGUMENTS}", command.len()));
    }
    Ok(command)
}

fn named(text: &str) -> Result<Name, String> {
    let name = Name::job(text).map_err(|e| e.to_string())?;
    match Name::graph(text) {
        Ok(_) => Ok(name),
        Err(_) => Err(format!("{text:?} is a number that gob gives to a job without a name")),
    }
}

fn described(text: &str) -> Result<String, String> {
    if text.len() > MAX_DESCRIPTION_BYTES || text.chars().any(char::is_control) {
        return Err(format!("it has to be at most {MAX_DESCRIPTION_BYTES} bytes without control characters"));
    }
    Ok(text.to_owned())
}
