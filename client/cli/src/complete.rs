//! Completions: what may stand where the cursor is, for the scripts that `gobctl completion SHELL` prints.
//!
//! The scripts call `gobctl complete-words`. It never starts anything and answers within `names::PATIENCE`: of a supervisor
//! that does not answer, what it left on the disk is told. clap_complete is not taken: it asks for unstable parts of clap, leaves
//! names with spaces and quotes unquoted in bash, and knows no command behind `--`.

mod line;
mod names;
mod place;

use crate::out;
use line::Line;
use place::{Asked, Path, Place};
use std::collections::BTreeSet;
use std::ffi::OsString;

/// The first word of a command line that asks for completions.
pub(crate) const WORD: &str = "complete-words";

/// A word that may stand there, with a few words about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) word: String,
    pub(crate) about: String,
}

impl Candidate {
    pub(crate) fn new(word: impl Into<String>, about: impl Into<String>) -> Self {
        Self { word: word.into(), about: about.into() }
    }
}

/// Returns the words behind the one that asks for completions.
pub(crate) fn words(args: &[OsString]) -> Option<&[OsString]> {
    args.get(2..).filter(|_| args.get(1).is_some_and(|word| word == WORD))
}

/// Takes the shell and what it knows: bash its word breaks and the line before the cursor, the others the words before the
/// cursor's, and that one. Prints what the scripts expect: in the first line `words`, `files`, `dirs`, or `command N` where the
/// word N begins a command of the user's; behind `words` a candidate in each line, with a tab before the words about it.
pub(crate) fn main(words: &[OsString]) -> u8 {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let told = match words.as_slice() {
        [shell, breaks, line] if shell == "bash" => in_bash(breaks, line),
        [_, before @ .., current] => in_words(before, current),
        _ => return 2,
    };
    out::print(&told).map_or_else(|failure| failure.exit_code(), |()| 0)
}

/// Returns what bash has to insert for the word at the end of a line, quoted as that word is.
fn in_bash(breaks: &str, line: &str) -> String {
    let line = Line::of(line, breaks);
    if line.is_redirection {
        return "files\n".to_owned();
    }
    let before = line.words.get(1..).unwrap_or_default();
    match of_place(&Place::of(before, &line.current), is_afar(before)) {
        Told::Other(told) => told,
        Told::Words(candidates) => candidates
            .iter()
            .filter(|candidate| candidate.word.starts_with(&line.current))
            .filter_map(|candidate| line.inserted(&candidate.word))
            .fold("words\n".to_owned(), |told, word| told + &word + "\n"),
    }
}

/// Returns what may stand behind these words; the shell itself chooses among it by the word at the cursor, and quotes it.
fn in_words(before: &[String], current: &str) -> String {
    match of_place(&Place::of(before, current), is_afar(before)) {
        Told::Other(told) => told,
        Told::Words(candidates) => candidates.iter().fold("words\n".to_owned(), |told, candidate| {
            format!("{told}{}\t{}\n", candidate.word, candidate.about)
        }),
    }
}

enum Told {
    Words(Vec<Candidate>),
    /// For the shell to complete.
    Other(String),
}

/// Returns whether the names are those of another machine, which no completion waits for.
fn is_afar(before: &[String]) -> bool {
    let is_flag = |word: &String| word == "--host" || word.starts_with("--host=");
    before.iter().any(is_flag) || std::env::var_os("GOB_HOST").is_some_and(|host| !host.is_empty())
}

fn of_place(place: &Place, is_afar: bool) -> Told {
    match &place.asked {
        Asked::Path(Path::File) => Told::Other("files\n".to_owned()),
        Asked::Path(Path::Dir) => Told::Other("dirs\n".to_owned()),
        // Counted with the program, as shells do.
        Asked::Command(at) => Told::Other(format!("command {}\n", at + 1)),
        Asked::Words { fixed, names } => {
            let mut seen: BTreeSet<&str> = place.taken.iter().map(String::as_str).collect();
            let dynamic = names.as_ref().filter(|_| !is_afar).map(names::of).unwrap_or_default();
            let all = fixed.iter().chain(&dynamic);
            // A name that looks like a flag is one to gobctl, but for behind `--`.
            let is_flag = |word: &str| word.starts_with('-') && !place.dashes;
            let all = all.filter(|candidate| {
                let is_fixed = fixed.contains(candidate);
                let is_line = !candidate.word.is_empty() && !candidate.word.contains(char::is_control);
                is_line && (is_fixed || !is_flag(&candidate.word)) && seen.insert(&candidate.word)
            });
            Told::Words(
                all.map(|Candidate { word, about }| Candidate {
                    word: format!("{}{word}", place.prefix),
                    about: one_line(about),
                })
                .collect(),
            )
        }
    }
}

/// Limit of what is told about a candidate, in characters.
const ABOUT: usize = 60;

fn one_line(text: &str) -> String {
    let text: Vec<&str> = text.split(char::is_control).collect();
    let text = text.join(" ");
    if text.chars().count() <= ABOUT {
        return text;
    }
    text.chars().take(ABOUT - 1).chain(['…']).collect()
}
