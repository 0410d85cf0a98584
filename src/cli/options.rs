//! The options that all jobs share, from the command line or the environment.

use std::env;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::cli::Stopped;
use crate::cli::terminal::tell;
use crate::device::busy_cpus;
use crate::engine::{THREADS_MAX, default_threads, threads_beside};
use crate::job::{DeviceChoice, parse_bytes};
use crate::model::Location;
use crate::report::quoted;
use crate::runner::{Runner, RunnerBuilder};

const HEADING: &str = "Running";

/// Where and how jobs run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub device: DeviceChoice,
    pub threads: Option<u32>,
    /// The memory that jobs may take together.
    pub memory_bytes: Option<u64>,
    pub allow_software_gpu: bool,
    pub model: Location,
    pub json: bool,
    pub explain: bool,
    pub dry_run: bool,
    pub verify: bool,
    /// Those of the first five that were given as arguments, as a shell takes them.
    pub arguments: String,
}

/// The options of every subcommand that knows devices.
pub(super) fn with_machine_options(command: Command) -> Command {
    command.args(machine_args())
}

/// The options of every subcommand that runs jobs.
pub(super) fn with_job_options(command: Command) -> Command {
    let device = Arg::new("device")
        .long("device")
        .value_name("auto|cpu|gpu|gpu:N|split")
        .help("Where to run; a job's own `device` wins [env: TANDEM_DEVICE] [default: auto]");
    let flags = [
        ("explain", "Say on standard error why it runs where it runs, and what it took"),
        ("dry-run", "Print the plan and run nothing"),
        ("verify", "Run on one thread, all threads, every allowed GPU and random splits, and compare the bytes"),
    ];
    let flags = flags.map(|(name, help)| Arg::new(name).long(name).help(help).action(ArgAction::SetTrue));
    let [explain, dry_run, verify] = flags;
    let verify = verify.conflicts_with_all(["dry-run", "explain"]);
    let all = [device].into_iter().chain(machine_args()).chain([memory_arg(), explain, dry_run, verify]);
    command.args(all.map(|arg| arg.help_heading(HEADING)))
}

/// The option that bounds what jobs take of the memory.
pub(super) fn memory_arg() -> Arg {
    let help = "Memory that jobs may take together: 8GiB, 500MB [env: TANDEM_MEMORY] [default: 80 % of what is free]";
    Arg::new("memory").long("memory").value_name("SIZE").help(help).help_heading(HEADING)
}

fn machine_args() -> [Arg; 4] {
    [
        Arg::new("threads").long("threads").value_name("N|all").help(
            "Threads of the CPU [env: TANDEM_THREADS] [default: all this process may use; of many jobs, but for CPUs \
                 that others keep busy]",
        ),
        Arg::new("allow-software-gpu")
            .long("allow-software-gpu")
            .help("Use software adapters, which run shaders on the CPU, as GPUs [env: TANDEM_ALLOW_SOFTWARE_GPU]")
            .action(ArgAction::SetTrue),
        Arg::new("model")
            .long("model")
            .value_name("PATH|none")
            .help("Where what is measured is kept [env: TANDEM_MODEL] [default: a file of this user]"),
        Arg::new("json").long("json").help("Print JSON, one object a line").action(ArgAction::SetTrue),
    ]
    .map(|arg| arg.help_heading(HEADING))
}

impl Options {
    /// The options that these arguments and the environment give.
    pub fn read(matches: &ArgMatches) -> Result<Self, Stopped> {
        Self::read_with(matches, &|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
            .map_err(Stopped::usage)
    }

    fn read_with(matches: &ArgMatches, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let setting = |id: &str, variable: &str| -> Option<(String, String)> {
            let given = matches.try_get_one::<String>(id).ok().flatten();
            match given {
                Some(value) => Some((format!("--{id}"), value.clone())),
                // An empty variable is as good as none.
                None => {
                    environment(variable).filter(|value| !value.is_empty()).map(|value| (variable.to_owned(), value))
                }
            }
        };
        let device = match setting("device", "TANDEM_DEVICE") {
            Some((from, value)) => value.parse().map_err(|error| format!("{from}: {error}"))?,
            None => DeviceChoice::Auto,
        };
        let threads = match setting("threads", "TANDEM_THREADS") {
            Some((from, value)) => Some(threads(&value).ok_or_else(|| {
                format!("{from}: `{value}` is no number of threads: use a whole number from 1 to {THREADS_MAX}, or all")
            })?),
            None => None,
        };
        let memory_bytes = match setting("memory", "TANDEM_MEMORY") {
            Some((from, value)) => Some(parse_bytes(&value).map_err(|error| format!("{from}: {error}"))?),
            None => None,
        };
        let flag = |id: &str| matches.try_get_one::<bool>(id).ok().flatten().copied().unwrap_or(false);
        let allow_software_gpu = flag("allow-software-gpu")
            || match environment("TANDEM_ALLOW_SOFTWARE_GPU") {
                Some(value) => switch(&value)
                    .ok_or_else(|| format!("TANDEM_ALLOW_SOFTWARE_GPU: `{value}` is neither yes nor no: use 1 or 0"))?,
                None => false,
            };
        let model = setting("model", "TANDEM_MODEL").map(|(_, value)| value);
        let mut arguments = String::new();
        for id in ["device", "threads", "memory", "model"] {
            if let Ok(Some(value)) = matches.try_get_one::<String>(id) {
                arguments += &format!(" --{id} {}", quoted(value));
            }
        }
        if flag("allow-software-gpu") {
            arguments += " --allow-software-gpu";
        }
        Ok(Self {
            arguments,
            device,
            threads,
            memory_bytes,
            allow_software_gpu,
            model: Location::from_setting(model.as_deref()),
            json: flag("json"),
            explain: flag("explain"),
            dry_run: flag("dry-run"),
            verify: flag("verify"),
        })
    }

    /// A runner with these options.
    pub fn runner(&self) -> RunnerBuilder {
        let mut builder = Runner::builder()
            .device(self.device)
            .allow_software_gpu(self.allow_software_gpu)
            .model(self.model.clone())
            .explain(self.explain || self.dry_run);
        if let Some(threads) = self.threads {
            builder = builder.threads(threads);
        }
        if let Some(bytes) = self.memory_bytes {
            builder = builder.memory_bytes(bytes);
        }
        builder
    }

    /// The same for many jobs: where nobody said how many threads, what others keep busy is left to them, and that is told.
    pub fn runner_of_many(&self) -> RunnerBuilder {
        let builder = self.runner();
        // Where Slurm says how many, it has shared out the machine.
        if self.threads.is_some() || env::var_os("SLURM_CPUS_PER_TASK").is_some() {
            return builder;
        }
        let Some((cpus, busy)) = busy_cpus() else { return builder };
        match threads_beside(default_threads(), cpus, busy) {
            Some(threads) => {
                tell(format_args!("using {threads} of {cpus} CPUs: {} busy (--threads all uses all)", busy as u32));
                builder.threads(threads)
            }
            None => builder,
        }
    }
}

fn threads(value: &str) -> Option<u32> {
    if value == "all" {
        return Some(default_threads());
    }
    value.parse().ok().filter(|count| (1..=THREADS_MAX).contains(count))
}

fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "" | "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str], environment: &[(&str, &str)]) -> Result<Options, String> {
        let matches = with_job_options(Command::new("x")).try_get_matches_from([&["x"], args].concat()).unwrap();
        Options::read_with(&matches, &|name| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_the_environment_over_the_defaults() {
        let environment = [
            ("TANDEM_DEVICE", "gpu:1"),
            ("TANDEM_THREADS", "3"),
            ("TANDEM_MEMORY", "2GiB"),
            ("TANDEM_ALLOW_SOFTWARE_GPU", "yes"),
            ("TANDEM_MODEL", "none"),
        ];
        let from_environment = read(&[], &environment).unwrap();
        assert_eq!(from_environment.device, DeviceChoice::GpuIndex(1));
        assert_eq!((from_environment.threads, from_environment.allow_software_gpu), (Some(3), true));
        assert_eq!((from_environment.model.clone(), from_environment.memory_bytes), (Location::Nowhere, Some(2 << 30)));
        let given = read(&["--device", "cpu", "--threads", "2", "--model", "m.json"], &environment).unwrap();
        assert_eq!((given.device, given.threads), (DeviceChoice::Cpu, Some(2)));
        assert_eq!(given.model, Location::File("m.json".into()));
        assert_eq!(given.arguments, " --device cpu --threads 2 --model m.json");
        assert_eq!(from_environment.arguments, "", "the environment is still there when one looks closer");
        assert_eq!(read(&["--threads", "all"], &[]).unwrap().threads, Some(default_threads()));
        let plain = read(&[], &[("TANDEM_DEVICE", ""), ("TANDEM_ALLOW_SOFTWARE_GPU", "0")]).unwrap();
        assert_eq!((plain.device, plain.threads, plain.allow_software_gpu), (DeviceChoice::Auto, None, false));
    }

    #[test]
    fn errors_name_the_option_or_the_variable_that_is_wrong() {
        for (args, environment, expected) in [
            (&["--device", "tpu"][..], &[][..], "--device: unknown device `tpu`: use auto, cpu, gpu, gpu:N or split"),
            (&[], &[("TANDEM_DEVICE", "tpu")], "TANDEM_DEVICE: unknown device `tpu`"),
            (&["--threads", "0"], &[], "--threads: `0` is no number of threads"),
            (&["--memory", "lots"], &[], "--memory: `lots` is no amount of memory: write it as in 500MB, 2GiB"),
            (&[], &[("TANDEM_THREADS", "many")], "TANDEM_THREADS: `many` is no number of threads"),
            (&[], &[("TANDEM_THREADS", "99999999999")], "use a whole number from 1 to 4096"),
            (
                &[],
                &[("TANDEM_ALLOW_SOFTWARE_GPU", "maybe")],
                "TANDEM_ALLOW_SOFTWARE_GPU: `maybe` is neither yes nor no",
            ),
        ] {
            let message = read(args, environment).unwrap_err();
            assert!(message.starts_with(expected) || message.contains(expected), "{message}");
        }
    }
}
