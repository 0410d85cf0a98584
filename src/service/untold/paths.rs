//! Paths of the operator's, wherever they stand by themselves in a text.

use std::cmp::Reverse;

/// Paths, and what stands in their place where somebody is told what went wrong.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct Paths {
    /// The longest first.
    paths: Vec<(String, String)>,
}

impl Paths {
    /// These paths, each with what is told in its place; a folder ends in `/`.
    pub fn new(paths: impl IntoIterator<Item = (String, String)>) -> Self {
        // Told within JSON, too, where those would stand otherwise.
        let is_plain = |text: &str| !text.chars().any(|char| char.is_control() || char == '"' || char == '\\');
        let paths = paths.into_iter().filter(|(path, told)| path.len() > 1 && is_plain(path) && is_plain(told));
        let mut paths: Vec<_> = paths.collect();
        paths.sort_by_key(|(path, _)| Reverse(path.len()));
        paths.dedup();
        Self { paths }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The text without them, where it is plain or within JSON. What only looks like one within a longer path or an address stays.
    pub fn without(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (path, told) in &self.paths {
            if let Some(clean) = replaced(&text, path, told) {
                text = clean;
            }
        }
        text
    }
}

/// The text with a path replaced wherever it stands by itself; `None` where it does not.
fn replaced(text: &str, path: &str, told: &str) -> Option<String> {
    let mut clean = String::new();
    let mut from = 0;
    for at in memchr::memmem::find_iter(text.as_bytes(), path.as_bytes()) {
        let end = at + path.len();
        if at >= from && begins(&text[..at]) && (path.ends_with('/') || ends(&text[end..])) {
            clean.push_str(&text[from..at]);
            push_told(&mut clean, told);
            from = end;
        }
    }
    (from > 0).then(|| clean + &text[from..])
}

/// Adds what is told in place of a path; in an address it would be a host if it did not begin like one.
pub(super) fn push_told(text: &mut String, told: &str) {
    if text.ends_with("file://") && !told.starts_with('/') {
        text.push('/');
    }
    text.push_str(told);
}

/// Whether a path can begin after this.
fn begins(before: &str) -> bool {
    let Some(last) = before.chars().next_back() else { return true };
    let is_within = last.is_alphanumeric() || "/._-~".contains(last);
    !is_within || before.ends_with("file://") || ends_with_escape(before) || ends_with_color(before)
}

/// Whether it ends with an end of line or a tab as JSON writes them.
fn ends_with_escape(before: &str) -> bool {
    let Some(rest) = before.strip_suffix(['n', 't', 'r']) else { return false };
    // One of two is a backslash that stands for itself.
    (rest.len() - rest.trim_end_matches('\\').len()) % 2 == 1
}

/// Whether it ends as a terminal is told of a colour: `ESC[1;31m`.
fn ends_with_color(before: &str) -> bool {
    let numbers =
        before.strip_suffix('m').map(|rest| rest.trim_end_matches(|char: char| char.is_ascii_digit() || char == ';'));
    numbers.is_some_and(|rest| rest.ends_with("\u{1b}[") || rest.ends_with("\\u001b["))
}

/// Whether a path, or the name of a folder in it, can end before this.
fn ends(after: &str) -> bool {
    let mut chars = after.chars();
    match chars.next() {
        // The end of a sentence, or of a name that goes on.
        Some('.') => !chars.next().is_some_and(char::is_alphanumeric),
        Some(next) => !(next.is_alphanumeric() || "_-~".contains(next)),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_replaced_where_it_stands_by_itself_and_nowhere_else() {
        let pairs = [("/opt/run", "predict"), ("/opt/run/deep.py", "deep.py"), ("/srv/app/", "")];
        let paths = Paths::new(pairs.map(|(path, told)| (path.to_owned(), told.to_owned())));
        for (text, expected) in [
            ("/opt/run: no such program", "predict: no such program"),
            ("see /opt/run.", "see predict."),
            ("File \"/opt/run/deep.py\", line 3", "File \"deep.py\", line 3"),
            ("/opt/run/other.py", "predict/other.py"),
            ("/opt/runner/x, /opt/run.old, /opt/run-2", "/opt/runner/x, /opt/run.old, /opt/run-2"),
            ("https://example.com/srv/app/x", "https://example.com/srv/app/x"),
            ("/data/srv/app/x", "/data/srv/app/x"),
            ("'/srv/app/x/y' and (/srv/app/z)", "'x/y' and (z)"),
            ("/opt/run/opt/run", "predict/opt/run"),
            ("file:///srv/app/x.html", "file:///x.html"),
            ("é/opt/run", "é/opt/run"),
            ("a\n/opt/run\n\t/opt/run", "a\npredict\n\tpredict"),
            ("\u{1b}[1;31m/opt/run\u{1b}[0m, items/opt/run", "\u{1b}[1;31mpredict\u{1b}[0m, items/opt/run"),
            ("file:///opt/run/deep.py", "file:///deep.py"),
            // Within JSON.
            (r#""stderr":"a\n/opt/run\t/opt/run""#, r#""stderr":"a\npredict\tpredict""#),
            (r#""\u001b[31m/opt/run""#, r#""\u001b[31mpredict""#),
            (r#""C:\\n/opt/run""#, r#""C:\\n/opt/run""#),
        ] {
            assert_eq!(paths.without(text), expected, "{text}");
        }
    }

    #[test]
    fn what_would_break_a_text_of_json_is_left_alone() {
        let paths = Paths::new([("/a\"b".to_owned(), "x".to_owned()), ("/".to_owned(), String::new())]);
        assert_eq!(paths.without("/a\"b /c"), "/a\"b /c");
    }
}
