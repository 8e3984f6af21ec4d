//! Promises about named locks under all faults: an exclusive holder is alone, tokens grow, and a holder that claims its lock
//! after the supervisor was killed keeps it.
//!
//! Each taker stamps what it holds, in a book that the supervisor knows nothing of, and takes the stamp away before it gives the
//! lock back. Short takers take turns all the time. Long ones hold a lock across faults; when their connection ends they keep
//! the stamp, and claim.

use crate::dice::Dice;
use crate::link::{Frame, Link, Lost};
use crate::shared::{Shared, lock};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ANSWER: Duration = Duration::from_secs(30);
/// The lock that short takers share, and that of the long ones.
const SHORT: &str = "short";
const LONG: &str = "long";
/// Takers of each sort.
pub const TAKERS: [bool; 6] = [false, false, false, false, true, true];
/// Throws for takers begin here, so that those for clients and steps differ.
pub const DICE: u64 = 500;
/// A holder that has lost its connection must claim within this time (PROTOCOL, Locks).
const CLAIM: Duration = Duration::from_secs(3);
/// Time between two looks whether the connection of a long holder has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The book of all takers.
#[derive(Default)]
pub struct Takers {
    book: Mutex<Book>,
    pub grants: AtomicU64,
    pub claims: AtomicU64,
}

#[derive(Default)]
struct Book {
    /// The holders of each lock, with their modes.
    stamps: BTreeMap<&'static str, BTreeMap<String, Mode>>,
    last: Last,
    /// The file that tokens come from was lost in the life of the last token.
    is_spoilt: bool,
}

/// The highest token that was answered.
#[derive(Clone, Default)]
struct Last {
    token: u64,
    /// The life of the supervisor that gave it.
    instance: String,
    /// The number of lives that began with a new file.
    files: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Exclusive,
    Shared,
}

impl Mode {
    const fn word(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
        }
    }
}

impl Takers {
    /// Notes a fault after which another supervisor may give tokens again.
    pub fn spoil(&self) {
        lock(&self.book).is_spoilt = true;
    }

    /// Stamps a lock that was granted after `before` was the highest token.
    fn granted(&self, held: &Held, before: &Last) -> Result<(), String> {
        self.grants.fetch_add(1, Ordering::Relaxed);
        let mut book = lock(&self.book);
        let others = book.stamps.entry(held.lock).or_default();
        let is_alone = held.mode == Mode::Exclusive;
        let other = others.iter().find(|(_, mode)| is_alone || **mode == Mode::Exclusive);
        if let Some((other, mode)) = other {
            return Err(format!(
                "{} was given to {} ({}, token {}) while {other} holds it ({})",
                held.lock,
                held.taker,
                held.mode.word(),
                held.token,
                mode.word()
            ));
        }
        others.insert(held.taker.clone(), held.mode);
        if book.last.instance != held.instance {
            book.last.instance.clone_from(&held.instance);
            if std::mem::take(&mut book.is_spoilt) {
                // Only the life before knew what it gave.
                (book.last.token, book.last.files) = (0, book.last.files + 1);
            }
        }
        if before.files == book.last.files && held.token <= before.token {
            return Err(format!("token {} of {} came after {}", held.token, held.taker, before.token));
        }
        book.last.token = book.last.token.max(held.token);
        Ok(())
    }

    fn let_go(&self, held: &Held) {
        if let Some(holders) = lock(&self.book).stamps.get_mut(held.lock) {
            holders.remove(&held.taker);
        }
    }

    fn last(&self) -> Last {
        lock(&self.book).last.clone()
    }

    fn is_spoilt(&self) -> bool {
        lock(&self.book).is_spoilt
    }
}

/// A lock that a taker holds.
struct Held {
    taker: String,
    lock: &'static str,
    mode: Mode,
    token: u64,
    instance: String,
}

/// Runs one taker; a long one holds across faults.
pub fn live(shared: &Shared, taker: &str, is_long: bool, mut dice: Dice) {
    let mut link = None;
    while shared.enter() {
        let taken = take(shared, taker, is_long, &mut dice, &mut link);
        let result = match taken {
            Ok(Some(held)) if is_long => {
                shared.leave();
                let result = hold_long(shared, &held, &mut dice, &mut link);
                if !shared.enter() {
                    return;
                }
                result.and_then(|()| give_back(shared, &held, &mut link))
            }
            Ok(Some(held)) => {
                shared.load_for(Duration::from_millis(dice.below(10)));
                give_back(shared, &held, &mut link)
            }
            Ok(None) => Ok(()),
            Err(lost) => Err(lost),
        };
        match result {
            Ok(()) => {}
            Err(Lost::Ended) => link = None,
            Err(Lost::Lie(lie)) => shared.violated(format!("{taker}: {lie}")),
        }
        shared.leave();
        shared.breathe();
    }
}

/// Requests a lock; `None` where it is not granted in time.
fn take(
    shared: &Shared,
    taker: &str,
    is_long: bool,
    dice: &mut Dice,
    slot: &mut Option<Link>,
) -> Result<Option<Held>, Lost> {
    let connect = || Link::connect_named(&shared.gob.socket(), "cli", taker, ANSWER);
    let mut link = slot.take().map_or_else(connect, Ok)?;
    let mode = if dice.below(3) == 0 { Mode::Shared } else { Mode::Exclusive };
    let name = if is_long { LONG } else { SHORT };
    let before = shared.takers.last();
    let asked =
        json!({"lock": name, "mode": mode.word(), "timeout_ms": dice.below(200), "priority": dice.below(3)});
    let answer = link.ask("lock_acquire", asked, ANSWER)?;
    shared.answered(answer["error"]["code"].as_str().unwrap_or("ok"));
    let held = match (answer["data"]["token"].as_u64(), answer["error"]["code"].as_str()) {
        (Some(token), None) => {
            let instance = link.instance().to_owned();
            let held = Held { taker: taker.to_owned(), lock: name, mode, token, instance };
            shared.takers.granted(&held, &before).map_err(Lost::Lie)?;
            Some(held)
        }
        // A store that can't be written has no new tokens.
        (None, Some("lock-timeout" | "internal" | "busy" | "shutting-down")) => None,
        _else => return Err(Lost::Lie(format!("no answer to lock_acquire: {answer}"))),
    };
    *slot = Some(link);
    Ok(held)
}

/// Holds a lock for a while. Where the connection ends, the holder claims the lock from the next supervisor.
fn hold_long(shared: &Shared, held: &Held, dice: &mut Dice, slot: &mut Option<Link>) -> Result<(), Lost> {
    let until = Instant::now() + Duration::from_millis(dice.below(4_000));
    while Instant::now() < until && !shared.is_over() {
        let Some(link) = slot.as_mut() else { return Ok(()) };
        match link.frame(LOOK) {
            Ok(Some(Frame::Answer(..) | Frame::Event(_)) | None) => {}
            Err(Lost::Ended) => {
                *slot = claim(shared, held)?;
            }
            Err(lie) => return Err(lie),
        }
    }
    Ok(())
}

/// Claims a lock by its token; `None` where no supervisor came in time, so that the holder has to let go.
fn claim(shared: &Shared, held: &Held) -> Result<Option<Link>, Lost> {
    let lost_at = Instant::now();
    let mut found = None;
    while found.is_none() && lost_at.elapsed() < CLAIM && !shared.is_over() {
        match Link::connect_named(&shared.gob.socket(), "cli", &held.taker, CLAIM) {
            Ok(link) => found = Some(link),
            Err(_) => shared.breathe(),
        }
    }
    let claimed = found.map(|mut link| {
        let asked = json!({"lock": held.lock, "mode": held.mode.word(), "token": held.token});
        link.ask("lock_acquire", asked, ANSWER).map(|answer| (link, answer))
    });
    let (link, answer) = match claimed {
        Some(Ok(of)) => of,
        None | Some(Err(Lost::Ended)) => {
            shared.takers.let_go(held);
            return Ok(None);
        }
        Some(Err(lie)) => return Err(lie),
    };
    shared.answered(answer["error"]["code"].as_str().unwrap_or("ok"));
    shared.note(format!("{} claimed {} with {}: {answer}", held.taker, held.lock, held.token));
    if answer["data"]["token"] == held.token {
        shared.takers.claims.fetch_add(1, Ordering::Relaxed);
        return Ok(Some(link));
    }
    shared.takers.let_go(held);
    let is_lost = answer["error"]["code"] == "lock-not-held";
    if is_lost && !shared.takers.is_spoilt() {
        return Err(Lost::Lie(format!("the claim of token {} was refused: {answer}", held.token)));
    }
    Ok(None)
}

/// Takes the stamp away, and gives the lock back.
fn give_back(shared: &Shared, held: &Held, slot: &mut Option<Link>) -> Result<(), Lost> {
    shared.takers.let_go(held);
    let Some(mut link) = slot.take() else { return Ok(()) };
    let answer: Value = link.ask("lock_release", json!({"lock": held.lock, "token": held.token}), ANSWER)?;
    shared.answered(answer["error"]["code"].as_str().unwrap_or("ok"));
    if answer["error"]["code"] == "shutting-down" {
        return Err(Lost::Ended);
    }
    if answer["success"] != true {
        return Err(Lost::Lie(format!("token {} could not be given back: {answer}", held.token)));
    }
    *slot = Some(link);
    Ok(())
}
