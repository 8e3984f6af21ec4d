//! `gobctl queue list [LANE]`: lanes and jobs.

use super::{connect, lane_arg};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use crate::queue;
use crate::text::{now, parse_number};
use crate::verbs::{Effect, Verb, timeout};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches};
use gob_client::blocking::Client;
use gob_client::call::QueueList;
use gob_client::protocol::answer::QueueListData;
use gob_client::protocol::queue::{LaneName, MAX_QUEUE_PAGE, QueueStatus};

/// Jobs that are shown without `--limit`.
const LIMIT: u32 = 100;

pub(crate) const VERB: Verb = Verb {
    path: &["queue", "list"],
    effect: Effect::Reads,
    about: "The lanes, and their jobs: those that run, that wait, and that have ended, newest first",
    examples: "Examples:\n  gobctl queue list\n  gobctl queue list ci --status failed\n  gobctl queue list --watch\n",
    command: |command| {
        command
            .arg(lane_arg().required(false).help("Only jobs of this lane"))
            .arg(
                Arg::new("status")
                    .long("status")
                    .value_name("STATUS")
                    .value_parser(
                        PossibleValuesParser::new(QueueStatus::ALL.map(QueueStatus::as_str))
                            .try_map(parse_status),
                    )
                    .help("Only jobs with this status"),
            )
            .arg(
                Arg::new("limit")
                    .long("limit")
                    .value_name("N")
                    .value_parser(parse_limit)
                    .help("The first jobs only; 100 without it"),
            )
            .arg(
                Arg::new("watch")
                    .long("watch")
                    .action(ArgAction::SetTrue)
                    .help("Go on, with a new list after each change"),
            )
    },
    timeout: timeout::LIST,
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

fn parse_status(text: String) -> Result<QueueStatus, String> {
    let known = QueueStatus::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| format!("{text} is no status"))
}

fn parse_limit(text: &str) -> Result<u32, String> {
    let number: u32 = parse_number(text)?;
    if number > 0 { Ok(number) } else { Err("a list has at least 1 job".to_owned()) }
}

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let filter = QueueList {
        lane: matches.get_one::<LaneName>("lane").cloned(),
        status: matches.get_one::<QueueStatus>("status").copied(),
        after: None,
        limit: Some(matches.get_one::<u32>("limit").copied().unwrap_or(LIMIT)),
    };
    if matches.get_flag("watch") {
        return super::watch::watch(context, &filter);
    }
    let mut client = connect(context, "queue_list")?;
    if context.json && filter.limit.is_none_or(|limit| limit <= MAX_QUEUE_PAGE) {
        let reply = context.call(&mut client, filter)?;
        return print_data(reply.data()).map(|()| 0);
    }
    let data = get(context, &mut client, &filter)?;
    if context.json {
        let text = serde_json::to_string(&data).unwrap_or_default();
        return out::print(&format!("{text}\n")).map(|()| 0);
    }
    let away = queue::away(&data.lanes);
    if data.jobs.is_empty() && away.is_none() {
        context.note(&none(&filter, data.lanes.is_empty()));
    }
    out::print(&queue::list(&data.lanes, &data.jobs, now(), context.look()))?;
    if let Some(away) = away {
        context.note(&away);
    }
    if data.next.is_some() {
        context.note("there are more; --limit N shows more of them, LANE and --status fewer kinds");
    }
    Ok(0)
}

/// Returns the words for a list without a job.
fn none(filter: &QueueList, has_no_lane: bool) -> String {
    let of = filter.lane.as_ref().map(|lane| format!(" of {lane}")).unwrap_or_default();
    match (&filter.lane, filter.status) {
        (Some(lane), _) if has_no_lane => {
            format!("there is no lane {lane}; gobctl queue list shows them all")
        }
        (_, Some(status)) => format!("no job{of} is {}", status.as_str()),
        (Some(_), None) => format!("there is no job{of}"),
        (None, None) => "the queue is empty; gobctl queue add LANE CMD adds a job".to_owned(),
    }
}

/// Requests pages until there are as many jobs as wanted, or no more.
pub(super) fn get(
    context: &Context,
    client: &mut Client,
    filter: &QueueList,
) -> Result<QueueListData, Failure> {
    let mut left = filter.limit.unwrap_or(LIMIT);
    let mut all = QueueListData { jobs: Vec::new(), lanes: Vec::new(), next: None };
    loop {
        let page =
            QueueList { after: all.next.clone(), limit: Some(left.min(MAX_QUEUE_PAGE)), ..filter.clone() };
        let QueueListData { jobs, lanes, next } = context.call(client, page)?.read()?;
        let got = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
        // A page that does not get on would come for ever.
        let goes_on = got > 0 && next != all.next;
        left = left.saturating_sub(got);
        all.jobs.extend(jobs);
        all.lanes.extend(lanes);
        all.next = next;
        if all.next.is_none() || left == 0 || !goes_on {
            return Ok(all);
        }
    }
}
