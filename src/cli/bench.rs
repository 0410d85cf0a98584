//! `tandem bench`.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ArgMatches;

use crate::bench::{BreakEven, Row, sweep, time_tasks};
use crate::cli::Stopped;
use crate::cli::options::Options;
use crate::cli::stopped::FAILED;
use crate::cli::terminal::{print, stdout_style, tell};
use crate::job::{Kind, kinds};
use crate::kernels::KERNELS;
use crate::model::Location;
use crate::report::{bench_head, bench_json, bench_row, break_even, visible_lines};
use crate::runner::Runner;

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let options = Options::read(matches)?;
    let chosen: Vec<&String> = matches.get_many::<String>("kinds").into_iter().flatten().collect();
    let kinds = kinds().filter(|kind| chosen.is_empty() || chosen.iter().any(|name| *name == kind.name));
    let variants: Vec<(&'static Kind, &'static str)> =
        kinds.flat_map(|kind| kind.variants.iter().map(move |&variant| (kind, variant))).collect();
    let end = Instant::now() + budget(matches);
    // Made-up jobs in made-up order would teach a model nothing that `calibrate` does not teach better.
    let one = options.runner().threads(1).model(Location::Nowhere).build()?;
    let all = options.runner().model(Location::Nowhere).build()?;
    tell_devices(&all);
    if !options.json {
        print(|out| write!(out, "{}", bench_head(stdout_style())))?;
    }
    for (i, &(kind, variant)) in variants.iter().enumerate() {
        let now = Instant::now();
        let share = end.saturating_duration_since(now) / (variants.len() - i) as u32;
        if !KERNELS.iter().any(|kernel| kernel.name == kind.name) {
            let row = time_tasks(kind, variant, &one, &all, now + share).map_err(stopped)?;
            show(&row, options.json).map_err(stopped)?;
            continue;
        }
        let rows =
            sweep(kind, variant, &one, &all, now + share, &mut |row| show(row, options.json)).map_err(stopped)?;
        if !options.json {
            print(|out| write!(out, "{}", break_even(kind.name, variant, BreakEven::of(&rows))))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says which GPUs take part, or why none does.
pub(super) fn tell_devices(runner: &Runner) {
    let found = runner.engine().devices().gpus();
    if let Some(diagnosis) = &found.diagnosis {
        tell(visible_lines(diagnosis));
    }
}

pub(super) fn budget(matches: &ArgMatches) -> Duration {
    Duration::from_secs(matches.get_one::<u64>("budget").copied().unwrap_or(10))
}

pub(super) fn show(row: &Row, json: bool) -> anyhow::Result<()> {
    let text = if json { bench_json(row)? } else { bench_row(row) };
    print(|out| out.write_all(text.as_bytes())).map_err(|stopped| match stopped {
        Stopped::PipeClosed => anyhow::Error::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe)),
        Stopped::Error(_, error) => error,
        Stopped::Clap(error) => error.into(),
    })
}

/// An error of a sweep: a job that failed, an answer that differs, or an output that is gone.
pub(super) fn stopped(error: anyhow::Error) -> Stopped {
    match error.downcast_ref::<std::io::Error>() {
        Some(io) if io.kind() == std::io::ErrorKind::BrokenPipe => Stopped::PipeClosed,
        _ => Stopped::Error(FAILED, error),
    }
}
