//! `tandem run`: the jobs of a job file.

mod chosen;
mod first;
mod lines;
mod look;
mod output;
mod shard;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::ArgMatches;

use first::{First, Gate};
use lines::{JobInput, Lines};
pub(super) use output::takes_no_rename;
use output::{resolved, with_suffix};

use crate::cli::Stopped;
use crate::cli::flow::flow_options;
use crate::cli::options::Options;
use crate::cli::pipe::Polled;
use crate::cli::signals::Signals;
use crate::cli::single::warn;
use crate::cli::stopped::FAILED;
use crate::cli::terminal::{is_terminal, stderr_style, tell};
use crate::cli::watch::Watching;
use crate::engine::{CancelFlag, Outcome};
use crate::job::{BindContext, DeviceChoice, Shard};
use crate::report::figures::counted;
use crate::report::{quoted, run_summary, visible};
use crate::results::{FileOptions, Tally, Watcher};
use crate::runner::{Incoming, Runner, StreamOptions, Streamed};

/// What `run` was asked for, besides the options of all jobs.
struct Asked {
    options: Options,
    input: JobInput,
    output: Option<PathBuf>,
    only: Vec<String>,
    shard: Option<Shard>,
    strict: bool,
    results_only: bool,
    unordered: bool,
    file: FileOptions,
    flow: StreamOptions,
    /// How many jobs run alone before the rest.
    first: Option<u64>,
    /// Whether what programs print is shown, instead of outcomes.
    tag: bool,
    /// Whether outcomes are shown as a table, for people.
    table: bool,
}

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let asked = Asked::read(matches)?;
    asked.check_output()?;
    let cancel = CancelFlag::default();
    let lines = asked.input.open(asked.strict, asked.shard, &asked.only, &cancel)?;
    let explained = asked.options.explain || asked.options.dry_run || asked.table || asked.first.is_some();
    let is_run = !asked.options.dry_run && !asked.options.verify;
    let builder = if is_run { asked.options.runner_of_many() } else { asked.options.runner() };
    let mut builder = builder.explain(explained);
    if let Some(jobs) = asked.flow.jobs {
        builder = builder.processes(jobs);
    }
    let runner = Arc::new(builder.build()?);
    require_device(&runner, asked.options.device)?;
    let code = if asked.options.dry_run {
        asked.each(lines, |spec, context| asked.plan(&runner, spec, context))
    } else if asked.options.verify {
        asked.each(lines, |spec, context| asked.verify(&runner, spec, context))
    } else {
        asked.run(&runner, lines, &cancel, matches)
    };
    warn(&runner);
    code
}

/// Refuses the whole run where the device that it is to run on by default is not there.
fn require_device(runner: &Runner, device: DeviceChoice) -> Result<(), Stopped> {
    let wanted = match device {
        DeviceChoice::Auto | DeviceChoice::Cpu => return Ok(()),
        DeviceChoice::Gpu | DeviceChoice::Split => None,
        DeviceChoice::GpuIndex(index) => Some(index as usize),
    };
    let found = runner.engine().devices().gpus();
    if let Some(diagnosis) = &found.diagnosis {
        return Err(Stopped::no_device(format_args!("`--device {device}` was asked for: {diagnosis}")));
    }
    if let Some(index) = wanted
        && found.gpus.get(index).is_none_or(|gpu| gpu.unusable.is_some())
    {
        return Err(Stopped::no_device(format_args!(
            "there is no usable {device}: `tandem devices` lists what is there"
        )));
    }
    Ok(())
}

impl Asked {
    /// Refuses to write results over the jobs.
    fn check_output(&self) -> Result<(), Stopped> {
        let Some(output) = self.output.as_deref().filter(|path| !takes_no_rename(path)) else { return Ok(()) };
        if output.is_dir() {
            return Err(Stopped::usage(format_args!(
                "--output: {} is a folder: name a file in it for the results",
                output.display()
            )));
        }
        for path in [output, &with_suffix(output, ".partial")] {
            if self.input.is_file(path) {
                return Err(Stopped::usage(format_args!(
                    "--output: {} is the job file: name another file for the results",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// What a file is to this run, if it is not to be written over.
    fn taken(&self, path: &Path) -> Option<&'static str> {
        if self.input.is_file(path) {
            return Some("the job file");
        }
        let output = self.output.as_deref().filter(|output| !takes_no_rename(output))?;
        // Those beside the results lie where these really are.
        let (output, path) = (resolved(output), resolved(path));
        if path == output {
            return Some("the file for the results");
        }
        let mut others = [".partial", ".sorted"].iter().map(|suffix| with_suffix(&output, suffix));
        others.any(|other| other == path).then_some("a file that the run makes beside its results")
    }

    fn read(matches: &ArgMatches) -> Result<Self, Stopped> {
        let options = Options::read(matches)?;
        let Some(jobs) = matches.get_one::<PathBuf>("job-file") else {
            return Err(Stopped::usage("no job file: name one, or - for standard input"));
        };
        let output = matches.get_one::<PathBuf>("output").filter(|path| path.as_os_str() != "-").cloned();
        let file = FileOptions { resume: matches.get_flag("resume"), sync: matches.get_flag("sync") };
        if file.resume && output.as_deref().is_none_or(takes_no_rename) {
            return Err(Stopped::usage(
                "--resume: there is no file to go on with: add --output RESULTS.jsonl, the file that the run writes to",
            ));
        }
        let results_only = matches.get_flag("results-only");
        Ok(Self {
            table: is_terminal() && !options.json && output.is_none() && !matches.get_flag("tag"),
            first: matches.get_one("first").copied(),
            tag: matches.get_flag("tag"),
            options,
            input: JobInput::new(jobs).hashed(output.is_some() && !results_only),
            output,
            only: matches.get_many::<String>("only").into_iter().flatten().cloned().collect(),
            shard: matches.get_one("shard").copied(),
            strict: matches.get_flag("strict"),
            results_only,
            file,
            unordered: matches.get_flag("unordered"),
            flow: flow_options(matches),
        })
    }

    fn run(
        &self,
        runner: &Arc<Runner>,
        mut lines: Lines,
        cancel: &CancelFlag,
        matches: &ArgMatches,
    ) -> Result<ExitCode, Stopped> {
        let stop = {
            let (runner, cancel) = (Arc::downgrade(runner), cancel.clone());
            move || {
                cancel.cancel();
                if let Some(runner) = runner.upgrade() {
                    runner.engine().cancelled();
                }
            }
        };
        let look = {
            let runner = Arc::downgrade(runner);
            move || {
                if let Some(runner) = runner.upgrade() {
                    runner.engine().cancelled();
                }
            }
        };
        let signals = Signals::watch(cancel.clone(), look);
        let total = || lines.total(self.input.path());
        let mut watching = Watching::begin(matches, runner, total, |path| self.taken(path))?;
        let first = self.first.map(|count| Arc::new(First::new(count, self.options.explain)));
        let others = first.iter().map(|first| first.clone() as Arc<dyn Watcher>).collect();
        let (results, earlier) = self.results(&lines, &watching, Box::new(stop))?;
        let results = watching.over(results, others, self.file.resume)?;
        let mut context = BindContext::in_folder(self.input.base_dir());
        context.results = earlier;
        let mut read = 0;
        let mut next = || match first.as_ref().map_or(Gate::Open, |first| first.gate()) {
            Gate::Open => lines.poll(),
            Gate::Closed => Polled::NothingYet,
            Gate::Shut => Polled::End,
        };
        let jobs = || match next() {
            Polled::Item(line) => {
                read += 1;
                first.iter().for_each(|first| first.took_one());
                line.map_or_else(|bad| Incoming::Ended(Outcome::from(bad)), Incoming::Job)
            }
            Polled::NothingYet => Incoming::NothingYet,
            Polled::End => {
                watching.read_all(read);
                Incoming::End
            }
        };
        let streamed = runner.stream(jobs, context, cancel, self.flow.clone(), results.clone());
        let read_error = lines.read_error();
        // The first ones have kept the rest from being read.
        let refusal = first.as_ref().and_then(|first| first.refusal()).filter(|_| lines.has_more());
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
            Err(error) => {
                let place = self.output.as_ref().map_or("standard output".into(), |path| path.display().to_string());
                // A message of a file of ours names it.
                let place = if error.to_string().contains(&place) { String::new() } else { format!("{place}: ") };
                return Err(Stopped::failed(format_args!("results: {place}{error}")));
            }
        };
        let why = match streamed {
            Streamed::All => None,
            Streamed::Halted => Some("halted"),
            Streamed::Stopped => Some("interrupted"),
        };
        if let Some(why) = refusal {
            tell(format_args!("{why}: the rest of {} was not run; without --first it is", visible(self.input.name())));
        } else if let Some(why) = why.filter(|_| lines.has_more()) {
            tell(format_args!("{why}: the rest of {} was not run", visible(self.input.name())));
        }
        self.summarise(&tally);
        if tally.dropped > 0 {
            let whose = if tally.dropped == 1 { "its" } else { "their" };
            let dropped = counted(tally.dropped, "outcome", "outcomes");
            tell(format_args!(
                "{dropped} of an earlier run left out: {whose} job has changed, or is gone from the job file"
            ));
        }
        if let (Some(partial), Some(output)) = (left_in, &self.output) {
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
            Some(error) => Err(self.input.unreadable(&error)),
            None => Ok(ExitCode::from(if tally.is_clean() { 0 } else { FAILED })),
        }
    }

    fn summarise(&self, tally: &Tally) {
        let closer = match self.input.argument() {
            Some(path) => format!("tandem run {}{}", quoted(&path), self.options.arguments),
            None => "save the job file and run it with".to_owned(),
        };
        tell(run_summary(tally, Some(&closer), stderr_style()).trim_end());
    }
}
