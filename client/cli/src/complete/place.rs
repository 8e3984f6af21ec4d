//! The place of the cursor in a command line: which verb, which flag's value, which argument.
//!
//! It follows the table of verbs and clap's description of one verb, without parsing: an unfinished line is an error to clap.

use super::Candidate;
use super::names::Names;
use crate::manual::TOPICS;
use crate::verbs::{self, Verb, first_words};
use clap::{Arg, ArgAction, Command};

/// The meaning that the word at the cursor may have.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) asked: Asked,
    /// The beginning of the word that each candidate keeps: `--owner=`.
    pub(super) prefix: String,
    /// Words that stand there already, and need not be named again.
    pub(super) taken: Vec<String>,
    /// `--` was given: no word is a flag.
    pub(super) dashes: bool,
}

#[derive(Debug)]
pub(super) enum Asked {
    Words {
        fixed: Vec<Candidate>,
        names: Option<Names>,
    },
    Path(Path),
    /// A command of the user's, which begins with this word.
    Command(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    File,
    Dir,
}

/// A command line as far as it was read.
struct Walk {
    row: &'static Verb,
    root: Command,
    own: Command,
    /// The name of the flag whose value comes next.
    pending: Option<String>,
    dashes: bool,
    /// Flags that were given.
    flags: Vec<String>,
    /// Words that are no flags.
    others: Vec<String>,
}

impl Place {
    /// Returns the place behind these words, the program left out, in a word that begins like this.
    pub(super) fn of(before: &[String], current: &str) -> Self {
        let globals = crate::args::root(None);
        let mut pending = None;
        for (at, word) in before.iter().enumerate() {
            if pending.take().is_some() {
                continue;
            }
            match word.as_str() {
                "help" => return of_help(before.get(at + 1..).unwrap_or_default()),
                flag if flag.starts_with('-') => pending = valued(globals.get_arguments(), flag),
                _ => {
                    let Some(verb) = verbs::find(word) else { return words(Vec::new(), None) };
                    return Walk::of(verb, before.get(at + 1..).unwrap_or_default()).map_or_else(
                        |command| Self { dashes: true, ..asked(Asked::Command(at + 1 + command)) },
                        |walk| walk.place(current, before.len()),
                    );
                }
            }
        }
        if let Some(flag) = pending {
            return globals
                .get_arguments()
                .find(|arg| is_flag(arg, &flag))
                .map_or_else(none, |arg| of_arg(arg, None));
        }
        if let Some(place) = behind_equals(globals.get_arguments(), current, None) {
            return place;
        }
        if current.starts_with('-') {
            let mut flags = flags(globals.get_arguments(), before);
            flags.push(Candidate::new("--version", "The version of gobctl"));
            return words(flags, None);
        }
        words(first().chain([Candidate::new("help", "All about a verb, or a topic")]).collect(), None)
    }
}

impl Walk {
    /// Reads the words behind a verb; the place of the first word of its command where there is one.
    fn of(verb: &'static Verb, words: &[String]) -> Result<Self, usize> {
        let mut walk = Self {
            row: verb,
            root: crate::args::root(Some(verb)),
            own: bare(verb),
            pending: None,
            dashes: false,
            flags: Vec::new(),
            others: Vec::new(),
        };
        for (at, word) in words.iter().enumerate() {
            if walk.pending.take().is_some() {
                continue;
            }
            if !walk.dashes && word == "--" {
                walk.dashes = true;
            } else if !walk.dashes && word.starts_with('-') && word.len() > 1 {
                walk.pending = valued(walk.args(), word);
                walk.flags.push(word.clone());
            } else if walk.begins_command() {
                return Err(at);
            } else if let Some(below) = walk.below(word) {
                (walk.row, walk.own) = (below, bare(below));
            } else {
                walk.others.push(word.clone());
            }
        }
        Ok(walk)
    }

    /// Returns the row that a noun's next word names.
    fn below(&self, word: &str) -> Option<&'static Verb> {
        let is_next = self.others.is_empty() && !self.dashes;
        self.row.below().find(|below| is_next && below.last_word() == word)
    }

    /// Returns the arguments of the verb, and those of all verbs.
    fn args(&self) -> impl Iterator<Item = &Arg> {
        self.own.get_arguments().chain(self.root.get_arguments())
    }

    /// Returns whether a word that is no flag begins the verb's command here.
    fn begins_command(&self) -> bool {
        let given = |flag: &str| self.flags.iter().any(|word| word.split('=').next() == Some(flag));
        let needs_dashes = !self.row.has_command || self.row.dashes_with.is_some_and(given);
        let mut positionals = self.own.get_positionals();
        if self.dashes {
            return positionals.any(|arg| arg.get_id() == "command");
        }
        !needs_dashes && self.positional().is_some_and(|arg| arg.get_id() == "command")
    }

    /// Returns the argument that the next word is.
    fn positional(&self) -> Option<&Arg> {
        let given = self.others.len();
        let mut positionals = self.own.get_positionals().enumerate();
        positionals.find(|(at, arg)| takes_many(arg) || *at == given).map(|(_, arg)| arg)
    }

    fn place(&self, current: &str, before: usize) -> Place {
        if let Some(flag) = &self.pending {
            return self
                .args()
                .find(|arg| is_flag(arg, flag))
                .map_or_else(none, |arg| of_arg(arg, Some(self)));
        }
        if !self.dashes {
            if let Some(place) = behind_equals(self.args(), current, Some(self)) {
                return place;
            }
            if current.starts_with('-') {
                let mut flags = flags(self.args(), &self.flags);
                flags.push(Candidate::new("--help", "All about this verb"));
                return words(flags, None);
            }
        }
        if self.begins_command() {
            return asked(Asked::Command(before));
        }
        let mut place = self.positional().map_or_else(none, |arg| of_arg(arg, Some(self)));
        let is_noun = self.others.is_empty() && !self.dashes;
        if let (true, Asked::Words { fixed, .. }) = (is_noun, &mut place.asked) {
            let below = self.row.below().map(|below| Candidate::new(below.last_word(), below.about));
            fixed.splice(0..0, below);
        }
        Place { taken: self.others.clone(), dashes: self.dashes, ..place }
    }
}

/// Returns a verb with its own arguments alone.
fn bare(verb: &Verb) -> Command {
    (verb.command)(Command::new(verb.last_word()))
}

fn asked(asked: Asked) -> Place {
    Place { asked, prefix: String::new(), taken: Vec::new(), dashes: false }
}

fn words(fixed: Vec<Candidate>, names: Option<Names>) -> Place {
    asked(Asked::Words { fixed, names })
}

fn none() -> Place {
    words(Vec::new(), None)
}

fn first() -> impl Iterator<Item = Candidate> {
    first_words().map(|verb| Candidate::new(verb.name(), verb.about))
}

fn of_help(behind: &[String]) -> Place {
    if behind.iter().any(|word| !word.starts_with('-')) {
        return none();
    }
    let topics = TOPICS.iter().map(|(topic, about)| Candidate::new(*topic, *about));
    words(topics.chain(first()).collect(), None)
}

fn takes_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
        || arg.get_num_args().is_some_and(|num| num.max_values() > 1)
}

/// Returns whether a word without a value names this flag.
fn is_flag(arg: &Arg, word: &str) -> bool {
    let is_long = || word.strip_prefix("--").is_some_and(|long| arg.get_long() == Some(long));
    let is_short = || {
        word.strip_prefix('-').is_some_and(|flag| arg.get_short().map(String::from).as_deref() == Some(flag))
    };
    !arg.is_positional() && (is_long() || is_short())
}

/// Returns the word again if it is a flag whose value is the next word.
fn valued<'a>(mut args: impl Iterator<Item = &'a Arg>, word: &str) -> Option<String> {
    let is_it = args.any(|arg| is_flag(arg, word) && arg.get_action().takes_values());
    is_it.then(|| word.to_owned())
}

/// Returns the place in a word `--flag=value`.
fn behind_equals<'a>(
    mut args: impl Iterator<Item = &'a Arg>,
    current: &str,
    walk: Option<&Walk>,
) -> Option<Place> {
    let (flag, _) = current.split_once('=').filter(|(flag, _)| flag.starts_with("--"))?;
    let arg = args.find(|arg| is_flag(arg, flag) && arg.get_action().takes_values())?;
    Some(Place { prefix: format!("{flag}="), ..of_arg(arg, walk) })
}

/// Returns the flags that may be given now.
fn flags<'a>(args: impl Iterator<Item = &'a Arg>, given: &[String]) -> Vec<Candidate> {
    let is_given =
        |arg: &Arg| given.iter().any(|word| is_flag(arg, word.split('=').next().unwrap_or_default()));
    args.filter(|arg| !arg.is_positional() && (takes_many(arg) || !is_given(arg)))
        .filter_map(|arg| {
            let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
            arg.get_long().map(|long| Candidate::new(format!("--{long}"), about))
        })
        .collect()
}

/// Returns what an argument may be.
fn of_arg(arg: &Arg, walk: Option<&Walk>) -> Place {
    let values = if arg.get_action().takes_values() { arg.get_possible_values() } else { Vec::new() };
    if !values.is_empty() {
        let about =
            |help: Option<&clap::builder::StyledStr>| help.map(ToString::to_string).unwrap_or_default();
        let fixed = values.iter().map(|value| Candidate::new(value.get_name(), about(value.get_help())));
        return words(fixed.collect(), None);
    }
    let value_name = arg.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str());
    let path = walk.map_or(&[][..], |walk| walk.row.path);
    let names = match (value_name, path) {
        ("DIR", _) => return asked(Asked::Path(Path::Dir)),
        ("PATH" | "FILE", _) => return asked(Asked::Path(Path::File)),
        ("GRAPH", _) => Names::Graphs,
        ("KIND", _) => Names::Kinds,
        ("OWNER", _) => Names::Owners,
        ("LANE", _) => Names::Lanes,
        ("ID", _) => Names::QueueJobs,
        ("SIG", _) => return words(SIGNALS.map(|signal| Candidate::new(signal, "")).to_vec(), None),
        ("RUN", _) => match walk.and_then(|walk| walk.others.first()) {
            Some(name) => Names::Runs(name.clone()),
            None => return none(),
        },
        ("NAME", ["lock", ..]) => Names::Locks,
        ("NAME", ["queue", "unschedule"]) => Names::Schedules,
        ("NAME", ["up" | "down"]) => Names::ProjectJobs,
        ("NAME", ["add" | "run" | "create"]) => Names::Jobs,
        // A new name.
        ("NAME", _) if !arg.is_positional() => return none(),
        ("NAME", _) => Names::Workers,
        _ => return none(),
    };
    words(Vec::new(), Some(names))
}

/// The signals that people send.
const SIGNALS: [&str; 10] = ["HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP", "WINCH"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows what may stand at the end of a line.
    fn shown(line: &str) -> String {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let current = words.pop().unwrap();
        let place = Place::of(&words, &current);
        let told = match place.asked {
            Asked::Path(path) => format!("{path:?}"),
            Asked::Command(at) => format!("command {at}"),
            Asked::Words { names: Some(names), .. } => format!("{names:?}"),
            Asked::Words { fixed, .. } => {
                fixed.iter().take(2).map(|told| told.word.as_str()).collect::<Vec<_>>().join(" ")
            }
        };
        format!("{}{told}", place.prefix)
    }

    #[test]
    fn the_place_follows_the_verbs_own_description() {
        let cases = [
            ("", "start stop"),
            ("-", "--json --owner"),
            ("--owner ", "Owners"),
            ("--color=", "--color=auto always"),
            ("--owner me --color never stop ", "Workers"),
            ("stop a ", "Workers"),
            ("stop --grace 10s ", "Workers"),
            ("stop --grace ", ""),
            ("start ", "Graphs"),
            ("start --kind=", "--kind=Kinds"),
            ("start --root-dir ", "Dir"),
            ("start --name ", ""),
            ("queue ", "add list"),
            ("queue add ", "Lanes"),
            ("queue add ci ", "command 3"),
            ("queue add ci --priority 3 -- make ", "command 6"),
            ("queue retry j1 ", "QueueJobs"),
            ("queue unschedule ", "Schedules"),
            ("graphs ", "delete"),
            ("graphs delete ", "Graphs"),
            ("runs ", "Workers"),
            ("runs delete w ", "Runs(\"w\")"),
            ("lock break ", "Locks"),
            ("lock run l ", "command 3"),
            ("lock run l -- ", "command 4"),
            ("lock run --file ", "File"),
            ("with a b ", "Graphs"),
            ("with a b -- x ", "command 4"),
            ("add --cwd ", "Dir"),
            ("add -d text ", "command 3"),
            ("run make ", "command 1"),
            ("run --restart ", "never on-failure"),
            ("hand-over w ", "Owners"),
            ("up ", "ProjectJobs"),
            ("signal w ", "HUP INT"),
            ("help ", "exit-codes environment"),
            ("help start ", ""),
            ("completion ", "bash zsh"),
            ("man ", "Dir"),
            ("nonsense ", ""),
            ("ping ", ""),
        ];
        let told = cases.map(|(line, _)| (line, shown(line)));
        assert_eq!(told, cases.map(|(line, wanted)| (line, wanted.to_owned())));
    }

    #[test]
    fn a_flag_is_told_until_it_is_given() {
        let flags = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            match Place::of(&words, "--").asked {
                Asked::Words { fixed, .. } => fixed.into_iter().map(|told| told.word).collect::<Vec<_>>(),
                Asked::Path(_) | Asked::Command(_) => Vec::new(),
            }
        };
        let has = |line: &str, flag: &str| flags(line).iter().any(|told| told == flag);
        assert!(has("list", "--watch") && has("list", "--json") && has("list", "--help"));
        assert!(!has("list --watch", "--watch") && !has("list --state=ready", "--state"));
        assert!(has("events --type ready", "--type"), "it may be given again");
        assert!(!has("logs -n 5", "--lines"), "by its letter too");
    }
}
