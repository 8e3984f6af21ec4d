//! `gobctl tui`: the terminal's screen. It is drawn by gob-tui; this is what it is given.

use super::{Effect, LOOKING, Verb, timeout};
use crate::context::{Color, Context};
use crate::environment::environment;
use crate::failure::Failure;
use crate::project::{self, Project};
use crate::trusted;
use clap::ArgMatches;
use gob_client::Dirs;
use gob_client::screen;
use gob_config::gobfile::FileJob;
use gob_tui::{End, Look, Options, ProjectJob};
use std::io::IsTerminal;

/// A signal that ended the program is added to this.
const SIGNALLED: i32 = 128;

pub(crate) const VERB: Verb = Verb {
    path: &["tui"],
    group: LOOKING,
    effect: Effect::Changes,
    about: "The workers, their logs, events, locks and lanes, on the whole terminal",
    examples: "Examples:\n  gobctl tui\n\nEach key is listed by ?, and : finds a command by words. The screen starts no supervisor by itself: R does. Jobs of a trusted project file are started by u, and stop with the screen.\n",
    timeout: timeout::NONE,
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    let variable = |name: &str| std::env::var(name).ok();
    if context.json {
        return Err(Failure::usage("tui has no --json: it is a screen for people".to_owned())
            .hint("gobctl list --json, gobctl events --json and gobctl status --json are for programs"));
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::usage("tui needs a terminal for its input and its output".to_owned())
            .hint("gobctl list shows the workers, gobctl list --watch goes on with each change"));
    }
    let term = variable("TERM").unwrap_or_default();
    if matches!(term.as_str(), "" | "dumb") {
        let term = if term.is_empty() { "not set" } else { "dumb" };
        return Err(Failure::usage(format!("this terminal can't show a screen: TERM is {term}")).hint(
            "gobctl list --watch and gobctl events need none; or set TERM, such as TERM=xterm-256color",
        ));
    }
    let dirs = context.dirs()?;
    let wants_colours = context.color == Color::Always || context.color.wanted(&std::io::stdout());
    let options = Options {
        connector: context.without_autostart().connector()?.notify(|_| {}),
        owner: context.owner.clone(),
        cwd: std::env::current_dir()
            .map_or_else(|_| "/".to_owned(), |dir| dir.to_string_lossy().into_owned()),
        project: {
            let (context, dirs) = (context.clone(), dirs.clone());
            Box::new(move || jobs(&context, &dirs))
        },
        look: Look::of(wants_colours, variable),
        dirs,
    };
    let end = gob_tui::run(options).map_err(|error| {
        Failure::own("terminal", 1, "the terminal can't be used".to_owned()).cause(error.to_string())
    })?;
    match end {
        End::Quit => Ok(0),
        End::Hangup => Ok(1),
        End::Signal(signal) => Ok(u8::try_from(SIGNALLED + signal).unwrap_or(1)),
    }
}

/// Returns the jobs of the project file here, or why they are not offered; nothing where there is no file.
fn jobs(context: &Context, dirs: &Dirs) -> Option<gob_tui::Project> {
    let project = match project::find() {
        Ok(project) => project,
        Err(failure) if failure.code() == project::MISSING => return None,
        Err(failure) => {
            return Some(gob_tui::Project {
                path: "the project file".to_owned(),
                jobs: Err(failure.in_words()),
            });
        }
    };
    let jobs = match trusted::needed(&project, dirs) {
        Err(failure) => Err(failure.in_words()),
        Ok(()) => Ok(project
            .file
            .jobs
            .iter()
            .enumerate()
            .map(|(at, job)| offered(context, &project, at, job))
            .collect()),
    };
    Some(gob_tui::Project { path: project.path, jobs })
}

fn offered(context: &Context, project: &Project, at: usize, job: &FileJob) -> ProjectJob {
    let command = screen::command(&job.command);
    ProjectJob {
        label: job.label().to_owned(),
        about: job.description.clone().unwrap_or(command),
        blocked: job.blocked.then(|| job.description.clone().unwrap_or_else(|| "it is blocked".to_owned())),
        add: project.request(job, &environment(context)),
        waves: project.file.waves([at]),
    }
}
