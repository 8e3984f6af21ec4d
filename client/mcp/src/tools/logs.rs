//! The tool `logs`.

use super::control::worker_name;
use crate::call::{Answer, Call, Done, now};
use crate::output::{Output, Wanted, find, read_of};
use crate::refusal::Refusal;
use gob_client::Name;
use gob_client::logs::{Pattern, Stream};
use gob_client::protocol::Timestamp;
use gob_client::screen::said::output_missing;
use gob_client::screen::text::name as shown;
use schemars::JsonSchema;
use serde::Deserialize;

/// Lines without `tail`, and the most of them.
const TAIL: usize = 100;
pub(super) const MAX_TAIL: usize = 5_000;
/// Bytes without `max_bytes`, and the most of them.
pub(super) const BYTES: usize = 8 << 10;
pub(crate) const MAX_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum StreamWord {
    Stdout,
    Stderr,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Logs {
    /// The worker.
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// The last lines, at most this many; 100 without it.
    #[schemars(range(min = 1, max = 5000))]
    tail: Option<usize>,
    /// Only lines in which this regular expression is found; (?i) before it ignores case.
    #[schemars(length(min = 1, max = 1000))]
    grep: Option<String>,
    /// Only lines of this last time, such as 30s, 5m or 2h.
    #[schemars(length(min = 2, max = 20))]
    since: Option<String>,
    /// Another run than the latest, by its number.
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    run: Option<u64>,
    /// Only this stream; both in order without it.
    stream: Option<StreamWord>,
    /// Most bytes in the answer: 8192 without it. The last ones are kept.
    #[schemars(range(min = 200, max = 65_536))]
    max_bytes: Option<usize>,
}

pub(super) async fn logs(call: Call, arguments: Logs) -> Done {
    let name = worker_name(&arguments.name)?;
    let bytes = arguments.max_bytes.unwrap_or(BYTES).min(MAX_BYTES);
    let wanted = Wanted {
        run: arguments.run,
        may_lack: false,
        streams: match arguments.stream {
            Some(StreamWord::Stdout) => vec![Stream::Stdout],
            Some(StreamWord::Stderr) => vec![Stream::Stderr],
            None => vec![Stream::Stdout, Stream::Stderr],
        },
        tail: arguments.tail.unwrap_or(TAIL).min(MAX_TAIL),
        grep: arguments.grep.as_deref().map(pattern).transpose()?,
        since: arguments.since.as_deref().map(ago).transpose()?,
        bytes,
    };
    let selects = wanted.grep.is_some() || wanted.since.is_some();
    let (dir, worker) = find(&call.shared, &name).await?;
    let output = read_of(&dir, worker.as_ref(), wanted).await?;
    let mut text = format!("{}\n{}", head(&name, worker.is_some(), &output, selects), output.text(bytes));
    if worker.is_some_and(|worker| output.lacks_end_of(&worker)) {
        text.push_str(&format!("{}: call status without name, which says why\n", output_missing(&name)));
    }
    Ok(Answer::text(text))
}

/// Returns the line above the output: what it is, what was left out, and how to get it.
fn head(name: &Name, is_known: bool, output: &Output, selects: bool) -> String {
    let name = shown(name.as_str());
    let Some(run) = output.run else {
        return format!("{name} has not run yet; call start to run it");
    };
    let left = if is_known { "" } else { ", which is gone and has left its log" };
    let of = format!("run {run} of {name}{left}");
    let (count, total, cut) = (output.lines.len(), output.total, output.cut_words());
    let noun = if count == 1 { "line" } else { "lines" };
    let what = if selects { format!("matching {noun}") } else { noun.to_owned() };
    if output.is_unsearched {
        let found =
            if count == 0 { "no matching line".to_owned() } else { format!("the last {count} {what}") };
        return format!(
            "{of}: the search took too long and ended early ({total} bytes in all), with {found} until then{cut}: give since, or a \
             shorter one"
        );
    }
    match (count, output.is_cut) {
        (0, _) if selects => format!("{of}: no line matches ({total} bytes in all)"),
        (0, _) if total > 0 => format!("{of}: no line of this stream is left ({total} bytes in all)"),
        (0, _) => format!("{of} has written nothing; call status for its state"),
        (_, true) => format!(
            "{of}: the last {count} {what}, earlier ones are left out ({total} bytes in all){cut}: give a larger tail and max_bytes, \
             or grep"
        ),
        (_, false) if cut.is_empty() => format!("{of}: {count} {what}, nothing left out"),
        (_, false) => format!("{of}: {count} {what} ({total} bytes in all){cut}"),
    }
}

fn pattern(text: &str) -> Result<Pattern, Refusal> {
    Pattern::parse(text).map_err(|error| {
        Refusal::argument(
            format!("grep is no regular expression: {error}"),
            "call logs again with it corrected",
        )
    })
}

/// Reads a time such as `5m`, and returns the moment that is so long ago.
fn ago(text: &str) -> Result<Timestamp, Refusal> {
    let wrong =
        || Refusal::argument("since is no time", "call logs again with one such as 30s, 5m, 2h or 1d");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at_checked(split).ok_or_else(wrong)?;
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    Ok(Timestamp(now().0.saturating_sub(number.saturating_mul(unit))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_ago_has_a_unit() {
        let now = now().0;
        for (text, ms) in
            [("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000), ("9ms", 9)]
        {
            let at = ago(text).unwrap().0;
            assert!((at - (now - ms)).abs() < 5_000, "{text}");
        }
        for bad in ["", "5", "m", "5x", "-5m", "99999999999999999999s"] {
            assert!(ago(bad).is_err(), "{bad}");
        }
        assert!(ago("9223372036854775807d").is_ok(), "as long ago as can be told");
    }

    #[test]
    fn the_head_says_what_was_cut() {
        let name = Name::any("web").unwrap();
        let output = |count: usize, is_cut| Output {
            run: Some(3),
            lines: vec!["x".to_owned(); count],
            is_cut,
            total: 900,
            ..Output::default()
        };
        let told = |output: &Output, selects| head(&name, true, output, selects);
        assert_eq!(told(&output(2, false), false), "run 3 of web: 2 lines, nothing left out");
        let cut = told(&output(2, true), false);
        assert!(cut.contains("the last 2 lines, earlier ones are left out (900 bytes in all)"), "{cut}");
        let long = Output { cut_at: Some(2048), ..output(1, false) };
        let long = told(&long, false);
        assert_eq!(long, "run 3 of web: 1 line (900 bytes in all), lines longer than 2048 bytes are cut");
        assert!(told(&output(0, false), true).contains("no line matches"));
        let early = |count| Output { is_unsearched: true, ..output(count, false) };
        let early = [told(&early(0), true), told(&early(4), true)];
        assert!(
            early.iter().all(|text| text.starts_with("run 3 of web: the search took too long")),
            "{early:?}"
        );
        assert!(!early[0].contains("no line matches"), "{early:?}");
        assert!(told(&Output::default(), false).contains("has not run yet; call start"));
        let left = head(&name, false, &output(1, false), false);
        assert!(left.starts_with("run 3 of web, which is gone and has left its log: 1 line"), "{left}");
    }
}
