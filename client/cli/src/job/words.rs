//! The words of a job's command. Pure.

use crate::failure::Failure;
use std::ffi::OsString;

/// The shell where `$SHELL` names none.
const SHELL: &str = "/bin/sh";

/// Returns the program and its arguments: the words as they are, or those of a single one with blanks, as a shell
/// splits it.
pub(super) fn split(words: Vec<String>) -> Result<Vec<String>, Failure> {
    let words = match words.as_slice() {
        [line] if line.contains(char::is_whitespace) => shlex::split(line).ok_or_else(|| unbalanced(line))?,
        _ => words,
    };
    if words.first().is_none_or(String::is_empty) {
        return Err(Failure::usage("the command is empty".to_owned()).hint("gobctl add npm run dev"));
    }
    Ok(words)
}

/// Words of a shell for which there is no program.
const BUILTINS: [&str; 17] = [
    ".", "alias", "cd", "eval", "exec", "exit", "export", "local", "popd", "pushd", "read", "set", "shift",
    "source", "trap", "ulimit", "unset",
];

/// Operators that stand as words of their own.
const OPERATORS: [&str; 5] = ["|", "||", "&&", ";", "&"];

/// Tells whether a program is a word of a shell, or an assignment.
pub(super) fn is_of_a_shell(program: &str) -> bool {
    let is_name = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    BUILTINS.contains(&program) || program.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// Returns what a user has to know of a single line that only a shell would take as it looks.
pub(super) fn note(line: &str) -> Option<String> {
    let remedy = "--shell runs the line through a shell";
    let words = unquoted(line);
    if let Some(word) = words.iter().flatten().find(|word| is_operator(word)) {
        return Some(format!("{word} is an argument here; {remedy}"));
    }
    let program = words.first()?.filter(|word| is_of_a_shell(word))?;
    Some(format!("{program} is a word of a shell, and no program; {remedy}"))
}

fn is_operator(word: &str) -> bool {
    let target = word.trim_start_matches(|c: char| c.is_ascii_digit());
    OPERATORS.contains(&word)
        || target.starts_with(['>', '<'])
        || word.starts_with("&>")
        || word.ends_with(';')
}

/// Returns the words of a line; `None` for one with a quote or a backslash, which is meant as it is.
fn unquoted(line: &str) -> Vec<Option<&str>> {
    let mut words = Vec::new();
    let (mut begun, mut quote, mut is_plain) = (None, None, true);
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, ' ' | '\t' | '\n') => {
                words.extend(begun.take().map(|from| line.get(from..at).filter(|_| is_plain)));
                is_plain = true;
                continue;
            }
            (None, '#') if begun.is_none() => return words,
            (None, '\'' | '"') => (quote, is_plain) = (Some(c), false),
            (None | Some('"'), '\\') => {
                is_plain = false;
                chars.next();
            }
            (Some(_) | None, _) => {}
        }
        begun = begun.or(Some(at));
    }
    words.extend(begun.map(|from| line.get(from..).filter(|_| is_plain)));
    words
}

/// Returns the command by which a shell runs the words, joined by blanks.
pub(super) fn by_shell(words: &[String], shell: Option<OsString>) -> Result<Vec<String>, Failure> {
    let shell = match shell.filter(|shell| !shell.is_empty()).map(OsString::into_string) {
        None => SHELL.to_owned(),
        Some(Ok(shell)) => shell,
        Some(Err(shell)) => {
            return Err(Failure::usage(format!("$SHELL is not UTF-8: {}", shell.to_string_lossy())));
        }
    };
    let text = words.join(" ");
    if text.trim().is_empty() {
        return Err(Failure::usage("the command is empty".to_owned()).hint("gobctl add --shell 'a | b'"));
    }
    Ok(vec![shell, "-c".to_owned(), text])
}

/// Returns the refusal of a line with a quote that nothing closes.
fn unbalanced(line: &str) -> Failure {
    let (at, what) = unclosed(line).unwrap_or((0, '"'));
    let (count, rest) = (line.get(..at).unwrap_or_default().chars().count() + 1, line.get(at..));
    let problem = if what == '\\' { "nothing is behind" } else { "nothing closes" };
    Failure::usage(format!("{problem} the {what} at character {count} of the command"))
        .cause(format!("it is the first of: {}", rest.unwrap_or_default()))
        .hint("one quoted command is split as a shell would; several words are taken as they are")
}

/// Finds the quote or backslash without an end, by the rules of `shlex`.
fn unclosed(line: &str) -> Option<(usize, char)> {
    let mut open: Option<(usize, char)> = None;
    let mut in_word = false;
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match (open.map(|(_, quote)| quote), c) {
            (Some(quote), _) if quote == c => open = None,
            (Some('\''), _) => {}
            (_, '\\') if chars.next().is_none() => return open.or(Some((at, c))),
            (Some(_), _) => {}
            (None, '\'' | '"') => (open, in_word) = (Some((at, c)), true),
            (None, '#') if !in_word => drop(chars.find(|(_, c)| *c == '\n')),
            (None, ' ' | '\t' | '\n') => in_word = false,
            (None, _) => in_word = true,
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<Vec<String>, Failure> {
        split(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn one_word_with_blanks_is_a_shells_line_and_several_stay() {
        let cases: [(&[&str], &[&str]); 7] = [
            (&["make"], &["make"]),
            (&["make -j4"], &["make", "-j4"]),
            (&["sh -c 'echo \"a  b\"; exit 3'"], &["sh", "-c", "echo \"a  b\"; exit 3"]),
            (&["a\\ b c\t\"d\\\"e\""], &["a b", "c", "d\"e"]),
            (&["make", "a b", "c'd"], &["make", "a b", "c'd"]),
            (&["it's"], &["it's"]),
            (&["echo ''"], &["echo", ""]),
        ];
        for (words, want) in cases {
            assert_eq!(of(words).unwrap(), want, "{words:?}");
        }
    }

    #[test]
    fn a_command_without_a_program_is_refused() {
        for words in [&[][..], &[""], &["  "], &["", "a"], &["'' a"], &["# nothing"]] {
            assert_eq!(of(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
        assert_eq!(by_shell(&[" ".to_owned()], None).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn an_open_quote_is_named_with_its_place() {
        for (line, at, what) in [
            ("echo 'it", 6, "closes the '"),
            ("ä \"a'b", 3, "closes the \""),
            ("a 'b' \"c\" 'd", 11, "closes the '"),
            ("echo a\\", 7, "behind the \\"),
            ("echo \"a\\", 6, "closes the \""),
            ("echo #'\n 'x", 10, "closes the '"),
        ] {
            let text = format!("{:?}", of(&[line]).unwrap_err());
            assert!(text.contains(&format!("at character {at} ")), "{line}: {text}");
            assert!(text.replace("\\\"", "\"").replace("\\\\", "\\").contains(what), "{line}: {text}");
        }
    }

    #[test]
    fn a_line_for_a_shell_is_told_of() {
        for (line, word) in [
            ("echo a | wc -c", "|"),
            ("make && make test", "&&"),
            ("make || true", "||"),
            ("make; make test", "make;"),
            ("a ; b", ";"),
            ("make > log 2>&1", ">"),
            ("make 2>&1", "2>&1"),
            ("make >>log", ">>log"),
            ("sort < in", "<"),
            ("sleep 5 &", "&"),
        ] {
            let want = format!("{word} is an argument here; --shell runs the line through a shell");
            assert_eq!(note(line), Some(want), "{line}");
        }
        for line in ["cd /tmp", "export A=b", "exit 3", "source x", "FOO=bar make", ". ./env"] {
            let program = line.split(' ').next().unwrap();
            let want = format!("{program} is a word of a shell, and no program; ");
            assert!(note(line).unwrap().starts_with(&want), "{line}");
        }
        for line in [
            "npm run dev",
            "grep '|' file",
            "find . -exec rm {} \\;",
            "sh -c 'a | b > c'",
            "echo \"x && y\"",
            "a # | b",
            "get http://h/?a=1&b=2 --x=1",
            "2a=b c",
            "x --flag=1",
            "",
        ] {
            assert_eq!(note(line), None, "{line}");
        }
    }

    #[test]
    fn a_shell_gets_the_words_in_one_text() {
        let words = ["a".to_owned(), "| b".to_owned()];
        assert_eq!(by_shell(&words, None).unwrap(), ["/bin/sh", "-c", "a | b"]);
        assert_eq!(by_shell(&words, Some("".into())).unwrap(), ["/bin/sh", "-c", "a | b"]);
        assert_eq!(by_shell(&words, Some("/bin/zsh".into())).unwrap(), ["/bin/zsh", "-c", "a | b"]);
    }
}
