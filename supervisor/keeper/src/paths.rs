//! The environment of the supervisor: every path under its `GOB_` name (ARCHITECTURE, "Directories").
//!
//! The variables that the defaults come from are not passed on, so every path is resolved here, once, and handed down.

use crate::error::Error;
use gob_host::dirs::Dirs;
use gob_host::private::me;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The socket of a service manager that wants to be told when the supervisor serves (sd_notify(3)).
pub(crate) const NOTIFY: &str = "NOTIFY_SOCKET";

/// Variables of the caller that the supervisor gets, beside the four directories.
const KEPT: [&str; 8] = ["HOME", "USER", "PATH", "LANG", "PGPASSFILE", "GOB_LIBEXEC", "GOB_LOG", NOTIFY];

/// The resolved paths and the supervisor's environment.
#[derive(Debug)]
pub(crate) struct Paths {
    /// The directories.
    pub(crate) dirs: Dirs,
    /// The environment of the supervisor.
    env: Vec<(&'static str, OsString)>,
}

impl Paths {
    /// Resolves all paths from the variables that `var` knows.
    pub(crate) fn resolve(var: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let dirs = Dirs::resolve(&var, me())?;
        let mut env: Vec<_> =
            dirs.variables().into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        let set = |name| var(name).filter(|value| !value.is_empty());
        env.extend(KEPT.into_iter().filter_map(|name| Some((name, set(name)?))));
        Ok(Self { dirs, env })
    }

    /// Returns the supervisor's environment as the kernel takes it.
    pub(crate) fn environment(&self) -> Vec<CString> {
        let lines = self.env.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
        // Values come from the environment, where a NUL can't be.
        lines.filter_map(|line| CString::new(line).ok()).collect()
    }
}

/// Returns a path as the kernel takes it; `None` when it holds a NUL.
pub(crate) fn c_path(path: PathBuf) -> Option<CString> {
    CString::new(path.into_os_string().into_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn resolve(vars: &'static [(&str, &str)]) -> Paths {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
        Paths::resolve(var).unwrap()
    }

    impl Paths {
        fn var(&self, name: &str) -> Option<&OsStr> {
            self.env.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_os_str())
        }
    }

    #[test]
    fn the_supervisor_gets_resolved_paths_and_little_else() {
        let paths = resolve(&[
            ("GOB_RUNTIME_DIR", "/r/x/"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
            ("XDG_STATE_HOME", "relative"),
            ("XDG_CONFIG_HOME", "/c"),
            ("HOME", "/h"),
            ("SECRET", "1"),
        ]);
        assert_eq!(paths.var("GOB_RUNTIME_DIR"), Some(OsStr::new("/r/x")));
        assert_eq!(paths.var("GOB_STATE_DIR"), Some(OsStr::new("/h/.local/state/gob")));
        assert_eq!(paths.var("GOB_DATA_DIR"), Some(OsStr::new("/h/.local/share/gob/graphs")));
        assert_eq!((paths.var("XDG_CONFIG_HOME"), paths.var("GOB_CONFIG")), (Some(OsStr::new("/c")), None));
        assert_eq!(paths.var("HOME"), Some(OsStr::new("/h")));
        let absent = ["SECRET", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"];
        assert!(absent.iter().all(|name| paths.var(name).is_none()));
    }

    #[test]
    fn a_configuration_that_is_named_is_handed_on_as_named() {
        let named = resolve(&[("GOB_CONFIG", "/x.toml"), ("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")]);
        assert_eq!(
            (named.var("GOB_CONFIG"), named.var("XDG_CONFIG_HOME")),
            (Some(OsStr::new("/x.toml")), None)
        );
    }
}
