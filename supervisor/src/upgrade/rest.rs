//! The rest before this program is replaced: nothing is accepted or read, and every thread but the loop's has ended. It comes about
//! within a second, or is given up.

use super::{Candidate, fault};
use crate::life::Life;
use crate::shell::Done;
use gob_core::{Effect, Input};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Time in which everything has to rest.
const LIMIT: Duration = Duration::from_secs(1);
/// Pause before it is looked again whether everything rests.
const PAUSE: Duration = Duration::from_millis(1);

/// Work that was put off while nothing was to begin.
#[derive(Default)]
pub(crate) struct Pause {
    pub(crate) effects: Vec<Effect>,
    pub(crate) done: Vec<Done>,
}

impl Life {
    /// Replaces this program by one that was tried. Returns only where that fails; everything goes on then.
    pub(crate) async fn replace(&mut self, candidate: Candidate) {
        let begun = Instant::now();
        fault::at("tried");
        let why = match self.rest(begun + LIMIT).await {
            Ok(()) => self.hand_over(&candidate).await,
            Err(why) => why,
        };
        self.go_on().await;
        tracing::warn!(%why, program = candidate.path, took_ms = begun.elapsed().as_millis(), "not upgraded");
        self.desk.turn(|shell| {
            // The signal may have been taken while nothing was to begin.
            shell.reap();
            shell.input(Input::NotReplaced(why));
        });
    }

    /// Comes to rest by then.
    async fn rest(&mut self, deadline: Instant) -> Result<(), String> {
        self.healer.rest();
        while !self.healer.rests() {
            self.take_messages();
            if Instant::now() >= deadline {
                return Err("a check of gob's own files has not ended".to_owned());
            }
            tokio::time::sleep(PAUSE).await;
        }
        if let Some(accepting) = self.accepting.take() {
            self.door = accepting.rest().await;
        }
        self.desk.look(crate::shell::Shell::pause);
        // Their tasks end when they are next polled.
        tokio::task::yield_now().await;
        fault::at("paused");
        self.desk.look(crate::shell::Shell::rest);
        loop {
            self.take_messages();
            match self.desk.look(crate::shell::Shell::restless) {
                // The last messages came before that, and may begin something.
                None if !self.take_messages() => break,
                Some(restless) if Instant::now() >= deadline => return Err(restless),
                None | Some(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
        fault::at("rested");
        while let Some(thread) = other_thread() {
            if Instant::now() >= deadline {
                return Err(format!("the thread {thread} has not ended"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Takes what is in the loop's queue; true when there was something.
    fn take_messages(&mut self) -> bool {
        let mut any = false;
        while let Some(happened) = self.sources.message() {
            any = true;
            self.take(happened);
        }
        any
    }

    /// Goes on as before.
    async fn go_on(&mut self) {
        self.desk.turn(crate::shell::Shell::go_on);
        match self.door.take() {
            Some(door) => {
                let (to_accept, listeners) = mpsc::channel(crate::LISTENERS);
                self.healer.go_on(Some(to_accept));
                self.accepting = Some(door.open(listeners));
            }
            // The healer did not rest, and clients were served all the time.
            None => self.healer.go_on(None),
        }
    }
}

/// Returns the name of a thread beside this one; the main thread, which only waits for this one, does not count.
fn other_thread() -> Option<String> {
    let own: BTreeSet<i32> =
        [nix::unistd::gettid(), nix::unistd::getpid()].map(nix::unistd::Pid::as_raw).into();
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let names = threads.flatten().map(|thread| thread.file_name().to_string_lossy().into_owned());
    let other = names.filter_map(|name| name.parse().ok()).find(|thread| !own.contains(thread))?;
    let name = std::fs::read_to_string(format!("/proc/self/task/{other}/comm"));
    name.ok().map(|name| name.trim_end().to_owned())
}
