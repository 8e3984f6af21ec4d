//! The nearest name to a misspelled one.

use crate::failure::Failure;
use crate::text::{nearest, shell_word};
use gob_client::blocking::Client;
use gob_client::call::List;
use gob_client::protocol::ErrorCode;
use gob_client::{Error, Name};

/// The begin of a hint that names a near word.
pub(crate) const DID_YOU_MEAN: &str = "did you mean";

/// Adds the nearest existing name to the hint of a refusal of an unknown worker.
pub(crate) fn with_nearest_name(client: &mut Client, name: &Name, failure: Failure) -> Failure {
    if failure.wire_code() != Some(ErrorCode::ServerNotFound) {
        return failure;
    }
    let Failure::Client(Error::Refused(mut error)) = failure else { return failure };
    if let Ok(workers) = client.list(List::default())
        // It is a part of this worker that is unknown, such as one of its runs.
        && workers.iter().all(|worker| worker.name != *name)
        && let Some(near) = nearest(name.as_str(), workers.iter().map(|worker| worker.name.as_str()))
    {
        error.hint = Some(format!("{DID_YOU_MEAN} {}? gobctl list shows all", shell_word(near)));
    }
    Failure::Client(Error::Refused(error))
}
