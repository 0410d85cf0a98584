//! A run of many jobs, wherever they come from: watched, its first ones alone where that is asked for, and told of at its end.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ArgMatches;

use crate::cli::Stopped;
use crate::cli::pipe::Polled;
use crate::cli::run::first::{First, Gate};
use crate::cli::run::lines::Line;
use crate::cli::run::output::{Output, Written};
use crate::cli::signals::Signals;
use crate::cli::stopped::FAILED;
use crate::cli::terminal::tell;
use crate::cli::total::Total;
use crate::cli::watch::Watching;
use crate::engine::{CancelFlag, Outcome};
use crate::job::BindContext;
use crate::report::figures::counted;
use crate::report::visible;
use crate::results::{Tally, Watcher};
use crate::runner::{Incoming, Runner, StreamOptions, Streamed};

/// Where the jobs of a run come from.
pub(in crate::cli) trait Jobs {
    /// The next one, as far as it has come.
    fn poll(&mut self) -> Polled<Line>;
    /// Whether there are more than were taken. May take one of them.
    fn has_more(&mut self) -> bool;
    /// Why they ended early, if they did.
    fn read_error(&mut self) -> Option<Stopped>;
    /// How many there are, as far as that can be told.
    fn total(&self) -> Total;
    /// How messages name all of them.
    fn name(&self) -> &str;
    /// What jobs of an earlier run are gone from.
    fn origin(&self) -> &'static str;
    /// What a file is to them, if it is not to be written over.
    fn taken(&self, path: &Path) -> Option<&'static str>;
}

/// What ends a run where its results can no longer be written.
pub(in crate::cli) type OnBroken = Box<dyn Fn() + Send + Sync>;

/// How jobs are run.
pub(in crate::cli) struct Streaming<'a> {
    pub matches: &'a ArgMatches,
    pub runner: &'a Arc<Runner>,
    pub cancel: &'a CancelFlag,
    pub flow: StreamOptions,
    pub output: &'a Output,
    /// How many jobs run alone before the rest.
    pub first: Option<u64>,
    /// Whether somebody else tells why these run where they run.
    pub explained: bool,
}

impl Streaming<'_> {
    /// Runs them to their end. `results` opens what their outcomes go to, and `summarise` tells what became of them.
    pub fn run<J: Jobs>(
        self,
        mut jobs: J,
        mut context: BindContext,
        results: impl FnOnce(&J, &Watching, OnBroken) -> Result<Written, Stopped>,
        summarise: impl FnOnce(&Tally),
    ) -> Result<ExitCode, Stopped> {
        let look = {
            let runner = Arc::downgrade(self.runner);
            move || {
                if let Some(runner) = runner.upgrade() {
                    runner.engine().cancelled();
                }
            }
        };
        let stop = {
            let (look, cancel) = (look.clone(), self.cancel.clone());
            move || {
                cancel.cancel();
                look();
            }
        };
        let signals = Signals::watch(self.cancel.clone(), look);
        let taken = |path: &Path| jobs.taken(path).or_else(|| self.output.taken(path));
        let mut watching = Watching::begin(self.matches, self.runner, || jobs.total(), taken)?;
        let first = self.first.map(|count| Arc::new(First::new(count, self.explained)));
        let others = first.iter().map(|first| first.clone() as Arc<dyn Watcher>).collect();
        let (results, earlier) = results(&jobs, &watching, Box::new(stop))?;
        let results = watching.over(results, others, self.output.resumes())?;
        context.results = earlier;
        let mut read = 0;
        let mut next = || match first.as_ref().map_or(Gate::Open, |first| first.gate()) {
            Gate::Open => jobs.poll(),
            Gate::Closed => Polled::NothingYet,
            Gate::Shut => Polled::End,
        };
        let incoming = || match next() {
            Polled::Item(job) => {
                read += 1;
                first.iter().for_each(|first| first.took_one());
                job.map_or_else(|bad| Incoming::Ended(Outcome::from(bad)), Incoming::Job)
            }
            Polled::NothingYet => Incoming::NothingYet,
            Polled::End => {
                watching.read_all(read);
                Incoming::End
            }
        };
        let streamed = self.runner.stream(incoming, context, self.cancel, self.flow, results.clone());
        let read_error = jobs.read_error();
        // The first ones have kept the rest from being read.
        let refusal = first.as_ref().and_then(|first| first.refusal()).filter(|_| jobs.has_more());
        let finished = if streamed == Streamed::All && read_error.is_none() && refusal.is_none() {
            results.finish().map(|tally| (tally, None))
        } else {
            results.finish_early()
        };
        // Whatever became of the results, the log is to be whole.
        let watched = watching.finish();
        let (tally, left_in) = match finished {
            Ok(finished) => finished,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Stopped::PipeClosed),
            Err(error) => return Err(self.output.failed(&error)),
        };
        let why = match streamed {
            Streamed::All => None,
            Streamed::Halted => Some("halted"),
            Streamed::Stopped => Some("interrupted"),
        };
        if let Some(why) = refusal {
            tell(format_args!("{why}: the rest of {} was not run; without --first it is", visible(jobs.name())));
        } else if let Some(why) = why.filter(|_| jobs.has_more()) {
            tell(format_args!("{why}: the rest of {} was not run", visible(jobs.name())));
        }
        summarise(&tally);
        if tally.dropped > 0 {
            let whose = if tally.dropped == 1 { "its" } else { "their" };
            let dropped = counted(tally.dropped, "outcome", "outcomes");
            let origin = jobs.origin();
            tell(format_args!(
                "{dropped} of an earlier run left out: {whose} job has changed, or is gone from {origin}"
            ));
        }
        if let (Some(partial), Some(output)) = (left_in, self.output.path()) {
            let (partial, output) = (partial.display(), output.display());
            tell(format_args!(
                "{output} is as it was, and {partial} holds what this run did: --resume goes on with both"
            ));
        }
        watched?;
        if let Some(code) = signals.exit_code() {
            return Ok(code);
        }
        match read_error {
            Some(error) => Err(error),
            None => Ok(ExitCode::from(if tally.is_clean() { 0 } else { FAILED })),
        }
    }
}
