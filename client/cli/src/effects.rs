//! The effect of each verb: it reads, changes or destroys. One table, for help and for suggestions.

/// The effect of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Only reads.
    Reads,
    /// Starts, stops or changes something that can be restored.
    Changes,
    /// Ends workers in use, or deletes data that does not come back.
    Destroys,
}

impl Effect {
    /// Returns the word for programs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Changes => "changes",
            Self::Destroys => "destroys",
        }
    }
}

use Effect::{Changes, Destroys, Reads};

/// Every verb, and every word behind a verb that has some. A test compares it with the existing verbs.
const EFFECTS: &[(&str, Effect)] = &[
    ("start", Changes),
    ("stop", Changes),
    ("restart", Changes),
    ("signal", Changes),
    ("invoke", Changes),
    ("with", Changes),
    ("lease", Changes),
    ("hand-over", Changes),
    ("remove", Destroys),
    ("cleanup", Destroys),
    ("list", Reads),
    ("status", Reads),
    ("get", Reads),
    ("graphs", Reads),
    ("graphs delete", Destroys),
    ("who", Reads),
    ("events", Reads),
    ("logs", Reads),
    ("stdout", Reads),
    ("stderr", Reads),
    ("ping", Reads),
    ("daemon", Destroys),
    ("daemon start", Changes),
    ("daemon stop", Destroys),
    ("daemon restart", Destroys),
    ("daemon status", Reads),
    ("daemon logs", Reads),
    ("config", Changes),
    ("config path", Reads),
    ("config show", Reads),
    ("config check", Reads),
    ("config init", Changes),
    ("config reload", Changes),
    ("doctor", Reads),
    ("doctor --fix", Destroys),
    ("shutdown", Destroys),
    ("nuke", Destroys),
];

/// Returns the effect of a verb, with the word behind it where it has one.
pub(crate) fn of(words: &str) -> Effect {
    // A verb that is missing in the table must not be called lightly.
    told(words).unwrap_or(Destroys)
}

/// Returns the table's entry for a verb, a word behind it, or a flag that changes its effect.
pub(crate) fn told(words: &str) -> Option<Effect> {
    EFFECTS.iter().find(|(name, _)| *name == words).map(|(_, effect)| *effect)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Command;
    use std::collections::BTreeSet;

    #[test]
    fn every_verb_is_in_the_table_and_no_other() {
        let mut there = BTreeSet::from(["doctor --fix".to_owned()]);
        for verb in crate::verbs::VERBS {
            there.insert(verb.name.to_owned());
            let command = (verb.command)(Command::new(verb.name));
            let below: Vec<String> =
                command.get_subcommands().map(|sub| format!("{} {}", verb.name, sub.get_name())).collect();
            // A verb that does nothing alone counts as its worst word.
            let worst = below.iter().map(|words| of(words) as u8).max();
            let worst = worst.filter(|_| command.is_subcommand_required_set());
            assert!(worst.is_none_or(|worst| worst == of(verb.name) as u8), "{}", verb.name);
            there.extend(below);
        }
        let told: BTreeSet<String> = EFFECTS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(told, there);
        assert_eq!(told.len(), EFFECTS.len(), "each once");
    }
}
