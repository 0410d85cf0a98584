//! How the outcomes of a job file look, and where its jobs find the values that they take of others.

use std::io::Write;
use std::sync::Arc;

use crate::cli::Stopped;
use crate::cli::printed::{printed, used_up};
use crate::cli::run::Asked;
use crate::cli::run::lines::Lines;
use crate::cli::run::output::{Opened, Shown, Written};
use crate::cli::run::streaming::OnBroken;
use crate::cli::terminal::{print, stderr_style, stdout_style, tell};
use crate::cli::watch::Watching;
use crate::report::{Detail, explain, run_head, run_row, write_outcome};
use crate::results::{KeptResults, OfWritten, Render};

impl Asked {
    /// Where outcomes go, how they look there, and where jobs find those of earlier ones.
    pub(super) fn results(&self, lines: &Lines, watching: &Watching, on_broken: OnBroken) -> Result<Written, Stopped> {
        let render = match (self.tag, self.table) {
            (true, _) => printed(true),
            (false, true) => table(),
            (false, false) => json(self.detail()),
        };
        let render = if self.options.explain { explained(render) } else { render };
        if self.table {
            print(|out| write!(out, "{}", run_head(stdout_style())))?;
        }
        let shown = Shown {
            render,
            due: lines.due(),
            unordered: self.unordered,
            afterwards: self.tag.then_some(used_up as OfWritten),
        };
        let results = match self.output.open(shown, watching, on_broken)? {
            Opened::File(file) => return Ok((file.clone(), Some(file))),
            Opened::Stream(results) if !self.input.may_take_results(lines) => return Ok((results, None)),
            Opened::Stream(results) => results,
        };
        let kept = KeptResults::new(results).map_err(|error| {
            Stopped::failed(format_args!(
                "a temporary file for the values that jobs take of others (`$result`): {error}"
            ))
        })?;
        let kept = Arc::new(kept);
        Ok((kept.clone(), Some(kept)))
    }

    fn detail(&self) -> Detail {
        match (self.results_only, self.options.explain) {
            (true, _) => Detail::RESULTS_ONLY,
            (false, true) => Detail::FULL,
            (false, false) => Detail::USUAL,
        }
    }
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
