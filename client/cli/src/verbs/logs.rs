//! `gobctl logs`, `stdout` and `stderr`: workers' output, read from the files themselves.
//!
//! The supervisor only provides the paths of the files; without a supervisor they are found without it.

mod found;

use self::found::find;
use super::list::here;
use super::{Effect, LOOKING, Verb, timeout};
use crate::context::Context;
use crate::each::name_arg;
use crate::exit;
use crate::failure::Failure;
use crate::log_follow::Following;
use crate::log_sieve::Sieve;
use crate::log_source::Source;
use crate::log_view::LogView;
use crate::out;
use crate::stream::End;
use crate::text::{now, parse_duration, parse_number};
use clap::{Arg, ArgAction, ArgMatches, Command};
use gob_client::logs::{self, Pattern, Stream, Watch};
use gob_client::protocol::{ErrorCode, Timestamp};
use gob_client::{Dirs, Name, View};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const VERB: Verb = Verb {
    path: &["logs"],
    aliases: &["log"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "What workers wrote",
    examples: "Examples:\n  gobctl logs demo\n  gobctl logs -f -n 20 demo\n  gobctl logs --run 3 --stderr demo\n  gobctl logs --here --since 5m --grep 'error|warning'\n",
    command: |command| {
        let stream = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
        };
        follow_args(command)
            .arg(name_arg("NAME").required(false).num_args(0..).help("Workers; all without it"))
            .arg(
                Arg::new("here")
                    .long("here")
                    .action(ArgAction::SetTrue)
                    .conflicts_with("name")
                    .help("Only workers whose working directory is this one"),
            )
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
    run: Some(|context, matches| show(context, matches, &Wanted::of(context, matches, &[Stream::Stdout])?)),
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
    run: Some(|context, matches| show(context, matches, &Wanted::of(context, matches, &[Stream::Stderr])?)),
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
            Arg::new("since")
                .long("since")
                .value_name("TIME")
                .value_parser(parse_duration)
                .allow_negative_numbers(true)
                .help("Only lines that ended in this last time, such as 5m, of all runs"),
        )
        .arg(
            Arg::new("grep")
                .long("grep")
                .value_name("RE")
                .value_parser(Pattern::parse)
                .allow_hyphen_values(true)
                .help("Only lines in which this regular expression is found; (?i) before it ignores case"),
        )
        .arg(
            Arg::new("raw")
                .long("raw")
                .action(ArgAction::SetTrue)
                .help("Control characters as they are, also on a terminal"),
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
    let mut wanted = Wanted::of(context, matches, streams)?;
    wanted.prefix = matches.get_flag("prefix");
    if matches.get_flag("here") {
        wanted.cwd = Some(here()?);
    }
    show(context, matches, &wanted)
}

/// The selection of the output, and its form.
struct Wanted<'a> {
    streams: &'a [Stream],
    sieve: Sieve,
    run: Option<u64>,
    follow: bool,
    prefix: bool,
    /// Only workers of this directory.
    cwd: Option<String>,
}

impl<'a> Wanted<'a> {
    fn of(context: &Context, matches: &ArgMatches, streams: &'a [Stream]) -> Result<Self, Failure> {
        let since = matches
            .get_one::<Duration>("since")
            .map(|ago| Timestamp(now().0.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))));
        let pattern = matches.get_one::<Pattern>("grep").cloned();
        Ok(Self {
            streams,
            sieve: Sieve::new(pattern, since, context.json),
            run: matches.get_one::<u64>("run").copied(),
            follow: matches.get_flag("follow"),
            prefix: false,
            cwd: None,
        })
    }
}

fn show(context: &Context, matches: &ArgMatches, wanted: &Wanted<'_>) -> Result<u8, Failure> {
    let end = End::of(context.timeout);
    let names: Vec<Name> = crate::each::names(matches);
    let follow = wanted.follow;
    let all = names.is_empty();
    let found = find(context, names.clone(), wanted.cwd.as_deref())?;
    let watch = follow.then(|| Watch::new(found.iter().filter_map(|f| f.dir.clone()).collect())).transpose();
    let mut view = LogView::new(
        context,
        wanted.prefix || found.len() > 1 || follow && all,
        found.iter().map(|found| &found.name),
    )
    .raw(matches.get_flag("raw"))
    .going_on(follow);
    let mut sources = Vec::new();
    let mut code = 0;
    for found in found {
        let opened = match (found.dir, found.failure) {
            (Some(dir), _) => open(context, found.name.clone(), dir, wanted).map(Some),
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
            let (streams, sieve, cwd) = (wanted.streams, &wanted.sieve, wanted.cwd.clone());
            let following = Following { context, streams, sieve, cwd, names, dir_of: &dir_of, end };
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

fn open(context: &Context, name: Name, dir: PathBuf, wanted: &Wanted<'_>) -> Result<Source, Failure> {
    let runs = logs::runs(&dir).map_err(|error| unreadable(&dir, &error))?;
    let listed = || runs.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let numbers = match (wanted.run, wanted.sieve.since) {
        (Some(run), _) if !runs.contains(&run) => {
            let failure = unavailable(format!("there is no log of run {run} of {name}"));
            return Err(failure.cause(format!(
                "there are: {}",
                if runs.is_empty() { "none".to_owned() } else { listed() }
            )));
        }
        (Some(run), _) => vec![run],
        (None, Some(since)) => written_since(&dir, &runs, since),
        (None, None) => runs.last().copied().into_iter().collect(),
    };
    if runs.is_empty() && !wanted.follow {
        context.note(&format!("{name} has not run yet"));
    }
    Source::open_runs(name, dir.clone(), &numbers, wanted.streams, &wanted.sieve, !wanted.follow)
        .map_err(|error| unreadable(&dir, &error))
}

/// Returns the runs from the first one on that was written to since a time, and the latest one, which may be.
fn written_since(dir: &Path, runs: &[u64], since: Timestamp) -> Vec<u64> {
    // A file's time comes from a clock of its own, which lags some milliseconds behind.
    let since = since.0.saturating_sub(1000);
    let is_late = |run: &&u64| {
        let files = ["stdout.log", "stderr.log", "idx"].map(|kind| dir.join(format!("{run}.{kind}")));
        let written = files.iter().filter_map(|file| std::fs::metadata(file).ok());
        written.map(|stat| stat.mtime().saturating_mul(1000)).any(|time| time.saturating_add(1000) > since)
    };
    let late = runs.iter().rev().skip(1).take_while(is_late).count();
    runs.iter().rev().take(late + 1).rev().copied().collect()
}

/// Returns the directory of a worker's logs.
pub(crate) fn log_dir(dirs: &Dirs, worker: &View) -> PathBuf {
    let told = worker.stdout_path.as_deref().and_then(|path| Path::new(path).parent()).map(Path::to_owned);
    told.unwrap_or_else(|| dirs.logs().join(worker.name.on_disk()))
}

fn unavailable(message: String) -> Failure {
    Failure::own(ErrorCode::LogUnavailable.as_str(), exit::of_code(ErrorCode::LogUnavailable), message)
}

/// Returns the failure for a log file that can't be read.
pub(crate) fn unreadable(dir: &Path, error: &std::io::Error) -> Failure {
    unavailable(format!("cannot read the logs in {}", dir.display())).cause(error.to_string())
}
