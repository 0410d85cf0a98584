//! `tandem map`: a program for each of many inputs.

mod ids;
mod inputs;
mod program;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ArgMatches;

use ids::Ids;
use inputs::{Inputs, inputs_of_stdin};
use program::Program;

use crate::cli::Stopped;
use crate::cli::flow::flow_options;
use crate::cli::options::Options;
use crate::cli::pictures;
use crate::cli::pipe::Polled;
use crate::cli::printed::{printed, used_up};
use crate::cli::run::{Jobs, Line, Opened, Output, Shown, Streaming};
use crate::cli::single::warn;
use crate::cli::terminal::{stderr_style, tell};
use crate::cli::total::Total;
use crate::cli::watch::Watching;
use crate::engine::CancelFlag;
use crate::input::claim_stdin;
use crate::job::BindContext;
use crate::report::{Detail, run_summary, write_outcome};
use crate::results::{OfWritten, Render, RunResults, Tally};

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let options = Options::read(matches)?;
    let output = Output::read(matches)?;
    output.check(|_| false)?;
    let cancel = CancelFlag::default();
    let jobs = Mapped {
        program: program(matches)?,
        inputs: inputs(matches, &cancel)?,
        ids: output.path().is_some().then(Ids::default),
        read: 0,
    };
    let flow = flow_options(matches);
    let first = matches.get_one("first").copied();
    let mut builder = options.runner_of_many().explain(first.is_some() || pictures::are_wanted(matches));
    if let Some(jobs) = flow.jobs {
        builder = builder.processes(jobs);
    }
    let runner = Arc::new(builder.build()?);
    let is_json = options.json || output.path().is_some();
    let results = |_: &Mapped, watching: &Watching, on_broken| {
        let render: Render = if is_json {
            Box::new(|outcome, out| write_outcome(out, outcome, Detail::USUAL))
        } else {
            printed(matches.get_flag("tag"))
        };
        let shown = Shown {
            render,
            due: Box::new(0..),
            unordered: matches.get_flag("unordered"),
            afterwards: (!is_json).then_some(used_up as OfWritten),
        };
        let results: Arc<dyn RunResults> = match output.open(shown, watching, on_broken)? {
            Opened::Stream(results) => results,
            Opened::File(file) => file,
        };
        Ok((results, None))
    };
    let summarise = |tally: &Tally| {
        if !tally.is_clean() || is_json {
            tell(run_summary(tally, None, stderr_style()).trim_end());
        }
    };
    let streaming =
        Streaming { matches, runner: &runner, cancel: &cancel, flow, output: &output, first, explained: false };
    let code = streaming.run(jobs, BindContext::default(), results, summarise);
    warn(&runner);
    code
}

fn program(matches: &ArgMatches) -> Result<Program, Stopped> {
    let program = Program {
        argv: matches.get_many::<OsString>("argv").into_iter().flatten().cloned().collect(),
        workers: matches.get_one::<u64>("workers").map(|count| *count as u32),
        name: matches.get_one::<String>("name").map(|name| name.as_str().into()),
    };
    program.check().map_err(Stopped::usage)?;
    Ok(program)
}

fn inputs(matches: &ArgMatches, cancel: &CancelFlag) -> Result<Inputs, Stopped> {
    let given: Vec<OsString> = matches.get_many::<OsString>("inputs").into_iter().flatten().cloned().collect();
    let from_stdin = given.is_empty() || (given.len() == 1 && given[0] == "-");
    if !from_stdin {
        return Ok(Inputs::Given(given.into_iter()));
    }
    claim_stdin().map_err(Stopped::usage)?;
    let end_byte = if matches.get_flag("null") { 0 } else { b'\n' };
    Ok(Inputs::Lines(inputs_of_stdin(end_byte, cancel)))
}

/// The jobs of the inputs.
struct Mapped {
    program: Program,
    inputs: Inputs,
    /// Names by which a later run finds their outcomes again, where these are kept.
    ids: Option<Ids>,
    read: u64,
}

impl Jobs for Mapped {
    fn poll(&mut self) -> Polled<Line> {
        match self.inputs.poll() {
            Polled::Item(input) => {
                let text = input.to_string_lossy();
                let id = self.ids.as_mut().map_or_else(|| Arc::from(&*text), |ids| ids.of(&text));
                self.read += 1;
                Polled::Item(self.program.job(self.read - 1, id, &input, self.ids.is_some()))
            }
            Polled::NothingYet => Polled::NothingYet,
            Polled::End => Polled::End,
        }
    }

    fn has_more(&mut self) -> bool {
        self.inputs.has_more()
    }

    fn read_error(&mut self) -> Option<Stopped> {
        self.inputs.error().map(|error| Stopped::usage(format_args!("standard input: {error}")))
    }

    fn total(&self) -> Total {
        Total::of(self.inputs.left())
    }

    fn name(&self) -> &str {
        self.origin()
    }

    fn origin(&self) -> &'static str {
        "the inputs"
    }

    fn taken(&self, _: &Path) -> Option<&'static str> {
        None
    }
}
