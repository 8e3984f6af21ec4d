use super::*;
use crate::claims::Claims;
use crate::record::tests::keep;
use crate::scratch::Scratch;
use gob_core::{DeletePlan, GraphLock, NotDeleted};
use std::os::unix::fs::symlink;

/// A root with one graph, and a directory beside it.
fn root(name: &str) -> Scratch {
    let dir = Scratch::new(name);
    fs::create_dir_all(dir.join("g/deep/er")).unwrap();
    fs::create_dir_all(dir.join("outside")).unwrap();
    fs::write(dir.join("outside/mine"), "mine").unwrap();
    fs::write(dir.join("g/graph.sqlite"), "1234567").unwrap();
    fs::write(dir.join("g/deep/er/file"), "123").unwrap();
    dir
}

fn plan(dir: &Path) -> DeletePlan {
    let keep = keep(dir);
    let root = dir.to_str().unwrap().to_owned();
    let lock =
        GraphLock { path: format!("{root}/.gob/g.lock"), note: serde_json::Map::new(), keep: keep.clone() };
    DeletePlan {
        lock,
        dirs: vec![(root.clone(), "g".into())],
        records: vec![keep.path],
        path: format!("{root}/g"),
    }
}

#[test]
fn graphs_are_found_by_their_records_and_measured() {
    let dir = root("found");
    let root = dir.to_str().unwrap();
    let before = find(root, true);
    assert_eq!(before.len(), 1, "{before:?}");
    assert_eq!((before[0].graph.as_str(), &before[0].kind), ("g", &None), "one without a record");
    fs::write(dir.join("g/graph.sqlite"), "").unwrap();
    assert_eq!(find(root, true), before, "also one whose file is empty");
    fs::write(dir.join("g/graph.sqlite"), "1234567").unwrap();
    record::Served::new(keep(&dir)).begin();
    fs::write(dir.join(".gob/h.json"), "{\"gob_record\":").unwrap();
    fs::copy(dir.join(".gob/g.json"), dir.join(".gob/other.json")).unwrap();
    fs::copy(dir.join(".gob/g.json"), dir.join(".gob/g@0123456789abcdef.json")).unwrap();
    symlink("outside", dir.join("g/link")).unwrap();
    let mut found = find(root, false);
    measure(found.iter_mut());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].kind.as_deref(), found[0].size_bytes), (Some("graph"), Some(10)));
    assert_eq!(find(root, true).len(), 2, "the copy of another root is told too");
    // A root that was moved takes its records along.
    let elsewhere = Scratch::new("moved");
    let moved = elsewhere.join("root");
    fs::rename(&dir, &moved).unwrap();
    let found = find(moved.to_str().unwrap(), false);
    assert_eq!(found[0].data.dir(), moved.join("g").to_str().unwrap());
}

#[test]
fn a_graph_is_deleted_with_its_record_and_nothing_behind_a_link() {
    let dir = root("deleted");
    record::Served::new(keep(&dir)).begin();
    symlink("../outside", dir.join("g/link")).unwrap();
    symlink(dir.join("outside/mine"), dir.join("g/deep/file")).unwrap();
    assert_eq!(delete(&plan(&dir), &Claims::default()), Ok(None));
    assert!(!dir.join("g").exists() && !dir.join(".gob/g.json").exists());
    assert_eq!(fs::read_to_string(dir.join("outside/mine")).unwrap(), "mine");
    assert_eq!(delete(&plan(&dir), &Claims::default()), Ok(None), "nothing is left to delete");
    symlink("outside", dir.join("g")).unwrap();
    assert!(
        matches!(delete(&plan(&dir), &Claims::default()), Err(NotDeleted::Failed(why)) if why.contains("symbolic link"))
    );
    assert!(dir.join("outside/mine").exists() && dir.join("g").exists());
}

#[test]
fn data_elsewhere_stays_and_is_named() {
    let dir = root("kept");
    let mut plan = plan(&dir);
    plan.lock.keep.record.data = Place::Dir(dir.join("outside").to_str().unwrap().to_owned());
    assert_eq!(delete(&plan, &Claims::default()), Ok(Some(dir.join("outside").to_str().unwrap().to_owned())));
    assert!(!dir.join("g").exists() && dir.join("outside/mine").exists());
}
