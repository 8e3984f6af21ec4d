//! Connections: for whom each one speaks, and which workers may hold something of it.

use crate::ban::Ban;
use crate::ids::ConnId;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use gob_protocol::view::LeaseHolder;
use gob_protocol::{Actor, Id, Name, Owner};
use serde::{Deserialize, Serialize};

/// All connections.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Conns(BTreeMap<ConnId, Conn>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Conn {
    who: Arc<LeaseHolder>,
    said_hello: bool,
    /// The umask of the client's process at its latest request that needs one.
    #[serde(default)]
    umask: Option<u32>,
    /// The word of a project file on the job that its next request may begin.
    #[serde(default)]
    ban: Option<Box<Ban>>,
    /// Workers that may hold a waiter or a lease of this connection; each of them exists.
    involved: BTreeSet<Name>,
}

/// A request's origin.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) conn: ConnId,
    /// The client's name for the request.
    pub(crate) id: Option<Id>,
    pub(crate) who: Arc<LeaseHolder>,
    /// The umask of its process, where that was looked up.
    pub(crate) umask: Option<u32>,
}

impl Caller {
    pub(crate) fn owner(&self) -> &Owner {
        &self.who.owner
    }

    /// The caller as events name it.
    pub(crate) fn actor(&self) -> Actor {
        actor_of(&self.who)
    }
}

/// A party as events name it.
pub(crate) fn actor_of(who: &LeaseHolder) -> Actor {
    let LeaseHolder { owner, client, pid } = who;
    Actor::Client { owner: owner.clone(), client: client.as_deref().map(Into::into), pid: *pid }
}

impl Conns {
    /// Adds a connection, whose owner is `unknown` until its hello.
    pub(crate) fn connect(&mut self, conn: ConnId, pid: Option<i32>) {
        let who = Arc::new(LeaseHolder { owner: Owner::unknown(), client: None, pid });
        self.0
            .insert(conn, Conn { who, said_hello: false, umask: None, ban: None, involved: BTreeSet::new() });
    }

    /// Removes a connection. Returns its party and the workers that may hold something of it.
    pub(crate) fn disconnect(&mut self, conn: ConnId) -> Option<(Arc<LeaseHolder>, BTreeSet<Name>)> {
        self.0.remove(&conn).map(|gone| (gone.who, gone.involved))
    }

    /// The origin of a request, as long as its connection is there.
    pub(crate) fn caller(&self, conn: ConnId, id: Option<Id>) -> Option<Caller> {
        self.0.get(&conn).map(|state| Caller { conn, id, who: Arc::clone(&state.who), umask: state.umask })
    }

    /// Notes the umask of a client's process.
    pub(crate) fn has_umask(&mut self, conn: ConnId, umask: u32) {
        if let Some(state) = self.0.get_mut(&conn) {
            state.umask = Some(umask);
        }
    }

    /// Notes what a project file says of the job that the next request may begin.
    pub(crate) fn has_ban(&mut self, conn: ConnId, ban: Ban) {
        if let Some(state) = self.0.get_mut(&conn) {
            state.ban = Some(Box::new(ban));
        }
    }

    /// Takes the word of the project file on the job of this request, if it was read.
    pub(crate) fn take_ban(&mut self, conn: ConnId) -> Option<Box<Ban>> {
        self.0.get_mut(&conn)?.ban.take()
    }

    /// Binds a connection to its owner; false when it is bound already.
    pub(crate) fn hello(&mut self, conn: ConnId, owner: Owner, client: Option<String>) -> bool {
        let Some(state) = self.0.get_mut(&conn).filter(|state| !state.said_hello) else { return false };
        state.said_hello = true;
        state.who = Arc::new(LeaseHolder { owner, client: client.map(Into::into), pid: state.who.pid });
        true
    }

    /// Notes that the worker has something of the connection's that ends with it.
    pub(crate) fn involve(&mut self, conn: ConnId, name: &Name) {
        if let Some(state) = self.0.get_mut(&conn) {
            state.involved.insert(name.clone());
        }
    }

    /// Forgets a worker that is gone.
    pub(crate) fn forget(&mut self, name: &Name) {
        for state in self.0.values_mut() {
            state.involved.remove(name);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_forgets_removed_workers() {
        let mut conns = Conns::default();
        let name = |number: u32| Name::graph(&alloc::format!("w{number}")).unwrap();
        conns.connect(ConnId(1), None);
        for number in 0..1_000 {
            conns.involve(ConnId(1), &name(number));
            if number > 0 {
                conns.forget(&name(number));
            }
        }
        let (_, involved) = conns.disconnect(ConnId(1)).unwrap();
        assert_eq!(involved.into_iter().collect::<alloc::vec::Vec<_>>(), [name(0)]);
    }
}
