//! `tandem map`: a program for each of many inputs.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::ArgMatches;

use crate::cli::Stopped;
use crate::cli::flow::flow_options;
use crate::cli::options::Options;
use crate::cli::signals::Signals;
use crate::cli::single::warn;
use crate::cli::stopped::FAILED;
use crate::cli::terminal::{stderr_style, tell};
use crate::engine::{CancelFlag, Outcome, OutcomeSink};
use crate::input::claim_stdin;
use crate::job::{BindContext, JobSpec, Terms};
use crate::report::{Detail, run_summary, write_outcome};
use crate::results::{MAX_HELD_BYTES, Render, Results, RunResults};
use crate::runner::Streamed;
use crate::tasks::command::{self, CommandParams};

/// What stands for the input in an argument.
const INPUT: &str = "{}";

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let options = Options::read(matches)?;
    let argv: Vec<OsString> = matches.get_many::<OsString>("argv").into_iter().flatten().cloned().collect();
    let given: Vec<OsString> = matches.get_many::<OsString>("inputs").into_iter().flatten().cloned().collect();
    let from_stdin = given.is_empty() || (given.len() == 1 && given[0] == "-");
    if from_stdin {
        claim_stdin().map_err(Stopped::usage)?;
    }
    let flow = flow_options(matches);
    let mut builder = options.runner();
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
    let render = render(options.json, matches.get_flag("tag"));
    let on_broken = {
        let cancel = cancel.clone();
        move || {
            cancel.cancel();
            look();
        }
    };
    let due: Box<dyn Iterator<Item = u64> + Send> = Box::new(0..);
    let results = Arc::new(Results::new(Box::new(io::stdout()), due, MAX_HELD_BYTES, render, Box::new(on_broken)));
    let sink: Arc<dyn OutcomeSink> =
        if matches.get_flag("unordered") { Arc::new(Renumbered::new(results.clone())) } else { results.clone() };
    let mut read_error = None;
    let inputs: Box<dyn Iterator<Item = OsString>> = if from_stdin {
        let lines = io::stdin().lock().lines();
        Box::new(lines.map_while(|line| line.map(OsString::from).map_err(|error| read_error = Some(error)).ok()))
    } else {
        Box::new(given.into_iter())
    };
    #[expect(clippy::result_large_err, reason = "none of these is one")]
    let jobs = (0..).zip(inputs).map(|(index, input)| Ok(job(index, &input, &argv)));
    let streamed = runner.stream(jobs, BindContext::default(), &cancel, flow, sink);
    let tally = match results.finish() {
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
    if let Some(error) = read_error {
        return Err(Stopped::usage(format_args!("standard input: {error}")));
    }
    Ok(signals.exit_code().unwrap_or_else(|| ExitCode::from(if tally.is_clean() { 0 } else { FAILED })))
}

/// The job of one input.
fn job(index: u64, input: &OsStr, argv: &[OsString]) -> JobSpec {
    let id: Arc<str> = input.to_string_lossy().into();
    let params = Box::new(CommandParams::new(arguments(argv, input)));
    JobSpec { index, id, kind: command::KIND.name, device: None, terms: Terms::default(), params }
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

/// What is printed of each: what its program printed, or the outcome.
fn render(json: bool, tag: bool) -> Render {
    if json {
        return Box::new(|outcome, out| write_outcome(out, outcome, Detail::USUAL));
    }
    Box::new(move |outcome, out| {
        let Ok(answer) = &outcome.result else { return Ok(()) };
        let mut notes = Vec::new();
        answer.write_notes(&mut notes)?;
        io::stderr().write_all(&notes)?;
        if !tag {
            return answer.write_text(out);
        }
        let mut text = Vec::new();
        answer.write_text(&mut text)?;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            out.write_all(outcome.id.as_bytes())?;
            out.write_all(b"\t")?;
            out.write_all(line)?;
        }
        Ok(())
    })
}

/// Gives outcomes the places in which they come, so that they leave in that order.
struct Renumbered {
    results: Arc<Results>,
    next: std::sync::Mutex<u64>,
}

impl Renumbered {
    fn new(results: Arc<Results>) -> Self {
        Self { results, next: std::sync::Mutex::new(0) }
    }
}

impl OutcomeSink for Renumbered {
    fn accept(&self, mut outcomes: Vec<Outcome>) {
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for outcome in &mut outcomes {
            outcome.index = *next;
            *next += 1;
        }
        self.results.accept(outcomes);
    }
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
