//! A benchmark as CSV: a line for each time.

use crate::bench::{Cell, Report, Row};
use crate::report::bench::rows::bound_name;

const HEAD: &str = "kind,variant,units,bytes,place,threads,runs,median_ms,low_ms,high_ms,confidence,outliers,drift,units_per_s,\
    ratio_to_cpu,ratio_to_thread,waiting_ms,setup_ms,upload_ms,compute_ms,readback_ms,cold_ms,cold_setup_ms,bound,\
    share_of_ceiling,operations_per_byte";

/// Every time as a line, under a head; what is not known is empty. A job file's `kind` is `file`, its `variant` the file's name,
/// and its `units` are jobs.
pub fn bench_csv(report: &Report) -> String {
    let mut text = format!("{HEAD}\n");
    for row in &report.rows {
        for cell in &row.cells {
            text += &(time(row, cell).join(",") + "\n");
        }
    }
    let columns = HEAD.split(',').count();
    for file in &report.files {
        for run in &file.runs {
            let mut fields = vec![
                "file".to_owned(),
                quoted(&file.file),
                file.jobs.to_string(),
                String::new(),
                run.mode.to_string(),
                report.machine.threads.to_string(),
                run.runs_ms.len().to_string(),
                run.median_ms.to_string(),
                run.low_ms.to_string(),
                run.high_ms.to_string(),
                run.confidence.to_string(),
            ];
            fields.resize(columns, String::new());
            text += &(fields.join(",") + "\n");
        }
    }
    text
}

fn time(row: &Row, cell: &Cell) -> Vec<String> {
    let known = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let limit = cell.limit;
    vec![
        quoted(&row.kind),
        quoted(&row.variant),
        row.units.to_string(),
        row.bytes.to_string(),
        cell.place.to_string(),
        cell.lanes.to_string(),
        cell.runs.len().to_string(),
        cell.median_ms.to_string(),
        cell.low_ms.to_string(),
        cell.high_ms.to_string(),
        cell.confidence.to_string(),
        cell.outliers.to_string(),
        known(cell.drift),
        row.units_per_s(cell).to_string(),
        known(row.ratio_to_cpu(cell)),
        known(row.ratio_to_thread(cell)),
        cell.phase_ms(|run| run.waiting_ms).to_string(),
        cell.phase_ms(|run| run.setup_ms).to_string(),
        cell.phase_ms(|run| run.upload_ms).to_string(),
        cell.phase_ms(|run| run.compute_ms).to_string(),
        cell.phase_ms(|run| run.readback_ms).to_string(),
        cell.cold.ms.to_string(),
        cell.cold.setup_ms.to_string(),
        limit.map_or_else(String::new, |limit| bound_name(limit.bound).to_owned()),
        known(limit.map(|limit| limit.share)),
        known(limit.and_then(|limit| limit.operations_per_byte)),
    ]
}

/// A field as RFC 4180 has it.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    #[test]
    fn every_line_has_a_field_for_each_column() {
        let mut report = examples::report();
        report.files[0].file = "a,\"b\".jsonl".to_owned();
        let text = bench_csv(&report);
        let columns = HEAD.split(',').count();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 6 + 3);
        assert!(lines[..7].iter().all(|line| line.split(',').count() == columns), "{text}");
        assert!(lines[3].starts_with("stats,f32,10000,40000,gpu:0,1,10,0.25,"), "{text}");
        assert!(lines[7].starts_with("file,\"a,\"\"b\"\".jsonl\",5,,cpu,8,5,100,"), "{text}");
        assert!(lines[6].ends_with(",upload,0.8,"), "{text}");
    }
}
