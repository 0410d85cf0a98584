//! The jobs of `tandem run`: read as they are needed, or chosen and checked before.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::Stopped;
use crate::cli::pipe::{Pipe, Polled};
use crate::cli::run_shard::{Members, Part};
use crate::cli::terminal::tell;
use crate::cli::total::Total;
use crate::engine::CancelFlag;
use crate::input::claim_stdin;
use crate::job::{BadLine, JobFile, JobSpec, Shard};
use crate::report::figures::{counted, whole};
use crate::report::visible;

/// How many wrong lines `--strict` names.
const MAX_NAMED_LINES: usize = 20;

type Line = Result<JobSpec, BadLine>;

/// Where a job file comes from.
pub(super) struct JobInput {
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
        let (mut input, regular) = self.input()?;
        if (strict || shard.is_some()) && !regular {
            input = spooled(input).map_err(|error| self.unreadable(&error))?;
        }
        if strict {
            self.check(&mut input)?;
            input.rewind().map_err(|error| self.unreadable(&error))?;
        }
        let lines = if let Some(shard) = shard {
            self.part(input, shard)?
        } else if regular || strict {
            Lines::File(self.jobs(input))
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
        };
        if only.is_empty() { Ok(lines) } else { self.choose(lines, only) }
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

    fn choose(&self, mut lines: Lines, only: &[String]) -> Result<Lines, Stopped> {
        let mut missing: BTreeSet<&str> = only.iter().map(String::as_str).collect();
        let wanted = missing.clone();
        let mut chosen = Vec::new();
        for line in &mut lines {
            let id = match &line {
                Ok(spec) => &*spec.id,
                Err(bad) => &*bad.id,
            };
            if wanted.contains(id) {
                missing.remove(id);
                chosen.push(line);
            }
        }
        if let Some(error) = lines.read_error() {
            return Err(self.unreadable(&error));
        }
        if !missing.is_empty() {
            let missing: Vec<String> = missing.iter().map(|id| format!("`{}`", visible(id))).collect();
            let message = "no job has the id";
            return Err(Stopped::usage(format!("{}: {message} {} (--only)", self.name, missing.join(", "))));
        }
        let places: BTreeSet<u64> = chosen.iter().map(place).collect();
        for spec in chosen.iter_mut().flatten() {
            let waits_for = spec.terms.after.len();
            // Each range is of one job.
            spec.terms.after.retain(|parents| places.contains(&parents.start));
            if spec.terms.after.len() < waits_for {
                tell(format_args!("`{}` does not wait for what is not run with it (--only)", visible(&spec.id)));
            }
        }
        Ok(Lines::Chosen(chosen.into_iter()))
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

/// The place of a line in the run.
fn place(line: &Line) -> u64 {
    line.as_ref().map_or_else(|bad| bad.index, |spec| spec.index)
}

fn spooled(mut input: impl Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// The lines of a job file, one after the other.
pub(super) enum Lines {
    File(JobFile<File>),
    Part(Part),
    Pipe(Pipe<Line>),
    Chosen(std::vec::IntoIter<Line>),
}

impl Lines {
    /// The indices of the jobs, ascending.
    pub fn due(&self) -> Box<dyn Iterator<Item = u64> + Send> {
        match self {
            Self::File(_) | Self::Pipe(_) => Box::new(0..),
            Self::Part(part) => part.due(),
            Self::Chosen(lines) => Box::new(lines.as_slice().iter().map(place).collect::<Vec<_>>().into_iter()),
        }
    }

    /// How many jobs there are, as far as that can be told; of the file at `path`, if it is one.
    pub fn total(&self, path: Option<PathBuf>) -> Total {
        match (self, path) {
            (Self::Chosen(lines), _) => Total::of(Some(lines.len() as u64)),
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
            Self::Chosen(_) => None,
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
