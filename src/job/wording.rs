//! What is wrong with a line of a job file, in words for people: serde's messages speak of Rust's types and leave out the
//! field that they are about.

use std::borrow::Cow;

/// The field of the line's object whose value the byte at `column` (from 1) belongs to, by its text between the quotes.
/// `None` where the place is outside every value, or the line is no object.
pub(super) fn field_at(line: &str, column: usize) -> Option<&str> {
    let mut depth = 0_usize;
    // Of the object's own fields: the name read last, and whether its colon has come.
    let (mut name, mut in_value) = (None, false);
    let (mut in_string, mut escaped, mut string_start) = (false, false, 0);
    for (at, byte) in line.bytes().enumerate().take(column) {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    in_string = false;
                    if depth == 1 && !in_value {
                        name = line.get(string_start..at);
                    }
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => (in_string, string_start) = (true, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 1 => in_value = true,
            b',' if depth == 1 => (name, in_value) = (None, false),
            _ => {}
        }
    }
    name.filter(|_| in_value && depth > 0)
}

/// What is said besides where more than a job is on its line.
pub(super) const ONE_A_LINE: &str = ": write one job a line";

/// A message of serde's in plain words. What it does not know stays as it is.
pub(super) fn plain(message: &str) -> Cow<'_, str> {
    if let Some(inside) = message.strip_prefix("EOF while parsing ") {
        return format!("the job ends inside {inside}").into();
    }
    match message {
        "expected value" => return "here a value is missing, or is not JSON".into(),
        "trailing characters" => return format!("more follows after the end of the job{ONE_A_LINE}").into(),
        _ => {}
    }
    let typed = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match typed.and_then(|rest| rest.split_once(", expected ")) {
        Some((got, expected)) => format!("expected {}, got {}", plain_type(expected), plain_value(got)).into(),
        None => message.into(),
    }
}

fn plain_type(expected: &str) -> Cow<'_, str> {
    let greatest = match expected {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" | "usize" => u64::MAX,
        "a boolean" => return "true or false".into(),
        "a sequence" => return "a list".into(),
        "a map" => return "an object".into(),
        "path string" => return "a path, as a string".into(),
        _ => return expected.into(),
    };
    format!("a whole number from 0 to {greatest}").into()
}

fn plain_value(got: &str) -> Cow<'_, str> {
    for word in ["integer ", "floating point ", "boolean ", "string "] {
        if let Some(value) = got.strip_prefix(word) {
            return value.into();
        }
    }
    match got {
        "sequence" => "a list".into(),
        "map" => "an object".into(),
        "unit value" => "null".into(),
        _ => got.into(),
    }
}

/// Says which field a message is about, where it does not say so itself.
pub(super) fn with_field<'a>(message: Cow<'a, str>, field: Option<&str>) -> Cow<'a, str> {
    match field {
        Some(field) if !message.starts_with(field) && !message.contains(&format!("`{field}`")) => {
            format!("`{field}`: {message}").into()
        }
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_belongs_to_the_field_whose_value_it_lies_in() {
        let line = r#" {"a":-1,"b\",:":[{"c":2},"}"],"d":{"e":1}} "#;
        let field = |part: &str| field_at(line, line.find(part).unwrap() + part.len());
        for (part, expected) in [
            (" {", None),
            (r#"{"a""#, None),
            (r#"{"a":"#, Some("a")),
            ("-1", Some("a")),
            ("-1,", None),
            (r#"{"c":2"#, Some(r#"b\",:"#)),
            (r#""}""#, Some(r#"b\",:"#)),
            (r#"{"e":1}"#, Some("d")),
            (r#"{"e":1}}"#, None),
        ] {
            assert_eq!(field(part), expected, "up to {part}");
        }
        for (line, column) in [("", 1), ("[1,2]", 3), ("}}:{", 9), ("{\"é", 3), ("{\"é\":", 9)] {
            assert!(field_at(line, column).is_none_or(|field| field == "é"), "{line}");
        }
    }

    #[test]
    fn types_are_told_as_what_to_write() {
        for (theirs, ours) in [
            ("invalid value: integer `-1`, expected u32", "expected a whole number from 0 to 4294967295, got `-1`"),
            ("invalid type: sequence, expected path string", "expected a path, as a string, got a list"),
            ("invalid type: string \"a, b\", expected a boolean", "expected true or false, got \"a, b\""),
            ("missing field `bins`", "missing field `bins`"),
            ("EOF while parsing a list", "the job ends inside a list"),
        ] {
            assert_eq!(plain(theirs), ours);
        }
    }

    #[test]
    fn a_field_is_named_once() {
        let named = |message: &'static str| with_field(message.into(), Some("bins")).into_owned();
        assert_eq!(named("expected a list, got 5"), "`bins`: expected a list, got 5");
        assert_eq!(named("missing field `bins`"), "missing field `bins`");
        assert_eq!(named("bins[3]: too large"), "bins[3]: too large");
        assert_eq!(with_field("as it is".into(), None), "as it is");
    }
}
