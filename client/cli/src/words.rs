//! The words of a command line before clap sees them: those that are gobctl's, the verb that they name, and the place where
//! the command of a verb begins.

use crate::verbs::{self, Verb};
use clap::{Arg, Command};
use std::ffi::OsString;

/// Global flags that take a value; these must be known before clap runs.
pub(crate) const WITH_VALUE: [&str; 4] = ["--host", "--owner", "--timeout", "--color"];

/// The words that are gobctl's: those before `--`, and before the command of a verb that has one.
#[derive(Default)]
pub(crate) struct Own<'a> {
    /// Each with its place.
    pub(crate) words: Vec<(usize, &'a str)>,
    /// The place of the verb.
    pub(crate) verb_at: Option<usize>,
    /// The verb that all of its words name.
    pub(crate) verb: Option<&'static Verb>,
    /// The place of the first word of the verb's command; `None` where `--` comes before it.
    pub(crate) command: Option<usize>,
    /// Words behind the verb that are no flags.
    others: usize,
}

impl<'a> Own<'a> {
    /// Returns the own words of a command line, whose first word is the program.
    pub(crate) fn of(args: &'a [OsString]) -> Self {
        let mut own = Self::default();
        let mut words = args.iter().map(|arg| arg.to_str().unwrap_or_default()).enumerate().skip(1);
        while let Some((at, word)) = words.next().filter(|(_, word)| *word != "--") {
            if !word.starts_with('-') && own.begins_command(word, at) {
                own.command = Some(at);
                break;
            }
            own.words.push((at, word));
            if own.takes_value(word) {
                own.words.extend(words.next());
            }
        }
        own
    }

    /// Takes in a word that is no flag; true if the verb's command begins with it.
    fn begins_command(&mut self, word: &str, at: usize) -> bool {
        let Some(verb) = self.verb else {
            self.verb = verbs::find(word);
            self.verb_at = Some(at);
            return false;
        };
        let below = verb.below().find(|below| self.others == 0 && below.last_word() == word);
        if below.is_some() {
            self.verb = below;
            return false;
        }
        if verb.has_command && !self.needs_dashes(verb) && self.others >= words_before_command(verb) {
            return true;
        }
        self.others += 1;
        false
    }

    /// Returns whether a flag was given with which only `--` tells where the command begins.
    fn needs_dashes(&self, verb: &Verb) -> bool {
        let is_it = |(_, word): &(usize, &str)| word.split('=').next() == verb.dashes_with;
        verb.dashes_with.is_some() && self.words.iter().any(is_it)
    }

    /// Returns whether the next word is the value of this flag, as far as that matters: of the global ones, and where a
    /// command follows.
    fn takes_value(&self, word: &str) -> bool {
        let is_it = |arg: &Arg| {
            let is_short = |short| word.strip_prefix('-').is_some_and(|flag| flag == String::from(short));
            !arg.is_positional()
                && arg.get_action().takes_values()
                && (arg.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long))
                    || arg.get_short().is_some_and(is_short))
        };
        let verb = self.verb.filter(|verb| verb.has_command);
        WITH_VALUE.contains(&word) || verb.is_some_and(|verb| bare(verb).get_arguments().any(is_it))
    }
}

/// Returns a verb with its own arguments alone.
fn bare(verb: &Verb) -> Command {
    (verb.command)(Command::new(verb.name()))
}

/// Returns how many words that are no flags come before a verb's command.
fn words_before_command(verb: &Verb) -> usize {
    bare(verb).get_positionals().filter(|arg| arg.get_id() != "command").count()
}
