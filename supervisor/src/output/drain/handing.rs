//! The drain thread's state as data, while the thread does not run.

use super::Drain;
use super::run::{Run, RunState};
use super::settling::SETTLED;
use crate::mailbox::Post;
use crate::output::exchange::Exchange;
use crate::output::pipe::Pipe;
use crate::output::tap::Tap;
use crate::output::{Command, FromOutput};
use crate::upgrade::{Inherited, Named, Unfit};
use gob_core::RunKey;
use gob_protocol::Name;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, mpsc};
use std::time::Instant;

/// The attached runs.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::output) struct DrainState {
    runs: Vec<RunState>,
    next_id: u64,
}

impl DrainState {
    /// Checks that this program knows all watches.
    pub(in crate::output) fn check(&self) -> Result<(), Unfit> {
        self.runs.iter().try_for_each(RunState::check)
    }
}

impl Drain {
    /// Sends reports for which the loop's queue had no room.
    pub(in crate::output) fn report(&mut self) {
        self.reports.retry();
    }

    pub(in crate::output) fn has_reported(&self) -> bool {
        self.reports.due().is_none()
    }

    /// Reads again, once it runs.
    pub(in crate::output) const fn go_on(&mut self) {
        self.rests = false;
    }

    /// Gives the pipes back the room that [`Drain::squeeze`] took.
    pub(in crate::output) fn release(&mut self) {
        self.slots.pipes().for_each(Pipe::release);
    }

    /// Has the writers that never pause wait soon. True while there are such.
    pub(in crate::output) fn squeeze(&mut self) -> bool {
        self.slots.pipes().map(Pipe::squeeze).filter(|floods| *floods).count() > 0
    }

    /// Takes the workers whose logs are to be deleted, which the thread was not told in time.
    pub(in crate::output) fn forgotten(&mut self) -> Vec<Name> {
        let orders: Vec<Command> = self.orders.try_iter().collect();
        let forgotten = orders.iter().filter_map(|order| match order {
            Command::Forget(name) => Some(name.clone()),
            Command::Attach(_) | Command::Drain(_) | Command::FindAgain | Command::Flush(_) => None,
            Command::Rest | Command::GoOn | Command::Stop => None,
        });
        forgotten.collect()
    }

    pub(in crate::output) fn hand_over(&self, named: &mut Named) -> DrainState {
        DrainState {
            runs: self.slots.iter().map(|run| run.hand_over(named)).collect(),
            next_id: self.next_id,
        }
    }

    /// Goes on with runs whose pipes another program read.
    pub(in crate::output) fn resume(
        (exchange, orders, to_main): (Arc<Exchange>, mpsc::Receiver<Command>, Post<FromOutput>),
        DrainState { runs, next_id }: DrainState,
        tap: impl Fn(&RunKey) -> Arc<Tap>,
        inherited: &mut Inherited,
    ) -> Result<Self, Unfit> {
        let mut drain = Self::new(exchange, orders, to_main)?;
        drain.next_id = next_id;
        for state in runs {
            let tap = tap(state.key());
            let mut run = Run::resume(state, tap, &drain.poller, drain.slots.next(), inherited)?;
            drain.big_pipes += run.pipes.iter().flatten().filter(|pipe| pipe.big).count();
            let is_unsettled = run.is_unsettled();
            run.settles_at = is_unsettled.then(|| Instant::now() + SETTLED);
            let token = drain.slots.insert(run);
            if is_unsettled {
                drain.unsettled.push(token);
            }
        }
        Ok(drain)
    }
}
