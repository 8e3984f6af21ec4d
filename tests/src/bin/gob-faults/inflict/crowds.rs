//! Faults of many processes at once: workers that die together, a storm of forks, a tree of another user, and a supervisor that
//! can't mark what it starts.

use super::{ANSWER, Inflict, Inflicted, Outcome, Undo, done, nobody};
use crate::link::{Link, Lost};
use crate::shared::Shared;
use crate::truth;
use gob_tests::process::{self, Handle};
use gob_tests::script::{Child, Step};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::{Duration, Instant};

/// A worker that is started for a storm alone.
const STORM: &str = "storm";
/// Processes of a storm, each of which goes on as its own child after a pause, for fifteen seconds.
const FORKS: usize = 300;
const HOPS: u32 = 300;
const HOP_US: u32 = 50_000;
/// Time limit of a ping during a storm that keeps every processor busy. A supervisor that serves it last
/// needs as long as the storm.
const SERVED: Duration = Duration::from_secs(2);
/// The grace of the fleet's kind, and the time for the end of a tree beyond it on a busy machine.
const STOPPED: Duration = Duration::from_millis(400 + 5_000);
/// A worker with a process of another user.
const GUEST: &str = "guest";
/// The user to whom that process belongs.
const NOBODY: u32 = 65_534;

impl Inflict<'_> {
    /// Kills several leaders so that the supervisor hears of all of them at once.
    pub(super) fn die_together(&mut self) -> Inflicted {
        let truth = truth::scan(&self.shared.gob);
        let leaders: Vec<(&str, Handle)> = truth
            .leaders()
            .filter(|(name, _)| *name != STORM)
            .filter_map(|(name, proc)| Some((name, Handle::open(proc.pid)?)))
            .collect();
        if leaders.len() < 2 {
            return nobody("there are no two workers");
        }
        let Some((gobd, ..)) = self.gobd() else { return nobody("no supervisor answers") };
        gobd.signal(Signal::SIGSTOP);
        for (_, handle) in &leaders {
            self.shared.judge.touches(handle.pid, Signal::SIGKILL.as_str());
            handle.signal(Signal::SIGKILL);
        }
        gobd.signal(Signal::SIGCONT);
        done(format!("killed {} leaders at once", leaders.len()))
    }

    /// Runs hundreds of processes that go on as their own children. Other clients are served meanwhile, and a
    /// stop ends them all.
    pub(super) fn fork_storm(&mut self) -> Inflicted {
        let gob = &self.shared.gob;
        let hops = Child { setsid: true, hops: HOPS, hop_us: HOP_US, ..Child::default() };
        let mut script = vec![Step::Listen, Step::Handshake];
        script.extend(std::iter::repeat_n(Step::Child(hops), FORKS));
        gob.script(STORM, &script);
        let mut link = match self.link() {
            Ok(Some(link)) => link,
            Ok(None) => return nobody("nobody accepts"),
            Err(lie) => return Err(lie),
        };
        let begin = Instant::now();
        if let Err(why) = start(&mut link, STORM) {
            return why;
        }
        let mut slowest = Duration::ZERO;
        while begin.elapsed() < Duration::from_secs(1) {
            let asked = Instant::now();
            match link.ok("ping", json!({}), ANSWER) {
                Ok(_) => slowest = slowest.max(asked.elapsed()),
                Err(Lost::Ended) => return nobody("the connection ended"),
                Err(Lost::Lie(lie)) => return Err(lie),
            }
        }
        let asked = Instant::now();
        let stopped = link.ask("stop", json!({"name": STORM}), ANSWER);
        let took = asked.elapsed();
        match stopped {
            Ok(answer) if answer["success"] != true => Err(format!("the storm was not stopped: {answer}")),
            Ok(_) if slowest > SERVED => Err(format!("a ping took {slowest:.1?} beside {FORKS} processes")),
            Ok(_) if took > STOPPED => Err(format!("the stop of {FORKS} processes took {took:.1?}")),
            Ok(_) => {
                done(format!("{FORKS} forking processes; pings within {slowest:.1?}, gone in {took:.1?}"))
            }
            Err(Lost::Ended) => nobody("the connection ended"),
            Err(Lost::Lie(lie)) => Err(lie),
        }
    }

    /// Starts a worker whose tree has a process of another user, in a session of its own and without its
    /// mark.
    pub(super) fn guest(&mut self) -> Inflicted {
        if !nix::unistd::geteuid().is_root() {
            return nobody("only root can become another user");
        }
        let gob = &self.shared.gob;
        let guest = Child { setsid: true, reset_limits: true, uid: Some(NOBODY), ..Child::default() };
        gob.script(GUEST, &[Step::Child(guest), Step::Listen, Step::Handshake]);
        let mut link = match self.link() {
            Ok(Some(link)) => link,
            Ok(None) => return nobody("nobody accepts"),
            Err(lie) => return Err(lie),
        };
        let run = match start(&mut link, GUEST) {
            Ok(run) => run,
            Err(why) => return why,
        };
        let undo: Undo = Box::new(move |shared| {
            let mut link = match link_as(shared, "cli") {
                Ok(Some(link)) => link,
                Ok(None) => return Ok(()),
                Err(lie) => return Err(lie),
            };
            let children = shared.gob.children(GUEST, run);
            match link.ask("stop", json!({"name": GUEST}), ANSWER) {
                Ok(_) | Err(Lost::Ended) => {}
                Err(Lost::Lie(lie)) => return Err(lie),
            }
            match children.iter().find(|pid| process::is_alive(**pid)) {
                Some(pid) => Err(format!("another user's process is left: {}", process::describe(*pid))),
                None => Ok(()),
            }
        });
        Ok(Outcome::Done(format!("run {run} of {GUEST} has a process of user {NOBODY}"), undo))
    }

    /// Forbids the supervisor to set the limit by which it knows its processes.
    pub(super) fn no_marks(&mut self) -> Inflicted {
        let Some((gobd, _, instance)) = self.gobd() else { return nobody("no supervisor answers") };
        self.shared.judge.leaves_unmarked(&instance);
        let Some(before) = process::limit_locks(gobd.pid, (1_000, 1_000)) else {
            return nobody("gobd is gone");
        };
        let what = format!("gobd, pid {}, can mark nobody", gobd.pid);
        let undo: Undo = Box::new(move |shared| {
            // The supervisor may be gone by now.
            process::limit_locks(gobd.pid, before).unwrap_or_default();
            // Processes of unmarked runs can't be identified after gobd and its keeper are killed together.
            for (_, leader) in
                truth::scan(&shared.gob).leaders().filter(|(_, proc)| truth::is_unmarked(proc.tag))
            {
                shared.judge.touches(leader.pid, Signal::SIGKILL.as_str());
                if let Some(handle) = Handle::open(leader.pid) {
                    handle.signal(Signal::SIGKILL);
                }
            }
            Ok(())
        });
        Ok(Outcome::Done(what, undo))
    }

    /// Connects as the owner `cli`; `None` when the connection is refused.
    fn link(&self) -> Result<Option<Link>, String> {
        link_as(self.shared, "cli")
    }
}

fn link_as(shared: &Shared, owner: &str) -> Result<Option<Link>, String> {
    match Link::connect_as(&shared.gob.socket(), owner, ANSWER) {
        Ok(link) => Ok(Some(link)),
        Err(Lost::Ended) => Ok(None),
        Err(Lost::Lie(lie)) => Err(lie),
    }
}

/// Starts a worker of a fault's own; returns its run once it is ready, or the result of the fault.
fn start(link: &mut Link, name: &str) -> Result<u64, Inflicted> {
    match link.ask("start", json!({"graph": name}), ANSWER) {
        Ok(answer) if answer["success"] == true => Ok(answer["data"]["worker"]["run"].as_u64().unwrap_or(0)),
        Ok(answer) => Err(nobody(format!("{name} did not start: {}", answer["error"]["code"]))),
        Err(Lost::Ended) => Err(nobody("the connection ended")),
        Err(Lost::Lie(lie)) => Err(Err(lie)),
    }
}
