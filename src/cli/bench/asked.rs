//! What a benchmark was asked for, checked before anything is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use serde_json::Value;

use crate::bench::{Effort, FileBench, Incomparable, Place, Report, SCHEMA, Scope, Settings, Sizes, every_place};
use crate::cli::Stopped;
use crate::cli::bench::command::Wanted;
use crate::cli::bench::export::Export;
use crate::cli::options::Options;
use crate::job::{Kind, kind, kinds};
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
}

impl Asked {
    pub fn read(matches: &ArgMatches) -> Result<Self, Stopped> {
        let targets: Vec<&PathBuf> = matches.get_many("targets").into_iter().flatten().collect();
        let (mut chosen, mut paths) = (Vec::new(), Vec::new());
        for target in &targets {
            match target.to_str().and_then(kind) {
                Some(kind) => chosen.push(kind),
                None if target.is_file() => paths.push(target.as_path()),
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
            devices: matches.get_many("devices").into_iter().flatten().copied().collect(),
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
        Ok(places)
    }

    /// Refuses a baseline with which nothing that is measured in these places could be compared; `cpu` has so many threads.
    pub fn check_baseline(&self, places: &[Place], threads: u32) -> Result<(), Stopped> {
        let kinds: Vec<&'static str> = self.kinds.iter().map(|kind| kind.name).collect();
        let files: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        let lanes = |place: Place| if place == Place::Cpu { threads } else { 1 };
        let places: Vec<(Place, u32)> = places.iter().map(|&place| (place, lanes(place))).collect();
        let scope = Scope { kinds: &kinds, sizes: &self.sizes, places: &places, files: &files };
        if self.baselines.iter().all(|baseline| scope.meets(baseline)) {
            Ok(())
        } else {
            Err(super::incomparable(Incomparable::NothingInCommon))
        }
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
    let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
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
    serde_json::from_str(&text).map_err(|error| no_report(&format_args!("it is not whole, {error}")))
}
