//! Needs of a test on the machine, and the result of a test without them.
//!
//! A test that can't run says so and passes, so that a checkout can be tried anywhere. Where `GOB_TEST_REQUIRE` is `all`, as in
//! `.ci/run`, it fails instead, unless `GOB_TEST_ALLOW` names the need: a list with commas between. So every test that is left out there is named.

use std::io::Write;

/// Something that not every machine gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To run as root.
    Root,
    /// To run programs as another user, who may reach them.
    OtherUser,
    /// To mount a file system.
    Mounts,
    /// Namespaces of processes.
    Namespaces,
    /// Control groups below a group that may be written to.
    Cgroups,
    /// The freezer of control groups, version 1.
    Freezer,
    /// `strace`, and the right to trace.
    Strace,
    /// Node.js.
    Node,
    /// Python 3.
    Python,
    /// The Python package `mcp`.
    PythonMcp,
    /// The npm package `@modelcontextprotocol/sdk`.
    NodeMcp,
    /// OpenSSH's client and server, and libnss_wrapper, which shows the server a user.
    Sshd,
    /// `systemd-analyze`, which checks units.
    Systemd,
    /// A display of a test's own: Xvfb with OpenGL in software, xdotool, dbus-daemon.
    Display,
    /// A shell that completes words.
    Shell(&'static str),
    /// A program that reads manual pages.
    Pages(&'static str),
    /// A server of a shipped kind.
    Server(&'static str),
}

impl Need {
    /// Its name in `GOB_TEST_ALLOW`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::OtherUser => "other-user",
            Self::Mounts => "mounts",
            Self::Namespaces => "namespaces",
            Self::Cgroups => "cgroups",
            Self::Freezer => "freezer",
            Self::Strace => "strace",
            Self::Node => "node",
            Self::Python => "python",
            Self::PythonMcp => "python-mcp",
            Self::NodeMcp => "node-mcp",
            Self::Sshd => "sshd",
            Self::Systemd => "systemd-analyze",
            Self::Display => "display",
            Self::Shell(program) | Self::Pages(program) | Self::Server(program) => program,
        }
    }
}

/// Says that a test does not happen for want of `need`, past the harness that swallows what a test prints.
///
/// # Panics
/// When everything is required and this was not allowed to be missing.
pub fn skip(need: Need, why: &str) {
    let of = |name| std::env::var(name).unwrap_or_default();
    let name = need.name();
    assert!(
        may_skip(&of("GOB_TEST_REQUIRE"), &of("GOB_TEST_ALLOW"), name),
        "{why}, and GOB_TEST_REQUIRE=all; to do without, add {name} to GOB_TEST_ALLOW"
    );
    let line = format!("SKIPPED ({name}): {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error");
}

/// Whether this is root's test run; says which test does not happen where it is not.
#[must_use]
pub fn root(why: &str) -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        skip(Need::Root, why);
    }
    is_root
}

fn may_skip(require: &str, allow: &str, name: &str) -> bool {
    require != "all" || allow.split(',').any(|allowed| allowed == name)
}

#[cfg(test)]
mod tests {
    use super::may_skip;

    #[test]
    fn a_need_may_be_missing_only_by_name() {
        assert!(may_skip("", "", "root") && may_skip("", "node", "root"));
        assert!(!may_skip("all", "", "root") && !may_skip("all", "rooted,oot", "root"));
        assert!(may_skip("all", "root", "root") && may_skip("all", "node,root", "root"));
    }
}
