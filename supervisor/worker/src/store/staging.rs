//! Placeholder for the staging database of imports.

use std::path::Path;

/// An import's own database.
#[derive(Debug)]
pub(crate) struct Staging;

/// Removes what a killed worker left.
pub(super) fn remove_left_over(_directory: &Path) {}
