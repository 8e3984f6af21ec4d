//! A program on a terminal of its own, of a given size.

use crate::ctl::Ctl;
use crate::process::Handle;
use crate::wait::{self, DEADLINE};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::Signal;
use nix::sys::termios::{Termios, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A running program and the output that its terminal received.
#[derive(Debug)]
pub struct Terminal {
    process: Child,
    keyboard: Option<File>,
    shown: Arc<Mutex<Vec<u8>>>,
    /// The screen is not read any more.
    closed: Arc<AtomicBool>,
}

impl Terminal {
    /// Starts a call on a terminal with this many columns and 24 rows; all three of its streams are that
    /// terminal.
    ///
    /// # Panics
    /// When there is no terminal to be had, or the program does not start.
    pub fn open(call: Ctl, columns: u16) -> Self {
        Self::start(call, columns, false)
    }

    /// As [`Terminal::open`], with the program as the leader of a session with this terminal, like `ssh -t
    /// host program`. Keys such as Ctrl-C reach it as signals, and so does the end of the terminal.
    ///
    /// # Panics
    /// As [`Terminal::open`].
    pub fn session(call: Ctl, columns: u16) -> Self {
        Self::start(call, columns, true)
    }

    fn start(mut call: Ctl, columns: u16, leads: bool) -> Self {
        let (keyboard, line) = pair((columns, 24));
        let slave = || Stdio::from(line.try_clone().expect("a descriptor"));
        call.env("TERM", "xterm");
        call.command().stdin(slave()).stdout(slave()).stderr(slave());
        if leads {
            lead(&mut call);
        }
        let process = call.spawn();
        // The descriptors that the call still holds would keep the terminal open.
        drop((call, line));
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut master, screen) = (keyboard.try_clone().expect("a descriptor"), Arc::clone(&shown));
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = Arc::clone(&closed);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while !is_closed.load(Ordering::Relaxed) {
                if !wait::readable(master.as_fd(), Duration::from_millis(50)) {
                    continue;
                }
                // The end of a terminal is an error.
                let Ok(len @ 1..) = master.read(&mut chunk) else { return };
                screen.lock().expect("a reader").extend_from_slice(&chunk[..len]);
            }
        });
        Self { process, keyboard: Some(keyboard), shown, closed }
    }

    /// Returns the whole output so far, with `\n` where the terminal got `\r\n`.
    #[must_use]
    pub fn shown(&self) -> String {
        let bytes = self.shown.lock().expect("a reader").clone();
        String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
    }

    /// Returns the mode of the terminal.
    ///
    /// # Panics
    /// When it is closed.
    #[must_use]
    pub fn mode(&self) -> Termios {
        tcgetattr(self.keyboard.as_ref().expect("a terminal that is open")).expect("a terminal")
    }

    /// Types text.
    pub fn type_in(&mut self, text: &str) {
        let keyboard = self.keyboard.as_mut().expect("a terminal that is open");
        keyboard.write_all(text.as_bytes()).expect("a terminal");
    }

    /// Closes the terminal under the program, as a lost connection does.
    ///
    /// # Panics
    /// When the screen is still read after that.
    pub fn hang_up(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        let shown = Arc::clone(&self.shown);
        assert!(wait::until(DEADLINE, || Arc::strong_count(&shown) == 2), "the screen is still read");
        self.keyboard = None;
    }

    /// Waits until some text is shown.
    ///
    /// # Panics
    /// When it is not shown by the deadline.
    pub fn wait_for(&self, is_there: impl Fn(&str) -> bool) {
        let there = wait::until(DEADLINE, || is_there(&self.shown()));
        assert!(there, "not shown:\n{}", self.shown());
    }

    /// Returns its pid.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    /// Waits for the end of the program; returns its exit code and its whole output.
    ///
    /// # Panics
    /// When it goes on beyond the deadline.
    pub fn end(mut self) -> (i32, String) {
        let handle = Handle::open(self.pid()).expect("a child");
        let in_time = handle.wait_gone(DEADLINE);
        if !in_time {
            handle.signal(Signal::SIGKILL);
        }
        let status = self.process.wait().expect("a child");
        assert!(in_time, "it goes on:\n{}", self.shown());
        // The reader sees the terminal's end only after the earlier output.
        let whole = Arc::clone(&self.shown);
        assert!(wait::until(DEADLINE, || Arc::strong_count(&whole) == 2), "something holds the terminal");
        (status.code().unwrap_or(-1), self.shown())
    }

    /// Kills the program.
    pub fn kill(mut self) {
        self.process.kill().expect("a child");
        self.process.wait().expect("a child");
    }
}

/// Makes a call the leader of a session with the terminal that is its standard input.
pub(crate) fn lead(call: &mut Ctl) {
    // SAFETY: all are system calls, and no other call happens between fork and exec.
    unsafe {
        call.command().pre_exec(|| {
            // As a login does: a suite under `nohup` or in the background of a script inherits them ignored.
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                libc::signal(signal, libc::SIG_DFL);
            }
            if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// Opens both ends of a new terminal of so many columns and rows. No program that any test starts meanwhile may inherit one: the
/// terminal would live on in it.
pub(crate) fn pair((columns, rows): (u16, u16)) -> (File, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).expect("a terminal");
    grantpt(&master).expect("a terminal");
    unlockpt(&master).expect("a terminal");
    let name = ptsname_r(&master).expect("its name");
    let mut options = File::options();
    let line = options.read(true).write(true).custom_flags(libc::O_NOCTTY).open(name).expect("a terminal");
    resize(&line, (columns, rows));
    // SAFETY: the descriptor was just given away by its owner.
    (unsafe { File::from_raw_fd(master.into_raw_fd()) }, line)
}

/// Gives a terminal another size, by one of its ends.
pub(crate) fn resize(end: &File, (columns, rows): (u16, u16)) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: reads one `winsize` from valid memory.
    let set = unsafe { libc::ioctl(end.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    assert_eq!(set, 0, "TIOCSWINSZ: {}", std::io::Error::last_os_error());
}
