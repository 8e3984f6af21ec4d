//! The events that the supervisor keeps, up to the present one.

use crate::failure::Failure;
use crate::stream::{End, lost_way};
use gob_client::Error;
use gob_client::blocking::Client;
use gob_client::protocol::answer::SubscribeData;
use serde::Deserialize;
use std::time::Instant;

/// Reads the events between `since` and the subscription, each as it came. After a gap there are none.
///
/// The supervisor counts events without a gap, so that the last event marks the end. A subscription with filters would
/// have gaps, and its end could not be told from silence.
pub(crate) fn replay(
    client: &mut Client,
    (since, data): (u64, &SubscribeData),
    (end, verb): (&End, &str),
    mut take: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut seen = if data.gap || since >= data.seq { data.seq } else { 0 };
    while seen < data.seq {
        let deadline = end.at().unwrap_or_else(|| Instant::now() + Client::TIMEOUT);
        let Some(line) = client.next_event(Some(deadline))? else {
            end.check(verb)?;
            if !client.has_ended() {
                let request = "subscribe".to_owned();
                return Err(Error::Timeout { request, after: Client::TIMEOUT, sent: true }.into());
            }
            let message = match client.lost_way() {
                Some(address) => {
                    format!("{} before all that has happened was told", lost_way(address))
                }
                None => "the supervisor has gone before it had told all that has happened".to_owned(),
            };
            return Err(Failure::own("supervisor-unreachable", 7, message).hint("see gobctl daemon logs"));
        };
        #[derive(Deserialize)]
        struct Seq {
            seq: u64,
        }
        seen = serde_json::from_str::<Seq>(&line).map_or(seen, |frame| frame.seq);
        if seen <= data.seq {
            take(&line)?;
        }
    }
    Ok(())
}
