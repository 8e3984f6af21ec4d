//! `gobctl trust [DIR]`: shows what a project file would run, and trusts it.

use super::{Effect, PROJECT, Verb, timeout};
use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::project::{self, Project};
use crate::text::escape;
use crate::trusted::{self, Trust};
use clap::{Arg, ArgMatches};
use gob_client::protocol::shell;
use gob_client::screen;
use gob_config::gobfile::FileJob;
use serde_json::json;
use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Read};
use std::path::Path;

pub(crate) const VERB: Verb = Verb {
    path: &["trust"],
    group: PROJECT,
    effect: Effect::Changes,
    about: "Show a project file's jobs and trust it; off a terminal it asks nothing",
    examples: "Examples:\n  gobctl trust\n  gobctl trust ~/src/site\n\nThe project file is .config/gobfile.toml; gobctl up --help has an example of one. Trust is in this very text at this path: a changed or moved file needs it anew, and trust shows what has changed.\n",
    command: |command| {
        let help = "The directory of the project; this one, or the nearest one above, without it";
        let parser = clap::value_parser!(OsString);
        command.arg(Arg::new("dir").value_name("DIR").value_parser(parser).help(help))
    },
    timeout: timeout::ANSWER,
    run: Some(run),
    ..Verb::ROW
};

/// Limit of an answer on the terminal, in bytes.
const ANSWER_BYTES: u64 = 64;

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let project = match matches.get_one::<OsString>("dir") {
        Some(dir) => project::load(Path::new(dir))?,
        None => project::find()?,
    };
    let dirs = context.dirs()?;
    let before = trusted::trust_in(&project, &dirs)?;
    if !context.json {
        let shown = shown(&project, &before);
        if !context.quiet {
            out::print(&shown)?;
        }
    }
    let asks = before != Trust::Given && !context.json;
    if asks && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !wanted(&project) {
        context.note("it is not trusted");
        return Ok(1);
    }
    if before != Trust::Given {
        trusted::give(&project, &dirs)?;
    }
    let hash = trusted::sha256(&project.text);
    if context.json {
        let jobs: Vec<_> = project.file.jobs.iter().map(|job| data(&project, job)).collect();
        let data = json!({"path": project.path, "sha256": hash, "jobs": jobs, "was_trusted": before == Trust::Given});
        return out::print(&format!("{data}\n")).map(|()| 0);
    }
    let path = escape(&project.path);
    let text = match before {
        Trust::Given => format!("{path} is already trusted\n"),
        Trust::Missing | Trust::Old(_) => format!("trusted {path}\n"),
    };
    if context.quiet { Ok(0) } else { out::print(&text).map(|()| 0) }
}

/// Returns the jobs in words, and what has changed since they were trusted.
fn shown(project: &Project, before: &Trust) -> String {
    let mut text: String = project.file.jobs.iter().map(line).collect();
    if text.is_empty() {
        text.push_str("it has no jobs\n");
    }
    if let Trust::Old(old) = before {
        let difference = trusted::difference(old, &project.text);
        let lines: Vec<String> = difference.lines().map(escape).collect();
        text = format!("{text}\n{}\n", lines.join("\n"));
    }
    text
}

fn line(job: &FileJob) -> String {
    let mut about = Vec::new();
    about.extend(job.autostart.then(|| "autostart".to_owned()));
    about.extend(job.blocked.then(|| "blocked".to_owned()));
    about.extend(job.cwd.as_ref().map(|cwd| format!("in {}", escape(cwd))));
    about.extend(job.description.as_ref().map(|text| escape(text)));
    let name = job.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    let about = if about.is_empty() { String::new() } else { format!("  ({})", about.join(", ")) };
    let env: String = job.env.iter().map(|(name, value)| format!("{name}={} ", shell::word(value))).collect();
    // Quoted: a `|` in it is an argument, and must not read as a pipe.
    format!("{name}{}{about}\n", escape(&format!("{env}{}", screen::command(&job.command))))
}

fn data(project: &Project, job: &FileJob) -> serde_json::Value {
    json!({
        "name": job.name, "command": job.command, "description": job.description, "autostart": job.autostart,
        "blocked": job.blocked, "cwd": project.cwd_of(job), "env": job.env,
    })
}

/// Asks the user at the terminal.
fn wanted(project: &Project) -> bool {
    out::error_text(&format!("trust {}? [y/N] ", escape(&project.path)));
    let mut answer = String::new();
    // An unreadable answer is not a yes.
    std::io::stdin().lock().take(ANSWER_BYTES).read_line(&mut answer).ok();
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
