//! `{seed}` in the strings of a line with a matrix, and `{{` for a brace.

use std::ops::Range;

use crate::job::file::Wrong;
use crate::job::head::nearest;
use crate::job::shorten;

/// A part of a line that is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub range: Range<usize>,
    pub with: With,
}

/// What it is replaced by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// One brace, for two; or nothing.
    Brace(&'static str),
    /// The value of the field in this place, as JSON: the part is a whole string with its quotes.
    Value(usize),
    /// The value of the field in this place, as part of a string.
    Text(usize),
}

/// Adds what is to be replaced in the strings of the JSON value that lies there in the line, where the fields of the matrix
/// have these names. Names of fields are left alone. With `as_text`, a value in place of a whole string becomes a string.
pub(super) fn holes(
    line: &str,
    value: Range<usize>,
    names: &[&str],
    as_text: bool,
    found: &mut Vec<Hole>,
) -> Result<(), Wrong> {
    let bytes = line.as_bytes();
    let mut at = value.start;
    while let Some(quote) = memchr::memchr(b'"', &bytes[at..value.end]) {
        let start = at + quote + 1;
        let mut end = start;
        while end < value.end && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        at = end + 1;
        let is_name = line[at.min(value.end)..value.end].trim_ascii_start().starts_with(':');
        if !is_name {
            in_string(line, start..end, names, as_text, found)?;
        }
    }
    Ok(())
}

/// The same of what lies between the quotes of a string.
fn in_string(
    line: &str,
    inner: Range<usize>,
    names: &[&str],
    as_text: bool,
    found: &mut Vec<Hole>,
) -> Result<(), Wrong> {
    let bytes = line.as_bytes();
    let mut at = inner.start;
    while at < inner.end {
        let brace = match bytes[at] {
            b'\\' => {
                at += 2;
                continue;
            }
            b'{' => "{",
            b'}' => "}",
            _ => {
                at += 1;
                continue;
            }
        };
        if at + 1 < inner.end && bytes[at + 1] == bytes[at] {
            found.push(Hole { range: at..at + 2, with: With::Brace(brace) });
            at += 2;
            continue;
        }
        let wrong = |message: String| Err(Wrong { column: at + 1, message });
        if brace == "}" {
            return wrong("a `}` without a `{` before it: in a line with a matrix, write `}}` for a brace".to_owned());
        }
        let Some(len) = memchr::memchr(b'}', &bytes[at..inner.end]) else {
            return wrong("a `{` without a `}` after it: in a line with a matrix, write `{{` for a brace".to_owned());
        };
        let name = &line[at + 1..at + len];
        if !name.chars().all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '-') {
            return wrong(
                "a `{` that begins no placeholder: in a line with a matrix, write `{{` and `}}` for braces".to_owned(),
            );
        }
        let Some(field) = names.iter().position(|known| *known == name) else {
            let near = nearest(name, names.iter().copied())
                .map_or_else(|| ";".to_owned(), |near| format!(", did you mean `{{{near}}}`?"));
            let name = shorten(name);
            return wrong(format!(
                "unknown placeholder `{{{name}}}`{near} the matrix has {}; where braces are meant, write `{{{{{name}}}}}`",
                names.join(", ")
            ));
        };
        let range = at..at + len + 1;
        at = range.end;
        let whole = range == inner && !as_text;
        let (range, with) =
            if whole { (inner.start - 1..inner.end + 1, With::Value(field)) } else { (range, With::Text(field)) };
        found.push(Hole { range, with });
    }
    Ok(())
}
