//! `tandem calibrate`.

use std::io::Write;
use std::process::ExitCode;

use clap::ArgMatches;

use crate::bench::{calibrate, every_place};
use crate::cli::Stopped;
use crate::cli::bench::{budget, descriptions, show_row, stopped, tell_devices};
use crate::cli::options::Options;
use crate::cli::single::warn;
use crate::cli::terminal::{print, stdout_style, tell};
use crate::kernels::KERNELS;
use crate::model::Location;
use crate::report::{bench_head, visible};

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let options = Options::read(matches)?;
    let one = options.runner().threads(1).build()?;
    let all = options.runner().build()?;
    tell_devices(&all);
    if !options.json {
        print(|out| write!(out, "{}", bench_head(stdout_style())))?;
    }
    let devices = descriptions(&all, &every_place(&all));
    calibrate(KERNELS, &one, &all, budget(matches), &mut |row| show_row(row, &devices, options.json))
        .map_err(stopped)?;
    for runner in [&one, &all] {
        warn(runner);
    }
    match &options.model {
        Location::File(path) => tell(format_args!("kept in {}", visible(&path.display().to_string()))),
        Location::Nowhere => tell("kept nowhere, since the model is `none`"),
    }
    Ok(ExitCode::SUCCESS)
}
