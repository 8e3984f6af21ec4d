//! A supervisor's directories, compared with those of this client's variables: the supervisor is found by its
//! runtime directory alone, so the others may differ.

use crate::failure::Failure;
use gob_client::Dirs;
use gob_client::protocol::answer::{ServerDirs, ServerInfo};
use std::path::{Path, PathBuf};

/// A directory that the supervisor has elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// Its name in words.
    pub(crate) what: &'static str,
    /// The variable that names it.
    pub(crate) variable: &'static str,
    /// This client's path.
    pub(crate) ours: PathBuf,
    /// The supervisor's path.
    pub(crate) theirs: PathBuf,
}

/// Returns the directories that differ.
pub(crate) fn elsewhere(dirs: &Dirs, theirs: &ServerDirs) -> Vec<Elsewhere> {
    all(dirs, theirs).into_iter().filter(Elsewhere::differs).collect()
}

/// Returns the directory that a variable names, if it differs. No other directory is touched: its disk may
/// hang.
pub(crate) fn elsewhere_of(variable: &str, dirs: &Dirs, theirs: &ServerDirs) -> Option<Elsewhere> {
    all(dirs, theirs).into_iter().find(|it| it.variable == variable).filter(Elsewhere::differs)
}

fn all(dirs: &Dirs, theirs: &ServerDirs) -> [Elsewhere; 4] {
    let config = theirs.config.as_deref().map_or(dirs.config.as_path(), Path::new);
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let same_home = || home.clone().unwrap_or_default();
    [
        ("data directory", "GOB_DATA_DIR", dirs.data.clone(), PathBuf::from(&theirs.data)),
        ("state directory", "GOB_STATE_DIR", dirs.state.clone(), PathBuf::from(&theirs.state)),
        ("configuration", "GOB_CONFIG", dirs.config.clone(), config.to_owned()),
        ("home directory", "HOME", same_home(), theirs.home.as_ref().map_or_else(same_home, PathBuf::from)),
    ]
    .map(|(what, variable, ours, theirs)| Elsewhere { what, variable, ours, theirs })
}

impl Elsewhere {
    /// Returns whether the two paths lead to two places. Equal ones are compared without the disk.
    fn differs(&self) -> bool {
        self.ours != self.theirs && real(&self.ours) != real(&self.theirs)
    }
}

/// Resolves the links of a path, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let Some((above, real)) = found else { return path.to_owned() };
    path.strip_prefix(above).map_or_else(|_| path.to_owned(), |rest| real.join(rest).components().collect())
}

/// Refuses to end a supervisor in the same runtime directory with another state directory: it belongs to
/// another home, and is not the intended one.
pub(crate) fn check_ours(dirs: &Dirs, server: &ServerInfo, verb: &str) -> Result<(), Failure> {
    let Some(theirs) = &server.dirs else { return Ok(()) };
    if real(&dirs.state) == real(Path::new(&theirs.state)) {
        return Ok(());
    }
    let home = theirs.home.as_ref().map(|home| format!(" (HOME {home})")).unwrap_or_default();
    let message =
        format!("the supervisor that answers (pid {}) is not that of {}", server.pid, dirs.state.display());
    let failure = Failure::own("other-state-dir", 1, message);
    let failure =
        failure.cause(format!("its state directory is {}{home}; nothing was touched", theirs.state));
    let state = crate::text::shell_path(Path::new(&theirs.state));
    Err(failure.hint(format!("if it is meant: GOB_STATE_DIR={state} gobctl {verb}; or {verb} --force")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs(data: &str) -> Dirs {
        Dirs {
            runtime: "/r".into(),
            state: "/s".into(),
            data: data.into(),
            config: "/c".into(),
            config_is_named: false,
        }
    }

    fn theirs() -> ServerDirs {
        ServerDirs { home: None, state: "/s".into(), data: "/d/graphs".into(), config: None }
    }

    #[test]
    fn only_different_directories_are_elsewhere() {
        assert_eq!(elsewhere_of("GOB_STATE_DIR", &dirs("/other"), &theirs()), None);
        assert!(elsewhere_of("GOB_DATA_DIR", &dirs("/other"), &theirs()).is_some());
        assert_eq!(elsewhere(&dirs("/d/graphs/"), &theirs()), []);
        let differs = elsewhere(&dirs("/other"), &theirs());
        assert_eq!(differs.len(), 1);
        assert_eq!(
            (differs[0].variable, differs[0].theirs.as_path()),
            ("GOB_DATA_DIR", Path::new("/d/graphs"))
        );
    }

    #[test]
    fn a_supervisor_of_another_state_directory_is_not_ended() {
        let server = |state: &str| ServerInfo {
            version: String::new(),
            pid: 7,
            instance: String::new(),
            started_at: gob_client::protocol::Timestamp(0),
            dirs: Some(ServerDirs { state: state.to_owned(), ..theirs() }.into()),
            config_invalid: Vec::new(),
        };
        assert!(check_ours(&dirs("/d"), &server("/s/"), "nuke").is_ok());
        let Err(failure) = check_ours(&dirs("/d"), &server("/other"), "nuke") else {
            panic!("it was not refused")
        };
        assert_eq!(failure.exit_code(), 1);
        assert!(
            check_ours(&dirs("/d"), &ServerInfo { dirs: None, ..server("/other") }, "nuke").is_ok(),
            "an older one"
        );
    }
}
