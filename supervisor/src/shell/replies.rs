//! Moves replies and events from the core to the connections' queues.

use super::Shell;
use gob_core::{ConnId, Input, RunKey};
use gob_protocol::envelope::write_response;
use gob_protocol::{Data, Event, Id, View, WireError};
use std::rc::Rc;

impl Shell {
    /// Writes the frames queued in this turn of the loop, as far as the sockets take them: to the connections in the order in
    /// which they got them, so that the first ones read while the last ones are written to.
    pub(crate) fn flush(&mut self) {
        let mut next = 0;
        while let Some(conn) = self.touched.get(next).copied() {
            next += 1;
            let Some(connection) = self.conns.get(&conn) else { continue };
            let outbound = &connection.outbound;
            if connection.flush() {
                outbound.changed.ring();
            }
            if let Some(frames) = outbound.take_written() {
                self.input(Input::Written { conn, frames });
            }
        }
        self.touched.clear();
    }

    /// Returns whether a client has still to take frames.
    pub(crate) fn has_unsent(&self) -> bool {
        self.conns.values().any(|connection| !connection.outbound.is_empty())
    }

    pub(super) fn reply(&mut self, conn: ConnId, id: Option<&Id>, result: Result<&Data, &WireError>) {
        let Some(connection) = self.conns.get(&conn) else { return };
        connection.outbound.reply(|out| {
            if let Err(e) = write_response(out, id, result) {
                write_response::<()>(out, id, Err(&gob_core::unwritable(&e))).unwrap_or_default();
            }
        });
        self.touch(conn);
    }

    /// Adds the time of a worker's last output, which only the data plane knows.
    pub(super) fn add_last_output(&self, data: &mut Data) {
        let add = |view: &mut View| {
            let key = RunKey { name: view.name.clone(), run: view.run };
            view.last_output_at = self.taps.get(&key).and_then(|tap| tap.last_output_at());
        };
        match data {
            Data::Start(data) => add(&mut data.worker),
            Data::Create(data) => add(&mut data.worker),
            Data::Stop(data) => add(&mut data.worker),
            Data::Worker(data) => add(&mut data.worker),
            Data::List(data) => data.workers.iter_mut().for_each(add),
            Data::Subscribe(data) => data.workers.iter_mut().flatten().for_each(add),
            Data::Hello(_) | Data::Ping(_) | Data::Removed(_) | Data::Nuke(_) | Data::Shutdown(_) => {}
            Data::Reload(_) | Data::Status(_) | Data::Empty(_) | Data::Upgrade(_) => {}
            Data::Graphs(_) | Data::GraphDelete(_) => {}
            Data::Runs(_) | Data::RunsDelete(_) | Data::Stats(_) | Data::Blame(_) | Data::History(_) => {}
            Data::QueueAdd(_) | Data::QueueJob(_) | Data::QueueClaim(_) | Data::QueueList(_) => {}
            Data::QueueLane(_) | Data::Schedule(_) | Data::ScheduleList(_) | Data::ScheduleRemove(_) => {}
            Data::Ports(_) => {}
            Data::LockAcquire(_) | Data::LockStatus(_) | Data::LockBreak(_) => {}
        }
    }

    pub(super) fn publish(&mut self, event: &Event, owned: bool, to: &[ConnId]) {
        if to.is_empty() {
            return;
        }
        let mut event = event.clone();
        if let Some(view) = &mut event.worker {
            view.owned = owned;
        }
        self.send_event(to, &event);
    }

    pub(super) fn send_event<T: serde::Serialize>(&mut self, to: &[ConnId], event: &T) {
        let Ok(mut frame) = serde_json::to_vec(event) else { return };
        frame.push(b'\n');
        let frame: Rc<[u8]> = frame.into();
        for conn in to {
            if let Some(connection) = self.conns.get(conn) {
                connection.outbound.event(Rc::clone(&frame));
                self.touch(*conn);
            }
        }
    }

    pub(super) fn touch(&mut self, conn: ConnId) {
        if self.touched.last() != Some(&conn) {
            self.touched.push(conn);
        }
    }
}
