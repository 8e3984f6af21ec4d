//! Values that many workers have in common are kept once: most workers are of one kind, of one environment and below one
//! directory.

use alloc::sync::Arc;
use core::borrow::Borrow;
use gob_config::kind::Kind;
use gob_protocol::Env;

/// The pools of all workers. They decide nothing, so they are no part of the state, and any two are equal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pools {
    pub(crate) kinds: Shared<Kind>,
    pub(crate) kind_names: Shared<str>,
    pub(crate) root_dirs: Shared<str>,
    pub(crate) envs: Shared<Env>,
}

impl PartialEq for Pools {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// Hands out the value that it handed out last when it is asked for an equal one.
#[derive(Debug)]
pub(crate) struct Shared<T: ?Sized>(Option<Arc<T>>);

impl<T: ?Sized> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Default for Shared<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq + ?Sized> Shared<T> {
    pub(crate) fn of<V: Borrow<T> + Into<Arc<T>>>(&mut self, value: V) -> Arc<T> {
        if let Some(last) = self.0.as_ref().filter(|last| ***last == *value.borrow()) {
            return Arc::clone(last);
        }
        let value = value.into();
        self.0 = Some(Arc::clone(&value));
        value
    }
}
