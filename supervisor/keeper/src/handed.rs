//! The state that one program of the keeper hands to the next: words of the command line, and the descriptors that they number.
//!
//! A field that is new may be missing; a word that a program does not know makes it refuse, in its trial.

use crate::error::Error;
use std::ffi::OsString;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// The first word of a keeper that goes on in the place of the one before it.
pub(crate) const GOES_ON: &str = "--go-on";
/// The first word of one that is only to say whether it would.
pub(crate) const WOULD_GO_ON: &str = "--would-go-on";

/// All that a keeper knows beside its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Handed {
    pub(crate) supervisor: i32,
    /// The two locks.
    pub(crate) locks: [RawFd; 2],
    pub(crate) listener: Option<RawFd>,
    /// The pipe on which it is told whether the new program goes on.
    pub(crate) told: RawFd,
    /// How long ago the supervisor was started again, oldest first, in milliseconds.
    pub(crate) restarts: Vec<u64>,
    pub(crate) detached: bool,
    pub(crate) logs: bool,
    pub(crate) stopping: bool,
}

impl Handed {
    /// Returns the words for the command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let Self { supervisor, locks: [state, runtime], listener, told, .. } = self;
        let mut words =
            vec![format!("supervisor={supervisor}"), format!("state={state}"), format!("runtime={runtime}")];
        words.extend(listener.map(|listener| format!("listener={listener}")));
        words.push(format!("told={told}"));
        words.extend(self.restarts.iter().map(|ago| format!("restart={ago}")));
        let flags = [("detached", self.detached), ("logs", self.logs), ("stopping", self.stopping)];
        words.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (*name).to_owned()));
        words
    }

    /// Reads the words back.
    pub(crate) fn parse(words: &[OsString]) -> Result<Self, Error> {
        let mut handed = Self::default();
        let unknown = |word: &OsString| Error::Usage(format!("unknown argument {}", word.display()));
        for word in words {
            let text = word.to_str().unwrap_or_default();
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            let number = || value.parse().map_err(|_| unknown(word));
            let [state, runtime] = &mut handed.locks;
            match name {
                "supervisor" => handed.supervisor = number()?,
                "state" => *state = number()?,
                "runtime" => *runtime = number()?,
                "listener" => handed.listener = Some(number()?),
                "told" => handed.told = number()?,
                "restart" => handed.restarts.push(value.parse().map_err(|_| unknown(word))?),
                "detached" => handed.detached = true,
                "logs" => handed.logs = true,
                "stopping" => handed.stopping = true,
                _ => return Err(unknown(word)),
            }
        }
        if handed.supervisor > 1 {
            Ok(handed)
        } else {
            Err(Error::Usage("supervisor= is missing".to_owned()))
        }
    }
}

/// Returns how long ago these moments are.
pub(crate) fn ages<'a>(moments: impl Iterator<Item = &'a Instant>, now: Instant) -> Vec<u64> {
    let ages = moments.map(|then| now.saturating_duration_since(*then).as_millis());
    ages.map(|age| u64::try_from(age).unwrap_or(u64::MAX)).collect()
}

/// Returns the moments that are so long ago. Those from before the machine's start are none.
pub(crate) fn moments(ages: &[u64], now: Instant) -> impl Iterator<Item = Instant> {
    ages.iter().filter_map(move |age| now.checked_sub(Duration::from_millis(*age)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[String]) -> Result<Handed, Error> {
        Handed::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn all_that_is_handed_over_is_read_back_and_the_unknown_refused() {
        let all = Handed {
            supervisor: 42,
            locks: [3, 4],
            listener: Some(5),
            told: 6,
            restarts: vec![900, 7],
            detached: true,
            logs: true,
            stopping: true,
        };
        let least = Handed { supervisor: 42, locks: [8, 9], told: 7, ..Handed::default() };
        for handed in [all, least] {
            assert_eq!(parse(&handed.words()).unwrap(), handed);
        }
        for bad in [&["supervisor=x"][..], &["state=3"], &["supervisor=42", "later=1"], &["supervisor=1"]] {
            let words: Vec<String> = bad.iter().map(|word| (*word).to_owned()).collect();
            assert!(matches!(parse(&words), Err(Error::Usage(_))), "{bad:?}");
        }
    }

    #[test]
    fn the_stopwatch_goes_on() {
        let now = Instant::now();
        let then = [now - Duration::from_millis(900), now];
        let ages = ages(then.iter(), now);
        assert_eq!(
            (ages.as_slice(), moments(&ages, now).collect::<Vec<_>>()),
            (&[900, 0][..], then.to_vec())
        );
    }
}
