//! The build of gob that a program belongs to, as its `--version` tells it.

/// The version that all of gob's programs share.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of the wire protocol, as in `hello`.
const PROTOCOL: u32 = crate::limits::PROTOCOL;
/// The commit that a package was built from: its builder sets the variable. A build in a checkout has none, so that a commit there
/// does not build everything anew.
const COMMIT: Option<&str> = option_env!("GOB_COMMIT");

/// Returns the answer to `--version`, without a line's end: `gobctl 0.2.0 (protocol 1)`, and the commit in a package.
#[must_use]
pub fn version_of(program: &str) -> String {
    match COMMIT {
        Some(commit) => format!("{program} {VERSION} (protocol {PROTOCOL}, commit {commit})"),
        None => format!("{program} {VERSION} (protocol {PROTOCOL})"),
    }
}
