//! The worker as others see it.

use super::{Phase, Worker};
use crate::refusals::Claimed;
use crate::run::Run;
use alloc::vec::Vec;
use gob_protocol::{Actor, Owner, View};

impl Worker {
    /// The worker as this requester sees it.
    pub(crate) fn view_for(&self, requester: &Owner) -> View {
        self.view(self.is_owned_by(requester))
    }

    /// The worker as one sees it who owns it or not; an event's view is completed per subscriber.
    pub(crate) fn view(&self, owned: bool) -> View {
        let shown = self.shown();
        let ours = self.live().and_then(Run::shown_pid);
        let up = self.live().filter(|run| run.is_up());
        let endpoint = match self.holder() {
            Some(holder) => holder.endpoint.as_deref().map(Into::into),
            None => up.and_then(|run| run.endpoint.clone()),
        };
        let next_restart_at = match &self.phase {
            Phase::Backoff(at) => Some(*at),
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(..) | Phase::Live(_) => None,
        };
        let stuck = self.live().and_then(Run::end).and_then(|end| end.stuck.as_ref());
        let graph = self.spec.graph();
        View {
            name: self.name.clone(),
            kind: self.spec.kind_name.clone(),
            graph: Some(graph.name.shared()),
            description: None,
            root_dir: Some(graph.root_dir.clone()),
            cwd: shown.cwd.clone(),
            command: shown.command.clone(),
            owner: self.title_now().owner.clone(),
            owned,
            state: self.state(),
            pid: self.holder().map_or(ours, |holder| Some(holder.pid)),
            pgid: ours,
            endpoint,
            meta: shown.meta.clone(),
            run: self.run,
            created_at: self.created_at,
            started_at: shown.started_at,
            ready_at: shown.ready_at,
            stopped_at: shown.stopped_at,
            exit: shown.exit.clone(),
            restarts: self.restarts,
            next_restart_at,
            leases: self.leases.len(),
            lease_holders: self.leases.shown(),
            stdout_path: shown.stdout_path.clone(),
            stderr_path: shown.stderr_path.clone(),
            reason: stuck.or(shown.reason.as_ref()).cloned(),
            version: shown.version.clone(),
            ports: up.map_or_else(Vec::new, |run| run.ports.clone()),
            blocked: None,
            last_output_at: None,
        }
    }

    /// The worker as its refusal to a stranger tells of it.
    pub(crate) fn claimed(&self) -> Claimed<'_> {
        Claimed {
            name: &self.name,
            title: self.title_now(),
            is_external: self.holder().is_some(),
            client: self.owners_client(),
            holders: self.leases.holders().collect(),
            pid: self.pid(),
        }
    }

    /// Name and process of the client that made its owner the owner, as far as they are known.
    fn owners_client(&self) -> Option<(Option<&str>, Option<i32>)> {
        let known = [self.ownership.taken_by(), Some(&self.actor)].into_iter().flatten();
        let parties = known.filter_map(|actor| match actor {
            Actor::Client { owner, client, pid } => Some((owner, client.as_deref(), *pid)),
            Actor::Supervisor => None,
        });
        let leases =
            self.leases.holders().map(|holder| (&holder.owner, holder.client.as_deref(), holder.pid));
        let (_, client, pid) = parties.chain(leases).find(|(owner, ..)| *owner == self.owner())?;
        Some((client, pid))
    }
}
