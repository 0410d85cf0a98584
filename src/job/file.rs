//! The job file: JSON Lines, one job a line.

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::Arc;

use memchr::memmem::Finder;

use crate::engine::{Outcome, RanOn, Timings};
use crate::job::blank::without_fields;
use crate::job::chains::{Begun, Chain};
use crate::job::expansion::Expansion;
use crate::job::head::{Head, HeadReader, TERMS};
use crate::job::lines::{Line, Lines, MAX_LINE_BYTES};
use crate::job::names::Names;
use crate::job::patch::Origins;
use crate::job::taken::{Deferred, taken};
use crate::job::wording::{field_at, plain, with_field};
use crate::job::{JobError, JobHash, JobParams, JobSpec, Kind, kinds};

/// Longer messages are shortened in their middle.
const MAX_MESSAGE_BYTES: usize = 400;

/// A line that is no job: what could be read of it, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The place in the run that it would have had.
    pub index: u64,
    /// The id that it gave before it went wrong, else `#` and its number.
    pub id: Arc<str>,
    /// Its kind, empty (null in the JSON of its outcome) where it gave none before it went wrong.
    pub kind: &'static str,
    /// What is wrong; the message begins with file, line and column.
    pub error: JobError,
}

impl From<BadLine> for Outcome {
    fn from(line: BadLine) -> Self {
        Self {
            index: line.index,
            id: line.id,
            kind: line.kind,
            result: Err(line.error),
            ran_on: RanOn::Nowhere,
            timings: Timings::default(),
            attempts: 1,
            plan: None,
            hash: None,
        }
    }
}

/// Reads a job file: each line a [`JobSpec`], or a [`BadLine`] that leaves the others alone.
///
/// Blank lines are skipped, but counted as lines; a byte order mark and both kinds of line end are fine. Of the whole
/// file, one line is in memory at a time, and some 32 bytes for each id that was given. A line with a `matrix` gives its
/// jobs one after the other, as they are asked for; some 16 bytes stay for each value in it.
///
/// The iterator ends early where reading fails; [`JobFile::read_error`] then says why.
///
/// ```
/// let text = "{\"kind\":\"nonsense\"}\n";
/// let mut jobs = tandem::job::JobFile::new("jobs.jsonl", text.as_bytes());
/// let bad = jobs.next().unwrap().unwrap_err();
/// assert!(bad.error.message.starts_with("jobs.jsonl:1:"), "{}", bad.error);
/// assert!(jobs.next().is_none() && jobs.read_error().is_none());
/// ```
#[derive(Debug)]
pub struct JobFile<R> {
    lines: Lines<R>,
    parser: Parser,
    /// The lines whose jobs come next.
    chain: Chain,
    /// What comes after those.
    held: Option<Begun>,
    mixes_stages: bool,
    read_error: Option<io::Error>,
}

impl<R: Read> JobFile<R> {
    /// The job file in `input`, called `name` in messages.
    pub fn new(name: impl Into<String>, input: R) -> Self {
        let parser = Parser::of_kinds(name, kinds().collect());
        Self {
            lines: Lines::new(input),
            parser,
            chain: Chain::default(),
            held: None,
            mixes_stages: false,
            read_error: None,
        }
    }

    /// The same with one more kind of job: a user's own.
    pub fn with_kind(mut self, kind: &'static Kind) -> Self {
        self.parser.kinds.push(kind);
        self
    }

    /// The same with the hash of its line in every job.
    #[must_use]
    pub fn with_hashes(mut self) -> Self {
        self.parser.hashing = true;
        self
    }

    /// The same file with the jobs of successive lines with a matrix mixed, where those of one wait for those of the line before:
    /// each comes as soon as all that it waits for has come, so that with the first parts the last stage is busy while others
    /// are still at the first. Their places in the run stay those of the file. Lines are read ahead for it, so that this
    /// is for files, and not for pipes.
    pub fn mixing_stages(mut self) -> Self {
        self.mixes_stages = true;
        self
    }

    /// Reads the rest of the file for what its jobs are called, and makes none of those of lines with a matrix that can be
    /// told without.
    #[cfg(feature = "cli")]
    pub(crate) fn read_names(&mut self) {
        loop {
            match self.held.take().or_else(|| self.next_line()) {
                Some(Begun::Jobs(expansion)) if expansion.is_named_whole() => {}
                Some(Begun::Jobs(expansion)) => {
                    self.chain.begin(expansion);
                    while self.chain.next(&mut self.parser).is_some() {}
                }
                Some(Begun::Job(_)) => {}
                None => return,
            }
        }
    }

    /// The places of the job with this id, or of all jobs of the line with this name, of what has been read.
    #[cfg(feature = "cli")]
    pub(crate) fn places(&self, id: &str) -> Option<std::ops::Range<u64>> {
        self.parser.names.find(id).filter(|places| places.end <= self.parser.index)
    }

    /// Why the file ended early, if it did.
    pub fn read_error(&self) -> Option<&io::Error> {
        self.read_error.as_ref()
    }
}

impl<R: Read> Iterator for JobFile<R> {
    type Item = Result<JobSpec, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(job) = self.chain.next(&mut self.parser) {
                return Some(job);
            }
            match self.held.take().or_else(|| self.next_line())? {
                Begun::Job(job) => return Some(job),
                Begun::Jobs(expansion) => self.begin(expansion),
            }
        }
    }
}

impl<R: Read> JobFile<R> {
    /// What the next line that is not blank holds.
    fn next_line(&mut self) -> Option<Begun> {
        while self.read_error.is_none() {
            match self.lines.next_line() {
                Ok(Some((_, Line::Text(bytes)))) if bytes.iter().all(u8::is_ascii_whitespace) => {}
                Ok(Some((number, line))) => {
                    return Some(match self.parser.expand(number, line) {
                        Some(Ok(expansion)) => Begun::Jobs(expansion),
                        Some(Err(bad)) => Begun::Job(Err(bad)),
                        None => Begun::Job(self.parser.parse(number, line)),
                    });
                }
                Ok(None) => break,
                Err(error) => self.read_error = Some(error),
            }
        }
        None
    }

    /// Begins with the jobs of a line with a matrix, and of the lines after it that go on with them.
    fn begin(&mut self, expansion: Expansion) {
        self.chain.begin(expansion);
        while self.mixes_stages && self.chain.may_go_on() {
            match self.next_line() {
                Some(Begun::Jobs(expansion)) => match self.chain.go_on(expansion, &mut self.parser) {
                    None => continue,
                    Some(other) => self.held = Some(Begun::Jobs(other)),
                },
                other => self.held = other,
            }
            break;
        }
    }
}

/// What is needed to make a job of a line.
#[derive(Debug)]
pub(super) struct Parser {
    pub name: String,
    pub kinds: Vec<&'static Kind>,
    pub names: Names,
    pub index: u64,
    pub matrix: Finder<'static>,
    pub result: Finder<'static>,
    /// Whether jobs get the hashes of their lines.
    pub hashing: bool,
}

impl Parser {
    /// One that knows these kinds, for a file called `name` in messages.
    pub fn of_kinds(name: impl Into<String>, kinds: Vec<&'static Kind>) -> Self {
        Self {
            name: name.into(),
            kinds,
            names: Names::default(),
            index: 0,
            hashing: false,
            matrix: Finder::new("\"matrix\""),
            result: Finder::new("\"$result\""),
        }
    }

    fn parse(&mut self, number: u64, line: Line<'_>) -> Result<JobSpec, BadLine> {
        let index = self.index;
        self.index += 1;
        self.names.add_line(index, number);
        let mut head = Head::default();
        let parsed = self.parse_line(&mut head, index, number, line);
        let id = head.id.take().unwrap_or_else(|| line_id(number));
        match parsed {
            Ok((kind, params)) => {
                let Head { device, terms, content, .. } = head;
                Ok(JobSpec { index, id, kind: kind.name, device, terms, content, params })
            }
            Err(Wrong { column, message }) => {
                let error = JobError::bad_input(format!("{}:{number}:{column}: {message}", self.name));
                Err(BadLine { index, id, kind: head.kind.map_or("", |kind| kind.name), error })
            }
        }
    }

    fn parse_line(
        &mut self,
        head: &mut Head,
        index: u64,
        number: u64,
        line: Line<'_>,
    ) -> Result<(&'static Kind, Box<dyn JobParams>), Wrong> {
        let Line::Text(bytes) = line else {
            let message = format!(
                "the line is longer than {} MiB: put long data into a file of its own and name it in the job",
                MAX_LINE_BYTES >> 20
            );
            return Err(Wrong { column: MAX_LINE_BYTES + 1, message });
        };
        let text = std::str::from_utf8(bytes).map_err(|error| Wrong {
            column: error.valid_up_to() + 1,
            message: "not UTF-8: save the job file as UTF-8".to_owned(),
        })?;
        self.parse_text(head, HeadPlace { index, line: number, line_first: index }, text, &Origins::default())
    }

    /// Parses what every job has of the text of one.
    pub fn parse_head(&mut self, head: &mut Head, place: HeadPlace, text: &str) -> Result<&'static Kind, Wrong> {
        let HeadPlace { index, line, line_first } = place;
        let (names, kinds) = (&mut self.names, &self.kinds);
        let reader = HeadReader { head, names, kinds, line, index, line_first };
        // What is wrong with the common fields is said by name already.
        reader.read(text).map_err(|error| Wrong::of(&error, text, |_| None))
    }

    /// Parses the text of one job, the bytes of which come from there in its line.
    pub fn parse_text(
        &mut self,
        head: &mut Head,
        place: HeadPlace,
        text: &str,
        origins: &Origins,
    ) -> Result<(&'static Kind, Box<dyn JobParams>), Wrong> {
        let HeadPlace { line, line_first, .. } = place;
        let kind = self.parse_head(head, place, text)?;
        let own = if head.has_terms { without_fields(text, &TERMS).into() } else { Cow::Borrowed(text) };
        head.content = self.hashing.then(|| JobHash::of_line(text, &[&NAME_AND_PLACE, &TERMS], kind.aside));
        if self.result.find(text.as_bytes()).is_some() {
            let taken = taken(&own, &self.names, line_first)?;
            if !taken.is_empty() {
                head.terms.after.extend(taken.iter().map(|taken| taken.index..taken.index + 1));
                let (line, place) = (own.into_owned().into(), format!("{}:{line}", self.name));
                return Ok((kind, Box::new(Deferred { kind, line, taken, place, origins: origins.clone() })));
            }
        }
        let params = (kind.parse)(&own).map_err(|error| Wrong::of(&error, text, |column| field_at(text, column)))?;
        Ok((kind, params))
    }
}

/// What is added to the fields that a kind has, where one is unknown.
pub(super) const MATRIX_OR_TERMS: &str = ", or a field of every job: `matrix`";

/// The fields besides the terms that leave the result of a job as it is.
const NAME_AND_PLACE: [&str; 2] = ["id", "device"];

pub(super) fn line_id(number: u64) -> Arc<str> {
    // Most jobs have one of these.
    ["#", itoa::Buffer::new().format(number)].concat().into()
}

/// Where a job stands.
pub(super) struct HeadPlace {
    pub index: u64,
    pub line: u64,
    /// The place of the first job of its line.
    pub line_first: u64,
}

/// What is wrong with a line, and at which of its bytes, from 1.
#[derive(Debug)]
pub(super) struct Wrong {
    pub column: usize,
    pub message: String,
}

impl Wrong {
    /// The same in this project's words: without the line, which is always the first here; with a column, where serde knows
    /// none that of the job's first byte; and bounded, since a message may repeat a field's name, which may be as long as
    /// the line.
    pub fn of<'a>(error: &serde_json::Error, line: &'a str, field_at: impl Fn(usize) -> Option<&'a str>) -> Self {
        let theirs = error.to_string();
        let (message, column) = match theirs.rfind(" at line ") {
            Some(at) if error.line() > 0 => (&theirs[..at], error.column().max(1)),
            _ => (&*theirs, 1 + line.len() - line.trim_ascii_start().len()),
        };
        let field = if error.is_data() && error.line() > 0 { field_at(column) } else { None };
        let mut message = with_field(plain(message), field).into_owned();
        if field.is_none() && message.starts_with("unknown field ") {
            message += MATRIX_OR_TERMS;
            TERMS.iter().for_each(|term| message += &format!(", `{term}`"));
        }
        if message.len() > MAX_MESSAGE_BYTES {
            let (head, tail) = (message.floor_char_boundary(250), message.ceil_char_boundary(message.len() - 140));
            message = format!("{} … {}", &message[..head], &message[tail..]);
        }
        Self { column, message }
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
