//! `gobctl queue add LANE CMD…`: adds a job to a lane.

use super::{ask, lane, lane_arg};
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::job::{self, Work};
use crate::out;
use crate::text::{escape, parse_duration, parse_number};
use crate::verbs::{Effect, Verb};
use clap::{Arg, ArgMatches, Command};
use gob_client::Name;
use gob_client::call::QueueAdd;
use gob_client::protocol::answer::{QueueAddData, QueueOutcome};
use gob_client::protocol::queue::{MAX_DELAY_MS, MAX_PRIORITY, MAX_QUEUE_ATTEMPTS};
use std::time::Duration;

pub(crate) const VERB: Verb = Verb {
    path: &["queue", "add"],
    effect: Effect::Changes,
    about: "Add a job to a lane",
    examples: "Examples:\n  gobctl queue add ci make test\n  gobctl queue add ci --priority 10 --attempts 1 -- ./deploy.sh\n  gobctl queue add mail --delay 10m --dedupe digest -- ./send-digest\n  TEST=$(gobctl queue add -q ci make test); gobctl queue add ci --after $TEST -- make deploy\n",
    command: arguments,
    has_command: true,
    run: Some(run),
    ..Verb::ROW
};

fn arguments(command: Command) -> Command {
    command
        .arg(lane_arg())
        .arg(
            Arg::new("priority")
                .long("priority")
                .value_name("N")
                .value_parser(parse_priority)
                .allow_negative_numbers(true)
                .help("The higher, the sooner, from -1000 to 1000; 0 without it"),
        )
        .arg(
            Arg::new("delay")
                .long("delay")
                .value_name("TIME")
                .value_parser(parse_delay)
                .help("Not before this time has passed"),
        )
        .arg(
            Arg::new("attempts")
                .long("attempts")
                .value_name("N")
                .value_parser(parse_attempts)
                .help("Give up after so many failures; [queue] max_attempts without it, which is 3"),
        )
        .arg(
            Arg::new("after")
                .long("after")
                .value_name("ID")
                .value_delimiter(',')
                .action(clap::ArgAction::Append)
                .value_parser(|text: &str| Name::job(text))
                .help("Only when this job has completed; several: j7,j8, or once for each"),
        )
        .arg(
            Arg::new("dedupe")
                .long("dedupe")
                .value_name("KEY")
                .help("Add nothing while a job with this key waits or runs"),
        )
        .arg(job::description_arg())
        .arg(job::cwd_arg())
        .args(job::command_args())
}

fn parse_priority(text: &str) -> Result<i32, String> {
    let number: i32 = parse_number(text)?;
    let is_good = (-MAX_PRIORITY..=MAX_PRIORITY).contains(&number);
    if is_good { Ok(number) } else { Err(format!("a priority is from -{MAX_PRIORITY} to {MAX_PRIORITY}")) }
}

fn parse_attempts(text: &str) -> Result<u32, String> {
    let number: u32 = parse_number(text)?;
    let is_good = (1..=MAX_QUEUE_ATTEMPTS).contains(&number);
    if is_good { Ok(number) } else { Err(format!("a job has 1 to {MAX_QUEUE_ATTEMPTS} attempts")) }
}

fn parse_delay(text: &str) -> Result<u64, String> {
    let delay: Duration = parse_duration(text)?;
    u64::try_from(delay.as_millis())
        .ok()
        .filter(|ms| *ms <= MAX_DELAY_MS)
        .ok_or_else(|| "a delay is ten years at most".to_owned())
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let Work { command, cwd, env } = job::work(context, matches)?;
    let add = QueueAdd {
        lane: lane(matches)?,
        command,
        cwd,
        env: Some(env),
        priority: matches.get_one::<i32>("priority").copied(),
        delay_ms: matches.get_one::<u64>("delay").copied(),
        max_attempts: matches.get_one::<u32>("attempts").copied(),
        after: matches.get_many::<Name>("after").into_iter().flatten().cloned().collect(),
        dedupe: matches.get_one::<String>("dedupe").cloned(),
        description: matches.get_one::<String>("description").cloned(),
    };
    let (_, reply) = ask(context, add)?;
    if context.json {
        return print_data(reply.data()).map(|()| 0);
    }
    let data = reply.read()?;
    let text = if context.quiet { escape(data.job.id.as_str()) } else { told(&data) };
    out::print(&format!("{text}\n")).map(|()| 0)
}

/// Returns the deed in words.
fn told(QueueAddData { job, outcome }: &QueueAddData) -> String {
    let (id, lane) = (escape(job.id.as_str()), &job.lane);
    match outcome {
        QueueOutcome::Added => format!("added {id} to {lane}"),
        QueueOutcome::Reused => {
            format!("reused {id} of {lane}, which is {} and has the same key", job.status)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_before_anything_is_asked() {
        assert_eq!(parse_priority("-1000"), Ok(-1000));
        assert_eq!(parse_attempts("1"), Ok(1));
        assert_eq!(parse_delay("90s"), Ok(90_000));
        for bad in ["1001", "-1001", "x", "1.5"] {
            assert!(parse_priority(bad).is_err(), "{bad}");
        }
        for bad in ["0", "-1", "1001"] {
            assert!(parse_attempts(bad).is_err(), "{bad}");
        }
        assert!(parse_delay("4000d").is_err());
    }

    #[test]
    fn a_job_that_is_reused_is_not_said_to_be_added() {
        let golden = include_str!("../../../../../protocol/golden/response-queue_add.jsonl");
        let told: Vec<String> = golden
            .lines()
            .map(|line| {
                let answer: serde_json::Value = serde_json::from_str(line).unwrap();
                told(&serde_json::from_value(answer["data"].clone()).unwrap())
            })
            .collect();
        assert_eq!(told, ["added j12 to ci", "reused j12 of ci, which is running and has the same key"]);
    }
}
