use super::*;
use gob_client::protocol::exit::Exit;
use gob_client::protocol::{ByOutcome, EventKind, Owner, Rate};

fn plain(width: Option<usize>) -> Look {
    Look { color: false, width }
}

fn run(number: u64, exit: Option<Exit>, outcome: Option<RunOutcome>) -> RunRecord {
    RunRecord {
        run: number,
        pid: Some(42),
        started_at: Timestamp(60_000),
        ready_at: None,
        stopped_at: None,
        duration_ms: exit.as_ref().map(|_| 7200),
        exit,
        outcome,
        cut: false,
        owner: Owner::cli(),
        actor: Actor::Client { owner: Owner::cli(), client: Some("gobctl".into()), pid: Some(4370) },
    }
}

fn signal(name: &str) -> Exit {
    Exit::Signal { signal: name.to_owned(), core_dumped: false }
}

fn some_runs() -> Vec<RunRecord> {
    let cut = RunRecord { cut: true, ..run(2, None, Some(RunOutcome::Killed)) };
    vec![
        run(12, None, None),
        run(5, Some(Exit::Code { code: 0 }), Some(RunOutcome::Success)),
        run(4, Some(Exit::Code { code: 3 }), Some(RunOutcome::Failure)),
        run(3, Some(signal("SIGTERM")), Some(RunOutcome::Killed)),
        RunRecord { actor: Actor::Supervisor, ..cut },
        run(1, Some(Exit::Code { code: 0 }), Some(RunOutcome::Killed)),
    ]
}

#[test]
fn runs_tell_how_each_ended_and_by_whom_it_was_started() {
    let want = "\
RUN  STARTED  DURATION  END                OWNER  BY
 12  2m ago         2m  running            cli    cli (gobctl, pid 4370)
  5  2m ago       7.2s  done               cli    cli (gobctl, pid 4370)
  4  2m ago       7.2s  exited 3           cli    cli (gobctl, pid 4370)
  3  2m ago       7.2s  killed by SIGTERM  cli    cli (gobctl, pid 4370)
  2  2m ago          -  cut off            cli    supervisor
  1  2m ago       7.2s  stopped            cli    cli (gobctl, pid 4370)
";
    assert_eq!(runs(&some_runs(), Timestamp(180_000), plain(None)), want);
}

#[test]
fn a_narrow_table_of_runs_keeps_number_and_end() {
    for width in [80, 60, 50, 40, 30, 26] {
        let text = runs(&some_runs(), Timestamp(180_000), plain(Some(width)));
        assert!(text.lines().all(|line| crate::terminal::cells(line) <= width), "{width}\n{text}");
        assert!(text.contains("  3  2m ago") && text.contains("killed"), "{width}\n{text}");
    }
}

#[test]
fn a_failed_run_is_red_and_no_text_of_a_client_reaches_the_terminal_as_it_is() {
    let mut failed = run(1, Some(Exit::Code { code: 1 }), Some(RunOutcome::Failure));
    failed.actor = Actor::Client { owner: Owner::cli(), client: Some("\u{1b}[2J\n".into()), pid: None };
    let text = runs(&[failed], Timestamp(60_000), Look { color: true, width: None });
    assert!(text.contains("\u{1b}[31m  1") && text.contains("\\x1b[2J\\x0a"), "{text:?}");
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn statistics_are_a_sentence_and_a_table() {
    let of = |count, mean_ms, median_ms| Durations { count, mean_ms, median_ms };
    let mut all = Stats {
        runs: 7,
        success_rate: Rate::of(4, 6),
        expected_ms: Some(6800),
        by_outcome: ByOutcome {
            success: of(4, Some(6750), Some(6800)),
            failure: of(1, Some(120_000), Some(120_000)),
            killed: of(1, None, None),
        },
    };
    let name = Name::any("tests").unwrap();
    let want = "\
tests: 7 runs, 66.7% of those that ended succeeded
OUTCOME  RUNS  MEAN  MEDIAN
done        4  6.7s    6.8s
failed      1    2m      2m
killed      1     -       -
expected of the next run: 6.8s
";
    assert_eq!(stats(&name, &all, plain(None)), want);
    all = Stats { runs: 1, ..Stats::default() };
    assert!(stats(&name, &all, plain(None)).starts_with("tests: 1 run\nOUTCOME"));
}

#[test]
fn changes_have_the_words_of_events() {
    let entry = |event, actor, run, reason: Option<&str>| BlameEntry {
        time: Timestamp(0),
        event,
        actor,
        run,
        reason: reason.map(str::to_owned),
    };
    let client = Actor::Client { owner: Owner::cli(), client: Some("gobctl".into()), pid: Some(9) };
    let entries = [
        entry(EventKind::WorkerFailed, Actor::Supervisor, Some(3), Some("exited 1\u{7}")),
        entry(EventKind::WorkerOwnerChanged, client, None, None),
    ];
    let want = "\
TIME   EVENT          RUN  BY                   REASON
00:00  failed           3  supervisor           exited 1\\x07
00:00  owner changed    -  cli (gobctl, pid 9)
";
    assert_eq!(changes(&entries, plain(None), |_| "00:00".to_owned()), want);
    let narrow = changes(&entries, plain(Some(40)), |_| "00:00".to_owned());
    assert!(narrow.lines().all(|line| crate::terminal::cells(line) <= 40), "{narrow}");
    assert!(narrow.contains("owner changed") && narrow.contains("supervisor"), "{narrow}");
}
