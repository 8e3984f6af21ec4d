//! The command line by which the keeper hands over.

/// The keeper's hand-over on the command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Args {
    pub(super) lock_fd: Option<i32>,
    pub(super) runtime_fd: Option<i32>,
    pub(super) ready_fd: Option<i32>,
    pub(super) keeper_pid: Option<i32>,
    pub(crate) state_fd: Option<i32>,
    pub(crate) try_state: Option<i32>,
    pub(super) listen_fd: Option<i32>,
}

impl Args {
    /// Parses the arguments behind the program's name.
    ///
    /// # Errors
    /// The first word that is not an argument of the supervisor.
    pub fn parse(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut args = args;
        while let Some(name) = args.next() {
            let slot = match name.as_str() {
                "--lock-fd" => &mut parsed.lock_fd,
                "--runtime-fd" => &mut parsed.runtime_fd,
                "--ready-fd" => &mut parsed.ready_fd,
                "--keeper-pid" => &mut parsed.keeper_pid,
                "--state-fd" => &mut parsed.state_fd,
                "--try-state" => &mut parsed.try_state,
                "--listen-fd" => &mut parsed.listen_fd,
                _ => return Err(format!("unknown argument {name:?}")),
            };
            let value = args.next().ok_or_else(|| format!("{name} needs a number"))?;
            *slot = Some(value.parse().map_err(|_| format!("{name} needs a number, not {value:?}"))?);
        }
        Ok(parsed)
    }

    /// Returns the descriptor with a state that is only to be tried, by a program that may be the next one.
    #[must_use]
    pub fn tries_state(&self) -> Option<i32> {
        self.try_state
    }

    /// Returns whether a client waits for the result of this start, and may request another one.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        self.ready_fd.is_some()
    }

    /// Returns whether the keeper started this process. Any other starter needs a keeper first.
    #[must_use]
    pub fn from_keeper(&self) -> bool {
        self.lock_fd.is_some() && self.runtime_fd.is_some() && self.keeper_pid.is_some()
    }
}
