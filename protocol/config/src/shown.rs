//! Lists a configuration as settings, for `gobctl config show` and for the comparison in a reload.

use crate::Config;
use crate::kind::{
    Check, GraphDirEncoding, HttpPort, Kind, LogStream, OnLastLease, Orphans, RestartOn, RestartPolicy,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One setting in effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key, dotted.
    pub key: String,
    /// The value, as a file would have it.
    pub value: Value,
    /// The origin of the value.
    pub source: Source,
}

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// No file sets it.
    Default,
    /// A line of a file.
    Line(Arc<str>, u32),
}

/// Returns the key of an entry of a table, such as a kind's or a graph's, as TOML spells it. `table` is empty
/// for the document.
pub(super) fn prefix(table: &str, name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name = if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { format!("{name:?}") };
    if table.is_empty() { name } else { format!("{table}.{name}") }
}

impl Config {
    /// Returns every setting in effect: all of a kind, and those that a graph sets.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let mut all = vec![("default_kind".to_owned(), json!(self.default_kind))];
        all.push(("force_owners".to_owned(), json!(self.force_owners)));
        let (logs, size) = (&self.logs, |bytes| json!(size_text(bytes)));
        all.push(("logs.rotate".to_owned(), size(logs.rotate_bytes)));
        all.push(("logs.keep".to_owned(), json!(logs.keep)));
        all.push(("logs.budget".to_owned(), size(logs.budget_bytes)));
        all.push(("logs.runs".to_owned(), json!(logs.runs)));
        all.push(("history.keep_runs".to_owned(), json!(self.history.keep_runs)));
        all.push(("history.keep".to_owned(), json!(duration_text(self.history.keep_ms))));
        let jobs = &self.jobs;
        for (key, ms) in
            [("silent", jobs.silent_ms), ("over", jobs.over_ms), ("without_history", jobs.without_history_ms)]
        {
            all.push((format!("jobs.{key}"), json!(duration_text(ms))));
        }
        all.extend(self.queue_values());
        all.extend(restart_values("restart", &self.restart));
        for (name, kind) in &self.kinds {
            all.extend(kind_values(&prefix("kind", name), kind));
        }
        for (name, graph) in &self.graphs {
            let key = prefix("graph", name);
            all.extend(graph.kind.as_ref().map(|kind| (format!("{key}.kind"), json!(kind))));
            let Ok((_, kind)) = self.kind_of(name, None) else { continue };
            all.extend(kind_values(&key, &kind).into_iter().filter(|(key, _)| self.found.contains_key(key)));
        }
        all.into_iter().map(|(key, value)| Setting { source: self.source(&key), key, value }).collect()
    }

    fn queue_values(&self) -> Vec<(String, Value)> {
        let (queue, time) = (&self.queue, |ms| json!(duration_text(ms)));
        let (first, longest) = queue.backoff_ms;
        let mut all = vec![
            ("queue.heartbeat".to_owned(), time(queue.heartbeat_ms)),
            ("queue.stale_after".to_owned(), time(queue.stale_after_ms)),
            ("queue.max_attempts".to_owned(), json!(queue.max_attempts)),
            ("queue.keep_finished".to_owned(), time(queue.keep_finished_ms)),
            ("queue.backoff".to_owned(), json!([duration_text(first), duration_text(longest)])),
        ];
        if let Some(shared) = &self.shared {
            all.push(("shared.url".to_owned(), json!(shared.shown())));
            all.extend(
                shared.password_file.as_ref().map(|path| ("shared.password_file".to_owned(), json!(path))),
            );
        }
        for (name, lane) in &self.lanes {
            let key = prefix("lanes", name);
            all.extend(lane.width.map(|width| (format!("{key}.width"), json!(width))));
            all.extend(lane.nice.map(|nice| (format!("{key}.nice"), json!(nice))));
            if lane.shared {
                all.push((format!("{key}.shared"), json!(true)));
            }
        }
        all
    }

    /// Returns the keys whose values differ between two configurations.
    #[must_use]
    pub fn changes(&self, other: &Self) -> Vec<String> {
        let values = |config: &Self| -> BTreeMap<String, Value> {
            config.settings().into_iter().map(|setting| (setting.key, setting.value)).collect()
        };
        let (before, after) = (values(self), values(other));
        let mut changed: Vec<String> = after
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(value))
            .map(|(key, _)| key.clone())
            .collect();
        changed.extend(before.into_keys().filter(|key| !after.contains_key(key)));
        let url = |config: &Self| config.shared.as_ref().map(|shared| shared.url.clone());
        if url(self) != url(other) && !changed.iter().any(|key| key == "shared.url") {
            // The part of it that is shown nowhere.
            changed.push("shared.url".to_owned());
        }
        changed.sort();
        changed
    }

    /// Returns the kinds and graphs, as `kind.NAME` and `graph.NAME`, that only `other` mentions.
    #[must_use]
    pub fn added(&self, other: &Self) -> Vec<String> {
        let before = self.tables();
        other.tables().into_iter().filter(|table| !before.contains(table)).collect()
    }

    fn tables(&self) -> Vec<String> {
        let graphs = self.graphs.keys().map(|name| prefix("graph", name));
        graphs.chain(self.kinds.keys().map(|name| prefix("kind", name))).collect()
    }

    fn source(&self, key: &str) -> Source {
        let own = self.found.get(key);
        // `[restart]` supplies the restart settings that a kind does not set.
        let general =
            || key.split_once(".restart.").and_then(|(_, rest)| self.found.get(&format!("restart.{rest}")));
        own.or_else(general)
            .map_or(Source::Default, |place| Source::Line(Arc::clone(&place.file), place.line))
    }
}

fn kind_values(prefix: &str, kind: &Kind) -> Vec<(String, Value)> {
    let key = |name: &str| format!("{prefix}.{name}");
    let mut all = vec![(key("command"), json!(kind.command))];
    all.extend(kind.root_dir.as_ref().map(|dir| (key("root_dir"), json!(dir))));
    all.push((key("cwd"), json!(kind.cwd.as_deref().unwrap_or("{data_dir}"))));
    all.extend(kind.env.iter().map(|(name, value)| (self::prefix(&key("env"), name), json!(value))));
    all.push((key("pass_env"), json!(kind.pass_env)));
    all.extend(check_values(&key("readiness"), &kind.readiness.check));
    all.push((key("readiness.timeout"), json!(duration_text(kind.readiness.timeout_ms))));
    all.extend(kind.stop.http.as_ref().map(|http| (key("stop.http"), json!(http))));
    all.push((key("stop.signal"), json!(kind.stop.signal)));
    all.extend(kind.stop.then.as_ref().map(|signal| (key("stop.then"), json!(signal))));
    all.push((key("stop.grace"), json!(duration_text(kind.stop.grace_ms))));
    all.extend(restart_values(&key("restart"), &kind.restart));
    all.push((key("exit_zero"), json!(if kind.exit_zero_ceded { "ceded" } else { "idle" })));
    all.extend(kind.description.as_ref().map(|text| (key("description"), json!(text))));
    all.extend(kind.on_last_lease.map(|on| {
        let word = match on {
            OnLastLease::Keep => "keep",
            OnLastLease::Release => "release",
            OnLastLease::Stop => "stop",
        };
        (key("on_last_lease"), json!(word))
    }));
    all.push((key("autostart"), json!(kind.autostart)));
    all.extend(kind.idle_stop_ms.map(|ms| (key("idle_stop"), json!(duration_text(ms)))));
    all.extend(liveness_values(&key("liveness"), kind));
    all.extend(kind.port.map(|port| (key("port"), json!(port))));
    all.extend(kind.scheme.as_ref().map(|scheme| (key("scheme"), json!(scheme))));
    all.extend(kind.rlimits.iter().map(|(name, value)| (format!("{}.{name}", key("rlimits")), json!(value))));
    all.extend(foreign_values(prefix, kind));
    all
}

fn liveness_values(prefix: &str, kind: &Kind) -> Vec<(String, Value)> {
    let Some(liveness) = &kind.liveness else { return check_values(prefix, &Check::None) };
    let mut all = check_values(prefix, &liveness.check);
    for (name, value) in [
        ("interval", json!(duration_text(liveness.interval_ms))),
        ("timeout", json!(duration_text(liveness.timeout_ms))),
        ("failures", json!(liveness.failures)),
        ("successes", json!(liveness.successes)),
        ("restart", json!(liveness.restart)),
    ] {
        all.push((format!("{prefix}.{name}"), value));
    }
    all
}

fn foreign_values(prefix: &str, kind: &Kind) -> Vec<(String, Value)> {
    let key = |name: &str| format!("{prefix}.{name}");
    let foreign = &kind.foreign;
    let encoding = match foreign.graph_dir_encoding {
        GraphDirEncoding::Safe => "safe",
        GraphDirEncoding::Logseq => "logseq",
    };
    let mut all = vec![(key("graph_dir_encoding"), json!(encoding))];
    all.extend(foreign.lock_file.as_ref().map(|path| (key("lock_file"), json!(path))));
    all.extend(foreign.owners.iter().map(|(owner, word)| (self::prefix(&key("owners"), owner), json!(word))));
    all.extend(foreign.orphans.map(|orphans| {
        let word = match orphans {
            Orphans::Report => "report",
            Orphans::End => "end",
        };
        (key("orphans"), json!(word))
    }));
    all
}

fn check_values(prefix: &str, check: &Check) -> Vec<(String, Value)> {
    let (word, more) = match check {
        Check::None => ("none", vec![]),
        Check::Handshake => ("handshake", vec![]),
        Check::Notify => ("notify", vec![]),
        Check::Http { path, status, port } => {
            let port = match port {
                HttpPort::Given => json!("{port}"),
                HttpPort::Discover => json!("discover"),
                HttpPort::Fixed(port) => json!(port),
            };
            ("http", vec![("path", json!(path)), ("status", json!(status)), ("port", port)])
        }
        Check::Connect { address } => ("connect", vec![("address", json!(address))]),
        Check::Log { pattern, stream } => {
            let stream = stream.map(|stream| match stream {
                LogStream::Stdout => ("stream", json!("stdout")),
                LogStream::Stderr => ("stream", json!("stderr")),
            });
            ("log", [("pattern", json!(pattern))].into_iter().chain(stream).collect())
        }
        Check::Delay { for_ms } => ("delay", vec![("for", json!(duration_text(*for_ms)))]),
    };
    let all = [("type", json!(word))].into_iter().chain(more);
    all.map(|(name, value)| (format!("{prefix}.{name}"), value)).collect()
}

fn restart_values(prefix: &str, policy: &RestartPolicy) -> [(String, Value); 4] {
    let on = match policy.on {
        RestartOn::Never => "never",
        RestartOn::OnFailure => "on-failure",
        RestartOn::Always => "always",
    };
    let (first, longest) = policy.backoff_ms;
    [
        (format!("{prefix}.policy"), json!(on)),
        (format!("{prefix}.backoff"), json!([duration_text(first), duration_text(longest)])),
        (format!("{prefix}.give_up.failures"), json!(policy.give_up_failures)),
        (format!("{prefix}.give_up.within"), json!(duration_text(policy.give_up_within_ms))),
    ]
}

/// Writes a duration in the largest unit that divides it.
fn duration_text(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(factor, _)| ms > 0 && ms.is_multiple_of(*factor));
    unit.map_or_else(|| format!("{ms}ms"), |(factor, unit)| format!("{}{unit}", ms / factor))
}

/// Writes a size in the largest unit that divides it.
fn size_text(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(factor, _): &(u64, _)| bytes > 0 && bytes.is_multiple_of(*factor));
    unit.map_or_else(|| format!("{bytes}B"), |(factor, unit)| format!("{}{unit}", bytes / factor))
}
