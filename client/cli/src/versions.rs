//! A supervisor of another version than gobctl: what is said of it, and the way to one version.

use crate::context::Context;
use crate::failure::Failure;
use gob_client::Error;
use gob_client::blocking::Client;
use gob_client::protocol::ErrorCode;

const OURS: &str = env!("CARGO_PKG_VERSION");

/// Notes that the two differ, and how that is mended.
pub(crate) fn note(context: &Context, client: &Client) {
    let theirs = client.server().version.as_str();
    if theirs == OURS {
        return;
    }
    let (place, way) = match &context.host {
        Some(host) => {
            let host = host.ssh.address().host();
            (format!(" on {host}"), "install the same version on both".to_owned())
        }
        None => (String::new(), way(OURS, theirs, client.has_feature("upgrade"))),
    };
    context.note(&format!("gobctl {OURS} talks to a supervisor {theirs}{place}; they work together; {way}"));
}

/// Refuses a supervisor that is older than a feature of its protocol.
pub(crate) fn needs(client: &Client, feature: &str) -> Result<(), Failure> {
    if client.has_feature(feature) {
        return Ok(());
    }
    Err(is_older(
        client,
        match feature {
            "queue" => "the queue",
            "upgrade" => "upgrades in place",
            named => named,
        },
    ))
}

/// Returns the failure of a call; a request that a supervisor of another version does not know is no mistake of whoever made it.
pub(crate) fn explained(client: &Client, request: &str, error: Error) -> Failure {
    let is_unknown = matches!(&error, Error::Refused(refused) if refused.code == ErrorCode::UnknownRequest);
    if is_unknown && client.server().version != OURS {
        return is_older(client, &format!("the request {request}"));
    }
    error.into()
}

fn is_older(client: &Client, than: &str) -> Failure {
    let server = client.server();
    let message =
        format!("the supervisor (gobd {}, pid {}) is older than {than}", server.version, server.pid);
    Failure::own("unknown-request", 7, message).hint(way(
        OURS,
        &server.version,
        client.has_feature("upgrade"),
    ))
}

/// Returns the way to one version.
pub(crate) fn way(ours: &str, theirs: &str, upgrades: bool) -> String {
    if numbers(theirs) > numbers(ours) {
        format!("this gobctl is the older one: install gob {theirs} for it, too")
    } else if upgrades {
        "gobctl daemon upgrade goes on with the installed one".to_owned()
    } else {
        "gobctl daemon restart starts the installed one; it stops the workers first".to_owned()
    }
}

/// Returns a version's numbers, by which versions are compared.
fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    release.split('.').map(|number| number.parse().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_leads_to_the_newer_version() {
        assert!(way("0.2.0", "0.1.0", false).contains("daemon restart"));
        assert!(way("0.2.0", "0.2.0-rc.1", true).contains("daemon upgrade"));
        assert!(way("0.10.0", "0.9.9", true).contains("daemon upgrade"));
        for theirs in ["0.2.1", "0.10.0", "1.0.0"] {
            assert!(way("0.2.0", theirs, true).ends_with(&format!("install gob {theirs} for it, too")));
        }
    }
}
