//! `gobctl daemon install` and `uninstall`: the service that starts the supervisor.
//!
//! Both write, say what they did, and say what they could not do. A running supervisor is left alone.

use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::service::place::{Content, Form, Item, SERVICE, SOCKET, State, config_home, items, others};
use crate::service::{calls, names, running};
use crate::text::escape;
use crate::verbs::{Effect, Verb};
use clap::{Arg, ArgAction, ArgMatches};
use nix::unistd::geteuid;
use serde_json::{Value, json};

pub(crate) const VERB: Verb = Verb {
    path: &["daemon", "install"],
    effect: Effect::Changes,
    about: "Have the system start it: a systemd unit, or an autostart file",
    examples: "Examples:\n  gobctl daemon install\n  gobctl daemon install --linger\n  gobctl daemon install --socket-activation --print\n\nIt starts when you log in, with --linger when the machine starts, with --socket-activation when the first client connects.\nA running supervisor is left alone. docs/SERVICE.md has the whole story.\n",
    command: |command| {
        let flag = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
        };
        command
            .arg(flag("linger", "Also run it without a login, from boot on: loginctl enable-linger"))
            .arg(flag("socket-activation", "Start it at the first connection instead of the login"))
            .arg(flag("print", "Print the files instead of writing them"))
    },
    run: Some(install),
    ..Verb::ROW
};

pub(crate) const UNINSTALL: Verb = Verb {
    path: &["daemon", "uninstall"],
    effect: Effect::Changes,
    about: "Remove what install wrote; a running supervisor goes on",
    examples: "Examples:\n  gobctl daemon uninstall\n",
    run: Some(uninstall),
    ..Verb::ROW
};

/// Something that was not done, with the way to do it.
struct Undone {
    what: &'static str,
    why: String,
    hint: String,
}

/// All that a verb did and did not do.
#[derive(Default)]
struct Report {
    /// Deeds with their objects, such as `wrote` and a path.
    done: Vec<(&'static str, String)>,
    undone: Vec<Undone>,
}

impl Report {
    fn did(&mut self, deed: &'static str, object: impl Into<String>) {
        self.done.push((deed, object.into()));
    }

    fn left(&mut self, what: &'static str, why: impl Into<String>, hint: impl Into<String>) {
        self.undone.push(Undone { what, why: why.into(), hint: hint.into() });
    }

    fn tell(&self, context: &Context, form: Form) -> Result<(), Failure> {
        if context.json {
            let done: Vec<Value> =
                self.done.iter().map(|(deed, object)| json!({"deed": deed, "object": object})).collect();
            let undone: Vec<Value> = self
                .undone
                .iter()
                .map(|Undone { what, why, hint }| json!({"what": what, "why": why, "hint": hint}))
                .collect();
            return out::print(&format!(
                "{}\n",
                json!({"form": form.as_str(), "done": done, "undone": undone})
            ));
        }
        if context.quiet {
            return Ok(());
        }
        let done = self.done.iter().map(|(deed, object)| format!("{deed} {}\n", escape(object)));
        let undone = self.undone.iter().map(|Undone { what, why, hint }| {
            format!("not done: {what}: {}\n  {}\n", escape(why), escape(hint))
        });
        out::print(&done.chain(undone).collect::<String>())
    }
}

fn install(context: &Context, matches: &ArgMatches) -> Result<u8, Failure> {
    let (linger, activation) = (matches.get_flag("linger"), matches.get_flag("socket-activation"));
    let form = Form::here();
    if let Some(flag) =
        [("--linger", linger), ("--socket-activation", activation)].into_iter().find(|(_, is_set)| *is_set)
        && form != Form::Systemd
    {
        let message = format!("{} needs systemd, and there is no systemctl on PATH", flag.0);
        return Err(Failure::own("no-systemd", 1, message)
            .hint("gobctl daemon install, without the flag, writes what this system has"));
    }
    let names = names(&context.dirs()?, activation)?;
    let config = config_home()?;
    let items = items(form, &config, Some(&names), activation);
    if matches.get_flag("print") {
        return print(context, &items);
    }
    items.iter().try_for_each(Item::check)?;
    let mut report = Report::default();
    let had_socket = items.iter().any(|item| item.path.ends_with(SOCKET) && item.state() != State::Absent);
    apply(&items, &mut report)?;
    // Two would start it, and one of them from a place that is forgotten.
    apply(&others(form, &config), &mut report)?;
    match form {
        Form::Systemd => begin(context, activation, had_socket, &mut report),
        Form::Launchd => {
            let path = items.first().map(|item| item.path.display().to_string()).unwrap_or_default();
            report.left(
                "start it",
                "launchd reads the file at the next login",
                format!("launchctl bootstrap gui/$(id -u) {path}"),
            );
        }
        Form::Autostart => match running(context) {
            Some((pid, _)) => report.did("left alone:", format!("the running supervisor (pid {pid})")),
            None => report.left("start it", "the desktop does that at the next login", "gobctl daemon start"),
        },
    }
    let mut code = 0;
    if linger {
        match calls::enable_linger() {
            Ok(()) => report.did("enabled", "linger: it runs from boot on and after the last logout"),
            Err(why) => {
                code = 1;
                report.left(
                    "linger",
                    why,
                    format!("as an administrator: loginctl enable-linger {}", geteuid()),
                );
            }
        }
    }
    report.tell(context, form)?;
    Ok(code)
}

fn print(context: &Context, items: &[Item]) -> Result<u8, Failure> {
    let mut files = Vec::new();
    let mut text = String::new();
    for item in items {
        if let Content::Text(content) = &item.content {
            files.push(json!({"path": item.path.to_string_lossy(), "text": content}));
            text.push_str(&format!("==> {}\n{content}", item.path.display()));
        }
    }
    let printed = if context.json { format!("{}\n", json!({"files": files})) } else { text };
    out::print(&printed).map(|()| 0)
}

fn apply(items: &[Item], report: &mut Report) -> Result<(), Failure> {
    for item in items {
        let shown = item.path.display().to_string();
        match (item.apply()?, &item.content) {
            (Some(deed), _) => report.did(deed, shown),
            (None, Content::None) if item.state() == State::Foreign => {
                report.did("left alone, since gobctl did not write it:", shown);
            }
            (None, Content::Text(_)) => report.did("is up to date:", shown),
            (None, Content::None | Content::Link(_)) => {}
        }
    }
    Ok(())
}

/// Has the user's manager read the units, and start them where no supervisor runs.
fn begin(context: &Context, activation: bool, had_socket: bool, report: &mut Report) {
    let unit = if activation { SOCKET } else { SERVICE };
    if let Err(why) = calls::user_manager(&["daemon-reload"]) {
        let hint = format!(
            "it starts at your next login; else: systemctl --user daemon-reload && systemctl --user start {unit}"
        );
        return report.left("start it", why, hint);
    }
    if had_socket && !activation {
        stop_socket(report);
    }
    match running(context) {
        Some((pid, true)) => {
            report.did("left alone:", format!("the running supervisor (pid {pid}), which is the unit's"))
        }
        Some((pid, false)) => report.left(
            "start it",
            format!("the supervisor (pid {pid}) was not started by the unit, and goes on"),
            format!("when nobody needs the workers: gobctl daemon stop && systemctl --user start {unit}"),
        ),
        None => match calls::user_manager(&["start", unit]) {
            Ok(()) => report.did("started", unit),
            Err(why) => {
                report.left("start it", why, format!("systemctl --user status {unit}; gobctl doctor"))
            }
        },
    }
}

fn stop_socket(report: &mut Report) {
    match calls::user_manager(&["stop", SOCKET]) {
        Ok(()) => report.did("stopped", SOCKET),
        Err(why) => report.left("stop the socket unit", why, format!("systemctl --user stop {SOCKET}")),
    }
}

fn uninstall(context: &Context, _: &ArgMatches) -> Result<u8, Failure> {
    let form = Form::here();
    let config = config_home()?;
    let mut items = items(form, &config, None, false);
    items.extend(others(form, &config));
    let mut report = Report::default();
    let is_ours =
        |name: &str| items.iter().any(|item| item.path.ends_with(name) && item.state() == State::Older);
    let (had_socket, had_any) = (is_ours(SOCKET), items.iter().any(|item| item.state() == State::Older));
    // The manager would go on listening, and start the service again, without the file too.
    if had_socket {
        stop_socket(&mut report);
    }
    apply(&items, &mut report)?;
    if !had_any {
        report.did("nothing of gobctl's was installed;", "nothing was removed");
    } else if form == Form::Systemd
        && let Err(why) = calls::user_manager(&["daemon-reload"])
    {
        report.left("tell systemd", why, "systemctl --user daemon-reload");
    }
    if let Some((pid, _)) = running(context) {
        report.did("left alone:", format!("the running supervisor (pid {pid}); gobctl daemon stop ends it"));
    }
    report.tell(context, form)?;
    Ok(0)
}
