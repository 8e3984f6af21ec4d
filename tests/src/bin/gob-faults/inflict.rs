//! Makes faults happen, and undoes them afterwards.

mod crowds;
pub mod data;
mod graphs;
mod store;

use crate::dice::Dice;
use crate::fault::Fault;
use crate::fleet::{self, Fleet, NEVER, Variant};
use crate::link::{Link, Lost};
use crate::shared::{Shared, lock};
use crate::truth::{self, Proc};
use gob_tests::process::{self, Handle};
use nix::sys::signal::Signal;
use serde_json::json;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time after which nothing of a killed supervisor may be left. The load goes on meanwhile on the same
/// processors, so it is more than in the proof that has them for itself (`kill-trees`).
const GONE: Duration = Duration::from_secs(5);
/// Time in which deleted files must be restored.
const HEALED: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);

/// Names of deleted things that are not one file.
const RUNTIME: &str = "the runtime directory";
const STATE: &str = "the state directory";

/// Undoes a fault, and may find a violation.
pub type Undo = Box<dyn FnOnce(&Shared) -> Result<(), String>>;

/// The result of a fault.
pub enum Outcome {
    /// The fault happened; this undoes it.
    Done(String, Undo),
    /// The fault had no target, for this reason.
    Nobody(String),
}

pub type Inflicted = Result<Outcome, String>;

fn nothing() -> Undo {
    Box::new(|_| Ok(()))
}

fn done(what: impl Into<String>) -> Inflicted {
    Ok(Outcome::Done(what.into(), nothing()))
}

fn nobody(why: impl Into<String>) -> Inflicted {
    Ok(Outcome::Nobody(why.into()))
}

pub struct Inflict<'a> {
    pub shared: &'a Shared,
    pub fleet: &'a Mutex<Fleet>,
    pub step: u64,
    pub dice: Dice,
}

impl Inflict<'_> {
    pub fn inflict(&mut self, fault: Fault) -> Inflicted {
        match fault {
            Fault::KillLeader => self.kill_leader(),
            Fault::KillDescendant => self.kill_descendant(),
            Fault::FreezeLeader => self.signal_leader(Signal::SIGSTOP),
            Fault::KillGobd => self.kill_gobd(false),
            Fault::KillBoth => self.kill_gobd(true),
            Fault::KillKeeper => self.kill_keeper(),
            Fault::FreezeGobd => self.freeze_gobd(),
            Fault::Cut => self.cut(),
            Fault::Deaf => self.deaf(),
            Fault::KillClient => self.kill_client(),
            Fault::FullDisk => self.fill_disk(),
            Fault::FewFiles => self.few_files(),
            Fault::BadConfig => self.bad_config(),
            Fault::DeletePid => self.delete_pid(),
            Fault::DeleteSocket => self.delete("daemon.sock"),
            Fault::DeleteLock => self.delete("gobd.lock"),
            Fault::DeleteRuntime => self.delete(RUNTIME),
            Fault::DeleteState => self.delete(STATE),
            Fault::Reload => self.reload(),
            Fault::Sick => self.sick(),
            Fault::HolderComes => self.holder_comes(),
            Fault::HolderGoes => self.holder_goes(),
            Fault::LesseeDies => self.lessee_dies(),
            Fault::DieTogether => self.die_together(),
            Fault::ForkStorm => self.fork_storm(),
            Fault::Guest => self.guest(),
            Fault::NoMarks => self.no_marks(),
            Fault::TakeGraph => self.take_graph(),
            Fault::DeleteStore => self.delete_store(),
            Fault::CutStore => self.cut_store(),
            Fault::LockStore => self.lock_store(),
        }
    }

    fn kill_leader(&mut self) -> Inflicted {
        let signal = *self.dice.one(&[Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGTERM, Signal::SIGABRT]);
        self.signal_leader(signal)
    }

    fn signal_leader(&mut self, signal: Signal) -> Inflicted {
        let name = lock(self.fleet).any(&mut self.dice);
        let truth = truth::scan(&self.shared.gob);
        let Some((_, proc)) = truth.leaders().find(|(graph, _)| *graph == name) else {
            return nobody(format!("{name} does not run"));
        };
        self.signal(proc, signal);
        done(format!("{signal} to {name}, pid {}", proc.pid))
    }

    fn kill_descendant(&mut self) -> Inflicted {
        let mut truth = truth::scan(&self.shared.gob);
        truth.workers.retain(|proc| proc.leads.is_none());
        truth.workers.sort_by_key(|proc| proc.pid);
        if truth.workers.is_empty() {
            return nobody("there is no descendant");
        }
        let proc = self.dice.one(&truth.workers);
        self.signal(proc, Signal::SIGKILL);
        done(format!("killed the descendant {}", proc.pid))
    }

    fn signal(&self, proc: &Proc, signal: Signal) {
        self.shared.judge.touches(proc.pid, signal.as_str());
        if let Some(handle) = Handle::open(proc.pid)
            && process::start_time(proc.pid) == Some(proc.start)
        {
            handle.signal(signal);
        }
    }

    /// Returns the supervisor by its own word; `None` when it does not answer.
    fn gobd(&self) -> Option<(Handle, Handle, String)> {
        let mut link = Link::connect(&self.shared.gob.socket()).ok()?;
        let status = link.ok("status", json!({}), ANSWER).ok()?;
        let pid = |key: &str| Handle::open(status[key].as_i64()? as i32);
        Some((pid("pid")?, pid("keeper_pid")?, status["instance"].as_str()?.to_owned()))
    }

    fn kill_gobd(&mut self, keeper_too: bool) -> Inflicted {
        let Some((gobd, keeper, instance)) = self.gobd() else { return nobody("no supervisor answers") };
        if keeper_too && self.shared.judge.left_unmarked(&instance) {
            // Once both are gone, nothing identifies the processes that left their session and closed
            // everything.
            return nobody("runs of this supervisor have no marks");
        }
        self.shared.judge.ends_supervisor(&instance);
        let before = truth::scan(&self.shared.gob).workers;
        let handles: Vec<(Handle, u64)> =
            before.iter().filter_map(|proc| Some((Handle::open(proc.pid)?, proc.start))).collect();
        let begin = Instant::now();
        if keeper_too {
            keeper.signal(Signal::SIGKILL);
        }
        gobd.signal(Signal::SIGKILL);
        if keeper_too {
            let output = self.shared.gob.ctl(["ping"]).run();
            if output.code != 0 {
                return Err(format!("the command after both were killed: {output}"));
            }
        }
        for (handle, start) in &handles {
            let left = GONE.saturating_sub(begin.elapsed());
            if process::start_time(handle.pid) == Some(*start) && !handle.wait_gone(left) {
                return Err(format!("left of a killed supervisor: {}", process::describe(handle.pid)));
            }
        }
        let who = if keeper_too { "gobd and gob-keeper" } else { "gobd" };
        let took = begin.elapsed();
        done(format!("killed {who}, pid {}; {} processes gone in {took:.1?}", gobd.pid, handles.len()))
    }

    fn kill_keeper(&mut self) -> Inflicted {
        let Some((gobd, keeper, instance)) = self.gobd() else { return nobody("no supervisor answers") };
        self.shared.judge.ends_supervisor(&instance);
        keeper.signal(Signal::SIGKILL);
        if !gobd.wait_gone(ANSWER) {
            return Err("gobd did not end without its keeper".to_owned());
        }
        done(format!("killed gob-keeper, pid {}; gobd has ended in order", keeper.pid))
    }

    fn freeze_gobd(&mut self) -> Inflicted {
        let Some((gobd, ..)) = self.gobd() else { return nobody("no supervisor answers") };
        // Sometimes longer than most deadlines.
        let more = Duration::from_millis(if self.dice.below(3) == 0 { self.dice.below(4_000) } else { 0 });
        gobd.signal(Signal::SIGSTOP);
        let what = format!("stopped gobd, pid {}, for {more:?} more", gobd.pid);
        Ok(Outcome::Done(
            what,
            Box::new(move |shared| {
                shared.load_for(more);
                gobd.signal(Signal::SIGCONT);
                Ok(())
            }),
        ))
    }

    /// Ends a connection at any byte of a request, behind any number of whole ones.
    fn cut(&mut self) -> Inflicted {
        let Ok(mut link) = Link::connect(&self.shared.gob.socket()) else { return nobody("nobody accepts") };
        let graph = format!("{NEVER} {}", self.step);
        let cut_off = match self.dice.below(3) {
            0 => json!({"id": 1, "type": "nuke", "payload": {"force": true}}),
            1 => json!({"id": 1, "type": "shutdown", "payload": {"force": true}}),
            _ => json!({"id": 1, "type": "start", "payload": {"graph": graph}}),
        };
        let cut_off = cut_off.to_string();
        let len = self.dice.below(cut_off.len() as u64 + 1) as usize;
        let whole = self.dice.below(20) as usize;
        for _ in 0..whole {
            link.post("list", json!({})).unwrap_or_default();
        }
        // The supervisor may be gone already.
        link.raw(&cut_off.as_bytes()[..len]).unwrap_or_default();
        done(format!("cut {} after {len} bytes, behind {whole} requests", &cut_off[..len]))
    }

    /// Makes a subscriber that sends requests and does not read.
    fn deaf(&mut self) -> Inflicted {
        let link = Link::connect_as(&self.shared.gob.socket(), "deaf", ANSWER);
        let mut link = match link {
            Ok(link) => link,
            Err(Lost::Ended) => return nobody("nobody accepts"),
            Err(Lost::Lie(lie)) => return Err(lie),
        };
        let asked = link.post("subscribe", json!({})).is_ok();
        let sent = link.post_until_full("list", 20_000).unwrap_or_default();
        let reads_again = self.dice.below(2) == 0;
        let what = format!(
            "a client that does not read: subscribed {asked}, {sent} requests, reads again {reads_again}"
        );
        Ok(Outcome::Done(
            what,
            Box::new(move |_| match if reads_again { link.drain(ANSWER) } else { Ok(()) } {
                Ok(()) | Err(Lost::Ended) => Ok(()),
                Err(Lost::Lie(lie)) => Err(lie),
            }),
        ))
    }

    fn kill_client(&mut self) -> Inflicted {
        let name = lock(self.fleet).name(&mut self.dice).to_owned();
        let verb = *self.dice.one(&["start", "restart", "stop", "lease", "events"]);
        let args: &[&str] = if verb == "events" { &["events"] } else { &[verb, &name] };
        let wait = Duration::from_millis(self.dice.below(40));
        let mut call = self.shared.gob.ctl(args.iter().copied());
        let mut child = call.spawn();
        let ended = Handle::open(child.id() as i32).is_some_and(|handle| handle.wait_gone(wait));
        // The child may have ended, which is as good.
        drop(child.kill());
        drop(child.wait());
        done(format!("killed gobctl {} after {wait:?}, ended by itself {ended}", args.join(" ")))
    }

    fn fill_disk(&mut self) -> Inflicted {
        self.shared.history.spoil();
        // Beside the state directory, on the disk of both.
        let path = self.shared.gob.state_dir().with_file_name("filler");
        let mut file = fs::File::create(&path).map_err(|e| format!("the filler: {e}"))?;
        let block = vec![0; 64 * 1024];
        let mut bytes = 0;
        while let Ok(written @ 1..) = file.write(&block) {
            bytes += written;
        }
        let what = format!("filled the disk with {} KiB", bytes / 1024);
        Ok(Outcome::Done(
            what,
            Box::new(move |_| fs::remove_file(path).map_err(|e| format!("the filler: {e}"))),
        ))
    }

    fn few_files(&mut self) -> Inflicted {
        self.shared.history.spoil();
        let Some((gobd, ..)) = self.gobd() else { return nobody("no supervisor answers") };
        let limit = process::open_files(gobd.pid) + self.dice.below(6);
        let Some(before) = process::limit_files(gobd.pid, limit) else { return nobody("gobd is gone") };
        let what = format!("gobd may have {limit} files");
        Ok(Outcome::Done(
            what,
            Box::new(move |_| {
                // The supervisor may be gone by now.
                process::limit_files(gobd.pid, before).unwrap_or_default();
                Ok(())
            }),
        ))
    }

    fn bad_config(&mut self) -> Inflicted {
        let Some((gobd, ..)) = self.gobd() else { return nobody("no supervisor answers") };
        let good = lock(self.fleet).config(Variant::Usual);
        fleet::write_config(&self.shared.gob, "[kind.graph]\nstop = { grace = \"soon\" }\n");
        gobd.signal(Signal::SIGHUP);
        Ok(Outcome::Done(
            "a configuration that is wrong, and SIGHUP".to_owned(),
            Box::new(move |shared| {
                fleet::write_config(&shared.gob, &good);
                gobd.signal(Signal::SIGHUP);
                Ok(())
            }),
        ))
    }

    fn delete_pid(&mut self) -> Inflicted {
        for file in ["daemon.pid", "start.lock"] {
            drop(fs::remove_file(self.shared.gob.runtime_dir().join(file)));
        }
        done("deleted daemon.pid and start.lock")
    }

    /// Deletes a file by which clients find the supervisor, or all of them.
    fn delete(&mut self, what: &'static str) -> Inflicted {
        let Some((_, _, instance)) = self.gobd() else { return nobody("no supervisor answers") };
        let gob = &self.shared.gob;
        let deleted = match what {
            RUNTIME => remove_all(&gob.runtime_dir()),
            STATE => {
                self.shared.loses_store();
                remove_all(&gob.state_dir())
            }
            "gobd.lock" => fs::remove_file(gob.state_dir().join(what)),
            _ => fs::remove_file(gob.runtime_dir().join(what)),
        };
        let begin = Instant::now();
        Ok(Outcome::Done(
            format!("deleted {what}: {deleted:?}"),
            Box::new(move |shared| healed(shared, &instance, begin)),
        ))
    }
}

/// Removes like `rm -rf`: a file that comes into a directory during its removal is removed with it.
fn remove_all(dir: &Path) -> io::Result<()> {
    let begin = Instant::now();
    loop {
        match fs::remove_dir_all(dir) {
            Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty && begin.elapsed() < HEALED => {}
            removed => return removed,
        }
    }
}

/// Checks that the same supervisor is reachable again, and has published its place.
fn healed(shared: &Shared, instance: &str, begin: Instant) -> Result<(), String> {
    let mut last = String::new();
    while begin.elapsed() < HEALED + ANSWER {
        let reached = Link::connect(&shared.gob.socket()).map_err(|_| Lost::Ended);
        match reached.and_then(|mut link| link.ok("status", json!({}), ANSWER)) {
            Ok(status) if status["instance"] != instance => {
                return Err(format!("another supervisor: {status}"));
            }
            Ok(_) if shared.gob.lock_line().is_some_and(|line| line["instance"] == instance) => {
                let took = begin.elapsed();
                shared.note(format!("healed after {took:.1?}"));
                return if took < HEALED { Ok(()) } else { Err(format!("healed only after {took:?}")) };
            }
            Ok(_) => last = "the lock file does not say who it is".to_owned(),
            Err(lost) => last = format!("{lost:?}"),
        }
        shared.breathe();
    }
    Err(format!("not healed: {last}"))
}
