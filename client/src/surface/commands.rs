//! The commands of a surface: the keys of one letter that all surfaces share, and a palette that finds them by words.

use crate::Name;
use crate::screen::text;
use gob_protocol::View;

/// A command: its key and its effect in words. `it` is the selected worker.
pub type Command = (&'static str, &'static str);

/// The choice of a person in a palette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The effect of this key.
    Key(&'static str),
    /// The selection of a worker.
    Select(Name),
}

/// Lines that are offered at once.
const OFFERED: usize = 12;

/// Returns the lines of a palette that have all words, commands first. A command on the selected worker names it, and is left out
/// while none is selected.
#[must_use]
pub fn offers<'v>(
    typed: &str,
    commands: &[Command],
    workers: impl Iterator<Item = &'v View>,
    selected: Option<&Name>,
) -> Vec<(Choice, String)> {
    let typed = typed.to_lowercase();
    let has_words = |line: &str| {
        let line = line.to_lowercase();
        typed.split_whitespace().all(|word| line.contains(word))
    };
    let selected = selected.map(|name| text::name(name.as_str()));
    let commands = commands.iter().filter_map(|(key, what)| {
        let line = of_worker(what, selected.as_deref())?;
        Some((Choice::Key(key), format!("{line}  ({key})")))
    });
    let workers = workers.map(|worker| {
        (Choice::Select(worker.name.clone()), format!("go to {}", text::name(worker.name.as_str())))
    });
    commands.chain(workers).filter(|(_, line)| has_words(line)).take(OFFERED).collect()
}

/// Returns what a key does, with the name of the worker that it is done to; `None` where there is no such worker.
fn of_worker(what: &str, selected: Option<&str>) -> Option<String> {
    let Some((verb, rest)) = what.split_once(" it") else {
        return what.ends_with(" the worker").then_some(()).map_or_else(
            || Some(what.to_owned()),
            |()| selected.map(|name| what.replace("the worker", name)),
        );
    };
    selected.map(|name| format!("{verb} {name}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_its_worker_and_is_left_out_without_one() {
        assert_eq!(of_worker("restart it", Some("notes")).as_deref(), Some("restart notes"));
        assert_eq!(of_worker("start the worker", Some("notes")).as_deref(), Some("start notes"));
        assert_eq!(
            of_worker("hold it, or let go of it", Some("x")).as_deref(),
            Some("hold x, or let go of it")
        );
        assert_eq!((of_worker("stop it", None), of_worker("start the worker", None)), (None, None));
        assert_eq!(of_worker("settings", None).as_deref(), Some("settings"));
    }

    #[test]
    fn commands_and_workers_are_found_by_words() {
        let worker = crate::screen::testing::view(serde_json::json!({"name": "notes"}));
        let commands = [("r", "restart it"), ("s", "stop it")];
        let found = |typed: &str| -> Vec<String> {
            let offers = offers(typed, &commands, [&worker].into_iter(), Some(&worker.name));
            offers.into_iter().map(|(_, line)| line).collect()
        };
        assert_eq!(found("notes"), ["restart notes  (r)", "stop notes  (s)", "go to notes"]);
        assert_eq!(found("NOTES rest"), ["restart notes  (r)"]);
        assert!(found("x").is_empty());
    }
}
