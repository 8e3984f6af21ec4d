//! Where gob's files are: the four directories of ARCHITECTURE, resolved once, and the check of the runtime one.
//!
//! Owns nothing but paths. Nothing here creates or changes a file, but [`Dirs::create_runtime`].

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How often somebody may take the runtime directory away between its making and its opening.
const TRIES: usize = 10;

/// The resolved places; all absolute.
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
    /// `GOB_CONFIG` names it, so that it has to be there.
    pub config_is_named: bool,
}

/// Why a directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DirsError {
    /// Neither `HOME` nor the user database tells a home directory.
    #[error("there is no home directory: HOME is not set, and the user database has none")]
    NoHome,
    /// A path that depends on where one stands: each directory would have a supervisor of its own.
    #[error("{variable} must be an absolute path, not `{}`", path.display())]
    Relative {
        /// The variable.
        variable: String,
        /// The path as given.
        path: PathBuf,
    },
    /// The runtime directory is not a private directory of this user.
    #[error("the runtime directory {} {problem}", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A directory would have to be made in one that is another user's, who would be locked out of it.
    #[error("cannot make {}: {} belongs to uid {owner}{}, not to you (uid {me})", path.display(), above.display(), sudo(*owner))]
    Others {
        /// What is to be made.
        path: PathBuf,
        /// The nearest directory that is there.
        above: PathBuf,
        /// Its owner.
        owner: u32,
        /// This user.
        me: u32,
    },
    /// The runtime directory could not be looked at or made.
    #[error("cannot {operation} the runtime directory {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl Dirs {
    /// Resolves the directories from this process's environment.
    ///
    /// # Errors
    /// When there is no home directory, or a `GOB_*` path is relative.
    pub fn from_env() -> Result<Self, DirsError> {
        Self::resolve(|name| std::env::var_os(name), nix::unistd::geteuid().as_raw())
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
            // Rebuilt by components: with a slash at its end O_NOFOLLOW would follow a link.
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

    /// The supervisor's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("daemon.sock")
    }

    /// The file that decides which supervisor lives, and tells where its socket is.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.state.join("gobd.lock")
    }

    /// The supervisor's own log.
    #[must_use]
    pub fn daemon_log(&self) -> PathBuf {
        self.state.join("gobd.log")
    }

    /// The last state that the supervisor wrote down.
    #[must_use]
    pub fn last_state(&self) -> PathBuf {
        self.state.join("last.json")
    }

    /// Below it each worker has a directory of logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// Refuses to have directories made where another user's home is, as under a sudo that keeps HOME: they would be this user's, and
    /// private. What `GOB_*` names is meant.
    ///
    /// # Errors
    /// [`DirsError::Others`].
    pub fn check_owners(&self) -> Result<(), DirsError> {
        let all = [
            ("GOB_RUNTIME_DIR", &self.runtime),
            ("GOB_STATE_DIR", &self.state),
            ("GOB_DATA_DIR", &self.data),
        ];
        let is_named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        all.into_iter().filter(|(name, _)| !is_named(name)).try_for_each(|(_, path)| check_owner(path))
    }

    /// Opens the runtime directory if it is one that gob may use (PROTOCOL 1); `None` when there is none.
    /// It is not touched.
    ///
    /// # Errors
    /// [`DirsError::Unsafe`] for a symlink, a file, another owner, or a directory that others may enter.
    pub fn open_runtime(&self) -> Result<Option<OwnedFd>, DirsError> {
        open_private(&self.runtime)
    }

    /// Makes the runtime directory, private to this user, unless it is there; then as [`Dirs::open_runtime`].
    ///
    /// # Errors
    /// As [`Dirs::open_runtime`], and when it can't be made.
    pub fn create_runtime(&self) -> Result<OwnedFd, DirsError> {
        let io = |source| DirsError::Io { operation: "make", path: self.runtime.clone(), source };
        for _ in 0..TRIES {
            if let Some(fd) = self.open_runtime()? {
                return Ok(fd);
            }
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.runtime).map_err(io)?;
        }
        self.open_runtime()?.ok_or_else(|| io(io::ErrorKind::NotFound.into()))
    }
}

/// The user database's home. Asked only when HOME is not set: it may go over the network.
fn passwd_home(uid: u32) -> Result<PathBuf, DirsError> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    user.map(|user| user.dir).filter(|dir| dir.is_absolute()).ok_or(DirsError::NoHome)
}

/// The user who ran sudo, where that is the owner.
fn sudo(owner: u32) -> String {
    let is_his = std::env::var("SUDO_UID").is_ok_and(|uid| uid == owner.to_string());
    let user = std::env::var("SUDO_USER").ok().filter(|_| is_his);
    user.map(|user| format!(" ({user}, who ran sudo)")).unwrap_or_default()
}

fn check_owner(path: &Path) -> Result<(), DirsError> {
    use std::os::unix::fs::MetadataExt;
    let me = nix::unistd::geteuid().as_raw();
    let Some((above, stat)) = path.ancestors().find_map(|dir| Some((dir, std::fs::metadata(dir).ok()?)))
    else {
        return Ok(());
    };
    // In the system's directories and in shared ones, such as /tmp, everybody may make his own.
    if above == path || stat.uid() == me || stat.uid() == 0 || stat.mode() & 0o1000 != 0 {
        return Ok(());
    }
    Err(DirsError::Others { path: path.to_owned(), above: above.to_owned(), owner: stat.uid(), me })
}

fn open_private(path: &Path) -> Result<Option<OwnedFd>, DirsError> {
    let bad = |problem: String| DirsError::Unsafe { path: path.to_owned(), problem };
    let io = |operation, errno: nix::Error| DirsError::Io {
        operation,
        path: path.to_owned(),
        source: errno.into(),
    };
    // O_PATH: the check must not need read permission; O_NOFOLLOW with it opens a symlink itself, which fstat shows.
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = match open(path, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(nix::Error::ENOENT) => return Ok(None),
        Err(errno) => return Err(io("open", errno)),
    };
    let stat = fstat(&fd).map_err(|errno| io("look at", errno))?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFLNK {
        return Err(bad("is a symbolic link; gob uses only a real directory".to_owned()));
    }
    if kind != SFlag::S_IFDIR {
        return Err(bad("is not a directory".to_owned()));
    }
    let me = nix::unistd::geteuid().as_raw();
    if stat.st_uid != me {
        return Err(bad(format!("belongs to uid {}, not to you (uid {me})", stat.st_uid)));
    }
    let mode = stat.st_mode & 0o777;
    if mode & 0o077 != 0 {
        return Err(bad(format!("may be entered by others (mode {mode:04o}); it has to be 0700")));
    }
    Ok(Some(fd))
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
    fn only_a_private_directory_is_used() {
        let base = std::env::temp_dir().join(format!("gob-dirs-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
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
        std::fs::remove_dir_all(base).unwrap();
    }
}
