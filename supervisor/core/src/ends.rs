//! The supervisor itself comes to its end: `nuke`, `shutdown`, a signal, or the death of its keeper.
//!
//! Every worker is stopped in order; when the last one is down, the asker is answered and the process ends.

use crate::chronicle::Recorded;
use crate::history;
use crate::io::Effect;
use crate::lanes::Unfinished;
use crate::leaving::Left;
use crate::refusals;
use crate::reloads::Asker;
use crate::state::Core;
use crate::worker::Worker;
use alloc::vec::Vec;
use gob_protocol::answer::{NukeData, ShutdownData};
use gob_protocol::{Actor, Data, EventKind, Name};

impl Core {
    /// A signal, or the keeper's death.
    pub(crate) fn terminate(&mut self) {
        if !self.cx.leaving.is_on() {
            return self.begin_end(None, false, &Actor::Supervisor);
        }
        // Asked twice: there is no patience left.
        self.bring_all_down(Some(0), &Actor::Supervisor);
    }

    /// Begins the end.
    pub(crate) fn begin_end(&mut self, asked_by: Option<Asker>, nuke: bool, actor: &Actor) {
        let running = self.workers.values().filter(|worker| worker.is_running());
        let running: Vec<Name> = running.map(|worker| worker.name.clone()).collect();
        self.cx.leaving.begin(asked_by, running, nuke);
        self.cx.publish(EventKind::SupervisorStopping, actor.clone(), None);
        self.upgrade.give_up(&mut self.cx);
        for worker in self.workers.values_mut() {
            worker.let_holder_be(&mut self.cx);
        }
        self.bring_all_down(None, actor);
    }

    fn bring_all_down(&mut self, grace_ms: Option<u64>, actor: &Actor) {
        for worker in self.workers.values_mut() {
            worker.bring_down(grace_ms, actor, &mut self.cx);
        }
    }

    /// Ends the process once nothing runs any more.
    pub(crate) fn finish_end(&mut self) {
        if !self.cx.leaving.is_due()
            || self.workers.values().any(Worker::is_running)
            || self.lanes.is_settling()
        {
            return;
        }
        let Some(Left { asked_by, stopped, nuke, mut survivors }) = self.cx.leaving.finish() else { return };
        survivors.extend(self.cx.past.leftovers().iter().map(|left| left.process.clone()));
        let unfinished = match self.lanes.unfinished {
            Unfinished::Kept(count) => Some(count).filter(|_| nuke),
            Unfinished::Unasked | Unfinished::Asked | Unfinished::None => None,
        };
        self.upgrade.finish(&mut self.cx);
        if let Some((conn, id)) = asked_by {
            let answer = if !survivors.is_empty() {
                Err(refusals::ended_without(survivors, &stopped))
            } else if nuke {
                Ok(Data::Nuke(NukeData {
                    stopped,
                    removed: self.workers.keys().cloned().collect(),
                    unfinished: unfinished.unwrap_or_default(),
                }))
            } else {
                Ok(Data::Shutdown(ShutdownData { stopped }))
            };
            self.cx.reply(conn, id, answer);
        }
        history::give_back_numbers(&mut self.cx);
        if unfinished.is_some() {
            // The store stays, and no worker's history in it.
            let forgotten = self.workers.keys().cloned().map(Recorded::Forgotten);
            forgotten.for_each(|forgotten| self.cx.push(Effect::Record(forgotten)));
        }
        self.locks.finish(&mut self.cx);
        self.cx.push(Effect::Exit { nuke, keeps_queue: unfinished.is_some() });
    }
}
