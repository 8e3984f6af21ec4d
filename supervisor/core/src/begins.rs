//! Requests that begin a run: `start`, `add` and `create`.

use crate::adds;
use crate::conns::Caller;
use crate::history;
use crate::refusals;
use crate::starts::resolve;
use crate::state::Core;
use crate::underway::Adding;
use alloc::boxed::Box;
use gob_protocol::Data;
use gob_protocol::answer::CreateData;
use gob_protocol::request::{Add, Start};

impl Core {
    pub(crate) fn start(&mut self, caller: &Caller, start: Start) {
        match resolve(&start, caller.owner(), &caller.actor(), &mut self.workers, &mut self.cx) {
            Err(error) => self.cx.answer(caller, Err(error)),
            Ok(name) => {
                self.conns.involve(caller.conn, &name);
                if let Some(worker) = self.workers.get_mut(&name) {
                    if worker.spec.queued().is_some() {
                        return self.cx.answer(caller, Err(refusals::of_the_queue(&name)));
                    }
                    worker.start(caller, start, &mut self.cx);
                }
                history::has_begun(&name, &mut self.workers, &mut self.underway, &mut self.cx);
            }
        }
    }

    /// `add`, which `runs` the job too, and `create`. One that needs a number waits where none is left.
    pub(crate) fn add(&mut self, caller: &Caller, add: Add, runs: bool) {
        if adds::needs_number(&add, &self.workers) {
            history::look_for_numbers(&mut self.underway, &mut self.cx);
            if self.cx.past.numbers_left() == 0 {
                let (conn, id) = (caller.conn, caller.id.clone());
                return self.underway.waits(Adding { conn, id, add, runs });
            }
        }
        let job = adds::resolve(&add, caller.owner(), &caller.actor(), &mut self.workers, &mut self.cx);
        let (name, created) = match job {
            Ok(found) => found,
            Err(error) => return self.cx.answer(caller, Err(error)),
        };
        self.conns.involve(caller.conn, &name);
        let Add { env, wait, lease, attached, .. } = add;
        match self.workers.get_mut(&name) {
            Some(worker) if runs => {
                let start = Start { env, wait, lease, ..Start::default() };
                worker.start_for(caller, start, attached.then_some(caller.conn), &mut self.cx);
            }
            Some(worker) => {
                let worker = worker.view_for(caller.owner());
                let data = Data::Create(Box::new(CreateData { worker, created }));
                self.cx.answer(caller, Ok(data));
            }
            None => {}
        }
        history::has_begun(&name, &mut self.workers, &mut self.underway, &mut self.cx);
    }
}
