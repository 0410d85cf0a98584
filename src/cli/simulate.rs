//! `tandem simulate`: a job file in simulated time.

mod jobs;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::cli::options::{Options, with_machine_options};
use crate::cli::single::warn;
use crate::cli::stopped::FAILED;
use crate::cli::terminal::{print, stdout_style, tell};
use crate::cli::{Stopped, machine};
use crate::job::{parse_bounded, parse_duration};
use crate::plan::Policy;
use crate::report::{SimulatedRow, simulated_json, simulated_text, visible};
use crate::simulate::{Machine, Options as Asked, Simulated, simulate};

use jobs::SimJobs;

/// With more jobs than this the regret is left out, for which all choices of every job are kept.
const REGRET_JOBS_MAX: usize = 10_000;

const HELP: &str = "\
No job is run: the files are read and their inputs looked at, and the planner and the dispatcher of `tandem run` are given a
clock and devices that are simulated. Without --machine it is this machine, by what has been learned of it.

Examples:
  tandem simulate jobs.jsonl
  tandem simulate jobs.jsonl --machine examples/machines/h100-server.json
  tandem simulate examples/simulate/*.jsonl --machine a.json --machine b.json --policy all --hidden-truth 1";

pub(super) fn command() -> Command {
    let policies: Vec<&str> = Policy::ALL.iter().map(|policy| policy.name()).chain(["all"]).collect();
    let args = [
        Arg::new("job-files")
            .value_name("JOBS.jsonl")
            .help("The job files; each is a run of its own; - is standard input")
            .required(true)
            .num_args(1..)
            .value_parser(value_parser!(PathBuf)),
        Arg::new("machine")
            .long("machine")
            .value_name("MACHINE.json")
            .help("A machine to run them on, described by a file; may be repeated [default: this machine]")
            .action(ArgAction::Append)
            .value_parser(value_parser!(PathBuf)),
        Arg::new("policy")
            .long("policy")
            .value_name("POLICY")
            .help("Where jobs run that do not say; all compares them")
            .default_value("auto")
            .value_parser(clap::builder::PossibleValuesParser::new(policies)),
        Arg::new("hidden-truth")
            .long("hidden-truth")
            .value_name("SEED")
            .help(
                "Hide from the planner how fast things really are: by up to 30 % off, with noise, drift, and one device or none \
                 that slows down half-way",
            )
            .value_parser(value_parser!(u64)),
        Arg::new("command-time")
            .long("command-time")
            .value_name("TIME")
            .help("How long each command takes, about which nothing is known: 500ms, 30s, 2m")
            .default_value("1s")
            .value_parser(|text: &str| parse_duration(text)),
        Arg::new("jobs")
            .long("jobs")
            .value_name("N")
            .help("How many irregular jobs run at once at most [default: one a thread]")
            .allow_negative_numbers(true)
            .value_parser(|text: &str| parse_bounded(text, 1..=1_000_000)),
    ];
    let command = Command::new("simulate")
        .about("Runs a job file in simulated time, here or on a machine that a file describes")
        .after_help(HELP);
    with_machine_options(command.args(args))
}

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let options = Options::read(matches)?;
    let machines = machines(matches, &options)?;
    let policies = match matches.get_one::<String>("policy").map(|name| name.parse::<Policy>()) {
        Some(Ok(policy)) => vec![policy],
        _ => Policy::ALL.to_vec(),
    };
    let command_time = matches.get_one::<Duration>("command-time").copied().unwrap_or(Duration::from_secs(1));
    let hidden_truth = matches.get_one::<u64>("hidden-truth").copied();
    let jobs_at_once = matches.get_one::<u64>("jobs").map(|count| *count as usize);
    let mut failed = false;
    for (at, path) in matches.get_many::<PathBuf>("job-files").into_iter().flatten().enumerate() {
        let jobs = SimJobs::read(path, command_time)?;
        failed |= jobs.left_out > 0;
        for assumed in &jobs.assumed {
            tell(format_args!("{}: {}", visible(&jobs.name), visible(assumed)));
        }
        if !options.json && at > 0 {
            print(|out| writeln!(out))?;
        }
        let mut shown: Vec<(&Machine, Policy, Simulated, Option<f64>)> = Vec::new();
        for machine in &machines {
            let first = shown.len();
            for &policy in &policies {
                let regret = jobs.jobs.len() <= REGRET_JOBS_MAX;
                let asked = Asked { policy, hidden_truth, jobs_at_once, regret, memory_bytes: None, timeline: false };
                let run = simulate(&jobs.jobs, machine, &asked);
                failed |= !run.refused.is_empty();
                tell_refused(&jobs, machine, &run);
                shown.push((machine, policy, run, None));
            }
            let best = shown[first..].iter().map(|(_, _, run, _)| run.makespan).min().unwrap_or_default();
            if policies.len() > 1 && !best.is_zero() {
                for (_, _, run, above) in &mut shown[first..] {
                    *above = Some(run.makespan.as_secs_f64() / best.as_secs_f64() - 1.0);
                }
            }
        }
        let rows: Vec<SimulatedRow<'_>> = shown
            .iter()
            .map(|(machine, policy, run, above_best)| SimulatedRow {
                jobs: &jobs.name,
                machine: &machine.name,
                policy: policy.name(),
                hidden_truth,
                run,
                above_best: *above_best,
                assumed: &jobs.assumed,
            })
            .collect();
        print(|out| {
            if !options.json {
                return out.write_all(simulated_text(&rows, stdout_style()).as_bytes());
            }
            rows.iter().try_for_each(|row| out.write_all(simulated_json(row)?.as_bytes()))
        })?;
    }
    Ok(ExitCode::from(if failed { FAILED } else { 0 }))
}

fn tell_refused(jobs: &SimJobs, machine: &Machine, run: &Simulated) {
    if let Some((index, why)) = run.refused.first() {
        let more = run.refused.len() - 1;
        let more = if more > 0 { format!(", and {more} more jobs") } else { String::new() };
        let (jobs, machine) = (visible(&jobs.name), visible(&machine.name));
        tell(format_args!("{jobs}: on {machine}: job {index} (from 0) cannot run: {}{more}", visible(why)));
    }
}

fn machines(matches: &ArgMatches, options: &Options) -> Result<Vec<Machine>, Stopped> {
    let files: Vec<&PathBuf> = matches.get_many("machine").into_iter().flatten().collect();
    if files.is_empty() {
        let runner = options.runner().build()?;
        let here = machine::of_this(&runner, options, "this machine");
        warn(&runner);
        return Ok(vec![here]);
    }
    files.into_iter().map(|path| machine::read(path)).collect()
}
