//! The database's address, and its password.
//!
//! The password stands in a file of its own, in the file that `PGPASSFILE` names or `~/.pgpass`, or in the address. It is shown nowhere.

use super::failure::Failure;
use gob_protocol::database::{self, MEND};
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Time limit of a connection attempt to one host.
const CONNECTING: Duration = Duration::from_secs(3);
/// Time after which a peer is taken for gone that acknowledges nothing.
const UNHEARD: Duration = Duration::from_secs(5);
/// The largest file of passwords that is read.
const MAX_PASSWORDS: u64 = 1 << 20;

/// The address of the database, with the places where its password may be.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    url: String,
    password_file: Option<PathBuf>,
    /// `PGPASSFILE`, or `~/.pgpass`.
    passwords: Option<PathBuf>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.shown()).finish()
    }
}

impl Address {
    /// Creates an address. `password_file` has the password alone; `passwords` has lines `host:port:database:user:password`.
    #[must_use]
    pub fn new(url: String, password_file: Option<PathBuf>, passwords: Option<PathBuf>) -> Self {
        Self { url, password_file, passwords }
    }

    /// Returns the address without a password.
    #[must_use]
    pub fn shown(&self) -> String {
        database::shown(&self.url)
    }

    /// Returns what a connection needs, with the password as it is now.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let unfit = |why: &str| {
            let shown = self.shown();
            Failure::Away(format!(
                "{shown} is no address of a PostgreSQL database: {why}{MEND}mend shared.url"
            ))
        };
        if let Some(problem) = database::problem(&self.url) {
            return Err(unfit(problem));
        }
        let mut config: Config = self.url.parse().map_err(|_| unfit("it can't be read"))?;
        config.ssl_mode(SslMode::Disable).application_name("gobd").connect_timeout(CONNECTING);
        config
            .tcp_user_timeout(UNHEARD)
            .keepalives_idle(UNHEARD)
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(2);
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host_path("/run/postgresql");
        }
        if config.get_user().is_none() {
            let user = gob_host::passwd::user(nix::unistd::geteuid().as_raw());
            let user = user.ok_or_else(|| {
                Failure::Away(format!(
                    "the address has no user, and this user has no name{MEND}name a user in shared.url"
                ))
            })?;
            config.user(user.name);
        }
        if let Some(password) = self.password(&config)? {
            config.password(password);
        }
        Ok(config)
    }

    fn password(&self, config: &Config) -> Result<Option<String>, Failure> {
        if let Some(path) = &self.password_file {
            let text = read(path)?;
            return Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()));
        }
        let Some(path) =
            self.passwords.as_ref().filter(|path| path.exists() && config.get_password().is_none())
        else {
            return Ok(None);
        };
        let text = read(path)?;
        Ok(text.lines().find_map(|line| password_of(line, config)))
    }
}

/// Reads a file with a password, which only its user may read.
fn read(path: &Path) -> Result<String, Failure> {
    let away = |why: String| {
        let remedy = "have the password in a file that only this user reads (shared.password_file)";
        Failure::Away(format!("cannot read the password in {}: {why}{MEND}{remedy}", path.display()))
    };
    let about = fs::metadata(path).map_err(|e| away(e.to_string()))?;
    if about.mode() & 0o077 != 0 {
        return Err(away(format!("others may read it: chmod 600 {}", path.display())));
    }
    if !about.is_file() || about.len() > MAX_PASSWORDS {
        return Err(away("it is no small file".to_owned()));
    }
    fs::read_to_string(path).map_err(|e| away(e.to_string()))
}

/// Returns the password of a line `host:port:database:user:password`, if it is about this connection.
fn password_of(line: &str, config: &Config) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let fields = fields(line);
    let [host, port, database, user, password] = <[String; 5]>::try_from(fields).ok()?;
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        // As libpq has it: a line for `localhost` is for a socket, too.
        Host::Unix(path) => path.to_string_lossy().into_owned(),
    });
    let is_socket = config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_)));
    let is_host =
        host == "*" || (is_socket && host == "localhost") || hosts.into_iter().any(|name| name == host);
    let ports = config.get_ports();
    let is_port = port == "*"
        || port.parse::<u16>().is_ok_and(|port| ports.contains(&port) || (ports.is_empty() && port == 5432));
    let user_of = config.get_user();
    let is_database = database == "*" || Some(&*database) == config.get_dbname().or(user_of);
    let is_user = user == "*" || Some(&*user) == user_of;
    (is_host && is_port && is_database && is_user).then_some(password)
}

/// Splits a line at its colons; a backslash takes a colon's or a backslash's meaning away.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let is_last = fields.len() == 5;
        match (letter, fields.last_mut()) {
            ('\\', Some(field)) => field.extend(letters.next()),
            (':', Some(_)) if !is_last => fields.push(String::new()),
            (letter, Some(field)) => field.push(letter),
            (_, None) => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn config(url: &str) -> Config {
        Address::new(url.to_owned(), None, None).config().unwrap()
    }

    #[test]
    fn a_line_of_passwords_is_for_the_connection_that_it_names() {
        let tcp = config("postgres://ada@db.example:5433/jobs");
        assert_eq!(password_of("db.example:5433:jobs:ada:s3cret", &tcp).as_deref(), Some("s3cret"));
        assert_eq!(password_of(r"*:*:*:*:a\:b\\c:d", &tcp).as_deref(), Some(r"a:b\c:d"));
        for other in [
            "other:5433:jobs:ada:x",
            "*:5432:jobs:ada:x",
            "*:*:other:ada:x",
            "*:*:*:bob:x",
            "#*:*:*:*:x",
            "*:*:*:x",
        ] {
            assert_eq!(password_of(other, &tcp), None, "{other}");
        }
        let socket = config("postgres://ada@%2Frun%2Fdb/jobs");
        assert_eq!(password_of("localhost:5432:jobs:ada:s", &socket).as_deref(), Some("s"));
        assert_eq!(password_of("/run/db:*:*:*:s", &socket).as_deref(), Some("s"));
    }

    #[test]
    fn a_password_is_read_from_a_file_that_nobody_else_reads_and_shown_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, "hunter2\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let address = Address::new("postgres://ada@localhost/jobs".to_owned(), Some(path.clone()), None);
        let error = address.config().unwrap_err().to_string();
        assert!(error.contains("others may read it: chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(address.config().unwrap().get_password(), Some(&b"hunter2"[..]));
        let inline = Address::new("postgres://ada:hunter2@localhost/jobs".to_owned(), None, None);
        assert!(!format!("{inline:?} {}", inline.shown()).contains("hunter2"));
        assert_eq!(inline.config().unwrap().get_password(), Some(&b"hunter2"[..]));
    }

    #[test]
    fn an_address_that_can_not_be_used_says_why_without_its_password() {
        for (url, why) in [
            ("postgres://ada:hunter2@localhost/jobs?sslmode=require", "does not speak"),
            ("postgres://ada:hunter2@localhost:port/jobs", "is no address"),
            ("postgres://ada:hunter2@localhost:0/jobs", "a port is"),
        ] {
            let error = Address::new(url.to_owned(), None, None).config().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_configuration_takes_no_address_that_a_connection_would_refuse() {
        let parts = [
            "postgres://db:99999/jobs",
            "postgres://db:0x10/jobs",
            "postgres://db/jobs?nosuch=1",
            "postgres://db/jobs?sslmode",
            "postgres://db/jobs?sslmode=allow",
            "postgres://db/jobs?connect_timeout=",
            "postgres://db/jobs?keepalives=yes",
            "postgres://db/jobs?keepalives_retries=-1",
            "postgres://db/jobs?target_session_attrs=primary",
            "postgres://db/jobs?load_balance_hosts=all",
            "postgres://db/jobs?hostaddr=db",
            "postgres://db/jobs?port=5432,x",
            "postgres://[::1/jobs",
            "postgres://[::1]x/jobs",
            "postgres://%FF@db/jobs",
            "postgres://db/%FF",
            "postgresql://ada:p%40ss@[::1]:5433,db,/jobs?options=-c%20x%3Dy&&",
            "postgres://ada:p%40ss@[::1]:5433,db:/jobs?options=-c%20x%3Dy&target_session_attrs=any",
            "postgres://",
            "postgres://?",
            "postgres://db?host=a&port=2",
            "postgres://ada@%2Frun%2Fdb?user=%zz",
        ];
        for url in parts {
            let problem = database::problem(url);
            match url.parse::<Config>() {
                Err(why) => assert!(problem.is_some(), "{url} is taken, but: {why}"),
                Ok(_) if url == "postgres://" => {}
                Ok(_) => assert_eq!(problem, None, "{url}"),
            }
        }
    }
}
