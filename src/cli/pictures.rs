//! Pictures of a run: its report and its trace, written when it has ended.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use clap::{Arg, ArgMatches, value_parser};

use crate::cli::Stopped;
use crate::cli::run::takes_no_rename;
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
            check(path).map_err(|error| failed(*form, path, &error, ""))?;
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
            write_to(path, |out| write_form(*form, timeline, about, out))
                .map_err(|error| failed(*form, path, &error, besides))
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

fn failed(form: Form, path: &Path, error: &io::Error, besides: &str) -> Stopped {
    Stopped::failed(format_args!("{}: {}: {error}{besides}", form.option(), path.display()))
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

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Beside the file, whose place it takes at the end; with the rights that new files have.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tandem-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
}

/// Whether a file can be written, without touching what is there.
fn check(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::other("a folder: name a file in it"));
    }
    if takes_no_rename(path) {
        return OpenOptions::new().write(true).open(path).map(drop);
    }
    beside(path).map(drop)
}

/// Writes a file whole, or leaves what is there.
fn write_to(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if takes_no_rename(path) {
        let mut out = BufWriter::new(OpenOptions::new().write(true).open(path)?);
        write(&mut out)?;
        return out.flush();
    }
    let mut out = BufWriter::with_capacity(1 << 18, beside(path)?);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.html");
        std::fs::write(&path, "before").unwrap();
        check(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        let torn = |out: &mut dyn Write| {
            out.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        assert!(write_to(&path, torn).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        write_to(&path, |out| out.write_all(b"after")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_written_is_told_before() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(folder.path()).is_err());
        assert!(check(&folder.path().join("missing/run.html")).is_err());
        assert!(form_of_report(Path::new("run.pdf")).is_err());
        assert_eq!(form_of_report(Path::new("a/b.SVG")).unwrap(), Form::Svg);
    }
}
