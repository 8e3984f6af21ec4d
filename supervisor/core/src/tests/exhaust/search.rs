//! The search through all sequences.
//!
//! Sequences that lead to the same state go on together, so each state is entered once for each depth at most, and the
//! number of sequences is counted along the edges. A state is everything that decides about the future; times count
//! from now, and runs and requests have no numbers in it.

use super::super::fingerprint::fingerprint;
use super::super::harness::World;
use super::super::reports::stale_inputs;
use super::super::spec::{Stand, stand};
use super::super::steps::Step;
use crate::{Input, Lost};
use gob_config::kind::Kind;
use std::collections::HashMap;
use std::string::String;
use std::time::Instant;
use std::vec::Vec;
use std::{format, println, vec};

/// One state in so many is driven to its rest, each way.
const SETTLE_EVERY: usize = 7;

/// How a state was first come by.
struct Node {
    from: Option<(usize, Step)>,
    /// The states that follow, once for each step that leads there; `None` at the edge.
    next: Option<Vec<usize>>,
}

struct Search<'a> {
    alphabet: &'a [Step],
    nodes: Vec<Node>,
    seen: HashMap<u64, usize>,
}

impl Search<'_> {
    fn path(&self, mut at: usize) -> String {
        let mut steps = Vec::new();
        while let Some((from, step)) = &self.nodes[at].from {
            steps.push(format!("    {step:?}"));
            at = *from;
        }
        steps.reverse();
        steps.join("\n")
    }

    /// Takes every step from this state and gives the worlds that are new.
    fn expand(&mut self, at: usize, world: &World, keep: bool) -> Vec<(usize, World)> {
        let mut fresh = Vec::new();
        let mut next = Vec::new();
        for step in self.alphabet {
            if !is_sensible(world, step) {
                continue;
            }
            let mut after = world.clone();
            match after.step(step) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(why) => panic!("{why}\nafter\n{}\n    {step:?}", self.path(at)),
            }
            let print = fingerprint(&after);
            let node = *self.seen.entry(print).or_insert(self.nodes.len());
            next.push(node);
            if node == self.nodes.len() {
                self.nodes.push(Node { from: Some((at, step.clone())), next: None });
                self.examine(node, &after, print);
                if keep {
                    fresh.push((node, after));
                }
            }
        }
        self.nodes[at].next = Some(next);
        fresh
    }

    /// Checks every state for more than each step does: stale inputs change nothing.
    fn examine(&self, node: usize, world: &World, print: u64) {
        let lost = [Input::SocketsLost(Lost::Any)];
        for input in world.core.workers.values().flat_map(stale_inputs).chain(lost) {
            let mut after = world.clone();
            let told = format!("{input:?}");
            let outcome = after.feed(input).map(|()| fingerprint(&after) == print);
            assert_eq!(outcome, Ok(true), "{told} changes something after\n{}", self.path(node));
        }
        if node.is_multiple_of(SETTLE_EVERY) {
            for obey in [true, false] {
                let outcome = world.clone().settle(obey);
                assert_eq!(outcome, Ok(()), "when all obey ({obey}) after\n{}", self.path(node));
            }
        }
    }

    /// How many sequences of exactly this length there are.
    fn sequences(&self, depth: usize) -> u128 {
        let mut ways = vec![0u128; self.nodes.len()];
        ways[0] = 1;
        for _ in 0..depth {
            let mut after = vec![0u128; self.nodes.len()];
            for (node, ways) in self.nodes.iter().zip(&ways).filter(|(_, ways)| **ways > 0) {
                for next in node.next.iter().flatten() {
                    after[*next] += ways;
                }
            }
            ways = after;
        }
        ways.iter().sum()
    }
}

/// Tells whether a truthful shell could report this now. The random histories also have late reports.
fn is_sensible(world: &World, step: &Step) -> bool {
    let Step::HolderGone(name) = step else { return true };
    world.core.workers.get(name).is_some_and(|worker| stand(worker) == Stand::External)
}

/// Takes every sequence of these steps, from a new world after the prologue.
pub(super) fn exhaust(what: &str, kind: Kind, prologue: &[Step], alphabet: &[Step], depth: usize) {
    exhaust_from(what, World::new(kind), prologue, alphabet, depth);
}

/// Takes every sequence of these steps, from this world after the prologue.
pub(super) fn exhaust_from(what: &str, mut world: World, prologue: &[Step], alphabet: &[Step], depth: usize) {
    let begin = Instant::now();
    for step in prologue {
        world.takes(step);
    }
    let mut search = Search { alphabet, nodes: vec![Node { from: None, next: None }], seen: HashMap::new() };
    search.seen.insert(fingerprint(&world), 0);
    let mut edge = vec![(0, world)];
    for level in 1..=depth {
        let mut fresh = Vec::new();
        for (node, world) in edge {
            fresh.extend(search.expand(node, &world, level < depth));
        }
        edge = fresh;
    }
    let (states, took) = (search.nodes.len(), begin.elapsed().as_secs_f64());
    let sequences = search.sequences(depth);
    println!("{what}: {sequences} sequences of {depth} inputs, {states} states, {took:.1} s");
}
