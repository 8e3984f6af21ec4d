//! Processes of workers whose supervisor is dead. They are named, never touched: the next supervisor ends
//! them, or a person.

use super::scene::Scene;
use super::whose::{Life, home_of_worker, instance_of_worker, life_of_worker, lives_of_supervisor};
use super::{Check, fail, ok, warn};
use crate::process::{self, Process, own};
use crate::text::{LISTED, escape, list};
use gob_client::protocol::view::Survivor;
use std::collections::{BTreeMap, BTreeSet};

const WHAT: &str = "orphans";

/// Checks for processes that the supervisor has adopted and that carry neither mark nor marker: their run is
/// unknown.
fn adopted(scene: &Scene) -> Option<Check> {
    let answers = scene.answers()?;
    let is_known = |pid: &i32| {
        answers.workers.iter().any(|worker| worker.pid == Some(*pid)) || life_of_worker(*pid).is_some()
    };
    let unclear: Vec<String> = process::children(answers.status.pid)
        .into_iter()
        .filter(|pid| !is_known(pid) && process::living(*pid).is_some())
        .map(|pid| format!("{pid} ({})", process::command(pid)))
        .collect();
    if unclear.is_empty() {
        return None;
    }
    let (count, shown) = (unclear.len(), list(&unclear));
    let found = format!("{count} process(es) of some worker, nothing tells of which: {shown}");
    let hint = "each ends with the last of the workers that may have started it, or with the supervisor";
    Some(warn("adopted", found, hint))
}

/// A living supervisor, of this state directory or any other.
struct Living {
    pid: i32,
    /// The lives that identify its workers; empty when that can't be found out, such as from outside its
    /// container.
    lives: Vec<Life>,
}

/// Runs the checks.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    survivors(scene).into_iter().chain(adopted(scene)).chain([dead(scene)]).collect()
}

/// Checks for processes that the supervisor could not end: their workers are not started meanwhile.
fn survivors(scene: &Scene) -> Option<Check> {
    let survivors = &scene.answers()?.status.survivors;
    if survivors.is_empty() {
        return None;
    }
    let told = survivors.iter().map(|left| {
        let worker = left.worker.as_ref().map_or("an unknown worker", |name| name.as_str());
        format!("{} of {}", described(&left.process), escape(worker))
    });
    let found = format!(
        "could not be ended, and nothing is started beside them: {}",
        list(&told.collect::<Vec<_>>())
    );
    let denied = survivors.iter().filter(|left| left.process.error.is_some()).map(|left| left.process.pid);
    Some(fail("survivors", found, way_out(denied.take(LISTED))))
}

/// Describes a process that could not be ended: its pid, its user, and why no signal could be sent.
pub(crate) fn described(process: &Survivor) -> String {
    let uid = process.uid.map(|uid| format!("uid {uid}"));
    let facts: Vec<String> = uid.into_iter().chain(process.error.clone()).collect();
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    format!("pid {}{facts}", process.pid)
}

/// Returns what ends processes that are another user's, or hang.
pub(crate) fn way_out(denied: impl Iterator<Item = i32>) -> String {
    let denied: Vec<i32> = denied.collect();
    if denied.is_empty() {
        "they may hang in the kernel, such as on a dead network mount; gob goes on trying".to_owned()
    } else {
        format!("gob may not signal processes of another user: sudo kill -KILL {}", words(&denied))
    }
}

/// Checks for processes of dead supervisors.
fn dead(scene: &Scene) -> Check {
    let table = own();
    let mut living: Vec<Living> = table
        .iter()
        .filter(|process| process.name == "gobd")
        .map(|process| Living { pid: process.pid, lives: lives_of_supervisor(&scene.dirs, process.pid) })
        .collect();
    for process in &table {
        let Some(home) = home_of_worker(process.pid) else { continue };
        let Some(instance) = instance_of_worker(process.pid) else { continue };
        also_at(&mut living, &instance, home);
    }
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    let own: BTreeSet<i32> = table.iter().map(|process| process.pid).collect();
    let parents: BTreeMap<i32, i32> = table.iter().map(|process| (process.pid, process.parent)).collect();
    let is_orphan = |process: &&Process| {
        process.pid != me
            && life_of_worker(process.pid)
                .is_some_and(|life| !is_cared_for(process.pid, &life, &living, &parents))
    };
    // One of ours that became another user's; that user's own workers have marks of other directories.
    let ours = Life::of_state_dir(&scene.dirs.state);
    let is_ours = |pid: i32| ours.is_some() && home_of_worker(pid) == ours;
    let mut all = process::all();
    all.retain(|process| own.contains(&process.pid) || is_ours(process.pid));
    let orphans: Vec<&Process> = all.iter().filter(is_orphan).collect();
    if orphans.is_empty() {
        return ok(WHAT, "no process of a dead supervisor's workers");
    }
    let named = |orphan: &&Process| format!("{} ({})", orphan.pid, process::command(orphan.pid));
    let found = list(&orphans.iter().map(named).collect::<Vec<_>>());
    let (ours, theirs): (Vec<i32>, Vec<i32>) =
        orphans.iter().map(|orphan| orphan.pid).partition(|pid| own.contains(pid));
    let mut hint = "their supervisor is dead".to_owned();
    if !ours.is_empty() {
        hint.push_str(&format!(
            "; the next one of its state directory ends them (gobctl daemon start), or you do: kill -KILL {}",
            words(&ours)
        ));
    }
    if !theirs.is_empty() {
        hint.push_str(&format!(
            "; gob may not signal processes of another user: sudo kill -KILL {}",
            words(&theirs)
        ));
    }
    warn(WHAT, found, hint)
}

fn words(pids: &[i32]) -> String {
    pids.iter().map(i32::to_string).collect::<Vec<_>>().join(" ")
}

/// Adds a life to a supervisor that has a worker with its mark: the supervisor's state directory was removed
/// and made again, and its workers go on with the mark of the first one.
fn also_at(living: &mut [Living], instance: &Life, home: Life) {
    for supervisor in living {
        if supervisor.lives.contains(instance) && !supervisor.lives.contains(&home) {
            supervisor.lives.push(home.clone());
        }
    }
}

/// Returns whether its supervisor lives, or a living supervisor of unknown life is above it.
fn is_cared_for(pid: i32, life: &Life, living: &[Living], parents: &BTreeMap<i32, i32>) -> bool {
    if living.iter().any(|supervisor| supervisor.lives.contains(life)) {
        return true;
    }
    let unknown =
        |pid: i32| living.iter().any(|supervisor| supervisor.pid == pid && supervisor.lives.is_empty());
    // No chain of parents is longer than the table, even if it changed while it was read.
    std::iter::successors(Some(pid), |pid| parents.get(pid).copied()).take(parents.len() + 1).any(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_life_or_an_unknown_supervisor_above() {
        let life = |limit: u64| Life::of_limit(limit << 41).unwrap();
        let both = vec![life(1), Life::Instance("one".to_owned())];
        let living = [Living { pid: 10, lives: both }, Living { pid: 20, lives: Vec::new() }];
        let parents = BTreeMap::from([(11, 10), (21, 20), (22, 21), (31, 1), (41, 42), (42, 41)]);
        let cared = |pid, life| is_cared_for(pid, &life, &living, &parents);
        assert!(cared(31, life(1)), "wherever it is, its supervisor lives");
        assert!(cared(31, Life::Instance("one".to_owned())) && !cared(31, Life::Instance("two".to_owned())));
        assert!(!cared(31, life(2)));
        assert!(!cared(11, life(2)), "another supervisor above it is not its own");
        assert!(cared(22, life(2)), "may well be its own");
        assert!(!cared(41, life(2)), "a circle ends");
    }

    #[test]
    fn a_state_directory_that_was_made_again() {
        let home = |limit: u64| Life::of_limit(limit << 41).unwrap();
        let instance = |name: &str| Life::Instance(name.to_owned());
        let mut living = [
            Living { pid: 10, lives: vec![home(2), instance("one")] },
            Living { pid: 20, lives: vec![home(3), instance("two")] },
        ];
        also_at(&mut living, &instance("one"), home(1));
        also_at(&mut living, &instance("dead"), home(4));
        let cared = |life| is_cared_for(31, &life, &living, &BTreeMap::new());
        assert!(cared(home(1)) && cared(home(2)) && cared(home(3)));
        assert!(!cared(home(4)), "of a supervisor that is dead");
        assert!(!living[1].lives.contains(&home(1)), "it is the first one's");
    }
}
