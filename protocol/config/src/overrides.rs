//! The settings of a kind's or a graph's table: each may be absent, so that it can be laid over a base.

use crate::kind::{Check, GraphDirEncoding, HttpPort, Kind, OnLastLease, Orphans, RestartOn, RestartPolicy};
use crate::liveness::LivenessOverrides;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The settings of one table of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Overrides {
    pub(super) command: Option<Vec<String>>,
    pub(super) root_dir: Option<String>,
    pub(super) cwd: Option<String>,
    /// Laid over the base variable by variable.
    pub(super) env: BTreeMap<String, String>,
    pub(super) pass_env: Option<Vec<String>>,
    pub(super) check: Option<Check>,
    /// The check is `http` and does not set its port.
    pub(super) any_port: bool,
    pub(super) ready_timeout_ms: Option<u64>,
    pub(super) stop_http: Option<String>,
    pub(super) stop_signal: Option<String>,
    pub(super) stop_then: Option<String>,
    pub(super) stop_grace_ms: Option<u64>,
    pub(super) restart: RestartOverrides,
    pub(super) exit_zero_ceded: Option<bool>,
    pub(super) description: Option<String>,
    pub(super) on_last_lease: Option<OnLastLease>,
    pub(super) autostart: Option<bool>,
    pub(super) liveness: LivenessOverrides,
    pub(super) idle_stop_ms: Option<u64>,
    /// Laid over the base limit by limit.
    pub(super) rlimits: BTreeMap<String, u64>,
    pub(super) port: Option<u16>,
    pub(super) scheme: Option<String>,
    pub(super) lock_file: Option<String>,
    pub(super) graph_dir_encoding: Option<GraphDirEncoding>,
    /// Laid over the base owner by owner.
    pub(super) owners: BTreeMap<String, String>,
    pub(super) orphans: Option<Orphans>,
}

/// The settings of a restart policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct RestartOverrides {
    pub(super) on: Option<RestartOn>,
    pub(super) backoff_ms: Option<(u64, u64)>,
    pub(super) failures: Option<u32>,
    pub(super) within_ms: Option<u64>,
}

impl RestartOverrides {
    pub(super) fn lay_over(&self, policy: &mut RestartPolicy) {
        set(&mut policy.on, self.on);
        set(&mut policy.backoff_ms, self.backoff_ms);
        set(&mut policy.give_up_failures, self.failures);
        set(&mut policy.give_up_within_ms, self.within_ms);
    }
}

impl Overrides {
    /// Lays these settings over a kind.
    pub(super) fn lay_over(&self, kind: &mut Kind) {
        set(&mut kind.command, self.command.clone());
        kind.port = self.port.or(kind.port);
        kind.root_dir = self.root_dir.clone().or(kind.root_dir.take());
        kind.cwd = self.cwd.clone().or(kind.cwd.take());
        kind.env.extend(self.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        set(&mut kind.pass_env, self.pass_env.clone());
        set(&mut kind.readiness.check, self.check.clone());
        if self.any_port && (kind.port.is_some() || uses(kind, "{port}")) {
            // A worker that is given a port listens on that port.
            if let Check::Http { port, .. } = &mut kind.readiness.check {
                *port = HttpPort::Given;
            }
        }
        set(&mut kind.readiness.timeout_ms, self.ready_timeout_ms);
        kind.stop.http = self.stop_http.clone().or(kind.stop.http.take());
        set(&mut kind.stop.signal, self.stop_signal.clone());
        kind.stop.then = self.stop_then.clone().or(kind.stop.then.take());
        set(&mut kind.stop.grace_ms, self.stop_grace_ms);
        self.restart.lay_over(&mut kind.restart);
        set(&mut kind.exit_zero_ceded, self.exit_zero_ceded);
        kind.description = self.description.clone().or(kind.description.take());
        kind.on_last_lease = self.on_last_lease.or(kind.on_last_lease);
        set(&mut kind.autostart, self.autostart);
        self.liveness.lay_over(kind);
        kind.idle_stop_ms = self.idle_stop_ms.or(kind.idle_stop_ms);
        kind.rlimits.extend(self.rlimits.iter().map(|(name, value)| (name.clone(), *value)));
        kind.scheme = self.scheme.clone().or(kind.scheme.take());
        let foreign = &mut kind.foreign;
        foreign.lock_file = self.lock_file.clone().or(foreign.lock_file.take());
        set(&mut foreign.graph_dir_encoding, self.graph_dir_encoding);
        foreign.owners.extend(self.owners.iter().map(|(owner, word)| (owner.clone(), word.clone())));
        foreign.orphans = self.orphans.or(foreign.orphans);
    }
}

/// Returns whether a placeholder occurs in the texts that a worker of this kind is given.
pub(super) fn uses(kind: &Kind, placeholder: &str) -> bool {
    kind.command.iter().chain(kind.env.values()).any(|text| text.contains(placeholder))
}

pub(super) fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}
