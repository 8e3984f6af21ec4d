//! Inputs and changes that a service manager causes, or is told of.

use super::Shell;
use crate::manager;
use gob_core::{Input, Read, Recorded};

impl Shell {
    /// Begins to serve.
    pub(crate) fn begin(&mut self) {
        manager::serving(&self.disks, self.boot.keeper_pid);
        self.input(Input::Begin);
    }

    /// Ends in order, as a signal says.
    pub(crate) fn terminate(&mut self) {
        self.boot.is_signalled = true;
        self.input(Input::Terminate);
    }

    /// Reads the configuration again, as a signal says.
    pub(crate) fn reread(&mut self) {
        manager::reloading(&self.disks);
        self.input(Input::Reread);
    }

    /// Takes the configuration that was read.
    pub(crate) fn configured(&mut self, read: Read) {
        self.input(Input::Configured(read));
        manager::reloaded(&self.disks);
    }

    pub(super) fn record(&mut self, recorded: Recorded) {
        manager::heard(&self.disks, &recorded);
        self.history.record(recorded);
    }
}
