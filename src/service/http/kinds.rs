//! What the description of the API tells of the kinds of jobs.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::job::{Kind, kinds};

/// The fields that every job has: told of once.
const COMMON: [&str; 3] = ["id", "kind", "device"];

/// A field that no kind has.
const NO_FIELD: &str = "no field";

/// What may also stand in fields that every job may have: seconds, bytes, and one id without a list.
const ALSO: [(&str, &str); 4] =
    [("after", "string"), ("deadline", "number"), ("memory", "number"), ("timeout", "number")];

/// Tells of the kinds, and of the values that may stand in fields, where it is told how a job is sent.
pub(super) fn add_kinds(request: &mut Value) {
    request["description"] = description().into();
    // Those of the kinds, which differ.
    request["additionalProperties"] = json!(true);
    for (name, also) in ALSO {
        let kinds = &mut request["properties"][name]["type"];
        match kinds.as_array_mut() {
            Some(kinds) => kinds.push(also.into()),
            None => *kinds = json!([kinds.take(), also]),
        }
    }
}

fn description() -> String {
    let mut text = String::from(
        "A job as it is sent: the fields listed here, and those of its kind.\n\n\
         In a field of the kind, these objects may stand in place of a value:\n\n\
         - `{\"$dataset\":\"scan-17\"}`: the path of a dataset\n\n\
         - `{\"$file\":\"scan\"}`: the path of a file that came with the job, as the part `scan` of the form\n\n\
         - `{\"$result\":\"kqtz-17.factors.0.prime\"}`: a value from the result of an earlier job, which has to succeed first\n\n\
         The kinds and their fields, which docs/jobs.md explains (the operator may have added kinds: `/v1/status` lists all):\n\n",
    );
    for kind in kinds() {
        // A String takes whatever is written. At an empty line, and there alone, `/docs` begins a new one.
        let _ = writeln!(text, "- `{}`: {}. Fields: `{}`\n", kind.name, kind.summary, fields(kind).join("`, `"));
    }
    text.trim_end().to_owned()
}

/// The fields of a kind, asked of what reads them: it refuses one that it does not know, and names those that it does.
fn fields(kind: &Kind) -> Vec<String> {
    let Err(error) = (kind.parse)(&json!({ NO_FIELD: 0 }).to_string()) else { return Vec::new() };
    let message = error.to_string();
    let known = message.split('`').skip(1).step_by(2).filter(|name| *name != NO_FIELD && !COMMON.contains(name));
    known.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_tells_of_its_fields() {
        for kind in kinds() {
            let fields = fields(kind);
            assert!(!fields.is_empty(), "{}", kind.name);
            for field in &fields {
                assert!(field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}: {field}", kind.name);
                let text = json!({ field.as_str(): 0 }).to_string();
                let refusal = (kind.parse)(&text).map_or_else(|error| error.to_string(), |_| String::new());
                assert!(!refusal.contains("unknown field"), "{}: {refusal}", kind.name);
            }
            let input = kind.input_field.map(str::to_owned);
            assert!(input.is_none_or(|input| fields.contains(&input)), "{}: {fields:?}", kind.name);
        }
    }
}
