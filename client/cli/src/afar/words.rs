//! The words of a verb for gobctl over there: those of this command line, without what is settled here.

use crate::context::Color;
use crate::context::Context;
use crate::verbs::Verb;
use crate::words::Own;
use std::ffi::OsString;
use std::io::IsTerminal;

/// Global options that are settled here.
const SETTLED: [&str; 3] = ["--host", "--owner", "--color"];

/// Returns the words behind `gobctl`. The owner goes along, and whether there are colours.
pub(super) fn of(context: &Context, verb: &Verb, args: &[OsString]) -> Vec<OsString> {
    let own = Own::of(args);
    let mut left_out = Vec::new();
    for (at, word) in &own.words {
        let name = word.split('=').next().unwrap_or_default();
        let filters =
            name == "--owner" && verb.filters_by_owner && own.verb_at.is_some_and(|verb| verb < *at);
        if SETTLED.contains(&name) && !filters {
            left_out.push(*at);
            if !word.contains('=') {
                left_out.push(at + 1);
            }
        }
    }
    let color = if context.color.wanted(&std::io::stdout()) { "always" } else { "never" };
    let color = match context.color {
        // Standard error decides for itself, where standard output is none.
        Color::Auto if !std::io::stdout().is_terminal() => "auto",
        Color::Auto | Color::Always | Color::Never => color,
    };
    let settled = ["--owner", context.owner.as_str(), "--color", color].map(OsString::from);
    let rest = args.iter().enumerate().skip(1).filter(|(at, _)| !left_out.contains(at));
    settled.into_iter().chain(rest.map(|(_, word)| word.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs;

    fn words(line: &str) -> String {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let verb =
            verbs::find(args.iter().find_map(|arg| verbs::find(arg.to_str()?)).unwrap().name()).unwrap();
        let context = Context { color: Color::Never, ..Context::of_tests() };
        let words = of(&context, verb, &args);
        words.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_command_of_a_verb_keeps_its_flags() {
        let front = "--owner cli --color never";
        for (line, want) in [
            ("gobctl --host ssh://h add make --host x", "add make --host x"),
            ("gobctl add --host=ssh://h -- make --owner x", "add -- make --owner x"),
            ("gobctl --owner agent list --owner desktop --host ssh://h", "list --owner desktop"),
            ("gobctl --color always logs -f demo --host ssh://h --owner x", "logs -f demo"),
            ("gobctl --timeout 3s run --cwd /srv --host ssh://h make", "--timeout 3s run --cwd /srv make"),
        ] {
            assert_eq!(words(line), format!("{front} {want}"), "{line}");
        }
    }
}
