//! Compares results field by field, so that a difference names its field.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::value::RawValue;

/// Every leaf of a JSON text with its path, as it is written: numbers are not parsed, so nothing is rounded.
fn leaves(path: String, raw: &RawValue, into: &mut BTreeMap<String, String>) {
    let text = raw.get();
    if text.starts_with('{') {
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).expect("an object");
        if fields.is_empty() {
            into.insert(path.clone(), text.to_owned());
        }
        for (name, value) in fields {
            leaves(format!("{path}.{name}"), &value, into);
        }
    } else if text.starts_with('[') {
        let elements: Vec<Box<RawValue>> = serde_json::from_str(text).expect("an array");
        into.insert(format!("{path}.length"), elements.len().to_string());
        for (i, element) in elements.iter().enumerate() {
            leaves(format!("{path}[{i}]"), element, into);
        }
    } else {
        into.insert(path, text.to_owned());
    }
}

/// Whether two results are the same bytes.
///
/// # Errors
/// With the fields that differ, the first few of them.
pub fn same(found: &str, expected: &str) -> Result<(), String> {
    const SHOWN: usize = 6;
    if found == expected {
        return Ok(());
    }
    let read = |text: &str| {
        let mut fields = BTreeMap::new();
        match serde_json::from_str::<Box<RawValue>>(text) {
            Ok(raw) => leaves("result".to_owned(), &raw, &mut fields),
            Err(error) => drop(fields.insert(format!("not JSON ({error})"), text.chars().take(300).collect())),
        }
        fields
    };
    let (found_fields, expected_fields) = (read(found), read(expected));
    let mut message = String::new();
    let mut differences = 0;
    let paths: std::collections::BTreeSet<&String> = found_fields.keys().chain(expected_fields.keys()).collect();
    for path in paths {
        let (a, b) = (found_fields.get(path), expected_fields.get(path));
        if a != b {
            differences += 1;
            if differences <= SHOWN {
                let shown = |text: Option<&String>| text.map_or("nothing".to_owned(), Clone::clone);
                let _ = write!(message, "\n    {path}: found {}, expected {}", shown(a), shown(b));
            }
        }
    }
    if differences == 0 {
        let at = found.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
        let _ = write!(message, "\n    the same fields, but other bytes from byte {at} on");
    }
    Err(format!("{differences} fields differ:{message}"))
}

#[test]
fn every_difference_is_found_and_named() {
    let base = r#"{"a":1.5,"b":[true,false],"c":{"d":"x"}}"#;
    assert_eq!(same(base, base), Ok(()));
    for (other, names) in [
        (r#"{"a":1.50,"b":[true,false],"c":{"d":"x"}}"#, "result.a: found 1.5, expected 1.50"),
        (r#"{"a":1.5,"b":[true,true],"c":{"d":"x"}}"#, "result.b[1]: found false, expected true"),
        (r#"{"a":1.5,"b":[true],"c":{"d":"x"}}"#, "result.b.length: found 2, expected 1"),
        (r#"{"a":1.5,"b":[true,false],"c":{"d":"y"}}"#, "result.c.d"),
        (r#"{"a":1.5,"b":[true,false],"c":{}}"#, "result.c.d: found \"x\", expected nothing"),
        (r#"{"b":[true,false],"a":1.5,"c":{"d":"x"}}"#, "other bytes from byte 2"),
        (r#"{"a":1.5,"b":[true,false],"c":{"d":"x"}"#, "not JSON"),
    ] {
        let message = same(base, other).unwrap_err();
        assert!(message.contains(names), "{other}: {message}");
    }
}
