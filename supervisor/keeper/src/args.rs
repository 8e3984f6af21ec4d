//! The command line. Its words must never contain the supervisor's own name, so that a search by that name
//! finds the supervisor and not its keeper.

use crate::error::Error;
use gob_protocol::build;
use std::ffi::OsString;
use std::os::fd::OwnedFd;

/// The parsed command line.
#[derive(Debug)]
pub(crate) struct Args {
    /// Leave the caller's session and return to it at once.
    pub(crate) detach: bool,
    /// The pipe for readiness, or for the reason of a failure.
    pub(crate) ready_fd: Option<OwnedFd>,
    /// Log into the state directory, where `gobctl daemon logs` reads.
    pub(crate) log: bool,
    /// Only tell whether the locks are free.
    pub(crate) unlocked: bool,
}

/// Returns the answer to `--help` or `--version`; `None` for other words.
pub(crate) fn about(word: &str) -> Option<String> {
    let version = build::VERSION;
    match word {
        "-V" | "--version" => Some(build::version_of("gob-keeper")),
        "-h" | "--help" => Some(format!(
            "gob-keeper {version}, above the supervisor of gob: starts it, starts it again when it was killed, and ends\n\
             whatever a killed one left behind.\n\n\
             Usage: gob-keeper [--detach] [--log] [--ready-fd N] | --unlocked\n\n\
             \x20 --detach        leave the caller's session, and log into the state directory\n\
             \x20 --log           log into the state directory, where gobctl daemon logs reads\n\
             \x20 --ready-fd N    tell on this descriptor when the supervisor can be reached, or why it can't\n\
             \x20 --unlocked      start nothing; exit with 1 where a supervisor has the locks\n\
             \x20 --help, --version\n\n\
             gobctl starts it when it is needed, and a service manager with the unit of gobctl daemon install.\n\
             Directories: GOB_RUNTIME_DIR, GOB_STATE_DIR, GOB_DATA_DIR, GOB_CONFIG; its siblings: GOB_LIBEXEC."
        )),
        _ => None,
    }
}

impl Args {
    /// Parses the arguments that follow the program's name.
    pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Self, Error> {
        let mut args = Self { detach: false, ready_fd: None, log: false, unlocked: false };
        let mut words = words;
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("--detach") => args.detach = true,
                Some("--log") => args.log = true,
                Some("--unlocked") => args.unlocked = true,
                Some("--ready-fd") if args.ready_fd.is_none() => {
                    let number = words.next().and_then(|n| n.to_str()?.parse().ok());
                    let number =
                        number.ok_or_else(|| Error::Usage("--ready-fd takes a number".to_owned()))?;
                    let fd = crate::sys::take_fd(number).map_err(|source| {
                        Error::Usage(format!("--ready-fd {number} cannot be used: {source}"))
                    })?;
                    args.ready_fd = Some(fd);
                }
                Some(_) | None => {
                    return Err(Error::Usage(format!("unknown argument {}", word.display())));
                }
            }
        }
        Ok(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Args, Error> {
        Args::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn known_words_are_parsed_and_others_refused() {
        assert!(parse(&["--detach"]).unwrap().detach);
        let (none, both) = (parse(&[]).unwrap(), parse(&["--log", "--unlocked"]).unwrap());
        assert!(!none.detach && !none.log && !none.unlocked && both.log && both.unlocked);
        for bad in [
            &["--ready-fd"][..],
            &["--ready-fd", "x"],
            &["--ready-fd", "99999"],
            &["--ready-fd", "1"],
            &["x"],
        ] {
            assert!(matches!(parse(bad), Err(Error::Usage(_))), "{bad:?}");
        }
    }
}
