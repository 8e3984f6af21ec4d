//! A runtime directory that is not a private directory of the user is refused and left as it is (PROTOCOL 1).

use gob_tests::require::root;
use gob_tests::{Ctl, Gob, Worker};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

/// Returns mode, owner and content of the directory's place.
fn facts(path: &Path) -> (u32, u32, Vec<String>) {
    let meta = fs::symlink_metadata(path).unwrap();
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    (meta.mode(), meta.uid(), names)
}

/// Checks that neither the client nor the supervisor itself uses it.
fn refused(gob: &Gob, watched: &Path) {
    let before = facts(watched);
    let output = gob.ctl(["ping"]).fails(7);
    assert!(output.stderr.starts_with("error: ") && output.stderr.contains("run"), "{output}");
    assert_eq!(output.stdout, "");
    let direct = Ctl::new(&gob.bin("gob-keeper"), gob.env()).run();
    assert_ne!(direct.code, 0, "{direct}");
    assert_eq!(facts(watched), before);
    assert_eq!(gob.processes(), Vec::<i32>::new());
}

#[test]
fn a_symbolic_link() {
    let gob = Gob::new();
    let target = gob.dir().join("target");
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&target, gob.runtime_dir()).unwrap();
    refused(&gob, &target);
}

#[test]
fn a_file() {
    let gob = Gob::new();
    fs::write(gob.runtime_dir(), "mine").unwrap();
    refused(&gob, &gob.runtime_dir());
    assert_eq!(fs::read(gob.runtime_dir()).unwrap(), b"mine");
}

#[test]
fn a_directory_that_others_may_enter() {
    for mode in [0o777, 0o750, 0o701] {
        let gob = Gob::new();
        fs::create_dir(gob.runtime_dir()).unwrap();
        fs::set_permissions(gob.runtime_dir(), fs::Permissions::from_mode(mode)).unwrap();
        refused(&gob, &gob.runtime_dir());
    }
}

#[test]
fn a_directory_of_another_user() {
    if !root("only root can give a directory away") {
        return;
    }
    let gob = Gob::new();
    fs::create_dir(gob.runtime_dir()).unwrap();
    fs::set_permissions(gob.runtime_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    chown(gob.runtime_dir(), Some(65534), Some(65534)).unwrap();
    refused(&gob, &gob.runtime_dir());
}

#[test]
fn a_long_path_works() {
    let gob = Gob::with(Worker::Real);
    // A socket address holds 107 bytes; these paths are longer.
    let deep = gob.dir().join("d".repeat(150));
    let here =
        |args: &[&str]| gob.ctl(args.iter().copied()).env("GOB_RUNTIME_DIR", deep.to_str().unwrap()).ok();
    here(&["start", "g"]);
    let got = here(&["invoke", "g", "stats"]);
    assert!(got.contains("\"nodes\":0"), "{got}");
    here(&["nuke"]);
}
