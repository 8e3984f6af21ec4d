//! Finds braces that were probably meant as a placeholder and are none: the worker would receive the slip
//! word for word.

use crate::kind::{Check, Kind};
use crate::{Config, Problem, shown};
use gob_protocol::suggest::nearest;

/// The placeholders that the texts of a kind may hold.
pub const PLACEHOLDERS: [&str; 8] =
    ["graph", "graph_dir", "name", "root_dir", "data_dir", "owner", "port", "socket"];

impl Config {
    /// Returns words in braces that resemble a placeholder, each with its file. They are no error: all other
    /// braces stay as they are.
    #[must_use]
    pub fn doubtful_braces(&self) -> Vec<(String, Problem)> {
        let mut all: Vec<(String, Problem)> = Vec::new();
        for (table, kind) in self.kinds_and_graphs() {
            for (key, text) in texts(&table, &kind) {
                // A graph reports only its own settings; its kind reports the others.
                let told = words(text).filter_map(|word| {
                    let near = nearest(word, PLACEHOLDERS)?;
                    let message =
                        format!("{{{word}}} is no placeholder and stays as it is; did you mean {{{near}}}?");
                    self.at(key.clone(), message)
                });
                all.extend(told);
            }
        }
        all.sort();
        all.dedup();
        all
    }
}

/// Returns the texts in which placeholders are replaced, by their keys.
fn texts<'k>(table: &str, kind: &'k Kind) -> Vec<(String, &'k str)> {
    let key = |name: &str| format!("{table}.{name}");
    let mut all: Vec<(String, &str)> =
        kind.command.iter().map(|word| (key("command"), word.as_str())).collect();
    all.extend(kind.env.iter().map(|(name, value)| (shown::prefix(&key("env"), name), value.as_str())));
    all.extend(kind.cwd.iter().map(|text| (key("cwd"), text.as_str())));
    all.extend(kind.foreign.lock_file.iter().map(|text| (key("lock_file"), text.as_str())));
    all.extend(kind.stop.http.iter().map(|text| (key("stop.http"), text.as_str())));
    let liveness = kind.liveness.as_ref().map(|liveness| ("liveness", &liveness.check));
    for (name, check) in [("readiness", &kind.readiness.check)].into_iter().chain(liveness) {
        match check {
            Check::Http { path, .. } => all.push((key(&format!("{name}.path")), path)),
            Check::Connect { address } => all.push((key(&format!("{name}.address")), address)),
            Check::None | Check::Handshake | Check::Notify | Check::Log { .. } | Check::Delay { .. } => {}
        }
    }
    all
}

/// Returns the words in braces that are no placeholder.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    let is_word = |word: &&str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic() || c == '_' || c == '-')
    };
    inner.filter(is_word).filter(|word| !PLACEHOLDERS.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubtful(text: &str) -> Vec<String> {
        let config = Config::parse(text, None, "c.toml").unwrap_or_else(|e| panic!("{e}"));
        config.doubtful_braces().iter().map(|(file, problem)| format!("{file}:{problem}")).collect()
    }

    #[test]
    fn a_word_near_a_placeholder_is_doubtful_and_other_braces_are_not() {
        let text = "[kind.x]\ncommand = [\"x\", \"{prot}\", \"{a}\", \"{\\\"id\\\":1}\", \"{port}\", \"{}\", \"{format}\"]\n\
                    env = { S = \"{sokcet}\" }\n[graph.g]\nkind = \"x\"\ncwd = \"/srv/{graf}\"\n";
        let want = [
            "c.toml:2:11: kind.x.command: {prot} is no placeholder and stays as it is; did you mean {port}?",
            "c.toml:3:13: kind.x.env.S: {sokcet} is no placeholder and stays as it is; did you mean {socket}?",
            "c.toml:6:7: graph.g.cwd: {graf} is no placeholder and stays as it is; did you mean {graph}?",
        ];
        assert_eq!(doubtful(text), want);
    }
}
