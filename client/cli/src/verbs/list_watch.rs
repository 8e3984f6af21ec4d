//! `list --watch`: the list as it changes. A new one at each change; on a terminal in the place of the old
//! one.

use crate::context::Context;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::stream::{Stream, Told};
use crate::text::now;
use crate::{out, rows};
use gob_client::View;
use gob_client::model::Model;
use gob_client::protocol::answer::ListData;
use gob_client::protocol::request::{List, Subscribe};
use gob_client::screen::Row;
use std::io::IsTerminal;
use std::time::Duration;

/// Time between redraws on a terminal, since shown times pass.
const TICK: Duration = Duration::from_secs(1);

/// Shows the list until this program is ended.
pub(super) fn watch(context: &Context, filter: &List) -> Result<u8, Failure> {
    let wanted = Subscribe {
        owner: filter.owner.clone(),
        cwd: filter.cwd.clone(),
        snapshot: true,
        ..Subscribe::default()
    };
    let redraws = std::io::stdout().is_terminal() && !context.json;
    // A redrawn screen would be drawn over notes: they are part of it.
    let aside = Context { quiet: context.quiet || redraws, ..context.clone() };
    let mut stream = Stream::open(&aside, "list --watch", wanted)?;
    let mut model = Model::default();
    let screen = redraws.then(Screen::enter).transpose()?;
    out::end_with_reader();
    loop {
        match stream.next(redraws.then_some(TICK))? {
            Told::Subscribed(data) => drop(model.subscribed(&data)),
            // An event that this version can't parse is no change that it could show.
            Told::Frame(line) if model.apply(&line).is_err() => continue,
            Told::Frame(_) | Told::Nothing => {}
        }
        let workers: Vec<View> =
            model.workers().filter(|worker| super::list::passes(filter, worker)).cloned().collect();
        if context.json {
            let data = serde_json::to_string(&ListData { workers, next: None }).unwrap_or_default();
            out::print(&format!("{data}\n"))?;
            continue;
        }
        let mut shown: Vec<_> = workers.iter().map(Row::from).collect();
        rows::sort(&mut shown);
        let table = rows::list(&shown, now(), context.look());
        match &screen {
            Some(screen) if stream.is_lost() => {
                screen.draw(&context.folded(&format!("{table}{}\n", stream.gone())))?
            }
            Some(screen) => screen.draw(&table)?,
            None => out::print(&format!("{table}\n"))?,
        }
    }
}
