//! Values that many workers have in common are kept once: most workers are of one kind and of one environment.

use alloc::rc::Rc;

/// Hands out the value that it handed out last when it is asked for an equal one.
#[derive(Debug, Clone)]
pub(crate) struct Shared<T>(Option<Rc<T>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> Shared<T> {
    pub(crate) fn of(&mut self, value: T) -> Rc<T> {
        if let Some(last) = self.0.as_ref().filter(|last| ***last == value) {
            return Rc::clone(last);
        }
        let value = Rc::new(value);
        self.0 = Some(Rc::clone(&value));
        value
    }
}
