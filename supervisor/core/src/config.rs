//! The configuration: what a start takes from it, and what becomes of a new one (CLI, Configuration).
//!
//! The shell reads the file. A file that can't be used changes nothing; why it can't is kept for whoever needs what
//! stands in it. Workers that run keep the kind that they were started with until their next run.

use crate::io::{ConnId, Effect};
use crate::worker::Next;
use crate::{Core, Read};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::answer::ReloadData;
use gob_protocol::config::{Config, Rejected};
use gob_protocol::kind::Kind;
use gob_protocol::request::Start;
use gob_protocol::{Actor, Data, ErrorCode, Id, Name, Owner, WireError};

/// Requests for a new reading. What was asked for while a reading was under way is answered by the next one: the file
/// may have changed since that one began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reloads {
    /// A file was in force at some time, or there was none.
    pub(crate) had_one: bool,
    /// A reading is under way.
    pub(crate) reading: bool,
    /// Another one has to follow.
    pub(crate) again: bool,
    /// Whom the reading under way answers.
    pub(crate) asked: Vec<(ConnId, Option<Id>)>,
    /// Whom the next one answers.
    pub(crate) waiting: Vec<(ConnId, Option<Id>)>,
}

impl Core {
    /// `reload`, or with nobody to answer a SIGHUP.
    pub(crate) fn reload(&mut self, asker: Option<(ConnId, Option<Id>)>) {
        let reloads = &mut self.reloads;
        if reloads.reading {
            reloads.again = true;
            reloads.waiting.extend(asker);
            return;
        }
        reloads.reading = true;
        reloads.asked.extend(asker);
        self.out.push(Effect::ReadConfig);
    }

    /// Takes over what was read.
    pub(crate) fn configured(&mut self, read: Read) {
        let answer = match read {
            Ok(new) => {
                let old = &self.config.settings;
                let (added, removed) = (old.added(&new), new.added(old));
                let answer = ReloadData { changed: old.changes(&new), added, removed };
                self.config.settings = *new;
                self.config.rejected = None;
                self.reloads.had_one = true;
                Ok(Data::Reload(answer))
            }
            Err(rejected) => {
                let error = invalid(&rejected);
                self.rejected(*rejected);
                Err(error)
            }
        };
        for (conn, id) in core::mem::take(&mut self.reloads.asked) {
            self.reply(conn, id, answer.clone());
        }
        let reloads = &mut self.reloads;
        reloads.reading = core::mem::take(&mut reloads.again);
        reloads.asked = core::mem::take(&mut reloads.waiting);
        if reloads.reading {
            self.out.push(Effect::ReadConfig);
        }
    }

    /// Keeps why the file is not used.
    pub(crate) fn rejected(&mut self, mut rejected: Rejected) {
        if self.reloads.had_one {
            // What was in force before still is, so that nothing of it is in doubt.
            rejected.named.clear();
        } else if let Some(kind) = &rejected.default_kind {
            // A graph of that kind must not come up as one of another.
            self.config.settings.default_kind.clone_from(kind);
        }
        self.config.rejected = Some(Box::new(rejected));
    }

    /// A connection that is gone waits for no reading.
    pub(crate) fn forget_reloads(&mut self, conn: ConnId) {
        self.reloads.asked.retain(|(asker, _)| *asker != conn);
        self.reloads.waiting.retain(|(asker, _)| *asker != conn);
    }

    /// The supervisor has begun: graphs with `autostart` start. Nobody asked for them, so nobody owns them, and the
    /// command line may take them over.
    pub(crate) fn begin_life(&mut self) {
        let names: Vec<Name> =
            self.config.settings.autostart().filter_map(|name| Name::graph(name).ok()).collect();
        for graph in names {
            let start = Start { graph: Some(graph), ..Start::default() };
            let (owner, actor) = (Owner::unknown(), Actor::Supervisor);
            // Whatever kept it from being added is in the configuration and was told there.
            let Ok(name) = self.resolve(&start, &owner, &actor) else { continue };
            let next = Next { owner: Some(owner.clone()), lease: Some(false), actor, env: None };
            self.ensure(&name, &owner, next);
        }
    }

    /// The kind by which a graph is started, and its name.
    pub(crate) fn kind_for(
        &self,
        graph: &Name,
        asked: Option<&String>,
    ) -> Result<(String, Kind), Box<WireError>> {
        let settings = &self.config.settings;
        let found = settings.kind_of(graph.as_str(), asked.map(String::as_str));
        let rejected = self.config.rejected.as_deref();
        match (found, rejected) {
            (Ok((name, _)), Some(rejected)) if rejected.says_something_of(graph.as_str(), &name) => {
                Err(invalid(rejected))
            }
            (Ok(found), _) => Ok(found),
            (Err(_), Some(rejected)) => Err(invalid(rejected)),
            (Err(name), None) => Err(no_kind(settings, &name)),
        }
    }

    /// The directory that a start means: the one that it names, else the graph's or the kind's, else gob's own.
    pub(crate) fn root_for(&self, graph: &Name, start: &Start) -> String {
        let configured =
            || self.kind_for(graph, start.kind.as_ref()).ok().and_then(|(_, kind)| kind.root_dir);
        start.root_dir.clone().or_else(configured).unwrap_or_else(|| self.config.paths.data_dir.clone())
    }

    /// Gives a worker its kind as it is now, before a run. A kind that is gone from the file stays as it was.
    pub(crate) fn renew_kind(&mut self, name: &Name) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let found = self.config.settings.kind_of(worker.graph.as_str(), Some(&worker.kind_name));
        if let Ok((_, kind)) = found {
            worker.kind = self.kinds.of(kind);
        }
    }
}

fn no_kind(settings: &Config, name: &str) -> Box<WireError> {
    let known: Vec<&str> = settings.kinds.keys().map(String::as_str).collect();
    let known = known.join(", ");
    let hint =
        format!("kinds are: {known}; add one to the file of gobctl config path, then gobctl config reload");
    let error = WireError::new(ErrorCode::KindNotFound, format!("there is no kind {name:?}"));
    Box::new(error.hint(hint).details(serde_json::json!({"kind": name})))
}

fn invalid(rejected: &Rejected) -> Box<WireError> {
    let first = rejected.problems.first().map(ToString::to_string).unwrap_or_default();
    let more = match rejected.problems.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let message = format!("the configuration {} can't be used: {first}{more}", rejected.path);
    let error = WireError::new(ErrorCode::ConfigInvalid, message);
    Box::new(error.hint("see all of it: gobctl config check").details(rejected.details()))
}
