//! `gobctl queue every LANE …`, `gobctl queue schedules`, `gobctl queue unschedule NAME…`.

use super::{ask, connect, lane, lane_arg};
use crate::afar::Afar;
use crate::clock::Clock;
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::job::{self, Work};
use crate::text::{escape, now, parse_duration};
use crate::verbs::{Effect, Verb};
use crate::{out, queue};
use clap::{Arg, ArgGroup, ArgMatches};
use gob_client::Name;
use gob_client::call::{ScheduleAdd, ScheduleList, ScheduleRemove};
use gob_client::protocol::queue::{LaneName, ScheduleName};
use std::path::Path;
use std::time::Duration;

pub(crate) const EVERY: Verb = Verb {
    path: &["queue", "every"],
    effect: Effect::Changes,
    about: "Add a command to a lane again and again",
    examples: "Examples:\n  gobctl queue every ci --cron '0 3 * * *' -- make nightly\n  gobctl queue every mail --interval 10m --name digest -- ./send-digest\n",
    command: |command| {
        command
            .arg(lane_arg())
            .arg(
                Arg::new("cron")
                    .long("cron")
                    .value_name("EXPR")
                    .help("Its times: minute, hour, day, month, weekday; or @hourly, @daily, @weekly, @monthly, @yearly"),
            )
            .arg(
                Arg::new("interval")
                    .long("interval")
                    .value_name("TIME")
                    .value_parser(parse_interval)
                    .help("The time from one to the next, 1s at least"),
            )
            .group(ArgGroup::new("times").args(["cron", "interval"]).required(true))
            .arg(
                Arg::new("as")
                    .long("name")
                    .value_name("NAME")
                    .value_parser(|text: &str| ScheduleName::new(text))
                    .help("The schedule's name; that of the lane without it"),
            )
            .arg(
                Arg::new("timezone")
                    .long("timezone")
                    .value_name("ZONE")
                    .conflicts_with("interval")
                    .help("The time zone of --cron, such as Europe/Berlin; $TZ or the system's without it"),
            )
            .arg(job::cwd_arg())
            .args(job::command_args())
    },
    has_command: true,
    run: Some(every),
    ..Verb::ROW
};

pub(crate) const VERB: Verb = Verb {
    path: &["queue", "schedules"],
    effect: Effect::Reads,
    about: "The schedules, and the next time of each",
    examples: "Examples:\n  gobctl queue schedules\n  gobctl queue schedules ci\n",
    command: |command| command.arg(lane_arg().required(false).help("Only schedules of this lane")),
    afar: Afar::Here(&[]),
    run: Some(list),
    ..Verb::ROW
};

pub(crate) const UNSCHEDULE: Verb = Verb {
    path: &["queue", "unschedule"],
    effect: Effect::Destroys,
    about: "Remove schedules; jobs that they have added stay",
    examples: "Examples:\n  gobctl queue unschedule nightly\n",
    command: |command| {
        command.arg(
            Arg::new("name")
                .value_name("NAME")
                .required(true)
                .num_args(1..)
                .value_parser(|text: &str| ScheduleName::new(text).and_then(|_| Name::job(text)))
                .help("Schedules; gobctl queue schedules shows them"),
        )
    },
    afar: Afar::Here(&[]),
    run: Some(unschedule),
    ..Verb::ROW
};

/// The shortest interval.
const MIN: Duration = Duration::from_secs(1);

fn parse_interval(text: &str) -> Result<u64, String> {
    let interval = parse_duration(text)?;
    if interval < MIN {
        return Err("an interval is 1s at least".to_owned());
    }
    u64::try_from(interval.as_millis()).map_err(|_| "an interval is not that long".to_owned())
}

fn every(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let Work { command, cwd, env } = job::work(context, matches)?;
    let cron = matches.get_one::<String>("cron").cloned();
    // The supervisor may have been started in another zone.
    let ours = || cron.as_ref().and_then(|_| zone(std::env::var("TZ").ok().as_deref(), Path::new(ZONES)));
    let add = ScheduleAdd {
        lane: lane(matches)?,
        command,
        cwd,
        env: Some(env),
        timezone: matches.get_one::<String>("timezone").cloned().or_else(ours),
        cron: cron.clone(),
        interval_ms: matches.get_one::<u64>("interval").copied(),
        name: matches.get_one::<ScheduleName>("as").cloned(),
    };
    let (_, reply) = ask(context, add)?;
    if context.json {
        return print_data(reply.data()).map(|()| 0);
    }
    let schedule = reply.read()?.schedule;
    if context.quiet {
        return out::print(&format!("{}\n", schedule.name)).map(|()| 0);
    }
    let next = match schedule.next_at {
        Some(at) => format!("next at {}", Clock::local().stamp(at, now())),
        None => "which never comes".to_owned(),
    };
    let text =
        format!("scheduled {} in {}: {}, {next}\n", schedule.name, schedule.lane, queue::times(&schedule));
    out::print(&text).map(|()| 0)
}

/// Files of time zones, by name.
const ZONES: &str = "/usr/share/zoneinfo";

/// Returns the name of the user's time zone: that of TZ, else of the system. A zone without a name has none.
fn zone(tz: Option<&str>, zones: &Path) -> Option<String> {
    let is_known = |name: &str| zones.join(name).is_file();
    match tz.map(|tz| tz.trim_start_matches(':')).filter(|tz| !tz.is_empty()) {
        Some("UTC") => Some("UTC".to_owned()),
        Some(name) if !name.starts_with('/') && is_known(name) => Some(name.to_owned()),
        Some(_) => None,
        None => {
            let linked = std::fs::read_link("/etc/localtime").ok()?;
            let (_, name) = linked.to_str()?.split_once("zoneinfo/")?;
            is_known(name).then(|| name.to_owned())
        }
    }
}

fn list(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let lane = matches.get_one::<LaneName>("lane").cloned();
    let (_, reply) = ask(context, ScheduleList { lane: lane.clone() })?;
    if context.json {
        return print_data(reply.data()).map(|()| 0);
    }
    let all = reply.read()?.schedules;
    if all.is_empty() {
        context.note(&match lane {
            Some(lane) => format!("there are no schedules of {lane}; gobctl queue schedules shows them all"),
            None => "there are no schedules; gobctl queue every LANE --cron EXPR -- CMD makes one".to_owned(),
        });
        return Ok(0);
    }
    let (clock, now) = (Clock::local(), now());
    out::print(&queue::schedules(&all, context.look(), |at| clock.stamp(at, now))).map(|()| 0)
}

fn unschedule(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let mut client = connect(context, "schedule_remove")?;
    let items = crate::each::names(matches).into_iter().map(|name| (name, ())).collect();
    crate::each::each(
        context,
        items,
        |name, ()| {
            let name = ScheduleName::new(name.as_str()).map_err(|error| Failure::usage(error.to_string()))?;
            Ok(context.call(&mut client, ScheduleRemove { name })?)
        },
        |name, _| {
            let text = format!("unscheduled {}\n", escape(name.as_str()));
            Ok(if context.quiet { String::new() } else { text })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_that_of_tz_where_it_has_a_name() {
        let zones = std::env::temp_dir().join(format!("gobctl-zones-{}", std::process::id()));
        std::fs::create_dir_all(zones.join("Europe")).unwrap();
        std::fs::write(zones.join("Europe/Berlin"), "").unwrap();
        assert_eq!(zone(Some("Europe/Berlin"), &zones).as_deref(), Some("Europe/Berlin"));
        assert_eq!(zone(Some(":Europe/Berlin"), &zones).as_deref(), Some("Europe/Berlin"));
        assert_eq!(zone(Some("UTC"), &zones).as_deref(), Some("UTC"));
        assert_eq!(zone(Some("CET-1CEST,M3.5.0,M10.5.0/3"), &zones), None);
        assert_eq!(zone(Some("/etc/passwd"), &zones), None);
        std::fs::remove_dir_all(&zones).unwrap();
    }

    #[test]
    fn an_interval_is_a_second_at_least() {
        assert_eq!(parse_interval("10m"), Ok(600_000));
        assert!(parse_interval("999ms").is_err());
    }
}
