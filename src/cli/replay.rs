//! `tandem replay`: what a recorded run would have cost otherwise.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::cli::options::{Options, with_machine_options};
use crate::cli::single::warn;
use crate::cli::terminal::{print, stdout_style, tell};
use crate::cli::{Stopped, machine};
use crate::device::Device;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::plan::{self, Candidate, Choice, DeviceState, PlanRequest, Policy, Stream, Unusable};
use crate::report::{replay_json, replay_text, unplanned};
use crate::runner::Runner;
use crate::simulate::replay::{Recording, Replay, ReplayOptions, Replayed};

const HELP: &str = "\
RESULTS.jsonl is what `tandem run JOBS --explain --output FILE` writes, or prints with --json: with --explain, each line says what was
predicted of every device. A job that stays where it ran costs what was measured; elsewhere, what was predicted there, times how such
predictions fared in this run. Of what the lines tell nothing, the model learned on this machine is asked.
--threads is for the policies, as many as the plans name if left out; TANDEM_THREADS counts only for running.

Examples:
  tandem run jobs.jsonl --explain --output r.jsonl && tandem replay r.jsonl
  tandem replay r.jsonl --policy auto --without gpu:0";

pub(super) fn command() -> Command {
    let command =
        Command::new("replay").about("Says what a recorded run would have cost otherwise").after_help(HELP).args([
            Arg::new("results")
                .value_name("RESULTS.jsonl|-")
                .help("The results of the run; - is standard input")
                .required(true)
                .value_parser(value_parser!(PathBuf)),
            Arg::new("policy")
                .long("policy")
                .value_name("auto|cpu|gpu|round-robin|static")
                .help("How devices would have been chosen; may be repeated [default: all of them]")
                .action(ArgAction::Append)
                .value_parser(|text: &str| text.parse::<Policy>()),
            Arg::new("without")
                .long("without")
                .value_name("gpu:N")
                .help("Replay as if this GPU were not there; may be repeated")
                .action(ArgAction::Append)
                .value_parser(gpu_index),
        ]);
    with_machine_options(command)
}

fn gpu_index(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(DeviceChoice::GpuIndex(index)) => Ok(index),
        _ => Err(format!("`{text}` names no gpu: write it as in gpu:0")),
    }
}

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let options = Options::read(matches)?;
    let path = matches.get_one::<PathBuf>("results").map_or(Path::new("-"), PathBuf::as_path);
    let recording = read(path)?;
    let policies = matches.get_many("policy").map_or_else(|| Policy::ALL.to_vec(), |given| given.copied().collect());
    let without: BTreeSet<u32> = matches.get_many("without").into_iter().flatten().copied().collect();
    if let Some(absent) = without.difference(&recording.gpus).next() {
        let named: Vec<String> = recording.gpus.iter().map(|index| format!("gpu:{index}")).collect();
        let named = if named.is_empty() { "no gpu".to_owned() } else { named.join(", ") };
        return Err(Stopped::usage(format_args!("--without gpu:{absent}: the recording names {named}")));
    }
    // What the environment says of this machine says nothing of the recorded one.
    let threads = options.threads.filter(|_| matches.contains_id("threads"));
    let replayed = ReplayOptions { without, threads };
    // GPUs are looked for only if some job has to be asked about.
    let mut learned: Option<Learned> = None;
    let mut failed = None;
    let mut predict = |work: &Work| {
        if learned.is_none() && failed.is_none() {
            match options.runner().build() {
                Ok(runner) => learned = Some(Learned::of(runner)),
                Err(error) => failed = Some(error),
            }
        }
        learned.as_ref().map(|learned| learned.candidates(work)).unwrap_or_default()
    };
    let replay = Replay::new(&recording, &replayed, &mut predict);
    if let Some(error) = failed {
        return Err(error.into());
    }
    // Among JSON it would be no JSON.
    if let Some(unplanned) = unplanned(&recording).filter(|_| options.json) {
        tell(format_args!("warning: {unplanned}"));
    }
    let others: Vec<Replayed> = policies.into_iter().map(|policy| replay.under(policy)).collect();
    print(|out| {
        let text = if options.json {
            replay_json(&recording, &replay, &others)?
        } else {
            replay_text(&recording, &replay, &others, stdout_style())
        };
        out.write_all(text.as_bytes())
    })?;
    if let Some(learned) = &learned {
        warn(&learned.runner);
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Recording, Stopped> {
    let shown = machine::name_of(path);
    let mut input: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|error| machine::unreadable(&shown, &error))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(Stopped::usage(format_args!(
                "{shown}: a folder holds no recording: `tandem run JOBS --explain --output FILE` writes one"
            )));
        }
        Box::new(BufReader::with_capacity(1 << 18, file))
    };
    Recording::read(&mut *input).map_err(|error| Stopped::usage(format_args!("{shown}{error}")))
}

/// What has been learned of the GPUs of this machine.
struct Learned {
    runner: Runner,
    states: Vec<DeviceState>,
}

impl Learned {
    fn of(runner: Runner) -> Self {
        let state = |device: &dyn Device, unusable: Option<Unusable>| {
            let info = device.info();
            DeviceState {
                id: info.id,
                fingerprint: info.fingerprint.as_str().into(),
                kind: info.kind,
                unusable,
                lanes: info.lanes,
                opened: false,
                busy_for_ms: Vec::new(),
                memory_bytes: info.memory_bytes,
                max_chunk_bytes: info.max_chunk_bytes,
                resident: 0.0,
            }
        };
        let devices = runner.engine().devices();
        let mut states = vec![DeviceState { opened: true, ..state(&**devices.cpu(), None) }];
        states.extend(devices.gpus().gpus.iter().map(|gpu| state(&*gpu.device, gpu.unusable)));
        Self { runner, states }
    }

    /// The GPUs that have run work of this sort, as candidates of a plan; those of which only a prior is known tell nothing.
    fn candidates(&self, work: &Work) -> Vec<Candidate> {
        let threads = self.runner.engine().settings().threads;
        self.runner.engine().with_store(|store| {
            let request = PlanRequest {
                work,
                policy: DeviceChoice::Auto,
                devices: &self.states,
                inventory_known: true,
                model: store.model(),
                threads,
                explain: true,
                stream: Stream::default(),
            };
            let all = plan::plan(&request).map(|plan| plan.candidates).unwrap_or_default();
            let known = all.into_iter().filter(|candidate| match candidate.choice {
                Choice::Gpu { .. } => candidate.predicted.is_some() && candidate.note != "prior",
                _ => false,
            });
            known.collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_gpu_can_be_taken_away() {
        assert_eq!(gpu_index("gpu:3"), Ok(3));
        for wrong in ["cpu", "gpu", "gpu:", "3", "split"] {
            assert!(gpu_index(wrong).unwrap_err().contains("write it as in gpu:0"), "{wrong}");
        }
    }
}
