//! `tandem map`: a program for each of many inputs.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead};
use std::process::ExitCode;
use std::sync::Arc;

use clap::ArgMatches;

use crate::cli::Stopped;
use crate::cli::flow::flow_options;
use crate::cli::options::Options;
use crate::cli::pipe::{Pipe, Polled};
use crate::cli::printed::printed;
use crate::cli::signals::Signals;
use crate::cli::single::warn;
use crate::cli::stopped::FAILED;
use crate::cli::terminal::{stderr_style, tell};
use crate::cli::total::Total;
use crate::cli::watch::Watching;
use crate::engine::CancelFlag;
use crate::input::claim_stdin;
use crate::job::{BadLine, BindContext, JobError, JobSpec, Terms};
use crate::report::{Detail, run_summary, write_outcome};
use crate::results::{AsTheyCome, MAX_HELD_BYTES, Render, Results, RunResults};
use crate::runner::{Incoming, Streamed};
use crate::tasks::command::{self, CommandParams};

/// What stands for the input in an argument.
const INPUT: &str = "{}";

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let options = Options::read(matches)?;
    let argv: Vec<OsString> = matches.get_many::<OsString>("argv").into_iter().flatten().cloned().collect();
    let given: Vec<OsString> = matches.get_many::<OsString>("inputs").into_iter().flatten().cloned().collect();
    let workers = matches.get_one::<u64>("workers").map(|count| *count as u32);
    let name = matches.get_one::<String>("name").map(|name| name.as_str().into());
    let program = Program { argv, workers, name };
    program.check().map_err(Stopped::usage)?;
    let from_stdin = given.is_empty() || (given.len() == 1 && given[0] == "-");
    if from_stdin {
        claim_stdin().map_err(Stopped::usage)?;
    }
    let flow = flow_options(matches);
    let mut builder = options.runner_of_many();
    if let Some(jobs) = flow.jobs {
        builder = builder.processes(jobs);
    }
    let runner = Arc::new(builder.build()?);
    let cancel = CancelFlag::default();
    let look = {
        let runner = Arc::downgrade(&runner);
        move || {
            if let Some(runner) = runner.upgrade() {
                runner.engine().cancelled();
            }
        }
    };
    let signals = Signals::watch(cancel.clone(), look.clone());
    let render: Render = if options.json {
        Box::new(|outcome, out| write_outcome(out, outcome, Detail::USUAL))
    } else {
        printed(matches.get_flag("tag"))
    };
    let on_broken = {
        let cancel = cancel.clone();
        move || {
            cancel.cancel();
            look();
        }
    };
    let total = || Total::of((!from_stdin).then_some(given.len() as u64));
    let mut watching = Watching::begin(matches, &runner, total, |_| None)?;
    let out = watching.stdout();
    let results: Arc<dyn RunResults> = if matches.get_flag("unordered") {
        Arc::new(AsTheyCome::new(out, render, Box::new(on_broken)))
    } else {
        Arc::new(Results::new(out, Box::new(0..), MAX_HELD_BYTES, render, Box::new(on_broken)))
    };
    let results = watching.over(results, Vec::new(), false)?;
    let end_byte = if matches.get_flag("null") { 0 } else { b'\n' };
    let mut inputs =
        if from_stdin { Inputs::Lines(inputs_of_stdin(end_byte, &cancel)) } else { Inputs::Given(given.into_iter()) };
    let mut index = 0;
    let jobs = || match inputs.poll() {
        Polled::Item(input) => {
            index += 1;
            program.job(index - 1, &input)
        }
        Polled::NothingYet => Incoming::NothingYet,
        Polled::End => {
            watching.read_all(index);
            Incoming::End
        }
    };
    let streamed = runner.stream(jobs, BindContext::default(), &cancel, flow, results.clone());
    let finished = results.finish();
    // Whatever became of the results, the log is to be whole.
    let watched = watching.finish();
    let tally = match finished {
        Ok(tally) => tally,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Err(Stopped::PipeClosed),
        Err(error) => return Err(Stopped::output(error)),
    };
    if streamed != Streamed::All {
        tell("the rest of the inputs was not run");
    }
    if !tally.is_clean() || options.json {
        let text = run_summary(&tally, None, stderr_style());
        tell(text.trim_end());
    }
    warn(&runner);
    watched?;
    if let Inputs::Lines(lines) = &mut inputs
        && let Some(error) = lines.error()
    {
        return Err(Stopped::usage(format_args!("standard input: {error}")));
    }
    Ok(signals.exit_code().unwrap_or_else(|| ExitCode::from(if tally.is_clean() { 0 } else { FAILED })))
}

/// Where the inputs come from.
enum Inputs {
    Given(std::vec::IntoIter<OsString>),
    Lines(Pipe<OsString>),
}

impl Inputs {
    fn poll(&mut self) -> Polled<OsString> {
        match self {
            Self::Given(given) => given.next().map_or(Polled::End, Polled::Item),
            Self::Lines(lines) => lines.poll(),
        }
    }
}

/// The inputs on standard input, each of which ends with this byte; they may be names of files, and so any bytes.
fn inputs_of_stdin(end_byte: u8, cancel: &CancelFlag) -> Pipe<OsString> {
    let next = move || {
        let mut line = Vec::new();
        match io::stdin().lock().read_until(end_byte, &mut line) {
            Ok(0) => None,
            Ok(_) => {
                let end = line.strip_suffix(&[end_byte]).map_or(line.len(), <[u8]>::len);
                line.truncate(end);
                Some(Ok(text_of(line)))
            }
            Err(error) => Some(Err(error)),
        }
    };
    Pipe::new(next, cancel.clone())
}

#[cfg(unix)]
fn text_of(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(not(unix))]
fn text_of(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// What is run for each input.
struct Program {
    argv: Vec<OsString>,
    /// How many long-lived ones answer the inputs; else it is started for each.
    workers: Option<u32>,
    /// What the model is to call it.
    name: Option<Arc<str>>,
}

impl Program {
    fn check(&self) -> Result<(), String> {
        let is_filled = |argument: &OsString| argument.to_str().is_some_and(|text| text.contains(INPUT));
        if self.workers.is_some() && self.argv.iter().any(is_filled) {
            return Err(format!(
                "{INPUT} stands for an input, but a worker (--workers) is started before there is one and reads each as a line \
                 of standard input: leave {INPUT} out"
            ));
        }
        Ok(())
    }

    /// The job of one input.
    fn job(&self, index: u64, input: &OsStr) -> Incoming {
        let id: Arc<str> = input.to_string_lossy().into();
        let kind = command::KIND.name;
        let params = match (self.workers, input.to_str()) {
            (None, _) => CommandParams::new(arguments(&self.argv, input)),
            (Some(workers), Some(text)) => {
                CommandParams::worker(&self.argv, workers, serde_json::Value::from(text).to_string())
            }
            (Some(_), None) => {
                let message = format!("{id}: not UTF-8, and so nothing that JSON could tell a worker: rename it");
                return Incoming::Ended(BadLine { index, id, kind, error: JobError::bad_input(message) }.into());
            }
        };
        let params = Box::new(CommandParams { name: self.name.clone(), ..params });
        Incoming::Job(JobSpec { index, id, kind, device: None, terms: Terms::default(), content: None, params })
    }
}

/// The arguments with the input in its place.
fn arguments(argv: &[OsString], input: &OsStr) -> Vec<OsString> {
    let mut filled: Vec<OsString> = argv.iter().map(|argument| replaced(argument, input)).collect();
    if filled == argv {
        filled.push(input.to_owned());
    }
    filled
}

fn replaced(argument: &OsStr, input: &OsStr) -> OsString {
    // An argument that is no text holds no placeholder that anybody wrote.
    let Some(text) = argument.to_str().filter(|text| text.contains(INPUT)) else { return argument.to_owned() };
    let mut filled = OsString::new();
    for (i, piece) in text.split(INPUT).enumerate() {
        if i > 0 {
            filled.push(input);
        }
        filled.push(piece);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_takes_the_place_of_braces_or_comes_last() {
        let filled = |argv: &[&str]| {
            let argv: Vec<OsString> = argv.iter().map(Into::into).collect();
            arguments(&argv, OsStr::new("a b"))
        };
        assert_eq!(filled(&["p", "x={}", "{}{}"]), ["p", "x=a b", "a ba b"]);
        assert_eq!(filled(&["p", "-v"]), ["p", "-v", "a b"]);
    }
}
