//! Data of successful responses to requests about the history of workers (PROTOCOL 4, 5).

use crate::cursor::Cursor;
use crate::history::{BlameEntry, HistoryEntry, RunRecord};
use serde::{Deserialize, Serialize};

/// Data of `runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunsData {
    /// The runs, newest first.
    pub runs: Vec<RunRecord>,
    /// There are older ones.
    pub more: bool,
}

/// Data of `runs_delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunsDeleteData {
    /// The runs that were deleted.
    pub removed: Vec<u64>,
}

/// Data of `blame`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BlameData {
    /// The changes, newest first.
    pub entries: Vec<BlameEntry>,
    /// The place to go on before, where there are older ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

/// Data of `history`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HistoryData {
    /// The changes, oldest first.
    pub entries: Vec<HistoryEntry>,
    /// The place to go on after, where there are later ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
    /// Changes after the place are kept no longer, or were lost.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub gap: bool,
    /// The history does not know the instance.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub unknown: bool,
}
