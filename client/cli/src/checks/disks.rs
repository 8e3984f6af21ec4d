//! The disks under gob's directories: whether flock holds there, and whether there is room.

use super::deadline::Look;
use super::scene::Scene;
use super::{Check, fail, ok, warn};
use crate::text::shell_path;
use gob_client::Dirs;
use nix::sys::statfs::{FsType, statfs};
use nix::sys::statvfs::statvfs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const DISKS: &str = "disks";
const SPACE: &str = "free space";

/// The kernel's numbers for file systems that are not, or not only, on this machine (statfs(2)).
const FAR: &[(FsType, &str)] = &[
    (FsType(0x6969), "NFS"),
    (FsType(0xff53_4d42), "a Windows share"),
    (FsType(0xfe53_4d42), "a Windows share"),
    (FsType(0x517b), "a Windows share"),
    (FsType(0x6573_5546), "FUSE"),
    (FsType(0x0102_1997), "9p"),
    (FsType(0x00c3_6400), "Ceph"),
    (FsType(0x5346_414f), "AFS"),
];
/// Folders that a program synchronises between machines, by their names.
const SYNCED: &[&str] =
    &["Dropbox", "OneDrive", "Nextcloud", "ownCloud", "Google Drive", "GoogleDrive", "Syncthing"];
/// The mark of Syncthing in a folder that it synchronises.
const SYNCED_MARK: &str = ".stfolder";

/// Time after which a disk counts as hung.
const PATIENCE: Duration = Duration::from_secs(2);

const MB: u64 = 1_000_000;
/// Below this no log or state can be written.
const NONE_LEFT: u64 = MB;
const LITTLE_LEFT: u64 = 100 * MB;
const FEW_FILES: u64 = 1000;

/// Runs the checks.
pub(super) fn look(scene: &Scene) -> Vec<Check> {
    let dirs = &scene.dirs;
    let named = [("runtime", &dirs.runtime), ("state", &dirs.state), ("data", &dirs.data)];
    let far: Vec<Check> = named.into_iter().filter_map(|(name, dir)| disk(name, dir)).collect();
    let mut checks = if far.is_empty() { vec![ok(DISKS, "all on this machine; flock holds")] } else { far };
    checks.extend(space(&dirs.state));
    checks
}

/// Returns the directories whose disk does not answer, and whether nothing works without them.
pub(super) fn hung(dirs: &Dirs) -> Vec<(Check, bool)> {
    let config = dirs.config.parent().unwrap_or(&dirs.config);
    let all = [
        ("runtime", "GOB_RUNTIME_DIR", dirs.runtime.as_path(), true),
        ("state", "GOB_STATE_DIR", &dirs.state, true),
        ("data", "GOB_DATA_DIR", &dirs.data, false),
        ("configuration's", "GOB_CONFIG", config, false),
    ];
    let looks = all.map(|what| {
        let dir = what.2.to_owned();
        (what, Look::begin(move || there(&dir).map(|there| statfs(&there).is_ok())))
    });
    let deadline = Instant::now() + PATIENCE;
    let hung = looks.into_iter().filter_map(|(what, look)| look.end(deadline).is_none().then_some(what));
    hung.map(|(name, variable, dir, is_needed)| (silent(name, variable, dir), is_needed)).collect()
}

fn silent(name: &str, variable: &str, dir: &Path) -> Check {
    let seconds = PATIENCE.as_secs();
    let found =
        format!("the {name} directory {} does not answer within {seconds} s: its disk hangs", dir.display());
    let hint = format!(
        "see what is mounted there: cat /proc/mounts; or choose a directory on another disk: {variable}"
    );
    fail(DISKS, found, hint)
}

/// Returns the directory itself or the nearest existing one above it.
fn there(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find_map(|dir| dir.canonicalize().ok())
}

fn disk(name: &str, dir: &Path) -> Option<Check> {
    let there = there(dir)?;
    let kind = statfs(&there).ok()?.filesystem_type();
    let far = FAR.iter().find(|(magic, _)| *magic == kind).map(|(_, name)| (*name).to_owned());
    let on = far.or_else(|| synced(&there))?;
    let hint = "flock does not hold across machines there, nor do copies of open databases: choose a local directory, \
                GOB_RUNTIME_DIR, GOB_STATE_DIR or GOB_DATA_DIR";
    Some(warn(DISKS, format!("the {name} directory {} is on {on}", dir.display()), hint))
}

fn synced(dir: &Path) -> Option<String> {
    let of = |dir: &Path| {
        let name = dir.file_name()?.to_str()?;
        let known = SYNCED.iter().any(|known| name == *known || name.starts_with(&format!("{known} ")));
        (known || dir.join(SYNCED_MARK).exists()).then(|| format!("a synced disk ({})", dir.display()))
    };
    dir.ancestors().find_map(of)
}

fn space(state: &Path) -> Option<Check> {
    let stat = statvfs(&there(state)?).ok()?;
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    // Some file systems make inodes as they are needed and report none.
    let files = Some(stat.files_available()).filter(|_| stat.files() > 0);
    Some(judge(free, files, state))
}

fn judge(free: u64, files: Option<u64>, state: &Path) -> Check {
    let hint = format!(
        "df -h {0}; du -sh {0}; gobctl cleanup, or a smaller logs.budget in the configuration",
        shell_path(state)
    );
    let few = files.filter(|files| *files < FEW_FILES);
    let found = match few {
        Some(files) => format!("room for {files} more files at {}", state.display()),
        None if free < 10_000 * MB => format!("{:.1} MB at {}", free as f64 / MB as f64, state.display()),
        None => format!("{} GB at {}", free / (1000 * MB), state.display()),
    };
    if free < NONE_LEFT || few == Some(0) {
        fail(SPACE, found, hint)
    } else if free < LITTLE_LEFT || few.is_some() {
        warn(SPACE, found, hint)
    } else {
        ok(SPACE, found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn room() {
        let level = |free, files| judge(free, files, Path::new("/s")).level;
        assert_eq!(level(500_000, None), Level::Fail);
        assert_eq!(level(50 * MB, Some(100_000)), Level::Warn);
        assert_eq!(level(500 * MB, Some(5)), Level::Warn);
        assert_eq!(level(500 * MB, Some(0)), Level::Fail);
        assert_eq!(level(500 * MB, None), Level::Ok);
        assert_eq!(judge(50_000 * MB, None, Path::new("/s")).found, "50 GB at /s");
        assert_eq!(judge(1_500_000, None, Path::new("/s")).found, "1.5 MB at /s");
    }

    #[test]
    fn a_synced_folder_is_known_by_its_name() {
        assert!(synced(Path::new("/home/ada/OneDrive - Uni/x")).is_some());
        assert!(synced(Path::new("/home/ada/Dropbox")).is_some());
        assert_eq!(synced(Path::new("/home/ada/Dropboxes")), None);
    }
}
