//! Help over all verbs: grouped, examples first; and the answer to an unknown verb.

use crate::failure::Failure;
use crate::manual::TOPICS;
use crate::table::{Align, layout};
use crate::terminal::{fold, prose_width};
use crate::text::{edits, nearest};
use crate::verbs::{Effect, GROUPS, first_words};
use clap::Arg;

/// The beginning of the overview.
pub(crate) const EXAMPLES: &str = "\
gobctl shares graph workers among the programs of one user, and runs commands in the background.

Examples:
  gobctl start demo                         start the graph demo, or find it running
  gobctl list                               what there is, and whose it is
  gobctl invoke demo search '{\"text\":\"x\"}'  one request to a worker
  gobctl add npm run dev                    a command in the background, as the job j1
  gobctl run make test                      a command to its end, with its exit code
  gobctl logs -f demo                       what it writes
  gobctl stop demo

Usage: gobctl [VERB] [OPTIONS]
";

/// Returns `gobctl --help`.
pub(crate) fn overview() -> String {
    let mut text = EXAMPLES.to_owned();
    let rows: Vec<[String; 2]> = first_words()
        .map(|verb| {
            let names = std::iter::once(verb.name()).chain(verb.aliases.iter().copied()).collect::<Vec<_>>();
            [format!("  {}", names.join(", ")), verb.about.to_owned()]
        })
        .collect();
    let lines = layout([Align::Left, Align::Left], &rows);
    for group in GROUPS {
        text.push_str(&format!("\n{group}:\n"));
        for (_, line) in first_words().zip(&lines).filter(|(verb, _)| verb.group == *group) {
            text.push_str(&format!("{line}\n"));
        }
    }
    text.push_str("\nEverywhere:\n");
    let root = crate::args::root(None);
    let flags = root.get_arguments().filter(|arg| !arg.is_positional() && arg.get_id() != "help");
    let rows: Vec<[String; 2]> =
        flags.map(|arg| [flag(arg), arg.get_help().map(ToString::to_string).unwrap_or_default()]).collect();
    let topics = TOPICS.iter().map(|(topic, about)| [format!("  gobctl help {topic}"), (*about).to_owned()]);
    let more = [
        ["  gobctl VERB --help", "all about one verb"],
        [
            "  gobctl help --json",
            "all of this as data: verbs, flags, values, exit codes, what reads, changes or destroys",
        ],
    ];
    let more: Vec<[String; 2]> = more.map(|row| row.map(str::to_owned)).into_iter().chain(topics).collect();
    for line in layout([Align::Left, Align::Left], &rows) {
        text.push_str(&format!("{line}\n"));
    }
    text.push_str("\nMore help:\n");
    for line in layout([Align::Left, Align::Left], &more) {
        text.push_str(&format!("{line}\n"));
    }
    fold(&text, prose_width())
}

/// Formats a flag: `  -q, --quiet`, `  --timeout TIME`.
fn flag(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
    let value = if arg.get_action().takes_values() { arg.get_value_names().unwrap_or_default() } else { &[] };
    let value = value.first().map(|value| format!(" {value}")).unwrap_or_default();
    format!("  {short}--{}{value}", arg.get_long().unwrap_or_default())
}

/// Words of other tools, and the verb that does the same here.
const HABITS: &[(&str, &str)] = &[
    ("version", "--version"),
    ("inspect", "get"),
    ("show", "status"),
    ("info", "status"),
    ("view", "status"),
    ("new", "start"),
    ("new-session", "start"),
    ("open", "start"),
    ("kill", "stop --force"),
    ("kill-session", "stop"),
    ("kill-server", "shutdown"),
    ("close", "stop"),
    ("delete", "remove"),
    ("prune", "cleanup"),
    ("exec", "with"),
    ("follow", "wait --stream"),
    ("spawn", "add"),
    ("attach", "logs -f"),
    ("tail", "logs -f"),
    ("top", "list --watch"),
    ("watch", "list --watch"),
    ("check", "doctor"),
    ("history", "runs"),
];

/// Returns whether a verb may be suggested for this word. A verb that destroys is only suggested when all but
/// one letter was typed.
fn is_a_safe_guess(word: &str, verb: &str) -> bool {
    let destroys = crate::verbs::find(verb).is_some_and(|verb| verb.effect() == Effect::Destroys);
    !destroys || edits(word, verb) <= 1
}

/// Returns the refusal of an unknown verb, with the nearest known one.
pub(crate) fn unknown_verb(word: &str) -> Failure {
    let known =
        first_words().flat_map(|verb| std::iter::once(verb.name()).chain(verb.aliases.iter().copied()));
    let habit = HABITS.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours);
    let near = nearest(word, known).filter(|near| is_a_safe_guess(word, near));
    let hint = match habit.or(near) {
        Some(verb) => format!("did you mean gobctl {verb}?"),
        None => "gobctl --help shows all verbs".to_owned(),
    };
    Failure::usage(format!("there is no verb `{word}`")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_destroying_verb_is_suggested_from_afar() {
        let hint = |word: &str| {
            let Failure::Own { hint, .. } = unknown_verb(word) else { panic!("no refusal of {word}") };
            hint.unwrap_or_default()
        };
        for word in ["nope", "node", "shutter", "move", "clean-all"] {
            assert_eq!(hint(word), "gobctl --help shows all verbs", "{word}");
        }
        assert_eq!(hint("nkue"), "did you mean gobctl nuke?");
        assert_eq!(hint("shutdwon"), "did you mean gobctl shutdown?");
        assert_eq!(hint("strt"), "did you mean gobctl start?");
    }

    #[test]
    fn habits_lead_to_verbs_that_there_are() {
        for (theirs, ours) in HABITS {
            assert!(crate::verbs::find(theirs).is_none(), "{theirs} is a verb");
            let verb = ours.split(' ').next().unwrap();
            assert!(verb == "--version" || crate::verbs::find(verb).is_some(), "{ours}");
        }
    }
}
