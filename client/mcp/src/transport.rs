//! The transport that rmcp reads from: every line gets an answer, also one that rmcp would drop, and the number of requests that
//! are not answered is bounded.

use crate::envelope::{self, Read};
use crate::frame::Cut;
use crate::pipes::{Output, lines, output};
use rmcp::RoleServer;
use rmcp::model::{ClientNotification, JsonRpcMessage, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Serialize;
use std::collections::HashSet;
use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Requests that may be unanswered. Those that wait for their turn are among them.
const MAX_OPEN: usize = 256;
/// Time for the last answers to be taken by the client.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Standard input and output as rmcp sees them.
pub(crate) struct Stdio {
    lines: mpsc::Receiver<Cut>,
    messages: Option<mpsc::Sender<Vec<u8>>>,
    written: Option<oneshot::Receiver<()>>,
    /// The ids of the requests that are not answered yet.
    open: HashSet<RequestId>,
    /// The answer to a wrong line, which goes out before the next line is read.
    answer: Option<Vec<u8>>,
    /// Cancelled at the end of the input, and when the output has no reader any more.
    ended: CancellationToken,
}

impl Stdio {
    /// Begins to read and to write.
    pub(crate) fn open(ended: CancellationToken) -> io::Result<Self> {
        let Output { messages, written } = output()?;
        Ok(Self {
            lines: lines()?,
            messages: Some(messages),
            written: Some(written),
            open: HashSet::new(),
            answer: None,
            ended,
        })
    }

    /// Takes a line; returns the message that rmcp is to handle.
    fn take(&mut self, cut: Cut) -> Option<RxJsonRpcMessage<RoleServer>> {
        let answer = match cut {
            Cut::TooLong => envelope::too_long(),
            Cut::Unfinished => envelope::unfinished(),
            Cut::Line(line) => match envelope::read(&line) {
                Read::Nothing => return None,
                Read::Refused(answer) => answer,
                Read::Message(message) => match self.admit(&message) {
                    Ok(()) => return Some(*message),
                    Err(answer) => answer,
                },
            },
        };
        self.answer = bytes(&answer).ok();
        None
    }

    /// Notes a request as open. rmcp answers only one of two with the same id.
    fn admit(&mut self, message: &RxJsonRpcMessage<RoleServer>) -> Result<(), serde_json::Value> {
        match message {
            JsonRpcMessage::Request(request) => {
                if self.open.contains(&request.id) {
                    return Err(envelope::same_id(&request.id));
                }
                if self.open.len() >= MAX_OPEN {
                    return Err(envelope::too_many(&request.id, MAX_OPEN));
                }
                self.open.insert(request.id.clone());
            }
            JsonRpcMessage::Notification(notification) => {
                // A cancelled request gets no answer (MCP, Cancellation).
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.open.remove(id);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
        Ok(())
    }

    fn end(&self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.ended.cancel();
        None
    }
}

fn bytes(message: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec(message).map_err(io::Error::other)
}

fn gone() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

impl Transport<RoleServer> for Stdio {
    type Error = io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        match &item {
            JsonRpcMessage::Response(response) => drop(self.open.remove(&response.id)),
            JsonRpcMessage::Error(error) => {
                error.id.as_ref().map(|id| self.open.remove(id));
            }
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => {}
        }
        let (bytes, messages) = (bytes(&item), self.messages.clone());
        async move { messages.ok_or_else(gone)?.send(bytes?).await.map_err(|_| gone()) }
    }

    /// Cancel safe: a line that was read is kept or handed out, and so is an answer.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let Some(messages) = self.messages.clone() else { return self.end() };
            if self.answer.is_some() {
                let Ok(room) = messages.reserve().await else { return self.end() };
                if let Some(answer) = self.answer.take() {
                    room.send(answer);
                }
            }
            let cut = tokio::select! {
                cut = self.lines.recv() => cut,
                () = messages.closed() => None,
            };
            let Some(cut) = cut else { return self.end() };
            if let Some(message) = self.take(cut) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.messages = None;
        if let Some(written) = self.written.take() {
            // A client that does not read its answers is left.
            tokio::time::timeout(LAST_WORDS, written).await.ok();
        }
        Ok(())
    }
}
