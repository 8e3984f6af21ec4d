//! Exit codes of errors (CLI, Conventions; PROTOCOL 10 has a column of them).

use gob_client::Error;
use gob_client::host::dirs::DirsError;
use gob_client::protocol::ErrorCode;

/// The command line was not understood.
pub(crate) const USAGE: u8 = 2;
/// The time that `--timeout` gives is over.
pub(crate) const TIMED_OUT: u8 = 124;

/// Returns the exit code of an error of the client.
pub(crate) const fn of(error: &Error) -> u8 {
    match error {
        Error::Refused(error) => of_code(error.code),
        Error::Timeout { .. } => 124,
        Error::Answer { .. } => 1,
        Error::Dirs(DirsError::Relative { .. }) => 2,
        Error::Dirs(_)
        | Error::Nobody { .. }
        | Error::Connect { .. }
        | Error::Peer { .. }
        | Error::Foreign { .. }
        | Error::Impostor { .. }
        | Error::NoKeeper { .. }
        | Error::Start { .. }
        | Error::StartFailed { .. }
        | Error::Silent { .. }
        | Error::Stalled { .. }
        | Error::Lost { .. }
        | Error::Io { .. }
        | Error::Ssh(_) => 7,
    }
}

/// Returns the exit code of a refusal.
pub(crate) const fn of_code(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::InvalidRequest
        | ErrorCode::UnknownRequest
        | ErrorCode::FrameTooLong
        | ErrorCode::InvalidOwner
        | ErrorCode::InvalidName => 2,
        ErrorCode::ServerNotRunning => 3,
        ErrorCode::ServerNotFound | ErrorCode::JobNotFound => 4,
        ErrorCode::ServerOwnedByOther => 5,
        ErrorCode::ServerLockedByExternal => 6,
        ErrorCode::VersionMismatch | ErrorCode::PermissionDenied | ErrorCode::ShuttingDown => 7,
        ErrorCode::ServerStartFailed
        | ErrorCode::ServerStartTimeout
        | ErrorCode::ServerStartTimeoutOrphan
        | ErrorCode::HandshakeInvalid => 8,
        ErrorCode::LockTimeout => 124,
        ErrorCode::Busy
        | ErrorCode::ServerRunning
        | ErrorCode::ServerStopTimeout
        | ErrorCode::GraphConflict
        | ErrorCode::GraphGone
        | ErrorCode::KindNotFound
        | ErrorCode::ConfigInvalid
        | ErrorCode::Blocked
        | ErrorCode::LogUnavailable
        | ErrorCode::UpgradeFailed
        | ErrorCode::Internal
        | ErrorCode::LockNotHeld
        | ErrorCode::LockDeadlock
        | ErrorCode::JobNotClaimed
        | ErrorCode::Unrecognised => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const PROTOCOL: &str = include_str!("../../../protocol/PROTOCOL.md");

    #[test]
    fn the_table_of_errors_has_the_exit_code_of_each() {
        let section = PROTOCOL.split("\n## 10. ").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows: BTreeMap<&str, u8> = section
            .lines()
            .filter_map(|line| {
                let cells: Vec<&str> =
                    line.strip_prefix("| `")?.trim_end_matches(" |").split(" | ").collect();
                Some((cells.first()?.trim_end_matches('`'), cells.last()?.parse().unwrap()))
            })
            .collect();
        let codes: BTreeMap<&str, u8> =
            ErrorCode::ALL.iter().map(|code| (code.as_str(), of_code(*code))).collect();
        assert_eq!(rows, codes);
    }

    #[test]
    fn a_code_of_tomorrow_is_a_failure() {
        assert_eq!(of_code(ErrorCode::Unrecognised), 1);
    }
}
