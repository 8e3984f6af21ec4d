//! The file that `gobctl config init` writes.

/// A commented example that changes nothing as it is.
pub const EXAMPLE: &str = include_str!("example.toml");
