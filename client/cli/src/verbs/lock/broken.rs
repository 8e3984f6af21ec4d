//! `gobctl lock break NAME`: takes a lock from its holder.

use super::{FEATURE, file_args, file_order, lock_name, name_of_lock, status};
use crate::afar::Afar;
use crate::context::Context;
use crate::each::print_data;
use crate::failure::Failure;
use crate::out;
use crate::text::escape;
use crate::verbs::{Effect, Verb};
use crate::versions::needs;
use clap::ArgMatches;
use gob_client::Error;
use gob_client::call::LockBreak;
use gob_client::protocol::{ErrorCode, LockName, WireError};

pub(crate) const VERB: Verb = Verb {
    path: &["lock", "break"],
    effect: Effect::Destroys,
    about: "Take a lock from its holder and say whose it was",
    examples: "Examples:\n  gobctl lock break deploy\n  gobctl lock break --file /srv/db/.lock\n",
    command: |command| file_args(command.arg(name_of_lock(true)), false),
    afar: Afar::Here(&[]),
    run: Some(run),
    ..Verb::ROW
};

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    if let Some(order) = file_order(matches, None) {
        return status::file(context, order, true, true);
    }
    let lock =
        lock_name(matches)?.ok_or_else(|| Failure::usage("the name of a lock is missing".to_owned()))?;
    named(context, lock, true)
}

/// Breaks a lock of the supervisor; a free one is no failure unless it is `needed`.
pub(super) fn named(context: &Context, lock: LockName, needed: bool) -> Result<u8, Failure> {
    let mut client = context.connect("lock_break")?;
    needs(&client, FEATURE)?;
    let reply = match context.call(&mut client, LockBreak { lock: lock.clone() }) {
        Err(Error::Refused(error)) if is_free(&error) && !needed => {
            let text = if context.json {
                "{\"broken\":[]}".to_owned()
            } else {
                format!("{} is free", escape(lock.as_str()))
            };
            return out::print(&format!("{text}\n")).map(|()| 0);
        }
        answer => answer?,
    };
    if context.json {
        return print_data(reply.data()).map(|()| 0);
    }
    let holders: Vec<String> =
        reply.read()?.broken.iter().map(|holder| escape(&holder.to_string())).collect();
    out::print(&format!("broke {}, which {} held\n", escape(lock.as_str()), holders.join(", "))).map(|()| 0)
}

/// Tells whether nobody holds the lock; right after a restart that is not known.
fn is_free(error: &WireError) -> bool {
    let is_early = error.details.as_ref().is_some_and(|details| details.get("claims_ms").is_some());
    error.code == ErrorCode::ServerNotFound && !is_early
}
