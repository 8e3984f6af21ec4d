//! The files that start the supervisor, from one text each (`client/cli/service`), which packages use too.

use std::path::Path;

/// The beginning of each file's first comment.
pub(crate) const MARK: &str = "Written by gobctl daemon install";

const UNIT: &str = include_str!("../../service/gobd.service");
const SOCKET: &str = include_str!("../../service/gobd.socket");
const AGENT: &str = include_str!("../../service/gob.plist");
const AUTOSTART: &str = include_str!("../../service/gob.desktop");

/// The programs and variables that a file names. All of it is UTF-8 without control characters.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) keeper: String,
    pub(crate) gobctl: String,
    /// The supervisor's socket; `None` for the standard place, to which a specifier leads in every session of the user.
    pub(crate) socket: Option<String>,
    /// Variables of this shell that decide which supervisor it is.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Names {
    /// Returns the service unit of systemd.
    pub(crate) fn unit(&self) -> String {
        self.fill(UNIT)
    }

    /// Returns the socket unit of systemd.
    pub(crate) fn socket(&self) -> String {
        let place = self
            .socket
            .as_ref()
            .map_or_else(|| "%t/gob/daemon.sock".to_owned(), |path| path.replace('%', "%%"));
        self.fill(SOCKET).replace("@SOCKET@", &place)
    }

    fn fill(&self, text: &str) -> String {
        let lines = self
            .variables
            .iter()
            .map(|(name, value)| format!("Environment={}\n", quoted(&format!("{name}={value}"))));
        let keeper = if is_plain(&self.keeper) { self.keeper.clone() } else { quoted(&self.keeper) };
        text.replace("@ENVIRONMENT@", &lines.collect::<String>()).replace("@KEEPER@", &keeper)
    }

    /// Returns the agent of launchd.
    pub(crate) fn agent(&self) -> String {
        let pair = |(name, value): &(&str, String)| {
            format!("\t\t<key>{name}</key>\n\t\t<string>{}</string>\n", xml(value))
        };
        let lines: String = self.variables.iter().map(pair).collect();
        AGENT.replace("@ENVIRONMENT@", &lines).replace("@KEEPER@", &xml(&self.keeper))
    }

    /// Returns the autostart file of desktops (Desktop Entry Specification, The Exec key).
    pub(crate) fn autostart(&self) -> String {
        let mut words = Vec::new();
        if !self.variables.is_empty() {
            words.push("env".to_owned());
            words.extend(self.variables.iter().map(|(name, value)| format!("{name}={value}")));
        }
        words.extend([self.gobctl.clone(), "daemon".to_owned(), "start".to_owned()]);
        let words: Vec<String> = words.iter().map(|word| argument(word)).collect();
        AUTOSTART.replace("@COMMAND@", &words.join(" "))
    }
}

fn is_plain(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+,:@".contains(c))
}

/// Quotes for systemd.syntax(7); `%` begins a specifier.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Quotes an argument of an `Exec` key, whose value is a string with escapes of its own.
fn argument(word: &str) -> String {
    let percent = word.replace('%', "%%");
    if is_plain(&percent.replace(['%', '='], "")) {
        return percent;
    }
    let mut quoted = String::from("\"");
    for c in percent.chars() {
        match c {
            '\\' => quoted.push_str("\\\\\\\\"),
            '"' | '`' | '$' => quoted.extend(["\\\\", c.encode_utf8(&mut [0; 4])]),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// Returns the program that a service unit starts, as it was written by [`Names::unit`] or by hand.
pub(crate) fn program_of(unit: &str) -> Option<String> {
    let line = unit.lines().rev().find_map(|line| line.trim().strip_prefix("ExecStart="))?;
    let line = line.trim_start_matches(['@', '-', ':', '+', '!', ' ']);
    let word = match line.strip_prefix('"') {
        Some(rest) => {
            let mut word = String::new();
            let mut chars = rest.chars();
            loop {
                match chars.next()? {
                    '"' => break word,
                    '\\' => word.push(chars.next()?),
                    other => word.push(other),
                }
            }
        }
        None => line.split(' ').next()?.to_owned(),
    };
    Some(word.replace("%%", "%"))
}

/// Returns whether gobctl wrote a file.
pub(crate) fn is_ours(text: &str) -> bool {
    text.lines().take(2).any(|line| line.contains(MARK))
}

/// Returns whether `unit` starts this program.
pub(crate) fn starts(unit: &str, program: &Path) -> bool {
    program_of(unit).is_some_and(|path| Path::new(&path) == program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &str) -> Names {
        Names {
            keeper: format!("{dir}/gob-keeper"),
            gobctl: format!("{dir}/gobctl"),
            socket: Some(format!("{dir}/run/daemon.sock")),
            variables: vec![("GOB_STATE_DIR", format!("{dir}/state")), ("PATH", "/a b:/c".to_owned())],
        }
    }

    #[test]
    fn every_file_is_filled_and_known_as_ours() {
        let names = names("/opt/gob");
        for text in [names.unit(), names.socket(), names.agent(), names.autostart()] {
            assert!(!text.contains('@') || text.contains("@KEEPER@") == text.contains("@"), "{text}");
            assert!(is_ours(&text), "{text}");
        }
        assert!(!is_ours("[Unit]\n[Service]\nExecStart=/x\n"));
        assert!(names.unit().contains("\nExecStart=/opt/gob/gob-keeper --log\n"), "{}", names.unit());
        assert!(names.unit().contains("\nEnvironment=\"PATH=/a b:/c\"\n"), "{}", names.unit());
        assert!(names.autostart().contains(
            "\nExec=env GOB_STATE_DIR=/opt/gob/state \"PATH=/a b:/c\" /opt/gob/gobctl daemon start\n"
        ));
        let bare = Names { variables: Vec::new(), ..names };
        assert!(bare.unit().contains("$MAINPID\n# Exit code 0"), "{}", bare.unit());
        assert!(bare.autostart().contains("\nExec=/opt/gob/gobctl daemon start\n"));
    }

    #[test]
    fn odd_paths_are_quoted_and_read_back() {
        for dir in ["/opt/gob", "/a b", "/50%", "/a\"b", "/a\\b", "/ü", "/a$b"] {
            let unit = names(dir).unit();
            assert_eq!(program_of(&unit), Some(format!("{dir}/gob-keeper")), "{unit}");
            assert!(starts(&unit, Path::new(&format!("{dir}/gob-keeper"))));
            assert!(!starts(&unit, Path::new("/elsewhere/gob-keeper")));
        }
        assert!(names("/50%").unit().contains("ExecStart=\"/50%%/gob-keeper\" --log"));
        assert!(names("/50%").socket().contains("\nListenStream=/50%%/run/daemon.sock\n"));
        assert!(
            names("/a$\"\\").autostart().contains(r#""/a\\$\\"\\\\/gobctl" daemon start"#),
            "{}",
            names("/a$\"\\").autostart()
        );
        assert!(names("/a<&b").agent().contains("<string>/a&lt;&amp;b/gob-keeper</string>"));
        assert_eq!(program_of("[Service]\nExecStart=-/usr/bin/gobd --x\n").as_deref(), Some("/usr/bin/gobd"));
        assert_eq!(program_of("[Service]\n"), None);
    }
}
