//! The terminal, taken over and given back. It is left as it was at every end that a program can see: the person's, an error, a
//! signal, a panic, a stop by Ctrl-Z.

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use nix::sys::signal::{SigSet, Signal, raise};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// Other screen, no cursor, pasted text in brackets; clicks, drags and the wheel, in the form for wide screens. Not each movement
/// of the mouse, which would wake the screen for nothing.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1000h\x1b[?1002h\x1b[?1006h";
/// All of it taken back, in the reverse order, and colours off.
const LEAVE: &str = "\x1b[?1006l\x1b[?1002l\x1b[?1000l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l";
/// Frames in one piece, for terminals that know it.
const BEGIN: &[u8] = b"\x1b[?2026h";
const COMMIT: &[u8] = b"\x1b[?2026l";
/// The buffer of a frame; a larger one goes in several writes.
const FRAME: usize = 64 << 10;

/// It is taken over now.
static TAKEN: AtomicBool = AtomicBool::new(false);

type Backend = CrosstermBackend<BufWriter<File>>;

/// The screen while the program has it.
pub(crate) struct Tty {
    terminal: Terminal<Backend>,
}

impl Tty {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When standard output is no terminal, or is gone.
    pub(crate) fn take() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
        // A descriptor of its own: the standard library's buffers lines.
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(FRAME, out)));
        Ok(Self { terminal: terminal.inspect_err(|_| give_back())? })
    }

    /// Takes the terminal's present size, and clears it where that is another one.
    ///
    /// # Errors
    /// When the terminal has no size any more.
    pub(crate) fn fit(&mut self) -> io::Result<()> {
        self.terminal.autoresize()
    }

    /// Renders a frame, of which the terminal gets nothing yet.
    pub(crate) fn render(&mut self, render: impl FnOnce(&mut Frame<'_>)) {
        render(&mut self.terminal.get_frame());
    }

    /// Writes the frame, in one piece. A terminal that does not take it holds the screen up, and nothing else.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.terminal.backend_mut().write_all(BEGIN)?;
        self.terminal.apply_buffer()?;
        self.terminal.backend_mut().write_all(COMMIT)?;
        io::Write::flush(self.terminal.backend_mut())
    }

    /// Puts a text on the terminal's clipboard (OSC 52), where it allows that.
    pub(crate) fn copy(&mut self, text: &str) -> io::Result<()> {
        let copy = crossterm::clipboard::CopyToClipboard::to_clipboard_from(text);
        crossterm::execute!(self.terminal.backend_mut(), copy)
    }

    /// Gives the terminal back, stops this process as Ctrl-Z does, and takes it over again once it goes on.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        stop();
        self.resume()
    }

    /// Takes the terminal over again after a stop; the next frame is drawn whole.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        // Another program, a shell most often, has set its own mode meanwhile, and raw mode is entered from the other one only.
        if TAKEN.load(Ordering::Acquire) {
            disable_raw_mode()?;
        }
        enter()?;
        // Not `clear`: it asks the terminal for the place of its cursor, and the answer would be taken for keys.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        give_back();
    }
}

/// Stops this process as the terminal's key does, until it goes on. Where no shell could bring it back, as in a terminal that was
/// opened for it alone, the kernel ignores this signal, unlike SIGSTOP.
fn stop() {
    let stops = SigSet::from(Signal::SIGTSTP);
    // For this thread alone, the only one that does not block it: it stops the whole process, here.
    raise(Signal::SIGTSTP).and_then(|()| stops.thread_unblock()).ok();
    stops.thread_block().ok();
}

fn enter() -> io::Result<()> {
    TAKEN.store(true, Ordering::Release);
    enable_raw_mode()?;
    let mut out = io::stdout();
    out.write_all(ENTER.as_bytes())?;
    out.flush()
}

/// Gives the terminal back, if it is taken over. A terminal that is gone need not be restored.
pub(crate) fn give_back() {
    if TAKEN.swap(false, Ordering::AcqRel) {
        leave();
        disable_raw_mode().ok();
    }
}

/// Takes back what this screen, and each smaller one, has set of the terminal, but for its mode: for a screen that was drawn by another
/// program, elsewhere, which can't do it any more.
pub fn leave() {
    let mut out = io::stdout();
    out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush()).ok();
}

/// As [`give_back`], without a wait for a terminal that takes nothing: only its mode is restored.
pub(crate) fn give_mode_back() {
    if TAKEN.swap(false, Ordering::AcqRel) {
        disable_raw_mode().ok();
    }
}
