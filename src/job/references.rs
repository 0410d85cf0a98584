//! `{"$result":…}`: an object of one field in place of a value, which stands for something that is looked up.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::job::file::Wrong;

/// Such an object in a line.
#[derive(Clone, Debug)]
pub(crate) struct Reference<'a> {
    /// All of it, braces included.
    pub range: Range<usize>,
    /// Where the field's name begins, its quote included.
    pub name_at: usize,
    /// What stands for it.
    pub value: &'a RawValue,
}

/// The objects of a line, which is JSON, whose one field is called `name`; ascending.
///
/// # Errors
/// Where other fields stand beside it.
pub(crate) fn references<'a>(line: &'a str, name: &str) -> Result<Vec<Reference<'a>>, Wrong> {
    let quoted = format!("\"{name}\"");
    let mut found: Vec<Reference<'_>> = Vec::new();
    for name_at in memchr::memmem::find_iter(line.as_bytes(), quoted.as_bytes()) {
        // A quote in a string has a backslash, so that this is a string of its own: a field's name or a value.
        let after = &line[name_at + quoted.len()..];
        let Some(value) = after.trim_ascii_start().strip_prefix(':') else { continue };
        let beside = || Wrong {
            column: name_at + 1,
            message: format!("beside `{name}` no other field can stand: the object is replaced as a whole"),
        };
        // One in another is read to its end for each that it is in.
        if found.last().is_some_and(|last| last.range.contains(&name_at)) {
            let message = format!("a `{name}` stands in the value of another one: it takes a name");
            return Err(Wrong { column: name_at + 1, message });
        }
        let before = line[..name_at].trim_ascii_end();
        if !before.ends_with('{') {
            return Err(beside());
        }
        let mut values = serde_json::Deserializer::from_str(value).into_iter::<&RawValue>();
        let Some(Ok(json)) = values.next() else { return Err(beside()) };
        let rest = value[values.byte_offset()..].trim_ascii_start();
        if !rest.starts_with('}') {
            return Err(beside());
        }
        found.push(Reference { range: before.len() - 1..line.len() - rest.len() + 1, name_at, value: json });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_within_another_is_refused_and_many_take_no_longer_than_their_text() {
        let found = references(r#"{"a":{"$file":"x"},"b":[{"$file":"y"}],"c":"$file"}"#, "$file").unwrap();
        assert_eq!(found.iter().map(|found| found.value.get()).collect::<Vec<_>>(), ["\"x\"", "\"y\""]);
        let deep = r#"{"$file":"#.repeat(100_000) + "1" + &"}".repeat(100_000);
        assert!(references(&deep, "$file").unwrap_err().message.contains("in the value of another one"));
    }
}
