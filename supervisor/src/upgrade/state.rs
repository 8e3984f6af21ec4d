//! The state of a supervisor as data: the core's, with a version of its own, and that of each part of the shell.
//!
//! A field that is new has a default; a change that an older reader would misunderstand has another version.

use super::named::{Fd, Named};
use super::{Inherited, Unfit};
use crate::accept::DoorState;
use crate::boot::BootState;
use crate::connection::Pending;
use crate::foreign::ForeignState;
use crate::graph_lock::HeldLockState;
use crate::heal::SiteState;
use crate::output::{OutputState, TapState};
use crate::programs::Program;
use crate::readiness::{PortsState, ReadinessState};
use crate::recovery::LeftoversState;
use crate::runs::RunsState;
use ciborium::de::Error;
use gob_core::{ConnId, Core, RunKey};
use gob_store::StoreState;
use gob_store::shared::SharedState;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek};

/// The form of the shell's part that this version writes and reads.
const VERSION: u32 = 1;

/// The whole state.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State<C = Core> {
    /// Where all else can't be read, this still can be (`Form`).
    shell_version: u32,
    pub(super) core: C,
    pub(super) shell: ShellState,
    /// `None` in a copy for a trial: these parts can be told only of a supervisor at rest.
    pub(super) steady: Option<SteadyState>,
    /// All descriptors that it names.
    pub(super) named: Vec<Fd>,
}

/// The part of the shell that is known at any time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ShellState {
    pub(crate) boot: BootState,
    pub(crate) runs: RunsState,
    /// Locks of graphs whose runs have no process any more.
    pub(crate) locks: Vec<(RunKey, HeldLockState)>,
    pub(crate) conns: Vec<(ConnId, Fd, Pending)>,
    /// The window on the output of each worker's latest run.
    pub(crate) taps: Vec<(RunKey, TapState)>,
    pub(crate) ports: PortsState,
    pub(crate) readiness: ReadinessState,
    pub(crate) foreign: ForeignState,
    pub(crate) store: StoreState,
    /// The programs of live runs, as they were when these began.
    #[serde(default)]
    pub(crate) programs: Vec<(RunKey, Program)>,
    /// Newer than the first version.
    #[serde(default)]
    pub(crate) shared: SharedState,
}

/// The part that is known only of a shell at rest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SteadyState {
    pub(crate) output: OutputState,
    pub(crate) door: DoorState,
    pub(crate) site: SiteState,
    pub(crate) leftovers: Option<LeftoversState>,
    /// Watches of the program before, to be closed: the kernel takes milliseconds for one, and would do so in the exec.
    #[serde(default)]
    pub(crate) watches: Vec<Fd>,
}

/// The versions in a state of any form.
#[derive(Deserialize)]
struct Form {
    shell_version: u32,
}

/// Writes a state.
pub(crate) fn write(
    core: &Core,
    shell: ShellState,
    steady: Option<SteadyState>,
    named: &Named,
) -> Result<Vec<u8>, String> {
    let state = State { shell_version: VERSION, core, shell, steady, named: named.all() };
    let mut bytes = Vec::new();
    let written = ciborium::into_writer(&state, &mut bytes);
    written.map(|()| bytes).map_err(|error| format!("the state can't be written: {error}"))
}

/// Reads a state.
///
/// # Errors
/// The reason why this program can't go on with it.
pub(super) fn read(file: &mut File) -> Result<State, Unfit> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let read = ciborium::from_reader::<State, _>(&bytes[..]);
    let version = match &read {
        Ok(state) => state.shell_version,
        // Its version may be the reason.
        Err(_) => match ciborium::from_reader::<Form, _>(&bytes[..]) {
            Ok(form) => form.shell_version,
            Err(_) => return Err("the state is in no form that this program knows".to_owned().into()),
        },
    };
    if version != VERSION {
        return Err(format!("the shell's state is of version {version}, this program reads {VERSION}").into());
    }
    read.map_err(|error| match error {
        Error::Semantic(_, why) => why.into(),
        error @ (Error::Io(_) | Error::Syntax(_) | Error::RecursionLimitExceeded) => {
            format!("the state can't be read: {error:?}").into()
        }
    })
}

impl State {
    /// Checks whatever a program that goes on with it would find out too late.
    pub(super) fn check(&mut self) -> Result<(), Unfit> {
        let effects = self.core.resume();
        drop(effects);
        self.steady.as_ref().map_or(Ok(()), |steady| steady.output.check())
    }

    /// Takes over the descriptors that it names.
    pub(super) fn inherit(&self, own: File) -> io::Result<Inherited> {
        drop(own);
        Inherited::take_over(&self.named)
    }
}
