//! A new configuration, and the graphs that start with the supervisor (docs/CONFIGURATION.md).
//!
//! The shell reads the files. One that can't be used changes nothing; the reason is kept for a start that needs what stands in
//! it. Workers that run keep the kind that they were started with until their next run.

use crate::io::Effect;
use crate::refusals;
use crate::reloads::Asker;
use crate::starts::resolve;
use crate::state::Core;
use crate::worker::Next;
use alloc::boxed::Box;
use alloc::vec::Vec;
use gob_config::Reading;
use gob_protocol::answer::ReloadData;
use gob_protocol::request::Start;
use gob_protocol::{Actor, Data, Name, Owner};

impl Core {
    /// Serves `reload`; without an asker, a SIGHUP.
    pub(crate) fn reload(&mut self, asker: Option<Asker>) {
        if self.reloads.ask(asker) {
            self.cx.push(Effect::ReadConfig);
        }
    }

    /// Takes over what was read. A file that is refused keeps none of the others from taking effect.
    pub(crate) fn configured(&mut self, read: Reading) {
        let setup = &mut self.cx.setup;
        let old = &setup.settings;
        let count = read.paths().count();
        let (new, rejected) = read.settle(old);
        let (added, removed) = (old.added(&new), new.added(old));
        let changed = ReloadData { changed: old.changes(&new), added, removed };
        let answer = match rejected.is_empty() {
            true => Ok(Data::Reload(changed)),
            false => Err(refusals::config_partly(&rejected, &changed, count > rejected.len())),
        };
        let (bounds, keep_finished_ms) = (new.history, new.queue.keep_finished_ms);
        let has_other_bounds = (bounds, keep_finished_ms) != (old.history, old.queue.keep_finished_ms);
        let is_shared_otherwise = new.shared != old.shared;
        setup.settings = new;
        setup.rejected = rejected;
        if is_shared_otherwise {
            let shared = self.cx.setup.settings.shared.clone().map(Box::new);
            self.cx.push(Effect::Share(shared));
        }
        if has_other_bounds {
            self.cx.push(Effect::BoundHistory { bounds, keep_finished_ms });
        }
        let (askers, again) = self.reloads.done();
        for (conn, id) in askers {
            self.cx.reply(conn, id, answer.clone());
        }
        if again {
            self.cx.push(Effect::ReadConfig);
        }
    }

    /// The supervisor has begun: graphs with `autostart` start. They were not asked for, so they are unowned, and the command
    /// line may take them over.
    pub(crate) fn begin_life(&mut self) {
        self.locks.begin(&mut self.underway, &mut self.cx);
        if let Some(shared) = self.cx.setup.settings.shared.clone() {
            self.cx.push(Effect::Share(Some(Box::new(shared))));
        }
        let settings = &self.cx.setup.settings;
        let names: Vec<Name> = settings.autostart().filter_map(|name| Name::graph(name).ok()).collect();
        for graph in names {
            let start = Start { graph: Some(graph), ..Start::default() };
            let (owner, actor) = (Owner::unknown(), Actor::Supervisor);
            // The reason that keeps one from being added is in the configuration and was told there.
            let Ok(name) = resolve(&start, &owner, &actor, &mut self.workers, &mut self.cx) else { continue };
            if let Some(worker) = self.workers.get_mut(&name)
                && worker.find_kind(&mut self.cx).is_ok()
            {
                let next = Next {
                    owner: Some(owner.clone()),
                    lease: Some(false),
                    actor,
                    env: None,
                    umask: None,
                    attached: None,
                };
                worker.ensure(&owner, next, &mut self.cx);
            }
        }
    }
}
