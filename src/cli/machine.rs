//! `tandem machine export`, and machine files as they are read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::cli::Stopped;
use crate::cli::options::{Options, memory_arg, with_machine_options};
use crate::cli::single::warn;
use crate::cli::terminal::{print, tell};
use crate::cli::whole_file;
use crate::device::{Device, DeviceInfo, free_memory_bytes};
use crate::engine::FREE_PART;
use crate::input::claim_stdin;
use crate::report::visible;
use crate::runner::Runner;
use crate::simulate::{Inventory, Machine, this_machine};

/// What a machine is called that nobody named.
const NAME: &str = "this machine";
/// A system that does not tell what is free.
const UNTOLD_MEMORY_BYTES: u64 = 8 << 30;
/// Larger files are no machine's.
const FILE_BYTES_MAX: u64 = 1 << 20;

const HELP: &str = "\
The file says what was measured here, as far as the model has learned it (`tandem calibrate` measures every device), and what is
only a prior. `tandem simulate --machine FILE` runs jobs on it in simulated time.

Example:
  tandem calibrate && tandem machine export --name desk --output desk.json";

pub(super) fn command() -> Command {
    let export = Command::new("export").about("Writes this machine's file").after_help(HELP).args([
        Arg::new("output")
            .long("output")
            .value_name("FILE")
            .help("The file to write; standard output if left out")
            .value_parser(value_parser!(PathBuf)),
        Arg::new("name")
            .long("name")
            .value_name("NAME")
            .help("What to call the machine")
            .default_value(NAME)
            .value_parser(clap::builder::NonEmptyStringValueParser::new()),
        memory_arg(),
    ]);
    Command::new("machine")
        .about("Describes this machine in a file, for runs that are simulated")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_machine_options(export))
}

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let Some(("export", matches)) = matches.subcommand() else {
        return Err(Stopped::usage("export: try `tandem machine --help`"));
    };
    let options = Options::read(matches)?;
    let output = matches.get_one::<PathBuf>("output").filter(|path| path.as_os_str() != "-");
    output.map_or(Ok(()), |path| whole_file::check("--output", path))?;
    let runner = options.runner().build()?;
    let name = matches.get_one::<String>("name").map_or(NAME, String::as_str);
    let machine = of_this(&runner, &options, name);
    // What this writes, it reads.
    machine.check().map_err(|error| Stopped::usage(format_args!("this machine cannot be described: {error}")))?;
    let text = machine.to_json();
    match output {
        Some(path) => {
            whole_file::write("--output", path, "", |out| out.write_all(text.as_bytes()))?;
            tell(format_args!("written to {}", visible(&path.display().to_string())));
        }
        None => print(|out| out.write_all(text.as_bytes()))?,
    }
    warn(&runner);
    Ok(ExitCode::SUCCESS)
}

/// This machine, by what is there and what was learned. Looks for GPUs.
pub(super) fn of_this(runner: &Runner, options: &Options, name: &str) -> Machine {
    let found = runner.engine().devices().gpus();
    let usable = found.gpus.iter().filter(|gpu| gpu.unusable.is_none());
    let gpus: Vec<DeviceInfo> = usable.map(|gpu| gpu.device.info().clone()).collect();
    with_gpus(runner, options, name, &gpus)
}

/// The speed of a thread of this machine at this kind of job, by what was learned. Looks for no GPU.
pub(super) fn own_speed_of(runner: &Runner, options: &Options, kind: &str) -> f64 {
    with_gpus(runner, options, NAME, &[]).cpu.speed_of(kind, "")
}

fn with_gpus(runner: &Runner, options: &Options, name: &str, gpus: &[DeviceInfo]) -> Machine {
    let engine = runner.engine();
    let free = || free_memory_bytes().map_or(UNTOLD_MEMORY_BYTES, |free| (free as f64 * FREE_PART) as u64);
    let inventory = Inventory {
        name,
        cpu: engine.devices().cpu().info(),
        threads: engine.settings().threads,
        memory_bytes: options.memory_bytes.unwrap_or_else(free),
        gpus,
    };
    engine.with_store(|store| this_machine(&inventory, store.model()))
}

/// What a file that is read is called.
pub(super) fn name_of(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        visible(&path.display().to_string()).into_owned()
    }
}

/// A file that is not there or cannot be read, and what to do about it.
pub(super) fn unreadable(shown: &str, error: &io::Error) -> Stopped {
    match error.kind() {
        io::ErrorKind::NotFound => Stopped::usage(format_args!("{shown}: no such file: check the path")),
        io::ErrorKind::PermissionDenied => {
            Stopped::usage(format_args!("{shown}: permission denied: make the file readable"))
        }
        io::ErrorKind::InvalidData => Stopped::usage(format_args!("{shown}: it is no text: check the path")),
        _ => Stopped::usage(format_args!("{shown}: {error}")),
    }
}

/// The machine that this file describes; what it names that no kind of job is, is told.
/// `-` is standard input, which nothing else may read then.
pub(super) fn read(path: &Path) -> Result<Machine, Stopped> {
    let shown = name_of(path);
    let wrong = |error: &dyn std::fmt::Display| Stopped::usage(format_args!("{shown}: {error}"));
    let input: Box<dyn Read> = if path.as_os_str() == "-" {
        claim_stdin()
            .map_err(|_| Stopped::usage("standard input is read already: only one - may stand on the command line"))?;
        Box::new(io::stdin())
    } else {
        let file = File::open(path).map_err(|error| unreadable(&shown, &error))?;
        if file.metadata().map_err(|error| wrong(&error))?.is_dir() {
            return Err(wrong(&"a folder is no machine file: `tandem machine export` writes one"));
        }
        Box::new(file)
    };
    let mut text = String::new();
    input.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| unreadable(&shown, &error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(&"too large for a machine file: `tandem machine export` writes one"));
    }
    let machine = Machine::parse(&text).map_err(|error| match error {
        error @ crate::simulate::MachineError::Unreadable { .. } => Stopped::usage(format_args!("{shown}:{error}")),
        error => wrong(&error),
    })?;
    for unknown in machine.unknown_kinds() {
        tell(format_args!("warning: {}: {} is no kind of job", visible(&shown), visible(&unknown)));
    }
    Ok(machine)
}
