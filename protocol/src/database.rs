//! The address of the database that several machines share: as it may be shown, and what is wrong with it. A password may be in it, so
//! that no problem quotes it.

use std::net::IpAddr;

/// Stands between the reason why the database does not answer and the remedy, where a person has to find one.
pub const MEND: &str = "; to mend it: ";
/// The problem of an address that asks for TLS.
const TLS: &str = "gob does not speak TLS to a database: use a Unix socket, a private network or a tunnel";

/// Splits a reason into the fault and the remedy.
#[must_use]
pub fn remedy(reason: &str) -> (&str, Option<&str>) {
    reason.split_once(MEND).map_or((reason, None), |(fault, remedy)| (fault, Some(remedy)))
}

/// Returns the reason why the address can't be used, if it can't.
#[must_use]
pub fn problem(url: &str) -> Option<&'static str> {
    parts(url).err()
}

/// Goes through the parts of an address as tokio-postgres does, which is as strict as libpq.
fn parts(url: &str) -> Result<(), &'static str> {
    const FORM: &str = "it has to be postgres://user@host/database";
    let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.filter(|rest| !rest.is_empty()).ok_or(FORM)?;
    let (user, rest) = rest.split_once('@').unwrap_or(("", rest));
    decode(user.split(':').next().unwrap_or_default())?;
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (places, rest) = rest.split_at(at);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    decode(path)?;
    let (mut hosts, mut addresses, mut ports) = (0, 0, 0);
    for place in places.split(',').filter(|_| !places.is_empty()) {
        let (host, port) = match place.strip_prefix('[') {
            Some(inner) => {
                let (host, after) = inner.split_once(']').ok_or("an IPv6 address ends with ]")?;
                let is_port = after.is_empty() || after.starts_with(':');
                (host, is_port.then(|| after.get(1..)).ok_or("after ] stands :PORT or nothing")?)
            }
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        decode(host)?;
        port_of(&decode(port.unwrap_or_default())?)?;
        (hosts, ports) = (hosts + 1, ports + 1);
    }
    let mut rest = query;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or("each parameter after ? is KEY=VALUE")?;
        let (value, after) = after.split_once('&').unwrap_or((after, ""));
        rest = after;
        let (key, value) = (decode(key)?, decode(value)?);
        match &*key {
            "host" => hosts += 1,
            "hostaddr" => {
                let is_address = |part: &str| part.parse::<IpAddr>().is_ok();
                value.split(',').all(is_address).then_some(()).ok_or("hostaddr has to be an IP address")?;
                addresses += value.split(',').count();
            }
            "port" => {
                value.split(',').try_for_each(port_of)?;
                ports += value.split(',').count();
            }
            _ => parameter(&key, &value)?,
        }
    }
    if hosts > 0 && addresses > 0 && hosts != addresses {
        return Err("it has another number of hosts than of hostaddr");
    }
    let places = if hosts > 0 { hosts } else { addresses };
    if ports > 1 && ports != places { Err("it has another number of ports than of hosts") } else { Ok(()) }
}

fn parameter(key: &str, value: &str) -> Result<(), &'static str> {
    let is_number = || value.parse::<i64>().is_ok();
    let (is_good, problem) = match key {
        "user" | "password" | "dbname" | "options" | "application_name" => (true, ""),
        "sslmode" => match value {
            "disable" | "prefer" => (true, ""),
            "allow" => (false, "sslmode=allow is not known here: use sslmode=disable"),
            _ => (false, TLS),
        },
        "channel_binding" if value == "require" => (false, TLS),
        "channel_binding" => {
            (matches!(value, "disable" | "prefer"), "channel_binding has to be disable or prefer")
        }
        "sslnegotiation" => {
            (matches!(value, "postgres" | "direct"), "sslnegotiation has to be postgres or direct")
        }
        "connect_timeout" | "tcp_user_timeout" | "keepalives_idle" | "keepalives_interval" => {
            (is_number(), "a time after ? has to be a number of seconds")
        }
        "keepalives" => (value.parse::<u64>().is_ok(), "keepalives has to be 0 or 1"),
        "keepalives_retries" => (value.parse::<u32>().is_ok(), "keepalives_retries has to be a number"),
        "target_session_attrs" => (
            matches!(value, "any" | "read-write" | "read-only"),
            "target_session_attrs has to be any, read-write or read-only",
        ),
        "load_balance_hosts" => {
            (matches!(value, "disable" | "random"), "load_balance_hosts has to be disable or random")
        }
        _ => (false, "a parameter after ? is not known; a ? in a password is written as %3F, an @ as %40"),
    };
    if is_good { Ok(()) } else { Err(problem) }
}

fn port_of(port: &str) -> Result<(), &'static str> {
    let is_port = port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0);
    if is_port { Ok(()) } else { Err("a port is a number from 1 to 65535") }
}

/// Returns a part with its `%XX` decoded; a percent sign alone stands for itself.
fn decode(part: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| "its %XX are no UTF-8")
}

/// Returns an address without its password.
#[must_use]
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "an address that is no URL".to_owned() };
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    // A password may have a slash or an `@` that should have been written as `%2F` or `%40`: nothing before the last `@` is shown of it.
    let rest = match rest.rsplit_once('@') {
        Some((user, place)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{user}@{place}")
        }
        None => rest.to_owned(),
    };
    let is_secret = |pair: &&str| !pair.to_ascii_lowercase().contains("pass");
    let query: Vec<_> =
        query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).filter(is_secret).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{rest}{mark}{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_can_not_be_used_has_a_problem_that_does_not_quote_it() {
        for (url, wanted) in [
            ("mysql://ada:hunter2@db/jobs", "it has to be postgres"),
            ("postgres://ada:hunter2@db:99999/jobs", "a port is"),
            ("postgres://ada:hunter2@db:0/jobs", "a port is"),
            ("postgres://ada:hun/ter2@db/jobs?port=5433", "another number of ports"),
            ("postgres://ada:hunter2@[::1/jobs", "an IPv6 address"),
            ("postgres://ada:hunter2@[::1]5/jobs", "after ] stands"),
            ("postgres://ada:hunter2@db/jobs?hunter2=1", "is not known"),
            ("postgres://ada:hunter2@db/jobs?hunter2", "KEY=VALUE"),
            ("postgres://ada:hunter2@db/jobs?sslmode=verify-full", "does not speak TLS"),
            ("postgres://ada:hunter2@db/jobs?channel_binding=require", "does not speak TLS"),
            ("postgres://ada:hunter2@db/jobs?connect_timeout=soon", "number of seconds"),
            ("postgres://ada:hunter2@db/%FF", "no UTF-8"),
            ("postgres://ada:hunter2@a,b:1,c/jobs?hostaddr=::1", "hostaddr"),
        ] {
            let problem = problem(url).unwrap_or_else(|| panic!("{url} is taken"));
            assert!(problem.contains(wanted) && !problem.contains("hunter2"), "{url}: {problem}");
        }
        for url in [
            "postgres://db",
            "postgres:///jobs",
            "postgresql://ada@%2Frun%2Fdb/jobs",
            "postgres://ada:hunter2@a,b:1,[::1]:2/jobs?connect_timeout=3&sslmode=prefer",
            "postgres:///jobs?host=/run/db&port=5433&user=ada",
        ] {
            assert_eq!(problem(url), None, "{url}");
        }
    }

    #[test]
    fn a_remedy_is_parted_from_the_reason() {
        let reason = format!("it does not let ada in{MEND}mend the password");
        assert_eq!(remedy(&reason), ("it does not let ada in", Some("mend the password")));
        assert_eq!(remedy("connection refused"), ("connection refused", None));
    }

    #[test]
    fn a_password_is_never_shown() {
        for (url, expected) in [
            ("postgres://ada:hunter2@db/jobs", "postgres://ada@db/jobs"),
            (
                "postgres://ada:hun@ter2/x@db:5433/jobs?connect_timeout=3",
                "postgres://ada@db:5433/jobs?connect_timeout=3",
            ),
            (
                "postgres://db/jobs?user=ada&password=hunter2&host=/run/db",
                "postgres://db/jobs?user=ada&host=/run/db",
            ),
            ("postgresql://%2Frun%2Fdb/jobs", "postgresql://%2Frun%2Fdb/jobs"),
            ("hunter2", "an address that is no URL"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }
}
