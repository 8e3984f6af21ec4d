//! Replaces `{name}` in the texts of a kind (CLI, Configuration).

/// Replaces `{name}` for the names with a value; other braces stay.
#[must_use]
pub fn filled(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        if let Some((value, behind)) =
            after.split_once('}').and_then(|(name, behind)| Some((value(name)?, behind)))
        {
            out.push_str(&value);
            rest = behind;
        } else {
            out.push('{');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_value_stay() {
        let filled = |text| filled(text, |name| (name == "graph").then(|| "{graph}".to_owned()));
        assert_eq!(filled("/r/{graph}.lock"), "/r/{graph}.lock");
        assert_eq!(filled("{}{nope}{{graph}}{"), "{}{nope}{{graph}}{");
        assert_eq!(filled("{\"a\":{graph}}"), "{\"a\":{graph}}");
    }
}
