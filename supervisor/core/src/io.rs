//! The core's [`Input`]s and [`Effect`]s.
//!
//! The shell reports the world as inputs and carries out effects in their order; it decides nothing.

mod effect;
mod input;

pub use effect::Effect;
pub use input::{Input, Read};

use alloc::vec::Vec;

/// The effects of the input that is being applied; there are none between two inputs, so they are no part of the state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Out(Vec<Effect>);

impl PartialEq for Out {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_empty() && other.0.is_empty()
    }
}

impl Out {
    pub(crate) fn push(&mut self, effect: Effect) {
        self.0.push(effect);
    }

    pub(crate) fn take(&mut self) -> Vec<Effect> {
        core::mem::take(&mut self.0)
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Effect> {
        self.0.iter()
    }
}
