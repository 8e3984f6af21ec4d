//! The files of a service and their places: found, judged, written, removed.
//!
//! Nothing that gobctl did not write is changed. A unit is enabled by the link that `systemctl --user enable` makes, so that it is so
//! without a running manager too.

use super::texts::{self, Names};
use crate::failure::Failure;
use crate::text::shell_path;
use gob_client::Dirs;
use gob_host::dirs::check_owner;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The name of the service unit.
pub(crate) const SERVICE: &str = "gobd.service";
/// The name of the socket unit.
pub(crate) const SOCKET: &str = "gobd.socket";

/// The program that starts the supervisor at a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A unit of the user's systemd.
    Systemd,
    /// An agent of launchd.
    Launchd,
    /// A file that desktops start (Desktop Application Autostart Specification).
    Autostart,
}

impl Form {
    const ALL: [Self; 3] = [Self::Systemd, Self::Launchd, Self::Autostart];

    /// Returns the form for this machine.
    pub(crate) fn here() -> Self {
        match () {
            () if cfg!(target_os = "macos") => Self::Launchd,
            () if super::calls::has_systemd() => Self::Systemd,
            () => Self::Autostart,
        }
    }

    /// Returns the word for programs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
            Self::Autostart => "autostart",
        }
    }
}

/// The content of an item.
#[derive(Debug)]
pub(crate) enum Content {
    /// A file with this text.
    Text(String),
    /// A link to this path.
    Link(PathBuf),
    /// Nothing is to be there.
    None,
}

/// A file or link of the service.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
}

/// The state of an item before it is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Absent,
    /// It is as it should be.
    Same,
    /// gobctl wrote it, and it is different.
    Older,
    /// Another program or person made it.
    Foreign,
}

/// Returns the directory of the user's configuration.
///
/// # Errors
/// When there is no home.
pub(crate) fn config_home() -> Result<PathBuf, Failure> {
    // The file that GOB_CONFIG names may lie anywhere.
    let var = |name: &str| std::env::var_os(name).filter(|_| name != "GOB_CONFIG");
    let dirs = Dirs::resolve(var, nix::unistd::geteuid().as_raw()).map_err(gob_client::Error::from)?;
    Ok(dirs.config.parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default())
}

/// Returns the directory of the user's own units.
pub(crate) fn units(config: &Path) -> PathBuf {
    config.join("systemd/user")
}

/// Returns the items of a form; without names, that none of them is to be there.
pub(crate) fn items(form: Form, config: &Path, names: Option<&Names>, activation: bool) -> Vec<Item> {
    let item =
        |path: PathBuf, content: Option<Content>| Item { path, content: content.unwrap_or(Content::None) };
    match form {
        Form::Systemd => {
            let dir = units(config);
            let (service, socket) = (dir.join(SERVICE), dir.join(SOCKET));
            let (at_login, on_demand) = (names.filter(|_| !activation), names.filter(|_| activation));
            let link = |to: &PathBuf| Content::Link(to.clone());
            vec![
                item(service.clone(), names.map(|names| Content::Text(names.unit()))),
                item(socket.clone(), on_demand.map(|names| Content::Text(names.socket()))),
                item(dir.join("default.target.wants").join(SERVICE), at_login.map(|_| link(&service))),
                item(dir.join("sockets.target.wants").join(SOCKET), on_demand.map(|_| link(&socket))),
            ]
        }
        Form::Launchd => {
            let home = config.parent().unwrap_or(config);
            let path = home.join("Library/LaunchAgents/gob.gobd.plist");
            vec![item(path, names.map(|names| Content::Text(names.agent())))]
        }
        Form::Autostart => {
            let path = config.join("autostart/gob.desktop");
            vec![item(path, names.map(|names| Content::Text(names.autostart())))]
        }
    }
}

/// Returns what gobctl has written in other forms than this one, to be removed: it was installed with another PATH, or on another system.
pub(crate) fn others(form: Form, config: &Path) -> Vec<Item> {
    let others = Form::ALL.into_iter().filter(|other| *other != form);
    others
        .flat_map(|other| items(other, config, None, false))
        .filter(|item| item.state() == State::Older)
        .collect()
}

impl Item {
    /// Returns what is there.
    pub(crate) fn state(&self) -> State {
        let Ok(found) = fs::symlink_metadata(&self.path) else { return State::Absent };
        match &self.content {
            Content::Link(to) if found.is_symlink() => {
                let is_same = fs::canonicalize(&self.path)
                    .ok()
                    .is_some_and(|there| fs::canonicalize(to).ok() == Some(there));
                if is_same { State::Same } else { State::Older }
            }
            Content::Text(_) | Content::None | Content::Link(_) => self.state_of_file(&found),
        }
    }

    fn state_of_file(&self, found: &fs::Metadata) -> State {
        let is_link = matches!(self.content, Content::Link(_));
        // A link that enables a unit is nobody's text; one in the place of a unit is a mask, or leads elsewhere.
        if found.is_symlink() && matches!(self.content, Content::None) && self.is_in_wants() {
            return State::Older;
        }
        let text = found.is_file().then(|| fs::read_to_string(&self.path).ok()).flatten();
        match text {
            Some(text) if !is_link && texts::is_ours(&text) => match &self.content {
                Content::Text(wanted) if *wanted == text => State::Same,
                Content::Text(_) | Content::None | Content::Link(_) => State::Older,
            },
            Some(_) | None => State::Foreign,
        }
    }

    fn is_in_wants(&self) -> bool {
        self.path.parent().is_some_and(|dir| dir.extension().is_some_and(|name| name == "wants"))
    }

    /// Refuses an item in whose place something lies that gobctl did not write, or that lies in another user's home.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if matches!(self.content, Content::None) {
            return Ok(());
        }
        check_owner("XDG_CONFIG_HOME", &self.path, |name| std::env::var_os(name)).map_err(|error| {
            let error = gob_client::Error::from(error);
            Failure::own("not-installed", 1, error.to_string()).hint(
                error
                    .hint()
                    .unwrap_or_else(|| "run it as the user who is to have it, without sudo".to_owned()),
            )
        })?;
        if self.state() != State::Foreign {
            return Ok(());
        }
        let shown = self.path.display();
        let cause = match fs::read_link(&self.path) {
            Ok(to) => format!("it is a link to {}; nothing was changed", to.display()),
            Err(_) => "gobctl did not write it; nothing was changed".to_owned(),
        };
        Err(Failure::own("not-ours", 1, format!("{shown} is there already"))
            .cause(cause)
            .hint(format!("to have gob's own, move it away first: mv {0} {0}.old", shell_path(&self.path))))
    }

    /// Brings the item about; returns what was done, `None` for nothing.
    ///
    /// # Errors
    /// When it can't be written or removed.
    pub(crate) fn apply(&self) -> Result<Option<&'static str>, Failure> {
        let state = self.state();
        let failed = |deed: &'static str| {
            let path = self.path.display().to_string();
            move |error: io::Error| {
                Failure::own("not-installed", 1, format!("cannot {deed} {path}")).cause(error.to_string())
            }
        };
        match (&self.content, state) {
            (Content::None, State::Absent | State::Foreign | State::Same) | (_, State::Same) => Ok(None),
            (Content::None, State::Older) => {
                fs::remove_file(&self.path).map_err(failed("remove"))?;
                Ok(Some("removed"))
            }
            (Content::Text(text), _) => {
                write(&self.path, text).map_err(failed("write"))?;
                Ok(Some(if state == State::Absent { "wrote" } else { "wrote anew" }))
            }
            (Content::Link(to), _) => {
                link(to, &self.path).map_err(failed("make the link"))?;
                Ok(Some("enabled by"))
            }
        }
    }
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| DirBuilder::new().recursive(true).mode(0o700).create(dir))
}

fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

/// Writes a file beside its place and renames it: a reader finds the old one or the new one, whole.
fn write(path: &Path, text: &str) -> io::Result<()> {
    make_parent(path)?;
    let new = temporary(path);
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    put(&new, path, written)
}

fn link(to: &Path, path: &Path) -> io::Result<()> {
    make_parent(path)?;
    let new = temporary(path);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    put(&new, path, std::os::unix::fs::symlink(to, &new))
}

fn put(new: &Path, path: &Path, made: io::Result<()>) -> io::Result<()> {
    let put = made.and_then(|()| fs::rename(new, path));
    if put.is_err() {
        fs::remove_file(new).ok();
    }
    put
}
