use super::*;
use crate::scratch::Scratch;
use gob_core::RECORD_VERSION;
use gob_protocol::{Name, Owner};
use std::os::unix::fs::{PermissionsExt, symlink};

pub(crate) fn keep(root: &Path) -> Keep {
    let root = root.to_str().unwrap();
    let record = Record {
        gob_record: RECORD_VERSION,
        graph: Name::graph("g").unwrap(),
        kind: "graph".into(),
        root_dir: root.to_owned(),
        data: Place::File(format!("{root}/g/graph.sqlite")),
        owner: Owner::cli(),
        last_used_at: Timestamp(0),
        held_data: false,
    };
    let (pointer, elsewhere) = (None, Vec::new());
    Keep { path: format!("{root}/.gob/g.json"), pointer, elsewhere, record, was_served: false }
}

fn served(keep: &Keep) -> Record {
    let served = Served::new(keep.clone());
    served.begin();
    read(&keep.path).unwrap()
}

#[test]
fn a_served_graph_is_recorded_privately_and_its_loss_is_reported() {
    let dir = Scratch::new("served");
    let keep = keep(&dir);
    assert_eq!(Served::new(keep.clone()).judge().unwrap(), Ok(New(true)));
    fs::create_dir(dir.join("g")).unwrap();
    fs::write(dir.join("g/graph.sqlite"), "data").unwrap();
    assert!(served(&keep).held_data);
    let mode = |path: &str| fs::metadata(dir.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(".gob"), mode(".gob/g.json")), (0o700, 0o600));
    assert_eq!(fs::read_dir(dir.join(".gob")).unwrap().count(), 1, "nothing else is left");
    // The data was removed while the run went on: the end of the run does not forget it.
    let run = Served::new(keep.clone());
    run.begin();
    fs::rename(dir.join("g"), dir.join("away")).unwrap();
    run.end();
    let path = keep.record.data.path().to_owned();
    let told = Served::new(keep.clone()).judge().unwrap();
    assert!(matches!(&told, Err(Unfit::Gone { path: at, .. }) if *at == path), "{told:?}");
    fs::create_dir(dir.join("g")).unwrap();
    fs::write(dir.join("g/graph.sqlite"), "").unwrap();
    assert!(Served::new(keep.clone()).judge().unwrap().is_err(), "an empty file is no graph either");
    fs::remove_dir_all(dir.join("g")).unwrap();
    fs::rename(dir.join("away"), dir.join("g")).unwrap();
    assert_eq!(Served::new(keep.clone()).judge().unwrap(), Ok(New(false)));
    let other = Keep { record: Record { kind: "redis".into(), ..keep.record.clone() }, ..keep };
    assert!(matches!(Served::new(other).judge().unwrap(), Err(Unfit::Kind(known)) if known.kind == "graph"));
}

#[test]
fn the_end_of_a_run_that_serves_a_single_file_is_recorded_before_it() {
    let dir = Scratch::new("leaves");
    let keep = keep(&dir);
    fs::create_dir(dir.join("g")).unwrap();
    fs::write(dir.join("g/graph.sqlite"), "data").unwrap();
    let run = Served::new(keep.clone());
    assert!(!run.begins_to_leave(), "it has not served");
    run.begin();
    assert!(run.begins_to_leave() && !run.begins_to_leave() && !run.has_left());
    run.leave();
    assert!(run.has_left() && read(&keep.path).unwrap().held_data);
    fs::remove_file(&keep.path).unwrap();
    run.end();
    assert_eq!(read(&keep.path), None, "it is not written again");
    // A record that could not be written is written at the end.
    let run = Served::new(keep.clone());
    run.begin();
    fs::rename(dir.join(".gob"), dir.join("hidden")).unwrap();
    fs::write(dir.join(".gob"), "").unwrap();
    run.leave();
    assert!(!run.has_left());
    fs::remove_file(dir.join(".gob")).unwrap();
    run.end();
    assert!(read(&keep.path).unwrap().held_data);
    // A program may empty its directory on its way out.
    let data = Place::Dir(format!("{}/g", dir.display()));
    let run = Served::new(Keep { record: Record { data, ..keep.record.clone() }, ..keep });
    run.begin();
    assert!(!run.begins_to_leave());
}

#[test]
fn a_root_that_went_while_it_was_served_is_missed_by_a_later_supervisor() {
    let dir = Scratch::new("copy");
    let root = dir.join("root");
    let pointer = Some(format!("{}/data/.gob/g@1.json", dir.display()));
    let keep = Keep { pointer, ..keep(&root) };
    fs::create_dir_all(root.join("g")).unwrap();
    fs::write(root.join("g/graph.sqlite"), "data").unwrap();
    let run = Served::new(keep.clone());
    run.begin();
    fs::rename(&root, dir.join("away")).unwrap();
    run.end();
    fs::remove_dir_all(&root).ok();
    let told = Served::new(keep.clone()).judge().unwrap();
    assert!(matches!(told, Err(Unfit::Gone { last_used_at: Some(_), .. })), "{told:?}");
    fs::rename(dir.join("away"), &root).unwrap();
    assert_eq!(Served::new(keep).judge().unwrap(), Ok(New(false)));
}

#[test]
fn a_program_that_leaves_its_directory_empty_leaves_nothing_to_miss() {
    let dir = Scratch::new("empty");
    let data = dir.join("g");
    let mut keep = keep(&dir);
    keep.record.data = Place::Dir(data.to_str().unwrap().to_owned());
    let run = Served::new(keep.clone());
    fs::create_dir(&data).unwrap();
    fs::write(data.join("pid"), "7").unwrap();
    run.begin();
    assert!(read(&keep.path).unwrap().held_data);
    fs::remove_file(data.join("pid")).unwrap();
    run.end();
    assert!(!read(&keep.path).unwrap().held_data);
    assert_eq!(Served::new(keep.clone()).judge().unwrap(), Ok(New(false)));
    fs::write(data.join("dump"), "7").unwrap();
    run.begin();
    fs::remove_dir_all(&data).unwrap();
    run.end();
    assert!(matches!(Served::new(keep).judge().unwrap(), Err(Unfit::Gone { .. })));
}

#[test]
fn a_damaged_record_counts_as_none_and_is_replaced() {
    let dir = Scratch::new("damaged");
    let keep = keep(&dir);
    let whole = serde_json::to_vec(&served(&keep)).unwrap();
    let long = [whole.clone(), vec![b' '; 70_000]].concat();
    let owner = String::from_utf8(whole.clone()).unwrap().replace("\"cli\"", "\"NOT ONE\"").into_bytes();
    for damage in [whole[..whole.len() / 2].to_vec(), Vec::new(), vec![0; 300], long, owner] {
        fs::write(&keep.path, &damage).unwrap();
        assert_eq!(read(&keep.path), None, "{:?}", String::from_utf8_lossy(&damage));
        assert_eq!(Served::new(keep.clone()).judge().unwrap(), Ok(New(true)));
        assert_eq!(served(&keep).kind, "graph");
    }
}

#[test]
fn a_foreign_file_is_neither_believed_nor_replaced() {
    let dir = Scratch::new("foreign");
    let keep = keep(&dir);
    served(&keep);
    fs::write(dir.join("own"), "mine").unwrap();
    let check = |text: &str| {
        assert_eq!(read(&keep.path), None);
        Served::new(keep.clone()).begin();
        assert_eq!(fs::read_to_string(dir.join("own")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(&keep.path).unwrap(), text);
        assert!(remove(&keep.path).is_err());
        assert!(fs::symlink_metadata(&keep.path).is_ok());
    };
    fs::write(&keep.path, "{\"name\":\"my own\"}").unwrap();
    check("{\"name\":\"my own\"}");
    fs::remove_file(&keep.path).unwrap();
    symlink(dir.join("own"), &keep.path).unwrap();
    check("mine");
    fs::remove_file(&keep.path).unwrap();
    // A link in the temporary file's place is not written through either.
    symlink(dir.join("own"), dir.join(".gob/g.json.new")).unwrap();
    served(&keep);
    assert_eq!(fs::read_to_string(dir.join("own")).unwrap(), "mine");
}

#[test]
fn nothing_is_written_into_a_directory_that_is_not_ours_alone() {
    let dir = Scratch::new("link");
    let keep = keep(&dir);
    fs::create_dir(dir.join("project")).unwrap();
    fs::set_permissions(dir.join("project"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(dir.join("project/g.lock"), "the user's own").unwrap();
    symlink(dir.join("project"), dir.join(".gob")).unwrap();
    let failure = write(&keep.path, &keep.record, true).unwrap_err().to_string();
    assert!(failure.contains("symbolic link") && failure.contains("/.gob"), "{failure}");
    assert_eq!(fs::read_dir(dir.join("project")).unwrap().count(), 1);
    fs::remove_file(dir.join(".gob")).unwrap();
    fs::create_dir(dir.join(".gob")).unwrap();
    fs::set_permissions(dir.join(".gob"), fs::Permissions::from_mode(0o777)).unwrap();
    let failure = write(&keep.path, &keep.record, true).unwrap_err().to_string();
    assert!(failure.contains("others may write"), "{failure}");
    if nix::unistd::geteuid().is_root() {
        fs::set_permissions(dir.join(".gob"), fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(dir.join(".gob"), Some(65_534), None).unwrap();
        let failure = write(&keep.path, &keep.record, true).unwrap_err().to_string();
        assert!(failure.contains("uid 65534"), "{failure}");
        assert_eq!(fs::read_dir(dir.join(".gob")).unwrap().count(), 0);
    }
}

#[test]
fn a_record_that_cannot_be_read_for_now_decides_nothing_and_stays() {
    let dir = Scratch::new("unread");
    let keep = Keep { was_served: true, ..keep(&dir) };
    fs::create_dir(dir.join("g")).unwrap();
    fs::write(dir.join("g/graph.sqlite"), "data").unwrap();
    assert!(served(&keep).held_data);
    let missing: io::Error = Beside::open(&dir.join("nowhere")).unwrap_err().into();
    assert!(!is_passing(&missing) && !is_passing(&parse(b"{").unwrap_err()));
    for errno in [Errno::EMFILE, Errno::ENFILE, Errno::EIO] {
        assert!(is_passing(&io::Error::from(errno)), "{errno}");
    }
}
