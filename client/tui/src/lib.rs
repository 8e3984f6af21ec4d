//! gob-tui: the terminal's screen of gob, which `gobctl tui` runs.
//!
//! It shows the workers of this user, live, in the words of the screen model that gobctl's lists and the window take too. Events,
//! requests, forms and what is allowed come from `gob_client::surface`; here is what is drawn, and what keys and the mouse do.
//!
//! | file | contents |
//! |---|---|
//! | `app.rs` | the loop: input, answers and changes in, frames and wishes out |
//! | `pace.rs` | when the next frame is drawn; pure |
//! | `tty.rs` | the terminal: taken over, given back, whatever happens |
//! | `input.rs` | the threads that wait for keys, signals and the terminal's end |
//! | `look.rs` | colours and signs that this terminal has |
//! | `line.rs` | a line of a log in styles and cells; pure |
//! | `project.rs` | jobs of the project file, as gobctl hands them in |
//! | `ui.rs`, `ui/` | the drawing, the keys and the mouse: a scene in, wishes out; pure |

mod app;
mod input;
mod line;
mod look;
mod pace;
mod project;
mod tty;
mod ui;

pub use look::Look;
pub use project::{Project, ProjectJob};
pub use tty::leave;

use gob_client::blocking::Connector;
use gob_client::{Dirs, Owner};

/// Reads the project file; nothing where there is none.
pub type ReadProject = Box<dyn Fn() -> Option<Project>>;

/// Everything that the screen is given.
pub struct Options {
    /// gob's directories.
    pub dirs: Dirs,
    /// The way to the supervisor.
    pub connector: Connector,
    /// The owner of its requests.
    pub owner: Owner,
    /// The current directory, from which a new job begins.
    pub cwd: String,
    /// Reads the project file, each time that its jobs are asked for.
    pub project: ReadProject,
    /// Colours and signs.
    pub look: Look,
}

/// The end of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The person asked for it.
    Quit,
    /// This signal came.
    Signal(i32),
    /// The terminal is gone.
    Hangup,
}

/// Shows the screen until it ends. The terminal is left as it was.
///
/// # Errors
/// When the terminal can't be used, or no thread can be had.
pub fn run(options: Options) -> std::io::Result<End> {
    app::App::open(options)?.run()
}
