//! gob-desktop: a window on gob.
//!
//! It shows the workers of this user, live, in the words of the screen model that gobctl takes too, and offers what may be
//! done about each. Events, requests, forms and commands are those of `gob_client::surface`. It starts no supervisor by itself, and closing it leaves every worker alone.
//!
//! | file | contents |
//! |---|---|
//! | `app.rs` | the window's program: answers in, wishes out |
//! | `ui.rs`, `ui/` | the drawing, and nothing else: a scene in, wishes out |
//! | `settings.rs`, `palette.rs` | settings, colours |
//! | `tray.rs`, `herald.rs`, `icon.rs` | the tray, notifications, the icon |
//! | `wake.rs`, `trace.rs` | repaints on request; times of frames for measurements |

mod app;
mod herald;
mod icon;
mod palette;
mod settings;
#[cfg(test)]
mod testing;
mod trace;
mod tray;
mod ui;
mod wake;

use eframe::egui::ViewportBuilder;
use gob_client::{Dirs, Owner};
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

/// The owner of the window's connections.
const OWNER: &str = "desktop";

const USAGE: &str = "\
gob-desktop: a window on gob

Shows the workers of this user, live. Takes no arguments but these:
  --help       this text
  --version    the version
";

fn main() -> ExitCode {
    let begun = Instant::now();
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        None => {}
        Some("--help" | "-h") => return print(USAGE),
        Some("--version" | "-V") => {
            return print(&format!("{}\n", gob_protocol::build::version_of("gob-desktop")));
        }
        Some(other) => return fail(2, &format!("unknown argument {other}\nhint: gob-desktop --help")),
    }
    match run(begun) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(1, &why),
    }
}

fn run(begun: Instant) -> Result<(), String> {
    let dirs = Dirs::from_env().map_err(|error| error.to_string())?;
    let owner = Owner::new(OWNER).map_err(|error| error.to_string())?;
    let trace = trace::Trace::from_env(begun);
    let mut viewport = ViewportBuilder::default()
        .with_title("gob")
        .with_app_id("gob-desktop")
        .with_inner_size([1180.0, 760.0])
        .with_min_inner_size([640.0, 420.0]);
    if let Some(icon) = icon::of_window() {
        viewport = viewport.with_icon(icon);
    }
    let options = eframe::NativeOptions { viewport, ..eframe::NativeOptions::default() };
    let opened = eframe::run_native(
        "gob-desktop",
        options,
        Box::new(move |creation| Ok(Box::new(app::App::open(&creation.egui_ctx, dirs, owner, trace)?))),
    );
    opened.map_err(|error| {
        format!("no window can be opened\n  {error}\nhint: it needs a display (DISPLAY or WAYLAND_DISPLAY) and OpenGL; gobctl needs neither")
    })
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(code: u8, why: &str) -> ExitCode {
    writeln!(std::io::stderr(), "error: {why}").ok();
    ExitCode::from(code)
}
