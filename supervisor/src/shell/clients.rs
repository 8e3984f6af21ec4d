//! Clients that come, ask and go.

use super::Shell;
use crate::connection::Connection;
use crate::sys::fds::Shares;
use crate::sys::process;
use gob_core::{Ban, Begins, ConnId, Input};
use gob_protocol::{Incoming, Rejected, Request};
use std::rc::Rc;

impl Shell {
    /// Registers a connected client of the right user.
    pub(crate) fn connected(&mut self, conn: ConnId, pid: Option<i32>, connection: Rc<Connection>) {
        self.conns.insert(conn, connection);
        self.input(Input::Connected { conn, pid });
    }

    /// Handles a request of a connection.
    pub(crate) fn take_request(
        &mut self,
        conn: ConnId,
        request: Result<Incoming, Rejected>,
        ban: Option<Ban>,
    ) {
        match request {
            Ok(Incoming { id, request }) => {
                if let Some(ban) = ban {
                    self.input(Input::ProjectFile { conn, ban });
                }
                if matches!(request, Request::Start(_) | Request::Restart(_) | Request::Add(_)) {
                    self.note_room();
                }
                let lender = self.core.begins(conn, &request).and_then(|(_, lender)| lender);
                // One that can't be read stays unknown.
                if let Some(umask) = lender.and_then(process::umask) {
                    self.input(Input::Umask { conn, umask });
                }
                self.input(Input::Request { conn, id, request });
            }
            Err(rejected) => self.reply(conn, rejected.id.as_ref(), Err(&rejected.error)),
        }
    }

    /// Returns the job that a request may begin.
    pub(crate) fn begins(&self, conn: ConnId, request: &Request) -> Option<Begins> {
        self.core.begins(conn, request).map(|(job, _)| job)
    }

    /// Reports to the core whether there are descriptors for another run, when that changed.
    pub(super) fn note_room(&mut self) {
        let is_left = Shares::now().has_room(self.preparing.len(), self.conns.len());
        if std::mem::replace(&mut self.room, is_left) != is_left {
            self.input(Input::Room(is_left));
        }
    }

    /// Returns whether the end of a connection would take something from its client.
    pub(crate) fn holds(&self, conn: ConnId) -> bool {
        self.core.holds(conn)
    }

    /// Removes a connection.
    pub(crate) fn disconnected(&mut self, conn: ConnId) {
        self.conns.remove(&conn);
        self.input(Input::Disconnected { conn });
    }
}
