//! The connection to the supervisor in words, for the banner of a surface that stays open.

use crate::error::Error;

/// The state of a surface's connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Link {
    /// None was tried yet.
    #[default]
    Opening,
    /// It is there, and every event arrives.
    Up,
    /// No supervisor runs.
    Away,
    /// A supervisor can't be used, or could not be started.
    Refused(Trouble),
}

/// An error in the words of its source: code, message, cause and hint as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The word for programs.
    pub code: String,
    /// The event.
    pub message: String,
    /// The cause, where there is one beside the message.
    pub cause: Option<String>,
    /// The remedy.
    pub hint: Option<String>,
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            cause: error.cause(),
            hint: error.hint(),
        }
    }
}

/// A banner above everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Banner {
    /// The headline.
    pub title: String,
    /// The explanation.
    pub lines: Vec<String>,
    /// Whether a button that starts the supervisor makes sense.
    pub starts: bool,
}

impl Link {
    /// Returns the banner; `None` while all is well. `knows` tells whether workers are shown from before.
    #[must_use]
    pub fn banner(&self, knows: bool) -> Option<Banner> {
        let known =
            knows.then(|| "Below is the last known state; nothing in it can be changed now.".to_owned());
        match self {
            Self::Opening | Self::Up => None,
            Self::Away => Some(Banner {
                title: "The supervisor is not running".to_owned(),
                lines: known
                    .into_iter()
                    .chain([String::from(
                        "Nothing is started behind your back: start it here, or with any gobctl command.",
                    )])
                    .collect(),
                starts: true,
            }),
            Self::Refused(trouble) => Some(Banner {
                title: format!("{} ({})", trouble.message, trouble.code),
                lines: [trouble.cause.clone(), trouble.hint.clone(), known].into_iter().flatten().collect(),
                starts: true,
            }),
        }
    }

    /// Returns whether requests can be made.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Up)
    }

    /// The reason why no action is allowed while the supervisor is away.
    pub const AWAY: &'static str = "the supervisor is not running";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_banner_tells_of_every_trouble_and_offers_a_start() {
        assert_eq!((Link::Up.banner(true), Link::Opening.banner(false)), (None, None));
        let away = Link::Away.banner(true).unwrap();
        assert!(away.starts && away.lines.first().unwrap().contains("last known state"));
        assert_eq!(Link::Away.banner(false).unwrap().lines.len(), 1);
        let error = Error::NoKeeper { looked: vec![PathBuf::from("/bin")] };
        let refused = Link::Refused(Trouble::from(&error)).banner(false).unwrap();
        assert_eq!(
            refused.title,
            "cannot find gob-keeper, which starts the supervisor (supervisor-unreachable)"
        );
        assert_eq!(refused.lines.len(), 2, "cause and hint");
    }
}
