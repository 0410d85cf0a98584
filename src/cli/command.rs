//! What the program's arguments are.

use clap::{Arg, ArgAction, Command, value_parser};

use crate::cli::flow::with_flow_options;
use crate::cli::options::{memory_arg, with_job_options, with_machine_options};
use crate::cli::run::output_args;
use crate::cli::watch::with_watch_options;
use crate::cli::{bench, guard, machine, merge, replay, simulate};
use crate::job::{Shard, kinds, parse_bounded};

const ABOUT: &str =
    "Runs numeric jobs on CPU and GPU together: the same bytes on every device, and every placement explained";

const EXIT_CODES: &str = "\
Exit codes: 0 all succeeded, 1 a job failed or --verify found a difference, 2 usage or an unreadable job file,
3 no such device, 130 interrupted, 143 terminated. Results go to standard output, all else to standard error.";

const RUN_HELP: &str = r#"A job file is JSON Lines, one job a line:
  {"id":"a","kind":"primes","numbers":[97, "18446744073709551557"]}
  {"kind":"stats","file":"t.npy","quantiles":[0.5],"device":"cpu"}
Relative paths are relative to the job file; an id left out is `#` and the line number. A line that is wrong fails
alone. On a terminal a table is printed, else one JSON object a job, in the order of the jobs.

With --output, results are appended to RESULTS.jsonl.partial as they come, and at the end put in the order of the
jobs and renamed to RESULTS.jsonl. A run that is killed leaves the .partial file; the same command with --resume goes on
with it."#;

const MAP_HELP: &str = "\
Each input is a job of its own. {} in an argument stands for the input; without any {} the input is the last argument. What the
programs print comes out whole and in the order of the inputs. There is no shell, unless it is the program. With --output, an
outcome for each input is written to that file instead, as `tandem run` does, and --resume goes on with it.

Examples:
  tandem map scans/*.dcm -- python3 predict.py {}
  find . -name '*.wav' | tandem map --jobs 8 -- flac --best {}
  tandem map --workers 2 scans/*.dcm -- python3 worker.py
  tandem map --output r.jsonl --resume --first 1 scans/*.dcm -- python3 predict.py {}
  seq 10 | tandem map --halt now,fail=1 -- sh -c 'sleep 1; echo $0' {}";

/// The whole command line. The kinds of the registry are subcommands of it.
pub fn command() -> Command {
    let kinds = kinds().map(|kind| with_job_options((kind.command)()));
    #[cfg(feature = "service")]
    let serving = [crate::cli::serve::command()];
    #[cfg(not(feature = "service"))]
    let serving: [Command; 0] = [];
    Command::new("tandem")
        .about(ABOUT)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(EXIT_CODES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(kinds)
        .subcommands([
            run(),
            map(),
            merge::command(),
            devices(),
            calibrate(),
            model(),
            machine::command(),
            bench::command(),
            simulate::command(),
            replay::command(),
        ])
        .subcommands(serving)
        .subcommands([completions(), guard::command()])
}

fn run() -> Command {
    let [output, resume, sync, first] = output_args();
    let command = Command::new("run").about("Runs the jobs of a job file").after_help(RUN_HELP).args([
        Arg::new("job-file")
            .value_name("JOBS.jsonl|-")
            .help("The job file; - is standard input")
            .required(true)
            .value_parser(value_parser!(std::path::PathBuf)),
        output.conflicts_with_all(["verify", "dry-run"]),
        resume.conflicts_with_all(["only", "results-only"]),
        sync,
        first.conflicts_with_all(["verify", "dry-run"]),
        Arg::new("shard")
            .long("shard")
            .value_name("I/N")
            .help("Run only this one of N parts of the jobs, counted from 0; `tandem merge` joins their results")
            .conflicts_with("only")
            .value_parser(|text: &str| text.parse::<Shard>()),
        Arg::new("only")
            .long("only")
            .value_name("ID")
            .help("Run only the job with this id; may be repeated")
            .action(ArgAction::Append),
        flag("strict", "Check every line first, and run nothing if any is wrong"),
        flag("unordered", "Print outcomes as they come, not in the order of the jobs").conflicts_with("output"),
        flag("tag", "Print what each command printed, its id and a tab before every line, instead of outcomes")
            .conflicts_with_all(["output", "results-only", "json", "verify", "dry-run"]),
        flag("results-only", "Leave out where jobs ran and how long they took, so that two runs can be compared")
            .conflicts_with_all(["verify", "dry-run", "explain"]),
    ]);
    with_job_options(with_watch_options(with_flow_options(command)))
}

fn map() -> Command {
    let command = Command::new("map").about("Runs a program for each of many inputs").after_help(MAP_HELP).args([
        Arg::new("inputs")
            .value_name("INPUT")
            .help("The inputs; without any, or with -, the lines of standard input")
            .num_args(0..)
            .value_parser(value_parser!(std::ffi::OsString)),
        Arg::new("argv")
            .value_name("PROGRAM")
            .help("The program and its arguments, after --; {} stands for the input")
            .required(true)
            .num_args(1..)
            .last(true)
            .value_parser(value_parser!(std::ffi::OsString)),
        flag("unordered", "Print each as it ends, not in the order of the inputs").conflicts_with("output"),
        Arg::new("workers")
            .long("workers")
            .value_name("N")
            .help("Start the program N times, and give it each input as a line, a JSON string; it answers each with a line of JSON")
            .allow_negative_numbers(true)
            .value_parser(|text: &str| parse_bounded(text, 1..=1000)),
        Arg::new("name")
            .long("name")
            .value_name("NAME")
            .help("What the program is called by the model, which remembers its memory [default: its file name]")
            .value_parser(clap::builder::NonEmptyStringValueParser::new()),
        flag("tag", "Begin each line with its input and a tab").conflicts_with("output"),
        flag("null", "Inputs on standard input end with a zero byte, not with their line: from find -print0").short('0'),
        memory_arg(),
    ]);
    let command = command.args(output_args());
    with_machine_options(with_watch_options(with_flow_options(command)))
}

fn devices() -> Command {
    with_machine_options(
        Command::new("devices").about("Lists every device: what it is, its limits, and what is known of it"),
    )
}

fn calibrate() -> Command {
    let budget = Arg::new("budget")
        .long("budget")
        .value_name("SECONDS")
        .help("How long to measure at most")
        .default_value("10")
        .allow_negative_numbers(true)
        .value_parser(|text: &str| parse_bounded(text, 1..=3600));
    with_machine_options(
        Command::new("calibrate").about("Measures every device on every kernel, and keeps what it learned").arg(budget),
    )
}

fn model() -> Command {
    let show = Command::new("show").about("Shows what has been learned");
    let reset = Command::new("reset").about("Forgets what has been learned");
    Command::new("model")
        .about("Shows or forgets what has been learned of the devices")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([show, reset].map(with_machine_options))
}

fn completions() -> Command {
    Command::new("completions")
        .about("Prints a completion script for a shell")
        .arg(Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(clap_complete::Shell)))
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_accepts_every_subcommand() {
        command().debug_assert();
    }

    #[test]
    fn every_kind_of_the_registry_is_a_subcommand_that_says_what_it_does() {
        let command = command();
        for kind in kinds() {
            let found = command.find_subcommand(kind.name).expect("a kind is a subcommand");
            assert!(found.get_about().is_some(), "{}", kind.name);
            assert!(found.get_arguments().any(|arg| arg.get_id() == "device"), "{}", kind.name);
        }
    }
}
