//! Watching a run of many jobs: its log, its progress.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::cli::Stopped;
use crate::results::{JobLog, RunResults, Watched, Watcher};

const HEADING: &str = "Watching";

/// Adds the options.
pub(super) fn with_watch_options(command: Command) -> Command {
    command.args([Arg::new("joblog")
        .long("joblog")
        .value_name("PATH")
        .help("Write a line for each job as it ends to this file: id, start, seconds, device, status, cause, …")
        .help_heading(HEADING)
        .value_parser(value_parser!(PathBuf))])
}

/// Who watches a run.
pub(super) struct Watching {
    joblog: Option<(PathBuf, Arc<JobLog>)>,
}

impl Watching {
    /// Begins to watch, as these arguments ask for it. `taken` says of a path what it is for, where it is for something else.
    pub fn begin(matches: &ArgMatches, taken: impl Fn(&Path) -> Option<&'static str>) -> Result<Self, Stopped> {
        let joblog = match matches.get_one::<PathBuf>("joblog") {
            Some(path) => {
                if let Some(what) = taken(path) {
                    let path = path.display();
                    return Err(Stopped::usage(format_args!("--joblog: {path} is {what}: name another file")));
                }
                let log = JobLog::create(path);
                let log =
                    log.map_err(|error| Stopped::failed(format_args!("--joblog: {}: {error}", path.display())))?;
                Some((path.clone(), Arc::new(log)))
            }
            None => None,
        };
        Ok(Self { joblog })
    }

    /// These results, watched.
    pub fn over(&self, results: Arc<dyn RunResults>, others: Vec<Arc<dyn Watcher>>) -> Arc<dyn RunResults> {
        let mut watchers = others;
        watchers.extend(self.joblog.iter().map(|(_, log)| -> Arc<dyn Watcher> { log.clone() }));
        if watchers.is_empty() { results } else { Arc::new(Watched::new(results, watchers)) }
    }

    /// Ends the watch, when all results are written.
    ///
    /// # Errors
    /// Where the log is not whole.
    pub fn finish(self) -> Result<(), Stopped> {
        let Some((path, log)) = self.joblog else { return Ok(()) };
        log.finish().map_err(|error| {
            Stopped::failed(format_args!("--joblog: {}: {error}; the results are whole", path.display()))
        })
    }
}
