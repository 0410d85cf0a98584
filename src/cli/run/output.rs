//! Where the outcomes of a run go, and how they look there.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::Stopped;
use crate::cli::printed::printed;
use crate::cli::run::Asked;
use crate::cli::run::lines::Lines;
use crate::cli::terminal::{print, stderr_style, stdout_style, tell};
use crate::cli::watch::Watching;
use crate::job::EarlierResults;
use crate::report::{Detail, explain, run_head, run_row, write_outcome};
use crate::results::{AsTheyCome, KeptResults, MAX_HELD_BYTES, Render, Results, ResultsFile, RunResults};

impl Asked {
    /// Where outcomes go, how they look there, and where jobs find those of earlier ones.
    pub(super) fn results(
        &self,
        lines: &Lines,
        watching: &Watching,
        on_broken: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Written, Stopped> {
        let render = match (self.tag, self.table) {
            (true, _) => printed(true),
            (false, true) => table(),
            (false, false) => json(self.detail()),
        };
        let render = if self.options.explain { explained(render) } else { render };
        let ordered = |out: Box<dyn Write + Send>, render, on_broken| -> Result<Written, Stopped> {
            let results: Arc<dyn RunResults> = if self.unordered {
                Arc::new(AsTheyCome::new(out, render, on_broken))
            } else {
                Arc::new(Results::new(out, lines.due(), MAX_HELD_BYTES, render, on_broken))
            };
            if !self.input.may_take_results(lines) {
                return Ok((results, None));
            }
            let kept = KeptResults::new(results).map_err(|error| {
                Stopped::failed(format_args!(
                    "a temporary file for the values that jobs take of others (`$result`): {error}"
                ))
            })?;
            let kept = Arc::new(kept);
            Ok((kept.clone(), Some(kept)))
        };
        let Some(path) = &self.output else {
            if self.table {
                print(|out| write!(out, "{}", run_head(stdout_style())))?;
            }
            return ordered(watching.stdout(), render, on_broken);
        };
        let failed = |error: io::Error| Stopped::failed(format_args!("--output: {error}"));
        if takes_no_rename(path) {
            let file = std::fs::OpenOptions::new().write(true).open(path);
            let file =
                file.map_err(|error| failed(io::Error::new(error.kind(), format!("{}: {error}", path.display()))))?;
            return ordered(Box::new(file), render, on_broken);
        }
        let file = Arc::new(ResultsFile::open(path, self.file, render, on_broken).map_err(failed)?);
        Ok((file.clone(), Some(file)))
    }

    fn detail(&self) -> Detail {
        match (self.results_only, self.options.explain) {
            (true, _) => Detail::RESULTS_ONLY,
            (false, true) => Detail::FULL,
            (false, false) => Detail::USUAL,
        }
    }
}

/// Where outcomes go, and where jobs find those of earlier ones, if these are kept.
pub(super) type Written = (Arc<dyn RunResults>, Option<Arc<dyn EarlierResults>>);

/// Whether what lies at the path is to be written to as it is: a pipe, a terminal, `/dev/null`.
pub(in crate::cli) fn takes_no_rename(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// The path without links and dots, as far as there is something there.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let in_its_folder = || {
        let absolute = absolute();
        let folder = absolute.parent()?.canonicalize().ok()?;
        Some(folder.join(absolute.file_name()?))
    };
    path.canonicalize().ok().or_else(in_its_folder).unwrap_or_else(absolute)
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn json(detail: Detail) -> Render {
    Box::new(move |outcome, out| write_outcome(out, outcome, detail))
}

fn table() -> Render {
    let style = stdout_style();
    Box::new(move |outcome, out| out.write_all(run_row(outcome, style).as_bytes()))
}

/// The same, and the explanation of each outcome on standard error.
fn explained(render: Render) -> Render {
    Box::new(move |outcome, out| {
        tell(explain(outcome, stderr_style()).trim_end());
        render(outcome, out)
    })
}
