//! `{"$result":"a.path"}`: a value that a job takes from the outcome of an earlier one, when its turn has come.

use std::io::{self, Read};
use std::ops::Range;

use serde::Deserialize;

use crate::job::file::Wrong;
use crate::job::names::Names;
use crate::job::patch::{Origins, Patched};
use crate::job::references::{Reference, references};
use crate::job::result_path::{NoValue, value_at};
use crate::job::wording::field_at;
use crate::job::{BindContext, Bound, Cause, JobError, JobParams, Kind, shorten};

/// The outcomes of a run so far, for the jobs that take values from them.
pub trait EarlierResults: Send + Sync + std::fmt::Debug {
    /// Reads the outcome of the job in this place, one JSON object as [`write_outcome`](crate::report::write_outcome) makes
    /// it; what follows after it is not looked at. It is asked for once that job has succeeded, which may be a moment
    /// before its outcome has come to where it is kept: then this waits.
    ///
    /// # Errors
    /// Where it is not kept, or cannot be read.
    fn outcome(&self, index: u64) -> io::Result<Box<dyn Read + '_>>;
}

/// What a line writes for a value of an earlier job.
pub(super) const RESULT: &str = "$result";

/// The places of the jobs of this name.
pub(super) type Find<'a> = &'a dyn Fn(&str) -> Option<Range<u64>>;

/// A value that is taken from an earlier job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Where it is to stand in the line.
    pub range: Range<usize>,
    /// The place of the job.
    pub index: u64,
    pub path: Vec<String>,
    /// As it was written.
    pub written: String,
}

/// A job and the way to a value in its result.
#[derive(Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected \"ID.PATH\" or {\"id\":\"ID\",\"path\":\"PATH\"} as `$result`"
)]
enum Written {
    Short(String),
    Long { id: String, path: Option<Path> },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Path {
    Dotted(String),
    Steps(Vec<Step>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Step {
    Name(String),
    Number(u64),
}

impl Path {
    fn steps(self) -> Vec<String> {
        match self {
            Self::Dotted(path) => steps(&path),
            Self::Steps(steps) => steps
                .into_iter()
                .map(|step| match step {
                    Step::Name(name) => name,
                    Step::Number(number) => number.to_string(),
                })
                .collect(),
        }
    }
}

fn steps(path: &str) -> Vec<String> {
    if path.is_empty() { Vec::new() } else { path.split('.').map(str::to_owned).collect() }
}

/// The values that a line, which is JSON, takes from jobs whose places lie below `end`.
pub(super) fn taken(line: &str, names: &Names, end: u64) -> Result<Vec<Taken>, Wrong> {
    taken_of(line, "on an earlier line", &|id| names.find(id).filter(|places| places.end <= end))
}

/// The same of jobs that are found by their ids there.
pub(super) fn taken_of(line: &str, there: &str, find: Find<'_>) -> Result<Vec<Taken>, Wrong> {
    let mut found = Vec::new();
    for Reference { range, name_at, value } in references(line, RESULT)? {
        let wrong = |message: String| Wrong { column: name_at + 1, message };
        let written: Written = serde_json::from_str(value.get()).map_err(|error| wrong(error.to_string()))?;
        let (index, path) = match &written {
            Written::Short(text) => short(text, find),
            Written::Long { id, .. } => find(id).map(|places| (places, vec![])),
        }
        .ok_or_else(|| {
            wrong(match &written {
                Written::Short(text) => format!(
                    "`$result` is `{}`, which does not begin with the id of a job {there}: write ID.PATH, as in load.stdout",
                    shorten(text)
                ),
                Written::Long { id, .. } => {
                    format!("`$result` names `{}`, but no job {there} has that id", shorten(id))
                }
            })
        })?;
        if index.end - index.start > 1 {
            let count = index.end - index.start;
            return Err(wrong(format!(
                "`$result` names the {count} jobs of a line with a matrix: name one of them, as in ens/seed=1"
            )));
        }
        let (path, written) = match written {
            Written::Short(text) => (path, text),
            Written::Long { id, path } => (path.map(Path::steps).unwrap_or_default(), id),
        };
        found.push(Taken { range, index: index.start, path, written });
    }
    Ok(found)
}

/// The job and the path that a text with both means: the longest id that there is.
fn short(text: &str, find: Find<'_>) -> Option<(Range<u64>, Vec<String>)> {
    let dots = memchr::memrchr_iter(b'.', text.as_bytes());
    std::iter::once(text.len()).chain(dots).find_map(|at| {
        let places = find(&text[..at])?;
        let path = text.get(at + 1..).map(steps).unwrap_or_default();
        Some((places, path))
    })
}

/// The parameters of a job that takes values from others: its line, which can only be parsed once those are there.
#[derive(Debug)]
pub(super) struct Deferred {
    pub kind: &'static Kind,
    pub line: Box<str>,
    pub taken: Vec<Taken>,
    /// File and line, for messages.
    pub place: String,
    /// Where the bytes of the line come from, if it was made of one with a matrix.
    pub origins: Origins,
}

impl JobParams for Deferred {
    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        self.parse(context)?.bind(context)
    }

    fn with_results(&self, context: &BindContext) -> Option<Result<Box<dyn JobParams>, JobError>> {
        Some(self.parse(context))
    }

    fn results_of(&self) -> Vec<u64> {
        self.taken.iter().map(|taken| taken.index).collect()
    }
}

impl Deferred {
    /// What its kind makes of the line once the values stand in it.
    fn parse(&self, context: &BindContext) -> Result<Box<dyn JobParams>, JobError> {
        let values = self.taken.iter().map(|taken| self.value(taken, context)).collect::<Result<Vec<_>, _>>()?;
        let parts = self.taken.iter().zip(&values).map(|(taken, value)| (taken.range.clone(), value.as_str()));
        let patched = Patched::new(&self.line, parts);
        (self.kind.parse)(&patched.text).map_err(|error| {
            let Wrong { column, mut message } =
                Wrong::of(&error, &patched.text, |column| field_at(&patched.text, column));
            // Some kinds look at their fields together, and know no place.
            let told = |value: &String| message.contains(value.trim_matches('"'));
            if let Some(part) = patched.origins.part(column - 1).or_else(|| values.iter().position(told)) {
                let (value, from) = (shorten(&values[part]), shorten(&self.taken[part].written));
                message = format!("{message} (`{value}` is what `$result` took from `{from}`)");
            }
            self.wrong(patched.origins.original(column - 1), &message)
        })
    }

    fn wrong(&self, at: usize, message: &str) -> JobError {
        JobError::bad_input(format!("{}:{}: {message}", self.place, self.origins.original(at) + 1))
    }

    fn value(&self, taken: &Taken, context: &BindContext) -> Result<String, JobError> {
        let Some(results) = &context.results else {
            return Err(JobError::new(
                Cause::Unsupported,
                format!(
                    "{}: `$result` takes a value of an earlier job, and this run does not keep any: have its results written \
                     to a file with --output, or give the job file by its name rather than through a pipe",
                    self.place
                ),
            ));
        };
        let from = shorten(&taken.written);
        let unreadable = |error: io::Error| {
            let message = format!("{}: `$result` of `{from}`: its outcome cannot be read back: {error}", self.place);
            JobError::new(Cause::Io, message)
        };
        let outcome = results.outcome(taken.index).map_err(unreadable)?;
        value_at(outcome, &taken.path).map_err(|error| match error {
            NoValue::NotThere(what) => self.wrong(taken.range.start, &format!("`$result` of `{from}`: {what}")),
            NoValue::Unreadable(error) => unreadable(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::job::{JobFile, JobSpec};

    /// A kind that gives back the line that it was asked to parse, as the error of its binding.
    #[derive(Debug)]
    struct Line(String);

    impl JobParams for Line {
        fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
            Err(JobError::new(Cause::Unsupported, self.0.replace(' ', "")))
        }
    }

    static LINE: Kind = Kind {
        name: "line",
        summary: "",
        variants: &[],
        parse: |text| Ok(Box::new(Line(text.to_owned()))),
        input_field: None,
        aside: &[],
        sample: |_| Box::new(Line(String::new())),
        operations_per_unit: |_| None,
        shaders: Vec::new,
        #[cfg(feature = "cli")]
        command: || clap::Command::new("line"),
        #[cfg(feature = "cli")]
        from_args: |_| Err(String::new()),
    };

    /// Outcomes by their places.
    #[derive(Debug)]
    struct Known(Vec<&'static str>);

    impl EarlierResults for Known {
        fn outcome(&self, index: u64) -> io::Result<Box<dyn Read + '_>> {
            Ok(Box::new(self.0[index as usize].as_bytes()))
        }
    }

    const EARLIER: &str = "{\"id\":\"a\",\"kind\":\"line\"}\n{\"id\":\"a.b\",\"kind\":\"line\"}\n\
        {\"id\":\"ens\",\"kind\":\"line\",\"matrix\":{\"s\":[0.5,2]}}\n";

    fn context() -> BindContext {
        let outcomes = vec![
            r#"{"schema":1,"result":{"n":18446744073709551617,"list":["x",{"y":null}],"b":{"z":1}}}"#,
            "{\"result\":{\"z\":[2.50]}}\n{}",
            r#"{"result":{"v":"half"}}"#,
            r#"{"result":{"v":"two"}}"#,
        ];
        BindContext { results: Some(Arc::new(Known(outcomes))), ..BindContext::default() }
    }

    fn last(line: &str) -> Result<JobSpec, JobError> {
        let text = format!("{EARLIER}{line}");
        let jobs = JobFile::new("jobs.jsonl", text.as_bytes()).with_kind(&LINE);
        jobs.last().unwrap().map_err(|bad| bad.error)
    }

    fn bound(line: &str) -> JobError {
        last(line).and_then(|spec| spec.params.bind(&context())).unwrap_err()
    }

    #[test]
    fn values_stand_in_the_line_as_they_stand_in_the_outcomes() {
        for (line, expected) in [
            (r#"{"kind":"line","x":{"$result":"a.n"}}"#, r#"{"kind":"line","x":18446744073709551617}"#),
            (
                r#"{"kind":"line","x":[{ "$result" : "a.list.0" },{"$result":"a.list.1"}]}"#,
                r#"{"kind":"line","x":["x",{"y":null}]}"#,
            ),
            // The longest id that there is.
            (r#"{"kind":"line","x":{"$result":"a.b.z.0"}}"#, r#"{"kind":"line","x":2.50}"#),
            (r#"{"kind":"line","x":{"$result":{"id":"a","path":"b.z"}}}"#, r#"{"kind":"line","x":1}"#),
            (r#"{"kind":"line","x":{"$result":{"id":"a","path":["list",0]}}}"#, r#"{"kind":"line","x":"x"}"#),
            (r#"{"kind":"line","x":{"$result":{"id":"a.b"}}}"#, r#"{"kind":"line","x":{"z":[2.50]}}"#),
            (r#"{"kind":"line","x":{"$result":"ens/s=0.5.v"}}"#, r#"{"kind":"line","x":"half"}"#),
            (r#"{"kind":"line","x":{"$result":"ens/s={t}.v"},"matrix":{"t":[2]}}"#, r#"{"kind":"line","x":"two"}"#),
            (r#"{"x":{"$result":"a.n"},"kind":"line","timeout":5}"#, r#"{"x":18446744073709551617,"kind":"line"}"#),
        ] {
            let error = bound(line);
            assert_eq!((error.cause, &*error.message), (Cause::Unsupported, expected), "{line}");
        }
        let spec = last(r#"{"kind":"line","x":[{"$result":"a.n"},{"$result":"ens/s=2"}],"after":["a.b"]}"#).unwrap();
        assert_eq!((spec.terms.after, spec.params.results_of()), (vec![1..2, 0..1, 3..4], vec![0, 3]));
    }

    #[test]
    fn what_only_looks_like_a_value_to_take_is_left_alone() {
        let line = r#"{"kind":"line","x":["$result","{\"$result\":\"a\"}",{"$results":"a"}]}"#;
        let spec = last(line).unwrap();
        assert!(spec.terms.after.is_empty() && spec.params.results_of().is_empty());
    }

    #[test]
    fn what_cannot_be_taken_is_told_with_its_place() {
        for (line, expected) in [
            (
                r#"{"kind":"line","x":{"$result":"c.n"}}"#,
                ":4:21: `$result` is `c.n`, which does not begin with the id of a job",
            ),
            (
                r#"{"kind":"line","id":"c","x":{"$result":"c.n"}}"#,
                "which does not begin with the id of a job on an earlier line",
            ),
            (r#"{"kind":"line","x":{"$result":"ens.v"}}"#, "names the 2 jobs of a line with a matrix"),
            (r#"{"kind":"line","x":{"$result":{"id":"c"}}}"#, "`$result` names `c`, but no job on an earlier line"),
            (r#"{"kind":"line","x":{"$result":"a.n","y":1}}"#, "beside `$result` no other field can stand"),
            (r#"{"kind":"line","x":{"y":1,"$result":"a.n"}}"#, ":4:27: beside `$result` no other field can stand"),
            (r#"{"kind":"line","x":{"$result":[1]}}"#, "expected \"ID.PATH\" or {\"id\":\"ID\",\"path\":\"PATH\"}"),
            (r#"{"kind":"line","timeout":{"$result":"a.n"}}"#, "expected a time as in"),
            // Known only when the value is there.
            (
                r#"{"kind":"line","x":{"$result":"a.m"}}"#,
                ":4:20: `$result` of `a.m`: the result has no `m`: it has `n`, `list`, `b`",
            ),
            (r#"{"kind":"factor","n":{"$result":"a.list.0"}}"#, "(`\"x\"` is what `$result` took from `a.list.0`)"),
            (r#"{"kind":"factor","n":{"$result":"a.n"},"size":1}"#, "jobs.jsonl:4:45: unknown field `size`"),
            (
                r#"{"kind":"factor","n":{"$result":"a.n"},"{k}":1,"x":"{k}","matrix":{"k":[12345]}}"#,
                "jobs.jsonl:4:44: unknown field `{k}`",
            ),
        ] {
            let error = bound(line);
            assert_eq!(error.cause, Cause::BadInput, "{line}: {error}");
            assert!(error.message.contains(expected), "{line}\n  {error}\n  lacks {expected}");
        }
        let spec = last(r#"{"kind":"line","x":{"$result":"a.n"}}"#).unwrap();
        let error = spec.params.bind(&BindContext::default()).unwrap_err();
        assert!(error.cause == Cause::Unsupported && error.message.contains("--output"), "{error}");
    }
}
