//! `{"$result":"a.path"}`: a value that a job takes from the outcome of an earlier one, when its turn has come.

use std::io::{self, Read};
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::job::file::Wrong;
use crate::job::names::Names;
use crate::job::patch::{Origins, Patched};
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

/// A value that is taken from an earlier job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Where it is to stand in the line.
    range: Range<usize>,
    /// The place of the job.
    pub index: u64,
    path: Vec<String>,
    /// As it was written.
    written: String,
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
    let mut found = Vec::new();
    for quote in memchr::memmem::find_iter(line.as_bytes(), b"\"$result\"") {
        // A quote in a string has a backslash, so that this is a string of its own: a field's name or a value.
        let after = &line[quote + RESULT.len() + 2..];
        let Some(value) = after.trim_ascii_start().strip_prefix(':') else { continue };
        let wrong = |message: String| Wrong { column: quote + 1, message };
        let beside =
            || wrong("beside `$result` no other field can stand: the object is replaced as a whole".to_owned());
        let before = line[..quote].trim_ascii_end();
        if !before.ends_with('{') {
            return Err(beside());
        }
        let mut values = serde_json::Deserializer::from_str(value).into_iter::<&RawValue>();
        let Some(Ok(json)) = values.next() else { return Err(beside()) };
        let rest = &value[values.byte_offset()..];
        let close = line.len() - rest.trim_ascii_start().len();
        if !rest.trim_ascii_start().starts_with('}') {
            return Err(beside());
        }
        let written: Written = serde_json::from_str(json.get()).map_err(|error| wrong(error.to_string()))?;
        let (index, path) = match &written {
            Written::Short(text) => short(text, names, end),
            Written::Long { id, .. } => names.find(id).filter(|places| places.end <= end).map(|places| (places, vec![])),
        }
        .ok_or_else(|| {
            wrong(match &written {
                Written::Short(text) => format!(
                    "`$result` is `{}`, which does not begin with the id of a job on an earlier line: write ID.PATH, as in \
                     load.stdout",
                    shorten(text)
                ),
                Written::Long { id, .. } => {
                    format!("`$result` names `{}`, but no job on an earlier line has that id", shorten(id))
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
        found.push(Taken { range: before.len() - 1..close + 1, index: index.start, path, written });
    }
    Ok(found)
}

/// The job and the path that a text with both means: the longest id that there is.
fn short(text: &str, names: &Names, end: u64) -> Option<(Range<u64>, Vec<String>)> {
    let dots = memchr::memrchr_iter(b'.', text.as_bytes());
    std::iter::once(text.len()).chain(dots).find_map(|at| {
        let places = names.find(&text[..at]).filter(|places| places.end <= end)?;
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
        let values = self.taken.iter().map(|taken| self.value(taken, context)).collect::<Result<Vec<_>, _>>()?;
        let parts = self.taken.iter().zip(&values).map(|(taken, value)| (taken.range.clone(), value.as_str()));
        let patched = Patched::new(&self.line, parts);
        let params = (self.kind.parse)(&patched.text).map_err(|error| {
            let Wrong { column, mut message } =
                Wrong::of(&error, &patched.text, |column| field_at(&patched.text, column));
            if let Some(part) = patched.origins.part(column - 1) {
                let (value, from) = (shorten(&values[part]), shorten(&self.taken[part].written));
                message = format!("{message} (`{value}` is what `$result` took from `{from}`)");
            }
            self.wrong(patched.origins.original(column - 1), &message)
        })?;
        params.bind(context)
    }

    fn results_of(&self) -> Vec<u64> {
        self.taken.iter().map(|taken| taken.index).collect()
    }
}

impl Deferred {
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
