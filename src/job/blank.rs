//! Takes fields out of a line without moving the others: a kind reads only its own, and errors keep their columns.

/// The line with these fields of its object, and the commas that they leave over, replaced by spaces.
///
/// The line has to be one JSON object; anything else comes back in some form that is no better JSON than it was.
pub(super) fn without_fields(line: &str, names: &[&str]) -> String {
    let mut bytes = line.as_bytes().to_vec();
    let members = members(line.as_bytes());
    let mut has_kept = false;
    for (i, member) in members.iter().enumerate() {
        if !line.get(member.name.clone()).is_some_and(|name| names.contains(&name)) {
            has_kept = true;
            continue;
        }
        bytes[member.start..member.end].fill(b' ');
        // A comma stands after every member but the last.
        let comma = if has_kept { i.checked_sub(1).map(|before| members[before].end) } else { Some(member.end) };
        if let Some(comma) = comma.filter(|at| bytes.get(*at) == Some(&b',')) {
            bytes[comma] = b' ';
        }
    }
    // Whole members were replaced, each of which begins and ends with ASCII.
    String::from_utf8(bytes).unwrap_or_else(|_| line.to_owned())
}

/// A member of the line's object: where it lies, up to its comma, and its name without the quotes.
pub(super) struct Member {
    pub start: usize,
    pub end: usize,
    pub name: std::ops::Range<usize>,
}

impl Member {
    /// Where its value lies, without the white space around it.
    pub fn value(&self, line: &str) -> std::ops::Range<usize> {
        let colon = line.as_bytes()[self.name.end..self.end].iter().position(|byte| *byte == b':');
        let start = colon.map_or(self.end, |at| self.name.end + at + 1);
        let text = &line[start..self.end];
        let start = start + (text.len() - text.trim_ascii_start().len());
        start..start + text.trim_ascii().len()
    }
}

/// The members of the object that the line is.
pub(super) fn members(line: &[u8]) -> Vec<Member> {
    let mut members = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    let mut name: Option<std::ops::Range<usize>> = None;
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b'"' => {
                let first = at + 1;
                at = first;
                while at < line.len() && line[at] != b'"' {
                    at += if line[at] == b'\\' { 2 } else { 1 };
                }
                if depth == 1 && name.is_none() {
                    name = Some(first..at.min(line.len()));
                }
            }
            b'{' | b'[' => {
                depth += 1;
                if depth == 1 {
                    start = at + 1;
                }
            }
            b',' if depth == 1 => {
                members.extend(name.take().map(|name| Member { start, end: at, name }));
                start = at + 1;
            }
            b'}' | b']' => {
                if depth == 1 {
                    members.extend(name.take().map(|name| Member { start, end: at, name }));
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        at += 1;
    }
    members
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_go_and_the_rest_keeps_its_place() {
        let without = |line| without_fields(line, &["after", "timeout"]);
        for (line, expected) in [
            (r#"{"a":1,"after":["x,}"],"b":2}"#, r#"{"a":1                ,"b":2}"#),
            (r#"{"after":[],"timeout":1,"b":2}"#, r#"{                       "b":2}"#),
            (r#"{"b":{"after":1},"after":"\"","timeout":5 }"#, r#"{"b":{"after":1}                          }"#),
            (r#"{"timeout":1}"#, r#"{           }"#),
            (r#"{"b":"after"}"#, r#"{"b":"after"}"#),
        ] {
            assert_eq!(without(line), expected);
            serde_json::from_str::<serde_json::Value>(expected).unwrap();
        }
    }

    proptest! {
        #[test]
        fn what_is_left_of_an_object_is_that_object_without_the_fields(
            fields in prop::collection::btree_map("after|timeout|[a-c]{1,2}", "[\\PC,{}\\[\\]\"\\\\]{0,8}", 0..6),
        ) {
            let object = serde_json::to_value(&fields).unwrap();
            let left = without_fields(&object.to_string(), &["after", "timeout"]);
            let kept: std::collections::BTreeMap<_, _> =
                fields.iter().filter(|(name, _)| !["after", "timeout"].contains(&name.as_str())).collect();
            let parsed: serde_json::Value = serde_json::from_str(&left).unwrap();
            prop_assert_eq!(parsed, serde_json::to_value(&kept).unwrap());
        }

        #[test]
        fn no_bytes_make_it_panic(line in "[{}\\[\\]\",:\\\\a é]{0,30}") {
            without_fields(&line, &["a", ""]);
        }
    }
}
