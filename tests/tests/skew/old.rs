//! The programs of version 0.1.0, built once from the archive of their source.

use gob_tests::gob::built_binaries;
use gob_tests::{Ctl, Gob, program};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const OLD: &str = "0.1.0";

/// Its packages with programs that run for a user.
const PACKAGES: [&str; 4] = ["gobctl", "gob-supervisor", "gob-keeper", "gob-graph-worker"];
const PROGRAMS: [&str; 4] = ["gobctl", "gobd", "gob-keeper", "gob-graph-worker"];

/// Returns the directory of the old programs. The first of all tests builds them while the others wait.
///
/// # Panics
/// When they can't be built.
pub(crate) fn programs() -> PathBuf {
    let profile = built_binaries();
    let target = profile.parent().expect("cargo's target directory");
    let dir = target.join("gob-0.1.0");
    fs::create_dir_all(&dir).expect("a directory");
    let lock = File::create(dir.join("lock")).expect("a lock");
    lock.lock().expect("a lock");
    let built = dir.join("built/debug");
    let complete = dir.join("complete");
    if !complete.exists() {
        let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/gob-0.1.0.tar.gz");
        run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&dir));
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--locked", "--config", "profile.dev.package.gob-core.opt-level=0"]);
        for package in PACKAGES {
            cargo.args(["-p", package]);
        }
        cargo.current_dir(dir.join("gob-0.1.0"));
        // Dependencies of both versions are built already, and shared.
        cargo.env("CARGO_BUILD_BUILD_DIR", target).env("CARGO_TARGET_DIR", dir.join("built"));
        run(&mut cargo);
        File::create(complete).expect("a mark");
    }
    built
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Replaces the programs of a world by the old ones, as an installer does.
pub(crate) fn install(gob: &Gob) {
    for name in PROGRAMS {
        put(gob, name, &programs().join(name));
    }
}

/// Replaces the programs of a world by those under test.
pub(crate) fn install_new(gob: &Gob) {
    for name in PROGRAMS {
        put(gob, name, &built_binaries().join(name));
    }
}

fn put(gob: &Gob, name: &str, from: &Path) {
    let new = gob.dir().join("new");
    program::copy(from, &new, 0o755);
    fs::rename(new, gob.bin(name)).expect("one file system");
}

/// Calls gobctl of one version, wherever it is, in a world.
pub(crate) fn ctl(gob: &Gob, dir: &Path, words: &str) -> Ctl {
    let mut ctl = Ctl::new(&dir.join("gobctl"), gob.env());
    ctl.args(words.split(' ')).cwd(gob.dir());
    ctl
}
