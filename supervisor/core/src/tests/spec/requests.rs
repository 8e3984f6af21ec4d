//! The consequences of a request: the right to make it, the wishes that it changes, and the runs that must begin.

use super::*;
use gob_protocol::request::Add;

impl Spec {
    pub(super) fn request(
        &mut self,
        core: &Core,
        conn: ConnId,
        requester: &Owner,
        request: &Request,
        now: u64,
        expect: &mut Expect,
    ) {
        if self.of_a_holder(core, requester, request, expect) {
            return;
        }
        let wishes = &self.wishes;
        let may_manage_ours =
            |worker: &Worker| wishes.get(&worker.name).is_some_and(|wish| wish.may_manage(requester));
        let mut about = |name: &Name| {
            let worker = core.workers.get(name)?;
            let (stand, may) = match worker.holder() {
                Some(holder) => (Stand::External, may_manage(&holder.owner, None, requester)),
                None => (stand(worker), may_manage_ours(worker)),
            };
            expect.refused = !may;
            (may && stand != Stand::External).then_some(stand)
        };
        match request {
            Request::Start(start) if !self.ending => self.start(core, conn, requester, start, now, expect),
            Request::Add(add) if !self.ending => self.add(core, conn, requester, add, now, expect),
            Request::Create(add) if !self.ending && !is_graph(core, add) => {
                if let Some(name) = &add.name {
                    self.wishes.entry(name.clone()).or_insert_with(|| Wish::new(requester));
                }
            }
            Request::Restart(restart) if !self.ending => {
                if let Some(stand) = about(&restart.name) {
                    expect.run = served_by(core, &restart.name) + u64::from(stand == Stand::Up);
                    self.restart(core, requester, restart, stand, expect);
                }
            }
            Request::Stop(stop) => {
                if about(&stop.name).is_some()
                    && let Some(wish) = self.wishes.get_mut(&stop.name)
                {
                    wish.down = true;
                    wish.queued = None;
                }
            }
            Request::Signal(signal) => {
                about(&signal.name);
            }
            Request::HandOver(to) if !self.ending => {
                if about(&to.name).is_some()
                    && let Some(wish) = self.wishes.get_mut(&to.name)
                    && wish.hand_over(&to.to)
                {
                    expect.announced.push(to.name.clone());
                }
            }
            Request::Remove(which) if !self.ending => {
                if let Some(Stand::Rest | Stand::Backoff) = about(&which.name) {
                    self.wishes.remove(&which.name);
                    expect.removed.push(which.name.clone());
                }
            }
            Request::Cleanup if !self.ending => {
                let down = core.workers.values().filter(|worker| stand(worker) == Stand::Rest);
                let removed: Vec<Name> =
                    down.filter(|worker| may_manage_ours(worker)).map(|worker| worker.name.clone()).collect();
                removed.iter().for_each(|name| drop(self.wishes.remove(name)));
                expect.removed.extend(removed);
            }
            Request::Nuke(force) | Request::Shutdown(force) if !self.ending => {
                let live =
                    |worker: &&Worker| matches!(stand(worker), Stand::Starting | Stand::Up | Stand::Ending);
                let mut live = core.workers.values().filter(live);
                let forced = force.force && FORCE_OWNERS.contains(&requester.as_str());
                expect.refused = !forced && live.any(|worker| !may_manage_ours(worker));
                if !expect.refused {
                    self.all_down();
                }
            }
            Request::Lease(which) if !self.ending => self.lease(core, conn, requester, &which.name, expect),
            Request::Release(which) => {
                if let Some(wish) = self.wishes.get_mut(&which.name) {
                    wish.drop_lease(conn, now);
                }
            }
            _other => {}
        }
    }

    fn add(
        &mut self,
        core: &Core,
        conn: ConnId,
        requester: &Owner,
        add: &Add,
        now: u64,
        expect: &mut Expect,
    ) {
        if !is_graph(core, add) {
            let start = Start { name: add.name.clone(), lease: add.lease, ..Start::default() };
            self.start(core, conn, requester, &start, now, expect);
        }
    }

    fn lease(&mut self, core: &Core, conn: ConnId, requester: &Owner, name: &Name, expect: &mut Expect) {
        let ours = core.workers.get(name).is_some_and(|worker| stand(worker) != Stand::External);
        let Some(wish) = self.wishes.get_mut(name) else { return };
        if ours && wish.owner.is_unknown() && wish.last.as_ref() == Some(requester) {
            wish.hand_over(requester);
            expect.announced.push(name.clone());
        }
        lease(wish, conn, requester);
    }

    /// `stop` and `restart` of what is not ours; false for all else.
    fn of_a_holder(
        &mut self,
        core: &Core,
        requester: &Owner,
        request: &Request,
        expect: &mut Expect,
    ) -> bool {
        let (Request::Stop(Stop { name, .. }) | Request::Restart(Restart { name, .. })) = request else {
            return false;
        };
        let Some(worker) = core.workers.get(name) else { return false };
        let Some(holder) = worker.holder() else { return false };
        let may = may_manage(&holder.owner, None, requester);
        expect.refused = !may;
        let polite = worker.spec.policy.stop.http.is_some();
        let restart = matches!(request, Request::Restart(_));
        if let Some(wish) = self.wishes.get_mut(name).filter(|_| may && polite && !(restart && self.ending)) {
            wish.after_holder = restart.then(|| requester.clone());
            wish.down = !restart;
            expect.run = worker.run + 1;
        }
        true
    }

    fn start(
        &mut self,
        core: &Core,
        conn: ConnId,
        requester: &Owner,
        start: &Start,
        now: u64,
        expect: &mut Expect,
    ) {
        let Some(name) = start.name.as_ref().or(start.graph.as_ref()) else { return };
        let is_job = core.workers.get(name).is_some_and(|known| known.spec.job().is_some());
        if is_job && start.graph.is_some() {
            return;
        }
        let kind = core.cx.setup.kind_for(name, None).map(|(_, kind)| kind.foreign.graph_dir_encoding);
        if kind.is_ok_and(|encoding| !is_safe_dir(&encoding.dir_of(name))) {
            return;
        }
        let wish = self.wishes.entry(name.clone()).or_insert_with(|| Wish::new(requester));
        if start.lease {
            lease(wish, conn, requester);
        }
        expect.run = served_by(core, name);
        let stand = core.workers.get(name).map_or(Stand::Rest, stand);
        expect.outcome = Some(match stand {
            Stand::External => Outcome::External,
            Stand::Rest | Stand::Backoff => {
                wish.begin(Some(requester.clone()), Some(start.lease), now);
                expect.begins(core, name);
                Outcome::Started
            }
            Stand::Ending if wish.queued.is_none() => {
                let owner = (*requester != wish.owner).then(|| requester.clone());
                wish.queued = Some(Queued { owner, lease: Some(start.lease) });
                Outcome::Started
            }
            Stand::Ending | Stand::Starting | Stand::Up => take_over(wish, name, requester, expect),
        });
        wish.down &= stand == Stand::External;
    }

    fn restart(
        &mut self,
        core: &Core,
        requester: &Owner,
        restart: &Restart,
        stand: Stand,
        expect: &mut Expect,
    ) {
        let Some(wish) = self.wishes.get_mut(&restart.name) else { return };
        if wish.owner.is_unknown() && wish.hand_over(requester) {
            expect.announced.push(restart.name.clone());
        }
        wish.down = false;
        let last = wish.last_of_next();
        match stand {
            Stand::Rest | Stand::Backoff => expect.begins(core, &restart.name),
            Stand::Up | Stand::Ending => {
                let queued = wish.queued.get_or_insert(Queued { owner: None, lease: None });
                queued.owner.iter_mut().filter(|owner| owner.is_unknown()).for_each(|owner| {
                    if may_manage(owner, last.as_ref(), requester) {
                        owner.clone_from(requester);
                    }
                });
            }
            Stand::Starting | Stand::External => {}
        }
    }
}

/// Tells whether the name of a job that is to be is a graph's.
fn is_graph(core: &Core, add: &Add) -> bool {
    let known = add.name.as_ref().and_then(|name| core.workers.get(name));
    known.is_some_and(|known| known.spec.graph().is_some())
}

/// The run that a start is served by: the one there is, or the next one.
fn served_by(core: &Core, name: &Name) -> u64 {
    let Some(worker) = core.workers.get(name) else {
        // Numbers go on where those of a removed worker ended.
        return core.cx.past.last_run(name) + 1;
    };
    let next = matches!(stand(worker), Stand::Rest | Stand::Backoff | Stand::Ending);
    worker.run + u64::from(next)
}
