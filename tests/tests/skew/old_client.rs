//! gobctl 0.1.0 and a supervisor of this version.

use crate::old::{OLD, ctl, programs};
use gob_tests::process::Handle;
use gob_tests::{Gob, Output, Worker, wait};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Returns how often the versions are noted.
fn notes(output: &Output) -> usize {
    output.stderr.lines().filter(|line| line.contains("talks to a supervisor")).count()
}

/// Starts one of everything that 0.1.0 did not have.
fn world() -> Gob {
    let gob = Gob::with(Worker::Real);
    for words in
        ["start g", "add --name web sleep 1000", "create --name later true", "queue add lane sleep 1000"]
    {
        gob.ctl(words.split(' ')).ok();
    }
    gob
}

#[test]
fn each_verb_of_the_old_gobctl_works_and_notes_the_versions_once() {
    let (gob, old) = (world(), programs());
    let mut held = gob.ctl(["lock", "run", "build", "--", "sleep", "1000"]).spawn();
    let is_held = || gob.ctl(["lock", "status"]).ok().contains("build");
    assert!(wait::until(wait::DEADLINE, is_held));
    for words in "ping; list; list --json; status; status g; status web; get g; who g; who web; \
        events --no-follow --since 0; logs web; invoke g stats; signal web CONT; hand-over web desktop; \
        restart g; stop g; start g; remove later; cleanup; config check; config reload; doctor; \
        daemon logs -n 1; with g -- true"
        .split("; ")
    {
        let output = ctl(&gob, &old, words).run();
        assert_eq!(output.code, 0, "{output}");
        assert!(notes(&output) <= 1, "{output}");
    }
    for (words, code) in [("stop nobody", 4), ("stop web", 5), ("signal g NOSUCH", 2)] {
        assert_eq!(ctl(&gob, &old, words).run().code, code, "{words}");
    }
    let listed: Value = ctl(&gob, &old, "list --json").json();
    let states: Vec<&Value> =
        listed["workers"].as_array().unwrap().iter().map(|view| &view["state"]).collect();
    assert_eq!(states, ["ready"; 3], "a graph, a job, and a job of the queue");
    let output = ctl(&gob, &old, "list").run();
    assert_eq!(notes(&output), 1, "{output}");
    assert!(
        output.stderr.contains(&format!("gobctl {OLD} talks to a supervisor {}", env!("CARGO_PKG_VERSION")))
    );
    Handle::open(held.id().cast_signed()).unwrap().signal(Signal::SIGKILL);
    held.wait().unwrap();
    let output = ctl(&gob, &old, "shutdown --force").run();
    assert_eq!(output.code, 0, "{output}");
}
