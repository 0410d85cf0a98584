//! The jobs of `tandem run`: read as they are needed, or chosen and checked before.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::Stopped;
use crate::cli::pipe::{Pipe, Polled};
use crate::cli::run::chosen::{Chosen, Places};
use crate::cli::run::shard::{Members, Part};
use crate::cli::terminal::tell;
use crate::cli::total::Total;
use crate::engine::CancelFlag;
use crate::input::claim_stdin;
use crate::job::{BadLine, JobFile, JobSpec, Shard};
use crate::report::figures::{counted, whole};
use crate::report::visible;

/// How many wrong lines `--strict` names.
const MAX_NAMED_LINES: usize = 20;

/// A job, or why a line is none.
pub(in crate::cli) type Line = Result<JobSpec, BadLine>;

/// Where a job file comes from.
pub(in crate::cli) struct JobInput {
    name: String,
    path: Option<PathBuf>,
    /// Whether jobs are to be found again by a later run.
    hashed: bool,
}

impl JobInput {
    /// The job file at `path`; `-` is standard input.
    pub fn new(path: &Path) -> Self {
        if path.as_os_str() == "-" {
            return Self { name: "standard input".to_owned(), path: None, hashed: false };
        }
        Self { name: path.display().to_string(), path: Some(path.to_owned()), hashed: false }
    }

    /// The same with jobs that a later run can find again, where they are to be.
    pub fn hashed(mut self, hashed: bool) -> Self {
        self.hashed = hashed;
        self
    }

    fn jobs(&self, input: File) -> JobFile<File> {
        let jobs = JobFile::new(&self.name, input);
        if self.hashed { jobs.with_hashes() } else { jobs }
    }

    /// The folder that relative paths in the jobs start from.
    pub fn base_dir(&self) -> PathBuf {
        self.path.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default()
    }

    /// How messages name it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it lies, if it is no standard input.
    pub fn path(&self) -> Option<PathBuf> {
        self.path.clone()
    }

    /// How a command names it; `None` for standard input, which no other command can read again.
    pub fn argument(&self) -> Option<String> {
        self.path.as_ref().map(|path| path.display().to_string())
    }

    /// Whether `other` is this file, by whatever name.
    pub fn is_file(&self, other: &Path) -> bool {
        same_file(self.path.as_deref(), other).unwrap_or(false)
    }

    /// The lines; where `strict`, after all of them were checked; those of a `shard`, if one is given; where `only` names ids,
    /// those jobs.
    pub fn open(
        &self,
        strict: bool,
        shard: Option<Shard>,
        only: &[String],
        cancel: &CancelFlag,
    ) -> Result<Lines, Stopped> {
        let (mut input, mut regular) = self.input()?;
        if (strict || shard.is_some() || !only.is_empty()) && !regular {
            input = spooled(input).map_err(|error| self.unreadable(&error))?;
            regular = true;
        }
        if strict {
            self.check(&mut input)?;
            input.rewind().map_err(|error| self.unreadable(&error))?;
        }
        if let Some(shard) = shard {
            return self.part(input, shard);
        }
        if !only.is_empty() {
            let places = self.choose(&mut input, only)?;
            input.rewind().map_err(|error| self.unreadable(&error))?;
            return Ok(Lines::Chosen(Chosen { jobs: self.jobs(input), places }));
        }
        Ok(if regular {
            Lines::File(self.jobs(input).mixing_stages())
        } else {
            {
                let mut jobs = self.jobs(input);
                let next = move || {
                    jobs.next()
                        .map(Ok)
                        .or_else(|| jobs.read_error().map(|error| Err(io::Error::new(error.kind(), error.to_string()))))
                };
                Lines::Pipe(Pipe::new(next, cancel.clone()))
            }
        })
    }

    /// Whether jobs may take values of earlier ones (`$result`), as far as that can be told before they are read.
    pub fn may_take_results(&self, lines: &Lines) -> bool {
        match (lines, &self.path) {
            (Lines::Pipe(_), _) => false,
            (_, Some(path)) if path.is_file() => File::open(path).and_then(mentions_results).unwrap_or(true),
            _ => true,
        }
    }

    /// The lines of a shard. Which they are has to be known before the first of them runs: a job that waits for another shard
    /// is no reason to stop halfway.
    fn part(&self, input: File, shard: Shard) -> Result<Lines, Stopped> {
        let mut input = input;
        let again = input.try_clone().map_err(|error| self.unreadable(&error))?;
        let mut jobs = JobFile::new(&self.name, again);
        let members = Members::read(&mut jobs, shard);
        if let Some(error) = jobs.read_error() {
            return Err(self.unreadable(error));
        }
        let members = members.map_err(|message| Stopped::usage(format_args!("--shard: {}: {message}", self.name)))?;
        input.rewind().map_err(|error| self.unreadable(&error))?;
        Ok(Lines::Part(Part { jobs: self.jobs(input), members: Arc::new(members) }))
    }

    /// What is read, and whether it is a regular file, which can be read twice and never makes one wait.
    fn input(&self) -> Result<(File, bool), Stopped> {
        let file = match &self.path {
            Some(path) => File::open(path),
            None => {
                claim_stdin().map_err(Stopped::usage)?;
                standard_input()
            }
        };
        let file = file.map_err(|error| self.unreadable(&error))?;
        let kind = file.metadata().map_err(|error| self.unreadable(&error))?;
        if kind.is_dir() {
            return Err(Stopped::usage(format!("{}: a folder is no job file", self.name)));
        }
        Ok((file, kind.is_file() && self.path.is_some()))
    }

    /// An error of reading the job file.
    pub fn unreadable(&self, error: &io::Error) -> Stopped {
        let what = match error.kind() {
            io::ErrorKind::NotFound => "no such file: check the path".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied: make the file readable".to_owned(),
            _ => error.to_string(),
        };
        Stopped::usage(format_args!("{}: {what}", self.name))
    }

    fn check(&self, input: &mut File) -> Result<(), Stopped> {
        let mut jobs = JobFile::new(&self.name, input);
        let mut wrong = 0_u64;
        for line in &mut jobs {
            if let Err(line) = line {
                wrong += 1;
                if wrong <= MAX_NAMED_LINES as u64 {
                    tell(visible(&line.error.message));
                }
            }
        }
        if let Some(error) = jobs.read_error() {
            return Err(self.unreadable(error));
        }
        if wrong > MAX_NAMED_LINES as u64 {
            tell(format_args!("and {} more", whole(wrong - MAX_NAMED_LINES as u64)));
        }
        if wrong > 0 {
            let wrong = counted(wrong, "line is", "lines are");
            return Err(Stopped::usage(format!("{}: {wrong} wrong, and nothing was run (--strict)", self.name)));
        }
        Ok(())
    }

    /// The places of the jobs that these ids name, of all jobs of a line with a matrix where one names that.
    fn choose(&self, input: &mut File, only: &[String]) -> Result<Places, Stopped> {
        let mut jobs = JobFile::new(&self.name, input);
        jobs.read_names();
        if let Some(error) = jobs.read_error() {
            return Err(self.unreadable(error));
        }
        let wanted: BTreeSet<&str> = only.iter().map(String::as_str).collect();
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in wanted {
            match jobs.places(id) {
                Some(places) => found.push(places),
                None => missing.push(format!("`{}`", visible(id))),
            }
        }
        if !missing.is_empty() {
            let message = "no job has the id";
            return Err(Stopped::usage(format!("{}: {message} {} (--only)", self.name, missing.join(", "))));
        }
        Ok(Places::new(found))
    }
}

/// Whether both are one file; standard input is `None`.
#[cfg(unix)]
fn same_file(path: Option<&Path>, other: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let found = match path {
        Some(path) => std::fs::metadata(path)?,
        None => standard_input()?.metadata()?,
    };
    let other = std::fs::metadata(other)?;
    Ok((found.dev(), found.ino()) == (other.dev(), other.ino()))
}

/// Whether both are one file; standard input is `None`, and none that can be told.
#[cfg(not(unix))]
fn same_file(path: Option<&Path>, other: &Path) -> io::Result<bool> {
    let Some(path) = path else { return Ok(false) };
    Ok(path.canonicalize()? == other.canonicalize()?)
}

/// Standard input as a file of its own, which a thread may block on.
#[cfg(unix)]
fn standard_input() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Standard input as a file of its own, which a thread may block on.
#[cfg(windows)]
fn standard_input() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(io::stdin().as_handle().try_clone_to_owned()?.into())
}

/// Whether the text `"$result"` is in a file.
fn mentions_results(mut file: File) -> io::Result<bool> {
    const WORD: &[u8] = b"\"$result\"";
    let finder = memchr::memmem::Finder::new(WORD);
    let mut buffer = vec![0; 256 << 10];
    let mut kept = 0;
    loop {
        let read = file.read(&mut buffer[kept..])?;
        let len = kept + read;
        if finder.find(&buffer[..len]).is_some() {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        // It may lie across two pieces.
        kept = len.min(WORD.len() - 1);
        buffer.copy_within(len - kept..len, 0);
    }
}

fn spooled(mut input: impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// The lines of a job file, one after the other.
pub(in crate::cli) enum Lines {
    File(JobFile<File>),
    Part(Part),
    Pipe(Pipe<Line>),
    Chosen(Chosen),
}

impl Lines {
    /// The indices of the jobs, ascending.
    pub fn due(&self) -> Box<dyn Iterator<Item = u64> + Send> {
        match self {
            Self::File(_) | Self::Pipe(_) => Box::new(0..),
            Self::Part(part) => part.due(),
            Self::Chosen(lines) => Box::new(lines.places.due()),
        }
    }

    /// How many jobs there are, as far as that can be told; of the file at `path`, if it is one.
    pub fn total(&self, path: Option<PathBuf>) -> Total {
        match (self, path) {
            (Self::Chosen(lines), _) => Total::of(Some(lines.places.len())),
            (Self::Part(part), _) => Total::of(Some(part.len())),
            (Self::File(_), Some(path)) => Total::of_lines(path),
            _ => Total::of(None),
        }
    }

    /// Whether there are lines after those that were taken. Takes one of them.
    pub fn has_more(&mut self) -> bool {
        match self {
            Self::File(jobs) => jobs.next().is_some(),
            Self::Part(part) => part.next().is_some(),
            // Who may still write to it is not known, so an open pipe counts.
            Self::Pipe(pipe) => pipe.has_more(),
            Self::Chosen(lines) => lines.next().is_some(),
        }
    }

    /// Why the lines ended early, if they did.
    pub fn read_error(&mut self) -> Option<io::Error> {
        match self {
            Self::File(jobs) | Self::Part(Part { jobs, .. }) => {
                jobs.read_error().map(|error| io::Error::new(error.kind(), error.to_string()))
            }
            Self::Pipe(pipe) => pipe.error(),
            Self::Chosen(lines) => lines.jobs.read_error().map(|error| io::Error::new(error.kind(), error.to_string())),
        }
    }
}

impl Lines {
    /// The next line, as far as it has come.
    pub fn poll(&mut self) -> Polled<Line> {
        let next = match self {
            Self::File(jobs) => jobs.next(),
            Self::Part(part) => part.next(),
            Self::Pipe(pipe) => return pipe.poll(),
            Self::Chosen(lines) => lines.next(),
        };
        next.map_or(Polled::End, Polled::Item)
    }
}

impl Iterator for Lines {
    type Item = Line;

    /// The next line, waited for.
    fn next(&mut self) -> Option<Line> {
        loop {
            match self.poll() {
                Polled::Item(line) => return Some(line),
                Polled::End => return None,
                Polled::NothingYet => {}
            }
        }
    }
}
