//! The tables of a kind and of a graph, of restart policies and of logs: keys, types, rules.

use crate::kind::{GraphDirEncoding, OnLastLease, Orphans, RestartOn};
use crate::overrides::{Overrides, RestartOverrides};
use crate::reader::{Reader, Section};
use crate::scalar::{duration_ms, expand_home, http_request, scheme, size_bytes};
use crate::{History, Jobs, Logs};
use gob_protocol::Owner;
use std::collections::BTreeMap;

/// The keys of a kind and of a graph.
const KIND: [&str; 22] = [
    "command",
    "root_dir",
    "cwd",
    "env",
    "pass_env",
    "readiness",
    "stop",
    "restart",
    "exit_zero",
    "description",
    "on_last_lease",
    "autostart",
    "liveness",
    "idle_stop",
    "rlimits",
    "port",
    "scheme",
    "lock_file",
    "graph_dir_encoding",
    "owners",
    "orphans",
    "kind",
];

pub(super) const POLICIES: [(&str, RestartOn); 3] =
    [("never", RestartOn::Never), ("on-failure", RestartOn::OnFailure), ("always", RestartOn::Always)];

impl<'t> Reader<'t> {
    /// Reads the keys that kinds and graphs share; `kind` is a graph's alone.
    pub(super) fn overrides(&mut self, section: &Section<'_, 't>, is_graph: bool) -> Overrides {
        let known: Vec<&str> = KIND.into_iter().filter(|key| is_graph || *key != "kind").collect();
        self.only(section, &known, &[]);
        let home = self.home();
        let mut overrides = Overrides {
            command: self.command(section),
            root_dir: self.absolute(section, "root_dir", false),
            cwd: self.absolute(section, "cwd", true),
            env: self.env(section),
            pass_env: self.texts(section, "pass_env", variable),
            exit_zero_ceded: self.word(section, "exit_zero", &[("ceded", true), ("idle", false)]),
            description: self.text(section, "description"),
            on_last_lease: self.word(
                section,
                "on_last_lease",
                &[
                    ("keep", OnLastLease::Keep),
                    ("release", OnLastLease::Release),
                    ("stop", OnLastLease::Stop),
                ],
            ),
            autostart: self.flag(section, "autostart"),
            restart: self.restart(section, "restart"),
            idle_stop_ms: self.parsed(section, "idle_stop", duration_ms),
            rlimits: self.rlimits(section),
            port: self.port(section, "port"),
            scheme: self.parsed(section, "scheme", |text| scheme(text).map(|()| text.to_owned())),
            lock_file: self.absolute(section, "lock_file", true),
            graph_dir_encoding: self.word(
                section,
                "graph_dir_encoding",
                &[("safe", GraphDirEncoding::Safe), ("logseq", GraphDirEncoding::Logseq)],
            ),
            owners: self.owners(section),
            orphans: self.word(section, "orphans", &[("report", Orphans::Report), ("end", Orphans::End)]),
            ..Overrides::default()
        };
        if let Some(command) = &mut overrides.command {
            for word in command {
                // A missing home was reported for this word before.
                *word = expand_home(word, home).unwrap_or_default();
            }
        }
        self.readiness(section, &mut overrides);
        overrides.liveness = self.liveness(section);
        self.stop(section, &mut overrides);
        overrides
    }

    fn command(&mut self, section: &Section<'_, 't>) -> Option<Vec<String>> {
        let home = self.home();
        let command =
            self.texts(section, "command", |word| expand_home(word, home).map(|_| word.to_owned()))?;
        if command.first().is_none_or(String::is_empty) {
            let at = section.get("command").map_or(section.span.start, |item| item.span().start);
            self.problem(at, section.key_of("command"), "it has to begin with a program");
            return None;
        }
        Some(command)
    }

    fn absolute(&mut self, section: &Section<'_, 't>, name: &str, placeholders: bool) -> Option<String> {
        let path = self.path(section, name)?;
        if path.starts_with('/') || (placeholders && path.starts_with('{')) {
            return Some(path);
        }
        let at = section.get(name).map_or(section.span.start, |item| item.span().start);
        let ways = if placeholders { "`/`, `~/` or a placeholder" } else { "`/` or `~/`" };
        self.problem(
            at,
            section.key_of(name),
            format!("{path:?} is not absolute; it has to begin with {ways}"),
        );
        None
    }

    pub(super) fn env(&mut self, section: &Section<'_, 't>) -> BTreeMap<String, String> {
        let Some(env) = self.section(section, "env") else { return BTreeMap::new() };
        let mut all = BTreeMap::new();
        for (key, _) in env.table {
            let name = key.get_ref().as_ref();
            if let Err(message) = variable(name) {
                self.problem(key.span().start, env.key_of(name), message);
            } else if let Some(value) = self.text(&env, name) {
                all.insert(name.to_owned(), value);
            }
        }
        all
    }

    /// Reads the kind's own names of owners, by gob's names.
    fn owners(&mut self, section: &Section<'_, 't>) -> BTreeMap<String, String> {
        let Some(owners) = self.section(section, "owners") else { return BTreeMap::new() };
        let mut all = BTreeMap::new();
        for (key, _) in owners.table {
            let name = key.get_ref().as_ref();
            if name != "*" && Owner::new(name).is_err() {
                let message =
                    format!("{name:?} is no owner; such as \"cli\" or \"desktop\", or \"*\" for all others");
                self.problem(key.span().start, owners.key_of(name), message);
            } else if let Some(word) = self.parsed(&owners, name, owner_word) {
                all.insert(name.to_owned(), word);
            }
        }
        all
    }

    fn stop(&mut self, section: &Section<'_, 't>, into: &mut Overrides) {
        let Some(stop) = self.section(section, "stop") else { return };
        self.only(&stop, &["http", "signal", "then", "grace"], &[]);
        into.stop_http = self.parsed(&stop, "http", |text| http_request(text).map(|()| text.to_owned()));
        into.stop_signal = self.parsed(&stop, "signal", signal);
        into.stop_then = self.parsed(&stop, "then", signal);
        into.stop_grace_ms = self.parsed(&stop, "grace", duration_ms);
    }

    /// Reads a restart policy: a word, or a table.
    pub(super) fn restart(&mut self, section: &Section<'_, 't>, name: &str) -> RestartOverrides {
        let Some(item) = section.get(name) else { return RestartOverrides::default() };
        if item.get_ref().is_str() {
            let on = self.word(section, name, &POLICIES);
            self.found(format!("{}.policy", section.key_of(name)), item.span().start);
            return RestartOverrides { on, ..RestartOverrides::default() };
        }
        let Some(table) = self.as_section(item, section.key_of(name)) else {
            return RestartOverrides::default();
        };
        self.only(&table, &["policy", "backoff", "give_up"], &[]);
        let mut restart = RestartOverrides {
            on: self.word(&table, "policy", &POLICIES),
            backoff_ms: self.backoff(&table),
            ..RestartOverrides::default()
        };
        if let Some(give_up) = self.section(&table, "give_up") {
            self.only(&give_up, &["failures", "within"], &[]);
            restart.failures = self.number(&give_up, "failures", 1..=1_000);
            restart.within_ms = self.parsed(&give_up, "within", duration_ms);
        }
        restart
    }

    pub(super) fn backoff(&mut self, table: &Section<'_, 't>) -> Option<(u64, u64)> {
        let delays = self.texts(table, "backoff", duration_ms)?;
        let problem = match delays.as_slice() {
            [first, longest] if first <= longest => return Some((*first, *longest)),
            [_, _] => "the first delay is longer than the longest",
            _ => "it has to be two durations, the first and the longest delay; such as [\"100ms\", \"30s\"]",
        };
        let at = table.get("backoff").map_or(table.span.start, |item| item.span().start);
        self.problem(at, table.key_of("backoff"), problem);
        None
    }

    /// Reads `[history]`.
    pub(super) fn history(&mut self, root: &Section<'_, 't>) -> History {
        let mut history = History::default();
        let Some(table) = self.section(root, "history") else { return history };
        self.only(&table, &["keep_runs", "keep"], &[]);
        if let Some(runs) = self.number(&table, "keep_runs", 1..=100_000) {
            history.keep_runs = runs;
        }
        if let Some(ms) = self.parsed(&table, "keep", duration_ms) {
            history.keep_ms = ms;
        }
        history
    }

    /// Reads `[jobs]`.
    pub(super) fn limits_of_jobs(&mut self, root: &Section<'_, 't>) -> Jobs {
        let mut jobs = Jobs::default();
        let Some(table) = self.section(root, "jobs") else { return jobs };
        let limits = [
            ("silent", &mut jobs.silent_ms),
            ("over", &mut jobs.over_ms),
            ("without_history", &mut jobs.without_history_ms),
        ];
        self.only(&table, &limits.each_ref().map(|(key, _)| *key), &[]);
        for (key, limit) in limits {
            if let Some(ms) = self.parsed(&table, key, duration_ms) {
                *limit = ms;
            }
        }
        jobs
    }

    /// Reads `[logs]`.
    pub(super) fn logs(&mut self, root: &Section<'_, 't>) -> Logs {
        let mut logs = Logs::default();
        let Some(table) = self.section(root, "logs") else { return logs };
        self.only(&table, &["rotate", "keep", "budget", "runs"], &[]);
        if let Some(bytes) = self.parsed(&table, "rotate", size_bytes) {
            logs.rotate_bytes = bytes;
        }
        if let Some(keep) = self.number(&table, "keep", 1..=1_000) {
            logs.keep = keep;
        }
        if let Some(bytes) = self.parsed(&table, "budget", size_bytes) {
            logs.budget_bytes = bytes;
        }
        if let Some(runs) = self.number(&table, "runs", 1..=100_000) {
            logs.runs = runs;
        }
        if logs.rotate_bytes > logs.budget_bytes {
            let at = table.get("budget").or_else(|| table.get("rotate"));
            let at = at.map_or(table.span.start, |item| item.span().start);
            self.problem(
                at,
                "logs.budget",
                "all logs together get less than one file may have (logs.rotate)",
            );
        }
        logs
    }
}

fn signal(text: &str) -> Result<String, String> {
    gob_protocol::signal::parse(text)
        .ok_or_else(|| format!("{text:?} is not a signal; such as \"TERM\" or \"SIGINT\""))
}

fn owner_word(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it has to be the word that such a program takes for an owner".to_owned()),
        // A worker whose owner is `unknown` can't be stopped by its starter, and everybody else takes it for
        // unowned.
        "unknown" => Err("no worker is to be told that its owner is unknown".to_owned()),
        word => Ok(word.to_owned()),
    }
}

fn variable(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['=', '\0']) {
        return Err(format!("{text:?} is not the name of a variable"));
    }
    Ok(text.to_owned())
}
