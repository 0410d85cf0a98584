//! Where the outcomes of a run go.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use crate::cli::Stopped;
use crate::cli::run::streaming::OnBroken;
use crate::cli::watch::Watching;
use crate::cli::whole_file::{cannot, takes_no_rename};
use crate::job::{EarlierResults, parse_bounded};
use crate::results::{AsTheyCome, FileOptions, MAX_HELD_BYTES, OfWritten, Render, Results, ResultsFile, RunResults};

/// The options of a run whose outcomes can go to a file and be gone on with: `output`, `resume`, `sync` and `first`.
pub(in crate::cli) fn output_args() -> [Arg; 4] {
    [
        Arg::new("output")
            .long("output")
            .value_name("RESULTS.jsonl")
            .help("Write the outcomes to this file")
            .value_parser(value_parser!(PathBuf)),
        Arg::new("resume")
            .long("resume")
            .help("Go on with RESULTS.jsonl: keep what has succeeded and is still the same, run the rest")
            .action(ArgAction::SetTrue),
        Arg::new("sync")
            .long("sync")
            .help("Make sure that outcomes reach the disk as they come, so that a power cut loses none of them")
            .requires("output")
            .action(ArgAction::SetTrue),
        Arg::new("first")
            .long("first")
            .value_name("N")
            .help("Run the first N jobs alone and show all of them, and the rest only if these succeed")
            .value_parser(|text: &str| parse_bounded(text, 1..=1000)),
    ]
}

/// Where outcomes go, and where jobs find those of earlier ones, if these are kept.
pub(in crate::cli) type Written = (Arc<dyn RunResults>, Option<Arc<dyn EarlierResults>>);

/// Where they go.
pub(in crate::cli) enum Opened {
    /// To whoever reads them, as they are ready.
    Stream(Arc<dyn RunResults>),
    File(Arc<ResultsFile>),
}

/// How they look, and in which order they go where they are read at once.
pub(in crate::cli) struct Shown {
    pub render: Render,
    /// The indices of the jobs, ascending.
    pub due: Box<dyn Iterator<Item = u64> + Send>,
    pub unordered: bool,
    /// What is to be done for an outcome once a reader has it.
    pub afterwards: Option<OfWritten>,
}

/// Where a run was asked to write to: standard output, or a file.
pub(in crate::cli) struct Output {
    path: Option<PathBuf>,
    options: FileOptions,
}

impl Output {
    /// As these arguments ask for it.
    ///
    /// # Errors
    /// Where there is no file that could be gone on with.
    pub fn read(matches: &ArgMatches) -> Result<Self, Stopped> {
        let path = matches.get_one::<PathBuf>("output").filter(|path| path.as_os_str() != "-").cloned();
        let options = FileOptions { resume: matches.get_flag("resume"), sync: matches.get_flag("sync") };
        if options.resume && path.as_deref().is_none_or(takes_no_rename) {
            return Err(Stopped::usage(
                "--resume: there is no file to go on with: add --output RESULTS.jsonl, the file that the run writes to",
            ));
        }
        Ok(Self { path, options })
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether an earlier run is gone on with.
    pub fn resumes(&self) -> bool {
        self.options.resume
    }

    /// The file that takes the place of another at the end.
    fn renamed(&self) -> Option<&Path> {
        self.path().filter(|path| !takes_no_rename(path))
    }

    /// Refuses to write results over a folder or the jobs.
    pub fn check(&self, is_job_file: impl Fn(&Path) -> bool) -> Result<(), Stopped> {
        let Some(output) = self.renamed() else { return Ok(()) };
        if output.is_dir() {
            return Err(Stopped::usage(format_args!(
                "--output: {} is a folder: name a file in it for the results",
                output.display()
            )));
        }
        for path in [output, &with_suffix(output, ".partial")] {
            if is_job_file(path) {
                return Err(Stopped::usage(format_args!(
                    "--output: {} is the job file: name another file for the results",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// What a file is to the results, if it is not to be written over.
    pub fn taken(&self, path: &Path) -> Option<&'static str> {
        // Those beside the results lie where these really are.
        let (output, path) = (resolved(self.renamed()?), resolved(path));
        if path == output {
            return Some("the file for the results");
        }
        let mut others = [".partial", ".sorted"].iter().map(|suffix| with_suffix(&output, suffix));
        others.any(|other| other == path).then_some("a file that the run makes beside its results")
    }

    /// Opens it.
    pub fn open(&self, shown: Shown, watching: &Watching, on_broken: OnBroken) -> Result<Opened, Stopped> {
        let failed = |path: &Path, error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied => {
                cannot("--output", path, &error)
            }
            _ => Stopped::failed(format_args!("--output: {error}")),
        };
        let Shown { render, due, unordered, afterwards } = shown;
        let afterwards = afterwards.unwrap_or(|_| None);
        let out = match self.path() {
            None => watching.stdout(),
            Some(path) if takes_no_rename(path) => {
                let file = std::fs::OpenOptions::new().write(true).open(path);
                let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
                Box::new(file.map_err(|error| failed(path, named(error)))?)
            }
            Some(path) => {
                let file =
                    ResultsFile::open(path, self.options, render, on_broken).map_err(|error| failed(path, error))?;
                return Ok(Opened::File(Arc::new(file)));
            }
        };
        Ok(Opened::Stream(if unordered {
            Arc::new(AsTheyCome::new(out, render, on_broken).with_afterwards(afterwards))
        } else {
            Arc::new(Results::new(out, due, MAX_HELD_BYTES, render, on_broken).with_afterwards(afterwards))
        }))
    }

    /// Results that could not be written.
    pub fn failed(&self, error: &io::Error) -> Stopped {
        let place = self.path().map_or("standard output".into(), |path| path.display().to_string());
        // A message of a file of ours names it.
        let place = if error.to_string().contains(&place) { String::new() } else { format!("{place}: ") };
        Stopped::failed(format_args!("results: {place}{error}"))
    }
}

/// The path without links and dots, as far as there is something there.
fn resolved(path: &Path) -> PathBuf {
    let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let in_its_folder = || {
        let absolute = absolute();
        let folder = absolute.parent()?.canonicalize().ok()?;
        Some(folder.join(absolute.file_name()?))
    };
    path.canonicalize().ok().or_else(in_its_folder).unwrap_or_else(absolute)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
