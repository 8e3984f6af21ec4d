//! Names of signals in requests, exits and receipts.

/// Linux signals by their number; empty where there is none. Real-time signals follow from [`RT_MIN`].
const NAMES: [&str; 32] = [
    "",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// First real-time signal that a program can use with the GNU C library.
const RT_MIN: i32 = 34;
/// Last real-time signal.
const RT_MAX: i32 = 64;

/// Parses `HUP`, `SIGHUP`, `RTMIN+1` or a number, in any case, and returns the full name; `None` when there
/// is no such signal.
#[must_use]
pub fn parse(text: &str) -> Option<String> {
    if let Ok(number) = text.parse::<i32>() {
        return name(number);
    }
    let upper = text.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    number(&full).and_then(name)
}

/// Returns the name of a signal; `None` when there is no such signal.
#[must_use]
pub fn name(number: i32) -> Option<String> {
    match number {
        1..=31 => NAMES.get(usize::try_from(number).ok()?).map(|name| (*name).to_owned()),
        RT_MIN => Some("SIGRTMIN".to_owned()),
        _ if (RT_MIN..=RT_MAX).contains(&number) => Some(format!("SIGRTMIN+{}", number - RT_MIN)),
        _ => None,
    }
}

/// Returns the number of a signal by its full name; `None` when there is no such signal.
#[must_use]
pub fn number(name: &str) -> Option<i32> {
    if let Some(rest) = name.strip_prefix("SIGRTMIN") {
        let offset = if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse().ok()? };
        return (0..=RT_MAX - RT_MIN).contains(&offset).then_some(RT_MIN + offset);
    }
    let at = NAMES.iter().skip(1).position(|known| *known == name)?;
    i32::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_name_parses_to_its_number() {
        for signal in (1..=31).chain(RT_MIN..=RT_MAX) {
            assert_eq!(number(&name(signal).unwrap()), Some(signal));
        }
        for (text, full) in
            [("hup", "SIGHUP"), ("SIGTERM", "SIGTERM"), ("15", "SIGTERM"), ("RTMIN+1", "SIGRTMIN+1")]
        {
            assert_eq!(parse(text).as_deref(), Some(full));
        }
        for bad in ["", "0", "-1", "65", "32", "SIG", "NOPE", "RTMIN+31", "RTMIN-1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
