//! A program on a terminal whose screen is emulated: whole frames as text, with their colours, and the terminal's modes.
//!
//! The output between the two marks of a frame (`CSI ? 2026 h` and `l`) reaches the emulator in one piece, so that no test sees half of
//! one. Every wait is for a change of the screen, with a deadline.

mod emulator;
mod normal;
mod style;

use crate::ctl::Ctl;
use crate::process::Handle;
use crate::terminal::{lead, pair, resize};
use crate::wait::{self, DEADLINE};
use emulator::Emulator;
use nix::sys::signal::Signal;
use nix::sys::termios::{Termios, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use emulator::Modes;
pub use normal::normal;
pub use style::{Run, Style, runs};

/// Time for which the reader waits before it looks whether it is still wanted.
const LOOKS: Duration = Duration::from_millis(20);

/// A running program, and the screen of its terminal.
#[derive(Debug)]
pub struct Screen {
    process: Child,
    keyboard: Option<File>,
    shared: Arc<Shared>,
    before: Termios,
}

#[derive(Debug)]
struct Shared {
    emulator: Mutex<Emulator>,
    /// Something was shown.
    changed: Condvar,
    /// The screen is not read for now, or not any more.
    is_held: AtomicBool,
    is_closed: AtomicBool,
}

impl Shared {
    /// A test that fails in the middle of a look leaves the emulator as it is.
    fn emulator(&self) -> MutexGuard<'_, Emulator> {
        self.emulator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a program.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; 128 plus the signal when one ended it.
    pub code: i32,
    /// The terminal's settings are those from before the program.
    pub settings_restored: bool,
    /// The modes of the screen after it.
    pub modes: Modes,
    /// The screen after it.
    pub text: String,
}

impl Ended {
    /// Checks that the terminal is as it was before the program.
    ///
    /// # Panics
    /// When it is not.
    pub fn left_as_it_was(&self) {
        assert!(self.settings_restored, "the terminal's settings are other ones: {self:?}");
        assert_eq!(self.modes, Modes::default(), "{self:?}");
    }
}

impl Screen {
    /// Starts a call as the leader of a session, on a terminal of so many columns and rows; all three of its streams are that terminal.
    ///
    /// # Panics
    /// When there is no terminal to be had, or the program does not start.
    pub fn open(mut call: Ctl, size: (u16, u16)) -> Self {
        let (keyboard, line) = pair(size);
        let before = tcgetattr(&keyboard).expect("a terminal");
        let slave = || Stdio::from(line.try_clone().expect("a descriptor"));
        call.command().stdin(slave()).stdout(slave()).stderr(slave());
        lead(&mut call);
        let process = call.spawn();
        // The descriptors that the call still holds would keep the terminal open.
        drop((call, line));
        let shared = Arc::new(Shared {
            emulator: Mutex::new(Emulator::new(size)),
            changed: Condvar::new(),
            is_held: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        });
        let (master, of_reader) = (keyboard.try_clone().expect("a descriptor"), Arc::clone(&shared));
        std::thread::spawn(move || read(master, &of_reader));
        Self { process, keyboard: Some(keyboard), shared, before }
    }

    /// Returns its pid.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: Signal) {
        Handle::open(self.pid()).expect("a child").signal(signal);
    }

    /// Types bytes.
    pub fn keys(&mut self, keys: &str) {
        let keyboard = self.keyboard.as_mut().expect("a terminal that is open");
        keyboard.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Pastes a text, in the brackets of a terminal.
    pub fn paste(&mut self, text: &str) {
        self.keys(&format!("\x1b[200~{text}\x1b[201~"));
    }

    /// Presses and lets go of the left button at a column and a row, both counted from 0.
    pub fn click(&mut self, (x, y): (u16, u16)) {
        self.drag((x, y), (x, y));
    }

    /// Presses the left button at one place, and lets it go at another one.
    pub fn drag(&mut self, from: (u16, u16), to: (u16, u16)) {
        let at = |(x, y): (u16, u16)| format!("{};{}", x + 1, y + 1);
        let moved = if from == to { String::new() } else { format!("\x1b[<32;{}M", at(to)) };
        self.keys(&format!("\x1b[<0;{}M{moved}\x1b[<0;{}m", at(from), at(to)));
    }

    /// Turns the wheel at a place: so many steps, down or up.
    pub fn wheel(&mut self, (x, y): (u16, u16), steps: i32) {
        let button = if steps > 0 { 65 } else { 64 };
        let step = format!("\x1b[<{button};{};{}M", x + 1, y + 1);
        self.keys(&step.repeat(steps.unsigned_abs() as usize));
    }

    /// Gives the terminal another size.
    ///
    /// # Panics
    /// When it is closed.
    pub fn resize(&mut self, size: (u16, u16)) {
        // First the emulator: the program draws as soon as it knows.
        self.shared.emulator().resize(size);
        resize(self.keyboard.as_ref().expect("a terminal that is open"), size);
    }

    /// Stops reading the screen, as a terminal that hangs does; or goes on.
    pub fn hold(&self, is_held: bool) {
        self.shared.is_held.store(is_held, Ordering::Release);
    }

    /// Closes the terminal under the program, as a lost connection does.
    ///
    /// # Panics
    /// When the screen is still read after that.
    pub fn hang_up(&mut self) {
        self.shared.is_closed.store(true, Ordering::Release);
        let shared = Arc::clone(&self.shared);
        assert!(wait::until(DEADLINE, || Arc::strong_count(&shared) == 2), "the screen is still read");
        self.keyboard = None;
    }

    /// Returns the screen as text: a line for each row, without blanks at its end.
    #[must_use]
    pub fn text(&self) -> String {
        self.see(Emulator::text)
    }

    /// Calls something with the emulator's screen.
    pub fn see<T>(&self, see: impl FnOnce(&Emulator) -> T) -> T {
        see(&self.shared.emulator())
    }

    /// Returns the stretches of one style of each row.
    #[must_use]
    pub fn runs(&self) -> Vec<Vec<Run>> {
        self.see(|emulator| runs(emulator.screen()))
    }

    /// Returns the modes of the screen.
    #[must_use]
    pub fn modes(&self) -> Modes {
        self.see(Emulator::modes)
    }

    /// Returns whether the terminal's settings are those from before the program.
    #[must_use]
    pub fn settings_restored(&self) -> bool {
        let keyboard = self.keyboard.as_ref().expect("a terminal that is open");
        tcgetattr(keyboard).expect("a terminal") == self.before
    }

    /// Returns the times at which whole frames were read, all of them or the latest thousands.
    #[must_use]
    pub fn frames(&self) -> Vec<Instant> {
        self.see(|emulator| emulator.frames().collect())
    }

    /// Waits until the emulator shows something; returns the time at which it was read.
    ///
    /// # Panics
    /// When it is not shown by the deadline.
    pub fn wait_to_see(&self, what: &str, mut is_there: impl FnMut(&Emulator) -> bool) -> Instant {
        let deadline = Instant::now() + DEADLINE;
        let mut emulator = self.shared.emulator();
        loop {
            if is_there(&emulator) {
                return emulator.last_read();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not shown: {what}\n{}\n{:?}", emulator.text(), emulator.modes());
            (emulator, _) = self.shared.changed.wait_timeout(emulator, left).expect("a reader");
        }
    }

    /// Waits until the text of the screen is as wanted.
    ///
    /// # Panics
    /// When it is not by the deadline.
    pub fn wait_until(&self, what: &str, mut is_there: impl FnMut(&str) -> bool) {
        self.wait_to_see(what, |emulator| is_there(&emulator.text()));
    }

    /// Waits until a text is on the screen.
    ///
    /// # Panics
    /// When it is not shown by the deadline.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(text, |shown| shown.contains(text));
    }

    /// Waits until a text is not on the screen any more.
    ///
    /// # Panics
    /// When it is still shown at the deadline.
    pub fn wait_gone(&self, text: &str) {
        self.wait_until(&format!("no {text}"), |shown| !shown.contains(text));
    }

    /// Returns the place of a text on the screen.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn find(&self, text: &str) -> (u16, u16) {
        self.see(|emulator| emulator.find(text))
            .unwrap_or_else(|| panic!("no {text} on the screen\n{}", self.text()))
    }

    /// Waits for the end of the program.
    ///
    /// # Panics
    /// When it goes on beyond the deadline.
    pub fn end(mut self) -> Ended {
        use std::os::unix::process::ExitStatusExt;
        let handle = Handle::open(self.pid()).expect("a child");
        let in_time = handle.wait_gone(DEADLINE);
        if !in_time {
            handle.signal(Signal::SIGKILL);
        }
        let status = self.process.wait().expect("a child");
        assert!(in_time, "it goes on:\n{}", self.text());
        // The settings must be read before the other end of the terminal is seen to be closed.
        let settings_restored = self.keyboard.is_some() && self.settings_restored();
        self.hold(false);
        // The reader sees the terminal's end only after the earlier output.
        let whole = Arc::clone(&self.shared);
        assert!(wait::until(DEADLINE, || Arc::strong_count(&whole) == 2), "something holds the terminal");
        Ended {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            settings_restored,
            modes: self.modes(),
            text: self.text(),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A test that fails leaves no program behind.
        drop(self.process.kill());
        drop(self.process.wait());
        self.shared.is_closed.store(true, Ordering::Release);
    }
}

fn read(mut master: File, shared: &Shared) {
    let mut chunk = [0; 1 << 16];
    while !shared.is_closed.load(Ordering::Acquire) {
        if shared.is_held.load(Ordering::Acquire) {
            wait::while_time_passes(LOOKS);
            continue;
        }
        if !wait::readable(master.as_fd(), LOOKS) {
            continue;
        }
        // The end of a terminal is an error.
        let Ok(len @ 1..) = master.read(&mut chunk) else { break };
        shared.emulator().read(&chunk[..len], Instant::now());
        shared.changed.notify_all();
    }
    shared.emulator().rest();
    shared.changed.notify_all();
}
