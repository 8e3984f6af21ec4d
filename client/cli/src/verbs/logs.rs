//! `gobctl logs`, `stdout` and `stderr`: workers' output, read from the files themselves.
//!
//! The supervisor only provides the paths of the files; without a supervisor they are found without it.

use super::{Effect, LOOKING, Verb, timeout};
use crate::context::Context;
use crate::each::name_arg;
use crate::exit;
use crate::failure::Failure;
use crate::last::LastState;
use crate::log_follow::Following;
use crate::log_source::Source;
use crate::log_view::LogView;
use crate::out;
use crate::stream::End;
use crate::suggest::with_nearest_name;
use crate::text::parse_number;
use clap::{Arg, ArgAction, ArgMatches, Command};
use gob_client::blocking::Client;
use gob_client::call::{Get, List};
use gob_client::logs::{self, Stream, Watch};
use gob_client::protocol::ErrorCode;
use gob_client::{Dirs, Name, View};
use std::path::{Path, PathBuf};

pub(crate) const VERB: Verb = Verb {
    path: &["logs"],
    aliases: &["log"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "What workers wrote",
    examples: "Examples:\n  gobctl logs demo\n  gobctl logs -f -n 20 demo\n  gobctl logs --run 3 --stderr demo\n",
    command: |command| {
        let stream = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
        };
        follow_args(command)
            .arg(name_arg("NAME").required(false).num_args(0..).help("Workers; all without it"))
            .arg(stream("stdout", "Standard output only").conflicts_with("stderr"))
            .arg(stream("stderr", "Standard error only"))
            .arg(stream("prefix", "The worker's name before each line; so where there are several"))
    },
    timeout: timeout::STREAM,
    run: Some(run),
    ..Verb::ROW
};

pub(crate) const STDOUT: Verb = Verb {
    path: &["stdout"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "What a worker wrote to standard output",
    examples: "Examples:\n  gobctl stdout demo\n  gobctl stdout -f demo\n",
    command: |command| follow_args(command).arg(name_arg("NAME")),
    timeout: timeout::STREAM,
    run: Some(|context, matches| show(context, matches, &[Stream::Stdout], false)),
    ..Verb::ROW
};

pub(crate) const STDERR: Verb = Verb {
    path: &["stderr"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "What a worker wrote to standard error",
    examples: "Examples:\n  gobctl stderr demo\n  gobctl stderr -f demo\n",
    command: |command| follow_args(command).arg(name_arg("NAME")),
    timeout: timeout::STREAM,
    run: Some(|context, matches| show(context, matches, &[Stream::Stderr], false)),
    ..Verb::ROW
};

fn follow_args(command: Command) -> Command {
    command
        .arg(
            Arg::new("follow")
                .short('f')
                .long("follow")
                .action(ArgAction::SetTrue)
                .help("Go on with what comes"),
        )
        .arg(
            Arg::new("lines")
                .short('n')
                .long("lines")
                .value_name("LINES")
                .value_parser(parse_number::<usize>)
                .allow_negative_numbers(true)
                .help("The last lines only"),
        )
        .arg(
            Arg::new("run")
                .long("run")
                .value_name("N")
                .value_parser(parse_number::<u64>)
                .conflicts_with("follow")
                .help("Another run than the latest"),
        )
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let streams: &[Stream] = match (matches.get_flag("stdout"), matches.get_flag("stderr")) {
        (true, _) => &[Stream::Stdout],
        (_, true) => &[Stream::Stderr],
        _ => &[Stream::Stdout, Stream::Stderr],
    };
    show(context, matches, streams, matches.get_flag("prefix"))
}

fn show(context: &Context, matches: &ArgMatches, streams: &[Stream], prefix: bool) -> Result<u8, Failure> {
    let end = End::of(context.timeout);
    let names: Vec<Name> = crate::each::names(matches);
    let run = matches.get_one::<u64>("run").copied();
    let follow = matches.get_flag("follow");
    let all = names.is_empty();
    let found = find(context, names.clone())?;
    let watch = follow.then(|| Watch::new(found.iter().filter_map(|f| f.dir.clone()).collect())).transpose();
    let mut view = LogView::new(
        context,
        prefix || found.len() > 1 || follow && all,
        found.iter().map(|found| &found.name),
    );
    let mut sources = Vec::new();
    let mut code = 0;
    for found in found {
        let opened = match (found.dir, found.failure) {
            (Some(dir), _) => open(context, found.name.clone(), dir, run, follow, streams).map(Some),
            (None, Some(failure)) => Err(failure),
            (None, None) => Ok(None),
        };
        match opened {
            Ok(source) => sources.extend(source),
            Err(failure @ (Failure::Closed | Failure::Help(_))) => return Err(failure),
            Err(failure) => {
                let failed = failure.report_of(context.telling(), Some(&found.name));
                code = if code == 0 { failed } else { code };
            }
        }
    }
    if follow {
        out::end_with_reader();
    }
    let lines = matches.get_one::<usize>("lines").copied();
    view.beginning(&mut sources, lines)?;
    // The existing lines are shown all the same.
    let watch = match watch {
        Ok(watch) => watch,
        Err(error) => {
            view.flush()?;
            return Err(unwatchable(&error));
        }
    };
    match watch {
        Some(mut watch) if all || !sources.is_empty() => {
            let dirs = context.dirs()?;
            let names =
                if all { Vec::new() } else { sources.iter().map(|source| source.name.clone()).collect() };
            let dir_of = |worker: &View| log_dir(&dirs, worker);
            let following = Following { context, streams, names, dir_of: &dir_of, end };
            following.follow(&mut view, &mut sources, &mut watch)
        }
        _ => Ok(code),
    }
}

fn unwatchable(error: &std::io::Error) -> Failure {
    let failure = unavailable("cannot watch the log files for more".to_owned());
    if error.raw_os_error() != Some(nix::errno::Errno::EMFILE as i32) {
        return failure.cause(error.to_string());
    }
    let cause = format!(
        "{error}: this user has as many inotify instances as fs.inotify.max_user_instances lets it, or this program as many files as ulimit -n"
    );
    failure
        .cause(cause)
        .hint("gobctl doctor says which; sysctl fs.inotify.max_user_instances=1024 raises the first")
}

fn open(
    context: &Context,
    name: Name,
    dir: PathBuf,
    run: Option<u64>,
    follow: bool,
    streams: &[Stream],
) -> Result<Source, Failure> {
    let runs = logs::runs(&dir).map_err(|error| unreadable(&dir, &error))?;
    let listed = || runs.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let number = match (run, runs.last()) {
        (Some(run), _) if !runs.contains(&run) => {
            let failure = unavailable(format!("there is no log of run {run} of {name}"));
            return Err(failure.cause(format!(
                "there are: {}",
                if runs.is_empty() { "none".to_owned() } else { listed() }
            )));
        }
        (Some(run), _) => Some(run),
        (None, latest) => latest.copied(),
    };
    if number.is_none() && !follow {
        context.note(&format!("{name} has not run yet"));
    }
    Source::open(name, dir.clone(), number, streams).map_err(|error| unreadable(&dir, &error))
}

/// The directory of a worker's logs, or the reason why it is unknown.
struct Found {
    name: Name,
    dir: Option<PathBuf>,
    failure: Option<Failure>,
}

/// Finds the log directories of the named workers, or of all.
fn find(context: &Context, names: Vec<Name>) -> Result<Vec<Found>, Failure> {
    let dirs = context.dirs()?;
    match context.connect("get") {
        Ok(mut client) if names.is_empty() => {
            let workers = client.list(List::default())?;
            if workers.is_empty() {
                context
                    .note("no workers, so there are no logs; gobctl daemon logs shows the supervisor's own");
            }
            Ok(workers.iter().map(|worker| found(&dirs, worker)).collect())
        }
        Ok(mut client) => Ok(names.into_iter().map(|name| ask(context, &dirs, &mut client, name)).collect()),
        Err(failure) if failure.exit_code() == 7 => on_disk(context, &dirs, names, failure),
        Err(failure) => Err(failure),
    }
}

fn ask(context: &Context, dirs: &Dirs, client: &mut Client, name: Name) -> Found {
    match client.ask(Get { name: name.clone() }) {
        Ok(data) => found(dirs, &data.worker),
        Err(error) => {
            let failure = Failure::from(error);
            let left =
                left_over(dirs, &name).filter(|_| failure.wire_code() == Some(ErrorCode::ServerNotFound));
            if left.is_some() {
                context.note(&format!(
                    "the supervisor does not know {name} any more; these are the files that it left"
                ));
                return Found { name, dir: left, failure: None };
            }
            let failure = with_nearest_name(client, &name, failure);
            Found { name, dir: None, failure: Some(failure) }
        }
    }
}

fn found(dirs: &Dirs, worker: &View) -> Found {
    Found { name: worker.name.clone(), dir: Some(log_dir(dirs, worker)), failure: None }
}

/// Returns the directory of a worker's logs.
pub(crate) fn log_dir(dirs: &Dirs, worker: &View) -> PathBuf {
    let told = worker.stdout_path.as_deref().and_then(|path| Path::new(path).parent()).map(Path::to_owned);
    told.unwrap_or_else(|| dirs.logs().join(worker.name.on_disk()))
}

/// Finds the files without a supervisor.
fn on_disk(
    context: &Context,
    dirs: &Dirs,
    names: Vec<Name>,
    failure: Failure,
) -> Result<Vec<Found>, Failure> {
    if names.is_empty() {
        let Some(last) = LastState::read(dirs) else { return Err(failure) };
        context.note("no supervisor answers; these are the files that the last one left");
        return Ok(last.workers.iter().map(|worker| found(dirs, worker)).collect());
    }
    if !names.iter().any(|name| left_over(dirs, name).is_some()) {
        return Err(failure);
    }
    context.note("no supervisor answers; these are the files that the last one left");
    let each = |name: Name| {
        let dir = left_over(dirs, &name);
        let missing =
            Failure::own(ErrorCode::ServerNotFound.as_str(), 4, format!("there is no log of {name}"));
        Found { name, failure: dir.is_none().then_some(missing), dir }
    };
    Ok(names.into_iter().map(each).collect())
}

fn left_over(dirs: &Dirs, name: &Name) -> Option<PathBuf> {
    let dir = dirs.logs().join(name.on_disk());
    logs::runs(&dir).is_ok_and(|runs| !runs.is_empty()).then_some(dir)
}

fn unavailable(message: String) -> Failure {
    Failure::own(ErrorCode::LogUnavailable.as_str(), exit::of_code(ErrorCode::LogUnavailable), message)
}

/// Returns the failure for a log file that can't be read.
pub(crate) fn unreadable(dir: &Path, error: &std::io::Error) -> Failure {
    unavailable(format!("cannot read the logs in {}", dir.display())).cause(error.to_string())
}
