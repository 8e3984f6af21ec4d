//! `gobctl overview`, and bare `gobctl`: the running workers, and the commands to type next. Never starts anything.

use super::{Effect, LOOKING, Verb};
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::text::now;
use crate::{out, rows};
use gob_client::Error;
use gob_client::call::List;
use gob_client::screen::Rows;

pub(crate) const VERB: Verb = Verb {
    path: &["overview"],
    group: LOOKING,
    effect: Effect::Reads,
    about: "What runs, and what to type next; gobctl alone shows it, too",
    examples: "Examples:\n  gobctl overview\n  gobctl\n",
    run: Some(|context, _| run(context)),
    ..Verb::ROW
};

const NEXT: &str = "
  gobctl start GRAPH     start a graph's worker, or find it running
  gobctl logs -f NAME    what a worker writes
  gobctl events          what happens, live
  gobctl --help          everything else
";

/// Prints the overview.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    let (mut client, first) = match context.without_autostart().ask(List::default()) {
        Ok(answer) => answer,
        Err(Failure::Client(Error::Nobody { .. })) if !context.json => {
            let text = format!("no supervisor is running; the first start brings it up\n{NEXT}");
            return out::print(&context.folded(&text)).map(|()| 0);
        }
        Err(failure) => return Err(failure),
    };
    let reply = client.whole_list(&List::default(), first)?;
    if context.json {
        return print_data(reply.data()).map(|()| 0);
    }
    let Rows { mut workers } = reply.read_as()?;
    rows::sort(&mut workers);
    let server = client.server();
    let mut text = format!("gobd {} (pid {})", server.version, server.pid);
    if workers.is_empty() {
        text.push_str(", no workers\n");
    } else {
        text.push_str("\n\n");
        text.push_str(&rows::list(&workers, now(), context.look()));
    }
    text.push_str(&context.folded(NEXT));
    out::print(&text)?;
    Ok(0)
}
