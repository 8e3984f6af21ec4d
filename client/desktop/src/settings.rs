//! The window's own settings, in a file of their own: `desktop.toml` beside `config.toml`.
//!
//! A file that can't be read is told of, and never written over: what is there is moved aside first.

use gob_client::Name;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Theme {
    /// As the desktop says.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) theme: Theme,
    /// The size of texts, in percent.
    pub(crate) text_size: u16,
    /// Long lines of the log are broken.
    pub(crate) wrap: bool,
    /// Workers of which a failure or a hand-over is told by a notification.
    pub(crate) notify: BTreeSet<Name>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { theme: Theme::System, text_size: 100, wrap: false, notify: BTreeSet::new() }
    }
}

/// The bounds of the size of texts.
pub(crate) const TEXT_SIZE: std::ops::RangeInclusive<u16> = 75..=200;

impl Settings {
    /// Reads settings from text.
    fn parse(text: &str) -> Result<Self, String> {
        let settings: Self = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map(|span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
            format!("{}{}", line.map(|line| format!("line {line}: ")).unwrap_or_default(), error.message())
        })?;
        if !TEXT_SIZE.contains(&settings.text_size) {
            let (least, most) = (TEXT_SIZE.start(), TEXT_SIZE.end());
            return Err(format!("text_size is {}; it has to be {least} to {most}", settings.text_size));
        }
        Ok(settings)
    }

    /// Returns the text of a file with these settings.
    fn text(&self) -> String {
        let mut text = format!(
            "# The settings of gob-desktop, which writes this file.\ntheme = \"{}\"        # system, light or dark\ntext_size = {}         # in percent\nwrap = {}\n",
            self.theme.as_str(),
            self.text_size,
            self.wrap
        );
        // Names have no control characters, so that a text of JSON is one of TOML.
        let names: Vec<String> =
            self.notify.iter().filter_map(|name| serde_json::to_string(name.as_str()).ok()).collect();
        writeln!(text, "notify = [{}]", names.join(", ")).ok();
        text
    }
}

/// The file of the settings.
#[derive(Debug, Clone)]
pub(crate) struct File {
    path: PathBuf,
    /// The file has something in it that could not be read.
    is_foreign: bool,
}

impl File {
    /// Reads the file beside the configuration; the settings are the default ones where there is none, and where it can't be
    /// read, which the text says.
    pub(crate) fn open(config: &Path) -> (Self, Settings, Option<String>) {
        let path = config.with_file_name("desktop.toml");
        let read = match std::fs::read_to_string(&path) {
            Ok(text) => Settings::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Settings::default()),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(settings) => (Self { path, is_foreign: false }, settings, None),
            Err(why) => {
                let trouble = format!("{} is not in effect: {why}", path.display());
                (Self { path, is_foreign: true }, Settings::default(), Some(trouble))
            }
        }
    }

    /// Returns its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes settings, whole or not at all. A file that could not be read is kept under another name.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(crate) fn write(&mut self, settings: &Settings) -> io::Result<()> {
        if let Some(dir) = self.path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        if self.is_foreign {
            std::fs::rename(&self.path, self.kept())?;
            self.is_foreign = false;
        }
        let new = self.path.with_extension("toml.new");
        std::fs::write(&new, settings.text())?;
        std::fs::rename(&new, &self.path)
    }

    /// Returns a name that no file has yet.
    fn kept(&self) -> PathBuf {
        let name = |number: u32| self.path.with_extension(format!("toml.unread-{number}"));
        (1..).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("new/config.toml");
        let (mut file, settings, trouble) = File::open(&config);
        assert_eq!((settings, trouble), (Settings::default(), None));
        let notify = ["a \"b\"", "日本"].into_iter().map(|name| Name::any(name).unwrap()).collect();
        let settings = Settings { theme: Theme::Dark, text_size: 150, wrap: true, notify };
        file.write(&settings).unwrap();
        assert_eq!(File::open(&config).1, settings);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_of_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.toml");
        for (number, text) in
            ["theme = \"blue\"\n", "wrap = true\ntext_size = 900\n", "# mine\nfont = 1\n"].iter().enumerate()
        {
            std::fs::write(dir.path().join("desktop.toml"), text).unwrap();
            let (mut file, settings, trouble) = File::open(&config);
            let trouble = trouble.unwrap();
            assert!(trouble.contains("desktop.toml is not in effect: "), "{trouble}");
            assert_eq!(settings, Settings::default());
            file.write(&Settings { wrap: true, ..settings }).unwrap();
            let kept = dir.path().join(format!("desktop.toml.unread-{}", number + 1));
            assert_eq!(std::fs::read_to_string(kept).unwrap(), *text);
            assert!(File::open(&config).1.wrap);
        }
    }
}
