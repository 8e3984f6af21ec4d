//! Random questions, lives and kills, by pseudo-random numbers. A failure names its seed.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// Variable of the process that is killed: its directory and its life.
const VICTIM: &str = "GOB_STORE_TEST_QUEUE";
const KILLED: &str = "tests::queue::chance::what_was_answered_outlives_a_kill_and_no_two_attempts_overlap";

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A job as it is known to somebody who only hears the answers.
#[derive(Debug, Default)]
struct Heard {
    attempt: u32,
    is_claimed: bool,
    is_over: bool,
}

#[test]
fn random_questions_keep_what_is_always_true() {
    for seed in 0..25 {
        let mut numbers = Numbers(seed);
        let dir = dir();
        let mut heard: BTreeMap<u64, Heard> = BTreeMap::new();
        let mut next = 1;
        for life in 0..3 {
            let mut rig = Rig::with(dir.path(), |settings| settings.instance = format!("life {life}"));
            let recover =
                QueueAsk::Recover { except: Vec::new(), error: "ended".to_owned(), retry_at: at(0) };
            rig.told(recover);
            heard.values_mut().for_each(|job| job.is_claimed = false);
            for _ in 0..60 {
                step(&mut rig, &mut numbers, &mut heard, &mut next, seed);
            }
            rig.finish();
            check(dir.path());
        }
    }
}

/// Asks one random question, and compares the answer with what was heard before.
fn step(rig: &mut Rig, numbers: &mut Numbers, heard: &mut BTreeMap<u64, Heard>, next: &mut u64, seed: u64) {
    let any = 1 + numbers.below((*next).max(2) - 1);
    let name = if numbers.below(2) == 0 { "a" } else { "b" };
    let attempt = heard.get(&any).map_or(0, |job| job.attempt);
    let reason = || "asked".to_owned();
    let ask = match numbers.below(12) {
        0..=3 => {
            let after = (0..numbers.below(3)).map(|_| job_id(1 + numbers.below(*next))).collect();
            let priority = i32::try_from(numbers.below(3)).unwrap();
            let dedupe = (numbers.below(4) == 0).then(|| format!("key {}", numbers.below(3)));
            let max_attempts = u32::try_from(1 + numbers.below(3)).unwrap();
            add(NewJob { after, priority, dedupe, max_attempts, ..new_job(*next, name) })
        }
        4..=6 => claim(name),
        7 => ending(any, attempt, QueueEnd::Completed),
        8 => ending(any, attempt, failed_again(at(0))),
        9 => QueueAsk::GiveBack { id: job_id(any), attempt },
        10 => QueueAsk::Cancel { id: job_id(any), reason: reason() },
        _ if numbers.below(8) == 0 => {
            QueueAsk::Clear { lane: lane(name), owners: vec![Owner::cli()], reason: reason() }
        }
        _ => QueueAsk::Retry { id: job_id(any), env: None, umask: None },
    };
    let told = rig.told(ask.clone());
    match (&ask, &told) {
        (_, QueueTold::Added { job, is_new: true }) => {
            heard.insert(*next, Heard::default());
            assert_eq!(job.id, job_id(*next));
            *next += 1;
        }
        (_, QueueTold::Claimed { claim: Some(claim), .. }) => {
            let job = heard.get_mut(&claim.job.id.number().unwrap()).unwrap();
            assert!(!job.is_claimed && !job.is_over, "seed {seed}: {claim:?}");
            assert!(claim.job.attempt > job.attempt, "seed {seed}: {claim:?}");
            (job.attempt, job.is_claimed) = (claim.job.attempt, true);
        }
        (QueueAsk::Finish(_) | QueueAsk::GiveBack { .. }, QueueTold::Settled(settled)) => {
            let job = heard.get_mut(&any).unwrap();
            assert!(job.is_claimed, "seed {seed}: {settled:?}");
            job.is_claimed = false;
            job.is_over = settled.job.status.is_end();
        }
        (QueueAsk::Finish(_) | QueueAsk::GiveBack { .. }, QueueTold::Refused(_)) => {
            assert!(heard.get(&any).is_none_or(|job| !job.is_claimed), "seed {seed}: {ask:?} {told:?}");
        }
        (QueueAsk::Retry { .. }, QueueTold::Settled(_)) => {
            let job = heard.get_mut(&any).unwrap();
            assert!(!job.is_claimed, "seed {seed}");
            job.is_over = false;
        }
        _ => {}
    }
}

/// Adds, claims and finishes until it is killed, and says what was answered.
fn work_until_killed(dir: &Path, life: &str) {
    let mut rig = Rig::with(dir, |settings| {
        settings.instance = life.to_owned();
        settings.idle = Duration::ZERO;
    });
    rig.told(QueueAsk::Recover { except: Vec::new(), error: "ended".to_owned(), retry_at: at(0) });
    println!("RECOVERED 0 0");
    for round in 0_u64.. {
        let first = rig.reserve(1);
        rig.record(run("web", begun(round + 1)));
        rig.added(NewJob { max_attempts: 1_000, ..new_job(first, "ci") });
        println!("ADDED {first} 0");
        let (number, attempt) = rig.claimed("ci").unwrap();
        println!("CLAIMED {number} {attempt}");
        if round % 3 != 0 {
            rig.settled(ending(number, attempt, QueueEnd::Completed));
            println!("FINISHED {number} {attempt}");
        }
    }
}

#[test]
fn what_was_answered_outlives_a_kill_and_no_two_attempts_overlap() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        work_until_killed(Path::new(&dir), &std::env::var("GOB_STORE_TEST_LIFE").unwrap());
    }
    let dir = dir();
    let mut numbers = Numbers(11);
    let (mut added, mut finished) = (BTreeSet::new(), BTreeSet::new());
    let mut attempts: BTreeMap<u64, u64> = BTreeMap::new();
    for round in 0..10 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", KILLED, "--nocapture"])
            .env(VICTIM, dir.path())
            .env("GOB_STORE_TEST_LIFE", format!("life {round}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
        let heard = |line: String| {
            let at =
                ["RECOVERED", "ADDED", "CLAIMED", "FINISHED"].into_iter().find_map(|word| line.find(word))?;
            let mut words = line[at..].split(' ').map(str::to_owned);
            let word = words.next()?;
            Some((word, words.next()?.parse::<u64>().ok()?, words.next()?.parse::<u64>().ok()?))
        };
        let some = 1 + usize::try_from(numbers.below(90)).unwrap();
        let mut all: Vec<_> = lines.by_ref().filter_map(heard).take(some).collect();
        victim.kill().unwrap();
        victim.wait().unwrap();
        all.extend(lines.filter_map(heard));
        for (word, number, attempt) in all {
            match word.as_str() {
                "ADDED" => assert!(added.insert(number), "round {round}"),
                "CLAIMED" => {
                    assert!(!finished.contains(&number), "round {round}: {number} was finished");
                    let before = attempts.insert(number, attempt).unwrap_or_default();
                    assert!(attempt > before, "round {round}: {number}");
                }
                "FINISHED" => assert!(finished.insert(number), "round {round}"),
                _ => {}
            }
        }
        let mut rig = Rig::with(dir.path(), |settings| settings.instance = "judge".to_owned());
        for number in &added {
            let job = rig.job(*number);
            assert!(
                !finished.contains(number) || job.status == QueueStatus::Completed,
                "round {round}: {job:?}"
            );
            assert!(
                u64::from(job.attempt) >= attempts.get(number).copied().unwrap_or_default(),
                "round {round}"
            );
        }
        assert_eq!(rig.notices, [], "round {round}");
        rig.finish();
        check(dir.path());
    }
    assert!(added.len() > 10 && !finished.is_empty());
}
