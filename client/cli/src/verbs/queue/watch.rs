//! `queue list --watch`: the list again after changes; on a terminal in the place of the old one.

use super::connect;
use super::list::get;
use crate::context::Context;
use crate::failure::Failure;
use crate::holding::went_away;
use crate::out;
use crate::queue;
use crate::screen::Screen;
use crate::stream::{Stream, Told};
use crate::text::now;
use gob_client::blocking::Client;
use gob_client::call::QueueList;
use gob_client::protocol::EventKind;
use gob_client::protocol::answer::QueueListData;
use gob_client::protocol::request::Subscribe;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between redraws on a terminal, since shown times pass.
const TICK: Duration = Duration::from_secs(1);
/// Time that changes are gathered for: a busy queue has thousands in a second.
const GATHER: Duration = Duration::from_millis(200);

/// The events of the queue.
pub(super) const EVENTS: [EventKind; 4] = [
    EventKind::QueueJobAdded,
    EventKind::QueueJobStarted,
    EventKind::QueueJobFinished,
    EventKind::QueueJobRecovered,
];

/// Shows the list until this program is ended.
pub(super) fn watch(context: &Context, filter: &QueueList) -> Result<u8, Failure> {
    let redraws = std::io::stdout().is_terminal() && !context.json;
    // A redrawn screen would be drawn over notes: they are part of it.
    let aside = Context { quiet: context.quiet || redraws, ..context.clone() };
    let wanted = Subscribe { events: Some(EVENTS.to_vec()), ..Subscribe::default() };
    drop(connect(&aside, "subscribe")?);
    let mut stream = Stream::open(&aside, "queue list --watch", wanted)?;
    let screen = redraws.then(Screen::enter).transpose()?;
    out::end_with_reader();
    let mut page = Page { context: &aside, client: None, data: None };
    let mut shown = String::new();
    let (mut is_stale, mut not_before) = (true, Instant::now());
    loop {
        let left = not_before.saturating_duration_since(Instant::now());
        let tick = if is_stale { Some(left) } else { redraws.then_some(TICK) };
        let told = stream.next(tick)?;
        is_stale |= !matches!(told, Told::Nothing);
        let is_due = is_stale && Instant::now() >= not_before;
        if matches!(told, Told::Frame(_)) && !is_due {
            continue;
        }
        if is_due && !stream.is_lost() && page.renew(filter)? {
            (is_stale, not_before) = (false, Instant::now() + GATHER);
        } else if !redraws || is_stale {
            not_before = Instant::now() + GATHER;
            continue;
        }
        let Some(data) = &page.data else { continue };
        let text = serde_json::to_string(data).unwrap_or_default();
        // Events of other lanes change nothing here.
        if redraws || text != shown {
            show(context, (data, &text), &screen, stream.is_lost().then(|| stream.gone()))?;
        }
        shown = text;
    }
}

/// The latest page, and the connection that it came on.
struct Page<'a> {
    context: &'a Context,
    client: Option<Client>,
    data: Option<QueueListData>,
}

impl Page<'_> {
    /// Requests the page again; false where there is no supervisor for it.
    fn renew(&mut self, filter: &QueueList) -> Result<bool, Failure> {
        let connected = match self.client.take() {
            Some(client) => Ok(client),
            None => connect(&self.context.without_autostart(), "queue_list"),
        };
        let got = connected.and_then(|mut client| {
            let data = get(self.context, &mut client, filter)?;
            Ok((client, data))
        });
        match got {
            Ok((client, data)) => {
                (self.client, self.data) = (Some(client), Some(data));
                Ok(true)
            }
            Err(Failure::Client(error)) if went_away(&error) => Ok(false),
            Err(failure) if failure.exit_code() == 7 => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

fn show(
    context: &Context,
    (data, json): (&QueueListData, &str),
    screen: &Option<Screen>,
    lost: Option<String>,
) -> Result<(), Failure> {
    if context.json {
        return out::print(&format!("{json}\n"));
    }
    let table = queue::list(&data.lanes, &data.jobs, now(), context.look());
    match (screen, lost) {
        (Some(screen), Some(gone)) => screen.draw(&context.folded(&format!("{table}{gone}\n"))),
        (Some(screen), None) => screen.draw(&table),
        (None, _) => out::print(&format!("{table}\n")),
    }
}
