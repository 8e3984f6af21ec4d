//! Paths of gob's files: the four directories of ARCHITECTURE, and how the first two are opened and made.
//!
//! Owns nothing but paths.

mod error;

pub use error::DirsError;

use crate::passwd;
use crate::private::{CHANGE, ENTER, Stranger, flaw, me, stranger_above};
use nix::fcntl::OFlag;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Tries to make and open the runtime directory; another program may remove it in between.
const TRIES: usize = 10;

/// The resolved paths, all absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Sockets and start lock: `GOB_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/gob`, else `/tmp/gob-$UID`.
    pub runtime: PathBuf,
    /// Lock, journal, logs, store: `GOB_STATE_DIR`, else `$XDG_STATE_HOME/gob`.
    pub state: PathBuf,
    /// Graphs without a directory of their own: `GOB_DATA_DIR`, else `$XDG_DATA_HOME/gob/graphs`.
    pub data: PathBuf,
    /// The configuration file: `GOB_CONFIG`, else `$XDG_CONFIG_HOME/gob/config.toml`.
    pub config: PathBuf,
    /// `GOB_CONFIG` names the configuration file, so that it must exist.
    pub config_is_named: bool,
}

impl Dirs {
    /// Resolves the directories from this process's environment.
    ///
    /// # Errors
    /// When there is no home directory, or a `GOB_*` path is relative.
    pub fn from_env() -> Result<Self, DirsError> {
        Self::resolve(|name| std::env::var_os(name), me())
    }

    /// Resolves the directories from variables and a user id. An empty variable counts as unset, and so does a
    /// relative `XDG_*` path (XDG Base Directory Specification) or `HOME`; a relative `GOB_*` path is refused, as the keeper does.
    ///
    /// # Errors
    /// As [`Dirs::from_env`].
    pub fn resolve(var: impl Fn(&str) -> Option<OsString>, uid: u32) -> Result<Self, DirsError> {
        let set = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let own = |name: &str| match set(name) {
            Some(path) if !path.is_absolute() => Err(DirsError::Relative { variable: name.to_owned(), path }),
            // Rebuilt by components: O_NOFOLLOW would follow a link that has a slash behind its name.
            path => Ok(path.map(|path| path.components().collect::<PathBuf>())),
        };
        let xdg = |name: &str| set(name).filter(|path| path.is_absolute());
        let home = || -> Result<PathBuf, DirsError> { xdg("HOME").map_or_else(|| passwd_home(uid), Ok) };
        let below_home = |name: &str, default: &str| xdg(name).map_or_else(|| Ok(home()?.join(default)), Ok);
        Ok(Self {
            runtime: match own("GOB_RUNTIME_DIR")? {
                Some(path) => path,
                None => xdg("XDG_RUNTIME_DIR")
                    .map_or_else(|| PathBuf::from(format!("/tmp/gob-{uid}")), |path| path.join("gob")),
            },
            state: match own("GOB_STATE_DIR")? {
                Some(path) => path,
                None => below_home("XDG_STATE_HOME", ".local/state")?.join("gob"),
            },
            data: match own("GOB_DATA_DIR")? {
                Some(path) => path,
                None => below_home("XDG_DATA_HOME", ".local/share")?.join("gob/graphs"),
            },
            config_is_named: set("GOB_CONFIG").is_some(),
            config: match own("GOB_CONFIG")? {
                Some(path) => path,
                None => below_home("XDG_CONFIG_HOME", ".config")?.join("gob/config.toml"),
            },
        })
    }

    /// Returns the path of the supervisor's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("daemon.sock")
    }

    /// Returns the file whose lock decides which supervisor lives; it names the socket too.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.state.join("gobd.lock")
    }

    /// Returns the path of the supervisor's own log.
    #[must_use]
    pub fn daemon_log(&self) -> PathBuf {
        self.state.join("gobd.log")
    }

    /// Returns the path of the last state that the supervisor wrote.
    #[must_use]
    pub fn last_state(&self) -> PathBuf {
        self.state.join("last.json")
    }

    /// Returns the directory that holds one directory of logs per worker.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// Returns the directories under the variables by which gob's programs hand them to each other. A
    /// configuration file without `GOB_CONFIG` goes as its `XDG_CONFIG_HOME`, since a named file must exist.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, &OsStr); 4] {
        let usual = self.config.parent().and_then(Path::parent).filter(|_| !self.config_is_named);
        let config = usual.map_or(("GOB_CONFIG", &*self.config), |dir| ("XDG_CONFIG_HOME", dir));
        [
            ("GOB_RUNTIME_DIR", self.runtime.as_os_str()),
            ("GOB_STATE_DIR", self.state.as_os_str()),
            ("GOB_DATA_DIR", self.data.as_os_str()),
            (config.0, config.1.as_os_str()),
        ]
    }

    /// Refuses to make directories inside another user's home, unless a `GOB_*` variable in `var` names them.
    ///
    /// # Errors
    /// [`DirsError::Others`].
    pub fn check_owners(&self, var: impl Fn(&str) -> Option<OsString>) -> Result<(), DirsError> {
        let all = [
            ("GOB_RUNTIME_DIR", &self.runtime),
            ("GOB_STATE_DIR", &self.state),
            ("GOB_DATA_DIR", &self.data),
        ];
        all.into_iter().try_for_each(|(name, path)| check_owner(name, path, &var))
    }

    /// Opens the runtime directory if gob may use it (PROTOCOL 1); `None` when there is none. Never changes
    /// it.
    ///
    /// # Errors
    /// [`DirsError::Unsafe`] for a symbolic link, a file, another owner, or a directory that others may
    /// enter.
    pub fn open_runtime(&self) -> Result<Option<File>, DirsError> {
        // O_PATH: the check must not need read permission; O_NOFOLLOW with it opens a link itself, which fstat(2) shows.
        open_private(&self.runtime, OFlag::O_PATH)
    }

    /// Makes the runtime directory and all missing parents, private to this user, unless it exists; then
    /// opens it as [`Dirs::open_runtime`] does.
    ///
    /// # Errors
    /// As [`Dirs::open_runtime`], and when the directory can't be made.
    pub fn create_runtime(&self) -> Result<File, DirsError> {
        for _ in 0..TRIES {
            if let Some(dir) = self.open_runtime()? {
                return Ok(dir);
            }
            make(&self.runtime, true).map_err(|source| failed("create", RUNTIME, &self.runtime, source))?;
        }
        let gone = || failed("create", RUNTIME, &self.runtime, io::ErrorKind::NotFound.into());
        self.open_runtime()?.ok_or_else(gone)
    }
}

/// Refuses to make `path` inside another user's home, unless `variable`, the `GOB_*` variable for it, is set
/// in `var`.
///
/// # Errors
/// [`DirsError::Others`].
pub fn check_owner(
    variable: &str,
    path: &Path,
    var: impl Fn(&str) -> Option<OsString>,
) -> Result<(), DirsError> {
    if var(variable).is_some_and(|value| !value.is_empty()) {
        return Ok(());
    }
    match stranger_above(path) {
        Some(Stranger { above, owner }) => {
            Err(DirsError::Others { path: path.to_owned(), above, owner, me: me() })
        }
        None => Ok(()),
    }
}

/// Opens the runtime directory for reading, so that it can be locked, and makes it first if it is missing.
/// Its parent belongs to the system or to the user who named it and is not made: a tree that appears there by
/// itself hides a slip.
///
/// # Errors
/// As [`Dirs::open_runtime`], and when the directory can't be made.
pub fn own_runtime(path: &Path) -> Result<File, DirsError> {
    match make(path, false) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("create", RUNTIME, path, source));
        }
        Ok(()) | Err(_) => {}
    }
    let gone = || failed("open", RUNTIME, path, io::ErrorKind::NotFound.into());
    open_private(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?.ok_or_else(gone)
}

/// Makes the state directory and all missing parents, private to this user. An existing one may be a symbolic
/// link, and must be this user's own and closed to changes by others. Returns whether it was made.
///
/// # Errors
/// [`DirsError::Unsafe`], and when the directory can't be made.
pub fn own_state(path: &Path) -> Result<bool, DirsError> {
    let is_new = !path.exists();
    make(path, true).map_err(|source| failed("create", STATE, path, source))?;
    let found = std::fs::metadata(path).map_err(|source| failed("read", STATE, path, source))?;
    match flaw(&found, CHANGE) {
        Some(flaw) => Err(DirsError::Unsafe { what: STATE, path: path.to_owned(), flaw }),
        None => Ok(is_new),
    }
}

const RUNTIME: &str = "runtime";
const STATE: &str = "state";

fn make(path: &Path, with_parents: bool) -> io::Result<()> {
    DirBuilder::new().recursive(with_parents).mode(0o700).create(path)
}

fn failed(operation: &'static str, what: &'static str, path: &Path, source: io::Error) -> DirsError {
    DirsError::Io { operation, what, path: path.to_owned(), source }
}

/// Returns the home in the list of users. Called only when HOME is not set.
fn passwd_home(uid: u32) -> Result<PathBuf, DirsError> {
    passwd::user(uid).map(|user| user.home).filter(|home| home.is_absolute()).ok_or(DirsError::NoHome)
}

fn open_private(path: &Path, how: OFlag) -> Result<Option<File>, DirsError> {
    let flags = how | OFlag::O_NOFOLLOW;
    let unsafe_ = |flaw| DirsError::Unsafe { what: RUNTIME, path: path.to_owned(), flaw };
    let dir = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            // The errors of O_DIRECTORY and O_NOFOLLOW name neither flaw.
            let found = std::fs::symlink_metadata(path).ok().and_then(|found| flaw(&found, 0));
            return Err(found.map_or_else(|| failed("open", RUNTIME, path, error), unsafe_));
        }
    };
    let found = dir.metadata().map_err(|source| failed("read", RUNTIME, path, source))?;
    flaw(&found, ENTER).map_or(Ok(Some(dir)), |flaw| Err(unsafe_(flaw)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn resolve(vars: &[(&str, &str)]) -> Dirs {
        let find = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
        Dirs::resolve(find, 1000).unwrap()
    }

    #[test]
    fn defaults_without_xdg() {
        let dirs = resolve(&[("HOME", "/h")]);
        assert_eq!(dirs.runtime, Path::new("/tmp/gob-1000"));
        assert_eq!(dirs.state, Path::new("/h/.local/state/gob"));
        assert_eq!(dirs.data, Path::new("/h/.local/share/gob/graphs"));
        assert_eq!(dirs.config, Path::new("/h/.config/gob/config.toml"));
    }

    #[test]
    fn xdg_and_own_variables() {
        let xdg = [
            ("HOME", "/h"),
            ("XDG_RUNTIME_DIR", "/run/u"),
            ("XDG_STATE_HOME", "/s"),
            ("XDG_DATA_HOME", "rel"),
            ("GOB_CONFIG", "/c.toml"),
        ];
        let dirs = resolve(&xdg);
        assert_eq!(dirs.runtime, Path::new("/run/u/gob"));
        assert_eq!(dirs.state, Path::new("/s/gob"));
        assert_eq!(dirs.data, Path::new("/h/.local/share/gob/graphs"));
        assert_eq!(dirs.config, Path::new("/c.toml"));
        let own = resolve(&[("HOME", "/h"), ("GOB_RUNTIME_DIR", "/x/"), ("XDG_RUNTIME_DIR", "")]);
        assert_eq!(own.runtime.as_os_str(), "/x");
        for name in ["GOB_RUNTIME_DIR", "GOB_STATE_DIR", "GOB_DATA_DIR", "GOB_CONFIG"] {
            let refused = Dirs::resolve(|asked| Some(if asked == name { "x" } else { "/h" }.into()), 1000);
            let error = refused.unwrap_err().to_string();
            assert_eq!(error, format!("{name} must be an absolute path, not `x`"));
        }
    }

    #[test]
    fn a_directory_that_is_not_private_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path();
        let dirs = |name: &str| Dirs { runtime: base.join(name), ..resolve(&[("HOME", "/h")]) };
        assert!(dirs("none").open_runtime().unwrap().is_none());
        dirs("good").create_runtime().unwrap();
        dirs("deep/er").create_runtime().unwrap();
        std::os::unix::fs::symlink(base.join("good"), base.join("link")).unwrap();
        std::fs::write(base.join("file"), "").unwrap();
        std::fs::create_dir(base.join("open")).unwrap();
        std::fs::set_permissions(base.join("open"), std::fs::Permissions::from_mode(0o777)).unwrap();
        for (name, says) in [("link", "symbolic link"), ("file", "not a directory"), ("open", "0777")] {
            let error = dirs(name).create_runtime().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(std::fs::metadata(base.join("open")).unwrap().permissions().mode() & 0o777, 0o777);
        assert!(
            own_state(&base.join("state/below")).unwrap() && !own_state(&base.join("state/below")).unwrap()
        );
        let refused = own_state(&base.join("open")).unwrap_err().to_string();
        assert!(refused.contains("the state directory") && refused.contains("may be changed"), "{refused}");
        for (name, says) in [("link", "symbolic link"), ("file", "not a directory"), ("open", "0777")] {
            let error = own_runtime(&base.join(name)).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let error = own_runtime(&base.join("no/parent")).unwrap_err().to_string();
        assert!(error.contains("cannot create the runtime directory"), "{error}");
        own_runtime(&base.join("own")).unwrap();
    }
}
