//! Text for people: durations, times, command lines. Pure.

use gob_client::protocol::Timestamp;
pub(crate) use gob_client::protocol::shell::word as shell_word;
pub(crate) use gob_client::protocol::suggest::{edits, nearest};
pub(crate) use gob_client::screen::text::{escape, is_unsafe, name};
pub(crate) use gob_client::screen::times::{short_duration, since, took, up};
use std::path::Path;
use std::time::Duration;

/// Parses `500ms`, `1.5s`, `2m`, `1h`, `1d`; a bare number is seconds. Positive only.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration_or_zero(text)?;
    if duration.is_zero() { Err("a duration has to be longer than nothing".to_owned()) } else { Ok(duration) }
}

/// As [`parse_duration`], and 0.
pub(crate) fn parse_duration_or_zero(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let none = || "not a duration; 500ms, 10s and 2m are".to_owned();
    if number.is_empty() {
        return Err(none());
    }
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(format!("`{unit}` is no unit of time: ms, s, m, h, d")),
    };
    let number: f64 = number.parse().map_err(|_| none())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|e| e.to_string())
}

/// Parses a whole number that is not negative.
pub(crate) fn parse_number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "not a whole number".to_owned())
}

/// Returns the present time in the wire's form.
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Returns a path as a shell takes it.
pub(crate) fn shell_path(path: &Path) -> String {
    shell_word(&path.to_string_lossy()).into_owned()
}

/// Most items of a list within a line.
pub(crate) const LISTED: usize = 10;

/// Lists items within a line: the first ones, and how many more there are.
pub(crate) fn list(items: &[impl AsRef<str>]) -> String {
    let first: Vec<&str> = items.iter().take(LISTED).map(AsRef::as_ref).collect();
    let more = items.len() - first.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    first.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_names_its_first_items_and_counts_the_others() {
        let names = |count: u32| (0..count).map(|number| format!("j{number}")).collect::<Vec<_>>();
        assert_eq!(list(&names(2)), "j0, j1");
        assert_eq!(list(&names(10)), "j0, j1, j2, j3, j4, j5, j6, j7, j8, j9");
        assert_eq!(list(&names(10_000)), "j0, j1, j2, j3, j4, j5, j6, j7, j8, j9 and 9990 more");
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "s", "0s", "-1s", "1x", "1.2.3s", "inf", "1 s", "99999999999999999999d"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        let shown = [(38, "38ms"), (1234, "1.2s"), (12_000, "12s"), (125_000, "2m"), (7_200_000, "2h")];
        for (millis, want) in shown {
            assert_eq!(short_duration(Duration::from_millis(millis)), want);
        }
        assert_eq!(took(Duration::from_millis(38)), "38 ms");
        assert_eq!(took(Duration::from_millis(1240)), "1.2 s");
        assert_eq!(up(Duration::from_millis(1999)), "1s");
    }
}
