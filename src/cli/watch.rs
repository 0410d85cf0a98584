//! Watching a run of many jobs: its log, its progress, its pictures.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::cli::Stopped;
use crate::cli::pictures::{Pictures, picture_args};
use crate::cli::progress::ProgressShown;
use crate::cli::status_line::Above;
use crate::cli::terminal::is_terminal;
use crate::cli::total::Total;
use crate::cli::whole_file;
use crate::results::{JobLog, RunResults, Watched, Watcher};
use crate::runner::Runner;

const HEADING: &str = "Watching";

/// Adds the options.
pub(super) fn with_watch_options(command: Command) -> Command {
    let joblog = Arg::new("joblog")
        .long("joblog")
        .value_name("PATH")
        .help("Write a line for each job as it ends to this file: id, start, seconds, device, status, cause, …")
        .value_parser(value_parser!(PathBuf));
    let progress = Arg::new("progress")
        .long("progress")
        .help("Show on standard error how far the run has come: a bar on a terminal, else a line now and then")
        .action(ArgAction::SetTrue);
    let all = [joblog, progress].into_iter().chain(picture_args());
    command.args(all.map(|arg| arg.help_heading(HEADING)))
}

/// Who watches a run.
pub(super) struct Watching {
    joblog: Option<Log>,
    progress: Option<ProgressShown>,
    pictures: Pictures,
}

/// The job log's file, which is left as it is until the run is known to begin; and the log, from then on.
struct Log {
    path: PathBuf,
    file: Option<File>,
    log: Option<Arc<JobLog>>,
}

impl Log {
    /// # Errors
    /// Where it is not to be written over, or cannot be written to.
    fn open(path: &Path, taken: impl Fn(&Path) -> Option<&'static str>) -> Result<Self, Stopped> {
        if let Some(what) = taken(path) {
            let path = path.display();
            return Err(Stopped::usage(format_args!("--joblog: {path} is {what}: name another file")));
        }
        let file = JobLog::open(path).map_err(|error| whole_file::cannot("--joblog", path, &error))?;
        Ok(Self { path: path.to_owned(), file: Some(file), log: None })
    }

    fn begin(&mut self, goes_on: bool) -> Result<(), Stopped> {
        if let Some(file) = self.file.take() {
            let log = JobLog::begin(&self.path, file, goes_on).map_err(|error| failed(&self.path, &error))?;
            self.log = Some(Arc::new(log));
        }
        Ok(())
    }
}

fn failed(path: &Path, error: &io::Error) -> Stopped {
    Stopped::failed(format_args!("--joblog: {}: {error}", path.display()))
}

impl Watching {
    /// Begins to watch a run of `total` jobs, as these arguments ask for it. `taken` says what a file is already, if it is not to
    /// be written over.
    pub fn begin(
        matches: &ArgMatches,
        runner: &Arc<Runner>,
        total: impl FnOnce() -> Total,
        taken: impl Fn(&Path) -> Option<&'static str>,
    ) -> Result<Self, Stopped> {
        let joblog = match matches.get_one::<PathBuf>("joblog") {
            Some(path) => Some(Log::open(path, &taken)?),
            None => None,
        };
        let log = joblog.as_ref().map(|log| log.path.clone());
        let taken = |path: &Path| taken(path).or_else(|| (log.as_deref() == Some(path)).then_some("the job log"));
        let pictures = Pictures::begin(matches, runner, taken)?;
        let progress = matches.get_flag("progress").then(|| ProgressShown::begin(runner, total()));
        Ok(Self { joblog, progress, pictures })
    }

    /// All jobs were read, and there were so many.
    pub fn read_all(&self, jobs: u64) {
        if let Some(progress) = &self.progress {
            progress.total().was(jobs);
        }
    }

    /// Standard output, beside what is shown of the run.
    pub fn stdout(&self) -> Box<dyn Write + Send> {
        if self.progress.is_some() && is_terminal() { Box::new(Above(io::stdout())) } else { Box::new(io::stdout()) }
    }

    /// These results, which can be written to, watched: of a run that goes on with another one or begins anew.
    ///
    /// # Errors
    /// Where there can be no log.
    pub fn over(
        &mut self,
        results: Arc<dyn RunResults>,
        others: Vec<Arc<dyn Watcher>>,
        goes_on: bool,
    ) -> Result<Arc<dyn RunResults>, Stopped> {
        let mut watchers = others;
        watchers.extend(self.progress.iter().map(ProgressShown::watcher));
        watchers.extend(self.pictures.watcher());
        if let Some(joblog) = &mut self.joblog {
            joblog.begin(goes_on)?;
            watchers.extend(joblog.log.clone().map(|log| log as Arc<dyn Watcher>));
        }
        Ok(if watchers.is_empty() { results } else { Arc::new(Watched::new(results, watchers)) })
    }

    /// Ends the watch, when all results are written.
    ///
    /// # Errors
    /// Where the log is not whole, or a picture cannot be written.
    pub fn finish(self) -> Result<(), Stopped> {
        drop(self.progress);
        let drawn = self.pictures.finish();
        let Some(Log { path, log: Some(log), .. }) = self.joblog else { return drawn };
        let logged = log.finish().map_err(|error| {
            Stopped::failed(format_args!("--joblog: {}: {error}; the results are whole", path.display()))
        });
        logged.and(drawn)
    }
}
