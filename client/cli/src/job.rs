//! The job of a command line: its command, its directory, and the request that means it.

mod words;

use crate::context::Context;
use crate::environment::{REST_BYTES, environment_beside};
use crate::failure::Failure;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command};
use gob_client::blocking::Client;
use gob_client::call::Add;
use gob_client::protocol::Env;
use gob_client::protocol::limits::MAX_REQUEST_BYTES;
use gob_client::protocol::request::{RestartOn, Wait};
use gob_client::{Error, Name};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Adds the arguments of a verb that makes a job. All words from the first one of the command on are the command's.
pub(crate) fn arguments(command: Command) -> Command {
    command
        .arg(
            Arg::new("as")
                .long("name")
                .value_name("NAME")
                .value_parser(|text: &str| Name::job(text))
                .help("The job's name; j1, j2 and so on without it"),
        )
        .arg(description_arg())
        .arg(cwd_arg())
        .arg(
            Arg::new("restart")
                .long("restart")
                .value_name("WHEN")
                .value_parser(
                    PossibleValuesParser::new(RESTARTS.map(|(word, _)| word)).try_map(parse_restart),
                )
                .help("When to run it again after it ended by itself; never without it"),
        )
        .args(command_args())
}

/// The argument `--description`.
pub(crate) fn description_arg() -> Arg {
    Arg::new("description")
        .short('d')
        .long("description")
        .value_name("TEXT")
        .help("What it is for, as gobctl status shows it")
}

/// The argument `--cwd`.
pub(crate) fn cwd_arg() -> Arg {
    Arg::new("cwd")
        .long("cwd")
        .value_name("DIR")
        .value_parser(clap::value_parser!(OsString))
        .help("The directory to run in; this one without it")
}

/// The command, and `--shell`, which runs it by a shell.
pub(crate) fn command_args() -> [Arg; 2] {
    [
        Arg::new("shell")
            .long("shell")
            .action(ArgAction::SetTrue)
            .help("Run the command by $SHELL -c, with pipes, && and variables"),
        Arg::new("command")
            .value_name("CMD")
            .required(true)
            .num_args(1..)
            .trailing_var_arg(true)
            .value_parser(clap::value_parser!(OsString))
            .help(
                "The program and its arguments, or all of it in one pair of quotes; options stand before it",
            ),
    ]
}

const RESTARTS: [(&str, RestartOn); 3] =
    [("never", RestartOn::Never), ("on-failure", RestartOn::OnFailure), ("always", RestartOn::Always)];

fn parse_restart(text: String) -> Result<RestartOn, String> {
    let known = RESTARTS.iter().find(|(word, _)| *word == text);
    known.map(|(_, on)| *on).ok_or_else(|| format!("{text} is no restart policy"))
}

/// The work that a command line asks for.
pub(crate) struct Work {
    pub(crate) command: Vec<String>,
    pub(crate) cwd: String,
    /// This process's environment.
    pub(crate) env: Env,
}

/// Returns the command, directory and environment of a command line.
pub(crate) fn work(context: &Context, matches: &ArgMatches) -> Result<Work, Failure> {
    let given: Vec<&OsString> = matches.get_many("command").into_iter().flatten().collect();
    let words = given.into_iter().map(|word| utf8(word)).collect::<Result<Vec<_>, _>>()?;
    let shell = matches.get_flag("shell").then(|| std::env::var_os("SHELL"));
    let command = match shell {
        Some(shell) => words::by_shell(&words, shell)?,
        None => {
            if let [line] = words.as_slice()
                && line.contains(char::is_whitespace)
                && let Some(note) = words::note(line)
            {
                context.note(&note);
            }
            words::split(words)?
        }
    };
    let bytes = command.iter().map(|word| serde_json::to_string(word).map_or(0, |text| text.len() + 1)).sum();
    if bytes > MAX_REQUEST_BYTES - REST_BYTES {
        return Err(Failure::usage(format!("the command is too long for a request: {bytes} bytes"))
            .hint("hand over what is long in a file"));
    }
    let cwd = directory(matches.get_one::<OsString>("cwd").map(OsString::as_os_str))?;
    Ok(Work { command, cwd, env: environment_beside(context, bytes) })
}

/// Returns the request for the job of a command line, with this process's environment.
pub(crate) fn request(context: &Context, matches: &ArgMatches) -> Result<Add, Failure> {
    let Work { command, cwd, env } = work(context, matches)?;
    crate::project::warn_of(context, cwd.as_ref());
    Ok(Add {
        command,
        cwd,
        env: Some(env),
        name: matches.get_one::<Name>("as").cloned(),
        description: matches.get_one::<String>("description").cloned(),
        restart: matches.get_one::<RestartOn>("restart").copied(),
        wait: Some(Wait::Spawned),
        lease: false,
        attached: false,
        readiness: None,
        on_last_lease: None,
        rlimits: None,
    })
}

/// Names the shell in the hint, where the program that is missing is a word of one.
pub(crate) fn of_a_shell(failure: Failure, program: &str, remedy: &str) -> Failure {
    let Failure::Client(Error::Refused(error)) = failure else { return failure };
    let is_missing = error.details.as_ref().is_some_and(|details| {
        details.get("step").is_some_and(|step| step == "exec")
            && details.get("errno").is_some_and(|errno| errno == "ENOENT")
    });
    let error = if is_missing && words::is_of_a_shell(program) {
        error.hint(format!("{program} is a word of a shell, and no program: {remedy}"))
    } else {
        error
    };
    Error::Refused(error).into()
}

/// The remedy where a verb takes the line.
pub(crate) const BY_SHELL: &str = "--shell runs the line through a shell";

fn utf8(word: &OsStr) -> Result<String, Failure> {
    word.to_str().map(str::to_owned).ok_or_else(|| {
        Failure::usage(format!("the argument {} is not UTF-8", word.to_string_lossy()))
            .hint("hand it over in a variable or a file")
    })
}

/// Returns the real path of the directory to run in.
fn directory(given: Option<&OsStr>) -> Result<String, Failure> {
    let refused = |why: &str, cause: Option<String>| {
        let message = match given {
            Some(dir) => format!("--cwd {} {why}", dir.to_string_lossy()),
            None => format!("the working directory {why}"),
        };
        let failure = Failure::own("no-cwd", if given.is_some() { 2 } else { 1 }, message);
        let failure = cause.into_iter().fold(failure, Failure::cause);
        failure.hint("choose another one with --cwd DIR")
    };
    let unusable = |error: std::io::Error| refused("cannot be used", Some(error.to_string()));
    let path = match given {
        Some(dir) => Path::new(dir).canonicalize(),
        None => std::env::current_dir(),
    };
    let path = path.map_err(unusable)?;
    if !path.metadata().map_err(unusable)?.is_dir() {
        return Err(refused("is no directory", None));
    }
    let shown = path.display().to_string();
    path.into_os_string().into_string().map_err(|_| refused(&format!("is not UTF-8: {shown}"), None))
}

/// Refuses a supervisor that knows no jobs, since it would not understand the request.
pub(crate) fn known_to(client: &Client) -> Result<(), Failure> {
    crate::versions::needs(client, "jobs")
}
