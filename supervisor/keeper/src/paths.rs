//! Where gob's directories are, and the environment that the supervisor gets (ARCHITECTURE, "Directories").
//!
//! The variables that the defaults come from are not passed on, so every path is resolved here, once, and handed
//! down under its `GOB_` name.

use crate::error::Error;
use nix::unistd::getuid;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// What the supervisor keeps of the caller's environment, beside the four directories.
const KEPT: [&str; 6] = ["HOME", "USER", "PATH", "LANG", "GOB_LIBEXEC", "GOB_LOG"];

/// Resolved places and what is handed down.
#[derive(Debug)]
pub(crate) struct Paths {
    /// The runtime directory.
    pub(crate) runtime: PathBuf,
    /// The state directory.
    pub(crate) state: PathBuf,
    /// Directories that nobody named, the data directory among them.
    pub(crate) usual: Vec<PathBuf>,
    /// The environment of the supervisor.
    pub(crate) env: Vec<(&'static str, OsString)>,
}

impl Paths {
    /// Resolves all paths from the variables that `var` knows.
    pub(crate) fn resolve(var: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, Error> {
        let set = |name| var(name).filter(|value| !value.is_empty());
        let own = |name| -> Result<Option<PathBuf>, Error> {
            match set(name).map(PathBuf::from) {
                Some(value) if !value.is_absolute() => Err(Error::RelativePath { name, value }),
                other => Ok(other),
            }
        };
        // The XDG specification wants relative paths ignored.
        let absolute = |name| set(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let below = |xdg, home: &str| absolute(xdg).or_else(|| absolute("HOME").map(|h| h.join(home)));

        let runtime = own("GOB_RUNTIME_DIR")?
            .or_else(|| absolute("XDG_RUNTIME_DIR").map(|dir| dir.join("gob")))
            .unwrap_or_else(|| PathBuf::from(format!("/tmp/gob-{}", getuid())));
        let state = own("GOB_STATE_DIR")?
            .or_else(|| below("XDG_STATE_HOME", ".local/state").map(|dir| dir.join("gob")))
            .ok_or(Error::NoHome)?;
        let data = own("GOB_DATA_DIR")?
            .or_else(|| below("XDG_DATA_HOME", ".local/share").map(|dir| dir.join("gob/graphs")));
        // One that is named has to be there, so the supervisor is told which of both it is.
        let config = match own("GOB_CONFIG")? {
            Some(path) => Some(("GOB_CONFIG", path)),
            None => below("XDG_CONFIG_HOME", ".config").map(|dir| ("XDG_CONFIG_HOME", dir)),
        };

        // A trailing slash would make O_NOFOLLOW follow.
        let runtime: PathBuf = runtime.components().collect();
        let places = [
            ("GOB_RUNTIME_DIR", Some(&runtime)),
            ("GOB_STATE_DIR", Some(&state)),
            ("GOB_DATA_DIR", data.as_ref()),
        ];
        let usual = places.into_iter().filter(|(name, _)| set(name).is_none());
        let usual = usual.filter_map(|(_, path)| path.cloned()).collect();
        let mut env = vec![
            ("GOB_RUNTIME_DIR", runtime.clone().into_os_string()),
            ("GOB_STATE_DIR", state.clone().into_os_string()),
        ];
        env.extend(data.map(|path| ("GOB_DATA_DIR", path.into_os_string())));
        env.extend(config.map(|(name, path)| (name, path.into_os_string())));
        env.extend(KEPT.into_iter().filter_map(|name| Some((name, set(name)?))));
        Ok(Self { runtime, state, usual, env })
    }

    /// One variable of the supervisor's environment.
    pub(crate) fn var(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_os_str())
    }

    /// The supervisor's environment as the kernel takes it.
    pub(crate) fn environment(&self) -> Vec<CString> {
        let lines = self.env.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
        // Values come from the environment, where a NUL can't be.
        lines.filter_map(|line| CString::new(line).ok()).collect()
    }
}

/// A path as the kernel takes it; none when it holds a NUL.
pub(crate) fn c_path(path: PathBuf) -> Option<CString> {
    CString::new(path.into_os_string().into_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(vars: &'static [(&str, &str)]) -> Result<Paths, Error> {
        Paths::resolve(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn own_variables_win_and_the_rest_follows_xdg() {
        let paths = resolve(&[
            ("GOB_RUNTIME_DIR", "/r/x/"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
            ("XDG_STATE_HOME", "relative"),
            ("XDG_CONFIG_HOME", "/c"),
            ("HOME", "/h"),
            ("SECRET", "1"),
        ])
        .unwrap();
        assert_eq!(paths.runtime.as_os_str(), "/r/x");
        assert_eq!(paths.state, PathBuf::from("/h/.local/state/gob"));
        assert_eq!(paths.var("GOB_DATA_DIR"), Some(OsStr::new("/h/.local/share/gob/graphs")));
        assert_eq!((paths.var("XDG_CONFIG_HOME"), paths.var("GOB_CONFIG")), (Some(OsStr::new("/c")), None));
        assert_eq!(paths.var("HOME"), Some(OsStr::new("/h")));
        assert!(
            paths.env.iter().all(|(name, _)| !["SECRET", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"].contains(name))
        );
    }

    #[test]
    fn defaults_without_xdg_and_without_home() {
        let paths = resolve(&[("HOME", "/h"), ("GOB_STATE_DIR", "")]).unwrap();
        assert_eq!(paths.runtime, PathBuf::from(format!("/tmp/gob-{}", getuid())));
        assert!(matches!(resolve(&[]), Err(Error::NoHome)));
        assert!(resolve(&[("GOB_STATE_DIR", "/s")]).unwrap().var("XDG_CONFIG_HOME").is_none());
        let named = resolve(&[("GOB_CONFIG", "/x.toml"), ("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")]).unwrap();
        assert_eq!(
            (named.var("GOB_CONFIG"), named.var("XDG_CONFIG_HOME")),
            (Some(OsStr::new("/x.toml")), None)
        );
    }

    #[test]
    fn relative_paths_are_refused() {
        let refused = resolve(&[("GOB_STATE_DIR", "s"), ("HOME", "/h")]);
        assert!(matches!(refused, Err(Error::RelativePath { name: "GOB_STATE_DIR", .. })));
    }
}
