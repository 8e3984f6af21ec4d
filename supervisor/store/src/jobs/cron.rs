//! The times of a schedule: the five fields of cron, in a time zone.
//!
//! Minute, hour, day of the month, month and day of the week are each `*` or a list of numbers, names and ranges, with steps. Where both
//! days are given, one of them is enough. A time that the clocks leap over comes as much later as they leap; one that they pass
//! twice comes once, unless the schedule is for every hour.

use gob_protocol::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant};

/// Longest expression, in bytes.
const MAX_BYTES: usize = 200;
/// Days in which a date comes, if it ever does: eight years pass between two leap days around a century's turn.
const DAYS: usize = 9 * 366;
/// Minutes in which a schedule for every hour comes again, the days of a change of clocks included.
const MINUTES: i64 = 3 * 60;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS_OF_WEEK: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const WORDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A set of numbers below 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Set(u64);

impl Set {
    fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| self.0.checked_shr(number).unwrap_or_default() & 1 == 1)
    }

    fn iter(self) -> impl Iterator<Item = i8> {
        (0..64_i8).filter(move |number| self.has(*number))
    }
}

/// One field: its bounds, and the names of its numbers.
struct Field {
    what: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { what: "minute", least: 0, most: 59, names: &[] },
    Field { what: "hour", least: 0, most: 23, names: &[] },
    Field { what: "day of the month", least: 1, most: 31, names: &[] },
    Field { what: "month", least: 1, most: 12, names: &MONTHS },
    Field { what: "day of the week", least: 0, most: 7, names: &DAYS_OF_WEEK },
];

impl Field {
    fn number(&self, text: &str) -> Option<u32> {
        let lower = text.to_ascii_lowercase();
        let named = self.names.iter().position(|name| *name == lower).and_then(|at| u32::try_from(at).ok());
        let is_number = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = named.map(|at| at + self.least).or_else(|| text.parse().ok().filter(|_| is_number))?;
        (self.least..=self.most).contains(&number).then_some(number)
    }

    /// Reads one part of a list, such as `1-5/2`.
    fn part(&self, text: &str) -> Option<Set> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|step| (1..=59).contains(step))?),
            None => (text, 1),
        };
        let (from, to) = match (range, range.split_once('-')) {
            ("*", _) => (self.least, self.most),
            (_, Some((from, to))) => (self.number(from)?, self.number(to)?),
            (only, None) => {
                let from = self.number(only)?;
                (from, if text.contains('/') { self.most } else { from })
            }
        };
        let step = usize::try_from(step).ok()?;
        (from <= to).then(|| Set((from..=to).step_by(step).fold(0, |set, number| set | 1 << number)))
    }

    fn read(&self, text: &str) -> Result<Set, String> {
        let mut parts = text.split(',').map(|part| self.part(part));
        let set = parts.try_fold(0, |set, part| part.map(|part| set | part.0));
        set.map(Set).ok_or_else(|| {
            format!(
                "`{text}` is no {} of {} to {}: *, 5, 1-5, */10 or a list of these",
                self.what, self.least, self.most
            )
        })
    }
}

/// The times of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    /// Both days are given, and one of them is enough.
    is_either: bool,
    is_every_hour: bool,
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// The problem, as a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("a cron expression has at most {MAX_BYTES} bytes"));
        }
        let text = text.trim();
        let text = WORDS.iter().find(|(word, _)| *word == text).map_or(text, |(_, meaning)| meaning);
        let texts: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = texts.as_slice() else {
            return Err(format!(
                "`{text}` is no cron expression: five fields (minute, hour, day of the month, month, day of the week) such as `30 4 * * mon-fri`, or @hourly, @daily, @weekly, @monthly, @yearly"
            ));
        };
        let [of_minute, of_hour, of_day, of_month, of_week] = &FIELDS;
        let week = of_week.read(weekdays)?;
        // Sunday is 0 and 7.
        let week = Set((week.0 | week.0 >> 7) & 0x7F);
        let hour_set = of_hour.read(hours)?;
        Ok(Self {
            minutes: of_minute.read(minutes)?,
            hours: hour_set,
            days: of_day.read(days)?,
            months: of_month.read(months)?,
            weekdays: week,
            is_either: !days.starts_with('*') && !weekdays.starts_with('*'),
            is_every_hour: hour_set == Set((1 << 24) - 1),
        })
    }

    fn has_day(&self, date: Date) -> bool {
        let by_month = self.days.has(date.day());
        let by_week = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        let is_day = if self.is_either { by_month || by_week } else { by_month && by_week };
        is_day && self.months.has(date.month())
    }

    fn has(&self, time: DateTime) -> bool {
        self.minutes.has(time.minute()) && self.hours.has(time.hour()) && self.has_day(time.date())
    }

    /// Returns the first time after `now`; `None` when there is none.
    pub(super) fn after(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let now = Instant::from_millisecond(now.0).ok()?;
        let found = self.soon(now, zone).or_else(|| self.on_a_day(now, zone))?;
        Some(Timestamp(found.as_millisecond()))
    }

    /// Looks at each of the next minutes, for a schedule that comes in every hour of its days.
    fn soon(&self, now: Instant, zone: &TimeZone) -> Option<Instant> {
        let minute = now.as_second().div_euclid(60);
        (1..=MINUTES).filter(|_| self.is_every_hour).find_map(|ahead| {
            let at = Instant::from_second((minute + ahead).checked_mul(60)?).ok()?;
            let time = zone.to_datetime(at);
            (time.second() == 0 && self.has(time)).then_some(at)
        })
    }

    /// Looks at one day after the other.
    fn on_a_day(&self, now: Instant, zone: &TimeZone) -> Option<Instant> {
        let today = zone.to_datetime(now).date();
        let mut date = today.yesterday().unwrap_or(today);
        for _ in 0..DAYS {
            if self.has_day(date) {
                let times =
                    self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (hour, minute)));
                let instants = times.filter_map(|(hour, minute)| {
                    let time = date.at(hour, minute, 0, 0);
                    zone.to_ambiguous_timestamp(time).compatible().ok()
                });
                if let Some(first) = instants.filter(|at| *at > now).min() {
                    return Some(first);
                }
            }
            date = date.checked_add(Span::new().days(1)).ok()?;
        }
        None
    }
}

/// Returns the time zone of a name, or that of the system.
///
/// # Errors
/// The problem, as a sentence.
pub(super) fn zone(name: Option<&str>) -> Result<TimeZone, String> {
    match name {
        None => Ok(TimeZone::try_system().unwrap_or(TimeZone::UTC)),
        Some(name) => TimeZone::get(name).map_err(|_| {
            format!("there is no time zone `{name}` on this machine: a name such as Europe/Berlin, or UTC")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the next times after one.
    fn times(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let (cron, zone) = (Cron::parse(cron).unwrap(), super::zone(Some(zone)).unwrap());
        let mut at: Timestamp = after.parse().unwrap();
        let next = |at: &mut Timestamp| {
            *at = cron.after(*at, &zone)?;
            Some(at.to_string().replace(":00.000Z", ""))
        };
        (0..count).map_while(|_| next(&mut at)).collect()
    }

    #[test]
    fn fields_are_lists_of_numbers_names_ranges_and_steps() {
        let from = "2026-11-29T14:07:31Z";
        assert_eq!(times("* * * * *", "UTC", from, 2), ["2026-11-29T14:08", "2026-11-29T14:09"]);
        assert_eq!(
            times("*/20 * * * *", "UTC", from, 3),
            ["2026-11-29T14:20", "2026-11-29T14:40", "2026-11-29T15:00"]
        );
        assert_eq!(times("30 4 * * Mon-Fri", "UTC", from, 2), ["2026-11-30T04:30", "2026-12-01T04:30"]);
        let found = times("5,10/25 9-17/8 1 jan,jul *", "UTC", from, 4);
        assert_eq!(found, ["2027-01-01T09:05", "2027-01-01T09:10", "2027-01-01T09:35", "2027-01-01T17:05"]);
        assert_eq!(times("@weekly", "UTC", from, 1), ["2026-12-06T00:00"]);
        assert_eq!(times("0 0 * * 7", "UTC", from, 1), times("0 0 * * 0", "UTC", from, 1));
        assert_eq!(times("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00"]);
    }

    #[test]
    fn either_day_is_enough_where_both_are_given() {
        let found = times("0 0 13 * fri", "UTC", "2026-11-01T00:00:00Z", 3);
        assert_eq!(found, ["2026-11-06T00:00", "2026-11-13T00:00", "2026-11-20T00:00"]);
        let found = times("0 0 */2 * fri", "UTC", "2026-11-01T00:00:00Z", 2);
        assert_eq!(found, ["2026-11-13T00:00", "2026-11-27T00:00"]);
    }

    #[test]
    fn a_time_is_that_of_its_zone_and_clocks_that_change_neither_lose_nor_double_it() {
        let berlin = "Europe/Berlin";
        assert_eq!(
            times("0 8 * * *", berlin, "2026-03-28T00:00:00Z", 2),
            ["2026-03-28T07:00", "2026-03-29T06:00"]
        );
        // 02:30 is leapt over on the 29th, and comes at 03:30.
        assert_eq!(
            times("30 2 * * *", berlin, "2026-03-28T00:00:00Z", 3),
            ["2026-03-28T01:30", "2026-03-29T01:30", "2026-03-30T00:30"]
        );
        // 02:30 is passed twice on 25 October.
        assert_eq!(
            times("30 2 * * *", berlin, "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30", "2026-10-26T01:30"]
        );
        // Each half hour goes on as time does.
        assert_eq!(
            times("*/30 * * * *", berlin, "2026-10-25T00:15:00Z", 4),
            ["2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00"]
        );
    }

    #[test]
    fn a_time_that_never_comes_has_no_next_one() {
        assert_eq!(times("0 0 31 2 *", "UTC", "2026-11-29T14:07:31Z", 1), Vec::<String>::new());
    }

    #[test]
    fn other_texts_are_refused_with_the_field_that_is_wrong() {
        let said = |text: &str| Cron::parse(text).unwrap_err();
        for (text, field) in [
            ("60 * * * *", "minute"),
            ("* 24 * * *", "hour"),
            ("* * 0 * *", "day of the month"),
            ("* * * 13 *", "month"),
            ("* * * * 8", "day of the week"),
            ("5-1 * * * *", "minute"),
            ("*/0 * * * *", "minute"),
            ("+5 * * * *", "minute"),
            ("1,, * * * *", "minute"),
        ] {
            assert!(said(text).contains(field), "{text}: {}", said(text));
        }
        for text in ["", "* * * *", "* * * * * *", "@often", &"*".repeat(300)] {
            assert!(said(text).contains("cron expression"), "{text}");
        }
        assert!(zone(Some("Mars/Olympus")).unwrap_err().contains("Mars/Olympus"));
    }
}
