//! An upgrade: who may ask for it, and who answers.

use super::state::{read, write};
use super::words::{CLI, ELECTRON, NOBODY, started_by, stop, world};
use crate::{ConnId, Core, Effect, Input};
use gob_protocol::answer::{KeeperUpgrade, Program, UpgradeData};
use gob_protocol::request::{Force, Upgrade};
use gob_protocol::{Data, ErrorCode, EventKind, Id, Request, WireError};
use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

const EXE: &str = "/opt/gobd";

fn ask(core: &mut Core, conn: ConnId, id: i64, request: Request) -> Vec<Effect> {
    let now = core.cx.now;
    core.apply(Input::Request { conn, id: Some(Id::Number(id)), request }, now)
}

fn upgrade() -> Request {
    Request::Upgrade(Upgrade { exe: Some(EXE.into()) })
}

fn program(version: &str) -> Program {
    Program { version: version.into(), exe: EXE.into() }
}

fn tells(core: &mut Core, input: Input) -> Vec<Effect> {
    let now = core.cx.now;
    core.apply(input, now)
}

/// An answer: whose, to which request, and what.
type Answer<'a> = (ConnId, &'a Option<Id>, &'a Result<Data, Box<WireError>>);

/// The only answer among the effects.
fn answer(effects: &[Effect]) -> Option<Answer<'_>> {
    let mut answers = effects.iter().filter_map(|effect| match effect {
        Effect::Reply { conn, id, result } => Some((*conn, id, result)),
        _other => None,
    });
    let first = answers.next();
    assert!(answers.next().is_none(), "{effects:?}");
    first
}

fn refusal(effects: &[Effect]) -> &WireError {
    answer(effects).expect("an answer").2.as_ref().expect_err("a refusal")
}

fn is_replaced(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Replace))
}

fn is_to_bring_keeper(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::BringKeeper))
}

fn keeper() -> KeeperUpgrade {
    KeeperUpgrade { pid: 41, upgraded: true, error: None }
}

#[test]
fn the_new_program_answers_the_request_that_the_state_carries() {
    let mut core = started_by(CLI).core;
    let tried = ask(&mut core, CLI, 7, upgrade());
    assert!(matches!(&tried[..], [Effect::TryProgram { exe: Some(exe) }] if exe == EXE), "{tried:?}");
    let second = ask(&mut core, CLI, 8, upgrade());
    assert_eq!(refusal(&second).code, ErrorCode::Busy);
    assert!(is_replaced(&tells(&mut core, Input::ProgramTried(Ok(program("0.1.0"))))));
    let mut core = read(&write(&core)).expect("the same state");
    let (seq, owed) = (core.seq(), core.resume());
    assert!(answer(&owed).is_none(), "{owed:?}");
    let taken = tells(&mut core, Input::Upgraded(program("0.2.0")));
    assert!(is_to_bring_keeper(&taken) && answer(&taken).is_none(), "the keeper first: {taken:?}");
    assert_eq!(refusal(&ask(&mut core, CLI, 9, upgrade())).code, ErrorCode::Busy, "it is not through");
    assert!(is_to_bring_keeper(&core.resume()), "and would be asked for again");
    let done = tells(&mut core, Input::KeeperBrought(keeper()));
    let (conn, id, result) = answer(&done).expect("an answer");
    assert_eq!((conn, id), (CLI, &Some(Id::Number(7))));
    let expected = UpgradeData { from: program("0.1.0"), to: program("0.2.0"), keeper: Some(keeper()) };
    assert_eq!(result, &Ok(Data::Upgrade(Box::new(expected))));
    assert_eq!(core.seq(), seq + 1, "one event");
    let record = taken.iter().find_map(|effect| match effect {
        Effect::Record(crate::Recorded::Change(change)) => Some(change),
        _other => None,
    });
    let record = record.expect("the history has it");
    assert_eq!(record.event, EventKind::SupervisorUpgraded);
    assert_eq!(core.cx.setup.server.version, "0.2.0", "who says hello hears of it");
    assert!(matches!(&ask(&mut core, CLI, 9, upgrade())[..], [Effect::TryProgram { .. }]), "and again");
}

#[test]
fn a_program_that_does_not_take_over_is_told_with_its_reason_and_leaves_all_as_it_was() {
    let mut core = started_by(CLI).core;
    for fails_when_replaced in [false, true] {
        let before = core.clone();
        ask(&mut core, CLI, 7, upgrade());
        let failed = if fails_when_replaced {
            assert!(is_replaced(&tells(&mut core, Input::ProgramTried(Ok(program("0.1.0"))))));
            tells(&mut core, Input::NotReplaced("the disk hangs".into()))
        } else {
            tells(&mut core, Input::ProgramTried(Err("the disk hangs".into())))
        };
        let refused = refusal(&failed);
        assert_eq!(refused.code, ErrorCode::UpgradeFailed);
        assert!(refused.message.contains("the disk hangs"), "{refused:?}");
        assert_eq!((core.seq(), &core.workers), (before.seq(), &before.workers));
    }
}

#[test]
fn only_an_owner_that_may_force_upgrades_and_sees_whose_workers_depend_on_it() {
    let mut core = started_by(CLI).core;
    let refused = ask(&mut core, NOBODY, 7, upgrade());
    let refused = refusal(&refused);
    assert_eq!(refused.code, ErrorCode::ServerOwnedByOther);
    let details = refused.details.as_ref().expect("details");
    assert_eq!(details["workers"], serde_json::json!([{"worker": "w", "owner": "cli"}]));
    assert!(refused.hint.as_ref().is_some_and(|hint: &String| hint.contains("force_owners")), "{refused:?}");
    assert!(matches!(&ask(&mut core, ELECTRON, 8, upgrade())[..], [Effect::TryProgram { .. }]));
}

#[test]
fn a_supervisor_on_its_way_out_is_not_replaced() {
    let mut core = started_by(CLI).core;
    ask(&mut core, CLI, 7, upgrade());
    ask(&mut core, CLI, 8, stop("w"));
    let ends = ask(&mut core, CLI, 9, Request::Shutdown(Force { force: true }));
    let (_, id, _) = answer(&ends).expect("an answer");
    assert_eq!((id, refusal(&ends).code), (&Some(Id::Number(7)), ErrorCode::ShuttingDown));
    let tried = tells(&mut core, Input::ProgramTried(Ok(program("0.1.0"))));
    assert!(!is_replaced(&tried) && answer(&tried).is_none(), "it was answered: {tried:?}");
    assert_eq!(refusal(&ask(&mut core, CLI, 10, upgrade())).code, ErrorCode::ShuttingDown);
}

#[test]
fn a_client_that_left_is_not_waited_for() {
    let mut core = started_by(CLI).core;
    ask(&mut core, CLI, 7, upgrade());
    tells(&mut core, Input::Disconnected { conn: CLI });
    assert!(is_replaced(&tells(&mut core, Input::ProgramTried(Ok(program("0.1.0"))))));
    tells(&mut core, Input::Upgraded(program("0.2.0")));
    let done = tells(&mut core, Input::KeeperBrought(keeper()));
    assert!(answer(&done).is_none(), "nobody is there to be told");
    assert!(matches!(&ask(&mut core, ELECTRON, 8, upgrade())[..], [Effect::TryProgram { .. }]));
}

#[test]
fn a_program_that_took_over_and_ends_before_its_keeper_is_through_answers_without_it() {
    let mut core = world().core;
    ask(&mut core, CLI, 7, upgrade());
    tells(&mut core, Input::ProgramTried(Ok(program("0.1.0"))));
    tells(&mut core, Input::Upgraded(program("0.2.0")));
    let ended = tells(&mut core, Input::Terminate);
    assert!(ended.iter().any(|effect| matches!(effect, Effect::Exit { .. })), "{ended:?}");
    let (_, id, result) = answer(&ended).expect("an answer");
    let expected = UpgradeData { from: program("0.1.0"), to: program("0.2.0"), keeper: None };
    assert_eq!((id, result), (&Some(Id::Number(7)), &Ok(Data::Upgrade(Box::new(expected)))));
}
