//! The state is data: written, read back equal, and gone on with.

use super::harness::World;
use super::runs::Stage;
use super::steps::Step;
use super::upgrading::Upgrading;
use super::words::{CLI, name, start, stop, world};
use crate::run::Run;
use crate::{Core, Effect, Input, RunKey, STATE_VERSION};
use gob_protocol::request::{GraphDelete, Signal};
use gob_protocol::{Id, Request};
use std::collections::BTreeSet;
use std::string::String;
use std::vec::Vec;
use std::{env, format, fs};

/// A state that an earlier version wrote, with workers in every phase that matters.
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/state-1.cbor");

pub(super) fn write(core: &Core) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(core, &mut bytes).expect("a state that can be written");
    bytes
}

pub(super) fn read(bytes: &[u8]) -> Result<Core, String> {
    ciborium::from_reader(bytes).map_err(|why| format!("{why:?}"))
}

/// A word for each effect that has to be given again, with its run.
fn owed(effect: &Effect) -> Option<(&'static str, &RunKey)> {
    Some(match effect {
        Effect::Spawn(plan) => ("spawn", &plan.key),
        Effect::CallOff { key } => ("call off", key),
        Effect::Examine { key, .. } => ("examine", key),
        Effect::EndOrphans { key, .. } => ("end orphans", key),
        Effect::Probe { key, .. } => ("probe", key),
        Effect::StopHttp { key, .. } => ("stop by HTTP", key),
        Effect::Linger { key, .. } => ("linger", key),
        Effect::Sweep { key } => ("sweep", key),
        Effect::ReadRest { key, .. } => ("read the rest", key),
        Effect::Free { key } => ("free", key),
        _other => return None,
    })
}

impl World {
    /// Writes the core, reads it back, and goes on with that one.
    pub(super) fn reread(&mut self) -> Result<(), String> {
        let core = read(&write(&self.core))?;
        ensure!(core == self.core, "what was read is not what was written:\n{core:?}\n{:?}", self.core);
        self.core = core;
        let effects = self.core.resume();
        let again: BTreeSet<_> =
            effects.iter().filter_map(owed).map(|(word, key)| (word, key.clone())).collect();
        let expected = self.outstanding();
        let tickets: BTreeSet<u64> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Ask { ticket, .. } => Some(*ticket),
                _other => None,
            })
            .collect();
        let asked = self.shared.tickets();
        ensure!(tickets == asked, "resumed with the questions {tickets:?}, outstanding are {asked:?}");
        let marks = effects.iter().any(|effect| matches!(effect, Effect::MarkLocks { .. }));
        let (_, is_marking) = self.shared.tokens.asked();
        ensure!(marks == is_marking, "the mark is to be written: {marks}");
        ensure!(again == expected, "resumed with {again:?}, outstanding are {expected:?}");
        for effect in &effects {
            match effect {
                Effect::WakeAt(at) => ensure!(*at == self.wake, "wakes at {at:?}, not {:?}", self.wake),
                Effect::Follow { name, pid } => {
                    let holder = self.core.workers[name].holder().map(|holder| holder.pid);
                    ensure!(holder == Some(*pid), "{pid} is followed, not {holder:?}");
                }
                Effect::Remember { key } => {
                    let alive = self.runs.get(&key.name).filter(|run| run.run == key.run);
                    ensure!(alive.is_some_and(|run| run.pid().is_some()), "a record for {key:?}");
                }
                Effect::LookForPorts { key, .. } => {
                    let alive = self.runs.get(&key.name).is_some_and(|run| run.pid().is_some());
                    ensure!(alive, "a look at {key:?}");
                }
                Effect::Ask { .. } | Effect::MarkLocks { .. } => {}
                Effect::BringKeeper => {
                    ensure!(self.upgrading == Upgrading::Bringing, "the keeper of {:?}", self.upgrading);
                }
                other => ensure!(owed(other).is_some(), "resumed with {other:?}"),
            }
        }
        Ok(())
    }

    /// The orders about runs that the shell has under way.
    fn outstanding(&self) -> BTreeSet<(&'static str, RunKey)> {
        let mut all = BTreeSet::new();
        for (name, run) in self.runs.iter() {
            let is_alive = matches!(run.stage, Stage::Alive { .. });
            let is_spawning = run.stage == Stage::Spawning;
            let words = [
                ("spawn", is_spawning && !run.called_off),
                ("call off", is_spawning && run.called_off),
                ("probe", run.looked_at),
                ("stop by HTTP", run.http && is_alive && !run.sweeping && run.signals == 0),
                ("linger", run.lingering),
                ("sweep", run.sweeping),
                ("read the rest", matches!(run.stage, Stage::Finishing { read: None, .. })),
                ("free", matches!(run.stage, Stage::Finishing { free: false, .. })),
            ];
            all.extend(words.iter().filter(|(_, is)| *is).map(|(word, _)| (*word, run.key(name))));
        }
        all.extend(self.runs.all_looking().filter_map(|name| Some(("examine", self.runs.looking(name)?))));
        let evicting =
            self.core.workers.values().filter(|worker| worker.live().is_some_and(Run::is_evicting));
        all.extend(evicting.map(|worker| ("end orphans", worker.key())));
        let asked = self.runs.all_asked().filter_map(|name| self.runs.asked(name));
        let asked = asked.filter(|key| self.core.workers.get(&key.name).is_some_and(|w| w.is_asked_to_go()));
        all.extend(asked.map(|key| ("stop by HTTP", key)));
        all
    }
}

/// A ready worker, one that is starting, one that is stopping, and one that is down.
fn lively() -> World {
    let mut world = world();
    for worker in ["a", "b", "c", "d"] {
        world.takes(&Step::Ask(CLI, start(worker)));
    }
    for worker in ["a", "c", "d"] {
        world.takes(&Step::Spawned(name(worker)));
        world.takes(&Step::Ready(name(worker)));
    }
    world.takes(&Step::Ask(CLI, stop("c")));
    world.takes(&Step::Ask(CLI, stop("d")));
    world.takes(&Step::Exited(name("d"), super::words::killed()));
    world.takes(&Step::Swept(name("d")));
    world
}

#[test]
fn a_written_state_is_read_back_equal_and_goes_on() {
    let mut world = lively();
    world.reread().expect("the same state");
    world.settles();
    world.reread().expect("the same state");
}

#[test]
fn a_state_of_another_version_is_refused() {
    let mut bytes = write(&lively().core);
    // The name as a text of six letters, and behind it the number.
    let name = b"\x66schema";
    let at = bytes.windows(name.len()).position(|text| text == name).expect("a version") + name.len();
    let version = bytes.get_mut(at).expect("a number");
    assert_eq!(u32::from(*version), STATE_VERSION);
    *version += 1;
    let why = read(&bytes).expect_err("a refusal");
    assert!(why.contains("the state is of version 2, this supervisor reads 1"), "{why}");
}

/// `GOB_BLESS=1` writes the fixture anew, which only a new version may do.
#[test]
fn the_state_of_the_fixture_is_read_and_resumed() {
    if env::var_os("GOB_BLESS").is_some() {
        fs::write(FIXTURE, write(&lively().core)).expect("the fixture is written");
    }
    let mut core = read(&fs::read(FIXTURE).expect("the fixture")).expect("a state of this version");
    let states: Vec<String> =
        core.views().iter().map(|view| format!("{} {}", view.name, view.state)).collect();
    assert_eq!(states, ["a ready", "b starting", "c stopping", "d idle"]);
    let effects = core.resume();
    let words: BTreeSet<_> =
        effects.iter().filter_map(owed).map(|(word, key)| (word, key.name.as_str())).collect();
    assert_eq!(words, BTreeSet::from([("spawn", "b")]));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::WakeAt(Some(_)))));
}

/// Reads what a core has written, and returns it with what it has to do again about graphs and signals.
fn go_on(core: &Core) -> (Core, Vec<Effect>) {
    let mut core = read(&write(core)).expect("a state of this version");
    let effects = core.resume().into_iter();
    let effects = effects.filter(|effect| {
        matches!(effect, Effect::FindGraphs(_) | Effect::DeleteGraph { .. } | Effect::Signal { .. })
    });
    let effects = effects.collect();
    (core, effects)
}

/// The ids of the requests that are answered.
fn answered(effects: &[Effect]) -> Vec<Id> {
    let ids = effects.iter().filter_map(|effect| match effect {
        Effect::Reply { id, .. } => id.clone(),
        _other => None,
    });
    ids.collect()
}

#[test]
fn searches_and_signals_that_are_under_way_are_asked_for_again_and_answered_once() {
    let mut core = lively().core;
    let now = core.cx.now;
    let ask = |core: &mut Core, id, request| {
        core.apply(Input::Request { conn: CLI, id: Some(Id::Number(id)), request }, now)
    };
    ask(&mut core, 1_001, Request::Graphs);
    let delete = GraphDelete { graph: name("d"), root_dir: None };
    let search = ask(&mut core, 1_002, Request::GraphDelete(delete));
    let Some(Effect::FindGraphs(find)) = search.into_iter().next() else { panic!("no search") };
    core.apply(Input::GraphsFound { search: find.search, found: Vec::new() }, now);
    ask(&mut core, 1_003, Request::Signal(Signal { name: name("a"), signal: "HUP".into() }));
    let (mut core, again) = go_on(&core);
    assert_eq!(again.len(), 3, "{again:?}");
    let mut ids = Vec::new();
    for effect in again {
        let input = match effect {
            Effect::FindGraphs(find) => Input::GraphsFound { search: find.search, found: Vec::new() },
            Effect::DeleteGraph { search, plan } => {
                assert_eq!(plan.path, "/data/d");
                Input::GraphDeleted { search, plan, result: Ok(None) }
            }
            Effect::Signal { key, signal, asked_by: Some((conn, id)) } => {
                Input::SignalSent { key, signal, conn, id, errno: None }
            }
            other => panic!("{other:?}"),
        };
        ids.extend(answered(&core.apply(input, now)));
    }
    ids.sort_by_key(|id| format!("{id:?}"));
    assert_eq!(ids, [1_001, 1_002, 1_003].map(Id::Number));
    assert!(go_on(&core).1.is_empty(), "each is answered");
}

#[test]
fn only_a_deletion_goes_on_without_its_client() {
    let mut core = lively().core;
    let now = core.cx.now;
    let delete = |graph: &str| Request::GraphDelete(GraphDelete { graph: name(graph), root_dir: None });
    let mut found = Vec::new();
    for (id, request) in [(1, Request::Graphs), (2, delete("d")), (3, delete("x"))] {
        let effects = core.apply(Input::Request { conn: CLI, id: Some(Id::Number(id)), request }, now);
        found.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::FindGraphs(find) => Some(find.search),
            _other => None,
        }));
    }
    core.apply(Input::GraphsFound { search: found.remove(1), found: Vec::new() }, now);
    core.apply(Input::Disconnected { conn: CLI }, now);
    let (core, again) = go_on(&core);
    let [Effect::DeleteGraph { search, plan }] = again.as_slice() else { panic!("{again:?}") };
    let mut core = core;
    let input = Input::GraphDeleted { search: search.clone(), plan: plan.clone(), result: Ok(None) };
    assert!(answered(&core.apply(input, now)).is_empty(), "there is nobody to tell");
    assert!(core.workers.get(&name("d")).is_none(), "its worker is forgotten all the same");
}
