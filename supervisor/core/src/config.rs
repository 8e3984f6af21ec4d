//! The configuration: what a start takes from it, and what becomes of a new one (CLI, Configuration).
//!
//! The shell reads the file. A file that can't be used changes nothing; why it can't is kept for whoever needs what
//! stands in it. Workers that run keep the kind that they were started with until their next run.

use crate::Core;
use crate::io::{ConnId, Effect};
use crate::worker::Next;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::answer::ReloadData;
use gob_protocol::config::{Reading, Rejected};
use gob_protocol::kind::Kind;
use gob_protocol::request::Start;
use gob_protocol::view::{ConfigStatus, InvalidFile};
use gob_protocol::{Actor, Data, ErrorCode, Id, Name, Owner, WireError};

/// Requests for a new reading. What was asked for while a reading was under way is answered by the next one: the file
/// may have changed since that one began.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reloads {
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

    /// Takes over what was read. A file that is refused keeps none of the others from taking effect.
    pub(crate) fn configured(&mut self, read: Reading) {
        let old = &self.config.settings;
        let count = read.paths().count();
        let (new, rejected) = read.settle(old);
        let (added, removed) = (old.added(&new), new.added(old));
        let changed = ReloadData { changed: old.changes(&new), added, removed };
        let answer = match rejected.is_empty() {
            true => Ok(Data::Reload(changed)),
            false => Err(partly(&rejected, &changed, count > rejected.len())),
        };
        self.config.settings = new;
        self.config.rejected = rejected;
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
            if self.find_kind(&name).is_err() {
                continue;
            }
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
        let all = &self.config.rejected;
        let doubt = |kind: &str| all.iter().find(|file| file.says_something_of(graph.as_str(), kind));
        match found {
            Ok((name, kind)) => match doubt(&name) {
                Some(rejected) => Err(invalid(rejected)),
                None => Ok((name, kind)),
            },
            Err(name) => match doubt(&name).or(all.first()) {
                Some(rejected) => Err(invalid(rejected)),
                None => Err(self.no_kind(&name)),
            },
        }
    }

    /// The files of the configuration, as `status` has them.
    pub(crate) fn config_status(&self) -> ConfigStatus {
        let of = |file: &Rejected| InvalidFile {
            path: file.path.clone(),
            problems: file.problems.len() as u64,
            first: file.first(),
        };
        ConfigStatus {
            files: self.config.settings.files().map(ToString::to_string).collect(),
            invalid: self.config.rejected.iter().map(of).collect(),
        }
    }

    /// The file that this supervisor reads may be another one than the client would.
    fn no_kind(&self, name: &str) -> Box<WireError> {
        let known: Vec<&str> = self.config.settings.kinds.keys().map(String::as_str).collect();
        let known = known.join(", ");
        let dirs = self.config.server.dirs.as_ref();
        let file = dirs.and_then(|dirs| dirs.config.as_deref()).unwrap_or("the configuration");
        let hint = format!("kinds are: {known}; add one to {file}, then gobctl config reload");
        let error = WireError::new(ErrorCode::KindNotFound, format!("there is no kind {name:?}"));
        Box::new(error.hint(hint).details(serde_json::json!({"kind": name, "config": file})))
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

fn invalid(rejected: &Rejected) -> Box<WireError> {
    let message = format!("the configuration can't be used: {rejected}");
    let error = WireError::new(ErrorCode::ConfigInvalid, message);
    Box::new(error.hint("see all of it: gobctl config check").details(Rejected::details(&[rejected])))
}

/// Of a reload: some files are refused, and what changed in the others.
fn partly(rejected: &[Rejected], changed: &ReloadData, others: bool) -> Box<WireError> {
    let all: Vec<&Rejected> = rejected.iter().collect();
    let first = all.first().map(ToString::to_string).unwrap_or_default();
    let more = match all.len() {
        0 | 1 => String::new(),
        count => format!("; {} more files neither", count - 1),
    };
    let rest = if others { "; the others are in effect" } else { "" };
    let message = format!("the configuration can't be used: {first}{more}{rest}");
    let mut details = Rejected::details(&all);
    if let Some(fields) = details.as_object_mut() {
        fields.insert("changed".to_string(), serde_json::json!(changed.changed));
    }
    let error = WireError::new(ErrorCode::ConfigInvalid, message);
    Box::new(error.hint("see all of it: gobctl config check").details(details))
}
