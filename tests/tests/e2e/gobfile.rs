//! Project files: what they block for every client, and `gobctl trust`, `up` and `down` (D7).

mod blocked;
mod session;
mod trust;
mod watch;

use gob_tests::{Ctl, Gob};
use std::fs;
use std::path::{Path, PathBuf};

/// Makes a project with a project file of this text, and returns its real path.
fn project(gob: &Gob, text: &str) -> PathBuf {
    let dir = gob.dir().join("project");
    fs::create_dir_all(dir.join(".config")).unwrap();
    fs::write(dir.join(".config/gobfile.toml"), text).unwrap();
    dir.canonicalize().unwrap()
}

/// A call of gobctl in a directory.
fn ctl<'a>(gob: &Gob, dir: &Path, args: impl IntoIterator<Item = &'a str>) -> Ctl {
    let mut call = gob.ctl(args);
    call.cwd(dir);
    call
}
