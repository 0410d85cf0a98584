//! `tandem simulate`: a job file in simulated time.

mod jobs;

use std::cell::OnceCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::cli::options::{Options, with_machine_options};
use crate::cli::pictures::{PictureFiles, are_wanted, own_command, picture_args};
use crate::cli::single::warn;
use crate::cli::stopped::FAILED;
use crate::cli::terminal::{print, stdout_style, tell};
use crate::cli::{Stopped, machine};
use crate::job::{parse_bounded, parse_duration};
use crate::plan::Policy;
use crate::report::chart::Unit;
use crate::report::figures::{counted, time};
use crate::report::{RegretTally, RunAbout, SimulatedRow, simulated_json, simulated_text, truths_text, visible};
use crate::runner::Runner;
use crate::simulate::{Machine, Options as Asked, Simulated, simulate};
use crate::tasks::Variants;

use jobs::{CommandTimes, SimJobs};

const HELP: &str = "\
No job is run: the files are read and their inputs looked at, and the planner and the dispatcher of `tandem run` are given a
clock and devices that are simulated. Without --machine it is this machine, by what has been learned of it.

Examples:
  tandem simulate jobs.jsonl --report run.html
  tandem simulate jobs.jsonl --machine examples/machines/h100-server.json
  tandem simulate examples/simulate/*.jsonl --machine a.json --machine b.json --policy all --hidden-truth 1,2,3";

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
            .help("A machine to run them on, described by a file; - is standard input; may be repeated [default: this machine]")
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
                 that slows down half-way; several seeds (1,2,3) are as many truths",
            )
            .action(ArgAction::Append)
            .value_delimiter(',')
            .allow_hyphen_values(true)
            .value_parser(|text: &str| parse_bounded(text, 0..=u64::MAX)),
        Arg::new("command-time")
            .long("command-time")
            .value_name("TIME")
            .help("How long each command takes of which nothing was learned: 500ms, 30s, 2m")
            .default_value("1s")
            .allow_hyphen_values(true)
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
    with_machine_options(command.args(args).args(picture_args()))
}

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let options = Options::read(matches)?;
    let runner = LazyRunner { options: &options, runner: OnceCell::new() };
    let files: Vec<&PathBuf> = matches.get_many("job-files").into_iter().flatten().collect();
    let machine_files: Vec<&PathBuf> = matches.get_many("machine").into_iter().flatten().collect();
    let policies = match matches.get_one::<String>("policy").map(|name| name.parse::<Policy>()) {
        Some(Ok(policy)) => vec![policy],
        _ => Policy::ALL.to_vec(),
    };
    if files.iter().chain(&machine_files).filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(Stopped::usage("standard input was named twice, with `-`: it can be read once"));
    }
    let seeds: Vec<u64> = matches.get_many("hidden-truth").into_iter().flatten().copied().collect();
    let truths: Vec<Option<u64>> = if seeds.is_empty() { vec![None] } else { seeds.into_iter().map(Some).collect() };
    let is_one_run = files.len() == 1 && machine_files.len() <= 1 && policies.len() == 1 && truths.len() == 1;
    let pictures = pictures(matches, &files, &machine_files, is_one_run)?;
    let machines: Vec<Machine> = if machine_files.is_empty() {
        let machine = machine::of_this(runner.get()?, &options, "this machine");
        if machine.cpu.seems_to_have_been_busy() {
            tell(format_args!(
                "this machine: a thread more was measured to be worth {} of one: if other programs kept the cpu busy then, run \
                 `tandem calibrate` again on an idle machine",
                machine.cpu.thread_efficiency
            ));
        }
        vec![machine]
    } else {
        let mut machines: Vec<Machine> =
            machine_files.into_iter().map(|path| machine::read(path)).collect::<Result<_, _>>()?;
        // What the environment says is meant for this machine, and `all` are all of the other's.
        let most = matches.get_one::<String>("threads").filter(|asked| *asked != "all").and(options.threads);
        if let Some(most) = most {
            machines.iter_mut().for_each(|machine| machine.cpu.threads = machine.cpu.threads.min(most));
        }
        machines
    };
    let jobs_at_once = matches.get_one::<u64>("jobs").map(|count| *count as usize);
    let usual = matches.get_one::<Duration>("command-time").copied().unwrap_or(Duration::from_secs(1));
    let times = CommandTimes { usual, learned_ms: &|variants| runner.learned_ms(variants) };
    let mut failed = false;
    let mut tally = RegretTally::default();
    for (at, path) in files.into_iter().enumerate() {
        let jobs = SimJobs::read(path, &times)?;
        failed |= jobs.jobs_left_out > 0;
        for assumed in &jobs.assumed {
            tell(format_args!("{}: assumed: {}", visible(&jobs.name), visible(assumed)));
        }
        if !options.json && at > 0 {
            print(|out| writeln!(out))?;
        }
        let mut shown: Vec<Shown<'_>> = Vec::new();
        for (machine, hidden_truth) in
            machines.iter().flat_map(|machine| truths.iter().map(move |truth| (machine, *truth)))
        {
            let first = shown.len();
            for &policy in &policies {
                let timeline = !pictures.is_empty();
                let asked = Asked { policy, hidden_truth, jobs_at_once, memory_bytes: None, timeline };
                let mut run = simulate(&jobs.jobs, machine, &asked);
                let bound = format!("{}, {} above", time(run.lower_bound), Unit::Share.show(run.above_bound()));
                if let Some(timeline) = &mut run.timeline {
                    timeline.jobs.extend(jobs.lines_left_out.iter().cloned());
                    timeline.jobs.sort_by_key(|line| line.index);
                    pictures.draw(timeline, &about(&jobs, machine, policy, bound), "")?;
                }
                failed |= !run.refused.is_empty();
                tell_refused(&jobs, machine, &run);
                shown.push((machine, hidden_truth, policy, run, None));
            }
            let best = shown[first..].iter().map(|(.., run, _)| run.makespan).min().unwrap_or_default();
            if policies.len() > 1 && !best.is_zero() {
                for (.., run, regret) in &mut shown[first..] {
                    *regret = Some(run.makespan.as_secs_f64() / best.as_secs_f64() - 1.0);
                }
            }
        }
        let rows: Vec<SimulatedRow<'_>> = shown
            .iter()
            .map(|(machine, hidden_truth, policy, run, regret)| SimulatedRow {
                jobs: &jobs.name,
                machine: &machine.name,
                policy: policy.name(),
                hidden_truth: *hidden_truth,
                run,
                regret: *regret,
                assumed: &jobs.assumed,
                jobs_left_out: jobs.jobs_left_out,
                left_out: &jobs.left_out,
            })
            .collect();
        print(|out| {
            if !options.json {
                let text = if truths.len() > 1 { truths_text } else { simulated_text };
                return out.write_all(text(&rows, stdout_style()).as_bytes());
            }
            rows.iter().try_for_each(|row| out.write_all(simulated_json(row)?.as_bytes()))
        })?;
        tally.count(&rows);
    }
    if truths.len() > 1 && !options.json {
        print(|out| tally.lines().iter().try_for_each(|line| writeln!(out, "{line}")))?;
    }
    if let Some(runner) = runner.runner.get() {
        warn(runner);
    }
    Ok(ExitCode::from(if failed { FAILED } else { 0 }))
}

/// A run: where, under which hidden truth and policy, what came of it, and its regret.
type Shown<'a> = (&'a Machine, Option<u64>, Policy, Simulated, Option<f64>);

/// What this machine knows, looked up once somebody asks.
struct LazyRunner<'a> {
    options: &'a Options,
    runner: OnceCell<Runner>,
}

impl LazyRunner<'_> {
    fn get(&self) -> Result<&Runner, Stopped> {
        if self.runner.get().is_none() {
            // Nobody else can have set it meanwhile.
            let _ = self.runner.set(self.options.runner().build()?);
        }
        self.runner.get().ok_or_else(|| Stopped::failed("this machine cannot be looked at"))
    }

    fn learned_ms(&self, variants: &Variants) -> Option<f64> {
        let runner = self.get().ok()?;
        let here_ms = runner.engine().cpu_variant_ms(variants)?;
        Some(here_ms * machine::own_speed_of(runner, self.options, "command"))
    }
}

/// The pictures that are asked for, of one run.
fn pictures(
    matches: &ArgMatches,
    files: &[&PathBuf],
    machines: &[&PathBuf],
    is_one_run: bool,
) -> Result<PictureFiles, Stopped> {
    if are_wanted(matches) && !is_one_run {
        return Err(Stopped::usage(
            "--report and --trace draw one run: name one job file, one machine and one hidden truth at most, and no --policy all",
        ));
    }
    let is_one = |paths: &[&PathBuf], path: &Path| paths.iter().any(|one| same_path(one, path));
    PictureFiles::read(matches, |path| {
        (is_one(files, path).then_some("the job file")).or(is_one(machines, path).then_some("the machine's file"))
    })
}

fn same_path(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn about(jobs: &SimJobs, machine: &Machine, policy: Policy, bound: String) -> RunAbout {
    let mut facts = vec![
        ("no schedule ends before".to_owned(), bound),
        ("machine".to_owned(), machine.name.clone()),
        ("policy".to_owned(), policy.name().to_owned()),
        ("cpu".to_owned(), counted(machine.cpu.threads.into(), "thread", "threads")),
    ];
    facts.extend(machine.gpus.iter().enumerate().map(|(at, gpu)| (format!("gpu:{at}"), gpu.name.clone())));
    facts.push(("tandem".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    let title = format!("{} in simulated time", jobs.name);
    RunAbout { title, lead: format!("Nothing was run: {}", own_command()), facts }
}

fn tell_refused(jobs: &SimJobs, machine: &Machine, run: &Simulated) {
    if let Some((index, why)) = run.refused.first() {
        let more = run.refused.len() - 1;
        let more = if more > 0 { format!(", and {more} more jobs") } else { String::new() };
        let (jobs, machine) = (visible(&jobs.name), visible(&machine.name));
        tell(format_args!("{jobs}: on {machine}: job {index} (from 0) cannot run: {}{more}", visible(why)));
    }
}
