//! A program on a terminal of its own, of a given size.

use crate::ctl::Ctl;
use crate::process::Handle;
use crate::wait::{self, DEADLINE};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

/// A running program and what its terminal was sent.
#[derive(Debug)]
pub struct Terminal {
    process: Child,
    keyboard: File,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts a call on a terminal with so many columns and 24 rows; all three of its streams are that terminal.
    ///
    /// # Panics
    /// When there is no terminal to be had, or the program does not start.
    pub fn open(mut call: Ctl, columns: u16) -> Self {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("a terminal");
        let slave = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
        call.env("TERM", "xterm");
        call.command().stdin(slave()).stdout(slave()).stderr(slave());
        let process = call.spawn();
        // The descriptors that the call still holds would keep the terminal open.
        drop((call, pty.slave));
        let keyboard = File::from(pty.master);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut master, screen) = (keyboard.try_clone().expect("a descriptor"), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // The end of a terminal is an error.
            while let Ok(len @ 1..) = master.read(&mut chunk) {
                screen.lock().expect("a reader").extend_from_slice(&chunk[..len]);
            }
        });
        Self { process, keyboard, shown }
    }

    /// Everything that was sent so far, with `\n` where the terminal got `\r\n`.
    #[must_use]
    pub fn shown(&self) -> String {
        let bytes = self.shown.lock().expect("a reader").clone();
        String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
    }

    /// Types text.
    pub fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("a terminal");
    }

    /// Waits until something is shown.
    ///
    /// # Panics
    /// When it is not shown by the deadline.
    pub fn wait_for(&self, is_there: impl Fn(&str) -> bool) {
        let there = wait::until(DEADLINE, || is_there(&self.shown()));
        assert!(there, "not shown:\n{}", self.shown());
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    /// Waits for the end of the program; answers its exit code and all that was shown.
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
        // The reader has the terminal's end only after what was written before it.
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
