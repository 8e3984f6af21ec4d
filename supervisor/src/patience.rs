//! The time after which a store's answer to a question is not waited for any more: its disk or its network may hang.

use crate::mailbox::Post;
use crate::shell::Done;
use gob_core::{Input, NoAnswer};
use std::time::Duration;

/// Tells the core after this time that a question is not answered, unless it was.
pub(crate) fn limit(ticket: u64, within: Duration, to_loop: &Post<Done>) {
    let to_loop = to_loop.clone();
    tokio::task::spawn_local(async move {
        tokio::time::sleep(within).await;
        // The core knows whether it was answered meanwhile.
        let input = Input::Stored { ticket, answer: Err(NoAnswer::Silent) };
        to_loop.send(Done::Input(Box::new(input))).await;
    });
}
