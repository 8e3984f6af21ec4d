//! Named locks right after a supervisor was killed, while the holders claim theirs, as people see them (C4).

use crate::locks::kill;
use crate::streams::Running;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Ctl, Gob};
use serde_json::{Value, json};

fn ctl<'a>(gob: &Gob, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = gob.ctl(args);
    call.cwd(gob.dir());
    call
}

fn status(gob: &Gob) -> Value {
    gob.connect().ok("lock_status", json!({}))
}

#[test]
fn nested_runs_stay_one_party_when_the_supervisor_is_killed() {
    let gob = Gob::new();
    gob.ctl(["ping"]).ok();
    let program = gob.bin("gobctl");
    let program = program.to_str().unwrap();
    // The inner lock's name comes before the outer one's.
    let again = format!(
        "touch held; while ! test -e go; do sleep 0.05; done; {program} lock run z --timeout 20s -- true; echo code $?"
    );
    let nested = ["lock", "run", "z", "--", program, "lock", "run", "a", "--", "sh", "-c", &again];
    let mut held = Running::start(&mut ctl(&gob, nested));
    assert!(wait::until(DEADLINE, || gob.dir().join("held").exists()));
    kill(&gob);
    let is_held = |lock: &Value| lock["holders"].as_array().is_some_and(|holders| holders.len() == 1);
    let both = || {
        status(&gob)["locks"].as_array().is_some_and(|locks| locks.len() == 2 && locks.iter().all(is_held))
    };
    assert!(wait::until(DEADLINE, both), "{}", status(&gob));
    std::fs::write(gob.dir().join("go"), "").unwrap();
    held.says("z is held, or waited for, by the one that asks for it");
    held.says("code 125");
    held.ends(0);
}

#[test]
fn nobody_says_that_a_lock_is_free_while_its_holder_may_claim_it() {
    let gob = Gob::new();
    let mut held = Running::start(&mut ctl(
        &gob,
        ["lock", "run", "build", "--", "sh", "-c", "echo held; exec sleep 1000"],
    ));
    held.says("held");
    kill(&gob);
    let left = "more to claim their locks";
    let other = ctl(&gob, ["lock", "status", "other"]).run();
    assert!(other.stderr.contains(left) && other.stdout == "other is not claimed yet\n", "{other}");
    let is_claimed = || status(&gob)["locks"][0]["waiters"][0]["token"].is_u64();
    assert!(wait::until(DEADLINE, is_claimed), "{}", status(&gob));
    let shown = ctl(&gob, ["lock", "status", "build"]).run();
    assert!(shown.stderr.contains(left) && shown.stdout.contains("claims"), "{shown}");
    for breaks in [["lock", "break", "build"].as_slice(), &["lock", "status", "build", "--force"]] {
        let refused = ctl(&gob, breaks.iter().copied()).fails(4);
        assert!(refused.stderr.contains("it is not known yet if build is held"), "{refused}");
    }
    assert!(wait::until(DEADLINE, || status(&gob)["claims_ms"].is_null()));
    let shown = ctl(&gob, ["lock", "status", "build"]).run();
    assert!(shown.stderr.is_empty() && shown.stdout.contains("held"), "{shown}");
    ctl(&gob, ["lock", "break", "build"]).ok();
    held.ends(125);
}
