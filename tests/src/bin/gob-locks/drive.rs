//! Starts clients, kills a third of their rounds' holders at random, and watches what they say.

use gob_tests::Gob;
use gob_tests::dice::Dice;
use gob_tests::process::Handle;
use nix::sys::signal::Signal;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// So many rounds for each kill of a client.
const ROUNDS_PER_KILL: u64 = 3;
/// Kills of the supervisor in a run over named locks.
const SUPERVISORS: u64 = 10;
/// Time without a round after which nobody gets the lock any more.
const SILENCE: Duration = Duration::from_secs(90);

/// A line of a client, or its end.
enum Said {
    Line(usize, String),
    End(usize),
}

/// The proof, and its length.
pub(crate) struct Options {
    named: bool,
    clients: usize,
    rounds: u64,
    seed: u64,
}

impl Options {
    pub(crate) fn parse(mode: &str, words: &[&str]) -> Option<Self> {
        let named = mode == "named";
        let mut options = if named {
            Self { named, clients: 32, rounds: 32_000, seed: 1 }
        } else {
            Self { named, clients: 16, rounds: 10_000, seed: 1 }
        };
        for pair in words.chunks(2) {
            let [flag, value] = pair else { return None };
            let value: u64 = value.parse().ok()?;
            match *flag {
                "--clients" => {
                    options.clients = usize::try_from(value).ok().filter(|clients| *clients <= 64)?
                }
                "--rounds" => options.rounds = value,
                "--seed" => options.seed = value,
                _ => return None,
            }
        }
        Some(options)
    }
}

/// The totals of a run.
#[derive(Default)]
struct Totals {
    rounds: u64,
    killed: u64,
    supervisors: u64,
    longest_ms: u64,
    most_passed: u64,
    violations: Vec<String>,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    let gob = Gob::new();
    if options.named {
        gob.ctl(["ping"]).ok();
    }
    let began = Instant::now();
    let mut drive = Drive::new(options, &gob);
    drive.all_rounds();
    let totals = drive.end();
    for violation in &totals.violations {
        println!("violation: {violation}");
    }
    println!(
        "{} rounds of {} clients in {:.1} s: {} clients and {} supervisors killed, longest wait {} ms, at most {} grants to others \
         in a wait, {} violations",
        totals.rounds,
        options.clients,
        began.elapsed().as_secs_f64(),
        totals.killed,
        totals.supervisors,
        totals.longest_ms,
        totals.most_passed,
        totals.violations.len(),
    );
    if totals.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Drive<'a> {
    options: &'a Options,
    gob: &'a Gob,
    dice: Dice,
    clients: Vec<Child>,
    say: Sender<Said>,
    said: Receiver<Said>,
    totals: Totals,
    instance: String,
}

impl<'a> Drive<'a> {
    fn new(options: &'a Options, gob: &'a Gob) -> Self {
        let (say, said) = channel();
        let instance = if options.named { gob.status()["instance"].to_string() } else { String::new() };
        let dice = Dice::new(options.seed);
        let mut drive =
            Self { options, gob, dice, clients: Vec::new(), say, said, totals: Totals::default(), instance };
        for number in 0..options.clients {
            let client = drive.start(number);
            drive.clients.push(client);
        }
        drive
    }

    fn start(&mut self, number: usize) -> Child {
        let seed = self.dice.below(u64::from(u32::MAX)).to_string();
        let dir = self.gob.dir();
        let lock = dir.join("a.lock");
        let mut command = if self.options.named {
            let mut command = Command::new(own());
            command.arg("hold-named").arg(dir).arg(seed);
            command.envs(self.gob.env());
            command
        } else if number.is_multiple_of(2) {
            let mut command = Command::new(own());
            command.arg("hold-file").arg(lock).arg(dir).arg(seed);
            command
        } else {
            let mut command = Command::new("python3");
            command.arg(python()).arg(lock).arg(dir.join("stamp")).arg("1000000000").arg(seed);
            command
        };
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a client");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        let say = self.say.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if say.send(Said::Line(number, line)).is_err() {
                    return;
                }
            }
            say.send(Said::End(number)).unwrap_or_default();
        });
        child
    }

    fn all_rounds(&mut self) {
        let mut next_kill = ROUNDS_PER_KILL;
        let every = self.options.rounds / (SUPERVISORS + 1);
        while self.totals.rounds < self.options.rounds && self.totals.violations.is_empty() {
            match self.said.recv_timeout(SILENCE) {
                Ok(Said::Line(number, line)) => self.hear(number, &line),
                Ok(Said::End(number)) => self.ended(number),
                Err(_) => self.totals.violations.push("nobody gets the lock".to_owned()),
            }
            if self.totals.rounds >= next_kill {
                next_kill = self.totals.rounds + ROUNDS_PER_KILL;
                let number =
                    usize::try_from(self.dice.below(self.options.clients as u64)).unwrap_or_default();
                // A third of the rounds end like this at most; the killed one is started again when its output ends.
                if let Some(client) = self.clients.get_mut(number)
                    && client.kill().is_ok()
                {
                    self.totals.killed += 1;
                }
            }
            let due = self.totals.rounds.checked_div(every).unwrap_or_default().min(SUPERVISORS);
            if self.options.named && self.totals.supervisors < due {
                self.kill_supervisor();
            }
        }
    }

    fn hear(&mut self, number: usize, line: &str) {
        let mut words = line.split(' ');
        if words.next() != Some("round") {
            self.totals.violations.push(format!("client {number}: {line}"));
            return;
        }
        self.totals.rounds += 1;
        let mut next = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        self.totals.longest_ms = self.totals.longest_ms.max(next());
        self.totals.most_passed = self.totals.most_passed.max(next());
    }

    fn ended(&mut self, number: usize) {
        let Some(client) = self.clients.get_mut(number) else { return };
        let end = client.wait().expect("a client");
        if end.code().is_some() {
            self.totals.violations.push(format!("client {number} ended: {end}"));
            return;
        }
        let next = self.start(number);
        self.clients[number] = next;
    }

    fn kill_supervisor(&mut self) {
        let pid = self.gob.gobd_pid();
        let killed = Handle::open(pid).expect("the supervisor");
        killed.signal(Signal::SIGKILL);
        self.gob.wait_other_instance(self.instance.trim_matches('"'));
        self.instance = self.gob.status()["instance"].to_string();
        self.totals.supervisors += 1;
    }

    fn end(mut self) -> Totals {
        for client in &mut self.clients {
            client.kill().unwrap_or_default();
            client.wait().expect("a client");
        }
        self.totals
    }
}

fn own() -> PathBuf {
    std::env::current_exe().expect("this program")
}

fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/file_lock.py")
}
