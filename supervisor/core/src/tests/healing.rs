//! Files of the supervisor's own that somebody took away: said, counted, and of no consequence for any worker.

use super::steps::Step;
use super::words::{CLI, started_by};
use crate::worker::Phase;
use gob_protocol::{Actor, EventKind, Request};

#[test]
fn healing_is_an_event_of_the_supervisor_and_is_counted() {
    let mut world = started_by(CLI);
    for times in 1..=3 {
        let before = world.history.len();
        world.takes(&Step::Healed);
        let [event] = &world.history[before..] else { panic!("one event and no more") };
        assert_eq!((event.event, &event.actor), (EventKind::SupervisorHealed, &Actor::Supervisor));
        assert!(event.worker.is_none(), "it is about no worker");
        assert!(matches!(world.phase("w"), Phase::Ready { .. }));
        // What `status` says is compared with the history of events.
        world.takes(&Step::Ask(CLI, Request::Status));
        assert_eq!(world.core.counters.healed, times);
    }
}
