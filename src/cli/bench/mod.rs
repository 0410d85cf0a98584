//! `tandem bench`.

mod asked;
mod command;
mod export;

pub(super) use command::command;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::ArgMatches;

use crate::bench::{
    Again, Comparison, DeviceDescription, EarlierSize, FileBench, FileComparison, FileEffort, FileTurn, Incomparable,
    Machine, Place, Probed, Report, Row, SCHEMA, Sweep, Verdict, probe, stand,
};
use crate::cli::Stopped;
use crate::cli::stopped::FAILED;
use crate::cli::terminal::{is_terminal, print, stdout_style, tell};
use crate::device::busy_cpus;
use crate::job::{Kind, kind};
use crate::model::Location;
use crate::report::figures::counted;
use crate::report::{
    TextStyle, bench_charts, bench_head, bench_json, bench_machine_text, bench_row, comparison_json, comparison_text,
    device_kind_name, file_json, file_text, guide_text, machine_json, mode_words, unit_line, use_line, verdict_json,
    verdict_lines, visible, visible_lines, why_line,
};
use crate::runner::Runner;
use asked::Asked;

/// How wide a line is where no terminal says.
const USUAL_COLUMNS: usize = 100;

pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Stopped> {
    let begun = Instant::now();
    let asked = Asked::read(matches)?;
    // Made-up jobs in made-up order would teach a model nothing that `calibrate` does not teach better.
    let one = asked.options.runner().threads(1).model(Location::Nowhere).build()?;
    let all = asked.options.runner().model(Location::Nowhere).build()?;
    let places = asked.places(&all)?;
    asked.check_baseline(&places, all.engine().settings().threads)?;
    tell_devices(&all);
    if cfg!(debug_assertions) {
        tell("built without optimisation: these figures say nothing of a release build");
    }
    let mut sweep = Sweep {
        oracle: &one,
        stands: places.iter().map(|place| stand(&one, &all, *place)).collect(),
        sizes: asked.sizes.clone(),
        effort: asked.effort,
        ceilings: Vec::new(),
        earlier: asked.baselines.iter().flat_map(EarlierSize::all_of).collect(),
    };
    sweep.check_sizes(&asked.kinds).map_err(Stopped::usage)?;
    let end = begun + asked.budget;
    let probed = if asked.kinds.is_empty() {
        Probed::default()
    } else {
        probe(&sweep.stands, asked.probe_time()).map_err(stopped)?
    };
    let mut report = Report {
        schema: SCHEMA,
        tandem: env!("CARGO_PKG_VERSION").to_owned(),
        optimised: !cfg!(debug_assertions),
        begun_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        machine: machine(&all, &places, &probed),
        settings: asked.settings(),
        ceilings: probed.ceilings,
        ceilings_after: Vec::new(),
        rows: Vec::new(),
        verdicts: Vec::new(),
        files: Vec::new(),
        again: Again::default(),
    };
    let shown = Shown { json: asked.options.json };
    shown.machine(&report)?;
    sweep.ceilings.clone_from(&report.ceilings);
    kinds(&asked, &sweep, end, shown, &mut report)?;
    shown.guide(&report)?;
    if asked.is_compared() && !report.rows.is_empty() {
        report.ceilings_after = probe(&sweep.stands, asked.probe_time()).map_err(stopped)?.ceilings;
    }
    for (i, file) in asked.files.iter().enumerate() {
        let share = end.saturating_duration_since(Instant::now()) / (asked.files.len() - i) as u32;
        let found = compare_file(file, &all, &asked.file_effort(share))?;
        shown.file(&found)?;
        report.files.push(found);
    }
    let has_failed = |file: &FileComparison| file.over_budget.is_some() || file.runs.iter().any(|run| run.failed > 0);
    let mut code = u8::from(report.files.iter().any(has_failed)) * FAILED;
    let comparison = compare(&asked, &sweep, &all, &mut report)?.map(|found| {
        found.map(|mut found| {
            let threads = all.engine().settings().threads;
            found.warnings.extend(asked.unpaired(&places, threads, &found.only_old, &found.only_new));
            found
        })
    });
    // What was measured is worth keeping also where it cannot be compared.
    let kept = comparison.as_ref().ok().and_then(Option::as_ref).map(|found| (found, asked.max_regression));
    for export in &asked.exports {
        export.write(&report, kept)?;
        tell(format_args!("written to {}", visible(&export.path().display().to_string())));
    }
    if let Some(found) = comparison? {
        shown.comparison(&found, asked.max_regression, &report.machine.devices)?;
        if found.regressions() > 0 {
            code = FAILED;
        }
    }
    Ok(ExitCode::from(code))
}

/// The report against the baseline, where there is one: what seems to have regressed is measured again first, since that nobody else
/// was at work just then is more than one round can say. The inner error is a baseline with which nothing can be done.
fn compare(
    asked: &Asked,
    sweep: &Sweep<'_>,
    all: &Runner,
    report: &mut Report,
) -> Result<Result<Option<Comparison>, Stopped>, Stopped> {
    let (olds, limit) = (&asked.baselines, asked.max_regression);
    if olds.is_empty() {
        return Ok(Ok(None));
    }
    let first = match Comparison::of_each(olds, report, limit) {
        Ok(found) => found,
        Err(error) => return Ok(Err(incomparable(error))),
    };
    let is_suspect = |kind: &str, variant: &str, units: u64| {
        first.suspects().any(|key| key.kind == kind && key.variant == variant && key.units == units)
    };
    let rows: Vec<&Row> = report.rows.iter().filter(|row| is_suspect(&row.kind, &row.variant, row.units)).collect();
    let files: Vec<&FileComparison> =
        report.files.iter().filter(|file| is_suspect("file", &file.file, file.jobs)).collect();
    if rows.is_empty() && files.is_empty() {
        return Ok(Ok(Some(first)));
    }
    tell(format_args!(
        "measuring again what seems slower: {}",
        counted((rows.len() + files.len()) as u64, "row", "rows")
    ));
    let mut again = Again::default();
    for row in rows {
        let named =
            kind(&row.kind).and_then(|kind| Some((kind, *kind.variants.iter().find(|name| **name == row.variant)?)));
        if let Some((kind, variant)) = named {
            again.rows.push(sweep.again(kind, variant, row).map_err(stopped)?);
        }
    }
    for found in files {
        if let Some(file) = asked.files.iter().find(|file| file.name == found.file) {
            let runs = found.runs.iter().map(|run| run.runs_ms.len()).max().unwrap_or(1);
            let effort = FileEffort { runs: Some(runs as u32), ..asked.file_effort(Duration::ZERO) };
            again.files.push(compare_file(file, all, &effort)?);
        }
    }
    report.again = again;
    Ok(Comparison::of_each(olds, report, limit).map(Some).map_err(incomparable))
}

/// Runs a job file in each mode; on a terminal says what is going on meanwhile.
fn compare_file(file: &FileBench, all: &Runner, effort: &FileEffort) -> Result<FileComparison, Stopped> {
    let is_watched = io::stderr().is_terminal();
    let begun = Instant::now();
    let mut tell_turn = |FileTurn { mode, turn }: FileTurn| {
        if is_watched {
            let which = if turn == 0 { "a first run".to_owned() } else { format!("run {turn}") };
            let (name, seconds) = (visible(&file.name), begun.elapsed().as_secs());
            tell(format_args!("{seconds:>4} s  {name}: {which}, {}", mode_words(mode)));
        }
    };
    file.compare(all, effort, &mut tell_turn).map_err(stopped)
}

/// A baseline with which nothing can be done.
fn incomparable(error: Incomparable) -> Stopped {
    Stopped::usage(format_args!("--baseline: {error}"))
}

/// Every variant of the kinds, each row shown as it comes.
fn kinds(asked: &Asked, sweep: &Sweep<'_>, end: Instant, shown: Shown, report: &mut Report) -> Result<(), Stopped> {
    let variants: Vec<(&'static Kind, &'static str)> =
        asked.kinds.iter().flat_map(|kind| kind.variants.iter().map(move |&variant| (*kind, variant))).collect();
    if !variants.is_empty() && !shown.json {
        print(|out| write!(out, "\n{}", bench_head(stdout_style())))?;
    }
    for (i, &(kind, variant)) in variants.iter().enumerate() {
        let now = Instant::now();
        // What one variant leaves is shared by those after it; job files get as much as a variant each.
        let sharing = (variants.len() - i + asked.files.len()) as u32;
        let share = end.saturating_duration_since(now) / sharing;
        let devices = &report.machine.devices;
        let mut show = |row: &Row| show_row(row, devices, shown.json);
        let rows = sweep.variant(kind, variant, now + share, &mut show).map_err(stopped)?;
        let Some(verdict) = Verdict::of(&rows, devices) else { continue };
        shown.verdict(&verdict, &rows, &report.machine)?;
        report.rows.extend(rows);
        report.verdicts.push(verdict);
    }
    Ok(())
}

/// How things are shown.
#[derive(Clone, Copy)]
struct Shown {
    json: bool,
}

impl Shown {
    fn either(self, json: serde_json::Result<String>, text: impl FnOnce() -> String) -> Result<(), Stopped> {
        let text = if self.json { json.map_err(Stopped::failed)? } else { text() };
        print(|out| out.write_all(text.as_bytes()))
    }

    fn machine(self, report: &Report) -> Result<(), Stopped> {
        let (machine, ceilings) = (&report.machine, &report.ceilings);
        self.either(machine_json(machine, ceilings), || bench_machine_text(machine, ceilings, stdout_style()))
    }

    fn verdict(self, verdict: &Verdict, rows: &[Row], machine: &Machine) -> Result<(), Stopped> {
        self.either(verdict_json(verdict, machine), || {
            let mut text = String::new();
            if is_terminal() {
                text += &bench_charts(rows, &machine.devices, text_style());
            }
            let (style, devices) = (stdout_style(), &machine.devices);
            let used = format!("{} {}: use {}", verdict.kind, verdict.variant, use_line(verdict, devices));
            text += &format!("{}\n", style.strong(&used));
            let why = why_line(verdict, devices).map(|why| format!("why: {why}"));
            for line in unit_line(verdict).into_iter().chain(why).chain(verdict_lines(verdict, devices)) {
                text += &format!("  {line}\n");
            }
            text + "\n"
        })
    }

    /// What to use for all of them, once all are there; each line of JSON has said so of its own.
    fn guide(self, report: &Report) -> Result<(), Stopped> {
        if self.json || report.verdicts.is_empty() {
            return Ok(());
        }
        print(|out| writeln!(out, "{}", guide_text(&report.verdicts, &report.machine.devices, stdout_style())))
    }

    fn file(self, found: &FileComparison) -> Result<(), Stopped> {
        self.either(file_json(found), || file_text(found, stdout_style()))
    }

    fn comparison(self, found: &Comparison, max_regression: f64, devices: &[DeviceDescription]) -> Result<(), Stopped> {
        self.either(comparison_json(found, max_regression), || {
            format!("\n{}", comparison_text(found, max_regression, devices, stdout_style()))
        })
    }
}

/// As wide as the terminal, with blocks where the locale says that it knows them.
fn text_style() -> TextStyle {
    let width = terminal_size::terminal_size_of(io::stdout()).map_or(USUAL_COLUMNS, |(width, _)| usize::from(width.0));
    let set = |name: &&str| std::env::var(name).ok().filter(|set| !set.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set);
    let is_unicode = locale.is_some_and(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8"));
    TextStyle { width: width.min(USUAL_COLUMNS), ascii: !is_unicode }
}

/// What the benchmark runs on: the CPU, and the GPUs of these places.
fn machine(all: &Runner, places: &[Place], probed: &Probed) -> Machine {
    let mut devices = descriptions(all, places);
    for device in &mut devices {
        let opened = probed.openings_ms.iter().find(|(place, _)| place.to_string() == device.device);
        device.opening_ms = opened.map(|(_, ms)| *ms);
    }
    Machine {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        threads: all.engine().settings().threads,
        cpus: usable_cpus(),
        devices,
        no_gpu: all.engine().devices().gpus().diagnosis.clone(),
    }
}

/// How many CPUs there are for this process, where the system tells.
fn usable_cpus() -> Option<u32> {
    let ours = std::thread::available_parallelism().ok().and_then(|cpus| u32::try_from(cpus.get()).ok());
    let there = busy_cpus().map(|(cpus, _)| cpus)?;
    Some(ours.map_or(there, |ours| ours.min(there)))
}

/// The CPU, and the GPUs of these places.
pub(super) fn descriptions(all: &Runner, places: &[Place]) -> Vec<DeviceDescription> {
    let taking_part = |id| id == crate::device::DeviceId::Cpu || places.iter().any(|place| place.device() == id);
    let usable = all.engine().devices().usable();
    let infos = usable.iter().map(|device| device.info()).filter(|info| taking_part(info.id));
    infos
        .map(|info| DeviceDescription {
            device: info.id.to_string(),
            name: info.name.clone(),
            kind: device_kind_name(info.kind).to_owned(),
            driver: info.driver.clone(),
            software: info.is_software(),
            fingerprint: info.fingerprint.clone(),
            memory_bytes: info.memory_bytes,
            opening_ms: None,
        })
        .collect()
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

pub(super) fn show_row(row: &Row, devices: &[DeviceDescription], json: bool) -> anyhow::Result<()> {
    let text = if json { bench_json(row)? } else { bench_row(row, devices, stdout_style()) };
    print(|out| out.write_all(text.as_bytes())).map_err(|stopped| match stopped {
        Stopped::PipeClosed => anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)),
        Stopped::Error(_, error) => error,
        Stopped::Clap(error) => error.into(),
    })
}

/// An error of a sweep: a job that failed, an answer that differs, or an output that is gone.
pub(super) fn stopped(error: anyhow::Error) -> Stopped {
    match error.downcast_ref::<io::Error>() {
        Some(io) if io.kind() == io::ErrorKind::BrokenPipe => Stopped::PipeClosed,
        _ => Stopped::Error(FAILED, error),
    }
}
