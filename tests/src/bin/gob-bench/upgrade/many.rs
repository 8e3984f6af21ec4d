//! Many workers after an upgrade: a list of them, and their stop, beside the same before it.

use super::Sizes;
use crate::process::{command, timed};
use crate::table::{Table, Target, median};
use gob_tests::Gob;
use serde_json::json;

/// Samples of each sort.
const SAMPLES: usize = 11;
/// Requests on their way at once while workers are started.
const TOGETHER: usize = 100;

/// Measures both.
pub fn run(table: &mut Table, sizes: &Sizes) {
    let (gob, many) = (Gob::new(), sizes.many);
    let gobctl = gob.bin("gobctl");
    let names: Vec<String> = (0..many).map(|number| format!("rests{number}")).collect();
    let measure = |upgraded: bool| {
        start(&gob, many);
        if upgraded {
            gob.connect_as("cli").ok("upgrade", json!({}));
        }
        let lists: Vec<f64> = (0..SAMPLES).map(|_| timed(command(&gob, &gobctl).arg("list"))).collect();
        (median(&lists), timed(command(&gob, &gobctl).arg("stop").args(&names)))
    };
    let (before, after) = (measure(false), measure(true));
    let mut row = |what: &str, measured, most| {
        let figure = format!("{what}, {many} workers, after an upgrade");
        table.against(&figure, "ms", measured, "before", Target::RatioAtMost(most));
    };
    row("gobctl list", (after.0, before.0), 1.3);
    // Each adopted child is found among all workers (ADR 16).
    row("gobctl stop of all", (after.1, before.1), 2.0);
}

/// Starts workers that rest.
fn start(gob: &Gob, many: usize) {
    let mut conn = gob.connect_as("cli");
    let env = json!({"PATH": "/usr/bin:/bin"});
    for begin in (0..many).step_by(TOGETHER) {
        let numbers = begin..many.min(begin + TOGETHER);
        let posted: Vec<u64> = numbers
            .map(|number| {
                let command = ["sleep".to_owned(), "100000".to_owned(), number.to_string()];
                conn.post("add", json!({"command": command, "cwd": gob.dir(), "name": format!("rests{number}"), "env": env}))
            })
            .collect();
        for id in posted {
            let answer = conn.response(id);
            assert_eq!(answer["success"], true, "{answer}");
        }
    }
}
