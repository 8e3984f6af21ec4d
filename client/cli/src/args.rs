//! Arguments: the verb, the global flags, and clap for that one verb.
//!
//! Building clap for all verbs costs as much as a request, so the verb is found first and only its command
//! built.

use crate::afar::Afar;
use crate::context::{Color, Context, Host};
use crate::failure::{Failure, Telling};
use crate::manual;
use crate::terminal;
use crate::text::{edits, nearest, parse_duration, parse_duration_or_zero};
use crate::verbs::{self, Effect, Timeout, Verb, timeout};
use crate::words::{Own, WITH_VALUE};
use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use gob_client::Owner;
use gob_client::ssh::{Address, Ssh};
use std::ffi::OsString;
use std::io::IsTerminal;
use std::time::Duration;

/// The variable that names another machine.
const HOST: &str = "GOB_HOST";

/// The request of a command line.
pub(crate) enum Asked {
    /// No verb at all.
    Nothing,
    /// `--help`, `-h` or `help`.
    Help,
    /// `--version` or `-V`.
    Version,
    /// A verb, with the whole command line.
    Verb(&'static Verb, Vec<OsString>),
    /// An unknown verb.
    Unknown(String),
    /// A help topic that is not a verb.
    Topic(String),
    /// Help as data, about one verb or all.
    Data(Option<&'static Verb>),
    /// An unknown help topic.
    NoTopic(String),
}

/// Returns how errors are printed; called before anything else can fail.
pub(crate) fn telling(args: &[OsString]) -> Telling {
    let words: Vec<&str> = Own::of(args).words.into_iter().map(|(_, word)| word).collect();
    let behind = words.iter().skip_while(|word| **word != "--color").nth(1).copied();
    let color = words.iter().find_map(|word| word.strip_prefix("--color=")).or(behind);
    Telling { json: words.contains(&"--json"), color: Color::of(color).wanted(&std::io::stderr()) }
}

/// Finds the verb: the first word that is neither a flag nor the value of one.
pub(crate) fn find_verb(args: &[OsString]) -> Asked {
    let mut rest = args.iter().enumerate().skip(1);
    while let Some((at, arg)) = rest.next() {
        let Some(word) = arg.to_str() else { return Asked::Unknown(arg.to_string_lossy().into_owned()) };
        match word {
            "-h" | "--help" if telling(args).json => return Asked::Data(None),
            "-h" | "--help" => return Asked::Help,
            "-V" | "--version" => return Asked::Version,
            "help" => return asked_help(args, at),
            _ if WITH_VALUE.contains(&word) => drop(rest.next()),
            _ if word.starts_with('-') => {}
            _ => {
                return match verbs::find(word) {
                    Some(verb) => Asked::Verb(verb, args.to_vec()),
                    None => Asked::Unknown(word.to_owned()),
                };
            }
        }
    }
    Asked::Nothing
}

/// Handles `help VERB`, which is `VERB --help`, the help topics, and `--json` for data.
fn asked_help(args: &[OsString], at: usize) -> Asked {
    let mut words = args.iter().skip(at + 1).map(|word| word.to_string_lossy());
    let word = words.find(|word| !word.starts_with('-'));
    let verb = word.as_ref().map(|word| verbs::find(word));
    match (word, verb) {
        (None, _) if telling(args).json => Asked::Data(None),
        (None, _) => Asked::Help,
        (Some(_), Some(Some(verb))) if telling(args).json => Asked::Data(Some(verb)),
        (Some(word), verb) => match (manual::topic(&word), verb.flatten()) {
            (Some(text), _) => Asked::Topic(text),
            (None, Some(verb)) => {
                Asked::Verb(verb, vec!["gobctl".into(), verb.name().into(), "--help".into()])
            }
            (None, None) => Asked::NoTopic(word.into_owned()),
        },
    }
}

/// A command line that was understood.
pub(crate) struct Parsed {
    /// The global flags.
    pub(crate) context: Context,
    /// The verb that all of its words name.
    pub(crate) verb: Option<&'static Verb>,
    /// The arguments of that verb.
    pub(crate) matches: ArgMatches,
}

/// Parses a command line that begins with this verb or noun, or with none.
pub(crate) fn parse(mut args: Vec<OsString>, verb: Option<&'static Verb>) -> Result<Parsed, Failure> {
    let Own { verb: named, command, .. } = Own::of(&args);
    let named = verb.and(named).or(verb);
    if let Some(at) = command.filter(|_| named.is_some_and(|verb| verb.dashes_with.is_some())) {
        args.insert(at, "--".into());
    }
    let matches = root(verb).try_get_matches_from(args).map_err(|error| from_clap(&error, named))?;
    let of_first = matches.subcommand().map_or(&matches, |(_, matches)| matches);
    let (verb, innermost) = match verb {
        Some(verb) => {
            let (verb, matches) = verb.named(of_first);
            (Some(verb), matches)
        }
        None => (None, of_first),
    };
    // Behind a verb that filters by it, the flag says nothing of the requester.
    let said_before = matches.try_get_one::<Owner>("owner").ok().flatten();
    let waits_for_readiness = verb.is_some_and(|verb| verb.timeout.is_of_readiness);
    let owner = verb.and_then(|verb| verb.owner);
    let context = Context {
        waits_for_readiness,
        ..context(innermost, said_before, owner, verb.map(|verb| verb.afar))?
    };
    // Before the last word of the verb clap does not know yet that it takes no zero.
    let takes_zero = verb.is_some_and(|verb| verb.timeout.takes_zero);
    if context.timeout.is_some_and(|timeout| timeout.is_zero() && !takes_zero) {
        let why = parse_duration("0").err().unwrap_or_default();
        let message = format!("invalid value '0' for '--timeout <TIME>': {why}");
        return Err(Failure::usage(message).hint(help_for(verb)));
    }
    Ok(Parsed { context, verb, matches: innermost.clone() })
}

/// Returns the command with the flags of every verb, and with this verb.
pub(crate) fn root(verb: Option<&Verb>) -> Command {
    let global = |name: &'static str| Arg::new(name).long(name).global(true).hide(verb.is_some());
    let owner_is_global = verb.is_none_or(|verb| !verb.filters_by_owner);
    let mut root = Command::new("gobctl")
        .disable_help_subcommand(true)
        .disable_version_flag(true)
        .term_width(terminal::prose_width())
        .arg(
            global("json").action(ArgAction::SetTrue).help("Print one JSON document; JSON lines for streams"),
        )
        .arg(
            global("owner")
                .global(owner_is_global)
                .value_name("OWNER")
                .value_parser(|text: &str| Owner::new(text))
                .help("Speak for this owner: [a-z][a-z0-9-]*; $GOB_OWNER without it, else cli"),
        )
        .arg(
            global("host")
                .value_name("ADDRESS")
                .help("The supervisor of another machine: ssh://[USER@]HOST[:PORT]; $GOB_HOST without it"),
        )
        .arg(
            global("no-autostart")
                .action(ArgAction::SetTrue)
                .help("Do not start the supervisor when none runs"),
        )
        .arg(timeout_arg(timeout_before(verb)))
        .arg(global("quiet").short('q').action(ArgAction::SetTrue).help("Print results and errors only"))
        .arg(global("verbose").short('v').action(ArgAction::SetTrue).help("Also tell what was skipped"))
        .arg(
            global("color")
                .value_name("WHEN")
                .value_parser(["auto", "always", "never"])
                .default_value("auto")
                .help("Colour: auto is on a terminal, where NO_COLOR is not set"),
        );
    if let Some(verb) = verb {
        let command = Command::new(verb.name()).visible_aliases(verb.aliases);
        root = root.subcommand(verb.build(command));
    }
    root
}

/// Returns the meaning of `--timeout` before the last word of a verb.
fn timeout_before(verb: Option<&Verb>) -> Timeout {
    let timeout = verb.map_or(timeout::OF_EACH, |verb| verb.timeout);
    let takes_zero = verb.is_some_and(|verb| verb.below().any(|below| below.timeout.takes_zero));
    Timeout { takes_zero: timeout.takes_zero || takes_zero, ..timeout }
}

/// The argument `--timeout`, as one verb takes it.
pub(crate) fn timeout_arg(timeout: Timeout) -> Arg {
    let parse = if timeout.takes_zero { parse_duration_or_zero } else { parse_duration };
    Arg::new("timeout")
        .long("timeout")
        .global(true)
        .value_name("TIME")
        .value_parser(parse)
        .allow_negative_numbers(true)
        .help(timeout.text)
}

/// Gives a verb its help: what it does, examples, usage, arguments, and the flags of all verbs.
pub(crate) fn with_help(command: Command, verb: &Verb) -> Command {
    command
        .about(verb.about)
        .before_help(verb.examples)
        .after_help(also(verb.aliases))
        .help_template("{about}\n\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}")
}

/// Returns the help of a verb that takes `--help` as a flag of its own.
pub(crate) fn help_of(verb: &Verb) -> String {
    let mut root = root(Some(verb));
    root.build();
    let help = root.find_subcommand_mut(verb.name()).map(|command| command.render_help().to_string());
    terminal::fold(&help.unwrap_or_default(), terminal::prose_width())
}

/// Returns the end of a verb's help: its other names, and the flags of all verbs.
fn also(aliases: &[&str]) -> String {
    let names: Vec<String> = aliases.iter().map(|alias| format!("gobctl {alias}")).collect();
    let same = if names.is_empty() { String::new() } else { format!("The same: {}\n", names.join(", ")) };
    format!("{same}{}", manual::EVERYWHERE)
}

fn context(
    matches: &ArgMatches,
    said_before: Option<&Owner>,
    of_verb: Option<&str>,
    afar: Option<Afar>,
) -> Result<Context, Failure> {
    let named = matches.try_get_one::<Owner>("owner").ok().flatten().or(said_before).cloned();
    let owner = match named {
        Some(owner) => owner,
        None => default_owner(of_verb)?,
    };
    let color = Color::of(matches.get_one::<String>("color").map(String::as_str));
    Ok(Context {
        owner,
        json: matches.get_flag("json"),
        quiet: matches.get_flag("quiet"),
        verbose: matches.get_flag("verbose"),
        color,
        autostart: !matches.get_flag("no-autostart"),
        timeout: matches.get_one::<Duration>("timeout").copied(),
        waits_for_readiness: false,
        host: host(matches, afar)?,
    })
}

/// Returns the other machine that `--host` names, or else the variable, where the verb takes notice of it; an empty one is this
/// machine.
fn host(matches: &ArgMatches, afar: Option<Afar>) -> Result<Option<Host>, Failure> {
    let flag = matches.get_one::<String>("host").cloned();
    let is_flag = flag.is_some();
    let variable = || std::env::var_os(HOST).filter(|_| !afar.is_some_and(Afar::is_by_flag_alone));
    let said = flag.or_else(|| variable().map(|text| text.to_string_lossy().into_owned()));
    let Some(text) = said.filter(|text| !text.is_empty()) else { return Ok(None) };
    let address = Address::parse(&text).map_err(|error| {
        let hint = if is_flag { "gobctl --host ssh://user@machine list" } else { "unset GOB_HOST" };
        Failure::usage(error.to_string()).hint(hint)
    })?;
    let asks = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
    // A program that reads JSON gets the words of ssh in the error.
    let shows = !matches.get_flag("json");
    Ok(Some(Host { ssh: Ssh::new(address).asks(asks).shows_errors(shows) }))
}

fn default_owner(of_verb: Option<&str>) -> Result<Owner, Failure> {
    match std::env::var_os("GOB_OWNER").filter(|owner| !owner.is_empty()) {
        None => Ok(of_verb.and_then(|owner| Owner::new(owner).ok()).unwrap_or_else(Owner::cli)),
        Some(owner) => Owner::new(&owner.to_string_lossy()).map_err(|error| {
            Failure::usage(format!("GOB_OWNER cannot be used: {error}")).hint("unset GOB_OWNER")
        }),
    }
}

/// Returns the error for `config foo`, and for `config` alone: the existing words, and the nearest one.
fn wrong_subcommand(error: &clap::Error, verb: &Verb) -> Failure {
    let names: Vec<&str> = verb.below().map(Verb::last_word).collect();
    // Of a missing word the context is the command that lacks it.
    let given =
        error.get(ContextKind::InvalidSubcommand).filter(|_| error.kind() == ErrorKind::InvalidSubcommand);
    let Some(given) = given.map(ToString::to_string) else {
        return one_more_word(verb);
    };
    let destroys =
        |word: &str| verb.below().any(|verb| verb.last_word() == word && verb.effect() == Effect::Destroys);
    let near =
        nearest(&given, names.iter().copied()).filter(|near| !destroys(near) || edits(&given, near) <= 1);
    let hint = match near {
        Some(near) => format!("did you mean gobctl {} {near}?", verb.name()),
        None => format!("gobctl {} --help", verb.name()),
    };
    Failure::usage(format!("there is no `{} {given}`", verb.name())).cause(words_below(verb)).hint(hint)
}

/// Returns the refusal of a noun alone.
pub(crate) fn one_more_word(noun: &Verb) -> Failure {
    let message = format!("gobctl {} needs one more word", noun.name());
    Failure::usage(message).cause(words_below(noun)).hint(format!("gobctl {} --help", noun.name()))
}

fn words_below(noun: &Verb) -> String {
    let words: Vec<&str> = noun.below().map(Verb::last_word).collect();
    format!("there are: {}", words.join(", "))
}

/// Converts clap's error to the form of all errors: the problem, the usage, the remedy.
fn from_clap(error: &clap::Error, verb: Option<&'static Verb>) -> Failure {
    let text = error.to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Failure::Help(terminal::fold(&text, terminal::prose_width()));
    }
    let paragraphs: Vec<String> =
        text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let what = paragraphs.first().map_or("", |first| first.strip_prefix("error: ").unwrap_or(first));
    if let (
        Some(verb),
        ErrorKind::InvalidSubcommand
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ) = (verb, error.kind())
    {
        return wrong_subcommand(error, verb);
    }
    let mut failure = Failure::usage(what.to_owned());
    if let Some(usage) = paragraphs.iter().find(|part| part.starts_with("Usage:")) {
        failure = failure.cause(usage.clone());
    }
    let tip = paragraphs.iter().find_map(|part| part.strip_prefix("tip: "));
    // Clap's tip names one letter of the word, and a value of an option does not belong behind `--`.
    let tip = tip.filter(|tip| !tip.starts_with("to pass ")).and_then(|tip| tip.split(" tip: ").next());
    let tip = tip.map(|tip| match tip.strip_prefix("a similar value exists: '") {
        Some(value) => format!("did you mean {}?", value.trim_end_matches('\'')),
        None => tip.to_owned(),
    });
    let dashes = verb.filter(|_| lacks_dashes(error)).and_then(|verb| verb.dashes).map(str::to_owned);
    failure.hint(dashes.or(tip).unwrap_or_else(|| help_for(verb)))
}

/// Returns whether clap found no command, or a word that may belong to one.
fn lacks_dashes(error: &clap::Error) -> bool {
    let arg = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    let kind = error.kind();
    (kind == ErrorKind::MissingRequiredArgument && arg.contains("<CMD>"))
        || (kind == ErrorKind::UnknownArgument && !arg.starts_with('-'))
}

/// Returns the command that explains a verb: `gobctl queue add --help`.
fn help_for(verb: Option<&Verb>) -> String {
    match verb {
        Some(verb) => format!("gobctl {} --help", verb.path.join(" ")),
        None => "gobctl --help".to_owned(),
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
