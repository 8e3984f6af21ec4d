//! The workers: their names, the behaviour of each sort, and doubles of them that are not gob's.

use crate::dice::Dice;
use crate::holders::Holders;
use gob_tests::Gob;
use gob_tests::gob::built_binaries;
use gob_tests::script::{Child, Flood, Http, Step, every_escape};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{self, Command, Stdio};

/// Variable in the environment of a double.
pub const DOUBLE: &str = "GOB_FAULTS_DOUBLE";

/// A configuration that is fast enough for many rounds. The logs are small, so that floods rotate them all
/// the time.
const CONFIG: &str = r#"
[kind.graph]
readiness = { timeout = "10s" }
stop = { grace = "400ms" }
restart = { backoff = ["10ms", "100ms"], give_up = { failures = 5, within = "10s" } }

[kind.real]
command = ["real-graph-worker", "--root-dir", "{root_dir}", "--graph", "{graph}", "--socket", "{socket}"]
readiness = "handshake"

[queue]
heartbeat = "500ms"
stale_after = "2s"
backoff = ["10ms", "100ms"]

[logs]
rotate = "256KiB"
keep = 2
budget = "16MiB"
"#;

/// A name that no worker may ever have: the one in requests that are cut off.
pub const NEVER: &str = "never";

/// The graph that gob's own worker serves, and its kind.
pub const REAL: &str = "real";

/// A FIFO on which a slow worker waits before it is ready.
const GO: &str = "go";

/// While this file exists, the probed workers answer that they are unhealthy.
pub const SICK: &str = "sick";

const SORTS: usize = 10;
/// The sort that floods.
const FLOODS: usize = 3;
/// The sort whose graphs another program may hold by a lock file.
const LOCKED: usize = 8;
/// The sort with a liveness probe.
const ASKED: usize = 9;

/// The exit codes of a fixture that can't follow its script, and of one that panics.
const TROUBLE: [i64; 2] = [99, 101];

/// Returns the sort of a worker; `None` for a name outside the fleet.
fn sort_of(name: &str) -> Option<usize> {
    Some(name.strip_prefix('w')?.parse::<usize>().ok()? % SORTS)
}

/// Returns whether another program may hold this worker's graph.
pub fn may_be_held(name: &str) -> bool {
    sort_of(name) == Some(LOCKED)
}

/// Returns whether its runs end by themselves.
pub fn ends_by_itself(name: &str) -> bool {
    matches!(sort_of(name), Some(5..=7) | None)
}

/// Returns whether a run of this worker can exit with this code.
pub fn exits_with(name: &str, code: i64) -> bool {
    let own = match sort_of(name) {
        Some(5) => Some(3),
        Some(7) => Some(0),
        Some(_signals) => None,
        // The graph worker has codes of its own.
        None => return true,
    };
    own == Some(code) || TROUBLE.contains(&code)
}

/// Jobs of the fleet.
pub const JOBS: usize = 8;
const JOB_SORTS: usize = 4;

/// Returns the name of a job of the fleet.
pub fn job_name(at: usize) -> String {
    format!("k{at}")
}

/// Returns whether this is a job of the fleet.
pub fn is_job(name: &str) -> bool {
    name.strip_prefix('k').is_some_and(|at| at.parse::<usize>().is_ok_and(|at| at < JOBS))
}

/// Returns the request for a job: a worker's program with a worker's arguments, so that it is known by them.
pub fn job(gob: &Gob, at: usize) -> Value {
    let name = job_name(at);
    let socket = gob.dir().join(format!("{name}.sock"));
    let program = gob.bin("gob-graph-worker");
    let command = json!([program, "--root-dir", gob.data_dir(), "--graph", name, "--socket", socket]);
    let restart = if at < JOB_SORTS { "never" } else { "on-failure" };
    json!({"name": name, "command": command, "cwd": gob.dir(), "env": {"PATH": "/usr/bin:/bin"}, "restart": restart})
}

/// Returns the request for a job without a name, which never runs.
pub fn unnamed(gob: &Gob, at: u64) -> Value {
    json!({"command": ["/bin/true", at.to_string()], "cwd": gob.dir(), "env": {}})
}

fn prepare_job(gob: &Gob, at: usize) {
    let lines = Step::Flood(Flood { bytes: 300_000, line: 100, stderr: false });
    let away = Step::Child(Child { detach: true, ignore_term: true, close_fds: true, ..Default::default() });
    let steps = match at % JOB_SORTS {
        0 => vec![Step::Hang],
        1 => [every_escape(), vec![Step::Hang]].concat(),
        2 => vec![away, lines, Step::Exit(3)],
        _good => vec![Step::Exit(0)],
    };
    gob.script(&job_name(at), &steps);
}

pub struct Fleet {
    names: Vec<String>,
    doubles: Vec<process::Child>,
    pub holders: Holders,
}

impl Fleet {
    /// Writes the script of each worker, and starts a double of every third.
    pub fn new(gob: &Gob, count: usize) -> Self {
        let names: Vec<String> = (0..count).map(|n| format!("w{n}")).collect();
        write_config(gob, &config(count, Variant::Usual));
        let real = gob.bin("real-graph-worker");
        let built = built_binaries().join("gob-graph-worker");
        fs::copy(&built, &real).unwrap_or_else(|e| panic!("{}: {e}", built.display()));
        for (n, name) in names.iter().enumerate() {
            prepare(gob, name, n % SORTS);
        }
        (0..JOBS).for_each(|at| prepare_job(gob, at));
        // A double of a graph with a lock file would be taken for a worker that lives without it.
        let doubles = names.iter().enumerate().step_by(3).filter(|(n, _)| n % SORTS != LOCKED);
        let doubles = doubles.map(|(_, name)| double(gob, name)).collect();
        Self { names, doubles, holders: Holders::default() }
    }

    pub fn config(&self, variant: Variant) -> String {
        config(self.names.len(), variant)
    }

    /// Returns a worker whose graph another program may hold; `None` in a fleet that is too small.
    pub fn locked(&self, dice: &mut Dice) -> Option<String> {
        self.of_sort(LOCKED, dice)
    }

    /// Returns a worker with a liveness probe.
    pub fn asked(&self, dice: &mut Dice) -> Option<String> {
        self.of_sort(ASKED, dice)
    }

    /// Returns the workers that flood.
    pub fn flooding(&self) -> Vec<String> {
        self.names.iter().skip(FLOODS).step_by(SORTS).cloned().collect()
    }

    fn of_sort(&self, sort: usize, dice: &mut Dice) -> Option<String> {
        let names: Vec<&String> = self.names.iter().skip(sort).step_by(SORTS).collect();
        (!names.is_empty()).then(|| (*dice.one(&names)).clone())
    }

    pub fn name(&self, dice: &mut Dice) -> &str {
        dice.one::<String>(&self.names)
    }

    /// Returns any worker, or a job.
    pub fn any(&self, dice: &mut Dice) -> String {
        if dice.below(4) == 0 {
            job_name(dice.below(JOBS as u64) as usize)
        } else {
            self.name(dice).to_owned()
        }
    }

    /// Lets slow workers go on that have come so far.
    pub fn release(&self, gob: &Gob) {
        for name in self.names.iter().skip(4).step_by(SORTS) {
            let fifo = gob.graph_dir(name).join(GO);
            // Without a reader no worker waits there.
            drop(fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(fifo));
        }
    }

    /// Returns doubles and holders that were ended by another program.
    pub fn ended_bystanders(&mut self) -> Vec<String> {
        let holders = self.holders.ended();
        let ended = self.doubles.iter_mut().filter_map(|double| {
            let status = double.try_wait().expect("a child")?;
            Some(format!("the double with pid {} was ended: {status}", double.id()))
        });
        ended.chain(holders).collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for double in &mut self.doubles {
            // A double that is gone was reported as a violation.
            drop(double.kill());
            drop(double.wait());
        }
    }
}

/// One of two configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    Usual,
    /// As good, and different for every worker.
    Other,
}

/// Returns the settings of all workers, and of those whose sort needs more.
fn config(count: usize, variant: Variant) -> String {
    let mut text = CONFIG.to_owned();
    if variant == Variant::Other {
        text = text.replace("\"400ms\"", "\"300ms\"").replace("\"256KiB\"", "\"128KiB\"");
    }
    for n in 0..count {
        let more = match n % SORTS {
            0 => "on_last_lease = \"stop\"".to_owned(),
            2 => "idle_stop = \"500ms\"".to_owned(),
            LOCKED => format!("lock_file = \"{{root_dir}}/{{graph_dir}}/{}\"", crate::holders::LOCK),
            ASKED => format!(
                "readiness = {{ type = \"http\", timeout = \"10s\" }}\n\
                 liveness = {{ type = \"http\", interval = \"50ms\", failures = 2, restart = {} }}",
                n >= SORTS,
            ),
            _alike => continue,
        };
        text.push_str(&format!("\n[graph.w{n}]\n{more}\n"));
    }
    text
}

pub fn write_config(gob: &Gob, text: &str) {
    let path = gob.dir().join("config.toml");
    fs::write(&path, text).expect("config.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("config.toml");
}

fn prepare(gob: &Gob, name: &str, sort: usize) {
    let ready = [Step::Listen, Step::Handshake];
    let with = |steps: &[Step]| gob.script(name, steps);
    let lines = |bytes| Step::Flood(Flood { bytes, line: 100, stderr: false });
    match sort {
        1 => with(&[every_escape(), ready.to_vec()].concat()),
        2 => with(&[vec![Step::Ignore(vec!["TERM".to_owned()])], ready.to_vec()].concat()),
        FLOODS => with(&[vec![lines(250_000)], ready.to_vec(), vec![lines(4_000_000)]].concat()),
        4 => {
            gob.fifo(name, GO);
            with(&[vec![Step::WaitFor(GO.to_owned())], ready.to_vec()].concat());
        }
        5 => with(&[Step::Exit(3)]),
        6 => {
            let child = Step::Child(Child { hold_output: true, setsid: true, ..Default::default() });
            with(&[vec![child], ready.to_vec(), vec![Step::Kill("SEGV".to_owned())]].concat());
        }
        7 => with(&[ready.to_vec(), vec![Step::Exit(0)]].concat()),
        ASKED => {
            let http = Http { sick_while: Some(SICK.to_owned()), ..Http::default() };
            with(&[Step::Listen, Step::Http(http)]);
        }
        _plain => {}
    }
}

/// Starts a process of this user with the very arguments of a worker, which gob must leave alone.
fn double(gob: &Gob, name: &str) -> process::Child {
    double_of(gob, name).spawn().expect("a double")
}

/// As `double`, not started yet.
pub fn double_of(gob: &Gob, name: &str) -> Command {
    let text = |path: std::path::PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.arg0("gob-graph-worker");
    command.args(["--root-dir", &text(gob.data_dir()), "--graph", name]);
    command.args(["--socket", &text(gob.runtime_dir().join("graphs").join(format!("{name}.sock")))]);
    command.env_clear().env(DOUBLE, "1").env("GOB_NAME", name).env("GOB_RUN", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Lives as a double until it is killed, or the harness is gone.
pub fn live_as_double() -> ! {
    // SAFETY: neither call takes a pointer.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        loop {
            libc::pause();
        }
    }
}
