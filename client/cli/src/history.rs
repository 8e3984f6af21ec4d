//! The history of a worker, as the supervisor tells it.
//!
//! Answers are the wire's data, so that `--json` prints one form from every source.

pub(crate) mod table;

use crate::context::Context;
use crate::failure::Failure;
use crate::job;
use crate::suggest::with_nearest_name;
use crate::text::parse_number;
use clap::{Arg, ArgMatches};
use gob_client::blocking::Client;
use gob_client::call::{Blame, Call, Reply, Runs, Stats};
use gob_client::protocol::answer::RunsData;
use gob_client::{Error, Name};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Most items of one answer (PROTOCOL, History).
const PAGE: u32 = 1000;

/// The source of a worker's history.
pub(crate) struct History<'a> {
    context: &'a Context,
    client: Client,
}

impl<'a> History<'a> {
    /// Reaches the supervisor.
    pub(crate) fn open(context: &'a Context, purpose: &str) -> Result<Self, Failure> {
        let client = context.connect(purpose)?;
        job::known_to(&client)?;
        context.note_state_dir(&context.dirs()?, &client);
        Ok(Self { context, client })
    }

    /// Returns the data of `runs`: the newest runs, at most `most`.
    pub(crate) fn runs(&mut self, name: &Name, most: Most) -> Result<Box<RawValue>, Failure> {
        let first = self.ask(name, page_of(name, most, 0, None))?;
        let RunsData { mut runs, mut more } = first.read()?;
        if !more || most.is_reached(runs.len()) {
            return Ok(first.into_data());
        }
        while more && !most.is_reached(runs.len()) {
            let before = runs.last().map(|run| run.run);
            let page = self.ask(name, page_of(name, most, runs.len(), before))?.read()?;
            // A page that does not advance ends the list.
            let advances = page.runs.first().map(|run| run.run) < before && !page.runs.is_empty();
            more = page.more && advances;
            runs.extend(page.runs.into_iter().filter(|_| advances));
        }
        data(Runs::TYPE, &RunsData { runs, more })
    }

    /// Returns the data of `stats`.
    pub(crate) fn stats(&mut self, name: &Name) -> Result<Box<RawValue>, Failure> {
        Ok(self.ask(name, Stats { name: name.clone() })?.into_data())
    }

    /// Returns the data of `blame`: the latest changes, at most `most`, and at most those of one answer.
    pub(crate) fn blame(&mut self, name: &Name, most: Most) -> Result<Box<RawValue>, Failure> {
        let limit = Some(most.left(0));
        Ok(self.ask(name, Blame { name: name.clone(), limit })?.into_data())
    }

    fn ask<C: Call>(&mut self, name: &Name, call: C) -> Result<Reply<C>, Failure> {
        let reply = self.context.call(&mut self.client, call);
        reply.map_err(|error| with_nearest_name(&mut self.client, name, error.into()))
    }
}

fn page_of(name: &Name, most: Most, have: usize, before: Option<u64>) -> Runs {
    Runs { name: name.clone(), limit: Some(most.left(have)), before }
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
