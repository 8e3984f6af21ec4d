//! The tool `logs`.

use super::control::worker_name;
use crate::call::{Answer, Call, Done, now};
use crate::output::{Output, Wanted, directory, read};
use crate::refusal::Refusal;
use gob_client::logs::{Pattern, Stream};
use gob_client::protocol::Timestamp;
use gob_client::screen::text::name as shown;
use gob_client::{Name, call};
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
    let dir = match call.link().ask(call::Get { name: name.clone() }).await {
        Ok(data) => directory(call.shared.dirs(), &data.worker),
        Err(error) => return Err(call.link().refused(&name, error).await),
    };
    let output = Call::beside(move || read(&dir, &wanted)).await?;
    Ok(Answer::text(format!("{}\n{}", head(&name, &output, selects), output.text(bytes))))
}

/// Returns the line above the output: what it is, what was left out, and how to get it.
fn head(name: &Name, output: &Output, selects: bool) -> String {
    let name = shown(name.as_str());
    let Some(run) = output.run else {
        return format!("{name} has not run yet; call start to run it");
    };
    let (count, total) = (output.lines.len(), output.total);
    let noun = if count == 1 { "line" } else { "lines" };
    let what = if selects { format!("matching {noun}") } else { noun.to_owned() };
    let unsearched = if output.is_unsearched {
        "; the search took too long and ended early: give a shorter since"
    } else {
        ""
    };
    match (count, output.is_cut) {
        (0, _) if selects => {
            format!("run {run} of {name}: no line matches ({total} bytes in all){unsearched}")
        }
        (0, _) => format!("run {run} of {name} has written nothing; call status for its state"),
        (_, true) => format!(
            "run {run} of {name}: the last {count} {what}, earlier ones are left out ({total} bytes in all): give a larger tail \
             and max_bytes, or grep{unsearched}"
        ),
        (_, false) => format!("run {run} of {name}: {count} {what}, nothing left out{unsearched}"),
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
        assert_eq!(head(&name, &output(2, false), false), "run 3 of web: 2 lines, nothing left out");
        let cut = head(&name, &output(2, true), false);
        assert!(cut.contains("the last 2 lines, earlier ones are left out (900 bytes in all)"), "{cut}");
        assert!(head(&name, &output(0, false), true).contains("no line matches"));
        assert!(head(&name, &Output::default(), false).contains("has not run yet; call start"));
    }
}
