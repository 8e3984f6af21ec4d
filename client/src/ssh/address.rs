//! Addresses of the form `ssh://[USER@]HOST[:PORT]`. Pure.
//!
//! Names go onto the command line of ssh, and from there into `Match exec` and `ProxyCommand` of its configuration: a name
//! that is an option or means something to a shell is refused, as OpenSSH itself does.

use std::fmt;

const SCHEME: &str = "ssh://";
const FORM: &str = "it is ssh://[USER@]HOST[:PORT]";

/// Characters that mean something to a shell; those that OpenSSH refuses.
const OF_SHELLS: &str = "'`\"$\\;&<>|(){}";

/// The address of another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

/// A text that is no address, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address of another machine: {why}")]
pub struct BadAddress {
    text: String,
    why: String,
}

impl Address {
    /// Reads an address. The host may be a name of ssh's configuration, and an IPv6 address in brackets.
    ///
    /// # Errors
    /// When the text has another form, or a name that ssh must not be given.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let bad = |why: &str| BadAddress { text: hidden(text), why: why.to_owned() };
        let Some(rest) = text.strip_prefix(SCHEME) else {
            let has_scheme = text.is_empty() || text.contains("://");
            let near = format!("did you mean {SCHEME}{text}?");
            return Err(bad(if has_scheme { FORM } else { &near }));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(bad("nothing stands behind the host and its port: gob finds its own socket there"));
        }
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        if let Some(user) = user {
            if user.contains(':') {
                return Err(bad("a password does not belong there: ssh asks for it, or takes a key"));
            }
            if user.is_empty() || user.starts_with('-') || user.contains(unfit) {
                return Err(bad("ssh takes no such user name"));
            }
        }
        let (host, port) = split_port(place).ok_or_else(|| bad(FORM))?;
        if host.is_empty() || host.starts_with('-') || host.contains(unfit) {
            return Err(bad("ssh takes no such host name"));
        }
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return Err(bad("a port is a number from 1 to 65535")),
        };
        Ok(Self { user: user.map(str::to_owned), host: host.to_owned(), port })
    }

    /// Returns the user over there; ssh's configuration names one without it.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Returns the text without the password of a user.
fn hidden(text: &str) -> String {
    let (Some(begin), Some(end)) = (text.find("://").map(|at| at + 3), text.rfind('@')) else {
        return text.to_owned();
    };
    match text.get(begin..end).and_then(|user| user.split_once(':')) {
        Some((user, _)) => format!("{SCHEME}{user}:…{}", text.get(end..).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn unfit(c: char) -> bool {
    c.is_whitespace() || c.is_control() || OF_SHELLS.contains(c)
}

/// Splits the host from its port. An IPv6 address stands in brackets, so that its colons begin no port.
fn split_port(place: &str) -> Option<(&str, Option<&str>)> {
    if let Some(inner) = place.strip_prefix('[') {
        let (host, behind) = inner.split_once(']')?;
        return match behind.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => behind.is_empty().then_some((host, None)),
        };
    }
    match place.split_once(':') {
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((place, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, user, host, port) in [
            ("ssh://h", None, "h", None),
            ("ssh://me@h", Some("me"), "h", None),
            ("ssh://me@h:2222", Some("me"), "h", Some(2222)),
            ("ssh://me@corp.example@gate:22", Some("me@corp.example"), "gate", Some(22)),
            ("ssh://[::1]:22", None, "::1", Some(22)),
            ("ssh://me@[fe80::1%eth0]", Some("me"), "fe80::1%eth0", None),
            ("ssh://alias_of-config.1", None, "alias_of-config.1", None),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.user(), address.host(), address.port()), (user, host, port), "{text}");
            assert_eq!(address.to_string(), text);
        }
        assert_eq!(Address::parse("ssh://h/").unwrap().to_string(), "ssh://h");
    }

    #[test]
    fn what_ssh_must_not_be_given_is_refused() {
        for text in [
            "",
            "h",
            "me@h",
            "tcp://h",
            "ssh:h",
            "ssh://",
            "ssh://@h",
            "ssh://me@",
            "ssh://-oProxyCommand=x",
            "ssh://-l@h",
            "ssh://me@-h",
            "ssh://h:0",
            "ssh://h:65536",
            "ssh://h:ssh",
            "ssh://h:",
            "ssh://::1",
            "ssh://[::1",
            "ssh://[::1]22",
            "ssh://[-x]",
            "ssh://h/path",
            "ssh://h?x",
            "ssh://h#x",
            "ssh://a b",
            "ssh://h\n",
            "ssh://$(x)",
            "ssh://`x`@h",
            "ssh://x;y@h",
            "ssh://me:secret@h",
            "ssh://h|x",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        let near = Address::parse("me@h").unwrap_err().to_string();
        assert!(near.ends_with("did you mean ssh://me@h?"), "{near}");
    }
}
