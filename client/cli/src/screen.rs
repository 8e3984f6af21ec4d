//! The terminal's other screen: redrawn in place, without traces in the scrollback.
//!
//! The terminal is restored at every end that a program can handle: an error, an interrupt, its own end, and
//! for the time that it is stopped (Ctrl-Z).

use crate::failure::Failure;
use crate::out;
use nix::sys::signal::{SigSet, Signal, raise};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Other screen, no cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
/// The cursor and the screen from before.
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// Exit code of a program that a signal ended, less the signal.
const SIGNALLED: i32 = 128;

/// The other screen, shown while it lives.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Whether the other screen is shown; locked while writing.
    shown: Arc<Mutex<bool>>,
}

impl Screen {
    /// Switches to it. Must be called before the program has other threads, which signals could go to.
    pub(crate) fn enter() -> Result<Self, Failure> {
        let shown = Arc::new(Mutex::new(false));
        let mut signals = SigSet::empty();
        let ends = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP];
        ends.into_iter().for_each(|signal| signals.add(signal));
        signals.thread_block().map_err(|errno| {
            Failure::own("internal", 1, "cannot block signals".to_owned()).cause(errno.to_string())
        })?;
        let listener = Arc::clone(&shown);
        std::thread::Builder::new()
            .spawn(move || listen(&signals, &listener))
            .map_err(|error| Failure::no_thread(1, "signals are waited for", &error))?;
        let screen = Self { shown };
        change(&mut screen.lock(), true)?;
        Ok(screen)
    }

    /// Shows lines in the place of the earlier ones, as many as there is room for. `lines` fit the width.
    pub(crate) fn draw(&self, lines: &str) -> Result<(), Failure> {
        let shown = self.lock();
        if !*shown {
            return Ok(());
        }
        out::print(&frame(lines, crate::terminal::stdout_height()))
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone need not be restored.
        change(&mut self.lock(), false).ok();
    }
}

/// Returns the bytes of a frame: home, each line over the one before it, then clear the rest: no flicker,
/// nothing left of a longer list.
fn frame(lines: &str, height: usize) -> String {
    let all = lines.lines().count();
    // The last line of the terminal stays empty: a newline there would move all of them up.
    let room = height.saturating_sub(1).max(1);
    let kept = if all <= room { all } else { room - 1 };
    let mut text = String::from("\x1b[H");
    for line in lines.lines().take(kept) {
        text.push_str(line);
        text.push_str("\x1b[K\n");
    }
    if kept < all {
        text.push_str(&format!("… and {} more\x1b[K\n", all - kept));
    }
    text + "\x1b[J"
}

fn change(shown: &mut bool, to: bool) -> Result<(), Failure> {
    if *shown == to {
        return Ok(());
    }
    *shown = to;
    out::print(if to { ENTER } else { LEAVE })
}

/// Restores the terminal at a signal and then applies the signal's default.
fn listen(signals: &SigSet, shown: &Mutex<bool>) {
    while let Ok(signal) = signals.wait() {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let was_shown = *shown;
        change(&mut shown, false).ok();
        if signal != Signal::SIGTSTP {
            // Called with the lock held, so that nothing is drawn any more.
            end(signal);
        }
        raise(Signal::SIGSTOP).ok();
        if was_shown {
            change(&mut shown, true).ok();
        }
    }
}

#[expect(clippy::exit, reason = "what the main thread waits for may never come")]
fn end(signal: Signal) -> ! {
    std::process::exit(SIGNALLED + signal as i32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_lines_than_there_are_rows() {
        assert_eq!(frame("a\nb\n", 24), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(frame("a\nb\nc\n", 4), "\x1b[Ha\x1b[K\nb\x1b[K\nc\x1b[K\n\x1b[J");
        assert_eq!(frame("a\nb\nc\nd\n", 4), "\x1b[Ha\x1b[K\nb\x1b[K\n… and 2 more\x1b[K\n\x1b[J");
        assert_eq!(frame("", 0), "\x1b[H\x1b[J");
    }
}
