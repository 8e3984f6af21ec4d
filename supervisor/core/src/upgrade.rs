//! `upgrade`: who may ask for it, one at a time, and its answer, which another program of the supervisor may give.
//!
//! The shell tries the new program, replaces this one by it, and says what became of that. Workers and clients are no part of it.

use crate::conns::Caller;
use crate::cx::Cx;
use crate::ids::ConnId;
use crate::io::Effect;
use crate::owner::may_force;
use crate::refusals;
use crate::workers::Workers;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::answer::{KeeperUpgrade, Program, UpgradeData};
use gob_protocol::request::Upgrade;
use gob_protocol::{Actor, Data, EventKind, Id, Name, Owner, WireError};
use serde::{Deserialize, Serialize};

/// The upgrade that is under way, if one is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Upgrading(Option<Asked>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Asked {
    conn: ConnId,
    id: Option<Id>,
    actor: Actor,
    /// The program that asks to be replaced, once the new one was tried.
    from: Option<Program>,
    /// The program that took over, while the keeper is brought along.
    #[serde(default)]
    to: Option<Program>,
    /// The one who asked has left.
    #[serde(default)]
    is_alone: bool,
}

impl Upgrading {
    /// Takes a request.
    pub(crate) fn ask(&mut self, caller: &Caller, Upgrade { exe }: Upgrade, workers: &Workers, cx: &mut Cx) {
        if let Err(refused) = may(caller.owner(), workers, cx).and_then(|()| self.is_free()) {
            return cx.answer(caller, Err(refused));
        }
        let (conn, id, actor) = (caller.conn, caller.id.clone(), caller.actor());
        self.0 = Some(Asked { conn, id, actor, from: None, to: None, is_alone: false });
        cx.push(Effect::TryProgram { exe });
    }

    fn is_free(&self) -> Result<(), Box<WireError>> {
        if self.0.is_some() { Err(refusals::upgrade_is_on()) } else { Ok(()) }
    }

    /// The new program was tried, or could not be.
    pub(crate) fn tried(&mut self, tried: Result<Program, String>, cx: &mut Cx) {
        match (tried, &mut self.0) {
            (Ok(from), Some(asked)) => {
                asked.from = Some(from);
                cx.push(Effect::Replace);
            }
            (Err(why), _) => self.failed(&why, cx),
            (Ok(_), None) => {}
        }
    }

    /// The program was not replaced.
    pub(crate) fn failed(&mut self, why: &str, cx: &mut Cx) {
        self.end(Err(refusals::upgrade_failed(why)), cx);
    }

    /// The supervisor is to end: nothing takes its place any more.
    pub(crate) fn give_up(&mut self, cx: &mut Cx) {
        if self.0.as_ref().is_some_and(|asked| asked.to.is_none()) {
            self.end(Err(refusals::shutting_down()), cx);
        }
    }

    /// The supervisor ends, and its keeper with it: a program that took over says no more about that.
    pub(crate) fn finish(&mut self, cx: &mut Cx) {
        self.answer(None, cx);
    }

    /// This is the new program. The keeper is to have the one that belongs to it, before the request is answered.
    pub(crate) fn done(&mut self, to: Program, cx: &mut Cx) {
        cx.setup.server.version.clone_from(&to.version);
        let actor = self.0.as_ref().map_or(Actor::Supervisor, |asked| asked.actor.clone());
        cx.publish(EventKind::SupervisorUpgraded, actor, None);
        if let Some(asked) = &mut self.0 {
            asked.to = Some(to);
        }
        self.owed().into_iter().for_each(|effect| cx.push(effect));
    }

    /// Returns what is still to be done after an upgrade.
    pub(crate) fn owed(&self) -> Option<Effect> {
        self.0.as_ref().filter(|asked| asked.to.is_some()).map(|_| Effect::BringKeeper)
    }

    /// The keeper goes on with the program that belongs to this one, or with its own.
    pub(crate) fn keeper(&mut self, keeper: KeeperUpgrade, cx: &mut Cx) {
        self.answer(Some(keeper), cx);
    }

    fn answer(&mut self, keeper: Option<KeeperUpgrade>, cx: &mut Cx) {
        if let Some(Asked { from, to: Some(to), .. }) = &self.0 {
            let (from, to) = (from.as_ref().unwrap_or(to).clone(), to.clone());
            self.end(Ok(Data::Upgrade(Box::new(UpgradeData { from, to, keeper }))), cx);
        }
    }

    /// A client leaves.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        if let Some(asked) = self.0.as_mut().filter(|asked| asked.conn == conn) {
            asked.is_alone = true;
        }
    }

    /// Returns the request that is under way.
    #[cfg(test)]
    pub(crate) fn asked_by(&self) -> Option<(ConnId, Option<Id>)> {
        self.0.as_ref().filter(|asked| !asked.is_alone).map(|asked| (asked.conn, asked.id.clone()))
    }

    fn end(&mut self, answer: Result<Data, Box<WireError>>, cx: &mut Cx) {
        if let Some(Asked { conn, id, is_alone: false, .. }) = self.0.take() {
            cx.reply(conn, id, answer);
        }
    }
}

/// Decides whether an owner may replace the program that all workers depend on.
fn may(requester: &Owner, workers: &Workers, cx: &Cx) -> Result<(), Box<WireError>> {
    let forced = &cx.setup.settings.force_owners;
    if may_force(forced, requester) {
        return Ok(());
    }
    let live = workers.values().filter(|worker| worker.is_running());
    let others = live.filter(|worker| !worker.title().may_manage(requester));
    let others: Vec<(&Name, &Owner)> = others.map(|worker| (&worker.name, worker.owner())).collect();
    Err(refusals::may_not_upgrade(&others, requester, forced))
}
