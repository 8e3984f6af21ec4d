//! The core's surroundings: directories, settings, the supervisor's own name. Only a reload changes any of it.

use crate::paths::Paths;
use crate::refusals;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_config::kind::Kind;
use gob_config::{Config as Settings, Rejected};
use gob_protocol::answer::ServerInfo;
use gob_protocol::request::Start;
use gob_protocol::view::{ConfigStatus, InvalidFile};
use gob_protocol::{Env, Name, WireError};
use serde::{Deserialize, Serialize, Serializer};

/// The supervisor's surroundings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) server: ServerInfo,
    /// The configuration that is in effect.
    pub(crate) settings: Settings,
    /// The files that are not used as they are now.
    pub(crate) rejected: Vec<Rejected>,
    pub(crate) paths: Paths,
    /// The environment of a graph whose start carried none: HOME, USER, PATH, LANG.
    #[serde(serialize_with = "write_env")]
    pub(crate) base_env: Env,
    /// Time between an owner's last lease and what follows from it.
    pub(crate) lease_grace_ms: u64,
    /// The machine's name.
    #[serde(default)]
    pub(crate) host: String,
}

fn write_env<S: Serializer>(env: &Env, serializer: S) -> Result<S::Ok, S::Error> {
    Env::serialize_in_state(&Some(env), serializer)
}

impl Setup {
    /// The kind by which a graph is started, and its name.
    pub(crate) fn kind_for(
        &self,
        graph: &Name,
        asked: Option<&String>,
    ) -> Result<(String, Kind), Box<WireError>> {
        let found = self.settings.kind_of(graph.as_str(), asked.map(String::as_str));
        let all = &self.rejected;
        let doubt = |kind: &str| all.iter().find(|file| file.says_something_of(graph.as_str(), kind));
        match found {
            Ok((name, kind)) => match doubt(&name) {
                Some(rejected) => Err(refusals::config_invalid(rejected)),
                None => Ok((name, kind)),
            },
            Err(name) => match doubt(&name).or(all.first()) {
                Some(rejected) => Err(refusals::config_invalid(rejected)),
                None => Err(self.no_kind(&name)),
            },
        }
    }

    /// The file that this supervisor reads may be another one than the client would.
    fn no_kind(&self, name: &str) -> Box<WireError> {
        let known: Vec<&str> = self.settings.kinds.keys().map(String::as_str).collect();
        let dirs = self.server.dirs.as_ref();
        refusals::no_kind(name, &known, dirs.and_then(|dirs| dirs.config.as_deref()))
    }

    /// The directory that a start means: the one that it names, else the graph's or the kind's, else gob's own.
    pub(crate) fn root_for(&self, graph: &Name, start: &Start) -> String {
        let configured =
            || self.kind_for(graph, start.kind.as_ref()).ok().and_then(|(_, kind)| kind.root_dir);
        start.root_dir.clone().or_else(configured).unwrap_or_else(|| self.paths.data_dir.clone())
    }

    /// The files of the configuration, as `status` has them.
    pub(crate) fn config_status(&self) -> ConfigStatus {
        let of = |file: &Rejected| InvalidFile {
            path: file.path.clone(),
            problems: file.problems.len() as u64,
            first: file.first(),
        };
        ConfigStatus {
            files: self.settings.files().map(ToString::to_string).collect(),
            invalid: self.rejected.iter().map(of).collect(),
        }
    }
}
