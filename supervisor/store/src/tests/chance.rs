//! Kills at any moment and damage at any place, by pseudo-random numbers. A failure names its seed.

use super::*;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;

/// Variable of the process that is killed: its directory.
const VICTIM: &str = "GOB_STORE_TEST_WRITER";
const KILLED: &str = "tests::chance::whatever_was_answered_outlives_a_kill_at_any_moment";

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Writes, trims, closes and opens until it is killed; says which run was last answered.
fn write_until_killed(dir: &Path) {
    let mut rig = Rig::with(dir, |settings| {
        settings.keep_runs = 50;
        settings.idle = Duration::ZERO;
    });
    let first = rig.runs("web").first().map_or(0, |run| run.run) + 1;
    for number in first.. {
        rig.record(run("web", begun(number)));
        rig.record(changed(entry(number, "web", EventKind::WorkerStarted)));
        rig.record(run("web", ended(number, 1, 0)));
        assert_eq!(rig.runs("web")[0].run, number);
        println!("RUN {number}");
    }
}

#[test]
fn whatever_was_answered_outlives_a_kill_at_any_moment() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        write_until_killed(Path::new(&dir));
    }
    let dir = dir();
    let (mut numbers, mut last) = (Numbers(7), 0);
    for round in 0..12 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", KILLED, "--nocapture"])
            .env(VICTIM, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
        let number = |line: String| line.split_once("RUN ").and_then(|(_, text)| text.parse::<u64>().ok());
        for answered in
            lines.by_ref().filter_map(number).take(1 + usize::try_from(numbers.below(60)).unwrap())
        {
            assert!(answered > last, "round {round}");
            last = answered;
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        last = lines.filter_map(number).last().unwrap_or(last);
        let mut rig = Rig::new(dir.path());
        let found = rig.runs("web")[0].run;
        assert!(found >= last, "round {round}: {last} was answered, {found} is there");
        assert_eq!(rig.notices, [], "round {round}");
        rig.finish();
        let sound: String =
            sqlite(dir.path()).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok", "round {round}");
        last = found;
    }
}

#[test]
fn a_store_with_damage_anywhere_is_used_or_replaced() {
    let whole = dir();
    let mut rig = Rig::new(whole.path());
    for number in 1..=300 {
        rig.record(run(&format!("web{}", number % 7), ended(number, 1, 0)));
        rig.record(changed(entry(number, "web", EventKind::WorkerStopped)));
    }
    rig.record(defined(definition("web", None)));
    rig.reserve(50);
    rig.finish();
    let whole = fs::read(file(whole.path())).unwrap();
    // 736 has its damage in the types of columns alone, 8038 in the format of the header, 8632 in
    // the order of keys, 9622 in the number of the version.
    for seed in (0..80).chain([736, 8038, 8632, 9622]) {
        println!("seed {seed}");
        let mut numbers = Numbers(seed);
        let dir = dir();
        fs::write(file(dir.path()), &whole).unwrap();
        let store = OpenOptions::new().write(true).open(file(dir.path())).unwrap();
        let length = whole.len() as u64;
        for _ in 0..=numbers.below(4) {
            let size = usize::try_from(1 + numbers.below(if seed % 2 == 0 { 16 } else { 9000 })).unwrap();
            let fill = u8::try_from(numbers.below(256)).unwrap();
            store.write_all_at(&vec![fill; size], numbers.below(length)).unwrap();
        }
        if seed % 5 == 0 {
            store.set_len(numbers.below(length)).unwrap();
        }
        let mut rig = Rig::with(dir.path(), |settings| {
            settings.job_floor = 50;
            settings.idle = Duration::ZERO;
        });
        assert!(rig.reserve(1) > 50, "seed {seed}");
        wait_until(|| !rig.handle.is_running(), || format!("seed {seed}: {:?}", rig.handle));
        for name in 0..7 {
            let stats = rig.ask(Question::Stats { name: worker(&format!("web{name}")) });
            assert!(stats.is_ok(), "seed {seed}: {stats:?}");
            assert!(rig.runs(&format!("web{name}")).len() <= 300, "seed {seed}");
        }
        assert!(
            rig.ask(Question::Blame { name: worker("web"), before: None, limit: 1000 }).is_ok(),
            "seed {seed}"
        );
        assert!(rig.definitions().len() <= 1, "seed {seed}");
        rig.record(run("new", ended(1, 1, 0)));
        assert_eq!(rig.runs("new").len(), 1, "seed {seed}: {:?} {:?}", rig.handle, rig.notices);
        rig.finish();
        let mut rig = Rig::with(dir.path(), |settings| settings.instance = "third".to_owned());
        assert_eq!(rig.runs("new").len(), 1, "seed {seed}");
        assert!(rig.reserve(1) > 51, "seed {seed}");
    }
}
