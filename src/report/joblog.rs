//! The job log: a table of tab-separated values, a line for each job as it ends.

use std::io::{self, Write};
use std::time::Duration;

use crate::engine::{Outcome, RanOn};

/// The head of the table.
pub const JOBLOG_HEAD: &str = "id\tstart\tseconds\tdevice\tstatus\tcause\tattempts\tpeak_memory_bytes\n";

/// Writes the line of a job that ended at `ended`, counted from the beginning of 1970. What is not known, or does not apply, is empty.
///
/// `start` is in seconds since 1970, UTC, with milliseconds; `seconds` is what the job ran for, without what it waited, and
/// `start` so long before its end.
///
/// # Errors
/// Those of `out`.
pub fn write_joblog_line(out: &mut dyn Write, outcome: &Outcome, ended: Duration) -> io::Result<()> {
    let ran = outcome.timings.phases.total();
    // To the nearest millisecond.
    let start = ended.saturating_sub(ran) + Duration::from_micros(500);
    write_escaped(out, &outcome.id)?;
    write!(out, "\t{}.{:03}\t{:.6}\t", start.as_secs(), start.subsec_millis(), ran.as_secs_f64())?;
    if outcome.ran_on != RanOn::Nowhere {
        write!(out, "{}", outcome.ran_on)?;
    }
    match &outcome.result {
        Ok(_) => out.write_all(b"\tsucceeded\t")?,
        Err(error) => write!(out, "\tfailed\t{}", error.cause)?,
    }
    write!(out, "\t{}\t", outcome.attempts)?;
    if let Some(bytes) = outcome.peak_memory_bytes() {
        write!(out, "{bytes}")?;
    }
    out.write_all(b"\n")
}

/// A cell: what would end it early is escaped as in most tables of this form: `\t`, `\n`, `\r` and `\\`.
fn write_escaped(out: &mut dyn Write, text: &str) -> io::Result<()> {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b'\\')) {
        out.write_all(&rest[..at])?;
        out.write_all(match rest[at] {
            b'\t' => b"\\t",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            _ => b"\\\\",
        })?;
        rest = &rest[at + 1..];
    }
    out.write_all(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::JobError;
    use crate::report::examples::{failed, succeeded};

    fn line(outcome: &Outcome, ended_ms: u64) -> String {
        let mut out = Vec::new();
        write_joblog_line(&mut out, outcome, Duration::from_millis(ended_ms)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_has_a_cell_for_each_name_of_the_head_and_begins_before_its_end() {
        // It ran for 3 s and 3 ms.
        assert_eq!(line(&succeeded(), 1_700_000_003_503), "a\t1700000000.500\t3.003000\tgpu:0\tsucceeded\t\t2\t\n");
        assert_eq!(line(&failed(), 7), "#5\t0.007\t0.000000\t\tfailed\tbad_input\t1\t\n");
        let names = JOBLOG_HEAD.matches('\t').count();
        assert_eq!(line(&failed(), 7).matches('\t').count(), names);
    }

    #[test]
    fn the_peak_of_a_program_is_there_also_where_it_failed() {
        let error = JobError { peak_memory_bytes: Some(4096), ..JobError::bad_input("x") };
        assert!(line(&Outcome { result: Err(error), ..failed() }, 7).ends_with("\t4096\n"));
    }

    proptest! {
        #[test]
        fn no_id_breaks_the_table(id in "[\\PC\t\n\r\\\\]{0,12}") {
            let line = line(&Outcome { id: id.as_str().into(), ..succeeded() }, 0);
            prop_assert_eq!(line.matches('\t').count(), JOBLOG_HEAD.matches('\t').count());
            prop_assert_eq!(line.matches(['\n', '\r']).count(), 1);
            let cell = line.split('\t').next().unwrap();
            let unescaped = cell.replace("\\\\", "\u{0}").replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r");
            prop_assert_eq!(unescaped.replace('\u{0}', "\\"), id);
        }
    }
}
