//! What `tandem bench` can be asked for.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

use crate::bench::{Place, Sizes};
use crate::cli::bench::export::Export;
use crate::cli::options::with_machine_options;
use crate::job::{parse_bounded, parse_duration};

/// Runs in each place at most.
const RUNS_MAX: u64 = 1000;

const HELP: &str = "\
A row is one size: the median time of several runs on one thread, on all threads, on each usable GPU and on all of them together
(split), each run with input that is new to the device. +- is how far a 95 % interval of the median reaches; of its ceiling, how
close the time comes to what memory, upload or arithmetic allow there, measured by a probe in the same run. Answers are compared
with one thread's before anything is timed. Irregular kinds (factor, links, ...) are timed many at once; their sizes are fixed.

The jobs of a job file are run several times: on the CPU only, on GPUs where they can, and as they stand (auto). --devices cpu or gpu
leaves out the other; a run that takes longer than --budget is ended, unless --runs or --min-time ask for it.

With --baseline, sizes and numbers of jobs are those of the baseline, unless --sizes says otherwise.

Examples:
  tandem bench                                        every kind, a minute
  tandem bench stats --sizes 1e3..1e8 --runs 20       one kind, sizes by eights, twenty runs each
  tandem bench jobs.jsonl --export jobs.html          what the choice of devices is worth
  tandem bench primes --sizes 1e5 --export main.json  then, after a change:
  tandem bench primes --sizes 1e5 --baseline main.json --max-regression 10%";

/// A place that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    One(Place),
    /// Every usable GPU.
    Gpus,
}

pub(in crate::cli) fn command() -> Command {
    let text =
        |id: &'static str, name: &'static str, help: &'static str| Arg::new(id).long(id).value_name(name).help(help);
    let args = [
        Arg::new("targets")
            .value_name("KIND|JOBFILE")
            .help("The kinds, or job files, to measure; all kinds if left out")
            .num_args(0..)
            .value_parser(value_parser!(PathBuf)),
        text(
            "sizes",
            "A..B|LIST",
            "Sizes of kernels in units: 1e3..1e8 (by eights) or 1000,1e6 [default: by eights while time is]",
        )
        // So that what is wrong with a value is told, and not that no option is called so.
        .allow_hyphen_values(true)
        .value_parser(Sizes::parse),
        text("devices", "LIST", "Where to measure, of thread, cpu, gpu, gpu:N and split [default: all that there are]")
            .value_delimiter(',')
            .value_parser(wanted),
        text(
            "budget",
            "SECONDS",
            "How long to measure at most; sizes, runs and times that were asked for are kept to all the same",
        )
        .default_value("60")
        .allow_negative_numbers(true)
        .value_parser(|text: &str| parse_bounded(text, 1..=86_400)),
        text("min-time", "TIME", "How long to measure each size at least, ten runs or more: 500ms, 3s")
            .allow_hyphen_values(true)
            .value_parser(parse_duration),
        text("runs", "N", "How many runs of each size in each place [default: ten or more where time permits]")
            .conflicts_with("min-time")
            .allow_negative_numbers(true)
            .value_parser(|text: &str| parse_bounded(text, 1..=RUNS_MAX)),
        text(
            "warmup",
            "N",
            "Runs before those that count, besides the one that checks the answer [default: 1 unless it is long]",
        )
        .allow_negative_numbers(true)
        .value_parser(|text: &str| parse_bounded(text, 0..=RUNS_MAX)),
        text(
            "export",
            "FILE",
            "Write all that was found to a file, by its ending: .json (raw timings), .csv, .md, .html; may be repeated",
        )
        .action(ArgAction::Append)
        .value_parser(|text: &str| Export::parse(text)),
        text(
            "baseline",
            "FILE.json",
            "Compare with an earlier --export FILE.json, and end with code 1 where something has become slower; repeated, than each",
        )
        .action(ArgAction::Append)
        .value_parser(value_parser!(PathBuf)),
        text("max-regression", "PERCENT", "How much slower is too slow: 10% or 0.1; above 1 only with %")
            .requires("baseline")
            .default_value("10%")
            .allow_hyphen_values(true)
            .value_parser(share),
    ];
    with_machine_options(
        Command::new("bench")
            .about("Compares one thread, all threads and GPUs over sizes: time, throughput, ceiling, break-even size, and why")
            .after_help(HELP)
            .args(args),
    )
}

fn wanted(text: &str) -> Result<Wanted, String> {
    match text.trim() {
        "gpu" => Ok(Wanted::Gpus),
        text => text
            .parse()
            .map(Wanted::One)
            .map_err(|_| format!("`{text}` is no place: use thread, cpu, gpu, gpu:N, split")),
    }
}

/// `10%`, or `0.1`.
fn share(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no share: write it as in 10% or 0.1");
    let (number, scale) = match text.trim().strip_suffix('%') {
        Some(number) => (number.trim(), 0.01),
        None => (text.trim(), 1.0),
    };
    let number = number.parse::<f64>().map_err(|_| wrong())?;
    if scale == 1.0 && number > 1.0 && number.is_finite() {
        // Whoever means 10 % and writes 10 would never see a regression.
        let share = number / 100.0;
        return Err(format!(
            "`{text}` would be {:.0} %: write `{number}%` or `{share}` for {number} %",
            number * 100.0
        ));
    }
    let share = number * scale;
    if (0.0..=100.0).contains(&share) { Ok(share) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_per_cent_or_fractions() {
        for (text, expected) in [("10%", 0.1), ("0.25", 0.25), (" 5 % ", 0.05), ("0", 0.0)] {
            assert!((share(text).unwrap() - expected).abs() < 1e-12, "{text}");
        }
        assert_eq!(share("10").unwrap_err(), "`10` would be 1000 %: write `10%` or `0.1` for 10 %");
        assert!((share("250%").unwrap() - 2.5).abs() < 1e-12 && (share("1").unwrap() - 1.0).abs() < 1e-12);
        for text in ["", "%", "-1%", "ten", "nan", "1e9%", "inf"] {
            assert!(share(text).unwrap_err().contains("write it as in 10%"), "{text}");
        }
    }

    #[test]
    fn places_are_named_or_an_error_names_them() {
        assert_eq!(wanted("gpu"), Ok(Wanted::Gpus));
        assert_eq!(wanted("gpu:1"), Ok(Wanted::One(Place::Gpu(1))));
        assert!(wanted("tpu").unwrap_err().contains("use thread, cpu, gpu, gpu:N, split"));
    }
}
