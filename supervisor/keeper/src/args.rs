//! The command line. Its words must never contain the supervisor's own name, so that whoever looks for that finds
//! the supervisor and not its keeper.

use crate::error::Error;
use std::ffi::OsString;
use std::os::fd::OwnedFd;

/// What the keeper was told.
#[derive(Debug)]
pub(crate) struct Args {
    /// Leave the caller's session and return to it at once.
    pub(crate) detach: bool,
    /// Where readiness, or the reason why there is none, is told.
    pub(crate) ready_fd: Option<OwnedFd>,
}

impl Args {
    /// Reads the arguments that follow the program's name.
    pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Self, Error> {
        let mut args = Self { detach: false, ready_fd: None };
        let mut words = words;
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("--detach") => args.detach = true,
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
    fn words_that_are_understood_and_words_that_are_not() {
        assert!(parse(&["--detach"]).unwrap().detach);
        assert!(!parse(&[]).unwrap().detach);
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
