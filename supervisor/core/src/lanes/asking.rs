//! The party that asks the store about the queue, and the sequel of the answer.

use super::lane::{Client, Taker};
#[cfg(test)]
use crate::ids::ConnId;
use alloc::boxed::Box;
use gob_protocol::Actor;
use gob_protocol::answer::QueueListData;
use gob_protocol::queue::QueueAsk;
use serde::{Deserialize, Serialize};

/// The party that asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asking {
    /// The request that the answer is for; `None`: the supervisor's own question, or one that was answered without the store.
    pub(crate) client: Option<Client>,
    /// The cause of what the question changes.
    pub(crate) actor: Actor,
    pub(crate) then: Then,
}

/// The sequel of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Then {
    /// What follows from the question.
    AsAsked,
    /// The claimed job is for this party.
    Give(Taker),
    /// Where its asker may manage what was found, this is asked.
    Check(Box<QueueAsk>),
    /// So many jobs were cancelled by the questions before.
    Clear(u64),
    /// Jobs that are found come after this page.
    After(Box<QueueListData>),
}

impl Asking {
    /// Tells whether the answer, or the job that it claims, is for this connection.
    #[cfg(test)]
    pub(crate) fn is_for(&self, conn: ConnId) -> bool {
        let taker = match &self.then {
            Then::Give(Taker::Outside(waiting)) => Some(waiting.client.0),
            Then::AsAsked | Then::Give(_) | Then::Check(_) | Then::Clear(_) | Then::After(_) => None,
        };
        taker == Some(conn) || self.client.as_ref().is_some_and(|(asker, _)| *asker == conn)
    }

    /// A question of a request.
    pub(crate) fn of(client: Client, actor: Actor) -> Self {
        Self { client: Some(client), actor, then: Then::AsAsked }
    }

    /// A question of the supervisor's own.
    pub(crate) const fn own(actor: Actor) -> Self {
        Self { client: None, actor, then: Then::AsAsked }
    }
}
