//! What each verb does to the world: it reads, changes or destroys. One table, for help and for what may be suggested.

/// What a verb does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing but looking.
    Reads,
    /// Starts, stops or changes something; what was there can be had again.
    Changes,
    /// Ends what others may be using, or deletes what does not come back.
    Destroys,
}

impl Effect {
    /// The word for programs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Changes => "changes",
            Self::Destroys => "destroys",
        }
    }
}

use Effect::{Changes, Destroys, Reads};

/// Every verb, and every word behind a verb that has some. A test holds them against the verbs that there are.
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

/// What a verb does, with the word behind it where it has one.
pub(crate) fn of(words: &str) -> Effect {
    // What is not in the table is for nobody to call lightly.
    told(words).unwrap_or(Destroys)
}

/// What the table says of a verb, a word behind it, or a flag that makes another thing of it.
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
            // A verb that is nothing alone is as bad as the worst word behind it.
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
