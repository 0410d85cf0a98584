//! What `--verify` shows.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::engine::Verification;
use crate::job::{Cause, JobError};
use crate::report::{Align, Style, Table, visible};

/// A seed for random splits, another one each time; it is shown, so that a difference can be found again.
pub(super) fn seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// The verdict for people: every run where they differ, else one line.
pub(super) fn write_text(out: &mut dyn Write, found: &Verification, style: Style) -> io::Result<()> {
    let hash = found.runs.first().map_or("", |run| &run.sha256);
    let mut table = Table::new(&[("run", Align::Left), ("sha256 of the result", Align::Left)]);
    for run in &found.runs {
        let same = run.sha256 == hash;
        table.row([run.label.clone(), if same { run.sha256.clone() } else { style.bad(&run.sha256) }]);
    }
    for run in &found.skipped {
        table.row([run.label.clone(), format!("skipped: {}", visible(&run.why))]);
    }
    write!(out, "{}", table.render("  ", style))?;
    if found.same() {
        writeln!(out, "{}  {hash}", style.good("same bytes"))
    } else {
        writeln!(out, "{}  seed {}", style.bad("different bytes"), found.seed)
    }
}

/// The verdict as one JSON object: `{"id","kind","same","sha256","seed","runs":[{"label","sha256"}],
/// "skipped":[{"label","why"}]}`.
pub(super) fn write_json(out: &mut dyn Write, id: &str, kind: &str, found: &Verification) -> io::Result<()> {
    let runs: Vec<_> =
        found.runs.iter().map(|run| serde_json::json!({"label": run.label, "sha256": run.sha256})).collect();
    let skipped: Vec<_> =
        found.skipped.iter().map(|run| serde_json::json!({"label": run.label, "why": run.why})).collect();
    let object = serde_json::json!({
        "id": id,
        "kind": kind,
        "same": found.same(),
        "sha256": found.runs.first().filter(|_| found.same()).map(|run| &run.sha256),
        "seed": found.seed.to_string(),
        "runs": runs,
        "skipped": skipped,
    });
    writeln!(out, "{object}")
}

/// A difference as the error of its job.
pub(super) fn difference(found: &Verification) -> JobError {
    let first = found.runs.first().map_or("", |run| &run.sha256);
    let odd: Vec<&str> = found.runs.iter().filter(|run| run.sha256 != first).map(|run| &*run.label).collect();
    let message =
        format!("the bytes of the result differ on {} (seed {}): please report it", odd.join("; "), found.seed);
    JobError::new(Cause::DeviceLost, message)
}
