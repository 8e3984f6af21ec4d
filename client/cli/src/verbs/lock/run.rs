//! `gobctl lock run NAME -- CMD…`: runs a command while a lock is held.

use super::{FEATURE, file_args, file_order, lock_name, name_of_lock, process_arg, wording};
use crate::afar::Afar;
use crate::command::{GOB_FAILED, run_with};
use crate::context::Context;
use crate::failure::Failure;
use crate::guard::{self, Lock, NamedOrder, Order, TOKEN};
use crate::stream::lost_way;
use crate::text::{parse_duration, parse_number};
use crate::verbs::start::millis;
use crate::verbs::{Effect, Verb, timeout};
use crate::versions::needs;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use gob_client::Error;
use gob_client::blocking::Client;
use gob_client::call::{LockAcquire, LockStatus};
use gob_client::protocol::answer::LockAcquireData;
use gob_client::protocol::{LockMode, LockName};
use std::ffi::OsString;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// Exit code when the wait has ended without the lock.
const TIMED_OUT: u8 = 124;

pub(crate) const VERB: Verb = Verb {
    path: &["lock", "run"],
    effect: Effect::Changes,
    about: "Wait for a lock, run a command while it is held, release it",
    examples: "Examples:\n  gobctl lock run deploy -- make deploy\n  gobctl lock run notes --shared -- ./export.sh\n  gobctl lock run cache --timeout 30s -- npm ci\n  gobctl lock run --file /srv/db/.lock -- ./backup.sh\n\nThe lock is released when the command and all that it has started is gone, however that ends.\n",
    command: |command| {
        let command = command
            .arg(name_of_lock(true))
            .arg(
                Arg::new("shared")
                    .long("shared")
                    .action(ArgAction::SetTrue)
                    .conflicts_with("file")
                    .help("Hold it together with other shared holders"),
            )
            .arg(
                Arg::new("priority")
                    .long("priority")
                    .value_name("N")
                    .allow_negative_numbers(true)
                    .value_parser(parse_number::<i32>)
                    .conflicts_with("file")
                    .help("A higher one comes first, 0 without it; nobody is passed for ever"),
            )
            .arg(
                Arg::new("ttl")
                    .long("ttl")
                    .value_name("TIME")
                    .value_parser(parse_duration)
                    .conflicts_with("file")
                    .help("Lose the lock after this time without a sign of life; it is renewed while the command runs"),
            );
        file_args(command, true).arg(process_arg()).arg(
            Arg::new("command")
                .value_name("CMD")
                .required(true)
                .last(true)
                .num_args(1..)
                .value_parser(value_parser!(OsString))
                .help("The program and its arguments; options stand before it, and -- may be left out but beside --file. Has \
                     GOB_LOCK_TOKEN, which is larger than that of each earlier holder"),
        )
    },
    timeout: timeout::LOCK,
    passes_signals: true,
    has_command: true,
    dashes_with: Some("--file"),
    dashes: Some(
        "the command comes last: gobctl lock run NAME -- CMD; a lock file needs the --: gobctl lock run --file PATH -- CMD",
    ),
    afar: Afar::Here(&["file"]),
    run: Some(run),
    ..Verb::ROW
};

/// Time after which the holder that is waited for is told, and the longest one until it is asked for again.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LAST_LOOK: Duration = Duration::from_secs(30);

fn run(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let command: Vec<OsString> = matches.get_many("command").into_iter().flatten().cloned().collect();
    let held = match file_order(matches, context.timeout) {
        Some(order) => start(context, Lock::File(order), &command, Vec::new()),
        None => wanted(matches).and_then(|wanted| named(context, &wanted, &command)),
    };
    held.or_else(|failure| match failure {
        Failure::Help(_) => Err(failure),
        // The command's codes are its own; a failure of gob before it ran has one code, but for the end of the wait.
        Failure::Client(_) | Failure::Own { .. } | Failure::Closed => {
            let code = if failure.exit_code() == TIMED_OUT || failure.exit_code() == 2 {
                failure.exit_code()
            } else {
                GOB_FAILED
            };
            failure.report(context.telling());
            Ok(code)
        }
    })
}

/// The lock that is asked for.
fn wanted(matches: &ArgMatches) -> Result<LockAcquire, Failure> {
    let lock =
        lock_name(matches)?.ok_or_else(|| Failure::usage("the name of a lock is missing".to_owned()))?;
    let ttl: Option<&Duration> = matches.get_one("ttl");
    Ok(LockAcquire {
        mode: Some(if matches.get_flag("shared") { LockMode::Shared } else { LockMode::Exclusive }),
        priority: matches.get_one::<i32>("priority").copied(),
        ttl_ms: ttl.map(|ttl| millis(*ttl)),
        process: matches.get_one::<String>("process").cloned(),
        within: std::env::var(TOKEN).ok().and_then(|token| token.parse().ok()).into_iter().collect(),
        ..LockAcquire::new(lock)
    })
}

/// Takes a lock of the supervisor and has a guard run the command.
fn named(context: &Context, wanted: &LockAcquire, command: &[OsString]) -> Result<u8, Failure> {
    let (client, token) = acquire(context, wanted)?;
    let failed = |error: std::io::Error| {
        Failure::own("command-failed", GOB_FAILED, "cannot hand the lock on".to_owned())
            .cause(error.to_string())
    };
    let connection = client.as_fd().try_clone_to_owned().map_err(failed)?;
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    let number = stdin.as_raw_fd();
    let order = NamedOrder {
        lock: wanted.lock.clone(),
        mode: wanted.mode.unwrap_or_default(),
        priority: wanted.priority.unwrap_or_default(),
        ttl_ms: wanted.ttl_ms,
        process: wanted.process.clone().unwrap_or_default(),
        token,
        within: wanted.within.clone(),
        server: client.server().clone(),
        socket: client.socket().to_owned(),
        stdin: number,
    };
    drop(client);
    start(context, Lock::Named(Box::new(order)), command, vec![(stdin, number), (connection, 0)])
}

/// Waits in line; the connection that holds the lock, and its token.
fn acquire(context: &Context, wanted: &LockAcquire) -> Result<(Client, u64), Failure> {
    let until = context.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    // The time limit is the lock's, not the answer's.
    let context = &Context { timeout: None, ..context.clone() };
    loop {
        let mut client = context.connect("lock_acquire")?;
        needs(&client, FEATURE)?;
        let left = until.map(|until| millis(until.saturating_duration_since(Instant::now())));
        let sent = client.send(LockAcquire { timeout_ms: left, ..wanted.clone() })?;
        let mut watch = Watch { context, lock: &wanted.lock, next: FIRST_LOOK, told: None };
        let answer = client.wait_ticking(sent, sent.deadline(), FIRST_LOOK, &mut |waited| watch.look(waited));
        match answer.and_then(|reply| reply.read()) {
            Ok(LockAcquireData { token, .. }) => return Ok((client, token)),
            // The place in the line is gone with the supervisor. The next one has a line, too.
            Err(Error::Lost { .. }) => context.note(&match client.lost_way() {
                Some(address) => format!("{}; waiting in the line again", lost_way(address)),
                None => "the supervisor has gone; waiting in the next one's line".to_owned(),
            }),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Tells once who holds the lock that is waited for, and again when that is somebody else.
struct Watch<'a> {
    context: &'a Context,
    lock: &'a LockName,
    next: Duration,
    told: Option<u64>,
}

impl Watch<'_> {
    fn look(&mut self, waited: Duration) {
        if waited < self.next {
            return;
        }
        self.next = waited.saturating_add(waited.clamp(FIRST_LOOK, LAST_LOOK));
        let asked = self.context.without_autostart().ask(LockStatus { lock: Some(self.lock.clone()) });
        let status = asked.ok().and_then(|(_, reply)| reply.read().ok());
        let Some(lock) = status.and_then(|status| status.locks.into_iter().next()) else { return };
        let first = lock.holders.first().and_then(|holder| holder.token);
        if self.told != first.or(Some(0)) {
            self.told = first.or(Some(0));
            self.context.note(&wording::waiting(&lock));
        }
    }
}

/// Starts the guard and waits for its end, which is the command's.
fn start(
    context: &Context,
    lock: Lock,
    command: &[OsString],
    moves: Vec<(OwnedFd, RawFd)>,
) -> Result<u8, Failure> {
    let parent = std::process::id().try_into().unwrap_or_default();
    let host = context.host.as_ref().map(|host| host.ssh.address().to_string());
    let (quiet, json) = (context.quiet, context.json);
    let order = Order { parent, owner: context.owner.clone(), quiet, json, host, lock };
    run_with(&guard::command_line(&order, command)?, &[], None, moves)
}
