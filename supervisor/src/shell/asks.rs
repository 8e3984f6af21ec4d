//! Effects that ask something of others: a worker's own server, and the database of several machines.

use super::Shell;
use gob_core::{Input, RunKey, Surroundings};
use std::time::Duration;

impl Shell {
    /// Asks a run to end by an HTTP request; with `look` only if its own tree listens at the endpoint.
    pub(super) fn stop_by_request(
        &mut self,
        key: RunKey,
        endpoint: String,
        request: String,
        look: bool,
        limit: Duration,
    ) -> Option<Input> {
        self.runs.ask(&key);
        let of = if look { self.runs.tree(&key) } else { None };
        if look && of.is_none() {
            return Some(Input::StopAnswered { key, taken: false });
        }
        self.remember_end(&key);
        self.readiness.stop(key, endpoint, request, of, limit);
        None
    }

    /// Uses this database with other machines from here on.
    pub(super) fn share(&mut self, shared: Option<gob_config::Shared>) {
        let Surroundings { settings, host, .. } = self.core.surroundings();
        self.shared.set(shared, settings.queue, &self.boot, host);
    }
}
