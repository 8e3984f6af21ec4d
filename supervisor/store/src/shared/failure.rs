//! The reasons why the database does not answer.

use crate::jobs::sql::SqlError;
use gob_protocol::database::MEND;
use std::error::Error as _;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// The reason why a question to the database has no answer. Displays as a sentence, never with the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The database can't be reached, or the connection broke. What was asked may have been done.
    #[error("{0}")]
    Away(String),
    /// Another party has locked what is needed; nothing was done.
    #[error("the database is busy ({0}); nothing was changed: try again")]
    Busy(String),
    /// A later version of gob has changed the tables.
    #[error(
        "its tables have version {found}, this gob knows versions up to {known}{MEND}upgrade gob on this machine"
    )]
    Newer {
        /// The version of the tables.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// The database refuses a statement.
    #[error("the database refuses: {message} (SQLSTATE {code}){}", remedy(code))]
    Refused {
        /// Its code.
        code: String,
        /// Its words.
        message: String,
    },
}

impl Failure {
    /// Returns the reason of an error.
    pub(super) fn of(error: &Error) -> Self {
        let Some(told) = error.as_db_error() else { return Self::Away(sentence(error)) };
        let state = told.code();
        let busy = [
            &SqlState::T_R_SERIALIZATION_FAILURE,
            &SqlState::T_R_DEADLOCK_DETECTED,
            &SqlState::LOCK_NOT_AVAILABLE,
            &SqlState::QUERY_CANCELED,
        ];
        let message = told.message().to_owned();
        if busy.contains(&state) {
            return Self::Busy(message);
        }
        // Connection exceptions, resources, and an operator's intervention: the session is over, or can't begin.
        if error.is_closed()
            || ["08", "53", "57", "28", "3D"].iter().any(|class| state.code().starts_with(class))
        {
            return Self::Away(message + &remedy(state.code()));
        }
        Self::Refused { code: state.code().to_owned(), message }
    }

    /// Returns whether the session is over.
    pub(super) const fn is_away(&self) -> bool {
        matches!(self, Self::Away(_))
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Server(failure) => failure,
            error @ (SqlError::File(_)
            | SqlError::Content(_)
            | SqlError::Unwritable(_)
            | SqlError::Unexpected) => {
                Self::Refused { code: "-".to_owned(), message: rusqlite::Error::from(error).to_string() }
            }
        }
    }
}

/// Returns the remedy of a refusal that goes away by no other means, behind its mark; nothing for others.
fn remedy(code: &str) -> String {
    let remedy = match code {
        "28P01" => "put the right password into shared.password_file, or to where else it is read from",
        "28000" => {
            "let this user in there (CREATE ROLE with LOGIN, pg_hba.conf), or name another one in shared.url"
        }
        "3D000" => "name a database in shared.url that is there, or make it: CREATE DATABASE",
        "42501" => "give this role the grants of docs/SHARED.md",
        "25006" => "name the server in shared.url that can be written to",
        _ => return String::new(),
    };
    format!("{MEND}{remedy}")
}

/// Returns an error with its causes.
fn sentence(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    if text.contains("password missing") {
        text.push_str(&remedy("28P01"));
    }
    text
}
