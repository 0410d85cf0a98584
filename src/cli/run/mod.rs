//! `tandem run`: the jobs of a job file.

mod chosen;
mod first;
mod lines;
mod look;
mod output;
mod shard;
mod shown;
mod streaming;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::ArgMatches;

use lines::Lines;
pub(super) use lines::{JobInput, Line};
pub(super) use output::{Opened, Output, Shown, output_args};
pub(super) use streaming::{Jobs, Streaming};

use crate::cli::Stopped;
use crate::cli::flow::flow_options;
use crate::cli::options::Options;
use crate::cli::pictures;
use crate::cli::pipe::Polled;
use crate::cli::single::warn;
use crate::cli::terminal::{is_terminal, stderr_style, tell};
use crate::cli::total::Total;
use crate::engine::CancelFlag;
use crate::job::{BindContext, DeviceChoice, Shard};
use crate::report::{quoted, run_summary};
use crate::results::Tally;
use crate::runner::{Runner, StreamOptions};

/// What `run` was asked for, besides the options of all jobs.
struct Asked {
    options: Options,
    input: JobInput,
    output: Output,
    only: Vec<String>,
    shard: Option<Shard>,
    strict: bool,
    results_only: bool,
    unordered: bool,
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
    asked.output.check(|path| asked.input.is_file(path))?;
    let cancel = CancelFlag::default();
    let lines = asked.input.open(asked.strict, asked.shard, &asked.only, &cancel)?;
    let explained = asked.options.explain || asked.options.dry_run || asked.table || asked.first.is_some();
    // What is drawn of a run compares choices.
    let explained = explained || pictures::are_wanted(matches);
    let is_run = !asked.options.dry_run && !asked.options.verify;
    if !is_run && pictures::are_wanted(matches) {
        return Err(Stopped::usage(
            "--report and --trace draw a run, which --dry-run and --verify are not: leave one out",
        ));
    }
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
    fn read(matches: &ArgMatches) -> Result<Self, Stopped> {
        let options = Options::read(matches)?;
        let Some(jobs) = matches.get_one::<PathBuf>("job-file") else {
            return Err(Stopped::usage("no job file: name one, or - for standard input"));
        };
        let output = Output::read(matches)?;
        let results_only = matches.get_flag("results-only");
        Ok(Self {
            table: is_terminal() && !options.json && output.path().is_none() && !matches.get_flag("tag"),
            first: matches.get_one("first").copied(),
            tag: matches.get_flag("tag"),
            options,
            input: JobInput::new(jobs).hashed(output.path().is_some() && !results_only),
            output,
            only: matches.get_many::<String>("only").into_iter().flatten().cloned().collect(),
            shard: matches.get_one("shard").copied(),
            strict: matches.get_flag("strict"),
            results_only,
            unordered: matches.get_flag("unordered"),
            flow: flow_options(matches),
        })
    }

    fn run(
        &self,
        runner: &Arc<Runner>,
        lines: Lines,
        cancel: &CancelFlag,
        matches: &ArgMatches,
    ) -> Result<ExitCode, Stopped> {
        let streaming = Streaming {
            matches,
            runner,
            cancel,
            flow: self.flow.clone(),
            output: &self.output,
            first: self.first,
            explained: self.options.explain,
        };
        let context = BindContext::in_folder(self.input.base_dir());
        let jobs = OfFile { lines, input: &self.input };
        let results = |jobs: &OfFile<'_>, watching: &_, on_broken| self.results(&jobs.lines, watching, on_broken);
        streaming.run(jobs, context, results, |tally| self.summarise(tally))
    }

    fn summarise(&self, tally: &Tally) {
        let closer = match self.input.argument() {
            Some(path) => format!("tandem run {}{}", quoted(&path), self.options.arguments),
            None => "save the job file and run it with".to_owned(),
        };
        tell(run_summary(tally, Some(&closer), stderr_style()).trim_end());
    }
}

/// The jobs of a job file.
struct OfFile<'a> {
    lines: Lines,
    input: &'a JobInput,
}

impl Jobs for OfFile<'_> {
    fn poll(&mut self) -> Polled<Line> {
        self.lines.poll()
    }

    fn has_more(&mut self) -> bool {
        self.lines.has_more()
    }

    fn read_error(&mut self) -> Option<Stopped> {
        self.lines.read_error().map(|error| self.input.unreadable(&error))
    }

    fn total(&self) -> Total {
        self.lines.total(self.input.path())
    }

    fn name(&self) -> &str {
        self.input.name()
    }

    fn origin(&self) -> &'static str {
        "the job file"
    }

    fn taken(&self, path: &Path) -> Option<&'static str> {
        self.input.is_file(path).then_some("the job file")
    }
}
