//! Upgrades in the middle of everything else: the state goes through bytes into the next program, with the request under way.

use super::harness::World;
use crate::{Effect, Input};
use gob_protocol::answer::{KeeperUpgrade, Program};
use std::string::String;

/// The part of an upgrade that the shell has under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Upgrading {
    #[default]
    Nothing,
    Trying,
    Replacing,
    Bringing,
}

fn program(version: &str) -> Program {
    Program { version: version.into(), exe: "/opt/gobd".into() }
}

impl World {
    /// Does what the core asks for, one thing at a time.
    pub(super) fn upgrades(&mut self, effect: &Effect) -> Result<(), String> {
        let (before, after) = match effect {
            Effect::TryProgram { .. } => (Upgrading::Nothing, Upgrading::Trying),
            Effect::Replace => (Upgrading::Nothing, Upgrading::Replacing),
            Effect::BringKeeper => (Upgrading::Nothing, Upgrading::Bringing),
            _other => return Ok(()),
        };
        ensure!(self.upgrading == before, "{effect:?} while {:?}", self.upgrading);
        self.upgrading = after;
        Ok(())
    }

    /// An upgrade gets on, well or not; `false` where none is under way.
    pub(super) fn upgrade(&mut self, well: bool) -> Result<bool, String> {
        let before = core::mem::take(&mut self.upgrading);
        let input = match (before, well) {
            (Upgrading::Nothing, _) => return Ok(false),
            (Upgrading::Trying, true) => Input::ProgramTried(Ok(program("1"))),
            (Upgrading::Trying, false) => Input::ProgramTried(Err("it refuses".into())),
            (Upgrading::Replacing, true) => {
                self.reread()?;
                Input::Upgraded(program("2"))
            }
            (Upgrading::Replacing, false) => Input::NotReplaced("the disk hangs".into()),
            (Upgrading::Bringing, upgraded) => {
                Input::KeeperBrought(KeeperUpgrade { pid: 2, upgraded, error: None })
            }
        };
        self.feed(input)?;
        Ok(true)
    }
}
