//! Forms: what an action asks a person before it is done, and the request that follows from the answers.

use super::Ask;
use crate::call;
use crate::screen::text;
use crate::{Name, Owner};
use gob_protocol::answer::GraphOnDisk;
use gob_protocol::request::Wait;

/// A form as it is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the requests")]
pub enum Form {
    /// Ensures a graph. Without a kind it gets the configured one.
    StartGraph { name: String, kind: String },
    /// Runs a command in the background. Without a name it gets a number.
    NewJob { command: String, cwd: String, name: String },
    /// Sends a signal.
    Signal { worker: Name, signal: String },
    /// Makes another owner the owner.
    HandOver { worker: Name, to: String },
    /// Forgets a worker.
    Remove { worker: Name },
}

/// A text to type.
#[derive(Debug)]
pub struct Field<'a> {
    /// Its label.
    pub label: &'static str,
    /// An example.
    pub hint: &'static str,
    /// The text as it is typed.
    pub value: &'a mut String,
}

/// Owners that a worker is handed to most often.
const OWNERS: [&str; 4] = ["cli", "desktop", "agent", "electron"];
/// Signals that programs are sent most often.
const SIGNALS: [&str; 4] = ["HUP", "USR1", "USR2", "INT"];

impl Form {
    /// Returns the form of a graph's start.
    #[must_use]
    pub const fn start_graph() -> Self {
        Self::StartGraph { name: String::new(), kind: String::new() }
    }

    /// Returns the form of a new job that begins in this directory.
    #[must_use]
    pub fn new_job(cwd: &str) -> Self {
        Self::NewJob { command: String::new(), cwd: cwd.to_owned(), name: String::new() }
    }

    /// Returns its headline.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::StartGraph { .. } => "Start a graph".to_owned(),
            Self::NewJob { .. } => "Run a command in the background".to_owned(),
            Self::Signal { worker, .. } => format!("Send a signal to {}", text::name(worker.as_str())),
            Self::HandOver { worker, .. } => format!("Hand {} over", text::name(worker.as_str())),
            Self::Remove { worker } => format!("Remove {}?", text::name(worker.as_str())),
        }
    }

    /// Returns the label of the button that sends it.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::StartGraph { .. } => "Start",
            Self::NewJob { .. } => "Run",
            Self::Signal { .. } => "Send",
            Self::HandOver { .. } => "Hand over",
            Self::Remove { .. } => "Remove",
        }
    }

    /// Returns the explanation of its effect; empty where the title says all.
    #[must_use]
    pub const fn note(&self) -> &'static str {
        match self {
            Self::StartGraph { .. } => "",
            Self::NewJob { .. } => {
                "Words are divided as a shell does it; no shell runs it. For pipes: sh -c 'a | b'."
            }
            Self::Signal { .. } => "A program that does not handle the signal ends by it.",
            Self::HandOver { .. } => {
                "Its new owner may stop and restart it, and you may only use it. Only programs of that owner can hand it back."
            }
            Self::Remove { .. } => {
                "gob forgets it: its entry, its history and its logs go. Data of a graph stays."
            }
        }
    }

    /// Returns its fields in order; none where it only has to be confirmed.
    pub fn fields(&mut self) -> Vec<Field<'_>> {
        let field = |label, hint, value| Field { label, hint, value };
        match self {
            Self::StartGraph { name, kind } => vec![
                field("Name of the graph", "such as notes", name),
                field("Kind (optional)", "the graph's own, or the default", kind),
            ],
            Self::NewJob { command, cwd, name } => vec![
                field("Command", "such as npm run dev", command),
                field("Directory", "such as /home/you/project", cwd),
                field("Name (optional)", "such as web", name),
            ],
            Self::Signal { signal, .. } => vec![field("Signal", "such as HUP", signal)],
            Self::HandOver { to, .. } => vec![field("New owner", "such as agent", to)],
            Self::Remove { .. } => Vec::new(),
        }
    }

    /// Returns the texts that complete a field for a requester, of those that are known to the surface: kinds of the configuration, graphs
    /// on disk.
    #[must_use]
    pub fn choices(
        &self,
        field: usize,
        me: &Owner,
        (kinds, graphs): (&[String], &[GraphOnDisk]),
    ) -> Vec<String> {
        match (self, field) {
            (Self::StartGraph { name, .. }, 0) => {
                let typed = name.to_lowercase();
                let known = graphs.iter().map(|graph| graph.graph.as_str());
                let like = known.filter(|known| {
                    let known = known.to_lowercase();
                    known.contains(&typed) && known != typed
                });
                like.map(str::to_owned).collect()
            }
            (Self::StartGraph { kind, .. }, _) => {
                let of_graphs = graphs.iter().filter_map(|graph| graph.kind.as_deref());
                let mut all: Vec<&str> = kinds.iter().map(String::as_str).chain(of_graphs).collect();
                all.sort_unstable();
                all.dedup();
                all.into_iter().filter(|known| known.starts_with(kind.as_str())).map(str::to_owned).collect()
            }
            (Self::Signal { .. }, _) => SIGNALS.map(str::to_owned).to_vec(),
            (Self::HandOver { .. }, _) => {
                OWNERS.into_iter().filter(|owner| *owner != me.as_str()).map(str::to_owned).collect()
            }
            (Self::NewJob { .. } | Self::Remove { .. }, _) => Vec::new(),
        }
    }

    /// Returns a remark on what was typed, which is no mistake.
    #[must_use]
    pub fn remark(&self, graphs: &[GraphOnDisk]) -> Option<&'static str> {
        let Self::StartGraph { name, .. } = self else { return None };
        let is_new = !name.is_empty() && !graphs.iter().any(|graph| graph.graph.as_str() == name);
        is_new.then_some("There is no graph of this name yet: an empty one is made.")
    }

    /// Returns the request.
    ///
    /// # Errors
    /// The mistake in the answers, in words.
    pub fn request(&self) -> Result<Ask, String> {
        match self {
            Self::StartGraph { name, kind } => {
                let name = Name::graph(name.trim()).map_err(|error| error.to_string())?;
                let kind = Some(kind.trim()).filter(|kind| !kind.is_empty()).map(str::to_owned);
                Ok(Ask::Start { name, kind })
            }
            Self::NewJob { command, cwd, name } => {
                let command = shlex::split(command).ok_or("a quote in the command has no end")?;
                if command.is_empty() {
                    return Err("the command is empty".to_owned());
                }
                if !cwd.starts_with('/') {
                    return Err("the directory has to begin with /".to_owned());
                }
                let name = Some(name.trim()).filter(|name| !name.is_empty());
                let name = name.map(Name::job).transpose().map_err(|error| error.to_string())?;
                let add = call::Add { command, cwd: cwd.clone(), name, ..call::Add::default() };
                Ok(Ask::Add(Box::new(call::Add { wait: Some(Wait::Spawned), ..add })))
            }
            Self::Signal { worker, signal } => {
                if signal.trim().is_empty() {
                    return Err("a signal has a name, such as HUP".to_owned());
                }
                Ok(Ask::Signal { name: worker.clone(), signal: signal.trim().to_owned() })
            }
            Self::HandOver { worker, to } => {
                if to.trim().is_empty() {
                    return Err("an owner has a name, such as cli".to_owned());
                }
                let to = Owner::new(to.trim()).map_err(|error| error.to_string())?;
                Ok(Ask::HandOver { name: worker.clone(), to })
            }
            Self::Remove { worker } => Ok(Ask::Remove { name: worker.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_told_and_nothing_is_sent() {
        let wrong = |form: Form| form.request().unwrap_err();
        assert!(!wrong(Form::start_graph()).is_empty());
        let job = |command: &str, cwd: &str| Form::NewJob {
            command: command.to_owned(),
            cwd: cwd.to_owned(),
            name: String::new(),
        };
        assert_eq!(wrong(job("echo 'a", "/")), "a quote in the command has no end");
        assert_eq!(wrong(job(" ", "/")), "the command is empty");
        assert_eq!(wrong(job("ls", "here")), "the directory has to begin with /");
        let worker = Name::any("web").unwrap();
        assert_eq!(
            wrong(Form::Signal { worker: worker.clone(), signal: String::new() }),
            "a signal has a name, such as HUP"
        );
        assert_eq!(wrong(Form::HandOver { worker, to: " ".to_owned() }), "an owner has a name, such as cli");
    }

    #[test]
    fn a_job_is_divided_into_words_as_a_shell_does_it() {
        let job =
            Form::NewJob { command: "echo 'a b'".to_owned(), cwd: "/".to_owned(), name: "x".to_owned() };
        let Ok(Ask::Add(add)) = job.request() else { panic!("{job:?}") };
        assert_eq!(
            (add.command.as_slice(), add.name),
            (["echo".to_owned(), "a b".to_owned()].as_slice(), Name::job("x").ok())
        );
    }

    #[test]
    fn graphs_and_kinds_complete_the_start_of_a_graph() {
        let graph = |name: &str| {
            let graph = serde_json::json!({"graph": name, "kind": "logseq", "root_dir": "/g", "path": "/g/x", "size_bytes": 1,
                "last_used_at": null, "state": null});
            serde_json::from_value::<GraphOnDisk>(graph).unwrap()
        };
        let (me, graphs) = (Owner::cli(), [graph("notes"), graph("Work")]);
        let hand_over = Form::HandOver { worker: Name::any("x").unwrap(), to: String::new() };
        assert_eq!(hand_over.choices(0, &me, (&[], &[])), ["desktop", "agent", "electron"]);
        let form = |name: &str| Form::StartGraph { name: name.to_owned(), kind: String::new() };
        assert_eq!(form("wo").choices(0, &me, (&[], &graphs)), ["Work"]);
        assert!(form("notes").choices(0, &me, (&[], &graphs)).is_empty(), "it is typed already");
        assert_eq!(form("").choices(1, &me, (&["graph".to_owned()], &graphs)), ["graph", "logseq"]);
        assert_eq!(form("notes").remark(&graphs), None);
        assert!(form("note").remark(&graphs).is_some());
    }
}
