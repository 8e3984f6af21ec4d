//! A claimant: a process that claims jobs, works on them for a moment, and says how they ended, over the raw protocol.

use super::records::Journal;
use super::{LANE, STALE};
use crate::dice::Dice;
use gob_tests::wait::while_time_passes;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Variable of a claimant, with its serial number.
pub const PART: &str = "GOB_FAULTS_CLAIMANT";
/// Variable with the supervisor's socket.
pub const SOCKET: &str = "GOB_FAULTS_SOCKET";
/// Variable with the directory of the records.
pub const RECORDS: &str = "GOB_FAULTS_RECORDS";

/// Time for an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Time between signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// A claimant that was not heard for so long stops working: its claim may be taken back soon.
const GIVE_UP: Duration = Duration::from_secs(STALE.as_secs() / 2);
/// Time between attempts to reach a supervisor.
const RETRY: Duration = Duration::from_millis(50);

/// Lives as a claimant, where this process was started as such.
pub fn part() -> Option<ExitCode> {
    let serial = std::env::var(PART).ok()?;
    let path = |name| PathBuf::from(std::env::var_os(name).expect("a path"));
    let journal = Journal::create(&path(RECORDS), &serial).expect("a file of records");
    let dice = Dice::new(serial.parse().expect("a number"), 1);
    Claimant { serial, socket: path(SOCKET), link: None, heard: Instant::now(), journal, dice }.live()
}

/// A connection, over which one request after the other is asked.
pub struct Link {
    stream: BufReader<UnixStream>,
    last_id: u64,
}

impl Link {
    pub fn open(socket: &Path, owner: &str) -> Result<Self> {
        let mut link = Self { stream: BufReader::new(UnixStream::connect(socket)?), last_id: 0 };
        let client = json!({"name": "gob-faults", "version": "0"});
        link.ask("hello", &json!({"protocol": 1, "client": client, "owner": owner}), ANSWER)?;
        Ok(link)
    }

    /// Asks once; an error where the connection is of no use any more.
    pub fn ask(&mut self, request: &str, payload: &Value, limit: Duration) -> Result<Value> {
        self.ask_many(request, payload, 1, limit).pop().ok_or_else(|| Error::from(ErrorKind::ConnectionReset))
    }

    /// Asks the same as often as this, and returns the answers that came.
    pub fn ask_many(&mut self, request: &str, payload: &Value, count: usize, limit: Duration) -> Vec<Value> {
        let first = self.last_id + 1;
        self.last_id += count as u64;
        let lines: String = (first..=self.last_id)
            .map(|id| format!("{}\n", json!({"id": id, "type": request, "payload": payload})))
            .collect();
        let mut answers = Vec::new();
        let sent = self.stream.get_mut().write_all(lines.as_bytes());
        let ready = self.stream.get_ref().set_read_timeout(Some(limit));
        if sent.and(ready).is_err() {
            return answers;
        }
        while answers.len() < count {
            let mut line = String::new();
            match self.stream.read_line(&mut line) {
                Ok(read) if read > 0 && line.ends_with('\n') => {}
                Ok(_) | Err(_) => return answers,
            }
            answers.push(serde_json::from_str(&line).expect("a frame of JSON"));
        }
        answers
    }
}

/// The answer to a request about an attempt.
enum Told {
    /// It was done; the data of the answer.
    Done(Value),
    /// The attempt is over, or another claimant's.
    NotOurs,
    /// No supervisor has answered.
    Nobody,
}

struct Claimant {
    serial: String,
    socket: PathBuf,
    link: Option<Link>,
    heard: Instant,
    journal: Journal,
    dice: Dice,
}

impl Claimant {
    fn live(mut self) -> ! {
        loop {
            let payload = json!({"lane": LANE, "worker_id": self.serial, "wait_ms": 2000});
            let job = match self.ask("queue_claim", &payload, ANSWER + Duration::from_secs(2)) {
                Told::Done(mut data) => data["job"].take(),
                Told::NotOurs | Told::Nobody => Value::Null,
            };
            match (job["id"].as_str(), job["attempt"].as_u64()) {
                (Some(id), Some(attempt)) => self.work(id, attempt),
                _ if self.link.is_none() => while_time_passes(RETRY),
                _ => {}
            }
        }
    }

    /// Works on an attempt, to its end or until it must not go on.
    fn work(&mut self, id: &str, attempt: u64) {
        self.journal.write("begun", id, attempt, "-").expect("a record");
        // Most work is short; some of it lives on signs of life.
        let ms = if self.dice.below(100) == 0 { 1_500 } else { self.dice.below(15) };
        let is_good = self.dice.below(100) >= 8;
        let until = Instant::now() + Duration::from_millis(ms);
        let about = json!({"job_id": id, "attempt": attempt, "worker_id": self.serial});
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            while_time_passes(left.min(BEAT));
            if left > BEAT && !self.goes_on(&about) {
                return self.journal.write("lost", id, attempt, "-").expect("a record");
            }
        }
        let word = if is_good { "good" } else { "bad" };
        self.journal.write("ended", id, attempt, word).expect("a record");
        let mut end = about.clone();
        end["success"] = is_good.into();
        if !is_good {
            end["error"] = "so it was thrown".into();
        }
        loop {
            match self.ask("queue_finish", &end, ANSWER) {
                Told::Done(data) => {
                    let status = data["job"]["status"].as_str().expect("a status");
                    return self.journal.write("acknowledged", id, attempt, status).expect("a record");
                }
                Told::NotOurs => return self.journal.write("lost", id, attempt, "-").expect("a record"),
                Told::Nobody => while_time_passes(RETRY),
            }
        }
    }

    /// Gives a sign of life; false when the work must end.
    fn goes_on(&mut self, about: &Value) -> bool {
        loop {
            match self.ask("queue_heartbeat", about, ANSWER) {
                Told::Done(_) => return true,
                Told::NotOurs => return false,
                Told::Nobody if self.heard.elapsed() > GIVE_UP => return false,
                Told::Nobody => while_time_passes(RETRY),
            }
        }
    }

    /// Asks over this connection, or over a new one.
    fn ask(&mut self, request: &str, payload: &Value, limit: Duration) -> Told {
        if self.link.is_none() {
            self.link = Link::open(&self.socket, "claimant").ok();
        }
        let Some(link) = &mut self.link else { return Told::Nobody };
        let Ok(mut answer) = link.ask(request, payload, limit) else {
            // With it the claim ends, if the supervisor lives; so does the work, with the next answer.
            self.link = None;
            return Told::Nobody;
        };
        self.heard = Instant::now();
        if answer["success"] == true {
            return Told::Done(answer["data"].take());
        }
        match answer["error"]["code"].as_str() {
            Some("job-not-claimed" | "job-not-found") => Told::NotOurs,
            Some("shutting-down" | "busy") => {
                self.link = None;
                Told::Nobody
            }
            _ => panic!("{request} {payload}: {answer}"),
        }
    }
}
