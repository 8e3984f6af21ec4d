//! The queue's statements, whichever database runs them: the store's own file, or the one that several machines share.
//!
//! The decisions are made by the same code for both. A statement is written in the words that both understand, with `?1`, `?2` … for its
//! values. Where one has to differ, [`Tables`] says how.

use rusqlite::types::{ToSqlOutput, Type, Value, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};
use std::borrow::Cow;

/// The content of one column, or a value of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    Null,
    Number(i64),
    Text(Cow<'a, str>),
}

/// A row.
#[derive(Debug, Clone)]
pub(crate) struct Row(pub(crate) Vec<Cell<'static>>);

/// A statement failed.
#[derive(Debug)]
pub(crate) enum SqlError {
    /// SQLite's error.
    File(rusqlite::Error),
    /// A column has another type than the tables allow.
    Content(usize),
    /// A value has no text.
    Unwritable(Box<dyn std::error::Error + Send + Sync>),
    /// The question is none that changes something, or a row that was just written is not there.
    Unexpected,
    /// The database that several machines share failed.
    #[cfg(feature = "shared")]
    Server(crate::shared::Failure),
}

pub(crate) type Sql<T> = Result<T, SqlError>;

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        Self::File(error)
    }
}

impl From<SqlError> for rusqlite::Error {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::File(error) => error,
            SqlError::Content(at) => Self::InvalidColumnType(at, "of the queue".to_owned(), Type::Null),
            SqlError::Unwritable(error) => Self::ToSqlConversionFailure(error),
            SqlError::Unexpected => Self::QueryReturnedNoRows,
            #[cfg(feature = "shared")]
            SqlError::Server(_) => Self::InvalidQuery,
        }
    }
}

/// The tables of the queue, in an open transaction where something is changed.
pub(crate) trait Tables {
    /// Runs a statement, and returns how many rows it changed.
    fn change(&self, sql: &str, values: &[Cell<'_>]) -> Sql<usize>;

    /// Runs a statement, and returns its rows.
    fn rows(&self, sql: &str, values: &[Cell<'_>]) -> Sql<Vec<Row>>;

    /// Returns the first row of a statement.
    fn row(&self, sql: &str, values: &[Cell<'_>]) -> Sql<Option<Row>> {
        Ok(self.rows(sql, values)?.into_iter().next())
    }

    /// Returns the number of the next job of the lane `?1` at the time `?2`, as a query.
    fn next(&self) -> &'static str;

    /// Returns the condition on `instance` for claims of earlier lives of the supervisor of which `?1` is the present one.
    fn earlier(&self) -> &'static str;

    /// Returns whether what an earlier life claimed was never begun: it is this supervisor's own, which knows all that it has begun.
    fn was_not_begun(&self, earlier: &str, instance: &str) -> bool;

    /// Returns the condition on `instance` for claims that the life `?2` of the supervisor may end.
    fn ours(&self) -> &'static str;

    /// Returns the number of a new job, where its client did not reserve one.
    fn number(&self, new: Option<u64>) -> Sql<Option<u64>>;
}

impl Tables for Connection {
    fn change(&self, sql: &str, values: &[Cell<'_>]) -> Sql<usize> {
        Ok(self.prepare_cached(sql)?.execute(params_from_iter(values))?)
    }

    fn rows(&self, sql: &str, values: &[Cell<'_>]) -> Sql<Vec<Row>> {
        let mut select = self.prepare_cached(sql)?;
        let mut found = select.query(params_from_iter(values))?;
        let mut all = Vec::new();
        while let Some(row) = found.next()? {
            all.push(Row::of_file(row)?);
        }
        Ok(all)
    }

    fn row(&self, sql: &str, values: &[Cell<'_>]) -> Sql<Option<Row>> {
        let mut select = self.prepare_cached(sql)?;
        let mut found = select.query(params_from_iter(values))?;
        Ok(found.next()?.map(Row::of_file).transpose()?)
    }

    fn next(&self) -> &'static str {
        super::claim::NEXT
    }

    fn earlier(&self) -> &'static str {
        "instance <> ?1"
    }

    fn was_not_begun(&self, _: &str, _: &str) -> bool {
        false
    }

    fn ours(&self) -> &'static str {
        "instance = ?2"
    }

    fn number(&self, new: Option<u64>) -> Sql<Option<u64>> {
        Ok(new)
    }
}

impl Row {
    /// Copies a row of SQLite.
    pub(crate) fn of_file(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let count = row.as_ref().column_count();
        let cells = (0..count).map(|at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(number) => Cell::Number(number),
                ValueRef::Text(text) => match std::str::from_utf8(text) {
                    Ok(text) => Cell::Text(Cow::Owned(text.to_owned())),
                    Err(e) => return Err(rusqlite::Error::Utf8Error(at, e)),
                },
                // No column has such a type: it is damage, and no reader understands it.
                ValueRef::Real(number) => Cell::Text(Cow::Owned(number.to_string())),
                ValueRef::Blob(_) => Cell::Text(Cow::Borrowed("")),
            })
        });
        Ok(Self(cells.collect::<rusqlite::Result<_>>()?))
    }

    /// Reads a column of some type; `None` where it has another one.
    pub(crate) fn get<T: FromCell>(&self, at: usize) -> Option<T> {
        T::from_cell(self.0.get(at)?)
    }

    /// Reads a column that has this type in every whole table.
    pub(crate) fn sure<T: FromCell>(&self, at: usize) -> Sql<T> {
        self.get(at).ok_or(SqlError::Content(at))
    }
}

/// A type that a column is read as.
pub(crate) trait FromCell: Sized {
    fn from_cell(cell: &Cell<'_>) -> Option<Self>;
}

impl FromCell for i64 {
    fn from_cell(cell: &Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Number(number) => Some(*number),
            Cell::Null | Cell::Text(_) => None,
        }
    }
}

impl FromCell for i32 {
    fn from_cell(cell: &Cell<'_>) -> Option<Self> {
        i64::from_cell(cell)?.try_into().ok()
    }
}

impl FromCell for u32 {
    fn from_cell(cell: &Cell<'_>) -> Option<Self> {
        i64::from_cell(cell)?.try_into().ok()
    }
}

impl FromCell for bool {
    fn from_cell(cell: &Cell<'_>) -> Option<Self> {
        i64::from_cell(cell).map(|number| number != 0)
    }
}

impl FromCell for String {
    fn from_cell(cell: &Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(text.clone().into_owned()),
            Cell::Null | Cell::Number(_) => None,
        }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: &Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            Cell::Number(_) | Cell::Text(_) => T::from_cell(cell).map(Some),
        }
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Number(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

macro_rules! from_numbers {
    ($($number:ty),*) => {
        $(impl From<$number> for Cell<'_> {
            fn from(number: $number) -> Self {
                Self::Number(number.into())
            }
        })*
    };
}

from_numbers!(i64, i32, u32, bool);

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// The values of a statement, each of a type that a [`Cell`] is made from.
macro_rules! cells {
    ($($value:expr),* $(,)?) => {
        &[$($crate::jobs::sql::Cell::from($value)),*]
    };
}
pub(crate) use cells;
