//! Looking at the jobs of a file without running them: their plans, or whether every way to run them gives the same.

use std::io::Write;
use std::process::ExitCode;

use crate::cli::run::Asked;
use crate::cli::run::lines::Lines;
use crate::cli::stopped::FAILED;
use crate::cli::terminal::{print, stdout_style};
use crate::cli::{Stopped, verify};
use crate::engine::Outcome;
use crate::job::{BadLine, BindContext, Cause, JobError, JobSpec};
use crate::report::{heading, plan_text, write_plan};
use crate::results::Tally;
use crate::runner::Runner;

impl Asked {
    /// Does something with each job, one after the other, instead of running it. `body` tells whether all was well.
    pub(super) fn each(
        &self,
        mut lines: Lines,
        body: impl Fn(&JobSpec, &BindContext) -> Result<Result<(), JobError>, Stopped>,
    ) -> Result<ExitCode, Stopped> {
        let context = BindContext::in_folder(self.input.base_dir());
        let mut tally = Tally::default();
        for line in &mut lines {
            let bad = match line {
                Ok(spec) => {
                    let (index, id, kind) = (spec.index, spec.id.clone(), spec.kind);
                    body(&spec, &context)?.err().map(|error| BadLine { index, id, kind, error })
                }
                Err(bad) => Some(bad),
            };
            match bad {
                Some(bad) => tally.add(&Outcome::from(bad)),
                None => tally.jobs += 1,
            }
        }
        self.summarise(&tally);
        match lines.read_error() {
            Some(error) => Err(self.input.unreadable(&error)),
            None => Ok(ExitCode::from(if tally.failed > 0 { FAILED } else { 0 })),
        }
    }

    pub(super) fn plan(
        &self,
        runner: &Runner,
        spec: &JobSpec,
        context: &BindContext,
    ) -> Result<Result<(), JobError>, Stopped> {
        let head = serde_json::json!({"index": spec.index, "id": &*spec.id, "kind": spec.kind}).to_string();
        let head = head.trim_end_matches('}');
        if !spec.params.results_of().is_empty() {
            let reason = "it takes values of earlier jobs (`$result`), which are known once those have run";
            print(|out| {
                if self.table {
                    writeln!(out, "{}", stdout_style().strong(&heading(spec.kind, &spec.id)))?;
                    return writeln!(out, "no plan yet: {reason}");
                }
                writeln!(out, "{head},\"plan\":null,\"reason\":\"{reason}\"}}")
            })?;
            return Ok(Ok(()));
        }
        let plan = match runner.engine().plan(&*spec.params, spec.device, context) {
            Ok(plan) => plan,
            Err(error) => return Ok(Err(error)),
        };
        print(|out| {
            if self.table {
                let style = stdout_style();
                writeln!(out, "{}", style.strong(&heading(spec.kind, &spec.id)))?;
                return write!(out, "{}", plan_text(&plan, style));
            }
            write!(out, "{head},\"plan\":")?;
            write_plan(out, &plan)?;
            writeln!(out, "}}")
        })?;
        Ok(Ok(()))
    }

    pub(super) fn verify(
        &self,
        runner: &Runner,
        spec: &JobSpec,
        context: &BindContext,
    ) -> Result<Result<(), JobError>, Stopped> {
        if !spec.params.results_of().is_empty() {
            let why = "--verify runs each job by itself, and this one takes values of earlier jobs (`$result`): verify it with \
                       the values written out";
            return Ok(Err(JobError::new(Cause::Unsupported, why)));
        }
        let found = match runner.engine().verify(&*spec.params, spec.device, context, verify::seed()) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        print(|out| {
            if self.table {
                writeln!(out, "{}", stdout_style().strong(&heading(spec.kind, &spec.id)))?;
                return verify::write_text(out, &found, stdout_style());
            }
            verify::write_json(out, &spec.id, spec.kind, &found)
        })?;
        Ok(if found.same() { Ok(()) } else { Err(verify::difference(&found)) })
    }
}
