//! Finds gob's other programs (CLI, Where things are found): beside the own one, in `$GOB_LIBEXEC`, on PATH.

use nix::unistd::{AccessFlags, access};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The bytes of two programs that are compared at once.
const CHUNK: u64 = 64 * 1024;

/// Finds a program of gob by its file name.
///
/// # Errors
/// The directories that were searched.
pub fn find(name: &str) -> Result<PathBuf, Vec<PathBuf>> {
    let exe = std::env::current_exe().ok();
    find_in(name, &places(exe.as_deref(), |name| std::env::var_os(name)))
}

/// As [`find`], for the one that belongs to another program of gob.
///
/// # Errors
/// The directories that were searched.
pub fn find_beside(exe: &Path, name: &str) -> Result<PathBuf, Vec<PathBuf>> {
    find_in(name, &places(Some(exe), |name| std::env::var_os(name)))
}

/// Returns the directories that are searched for gob's programs before PATH.
#[must_use]
pub fn own_places() -> Vec<PathBuf> {
    before_path(std::env::current_exe().ok().as_deref(), |name| std::env::var_os(name))
}

/// Returns whether this user may execute a program at `path`.
#[must_use]
pub fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// Returns whether two programs have another content. One that was copied anew is the same.
///
/// # Errors
/// When one of them can't be read.
pub fn differ(one: &Path, other: &Path) -> io::Result<bool> {
    let [mut one, mut other] = [File::open(one)?, File::open(other)?];
    let (here, there) = (one.metadata()?, other.metadata()?);
    if (here.dev(), here.ino()) == (there.dev(), there.ino()) {
        return Ok(false);
    }
    if here.len() != there.len() {
        return Ok(true);
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        one.by_ref().take(CHUNK).read_to_end(&mut left)?;
        other.by_ref().take(CHUNK).read_to_end(&mut right)?;
        if left != right {
            return Ok(true);
        }
        if left.is_empty() {
            return Ok(false);
        }
    }
}

fn find_in(name: &str, places: &[PathBuf]) -> Result<PathBuf, Vec<PathBuf>> {
    let mut candidates = places.iter().map(|dir| dir.join(name));
    candidates.find(|path| is_program(path)).ok_or_else(|| places.to_vec())
}

fn before_path(exe: Option<&Path>, var: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(dir) = exe.and_then(Path::parent) {
        places.push(dir.to_owned());
        // Cargo puts test programs one level below the binaries they test.
        if dir.file_name().is_some_and(|name| name == "deps") {
            places.extend(dir.parent().map(Path::to_owned));
        }
    }
    places.extend(var("GOB_LIBEXEC").filter(|dir| !dir.is_empty()).map(PathBuf::from));
    places
}

fn places(exe: Option<&Path>, var: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let mut places = before_path(exe, &var);
    let path = var("PATH").unwrap_or_default();
    // A relative entry would name another program in every working directory.
    places.extend(std::env::split_paths(&path).filter(|dir| dir.is_absolute()));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_places() {
        let var = |name: &str| match name {
            "GOB_LIBEXEC" => Some("/libexec".into()),
            "PATH" => Some("/usr/bin:rel:/bin".into()),
            _ => None,
        };
        let got = places(Some(Path::new("/t/debug/deps/x")), var);
        let want = ["/t/debug/deps", "/t/debug", "/libexec", "/usr/bin", "/bin"];
        assert_eq!(got, want.map(PathBuf::from));
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_no_program() {
        assert_eq!(find_in("sh", &["/etc".into(), "/bin".into()]), Ok("/bin/sh".into()));
        assert_eq!(find_in("passwd", &["/etc".into()]), Err(vec!["/etc".into()]));
    }

    #[test]
    fn a_copy_is_the_same_program_and_another_content_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let long = vec![7; 2 * 64 * 1024 + 5];
        let mut late = long.clone();
        *late.last_mut().unwrap() = 8;
        let [one, copy, late, short] =
            [("one", &long), ("copy", &long), ("late", &late), ("short", &vec![7])]
                .map(|(name, bytes)| of(name, bytes));
        assert!(!differ(&one, &one).unwrap() && !differ(&one, &copy).unwrap());
        assert!(differ(&one, &late).unwrap() && differ(&one, &short).unwrap());
        assert!(differ(&one, &dir.path().join("none")).is_err());
    }
}
