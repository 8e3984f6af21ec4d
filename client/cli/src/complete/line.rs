//! A line of bash before the cursor, in words.
//!
//! bash hands over words as they are typed and breaks them at `:` and `=` too; readline replaces the text behind the last
//! such break, or behind a quote that is open. So the line is read here once more, and only what readline replaces is returned.

/// A line, as far as it is typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The whole words, without their quotes; the first one is the program.
    pub(super) words: Vec<String>,
    /// The word at the cursor, without its quotes.
    pub(super) current: String,
    /// The word at the cursor names a file behind `<` or `>`.
    pub(super) is_redirection: bool,
    /// The beginning of that word that readline leaves.
    stays: String,
    /// The quote that is open at the cursor.
    quote: Option<char>,
    /// A word has begun.
    is_in_word: bool,
}

/// Characters that mean nothing to bash in a word.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || !c.is_ascii() || "_-./:=@%+,".contains(c)
}

impl Line {
    pub(super) fn of(text: &str, breaks: &str) -> Self {
        let mut line = Self::default();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match (line.quote, c) {
                (Some(quote), _) if c == quote => {
                    line.quote = None;
                    line.stays.clone_from(&line.current);
                }
                (Some('"'), '\\') => {
                    let escaped = chars.next_if(|next| "$`\"\\".contains(*next));
                    line.current.push(escaped.unwrap_or('\\'));
                }
                (Some(_), _) => line.current.push(c),
                // At the end of the line nothing is escaped yet.
                (None, '\\') => {
                    line.is_in_word = true;
                    line.current.extend(chars.next());
                }
                (None, '\'' | '"') => {
                    line.is_in_word = true;
                    line.quote = Some(c);
                    line.stays.clone_from(&line.current);
                }
                (None, '<' | '>') => {
                    // A number before it is a descriptor.
                    if line.current.chars().all(|c| c.is_ascii_digit()) {
                        line.current.clear();
                        line.is_in_word = false;
                    }
                    line.end_word();
                    line.is_redirection = true;
                }
                (None, ';' | '|' | '&') => line = Self::default(),
                (None, _) if c.is_whitespace() => line.end_word(),
                (None, _) => {
                    line.is_in_word = true;
                    line.current.push(c);
                    if breaks.contains(c) {
                        line.stays.clone_from(&line.current);
                    }
                }
            }
        }
        line
    }

    fn end_word(&mut self) {
        if !self.is_in_word {
            return;
        }
        let word = std::mem::take(&mut self.current);
        self.stays.clear();
        self.is_in_word = false;
        let is_file = std::mem::take(&mut self.is_redirection);
        // Variables stand before the program.
        let is_variable = self.words.is_empty() && word.contains('=');
        if !is_file && !is_variable {
            self.words.push(word);
        }
    }

    /// Returns the text to insert for a word; `None` if it is none that begins as the typed one.
    pub(super) fn inserted(&self, word: &str) -> Option<String> {
        let rest = word.strip_prefix(&self.stays)?;
        Some(match self.quote {
            // readline closes the quote, unless the text ends with one.
            Some('\'') if rest.ends_with('\'') => format!("{}'", rest.replace('\'', "'\\''")),
            Some('\'') => rest.replace('\'', "'\\''"),
            Some(_) => {
                rest.chars().fold(String::new(), |text, c| match c {
                    // The history takes it also behind a backslash.
                    '!' => text + "\"'!'\"",
                    '"' if rest.ends_with('"') => text + "\\\"",
                    '$' | '`' | '"' | '\\' => format!("{text}\\{c}"),
                    _ => format!("{text}{c}"),
                }) + if rest.ends_with('"') { "\"" } else { "" }
            }
            None => rest.chars().fold(String::new(), |text, c| {
                if is_plain(c) { format!("{text}{c}") } else { format!("{text}\\{c}") }
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    #[test]
    fn words_are_read_as_bash_reads_them() {
        let words = |text: &str| {
            let line = Line::of(text, BREAKS);
            (line.words.join("|"), line.current)
        };
        let is = |text: &str, whole: &str, current: &str| {
            assert_eq!(words(text), (whole.to_owned(), current.to_owned()), "{text}");
        };
        is("gobctl st", "gobctl", "st");
        is("gobctl stop ", "gobctl|stop", "");
        is(r"gobctl stop my\ no", "gobctl|stop", "my no");
        is(r#"gobctl stop "my no"#, "gobctl|stop", "my no");
        is(r#"gobctl stop "a \"b\" \n" 'it'\''s' x"#, "gobctl|stop|a \"b\" \\n|it's", "x");
        is("A=1 gobctl stop ä", "gobctl|stop", "ä");
        is("echo; gobctl stop '' ", "gobctl|stop|", "");
        is("gobctl list 2>/dev/null x", "gobctl|list", "x");
        is("gobctl stop a\\", "gobctl|stop", "a");
        assert!(Line::of("gobctl list > fi", BREAKS).is_redirection);
        assert!(!Line::of("gobctl list > file ", BREAKS).is_redirection);
    }

    #[test]
    fn only_what_readline_replaces_is_inserted_quoted_as_the_word_is() {
        let inserted = |text: &str, word: &str| Line::of(text, BREAKS).inserted(word).unwrap_or_default();
        assert_eq!(inserted("g stop my", "my notes"), r"my\ notes");
        assert_eq!(inserted(r"g stop my\ n", "my notes"), r"my\ notes");
        assert_eq!(inserted(r#"g stop "my n"#, "my $notes"), r"my \$notes");
        assert_eq!(inserted("g stop 'it", "it's"), r"it'\''s");
        assert_eq!(inserted("g stop 'it", "it'"), r"it'\'''");
        assert_eq!(inserted("g stop --owner=de", "--owner=desktop"), "desktop");
        assert_eq!(inserted("g stop a:b", "a:bc d"), r"bc\ d");
        assert_eq!(inserted("g stop \"it", "it!"), "it\"'!'\"");
        assert_eq!(inserted("g stop grü", "größe"), "größe");
        assert_eq!(Line::of("g stop a:b", BREAKS).inserted("x"), None);
    }
}
