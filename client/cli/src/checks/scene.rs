//! State that all checks share: the directories, the lock, and the supervisor's answer, which is requested
//! once.

use super::probe::{Listener, listener};
use crate::context::Context;
use crate::failure::Failure;
use gob_client::autostart::LockHolder;
use gob_client::call::List;
use gob_client::holder::{Holder, holder};
use gob_client::protocol::Status;
use gob_client::protocol::answer::{ListData, ServerInfo};
use gob_client::{Dirs, Error, View, call};
use std::path::PathBuf;
use std::time::Duration;

/// Time limit of the supervisor's answer, unless `--timeout` sets another.
const PATIENCE: Duration = Duration::from_secs(2);

/// The supervisor that answers.
pub(super) struct Answers {
    pub(super) server: ServerInfo,
    /// Whether it can go on with another program.
    pub(super) upgrades: bool,
    pub(super) status: Status,
    pub(super) workers: Vec<View>,
}

/// The result of the request.
pub(super) enum Supervisor {
    /// The supervisor answers.
    Answers(Box<Answers>),
    /// The socket has no listener.
    Nobody,
    /// The socket has a listener that does not work.
    Trouble(Failure),
}

/// The state of this user's gob.
pub(super) struct Scene {
    /// Quiet, with a deadline, never starting anything.
    pub(super) context: Context,
    pub(super) dirs: Dirs,
    pub(super) supervisor: Supervisor,
    /// The supervisor's socket, and its listener.
    pub(super) socket: (PathBuf, Listener),
    /// The holder of the state directory's lock.
    pub(super) lock: Option<Holder>,
}

impl Scene {
    /// Gathers the state.
    pub(super) fn look(context: &Context, dirs: Dirs) -> Self {
        let context = Context {
            quiet: true,
            timeout: Some(context.timeout.unwrap_or(PATIENCE)),
            ..context.without_autostart()
        };
        let supervisor = match ask(&context) {
            Ok(answers) => Supervisor::Answers(Box::new(answers)),
            Err(Failure::Client(Error::Nobody { .. })) => Supervisor::Nobody,
            Err(failure) => Supervisor::Trouble(failure),
        };
        let mut socket = dirs.socket();
        let mut who = listener(&socket);
        let told = LockHolder::read(&dirs).map(|holder| holder.socket);
        // As every client does: the own directory first, then the one in the lock file.
        if let (Listener::Absent | Listener::Nobody, Some(told)) = (who, told)
            && matches!(listener(&told), Listener::Process(_) | Listener::Unknown)
        {
            who = listener(&told);
            socket = told;
        }
        let lock = holder(&dirs.lock_file());
        Self { context, dirs, supervisor, socket: (socket, who), lock }
    }

    /// Returns the supervisor, if it answers.
    pub(super) fn answers(&self) -> Option<&Answers> {
        match &self.supervisor {
            Supervisor::Answers(answers) => Some(answers),
            Supervisor::Nobody | Supervisor::Trouble(_) => None,
        }
    }

    /// Returns whether the socket has no listener and the lock no holder.
    pub(super) fn is_deserted(&self) -> bool {
        matches!(self.supervisor, Supervisor::Nobody) && self.lock.is_none()
    }
}

fn ask(context: &Context) -> Result<Answers, Failure> {
    let mut client = context.connect("hello")?;
    let timeout = context.timeout.unwrap_or(PATIENCE);
    let status = client.call(call::Status, timeout)?;
    let list = client.call(List::default(), timeout)?;
    let list = client.whole_list(&List::default(), list)?;
    let ListData { workers, .. } = list.read()?;
    let (server, upgrades) = (client.server().clone(), client.has_feature("upgrade"));
    Ok(Answers { server, upgrades, status: status.read()?, workers })
}
