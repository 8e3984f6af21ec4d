//! The connection to the supervisor: one for all calls, made anew when it has ended.

use crate::refusal::Refusal;
use gob_client::blocking::Connector;
use gob_client::call::{Call, List};
use gob_client::protocol::ErrorCode;
use gob_client::protocol::suggest::nearest;
use gob_client::pulse::Deadline;
use gob_client::tokio::Client;
use gob_client::{Error, Name};
use std::time::Duration;
use tokio::sync::Mutex;

/// The way to the supervisor, and the connection while it lives.
pub(crate) struct Link {
    connector: Connector,
    timeout: Option<Duration>,
    client: Mutex<Option<Client>>,
}

impl Link {
    pub(crate) fn new(connector: Connector, timeout: Option<Duration>) -> Self {
        Self { connector, timeout, client: Mutex::new(None) }
    }

    pub(crate) const fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Returns the connection, and makes it where there is none. Calls that come meanwhile wait for the same one.
    async fn client(&self) -> Result<Client, Error> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.has_ended()) {
            return Ok(client.clone());
        }
        let client = Client::connect(self.connector.clone()).await?;
        *kept = Some(client.clone());
        Ok(client)
    }

    /// Sends a call whose effect is the same when it is made twice: after a loss of the connection it is sent once more.
    pub(crate) async fn ask<C: Call + Clone>(&self, call: C) -> Result<C::Data, Error> {
        match self.ask_once(call.clone()).await {
            Err(error) if is_loss(&error) => self.ask_once(call).await,
            result => result,
        }
    }

    /// Sends a call.
    pub(crate) async fn ask_once<C: Call>(&self, call: C) -> Result<C::Data, Error> {
        let deadline = self.timeout.map_or_else(|| call.deadline(), Deadline::In);
        self.client().await?.call(call, deadline).await?.read()
    }

    /// Returns the refusal of a call about a worker. A name that is not there is compared with those that are.
    pub(crate) async fn refused(&self, name: &Name, error: Error) -> Refusal {
        let is_unknown = is_unknown(&error);
        let refusal = Refusal::from(error);
        if !is_unknown {
            return refusal;
        }
        let Ok(data) = self.ask(List::default()).await else { return refusal };
        match nearest(name.as_str(), data.workers.iter().map(|worker| worker.name.as_str())) {
            Some(near) => refusal.hint(format!("did you mean {near}? call list for the names that exist")),
            None => refusal,
        }
    }
}

/// Returns whether the supervisor knows no worker of the name.
pub(crate) fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Refused(error) if error.code == ErrorCode::ServerNotFound)
}

fn is_loss(error: &Error) -> bool {
    matches!(error, Error::Lost { .. } | Error::Io { .. })
}
