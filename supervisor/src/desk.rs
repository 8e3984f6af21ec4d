//! The place where connections meet the shell. A caller gets a turn at once, on the loop's one
//! runtime: no queue lies between a request and its answer, and a turn never waits.

use crate::shell::Shell;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A handle on the shell. Clones are the same desk.
#[derive(Clone)]
pub(crate) struct Desk(Rc<Inner>);

struct Inner {
    shell: RefCell<Shell>,
    /// The loop must check its next deadline, or its end.
    stirred: Notify,
    /// A turn panicked: the state of the shell is unknown.
    broken: Cell<bool>,
}

impl Desk {
    pub(crate) fn new(shell: Shell) -> Self {
        let shell = RefCell::new(shell);
        Self(Rc::new(Inner { shell, stirred: Notify::new(), broken: Cell::new(false) }))
    }

    /// Runs a turn: `what` sees one time; at its end the shell is swept, answers go out, and changes are
    /// noted for `last.json`.
    pub(crate) fn turn<T>(&self, what: impl FnOnce(&mut Shell) -> T) -> T {
        self.0.broken.set(true);
        let mut shell = self.0.shell.borrow_mut();
        let before = shell.next_wake();
        shell.new_turn();
        let done = what(&mut shell);
        shell.begin_sweeps();
        shell.flush();
        shell.note_changes();
        if shell.is_called_away() || shell.next_wake() != before {
            self.0.stirred.notify_one();
        }
        self.0.broken.set(false);
        done
    }

    /// Reads the shell without a turn of its own.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&mut Shell) -> T) -> T {
        at(&mut self.0.shell.borrow_mut())
    }

    /// Returns whether the supervisor is at its end.
    pub(crate) fn is_over(&self) -> bool {
        self.look(|shell| shell.exit.is_some())
    }

    pub(crate) fn next_wake(&self) -> Instant {
        self.look(|shell| shell.next_wake())
    }

    /// Returns once another task's turn has changed what the loop waits for. True when that turn panicked;
    /// only the loop would learn of it.
    pub(crate) async fn stirred(&self) -> bool {
        self.0.stirred.notified().await;
        self.0.broken.get()
    }

    /// Makes the loop check whether a turn panicked; called from code that may be unwinding.
    pub(crate) fn stir_if_broken(&self) {
        if self.0.broken.get() {
            self.0.stirred.notify_one();
        }
    }
}
