//! Pictures of a run: its report and its trace, written when it has ended.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use clap::{Arg, ArgMatches, value_parser};

use crate::cli::{Stopped, whole_file};
use crate::device::Device;
use crate::engine::Outcome;
use crate::report::{RunAbout, quoted, run_gantt, run_page, write_trace};
use crate::results::Watcher;
use crate::runner::Runner;
use crate::timeline::Timeline;

/// The options.
pub(super) fn picture_args() -> [Arg; 2] {
    let report = "Draw a report of the run to this file: .html a page, .svg only who worked when";
    let trace = "Write a trace of the run to this file, which https://ui.perfetto.dev opens";
    [("report", "RUN.html|RUN.svg", report), ("trace", "RUN.json", trace)].map(|(name, value, help)| {
        Arg::new(name).long(name).value_name(value).help(help).value_parser(value_parser!(PathBuf))
    })
}

/// Whether a run is to be drawn, and notes have to be taken of it.
pub(super) fn are_wanted(matches: &ArgMatches) -> bool {
    matches.contains_id("report") || matches.contains_id("trace")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Page,
    Svg,
    Trace,
}

impl Form {
    fn option(self) -> &'static str {
        if self == Self::Trace { "--trace" } else { "--report" }
    }
}

/// What is to be drawn, and where to.
#[derive(Debug)]
pub(super) struct PictureFiles(Vec<(Form, PathBuf)>);

/// What is to be drawn of a run that goes on.
#[derive(Debug)]
pub(super) struct Pictures {
    files: PictureFiles,
    runner: Weak<Runner>,
}

/// Who tells the notes of the run how its jobs ended.
struct Ended(Weak<Runner>);

impl Watcher for Ended {
    fn note(&self, outcomes: &[Outcome], _: SystemTime) {
        if let Some(runner) = self.0.upgrade() {
            runner.engine().note_outcomes(outcomes);
        }
    }
}

impl PictureFiles {
    /// Those that these arguments ask for. `taken` says what a file is already, if it is not to be written over.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn read(matches: &ArgMatches, taken: impl Fn(&Path) -> Option<&'static str>) -> Result<Self, Stopped> {
        let mut files = Vec::new();
        if let Some(path) = matches.get_one::<PathBuf>("report") {
            files.push((form_of_report(path)?, path.clone()));
        }
        if let Some(path) = matches.get_one::<PathBuf>("trace") {
            files.push((Form::Trace, path.clone()));
        }
        if let [(_, report), (_, trace)] = files.as_slice()
            && report == trace
        {
            return Err(Stopped::usage("--report and --trace name the same file: name two"));
        }
        for (form, path) in &files {
            if let Some(what) = taken(path) {
                let (option, path) = (form.option(), path.display());
                return Err(Stopped::usage(format_args!("{option}: {path} is {what}: name another file")));
            }
            whole_file::check(form.option(), path)?;
        }
        Ok(Self(files))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Draws what was done. Writes what can be written, though something else cannot; errors say `besides` what is none the worse.
    ///
    /// # Errors
    /// The first that befell a file.
    pub fn draw(&self, timeline: &Timeline, about: &RunAbout, besides: &str) -> Result<(), Stopped> {
        let write = |(form, path): &(Form, PathBuf)| {
            whole_file::write(form.option(), path, besides, |out| write_form(*form, timeline, about, out))
        };
        let written: Vec<Result<(), Stopped>> = self.0.iter().map(write).collect();
        written.into_iter().collect()
    }
}

impl Pictures {
    /// Those that these arguments ask for; notes of the run are taken from now on, if any. `taken` says what a file is already,
    /// if it is not to be written over.
    ///
    /// # Errors
    /// Where a file cannot be written, before anything has run.
    pub fn begin(
        matches: &ArgMatches,
        runner: &Arc<Runner>,
        taken: impl Fn(&Path) -> Option<&'static str>,
    ) -> Result<Self, Stopped> {
        let files = PictureFiles::read(matches, taken)?;
        if !files.is_empty() {
            runner.engine().record();
        }
        Ok(Self { files, runner: Arc::downgrade(runner) })
    }

    /// Who is to see the outcomes of the run; `None` where nothing is drawn.
    pub fn watcher(&self) -> Option<Arc<dyn Watcher>> {
        (!self.files.is_empty()).then(|| Arc::new(Ended(self.runner.clone())) as Arc<dyn Watcher>)
    }

    /// Draws the run, which has ended. Writes what can be written, though something else cannot.
    ///
    /// # Errors
    /// The first that befell a file.
    pub fn finish(self) -> Result<(), Stopped> {
        let Some(runner) = self.runner.upgrade().filter(|_| !self.files.is_empty()) else { return Ok(()) };
        // The last jobs have their outcomes a moment before their threads are done with them.
        runner.engine().wait();
        let Some(timeline) = runner.engine().timeline() else { return Ok(()) };
        self.files.draw(&timeline, &about(&runner), "; the results are whole")
    }
}

fn form_of_report(path: &Path) -> Result<Form, Stopped> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        Some("html" | "htm") => Ok(Form::Page),
        Some("svg") => Ok(Form::Svg),
        _ => Err(Stopped::usage(format_args!(
            "--report: {}: what to draw is told by its ending: use .html for a page or .svg for a picture",
            path.display()
        ))),
    }
}

fn write_form(form: Form, timeline: &Timeline, about: &RunAbout, out: &mut dyn Write) -> io::Result<()> {
    match form {
        Form::Page => out.write_all(run_page(timeline, about).as_bytes()),
        Form::Svg => out.write_all(run_gantt(timeline).svg_file().as_bytes()),
        Form::Trace => write_trace(timeline, out),
    }
}

/// What this program was called with, as a shell takes it.
pub(super) fn own_command() -> String {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|arg| quoted(&arg.to_string_lossy())).collect();
    format!("tandem {}", arguments.join(" "))
}

fn about(runner: &Runner) -> RunAbout {
    let cpu = runner.engine().devices().cpu().info();
    let mut facts = vec![("cpu".to_owned(), cpu.name.clone())];
    if let Some(found) = runner.engine().devices().known_gpus() {
        let usable = found.gpus.iter().filter(|gpu| gpu.unusable.is_none());
        facts.extend(usable.map(|gpu| (gpu.device.info().id.to_string(), gpu.device.info().name.clone())));
    }
    facts.push(("tandem".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    RunAbout { title: "A run of tandem".to_owned(), lead: own_command(), facts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_report_says_what_to_draw() {
        assert!(form_of_report(Path::new("run.pdf")).is_err());
        assert_eq!(form_of_report(Path::new("a/b.SVG")).unwrap(), Form::Svg);
    }
}
