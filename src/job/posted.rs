//! A job that comes by itself, as a text of any number of lines, and not as a line of a job file.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::job::awaited::{AFTER, Awaited, Part};
use crate::job::blank::{Member, members, without_fields};
use crate::job::file::{HeadPlace, MATRIX_OR_TERMS, Parser, Wrong};
use crate::job::head::Head;
use crate::job::json_text::Text;
use crate::job::patch::{Origins, Patched};
use crate::job::references::references;
use crate::job::wording::{ONE_A_LINE, field_at, plain};
use crate::job::{DeviceChoice, JobParams, Kind, Terms, parse_duration, shorten};

/// What jobs refer to, and whoever takes them in has got beside them.
pub(crate) trait Beside {
    /// `{"$file":"scan"}`: the path of a file that came with the job, or what is wrong with the name.
    fn file(&self, name: &str) -> Result<String, String>;

    /// `{"$dataset":"scan-17"}`, and `"dataset":"scan-17"` in place of the kind's input: the path of one that was put there before, or what
    /// is wrong with the name.
    fn dataset(&self, name: &str) -> Result<String, String>;

    /// The number of the job of this id, that came before; or why it cannot be told.
    fn number(&self, id: &str) -> Result<Option<u64>, String>;

    /// What it is called for good.
    fn id(&self, number: u64) -> String;

    /// Its outcome, one object of JSON, or why it cannot be read; `None` where it is not to be asked for yet.
    fn outcome(&self, number: u64) -> Option<Result<String, String>>;
}

/// The field that stands for the input of a job, whatever its kind.
const DATASET_FIELD: &str = "dataset";

/// The fields that are for whoever takes the job in.
const TAKER_FIELDS: [&str; 3] = ["metadata", "deadline", AFTER];

/// What is added to the fields that a kind has, where one is unknown.
const POSTED_OR_TERMS: &str = ", or a field of every job: `dataset`, `metadata`, `deadline`";

/// What is said besides where more than a job comes.
const ONE_AT_A_TIME: &str = ": send one at a time, or one a line as a batch";

/// The fields of every job.
const COMMON_FIELDS: [&str; 3] = ["id", "kind", "device"];

/// Lists and objects are within one another so deep at most, as where serde reads them.
const DEPTH_MAX: usize = 127;

/// What a sender calls a job has so many bytes at most: lists repeat it.
pub(crate) const LABEL_MAX: usize = 255;

/// What is wrong with a job, and where in its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misplaced {
    /// From 1.
    pub line: usize,
    /// In bytes, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// A job that came by itself.
#[derive(Debug)]
pub(crate) struct Posted {
    /// What its sender calls it.
    pub label: Option<Arc<str>>,
    pub kind: &'static Kind,
    pub device: Option<DeviceChoice>,
    pub terms: Terms,
    /// `None` where it takes results that are not to be asked for yet: it is made once more when they are.
    pub params: Option<Box<dyn JobParams>>,
    /// The numbers of the jobs that have to succeed first, each once, ascending.
    pub after: Vec<u64>,
    /// The same job with ids that hold for good, where it has others.
    pub lasting: Option<String>,
    /// How many bytes it takes of the results of others.
    pub taken_bytes: usize,
    /// By when it has to have ended, from now.
    pub deadline: Option<Duration>,
    /// The fields of its kind as an object, with paths in place of what they refer to.
    pub own: String,
}

/// Of the fields that are for whoever takes the job in, the one that is more than kept.
#[derive(Deserialize)]
struct Taker {
    deadline: Option<Text>,
}

/// Makes a job of a text.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn parse_posted(text: &str, kinds: Vec<&'static Kind>, beside: &dyn Beside) -> Result<Posted, Misplaced> {
    parse(text, kinds, beside).map_err(|Wrong { column, message }| {
        let before = &text.as_bytes()[..(column - 1).min(text.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        Misplaced { line, column: 1 + before.len() - line_start, message: message.replace(ONE_A_LINE, ONE_AT_A_TIME) }
    })
}

fn parse(text: &str, kinds: Vec<&'static Kind>, beside: &dyn Beside) -> Result<Posted, Wrong> {
    if text.trim_ascii().is_empty() {
        let message = "there is nothing here: send a job, an object such as {\"kind\":\"primes\",\"numbers\":[97]}";
        return Err(Wrong { column: 1, message: message.to_owned() });
    }
    // Within JSON a line end is but a space; within a string it is none.
    if text.contains(['\n', '\r']) {
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| Wrong {
            column: byte_at(text, error.line(), error.column()),
            message: plain(told(&error.to_string())).into_owned(),
        })?;
    }
    let line = text.replace(['\n', '\r'], " ");
    let members = members(line.as_bytes());
    if let Some(member) = members.iter().find(|member| &line[member.name.clone()] == "matrix") {
        let message = "a `matrix` makes several jobs of one line of a job file: send each of them".to_owned();
        return Err(Wrong { column: member.name.start, message });
    }
    for field in TAKER_FIELDS {
        if let Some(again) = members.iter().filter(|member| &line[member.name.clone()] == field).nth(1) {
            return Err(Wrong { column: again.name.start, message: format!("duplicate field `{field}`") });
        }
    }
    if let Some(at) = members.iter().find_map(|member| too_deep(&line, member.value(&line))) {
        let message = format!("lists and objects are within one another more than {DEPTH_MAX} deep here");
        return Err(Wrong { column: at + 1, message });
    }
    let has = |field: &str| members.iter().any(|member| &line[member.name.clone()] == field);
    let is_for_taker = TAKER_FIELDS.iter().any(|field| has(field));
    let deadline = if is_for_taker { deadline_in(&line, &members)? } else { None };
    let own = if is_for_taker { Cow::Owned(without_fields(&line, &TAKER_FIELDS)) } else { Cow::Borrowed(&*line) };
    let awaited = Awaited::of(&line, &own, &members, beside)?;
    let values = awaited.values(beside)?;
    let is_whole = values.is_some();
    let taken_bytes = values.iter().flatten().map(|(_, value)| value.len()).sum();
    let patched = with_paths(&own, &kinds, values.unwrap_or_default(), beside)?;
    let mut parser = Parser::of_kinds("job", kinds);
    let mut head = Head::default();
    let place = HeadPlace { index: 0, line: 0, line_first: 0 };
    let made = if is_whole {
        let made = parser.parse_text(&mut head, place, &patched.text, &Origins::default());
        made.map(|(kind, params)| (kind, Some(params)))
    } else {
        parser.parse_head(&mut head, place, &patched.text).map(|kind| (kind, None))
    };
    let (kind, params) = made.map_err(|wrong| Wrong {
        column: 1 + patched.origins.original(wrong.column.max(1) - 1),
        // A line may make several jobs, and a job that comes by itself has more to it.
        message: wrong.message.replace(MATRIX_OR_TERMS, POSTED_OR_TERMS),
    })?;
    let Head { id, device, terms, .. } = head;
    if id.as_ref().is_some_and(|id| id.len() > LABEL_MAX) {
        return Err(Wrong {
            column: 1,
            message: format!("an `id` of more than {LABEL_MAX} bytes: put what is longer into `metadata`"),
        });
    }
    let Awaited { numbers: after, lasting, .. } = awaited;
    let own = own_fields(&patched.text);
    Ok(Posted { label: id, kind, device, terms, params, after, lasting, taken_bytes, deadline, own })
}

/// Where lists and objects in this part are within one another more than so deep: programs that read JSON take no more.
fn too_deep(text: &str, part: Range<usize>) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (1_usize, false, false);
    let start = part.start;
    text.as_bytes()[part]
        .iter()
        .position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'[' | b'{' if !in_string => depth += 1,
                // Whether it is JSON at all is seen later.
                b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth > DEPTH_MAX
        })
        .map(|at| start + at)
}

/// The byte, from 1, that serde means by a line and a column.
fn byte_at(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column).clamp(1, text.len().max(1))
}

/// What serde says, without the place.
fn told(message: &str) -> &str {
    message.rfind(" at line ").map_or(message, |at| &message[..at])
}

/// How long the job may take from its acceptance.
fn deadline_in(line: &str, members: &[Member]) -> Result<Option<Duration>, Wrong> {
    let taker: Taker =
        serde_json::from_str(line).map_err(|error| Wrong::of(&error, line, |column| field_at(line, column)))?;
    let place = members.iter().find(|member| &line[member.name.clone()] == "deadline");
    let wrong = |message| Wrong { column: place.map_or(1, |member| member.name.start), message };
    taker.deadline.map(|time| parse_duration(&time.0)).transpose().map_err(wrong)
}

/// The text with these parts replaced, and with paths in place of what it refers to.
fn with_paths(
    text: &str,
    kinds: &[&'static Kind],
    mut parts: Vec<Part>,
    beside: &dyn Beside,
) -> Result<Patched, Wrong> {
    let members = members(text.as_bytes());
    for name in ["$file", "$dataset"] {
        if !text.contains(name) {
            continue;
        }
        for reference in references(text, name)? {
            let wrong = |message: String| Wrong { column: reference.name_at + 1, message };
            let field = members.iter().find(|member| member.value(text).contains(&reference.range.start));
            if let Some(field) = field.map(|member| &text[member.name.clone()]).filter(|field| is_common(field)) {
                return Err(wrong(format!("`{name}` stands for a path, and `{field}` takes none")));
            }
            let named: &str = serde_json::from_str(reference.value.get())
                .map_err(|_| wrong(format!("`{name}` takes a name, as a string")))?;
            let path = if name == "$file" { beside.file(named) } else { beside.dataset(named) };
            let path = path.map_err(wrong)?;
            parts.push((reference.range, quoted(&path)));
        }
    }
    if let Some(dataset) = members.iter().find(|member| &text[member.name.clone()] == DATASET_FIELD) {
        let wrong = |message: String| Wrong { column: dataset.name.start, message };
        let kind = members.iter().find(|member| &text[member.name.clone()] == "kind");
        let kind = kind.and_then(|member| serde_json::from_str::<&str>(&text[member.value(text)]).ok());
        let kind = kind.and_then(|name| kinds.iter().find(|kind| kind.name == name));
        // Where the kind is not known, that is what is wrong.
        if let Some(kind) = kind {
            let field = kind
                .input_field
                .ok_or_else(|| wrong(format!("a job of kind `{}` reads no dataset: leave it out", kind.name)))?;
            if let Some(given) = members.iter().find(|member| &text[member.name.clone()] == field) {
                let message = format!("`dataset` stands in place of `{field}`: give one of them");
                return Err(Wrong { column: given.name.start, message });
            }
            let value = &text[dataset.value(text)];
            let named: &str = serde_json::from_str(value)
                .map_err(|_| wrong("`dataset` takes the name of one, as a string".to_owned()))?;
            let path = beside.dataset(named).map_err(wrong)?;
            let whole = dataset.name.start - 1..dataset.value(text).end;
            parts.push((whole, format!("{}:{}", quoted(field), quoted(&path))));
        }
    }
    parts.sort_by_key(|(part, _)| part.start);
    Ok(Patched::new(text, parts.iter().map(|(part, with)| (part.clone(), with.as_str()))))
}

/// Whether every job has this field.
fn is_common(field: &str) -> bool {
    COMMON_FIELDS.contains(&field) || crate::job::head::TERMS.contains(&field)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The object without the fields that every job has.
fn own_fields(text: &str) -> String {
    let own = members(text.as_bytes()).into_iter().filter(|member| !is_common(&text[member.name.clone()]));
    let own: Vec<&str> = own.map(|member| text[member.start..member.end].trim()).collect();
    format!("{{{}}}", own.join(","))
}

/// What is said of a name that stands for nothing.
pub(crate) fn unknown_name<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.take(20).collect();
    let there_is = if known.is_empty() { "there is none".to_owned() } else { format!("there is {}", known.join(", ")) };
    format!("no {what} `{}`: {there_is}", shorten(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::kinds;

    /// What there is; outcomes where they are to be asked for.
    struct There(Option<&'static str>);

    impl Beside for There {
        fn file(&self, name: &str) -> Result<String, String> {
            let there = (name == "scan").then(|| "/up/a \"b\".npy".to_owned());
            there.ok_or_else(|| unknown_name("file", name, ["scan"].into_iter()))
        }

        fn dataset(&self, name: &str) -> Result<String, String> {
            (name == "t").then(|| "/data/t".to_owned()).ok_or_else(|| format!("no dataset `{name}`"))
        }

        fn number(&self, id: &str) -> Result<Option<u64>, String> {
            Ok(["ab-1", "ab-2", "ab-3"]
                .iter()
                .position(|known| *known == id || (*known, id) == ("ab-3", "load"))
                .map(|at| 1 + at as u64))
        }

        fn id(&self, number: u64) -> String {
            format!("ab-{number}")
        }

        fn outcome(&self, _: u64) -> Option<Result<String, String>> {
            self.0.map(|outcome| Ok(outcome.to_owned()))
        }
    }

    fn posted(text: &str) -> Result<Posted, Misplaced> {
        parse_posted(text, kinds().collect(), &There(None))
    }

    #[test]
    fn what_a_job_waits_for_is_told_by_numbers_and_its_results_are_taken_when_they_are_there() {
        let text = r#"{"kind":"factor","after":["ab-2","load"],"n":{"$result":"ab-1.factors.0.prime"},"metadata":{"$result":"x"}}"#;
        let job = posted(text).unwrap();
        assert_eq!((&job.after[..], job.params.is_none(), job.kind.name), (&[1, 2, 3][..], true, "factor"));
        let lasting = r#"{"kind":"factor","after":["ab-2","ab-3"],"n":{"$result":{"id":"ab-1","path":["factors","0","prime"]}},"metadata":{"$result":"x"}}"#;
        assert_eq!(job.lasting.as_deref(), Some(lasting));
        let outcome = r#"{"result":{"factors":[{"prime":"18446744073709551629"}]}}"#;
        let whole = parse_posted(lasting, kinds().collect(), &There(Some(outcome))).unwrap();
        assert_eq!((whole.own.as_str(), whole.lasting), (r#"{"n":"18446744073709551629"}"#, None));
        assert!(whole.params.is_some());
        let wrong = parse_posted(text, kinds().collect(), &There(Some("{\"result\":{}}"))).unwrap_err();
        assert!(wrong.message.contains("`$result` of `ab-1.factors.0.prime`") && wrong.column == 46, "{wrong:?}");
        let many = format!("{{\"result\":{}}}", serde_json::Value::from("x".repeat(9_000_000)));
        let many: &'static str = many.leak();
        let twice = r#"{"kind":"factor","n":[{"$result":"ab-1"},{"$result":"ab-1"}]}"#;
        let wrong = parse_posted(twice, kinds().collect(), &There(Some(many))).unwrap_err();
        assert!(wrong.message.contains("bytes together"), "{wrong:?}");
        let names = format!(r#"{{"kind":"factor","n":12,"after":["ab-1"{}]}}"#, r#","ab-1""#.repeat(1000));
        assert!(posted(&names).unwrap_err().message.contains("more than 1000 jobs"));
        let alone = posted(r#"{"kind":"factor","n":12,"after":"ab-1"}"#).unwrap();
        assert_eq!((&alone.after[..], alone.lasting, alone.params.is_some()), (&[1][..], None, true));
    }

    #[test]
    fn a_job_may_stand_on_many_lines_and_errors_tell_which() {
        let job = posted("{\n  \"kind\": \"primes\",\n  \"numbers\": [7,\n 8]\n}\n").unwrap();
        assert_eq!((job.kind.name, job.own.as_str()), ("primes", "{\"numbers\": [7,  8]}"));
        let wrong = posted("{\n  \"kind\": \"primes\",\n  \"numbers\": [7,\n x]\n}\n").unwrap_err();
        assert_eq!((wrong.line, wrong.column), (4, 2), "{}", wrong.message);
        let wrong = posted("{\"kind\":\"primse\"}").unwrap_err();
        assert!(wrong.message.contains("did you mean `primes`?"), "{}", wrong.message);
        for (text, message) in [
            ("", "there is nothing here: send a job"),
            (" \n", "there is nothing here: send a job"),
            ("{\"kind\":\n", "the job ends inside"),
            ("{\"kind\":\"factor\",\"n\":1} {}", "more follows after the end of the job: send one at a time"),
            ("{\"kind\":\"factor\",\"n\":1}\n{}", "more follows after the end of the job: send one at a time"),
        ] {
            let wrong = posted(text).unwrap_err();
            assert!(wrong.message.contains(message), "{text}: {}", wrong.message);
        }
    }

    #[test]
    fn fields_for_who_takes_the_job_in_are_kept_from_its_kind() {
        let text = r#"{"metadata":{"who":"é","n":1.0000000000000000001},"kind":"factor","n":12,"deadline":"30s","id":"a","priority":3}"#;
        let job = posted(text).unwrap();
        assert_eq!((job.deadline, job.label.as_deref()), (Some(Duration::from_secs(30)), Some("a")));
        assert_eq!((job.terms.priority, job.own.as_str()), (3, r#"{"n":12}"#));
        let wrong = posted(r#"{"kind":"factor","n":12,"deadline":"soon"}"#).unwrap_err();
        assert_eq!((wrong.column, wrong.message.contains("is no time")), (25, true), "{wrong:?}");
        let deep = |lists: usize| {
            format!(r#"{{"kind":"factor","n":12,"metadata":{}1{}}}"#, "[".repeat(lists), "]".repeat(lists))
        };
        assert!(
            posted(&deep(DEPTH_MAX - 1)).is_ok() && posted(r#"{"kind":"factor","n":12,"metadata":"[[\"["}"#).is_ok()
        );
        for wrong in [
            r#"{"kind":"factor","n":12,"metadata":}"#.to_owned(),
            "{\"kind\":\"factor\",\n\"n\":12,\"metadata\":\"a\nb\"}".to_owned(),
            r#"{"kind":"factor","n":12,"metadata":1,"metadata":2}"#.to_owned(),
            format!(r#"{{"kind":"factor","n":12,"id":"{}"}}"#, "x".repeat(256)),
            deep(DEPTH_MAX),
            r#"{"kind":"factor","n":]]]]}"#.to_owned(),
            r#"{"kind":"factor","n":12,"metadata":]]]]]"}"#.to_owned(),
        ] {
            assert!(posted(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_of_files_become_paths_and_places_stay_those_of_the_text() {
        let job = posted(r#"{"kind":"stats","file":{"$file":"scan"},"ddof":0}"#).unwrap();
        assert_eq!(job.params.as_ref().unwrap().input_files(), [std::path::Path::new("/up/a \"b\".npy")]);
        let job = posted(r#"{"dataset":"t","kind":"corr"}"#).unwrap();
        assert_eq!(job.params.as_ref().unwrap().input_files(), [std::path::Path::new("/data/t")]);
        let job = posted(r#"{"kind":"stats","files":[{"$dataset":"t"},{"$file":"scan"}],"together":true}"#).unwrap();
        assert_eq!(job.params.as_ref().unwrap().input_files().len(), 2);
        for (text, column, message) in [
            (r#"{"kind":"stats","file":{"$file":"scam"}}"#, 25, "no file `scam`: there is scan"),
            (r#"{"kind":"stats","file":{"$file":7}}"#, 25, "takes a name"),
            (r#"{"kind":"factor","dataset":"t"}"#, 18, "reads no dataset"),
            (r#"{"kind":"stats","file":{"$file":"scan"},"ddof":"x"}"#, 48, "`ddof`"),
            (r#"{"kind":"factor","n":1,"after":["a"]}"#, 24, "`after` names `a`, but no job here"),
            (r#"{"kind":"factor","n":1,"after":7}"#, 24, "the id of a job, or a list"),
            (r#"{"kind":"factor","after":"ab-1","after":"ab-1"}"#, 33, "duplicate field"),
            (r#"{"kind":"factor","n":{"$result":"ab-9.n"}}"#, 23, "does not begin with the id of a job here"),
            (r#"{"kind":"factor","n":"{i}","matrix":{"i":[1]}}"#, 28, "several jobs"),
            (
                r#"{"kind":"factor","n":1,"id":{"$dataset":"t"}}"#,
                29,
                "`$dataset` stands for a path, and `id` takes none",
            ),
            (r#"{"kind":"factor","n":1,"timeout":{"$file":"scan"}}"#, 34, "`timeout` takes none"),
            (r#"{"kind":"stats","dataset":"t","file":"x"}"#, 32, "`dataset` stands in place of `file`"),
            (
                r#"{"kind":"factor","n":1,"nope":1}"#,
                27,
                "a field of every job: `dataset`, `metadata`, `deadline`, `after`",
            ),
        ] {
            let wrong = posted(text).unwrap_err();
            assert!(wrong.message.contains(message), "{text}: {}", wrong.message);
            assert!(wrong.column.abs_diff(column) <= 4, "{text}: {wrong:?}");
        }
    }
}
