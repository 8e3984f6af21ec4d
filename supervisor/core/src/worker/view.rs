//! The worker as others see it.

use super::{Phase, Worker};
use crate::cx::Cx;
use crate::looks;
use crate::refusals::{self, Claimed};
use crate::run::Run;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::{Actor, Owner, Survivor, View};

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
        let listening = self.live().filter(|run| looks::listens(run));
        let endpoint = match self.holder() {
            Some(holder) => holder.endpoint.as_deref().map(Into::into),
            None => up.and_then(|run| run.endpoint.clone()),
        };
        let next_restart_at = match &self.phase {
            Phase::Backoff(at) => Some(*at),
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(..) | Phase::Live(_) => None,
        };
        let stuck = self.stuck();
        let stuck = (!stuck.is_empty()).then(|| refusals::survived(self.name.as_str(), stuck).message);
        let left = self.left.as_ref().filter(|_| self.live().is_some_and(|run| run.end().is_none()));
        let graph = self.spec.graph();
        let description = self.spec.job().and_then(|job| job.description.clone());
        View {
            name: self.name.clone(),
            kind: self.spec.kind_name.clone(),
            graph: graph.map(|graph| graph.name.shared()),
            description,
            root_dir: graph.map(|graph| graph.root_dir.clone()),
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
            reason: stuck.or_else(|| left.or(shown.reason.as_ref()).cloned()),
            version: shown.version.clone(),
            ports: listening.map_or_else(Vec::new, |run| run.ports.clone()),
            program_changed: listening.is_some_and(|run| run.program_changed),
            blocked: self.spec.job().and_then(|job| job.blocked.clone()),
            last_output_at: None,
            expected_ms: self.expects.ms(),
        }
    }

    /// Processes of its ending run that could not be ended so far.
    pub(crate) fn stuck(&self) -> &[Survivor] {
        self.live().and_then(Run::end).map_or(&[], |end| &end.stuck)
    }

    /// Its processes of an earlier supervisor's time that are still there, if there are any and it is down.
    pub(super) fn left(&self, cx: &Cx) -> Option<Vec<Survivor>> {
        let left = cx.past.left_of(&self.name);
        (!left.is_empty() && self.holder().is_none()).then_some(left)
    }

    /// The reason that an idle worker has where it has no other.
    pub(super) fn reason_to_rest(&self, cx: &Cx) -> Option<String> {
        let left = self.left(cx).filter(|_| matches!(self.phase, Phase::Idle))?;
        Some(refusals::survived(self.name.as_str(), &left).message)
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
