//! The rest before this program is replaced: nothing is accepted or read, and every thread but the loop's has ended.
//!
//! The threads with the most work rest first, while clients are answered, and workers that write without a pause are waited for. Then
//! the stores give their last answers, and only what needs none of them is answered. Only then do all clients wait. These two come about within a
//! second, or are given up.

use super::fault;
use super::trial::Successor;
use crate::life::Life;
use crate::shell::{Done, Shell};
use gob_core::{Effect, Input};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Time in which what clients need not wait for has to rest, and then all the rest.
const LIMIT: Duration = Duration::from_secs(1);
/// Longest wait for workers that write without a pause, and the time between two looks at them.
const FLOODED: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(10);
/// Pause before it is looked again whether everything rests.
const PAUSE: Duration = Duration::from_millis(1);
/// The same while clients wait.
const MOMENT: Duration = Duration::from_micros(100);

/// Work that was put off while nothing was to begin.
#[derive(Default)]
pub(crate) struct Pause {
    /// Answers that need a store are put off too.
    pub(crate) is_whole: bool,
    /// The number of the first work on disks since then.
    pub(crate) work: u64,
    pub(crate) effects: Vec<Effect>,
    pub(crate) done: Vec<Done>,
}

impl Life {
    /// Replaces this program by one that was tried. Returns only where that fails; everything goes on then.
    pub(crate) async fn replace(&mut self, successor: Successor) {
        let begun = Instant::now();
        let program = successor.candidate.path.clone();
        fault::at("tried");
        let why = match self.rest().await {
            Ok(()) => self.hand_over(successor).await,
            Err(why) => why,
        };
        self.go_on().await;
        tracing::warn!(%why, program, took_ms = begun.elapsed().as_millis(), "not upgraded");
        self.desk.turn(|shell| {
            // The signal may have been taken while nothing was to begin.
            shell.reap();
            shell.input(Input::NotReplaced(why));
        });
    }

    /// Comes to rest: first all that clients need not wait for.
    async fn rest(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + LIMIT;
        self.healer.rest();
        while !self.healer.rests_within(PAUSE).await {
            self.serve();
            if Instant::now() >= deadline {
                return Err("a check of gob's own files has not ended".to_owned());
            }
        }
        self.desk.look(Shell::pause_work);
        while let Some(at_work) = self.desk.look(Shell::at_work) {
            if Instant::now() >= deadline {
                return Err(at_work);
            }
            tokio::time::sleep(PAUSE).await;
            self.serve();
        }
        self.let_floods_end().await;
        let deadline = Instant::now() + LIMIT;
        self.let_stores_answer(deadline).await?;
        self.silence(deadline).await
    }

    /// Waits for the last answers of the stores, and thus for a disk or a database, while clients get those that need none.
    async fn let_stores_answer(&mut self, deadline: Instant) -> Result<(), String> {
        self.desk.look(Shell::pause_answers);
        while let Some(asked) = self.desk.look(|shell| shell.asked_store()) {
            if Instant::now() >= deadline {
                return Err(asked);
            }
            tokio::time::sleep(PAUSE).await;
            self.serve();
        }
        Ok(())
    }

    /// Leaves clients without an answer, and comes to rest.
    async fn silence(&mut self, deadline: Instant) -> Result<(), String> {
        if let Some(accepting) = self.accepting.take() {
            self.door = accepting.rest().await;
        }
        self.desk.look(Shell::pause);
        // Their tasks end when they are next polled.
        tokio::task::yield_now().await;
        fault::at("paused");
        loop {
            self.take_messages();
            match self.desk.look(Shell::restless) {
                // The last messages came before that, and may begin something.
                None if !self.take_messages() => break,
                Some(restless) if Instant::now() >= deadline => return Err(restless),
                None | Some(_) => {}
            }
            moment().await;
        }
        fault::at("rested");
        while let Some(thread) = other_thread() {
            if Instant::now() >= deadline {
                return Err(format!("the thread {thread} has not ended"));
            }
            moment().await;
        }
        Ok(())
    }

    /// Waits, for a bounded time, until the workers that write without a pause have filled their pipes: then these leave the
    /// processors to what clients will wait for.
    async fn let_floods_end(&mut self) {
        let longest = Instant::now() + FLOODED;
        // The first look has nothing to compare with.
        let _: bool = self.desk.look(Shell::is_flooded);
        loop {
            tokio::time::sleep(LOOK).await;
            self.serve();
            if !self.desk.look(Shell::is_flooded) || Instant::now() >= longest {
                return;
            }
        }
    }

    /// Does the loop's part for clients that are still answered.
    fn serve(&mut self) {
        self.take_messages();
        if self.desk.next_wake() <= tokio::time::Instant::now() {
            self.desk.turn(Shell::wake);
        }
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
        self.desk.turn(Shell::go_on);
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

/// Lets tasks and threads get on for a moment. The timer of the runtime counts whole milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the end of a thread is no event, and the callers have a deadline"
)]
async fn moment() {
    tokio::task::yield_now().await;
    std::thread::sleep(MOMENT);
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
