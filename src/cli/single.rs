//! The subcommand of a kind: one job, or one for each input.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};

use clap::ArgMatches;

use crate::cli::options::Options;
use crate::cli::printed::{of_failed, used_up};
use crate::cli::signals::Signals;
use crate::cli::stopped::{FAILED, NO_DEVICE};
use crate::cli::terminal::{print, stderr_style, stdout_style, tell};
use crate::cli::{Stopped, verify};
use crate::engine::{CancelFlag, Outcome, OutcomeSink};
use crate::job::{Cause, JobError, JobSpec, Kind, Terms};
use crate::report::{Detail, explain, plan_text, visible, visible_lines, write_outcome, write_plan};
use crate::runner::Runner;

pub(super) fn run(kind: &'static Kind, matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let options = Options::read(matches)?;
    let asked = (kind.from_args)(matches).map_err(Stopped::usage)?;
    let specs: Vec<JobSpec> = (0..)
        .zip(asked)
        .map(|(index, asked)| JobSpec {
            index,
            id: asked.label.map_or_else(|| Arc::from(kind.name), Arc::from),
            kind: kind.name,
            device: None,
            terms: Terms::default(),
            content: None,
            params: asked.params,
        })
        .collect();
    let runner = Arc::new(options.runner().build()?);
    let code = if options.dry_run {
        dry_run(&runner, &options, &specs)
    } else if options.verify {
        verify_all(&runner, &options, &specs)
    } else {
        run_all(&runner, &options, specs)
    };
    warn(&runner);
    code
}

/// Tells what there is to tell about the model's file, and saves what was learned.
pub(super) fn warn(runner: &Runner) {
    for warning in runner.engine().save_model() {
        tell(format_args!("warning: {}", visible(&warning.0)));
    }
}

/// Hands outcomes to whoever waits for them.
struct Channel(mpsc::Sender<Vec<Outcome>>);

impl OutcomeSink for Channel {
    fn accept(&self, outcomes: Vec<Outcome>) {
        // The receiver is gone where standard output is: nobody wants to know.
        let _ = self.0.send(outcomes);
    }
}

fn run_all(runner: &Arc<Runner>, options: &Options, specs: Vec<JobSpec>) -> Result<ExitCode, Stopped> {
    let cancel = CancelFlag::default();
    let signals = {
        let runner = Arc::downgrade(runner);
        Signals::watch_and_end(cancel.clone(), move || {
            if let Some(runner) = runner.upgrade() {
                runner.engine().cancelled();
            }
        })
    };
    let (sender, receiver) = mpsc::channel();
    let sink: Arc<dyn OutcomeSink> = Arc::new(Channel(sender));
    let count = specs.len() as u64;
    for spec in specs {
        runner.engine().submit(spec, runner.context().clone(), cancel.clone(), sink.clone());
    }
    drop(sink);
    let mut exit = Exit::default();
    let mut early = BTreeMap::new();
    for index in 0..count {
        while !early.contains_key(&index) {
            let Ok(outcomes) = receiver.recv() else { return Err(Stopped::failed("the engine ended before its jobs")) };
            early.extend(outcomes.into_iter().map(|outcome| (outcome.index, outcome)));
        }
        let Some(outcome) = early.remove(&index) else { continue };
        if let Err(stopped) = show(&outcome, options, count > 1) {
            // Whatever is still under way is for nobody.
            cancel.cancel();
            runner.engine().cancelled();
            return Err(stopped);
        }
        if let Err(error) = &outcome.result {
            exit.failed(error);
        }
    }
    Ok(signals.exit_code().unwrap_or_else(|| exit.code()))
}

/// Prints the outcome: the answer on standard output, else the error on standard error, and the explanation.
fn show(outcome: &Outcome, options: &Options, several: bool) -> Result<(), Stopped> {
    if options.json {
        let detail = if options.explain { Detail::FULL } else { Detail::USUAL };
        print(|out| write_outcome(out, outcome, detail))?;
    } else if let Ok(answer) = &outcome.result {
        print(|out| {
            if several && !answer.names_its_input() {
                let gap = if outcome.index > 0 { "\n" } else { "" };
                writeln!(out, "{gap}{}", stdout_style().strong(&format!("{}:", visible(&outcome.id))))?;
            }
            answer.write_text(out)
        })?;
        answer.write_notes(&mut std::io::stderr()).map_err(Stopped::output)?;
        if let Some(remove_files) = used_up(outcome) {
            remove_files();
        }
    }
    if let Err(error) = &outcome.result {
        if !options.json {
            print(|out| out.write_all(of_failed(error, "stdout").as_bytes()))?;
            std::io::stderr().write_all(of_failed(error, "stderr").as_bytes()).map_err(Stopped::output)?;
        }
        tell(format_args!("error: {}", visible_lines(&error.message)));
    }
    if options.explain {
        tell(explain(outcome, stderr_style()).trim_end());
    }
    Ok(())
}

fn dry_run(runner: &Runner, options: &Options, specs: &[JobSpec]) -> Result<ExitCode, Stopped> {
    let mut exit = Exit::default();
    for spec in specs {
        match runner.engine().plan(&*spec.params, spec.device, runner.context()) {
            Ok(plan) => print(|out| {
                if options.json {
                    write_plan(out, &plan)?;
                    return writeln!(out);
                }
                let style = stdout_style();
                writeln!(out, "{}", style.strong(&visible(&spec.id)))?;
                write!(out, "{}", plan_text(&plan, style))
            })?,
            Err(error) => exit.tell(&error),
        }
    }
    Ok(exit.code())
}

fn verify_all(runner: &Runner, options: &Options, specs: &[JobSpec]) -> Result<ExitCode, Stopped> {
    let mut exit = Exit::default();
    for spec in specs {
        match runner.engine().verify(&*spec.params, spec.device, runner.context(), verify::seed()) {
            Ok(found) => {
                print(|out| {
                    if options.json {
                        return verify::write_json(out, &spec.id, spec.kind, &found);
                    }
                    if specs.len() > 1 {
                        writeln!(out, "{}:", visible(&spec.id))?;
                    }
                    verify::write_text(out, &found, stdout_style())
                })?;
                if !found.same() {
                    exit.0 = exit.0.max(FAILED);
                }
            }
            Err(error) => exit.tell(&error),
        }
    }
    Ok(exit.code())
}

/// The exit code of several jobs: the worst that happened.
#[derive(Default)]
struct Exit(u8);

impl Exit {
    fn failed(&mut self, error: &JobError) {
        self.0 = self.0.max(if error.cause == Cause::NoDevice { NO_DEVICE } else { FAILED });
    }

    fn tell(&mut self, error: &JobError) {
        self.failed(error);
        tell(format_args!("error: {}", visible_lines(&error.message)));
    }

    fn code(&self) -> ExitCode {
        ExitCode::from(self.0)
    }
}
