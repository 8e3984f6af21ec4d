//! The address of the database that several machines share, as it may be shown.

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
