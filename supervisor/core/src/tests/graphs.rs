//! The graph that a deletion means, and the right to delete it.

use super::harness::World;
use super::steps::Step;
use super::words::{CLI, DESKTOP, name, start, stop, world};
use crate::record::Place;
use crate::{ConnId, Effect, Input};
use crate::{GraphSearch, NotDeleted, OnDisk};
use gob_protocol::request::GraphDelete;
use gob_protocol::{Data, ErrorCode, Owner, Timestamp, WireError};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

fn on_disk(root: &str, owner: &str) -> OnDisk {
    OnDisk {
        graph: name("w"),
        root_dir: root.into(),
        kind: Some("graph".into()),
        data: Place::File(std::format!("{root}/w/graph.sqlite")),
        owner: Owner::new(owner).unwrap(),
        last_used_at: Some(Timestamp(7)),
        size_bytes: None,
    }
}

/// The effects of a requested deletion once the graphs on disk are found.
fn effects(world: &World, conn: ConnId, root_dir: Option<&str>, found: Vec<OnDisk>) -> Vec<Effect> {
    let delete = Some(GraphDelete { graph: name("w"), root_dir: root_dir.map(Into::into) });
    let mut core = world.core.clone();
    core.apply(Input::GraphsFound { search: GraphSearch { conn, id: None, delete }, found }, core.cx.now)
}

fn refusal(effects: Vec<Effect>) -> Box<WireError> {
    match effects.into_iter().next() {
        Some(Effect::Reply { result: Err(error), .. }) => error,
        other => panic!("{other:?}"),
    }
}

/// The directories that go.
fn going(effects: Vec<Effect>) -> Vec<std::string::String> {
    match effects.into_iter().next() {
        Some(Effect::DeleteGraph { plan, .. }) => {
            plan.dirs.iter().map(|(base, name)| std::format!("{base}/{name}")).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_graph_without_an_owner_is_deleted_by_its_last_owner_or_cli() {
    let world = world();
    for (owner, conn, may) in [
        ("desktop", DESKTOP, true),
        ("desktop", CLI, false),
        ("cli", CLI, true),
        ("unknown", CLI, true),
        ("unknown", DESKTOP, false),
    ] {
        let effects = effects(&world, conn, None, vec![on_disk("/data", owner)]);
        if may {
            assert_eq!(going(effects), ["/data/w"], "{owner}");
        } else {
            assert_eq!(refusal(effects).code, ErrorCode::ServerOwnedByOther, "{owner}");
        }
    }
}

#[test]
fn of_several_graphs_of_a_name_one_has_to_be_named() {
    let world = world();
    let both = || vec![on_disk("/data", "cli"), on_disk("/far", "cli")];
    let error = refusal(effects(&world, CLI, None, both()));
    assert_eq!(error.code, ErrorCode::GraphConflict);
    assert_eq!(error.details.unwrap()["roots"], serde_json::json!(["/data", "/far"]));
    assert_eq!(going(effects(&world, CLI, Some("/far"), both())), ["/data/w", "/far/w"]);
    assert_eq!(refusal(effects(&world, CLI, None, vec![])).code, ErrorCode::ServerNotFound);
    assert_eq!(refusal(effects(&world, CLI, Some("/no"), both())).code, ErrorCode::ServerNotFound);
}

#[test]
fn data_of_other_kinds_outside_of_the_data_directory_stays() {
    let world = world();
    let data = Place::Dir("/far/graphs/w".into());
    let found = OnDisk { kind: Some("other".into()), data, ..on_disk("/far", "cli") };
    assert_eq!(going(effects(&world, CLI, None, vec![found])), ["/data/w"]);
}

#[test]
fn a_graph_in_use_is_not_deleted_and_a_worker_at_rest_goes_with_its_graph() {
    let mut world = world();
    world.takes(&Step::Ask(CLI, start("w")));
    world.settles();
    let error = refusal(effects(&world, CLI, None, vec![on_disk("/data", "cli")]));
    assert_eq!(error.code, ErrorCode::ServerRunning);
    let error = refusal(effects(&world, DESKTOP, None, vec![on_disk("/data", "desktop")]));
    assert_eq!(error.code, ErrorCode::ServerOwnedByOther, "its worker's owner counts");
    world.takes(&Step::Ask(CLI, stop("w")));
    world.settles();
    // Also where nothing is left on the disk.
    let mut effects = effects(&world, CLI, None, vec![]);
    let Some(Effect::DeleteGraph { search, plan }) = effects.pop() else { panic!("{effects:?}") };
    let mut core = world.core.clone();
    let failed = Err(NotDeleted::Failed("no".into()));
    core.apply(
        Input::GraphDeleted { search: search.clone(), plan: plan.clone(), result: failed },
        core.cx.now,
    );
    assert!(core.workers.get(&name("w")).is_some());
    let out = core.apply(Input::GraphDeleted { search, plan, result: Ok(None) }, core.cx.now);
    assert!(core.workers.get(&name("w")).is_none());
    let answered = |effect: &Effect| matches!(effect, Effect::Reply { result: Ok(Data::GraphDelete(done)), .. } if done.deleted == "/data/w");
    assert!(out.iter().any(answered), "{out:?}");
}
