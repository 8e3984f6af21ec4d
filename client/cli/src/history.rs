//! The history of a worker: from the supervisor, or where none runs from its store.
//!
//! Answers are the wire's data, so that `--json` prints one form from either source.

mod kept;
pub(crate) mod table;

use crate::context::Context;
use crate::failure::Failure;
use crate::job;
use crate::suggest::with_remedy;
use crate::text::parse_number;
use clap::{Arg, ArgMatches};
use gob_client::blocking::Client;
use gob_client::call::{Blame, Call, Runs, Stats};
use gob_client::protocol::Cursor;
use gob_client::protocol::answer::{BlameData, RunsData};
use gob_client::{Error, Name};
use kept::Kept;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Most items of one answer (PROTOCOL, History).
const PAGE: u32 = 1000;

/// The source of a worker's history.
pub(crate) struct History<'a> {
    context: &'a Context,
    source: Source,
}

enum Source {
    /// The supervisor.
    Told(Box<Client>),
    /// The files that the last one left.
    Kept(Box<Kept>),
}

impl<'a> History<'a> {
    /// Reaches the supervisor, or opens the store where none runs.
    pub(crate) fn open(context: &'a Context, purpose: &str) -> Result<Self, Failure> {
        let source = match context.connect(purpose) {
            Ok(client) => {
                job::known_to(&client)?;
                context.note_state_dir(&context.dirs()?, &client);
                Source::Told(Box::new(client))
            }
            Err(Failure::Client(nobody @ Error::Nobody { .. })) => {
                Source::Kept(Box::new(Kept::open(context, nobody)?))
            }
            Err(failure) => return Err(failure),
        };
        Ok(Self { context, source })
    }

    /// Returns the data of `runs`: the newest runs, at most `most`.
    pub(crate) fn runs(&mut self, name: &Name, most: Most) -> Result<Box<RawValue>, Failure> {
        let (raw, first) = self.page(name, most, 0, None)?;
        let RunsData { mut runs, mut more } = first;
        if let Some(raw) = raw.filter(|_| !more || most.is_reached(runs.len())) {
            return Ok(raw);
        }
        while more && !most.is_reached(runs.len()) {
            let before = runs.last().map(|run| run.run);
            let (_, page) = self.page(name, most, runs.len(), before)?;
            // A page that does not advance ends the list.
            let advances = page.runs.first().is_some_and(|run| Some(run.run) < before);
            more = page.more && advances;
            runs.extend(page.runs.into_iter().filter(|_| advances));
        }
        data(Runs::TYPE, &RunsData { runs, more })
    }

    /// Returns a page of runs, as it came where it came from the supervisor.
    fn page(
        &mut self,
        name: &Name,
        most: Most,
        have: usize,
        before: Option<u64>,
    ) -> Result<(Option<Box<RawValue>>, RunsData), Failure> {
        let limit = most.left(have);
        match &mut self.source {
            Source::Kept(kept) => Ok((None, kept.runs(name, before, limit)?)),
            Source::Told(client) => {
                let raw =
                    ask(self.context, client, name, Runs { name: name.clone(), limit: Some(limit), before })?;
                let page = gob_client::call::read(Runs::TYPE, &raw)?;
                Ok((Some(raw), page))
            }
        }
    }

    /// Returns the data of `stats`.
    pub(crate) fn stats(&mut self, name: &Name) -> Result<Box<RawValue>, Failure> {
        match &mut self.source {
            Source::Kept(kept) => data(Stats::TYPE, &kept.stats(name)?),
            Source::Told(client) => ask(self.context, client, name, Stats { name: name.clone() }),
        }
    }

    /// Returns the data of `blame`: the latest changes, at most `most`.
    pub(crate) fn blame(&mut self, name: &Name, most: Most) -> Result<Box<RawValue>, Failure> {
        let (raw, first) = self.page_of_blame(name, most, 0, None)?;
        let BlameData { mut entries, mut next } = first;
        if let Some(raw) = raw.filter(|_| next.is_none() || most.is_reached(entries.len())) {
            return Ok(raw);
        }
        while let Some(before) = next.take_if(|_| !most.is_reached(entries.len())) {
            let (_, page) = self.page_of_blame(name, most, entries.len(), Some(before.clone()))?;
            entries.extend(page.entries);
            // A page that does not advance ends the list.
            next = page.next.filter(|next| *next != before);
        }
        data(Blame::TYPE, &BlameData { entries, next })
    }

    /// Returns a page of changes, as it came where it came from the supervisor.
    fn page_of_blame(
        &mut self,
        name: &Name,
        most: Most,
        have: usize,
        before: Option<Cursor>,
    ) -> Result<(Option<Box<RawValue>>, BlameData), Failure> {
        let limit = most.left(have);
        match &mut self.source {
            Source::Kept(kept) => Ok((None, kept.blame(name, before.as_ref(), limit)?)),
            Source::Told(client) => {
                let call = Blame { name: name.clone(), limit: Some(limit), before };
                let raw = ask(self.context, client, name, call)?;
                let page = gob_client::call::read(Blame::TYPE, &raw)?;
                Ok((Some(raw), page))
            }
        }
    }
}

fn ask<C: Call>(
    context: &Context,
    client: &mut Client,
    name: &Name,
    call: C,
) -> Result<Box<RawValue>, Failure> {
    match context.call(client, call) {
        Ok(reply) => Ok(reply.into_data()),
        Err(error) => Err(with_remedy(client, name, error.into())),
    }
}

fn data(request: &str, data: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    let raw = to_raw_value(data).map_err(|source| Error::Answer { request: request.to_owned(), source });
    Ok(raw?)
}

/// The most items that a list shows; all of them without a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most(Option<usize>);

impl Most {
    /// Returns the argument `-n`.
    pub(crate) fn arg(help: &'static str) -> Arg {
        Arg::new("most")
            .short('n')
            .long("limit")
            .value_name("NUMBER")
            .value_parser(Self::parse)
            .allow_negative_numbers(true)
            .default_value("20")
            .help(help)
    }

    /// Returns the value of the argument.
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        matches.get_one::<Self>("most").copied().unwrap_or(Self(None))
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(None));
        }
        match parse_number::<usize>(text) {
            Ok(number) if number > 0 => Ok(Self(Some(number))),
            Ok(_) | Err(_) => Err("not a whole number above 0, nor all".to_owned()),
        }
    }

    /// Returns the size of the next page behind so many items.
    fn left(self, have: usize) -> u32 {
        let left =
            self.0.map_or(u32::MAX, |most| u32::try_from(most.saturating_sub(have)).unwrap_or(u32::MAX));
        left.clamp(1, PAGE)
    }

    fn is_reached(self, have: usize) -> bool {
        self.0.is_some_and(|most| have >= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_asked_for_in_pages_up_to_its_limit() {
        let most = Most::parse("1500").unwrap();
        assert_eq!((most.left(0), most.left(1000), most.is_reached(1499)), (1000, 500, false));
        assert!(most.is_reached(1500));
        let all = Most::parse("all").unwrap();
        assert_eq!((all.left(5_000_000), all.is_reached(usize::MAX)), (PAGE, false));
        assert_eq!(Most::parse("3").unwrap().left(0), 3);
        for bad in ["0", "-1", "", "ALL", "1.5", "x"] {
            assert!(Most::parse(bad).is_err(), "{bad}");
        }
    }
}
