//! How the supervisor itself comes to its end: `nuke`, `shutdown`, a signal, or the death of its keeper.
//!
//! Every worker is stopped in order; when the last one is down, who asked is answered and the process ends.

use crate::Core;
use crate::io::{ConnId, Effect};
use crate::lifecycle::survived;
use crate::owner::{may_force, owned_by_other};
use crate::worker::Worker;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::answer::{NukeData, ShutdownData};
use gob_protocol::{Actor, Data, EventKind, Id, Name, Owner, Receipt, Survivor};

#[derive(Debug, Clone)]
pub(crate) struct Ending {
    pub(crate) asked_by: Option<(ConnId, Option<Id>)>,
    stopped: Vec<Name>,
    nuke: bool,
    /// What can't be ended, and stays.
    survivors: Vec<Survivor>,
    /// Who asked was answered and the process is told to end; nothing may start any more.
    pub(crate) done: bool,
}

impl Core {
    /// `nuke` and `shutdown`.
    pub(crate) fn end(&mut self, conn: ConnId, id: Option<Id>, force: bool, nuke: bool) {
        let requester = self.requester(conn);
        let live = |worker: &&Worker| worker.is_running();
        let foreign: Vec<&Worker> = self
            .workers
            .values()
            .filter(live)
            .filter(|worker| !worker.title().may_manage(&requester))
            .collect();
        if let Some(first) = foreign.first()
            && !(force && may_force(&self.config.settings.force_owners, &requester))
        {
            let mut error = owned_by_other(first, &requester);
            let all: Vec<_> = foreign
                .iter()
                .map(|worker| serde_json::json!({"worker": worker.name.as_str(), "owner": worker.owner.as_str()}))
                .collect();
            let verb = if nuke { "nuke" } else { "shutdown" };
            error.message = format!(
                "{} live worker(s) belong to others, such as {} of {}; you are {requester}",
                all.len(),
                first.name,
                first.owner
            );
            error.hint = Some(self.way_to_end_all(verb, &requester));
            if let Some(details) = error.details.as_mut().and_then(serde_json::Value::as_object_mut) {
                details.insert("workers".into(), all.into());
            }
            return self.reply(conn, id, Err(error));
        }
        let actor = self.actor(conn);
        self.begin_ending(Some((conn, id)), nuke, &actor);
    }

    /// What a requester can do that may not end every worker.
    fn way_to_end_all(&self, verb: &str, requester: &Owner) -> String {
        let force_owners = &self.config.settings.force_owners;
        if may_force(force_owners, requester) {
            return format!("end them too: gobctl {verb} --force");
        }
        let owners: Vec<&str> = force_owners.iter().map(Owner::as_str).collect();
        let who = if owners.is_empty() { "nobody".into() } else { owners.join(", ") };
        format!("ask their owners to stop them; --force is for {who} (force_owners in the configuration)")
    }

    /// A signal, or the keeper's death.
    pub(crate) fn terminate(&mut self) {
        if self.ending.is_none() {
            return self.begin_ending(None, false, &Actor::Supervisor);
        }
        // Asked twice: whoever asks has no patience left.
        let all: Vec<Name> = self.workers.keys().cloned().collect();
        for name in all {
            self.bring_down(&name, Some(0), &Actor::Supervisor);
        }
    }

    fn begin_ending(&mut self, asked_by: Option<(ConnId, Option<Id>)>, nuke: bool, actor: &Actor) {
        let running: Vec<Name> = self
            .workers
            .values()
            .filter(|worker| worker.is_running())
            .map(|worker| worker.name.clone())
            .collect();
        self.ending = Some(Ending { asked_by, stopped: running, nuke, survivors: Vec::new(), done: false });
        self.publish(EventKind::SupervisorStopping, actor.clone(), None);
        self.let_holders_be();
        let all: Vec<Name> = self.workers.keys().cloned().collect();
        for name in all {
            self.bring_down(&name, None, actor);
        }
    }

    /// The connection ended: if it asked for the end, nobody waits for the answer.
    pub(crate) fn forget_asker(&mut self, conn: ConnId) {
        if let Some(ending) = &mut self.ending {
            ending.asked_by.take_if(|(asker, _)| *asker == conn);
        }
    }

    /// Something of a worker can't be ended: the end comes without it.
    pub(crate) fn ends_without(&mut self, name: &Name, survivors: &[Survivor]) {
        if let Some(ending) = &mut self.ending {
            ending.stopped.retain(|stopped| stopped != name);
            ending.survivors.extend_from_slice(survivors);
        }
    }

    /// Ends the process once nothing runs any more.
    pub(crate) fn finish_ending(&mut self) {
        let Some(ending) = &mut self.ending else { return };
        if ending.done || self.workers.values().any(Worker::is_running) {
            return;
        }
        ending.done = true;
        let (asked_by, stopped, nuke) =
            (ending.asked_by.take(), core::mem::take(&mut ending.stopped), ending.nuke);
        let survivors = core::mem::take(&mut ending.survivors);
        if let Some((conn, id)) = asked_by {
            if !survivors.is_empty() {
                let mut error = survived("workers", &survivors);
                error.message.push_str("; the supervisor has ended without them");
                let receipt = Receipt { signalled: Vec::new(), survivors };
                let error = error.details(serde_json::json!({"receipt": receipt, "stopped": stopped}));
                self.reply(conn, id, Err(Box::new(error)));
                return self.out.push(Effect::Exit { nuke });
            }
            let data = if nuke {
                Data::Nuke(NukeData { stopped, removed: self.workers.keys().cloned().collect() })
            } else {
                Data::Shutdown(ShutdownData { stopped })
            };
            self.reply(conn, id, Ok(data));
        }
        self.out.push(Effect::Exit { nuke });
    }
}
