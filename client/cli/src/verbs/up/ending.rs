//! The hold and the end of `up --watch`: at a signal the jobs that it started are stopped, those first that depend on others. Jobs that
//! others own or hold, and those that were up before, are only let go. Without this program the leases end, and then the jobs.

use crate::context::Context;
use crate::failure::Failure;
use crate::goes_on::{INTERRUPTED, listed, told};
use crate::holding::{HeldUntil, Holding, hold, hold_until};
use crate::out;
use crate::progress::Progress;
use crate::project::Project;
use crate::signals::Signals;
use crate::stream::End;
use crate::text::escape;
use gob_client::blocking::Client;
use gob_client::call::{Add, List, Reply, Sent, Stop};
use gob_client::protocol::answer::{Outcome, StartData};
use gob_client::{Error, Name, View};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;

/// The leases of `up --watch`.
pub(super) struct Watch {
    signals: Signals,
    /// A signal has come.
    is_interrupted: bool,
    /// The jobs that were up at the beginning.
    before: BTreeSet<Name>,
    /// The workers that are up, of which a lease is held.
    held: Vec<Name>,
    /// Those that this program has started.
    started: BTreeSet<Name>,
}

impl Watch {
    /// Blocks the signals, so that from here on each of them ends the jobs too.
    pub(super) fn begin(client: &mut Client) -> Result<Self, Failure> {
        let before = jobs(client)?.into_iter().filter(|worker| worker.state.is_live());
        let before = before.map(|worker| worker.name).collect();
        let signals = Signals::of(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])?;
        let (held, started) = (Vec::new(), BTreeSet::new());
        Ok(Self { signals, is_interrupted: false, before, held, started })
    }

    /// Ends the start when a signal has come.
    pub(super) fn heed(&mut self) -> Result<(), Failure> {
        self.is_interrupted = self.is_interrupted || self.signals.next().is_some();
        if self.is_interrupted { Err(Failure::Closed) } else { Ok(()) }
    }

    /// Waits for the answer to a start. A signal ends the start.
    pub(super) fn wait(
        &mut self,
        context: &Context,
        client: &mut Client,
        sent: Sent<Add>,
        progress: &mut Progress,
    ) -> Result<Result<Reply<Add>, Error>, Failure> {
        let sent = (sent, context.deadline_of(&sent));
        match context.wait_unless(client, sent, progress, &self.signals).transpose() {
            Some(reply) => Ok(reply),
            None => {
                self.is_interrupted = true;
                Err(Failure::Closed)
            }
        }
    }

    /// Notes the answer to a start.
    pub(super) fn has(&mut self, data: &StartData) {
        let name = &data.worker.name;
        self.held.push(name.clone());
        match data.outcome {
            Outcome::Started => drop(self.started.insert(name.clone())),
            Outcome::Reused | Outcome::TakenOver | Outcome::External => {}
        }
    }

    /// Holds the jobs until a signal comes, and ends them then, or at once when not all of them came up.
    pub(super) fn go_on(
        mut self,
        context: &Context,
        project: &Project,
        (mut client, wanted): (Client, Vec<usize>),
        started: Result<u8, Failure>,
    ) -> Result<u8, Failure> {
        let code = match started {
            Ok(0) => {
                context.note("they run until this is interrupted");
                let holding = Holding { context, verb: "up --watch", end: End::of(None) };
                match hold_until(&holding, &mut client, &mut self.held, &self.signals)? {
                    HeldUntil::Interrupted => Ok(INTERRUPTED),
                    HeldUntil::Lost => {
                        // The jobs have ended with the supervisor. A signal that comes now ends this program.
                        drop(self.signals);
                        return hold(&holding, client, self.held);
                    }
                }
            }
            Err(Failure::Closed) if self.is_interrupted => Ok(INTERRUPTED),
            other => other,
        };
        if !client.has_ended() {
            self.end(context, project, (&mut client, &wanted))?;
        }
        code
    }

    /// Stops the jobs that are this program's, and waits for them; a further signal ends the wait.
    fn end(
        &self,
        context: &Context,
        project: &Project,
        (client, wanted): (&mut Client, &[usize]),
    ) -> Result<(), Failure> {
        let workers = jobs(client)?;
        let mut waves = project.live(wanted.iter().copied(), &workers);
        waves.reverse();
        for wave in &mut waves {
            wave.reverse();
            wave.retain(|worker| self.is_to_stop(context, worker));
        }
        let mut left: Vec<Name> = waves.iter().flatten().map(|worker| worker.name.clone()).collect();
        if !left.is_empty() {
            context.note(&format!("stopping {}; interrupt again to leave at once", listed(&left)));
        }
        for wave in waves {
            let mut sent = Vec::new();
            for worker in wave {
                let name = worker.name.clone();
                sent.push((name.clone(), client.send(Stop { name, force: false, grace_ms: None })?));
            }
            for (name, sent) in sent {
                let mut progress = Progress::new(context, format!("stopping {name}"));
                let sent = (sent, sent.deadline());
                let reply = context.wait_unless(client, sent, &mut progress, &self.signals).transpose();
                let Some(reply) = reply else {
                    let goes_on = told(&left, " stopping", "gobctl events");
                    context.note(&format!("interrupted; {goes_on}"));
                    return Ok(());
                };
                left.retain(|other| *other != name);
                match reply {
                    Ok(_) => tell(context, &name),
                    Err(error) => drop(Failure::from(error).report_of(context.telling(), Some(&name))),
                }
            }
        }
        Ok(())
    }

    /// Tells whether a job is to be stopped, and the user why it is not.
    fn is_to_stop(&self, context: &Context, worker: &View) -> bool {
        let (name, pid) = (&worker.name, i32::try_from(std::process::id()).ok());
        let is_held = self.held.contains(name);
        // A start that was not answered yet has its lease already.
        let is_starting = || {
            !self.before.contains(name)
                && worker.lease_holders.iter().any(|holder| pid.is_some() && holder.pid == pid)
        };
        if !is_held && !is_starting() {
            return false;
        }
        let why = if is_held && !self.started.contains(name) {
            "it was up before".to_owned()
        } else if !worker.owned {
            format!("it is owned by {}", worker.owner)
        } else if worker.leases > 1 {
            format!("others hold it, leases: {}", worker.leases - 1)
        } else {
            return true;
        };
        context.note(&format!("let go of {name}: {why}"));
        false
    }
}

fn jobs(client: &mut Client) -> Result<Vec<View>, Failure> {
    Ok(client.list(List { kind: Some("job".into()), ..List::default() })?)
}

/// Tells the end of a job. Without a reader or a terminal the other ones are stopped all the same.
fn tell(context: &Context, name: &Name) {
    let text = format!("stopped {}", escape(name.as_str()));
    if context.json {
        context.note(&text);
    } else if !context.quiet {
        out::print(&format!("{text}\n")).ok();
    }
}
