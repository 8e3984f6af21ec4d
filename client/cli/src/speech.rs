//! The reader of a text that says what to do next.

/// The way in which a text names the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// Commands, for a shell.
    Commands,
    /// Tools of `gobctl mcp`, for a program that may have no shell.
    Tools,
}

impl Speech {
    /// Returns the text for this reader.
    pub(crate) fn of<T>(self, commands: T, tools: T) -> T {
        match self {
            Self::Commands => commands,
            Self::Tools => tools,
        }
    }
}
