//! Manual pages, from the table of verbs: one for gobctl, one for each verb and noun.

use crate::args;
use crate::help;
use crate::manual::{EXIT_CODES, TOPICS, VARIABLES, topic};
use crate::verbs::{GROUPS, VERBS, Verb, first_words};
use clap::builder::PossibleValue;
use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::io;

/// A manual page of section 1.
pub(crate) struct Page {
    /// Its name without the section: `gobctl-queue-add`.
    pub(crate) name: String,
    /// Its text in roff.
    pub(crate) text: Vec<u8>,
}

/// Topics that `gobctl(1)` has as sections. The others are sections of every page.
const SECTIONS: [&str; 2] = ["config", "owners"];

/// Returns all pages.
pub(crate) fn all() -> io::Result<Vec<Page>> {
    std::iter::once(of_gobctl())
        .chain(VERBS.iter().filter(|verb| !verb.examples.is_empty()).map(|verb| of_verb(verb)))
        .collect()
}

fn of_gobctl() -> io::Result<Page> {
    let about = "share graph workers among programs, and run commands in the background";
    let command = args::root(None).about(about).override_usage("gobctl [VERB] [OPTIONS]");
    let mut verbs = Roff::new();
    verbs.control("SH", ["VERBS"]);
    for group in GROUPS {
        verbs.control("SS", [*group]);
        for verb in first_words().filter(|verb| verb.group == *group) {
            row(&mut verbs, verb);
        }
    }
    for (name, about) in TOPICS.iter().filter(|(name, _)| SECTIONS.contains(name)) {
        verbs.control("SH", [about.to_uppercase().as_str()]);
        prose(&mut verbs, &topic(name).unwrap_or_default());
    }
    page(command, help::EXAMPLES, verbs, &["gobctl help VERB".to_owned()])
}

fn of_verb(verb: &Verb) -> io::Result<Page> {
    let command = (verb.command)(Command::new(verb.last_word()))
        .display_name(page_name(verb))
        .about(verb.about)
        .bin_name(format!("gobctl {}", verb.path.join(" ")))
        .arg(args::timeout_arg(verb.timeout))
        .subcommand_required(false);
    let mut below = Roff::new();
    if verb.below().next().is_some() {
        below.control("SH", ["VERBS"]);
        verb.below().for_each(|verb| row(&mut below, verb));
    }
    if !verb.aliases.is_empty() {
        below.control("SH", ["OTHER NAMES"]);
        below.text([roman(verb.aliases.join(", "))]);
    }
    let mut also = vec!["gobctl(1)".to_owned()];
    also.extend(
        verb.path
            .split_last()
            .filter(|(_, above)| !above.is_empty())
            .map(|(_, above)| format!("gobctl-{}(1)", above.join("-"))),
    );
    page(command, verb.examples, below, &also)
}

fn page_name(verb: &Verb) -> String {
    format!("gobctl-{}", verb.path.join("-"))
}

/// Adds a verb with its work in a line.
fn row(roff: &mut Roff, verb: &Verb) {
    roff.control("TP", []);
    let reference =
        if verb.examples.is_empty() { verb.path.join(" ") } else { format!("{}(1)", page_name(verb)) };
    roff.text([bold(reference)]);
    roff.text([roman(verb.about)]);
}

/// Puts a page together: clap's part, the examples, the verb's own sections, and those of every page.
fn page(command: Command, examples: &str, own: Roff, also: &[String]) -> io::Result<Page> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let source = concat!("gob ", env!("CARGO_PKG_VERSION"));
    let command = command.disable_help_subcommand(true).mut_args(with_values);
    let man = Man::new(command).date(NO_DATE).source(source).manual("gob");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    // An empty argument would be left out, and the next one be the date.
    text = String::from_utf8_lossy(&text).replace(NO_DATE, "\"\"").into_bytes();
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    let mut more = Roff::new();
    more.control("SH", ["EXAMPLES"]);
    prose(&mut more, examples);
    more.to_writer(&mut text)?;
    man.render_options_section(&mut text)?;
    own.to_writer(&mut text)?;
    let mut rest = Roff::new();
    let rows = |rest: &mut Roff, title: &str, rows: &mut dyn Iterator<Item = (String, &str)>| {
        rest.control("SH", [title]);
        for (key, means) in rows {
            rest.control("TP", []);
            rest.text([bold(key)]);
            rest.text([roman(means)]);
        }
    };
    rows(&mut rest, "EXIT STATUS", &mut EXIT_CODES.iter().map(|(code, means)| (code.to_string(), *means)));
    rows(&mut rest, "ENVIRONMENT", &mut VARIABLES.iter().map(|(name, means)| ((*name).to_owned(), *means)));
    rest.control("SH", ["SEE ALSO"]);
    rest.text([roman(also.join(", "))]);
    rest.to_writer(&mut text)?;
    Ok(Page { name, text })
}

/// Stands for the date in a title.
const NO_DATE: &str = "@date@";

/// Tells the values of an argument in its text.
fn with_values(arg: Arg) -> Arg {
    let values = if arg.get_action().takes_values() { arg.get_possible_values() } else { Vec::new() };
    if values.is_empty() {
        return arg;
    }
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let names: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
    arg.hide_possible_values(true).help(format!("{help}: {}", names.join(", ")))
}

/// Adds text of help: lines that are indented stay as they are, the others are paragraphs.
fn prose(roff: &mut Roff, text: &str) {
    let mut is_code = false;
    let mut is_new = false;
    for line in text.lines().filter(|line| *line != "Examples:" && !line.starts_with("Usage:")) {
        let code = line.strip_prefix("  ");
        if is_code != code.is_some() && !(is_code && line.is_empty()) {
            is_code = code.is_some();
            if is_code {
                roff.control("RS", ["4"]).control("nf", []);
            } else {
                roff.control("fi", []).control("RE", []);
            }
            is_new = false;
        }
        match code {
            _ if line.is_empty() => is_new = true,
            Some(code) => {
                if std::mem::take(&mut is_new) {
                    roff.control("sp", []);
                }
                roff.text([roman(code)]);
            }
            None => {
                if std::mem::take(&mut is_new) {
                    roff.control("PP", []);
                }
                roff.text([roman(line)]);
            }
        }
    }
    if is_code {
        roff.control("fi", []);
        roff.control("RE", []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page_with_its_examples_exit_codes_and_environment() {
        let pages = all().unwrap();
        assert_eq!(pages.len(), VERBS.iter().filter(|verb| !verb.examples.is_empty()).count() + 1);
        for page in pages {
            let text = String::from_utf8(page.text).unwrap();
            for section in
                ["NAME", "SYNOPSIS", "EXAMPLES", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "SEE ALSO"]
            {
                let line = format!(".SH {section}\n");
                let quoted = format!(".SH \"{section}\"\n");
                assert!(text.contains(&line) || text.contains(&quoted), "{}: {section}\n{text}", page.name);
            }
            assert!(text.contains("GOB_OWNER"), "{}", page.name);
        }
    }
}
