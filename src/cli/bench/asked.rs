//! What a benchmark was asked for, checked before anything is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use serde_json::Value;

use crate::bench::{
    Effort, FileBench, FileEffort, Incomparable, Key, Place, Report, SCHEMA, Scope, Settings, Sizes, every_place,
};
use crate::cli::Stopped;
use crate::cli::bench::command::Wanted;
use crate::cli::bench::export::Export;
use crate::cli::options::Options;
use crate::job::{DeviceChoice, Kind, kind, kinds};
use crate::report::figures::counted;
use crate::runner::Runner;

/// What a benchmark was asked for.
pub(super) struct Asked {
    pub options: Options,
    pub kinds: Vec<&'static Kind>,
    pub files: Vec<FileBench>,
    pub sizes: Sizes,
    pub effort: Effort,
    pub budget: Duration,
    pub exports: Vec<Export>,
    pub baselines: Vec<Report>,
    pub max_regression: f64,
    devices: Vec<Wanted>,
    /// Whether kinds or files were named, and not all kinds are meant.
    is_named: bool,
}

/// Whether it says where the jobs of a file run.
fn is_of_files(wanted: Wanted) -> bool {
    matches!(wanted, Wanted::Gpus | Wanted::One(Place::Cpu | Place::Gpu(_)))
}

impl Asked {
    pub fn read(matches: &ArgMatches) -> Result<Self, Stopped> {
        let targets: Vec<&PathBuf> = matches.get_many("targets").into_iter().flatten().collect();
        let (mut chosen, mut paths) = (Vec::new(), Vec::new());
        for target in &targets {
            match target.to_str().and_then(kind) {
                Some(kind) => chosen.push(kind),
                None if target.is_dir() => {
                    return Err(Stopped::usage(format_args!(
                        "`{}` is a folder: name a job file in it, one job a line",
                        target.display()
                    )));
                }
                // A pipe is a file too.
                None if target.exists() => paths.push(target.as_path()),
                None => return Err(no_target(target)),
            }
        }
        let files = paths.iter().map(|path| read_jobs(path)).collect::<Result<_, _>>()?;
        let exports: Vec<Export> = matches.get_many("export").into_iter().flatten().cloned().collect();
        let baselines: Vec<&PathBuf> = matches.get_many("baseline").into_iter().flatten().collect();
        let inputs = paths.iter().map(|path| (*path, "the job file"));
        // A run that finds a regression must not become what later ones are held against.
        let inputs = inputs.chain(baselines.iter().map(|path| (path.as_path(), "the baseline")));
        let inputs: Vec<(&Path, &str)> = inputs.collect();
        for export in &exports {
            export.check(&inputs)?;
        }
        let devices: Vec<Wanted> = matches.get_many("devices").into_iter().flatten().copied().collect();
        if let (true, false, Some(Wanted::One(place))) =
            (chosen.is_empty(), paths.is_empty(), devices.iter().find(|wanted| !is_of_files(**wanted)))
        {
            return Err(Stopped::usage(format_args!(
                "--devices {place}: a job file is run on the cpu, on gpus and as it stands: use cpu, gpu or gpu:N, or leave it out"
            )));
        }
        let runs = matches.get_one::<u64>("runs").map(|runs| *runs as u32);
        let warmup = matches.get_one::<u64>("warmup").map(|runs| *runs as u32);
        Ok(Self {
            options: Options::read(matches)?,
            kinds: kinds()
                .filter(|kind| targets.is_empty() || chosen.iter().any(|chosen| chosen.name == kind.name))
                .collect(),
            files,
            sizes: matches.get_one("sizes").cloned().unwrap_or_default(),
            effort: Effort { min_time: matches.get_one("min-time").copied(), runs, warmup },
            budget: super::budget(matches),
            exports,
            baselines: baselines.into_iter().map(|path| read_baseline(path)).collect::<Result<_, _>>()?,
            max_regression: matches.get_one("max-regression").copied().unwrap_or(0.1),
            devices,
            is_named: !targets.is_empty(),
        })
    }

    /// How long a probe of ceilings takes: a twentieth of the time each, and 3 s at most.
    pub fn probe_time(&self) -> Duration {
        (self.budget / 20).min(Duration::from_secs(3))
    }

    /// Whether what is found is to be compared, now or later.
    pub fn is_compared(&self) -> bool {
        !self.baselines.is_empty() || self.exports.iter().any(Export::is_json)
    }

    /// The places to measure, of those that `all` has.
    pub fn places(&self, all: &Runner) -> Result<Vec<Place>, Stopped> {
        if self.devices.is_empty() {
            return Ok(every_place(all));
        }
        // On a machine of one thread, all threads are one.
        let mut there = every_place(all);
        there.push(Place::Cpu);
        let mut places = Vec::new();
        for wanted in &self.devices {
            let found: Vec<Place> = match *wanted {
                Wanted::Gpus => there.iter().copied().filter(|place| place.is_gpu()).collect(),
                Wanted::One(place) => there.iter().copied().filter(|other| *other == place).collect(),
            };
            if found.is_empty() {
                let name = match wanted {
                    Wanted::Gpus => "gpu".to_owned(),
                    Wanted::One(place) => place.to_string(),
                };
                let found = all.engine().devices().gpus();
                let why = found.diagnosis.as_deref().unwrap_or("`tandem devices` lists what is there");
                return Err(Stopped::no_device(format_args!("`--devices {name}` was asked for: {why}")));
            }
            places.extend(found);
        }
        places.sort_unstable();
        places.dedup();
        if all.engine().settings().threads == 1 && places.contains(&Place::Thread) {
            // They are the same one.
            places.retain(|place| *place != Place::Cpu);
        }
        Ok(places)
    }

    /// Where and how often job files are run, in so much time.
    pub fn file_effort(&self, share: Duration) -> FileEffort {
        let all = !self.devices.iter().any(|wanted| is_of_files(*wanted));
        let gpu = self.devices.iter().find_map(|wanted| match *wanted {
            Wanted::Gpus => Some(DeviceChoice::Gpu),
            Wanted::One(Place::Gpu(index)) => Some(DeviceChoice::GpuIndex(index)),
            Wanted::One(_) => None,
        });
        FileEffort {
            runs: self.effort.runs,
            min_time: self.effort.min_time,
            // Kinds may have taken all that there was.
            budget: share.max(self.budget / 10),
            on_cpu: all || self.devices.contains(&Wanted::One(Place::Cpu)),
            on_gpu: gpu.or(all.then_some(DeviceChoice::Gpu)),
        }
    }

    /// Gives `body` what is going to be measured in these places; `cpu` has so many threads.
    fn with_scope<T>(&self, places: &[Place], threads: u32, body: impl FnOnce(&Scope<'_>) -> T) -> T {
        let kinds: Vec<&'static str> = self.kinds.iter().map(|kind| kind.name).collect();
        let files: Vec<(&str, u64)> = self.files.iter().map(|file| (file.name.as_str(), file.count())).collect();
        let lanes = |place: Place| if place == Place::Cpu { threads } else { 1 };
        let places: Vec<(Place, u32)> = places.iter().map(|&place| (place, lanes(place))).collect();
        let in_places_only = !self.devices.is_empty();
        body(&Scope { kinds: &kinds, sizes: &self.sizes, places: &places, in_places_only, files: &files })
    }

    /// Refuses a baseline with which nothing that is measured in these places could be compared, or not all kinds and files that were
    /// named; `cpu` has so many threads.
    pub fn check_baseline(&self, places: &[Place], threads: u32) -> Result<(), Stopped> {
        if self.baselines.is_empty() {
            return Ok(());
        }
        self.with_scope(places, threads, |scope| {
            if !self.baselines.iter().all(|baseline| scope.meets(baseline)) {
                return Err(super::incomparable(Incomparable::NothingInCommon));
            }
            match &*scope.without_partner(&self.baselines) {
                [first, ..] if self.is_named => Err(Stopped::usage(format_args!(
                    "--baseline: it has nothing to compare {first} with, in these sizes, places and numbers of threads: leave {first} \
                     out, or make a baseline that has it"
                ))),
                _ => Ok(()),
            }
        })
    }

    /// What is to be known of times that found no partner, a sentence each: of those that only the baseline has, only what was asked for.
    pub fn unpaired(&self, places: &[Place], threads: u32, only_old: &[Key], only_new: &[Key]) -> Vec<String> {
        let old = self.with_scope(places, threads, |scope| only_old.iter().filter(|key| scope.asks_for(key)).count());
        [
            (old, "of the baseline that were asked for were not measured, and are not compared"),
            (only_new.len(), "were measured that the baseline does not have, and are not compared"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", counted(count as u64, "time", "times")))
        .collect()
    }

    /// The same, as it is kept in a report.
    pub fn settings(&self) -> Settings {
        Settings {
            budget_s: self.budget.as_secs_f64(),
            min_time_s: self.effort.min_time.map(|time| time.as_secs_f64()),
            runs: self.effort.runs,
            warmup: self.effort.warmup,
        }
    }
}

fn no_target(target: &Path) -> Stopped {
    let names: Vec<&str> = kinds().map(|kind| kind.name).collect();
    let target = target.display();
    Stopped::usage(format_args!(
        "`{target}` is neither a kind nor a job file that is there: kinds are {}",
        names.join(", ")
    ))
}

fn read_jobs(path: &Path) -> Result<FileBench, Stopped> {
    let name = path.display().to_string();
    match fs::read(path) {
        Ok(text) => {
            let base_dir = path.parent().map(Path::to_owned).unwrap_or_default();
            Ok(FileBench { name, text, base_dir })
        }
        Err(error) => Err(Stopped::usage(format_args!("{name}: {error}"))),
    }
}

fn read_baseline(path: &Path) -> Result<Report, Stopped> {
    let name = path.display();
    let wrong = |why: &dyn std::fmt::Display| Stopped::usage(format_args!("--baseline: {name}: {why}"));
    let text = fs::read_to_string(path)
        .map_err(|error| wrong(&format_args!("{error}: name a report that `tandem bench --export FILE.json` wrote")))?;
    let no_report = |why: &dyn std::fmt::Display| {
        wrong(&format_args!("it is no report of `tandem bench --export FILE.json`: {why}: make one anew"))
    };
    let json: Value =
        serde_json::from_str(&text).map_err(|error| no_report(&format_args!("it is no JSON, {error}")))?;
    let Some(schema) = json.get("schema").and_then(Value::as_u64) else {
        return Err(no_report(&"it has no `schema`, the number of its format"));
    };
    if schema != u64::from(SCHEMA) {
        return Err(wrong(&Incomparable::Schema { found: schema }));
    }
    // Read once more from the text, so that an error says where.
    let report: Report =
        serde_json::from_str(&text).map_err(|error| no_report(&format_args!("it is not whole, {error}")))?;
    match report.fault() {
        Some(fault) => Err(no_report(&fault)),
        None => Ok(report),
    }
}
