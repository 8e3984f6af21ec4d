//! The owner rule (PROTOCOL 5, Who may). There is no second place that decides who may do what to whose worker.

use crate::worker::{Phase, Worker};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::view::LeaseHolder;
use gob_protocol::{Actor, ErrorCode, Owner, WireError};

/// How many holders of leases a hint names.
const HOLDERS_IN_HINT: usize = 3;

/// Whose something is: its owner, and the one that it had before it came to be nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Title<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) last: Option<&'a Owner>,
}

impl Title<'_> {
    /// Whether the requester may stop, restart, signal, remove or hand over what has this title.
    pub(crate) fn may_manage(self, requester: &Owner) -> bool {
        if self.owner.is_unknown() {
            requester.is_cli() || self.had(requester)
        } else {
            self.owner == requester
        }
    }

    /// Whether a start or restart by the requester makes it the owner of what runs already.
    pub(crate) fn may_take_over(self, requester: &Owner) -> bool {
        self.owner.is_unknown() && self.may_manage(requester)
    }

    /// Whether the requester lost it, and nobody has it since.
    pub(crate) fn had(self, requester: &Owner) -> bool {
        self.owner.is_unknown() && self.last == Some(requester)
    }
}

/// Whether `force` of a request counts that would end workers of others, too.
pub(crate) fn may_force(force_owners: &[Owner], requester: &Owner) -> bool {
    !requester.is_unknown() && force_owners.contains(requester)
}

impl Worker {
    /// Whose the worker is.
    pub(crate) fn title(&self) -> Title<'_> {
        Title { owner: &self.owner, last: self.last_owner.as_ref() }
    }

    /// Whose it is as things are: the process that holds it may be somebody else's.
    pub(crate) fn title_now(&self) -> Title<'_> {
        match &self.phase {
            Phase::External(holder) => Title { owner: &holder.owner, last: None },
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::Backoff | Phase::Starting { .. } => {
                self.title()
            }
            Phase::Ready { .. } | Phase::Unhealthy { .. } | Phase::Ending(_) => self.title(),
        }
    }

    /// Whose the next run is, if this owner is to have it.
    pub(crate) fn title_of_next<'a>(&'a self, owner: &'a Owner) -> Title<'a> {
        let last = if self.owner.is_unknown() { self.last_owner.as_ref() } else { Some(&self.owner) };
        Title { owner, last }
    }

    /// Makes somebody its owner; says whether it was somebody else's.
    pub(crate) fn set_owner(&mut self, to: Owner) -> bool {
        if self.owner == to {
            return false;
        }
        let before = core::mem::replace(&mut self.owner, to);
        self.last_owner = self.owner.is_unknown().then_some(before);
        self.taken_by = None;
        true
    }

    /// The client that made its owner the owner, as far as it is known.
    fn owners_client(&self) -> Option<String> {
        let known = [self.taken_by.as_deref(), Some(&self.actor)].into_iter().flatten();
        let parties = known.filter_map(|actor| match actor {
            Actor::Client { owner, client, pid } => Some((owner, client.as_deref(), *pid)),
            Actor::Supervisor => None,
        });
        let leases = self.leases.values().map(|holder| (&holder.owner, holder.client.as_deref(), holder.pid));
        let (_, client, pid) = parties.chain(leases).find(|(owner, ..)| **owner == self.owner)?;
        match (client, pid) {
            (Some(client), Some(pid)) => Some(format!("{client}, pid {pid}")),
            (Some(client), None) => Some(client.into()),
            (None, Some(pid)) => Some(format!("pid {pid}")),
            (None, None) => None,
        }
    }
}

/// The refusal for a requester that may not manage this worker. It never tells how to speak as somebody else.
pub(crate) fn owned_by_other(worker: &Worker, requester: &Owner) -> Box<WireError> {
    let (name, Title { owner, last }) = (&worker.name, worker.title_now());
    let mut hint = if matches!(worker.phase, Phase::External(_)) {
        // It can't be handed over: gob did not start it.
        format!("ask its owner to stop it; see who it is: gobctl who {}", name.as_argument())
    } else if let (true, Some(last)) = (owner.is_unknown(), last) {
        format!("nobody owns it now; {last}, which had it last, may take it back, or cli may take it over")
    } else if owner.is_unknown() {
        "nobody owns it; cli may take it over".into()
    } else {
        let client = worker.owners_client().map(|client| format!(" ({client})")).unwrap_or_default();
        format!("ask its owner{client} to stop it or to hand it over")
    };
    let holders: Vec<&LeaseHolder> = worker.leases.values().map(|holder| &**holder).collect();
    if !holders.is_empty() {
        let named: Vec<String> =
            holders.iter().take(HOLDERS_IN_HINT).map(|holder| format!("{holder}")).collect();
        let more = holders.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        hint.push_str(&format!("; it is used by {}{more}", named.join(", ")));
    }
    let mut details = serde_json::Map::new();
    details.insert("worker".into(), name.as_str().into());
    details.insert("owner".into(), owner.as_str().into());
    details.insert("requester".into(), requester.as_str().into());
    if let Some(pid) = worker.pid() {
        details.insert("pid".into(), pid.into());
    }
    let message = format!("{name} is owned by {owner}, you are {requester}");
    Box::new(WireError::new(ErrorCode::ServerOwnedByOther, message).hint(hint).details(details.into()))
}
