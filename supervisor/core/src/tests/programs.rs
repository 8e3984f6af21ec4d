//! Programs that are replaced on disk while workers run them.

use super::steps::Step;
use super::words::{CLI, name, started_by, stop, view};
use crate::{Input, RunKey};
use gob_protocol::{EventKind, State};
use std::vec;
use std::vec::Vec;

fn looked(run: u64, is_other: bool) -> Input {
    Input::Programs(vec![(RunKey { name: name("w"), run }, is_other)])
}

#[test]
fn a_worker_whose_program_was_replaced_says_so_until_it_is_back_or_the_run_is_over() {
    let mut world = started_by(CLI);
    let before = world.history.len();
    for (is_other, changed) in [(false, false), (true, true), (true, true), (false, false), (true, true)] {
        world.feed(looked(1, is_other)).unwrap();
        assert_eq!(view(&world).program_changed, changed);
    }
    let told: Vec<_> = world.history[before..].iter().map(|event| event.event).collect();
    assert_eq!(told, [EventKind::WorkerUpdated; 3], "each change is told once");
    world.reread().unwrap();
    assert!(view(&world).program_changed, "it goes through an upgrade");
    world.takes(&Step::Ask(CLI, stop("w")));
    assert_eq!((view(&world).state, view(&world).program_changed), (State::Stopping, false));
    world.feed(looked(1, false)).unwrap();
    world.feed(looked(1, true)).unwrap();
    assert!(!view(&world).program_changed, "it is on its way down");
}

#[test]
fn a_word_about_an_older_run_is_too_late() {
    let mut world = started_by(CLI);
    world.feed(looked(0, true)).unwrap();
    world.feed(looked(7, true)).unwrap();
    assert!(!view(&world).program_changed);
}
