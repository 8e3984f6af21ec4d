//! Values that are written as text: durations, sizes, paths, addresses. Pure; each error is a sentence.

/// Longest duration: a year. A longer one is a slip.
const MAX_DURATION_MS: f64 = 365.0 * 86_400_000.0;
/// Largest size: 1 PiB.
const MAX_SIZE: f64 = 1_125_899_906_842_624.0;

/// Reads `100ms`, `30s`, `1.5m`, `1h`, `2d` into milliseconds. Positive only.
pub(super) fn duration_ms(text: &str) -> Result<u64, String> {
    let (number, unit) = number_and_unit(text);
    let factor = match unit {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return Err(format!("{text:?} is not a duration; such as \"100ms\", \"30s\", \"5m\" or \"1h\"")),
    };
    let ms = number.filter(|n| n.is_finite()).map(|n| (n * factor).round());
    let ms = ms.ok_or_else(|| format!("{text:?} is not a duration; such as \"100ms\", \"30s\" or \"5m\""))?;
    if ms < 1.0 {
        return Err(format!("{text:?} is no time at all; it has to be at least \"1ms\""));
    }
    if ms > MAX_DURATION_MS {
        return Err(format!("{text:?} is longer than a year"));
    }
    Ok(whole(ms))
}

/// Reads `4096B`, `64KiB`, `10MiB`, `1GiB`, `10MB` into bytes. Positive only.
pub(super) fn size_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = number_and_unit(text);
    let factor = match unit {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        "TiB" => 1_099_511_627_776.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return Err(format!("{text:?} is not a size; such as \"64KiB\", \"10MiB\" or \"1GiB\"")),
    };
    let bytes = number.filter(|n| n.is_finite()).map(|n| (n * factor).round());
    let bytes = bytes
        .filter(|bytes| (1.0..=MAX_SIZE).contains(bytes))
        .ok_or_else(|| format!("{text:?} is not a size; it has to be from \"1B\" to \"1024TiB\""))?;
    Ok(whole(bytes))
}

fn number_and_unit(text: &str) -> (Option<f64>, &str) {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number.parse().ok(), unit.trim_start_matches(' '))
}

/// The value is positive, whole and below 2^53, so that no digit is lost.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "its callers have checked that it is whole, positive and far below 2^53"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Replaces `~/` at the beginning of a path by the home directory.
pub(super) fn expand_home(text: &str, home: Option<&str>) -> Result<String, String> {
    if text != "~" && !text.starts_with("~/") {
        return Ok(text.to_owned());
    }
    let home = home.filter(|home| home.starts_with('/')).ok_or("`~/` can't be replaced: HOME is not set")?;
    Ok(format!("{}{}", home.trim_end_matches('/'), text.strip_prefix('~').unwrap_or_default()))
}

/// Checks a request line such as `POST /v1/shutdown`.
pub(super) fn http_request(text: &str) -> Result<(), String> {
    let ok = text.split_once(' ').is_some_and(|(method, path)| {
        !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase()) && http_path(path).is_ok()
    });
    if ok {
        Ok(())
    } else {
        Err(format!("{text:?} is not a method and a path; such as \"POST /v1/shutdown\""))
    }
}

/// Checks a path such as `/healthz?full=1`.
pub(super) fn http_path(text: &str) -> Result<(), String> {
    if text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(format!(
            "{text:?} is not a path; it begins with `/`, and has neither spaces nor other characters than ASCII"
        ))
    }
}

/// Checks a scheme such as `redis`, `postgresql`, `git+ssh`: the part before `://` (RFC 3986, 3.1).
pub(super) fn scheme(text: &str) -> Result<(), String> {
    let begins = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    let goes_on = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    if begins && goes_on {
        Ok(())
    } else {
        Err(format!("{text:?} is not the scheme of a URL; such as \"http\", \"redis\" or \"postgresql\""))
    }
}

/// Checks an address: `127.0.0.1:{port}`, `[::1]:7687`, `localhost:{port}` for either of them,
/// `unix:{socket}`.
pub(super) fn address(text: &str) -> Result<(), String> {
    let is_unix = text.strip_prefix("unix:").is_some_and(|path| path.starts_with(['/', '{']));
    let plain = text.replace("{port}", "1").replacen("localhost:", "127.0.0.1:", 1);
    let is_loopback = plain.parse::<std::net::SocketAddr>().is_ok_and(|addr| addr.ip().is_loopback());
    if is_unix || is_loopback {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not an address; such as \"127.0.0.1:{{port}}\", \"localhost:{{port}}\", \"[::1]:7687\" or \"unix:{{socket}}\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes() {
        for good in ["redis", "postgresql", "git+ssh", "h2"] {
            assert_eq!(scheme(good), Ok(()), "{good}");
        }
        for bad in ["", "redis://", "Redis", "2x", "a b", "a_b"] {
            assert!(scheme(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations() {
        let good = [("100ms", 100), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("1.5s", 1_500)];
        for (text, want) in good {
            assert_eq!(duration_ms(text), Ok(want), "{text}");
        }
        for bad in
            ["", "30", "s", "0s", "-1s", "1x", "1.2.3s", "0.0001ms", "366d", "30 seconds", "inf", "1e3s"]
        {
            assert!(duration_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        let good =
            [("1B", 1), ("64KiB", 65_536), ("10MiB", 10 << 20), ("1GiB", 1 << 30), ("1.5MB", 1_500_000)];
        for (text, want) in good {
            assert_eq!(size_bytes(text), Ok(want), "{text}");
        }
        for bad in ["", "10", "10M", "MiB", "0B", "-1MiB", "2000TiB"] {
            assert!(size_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn homes() {
        let expand = |text| expand_home(text, Some("/h/"));
        assert_eq!(expand("~/x").as_deref(), Ok("/h/x"));
        assert_eq!(expand("~").as_deref(), Ok("/h"));
        assert_eq!(expand("~user/x").as_deref(), Ok("~user/x"));
        assert_eq!(expand("--x=~/y").as_deref(), Ok("--x=~/y"));
        assert!(expand_home("~/x", None).is_err());
    }

    #[test]
    fn addresses_and_requests() {
        for good in [
            "127.0.0.1:{port}",
            "127.0.0.1:80",
            "[::1]:{port}",
            "localhost:80",
            "localhost:{port}",
            "unix:{socket}",
        ] {
            assert_eq!(address(good), Ok(()), "{good}");
        }
        for bad in ["localhost", "127.0.0.1", "10.0.0.1:80", "unix:x", "{port}", "127.0.0.1:70000"] {
            assert!(address(bad).is_err(), "{bad}");
        }
        assert!(http_request("POST /v1/shutdown").is_ok() && http_path("/?x=%7B").is_ok());
        for bad in ["/v1/shutdown", "POST", "post /x", "POST x", "POST /x y", " /x"] {
            assert!(http_request(bad).is_err(), "{bad}");
        }
    }
}
