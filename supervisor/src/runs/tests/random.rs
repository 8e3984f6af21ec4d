//! Random histories: processes fork, end, hop, leave their group and put their tags back, between any two calls of the
//! kernel, while runs are started, stopped and killed and numbers are given again.
//!
//! The fake sees to it that only processes of runs that end are signalled. Beside that: a run that is over has nothing left
//! but what may not be signalled, and its receipt lists every process once.

use super::*;
use crate::sys::fake::Dice;

const HISTORIES: u64 = 1_000;
const STEPS: usize = 60;

#[test]
fn random_histories_signal_only_what_is_theirs_and_leave_nothing() {
    let only = std::env::var("GOB_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in only.map_or(0..HISTORIES, |seed| seed..seed + 1) {
        let played = std::panic::catch_unwind(|| play(seed));
        assert!(played.is_ok(), "history {seed} fails; GOB_KILL_SEED={seed} plays it alone");
    }
}

fn play(seed: u64) {
    let mut dice = Dice(seed);
    let mut bench = Bench::with_numbers(70);
    bench.fake.with(|world| {
        world.call_takes = Duration::from_millis(1);
        world.has_group_signals = dice.below(4) > 0;
        world.tells_last = dice.below(4) > 0;
        world.refuses_tags = dice.below(5) == 0;
    });
    let mut runs: Vec<Started> = Vec::new();
    for step in 0..STEPS {
        let one_in = 3 + dice.below(40);
        let chaos = dice.below(u64::MAX);
        bench.fake.with(|world| world.chaos = Some((one_in, chaos)));
        let live: Vec<Started> = runs.iter().filter(|run| bench.receipt(run).is_none()).cloned().collect();
        let picked = live.get(usize::try_from(dice.below(live.len().max(1) as u64)).unwrap());
        match (dice.below(8), picked) {
            (0 | 1, _) if live.len() < 3 => {
                bench.fake.with(|world| world.chaos = None);
                runs.push(bench.start(&format!("g{step}")));
            }
            (2, Some(run)) => bench.stop(run),
            (3, Some(run)) => bench.kill(run),
            (4, Some(run)) => check_ids(run, &bench.runs.census(&run.key)),
            (5, Some(run)) if dice.below(3) == 0 => make_stubborn(&bench, run, &mut dice),
            _ => bench.turn(),
        }
        check(&bench, &runs);
    }
    // Nothing happens any more, and all is ended.
    bench.fake.with(|world| world.chaos = None);
    for run in &runs {
        if bench.receipt(run).is_none() {
            bench.stop(run);
            bench.kill(run);
        }
    }
    for run in &runs {
        bench.turns(run, 200).unwrap_or_else(|| panic!("{run:?} is not over: {:?}", bench.living(run)));
    }
    check(&bench, &runs);
}

/// Has a process of a run not go at once.
fn make_stubborn(bench: &Bench, run: &Started, dice: &mut Dice) {
    for pid in bench.living(run) {
        if dice.below(2) == 0 {
            let late = dice.below(3) * 30;
            bench.fake.change(pid, |process| (process.ignores_term, process.dies_late) = (true, late));
        }
    }
}

fn check(bench: &Bench, runs: &[Started]) {
    for run in runs {
        let Some(receipt) = bench.receipt(run) else { continue };
        assert_eq!(bench.living(run), [0; 0], "{run:?} is over");
        check_ids(run, &receipt);
        // The receipt has each process that was killed by itself, not with its group.
        let killed = bench.fake.with(|world| {
            let killed = world.sent.iter().filter(|sent| sent.of == run.tag && sent.signal == libc::SIGKILL);
            killed.filter(|sent| !sent.to_group).copied().collect::<Vec<_>>()
        });
        for sent in killed {
            let told = receipt
                .signalled
                .iter()
                .find(|entry| (entry.pid, entry.start_time) == (sent.pid, sent.start_time));
            let told = told.is_some_and(|entry| entry.signals.iter().any(|signal| signal == "SIGKILL"));
            assert!(told, "{sent:?} is not in {receipt:?}");
        }
    }
}

fn check_ids(run: &Started, receipt: &Receipt) {
    let ids: BTreeSet<_> = receipt.signalled.iter().map(|entry| (entry.pid, entry.start_time)).collect();
    assert_eq!(ids.len(), receipt.signalled.len(), "{run:?}: one is listed twice in {receipt:?}");
    for entry in &receipt.signalled {
        let kills = entry.signals.iter().filter(|signal| *signal == "SIGKILL").count();
        assert!(kills <= 1, "{run:?}: {entry:?}");
    }
}
