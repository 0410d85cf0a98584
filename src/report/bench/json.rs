//! What comes of a benchmark, as JSON lines while it goes on: each line says what it is with `type`.

use serde_json::{Value, json};

use crate::bench::{At, Ceiling, Cell, Comparison, FileComparison, Machine, Place, Row, Said, Verdict};
use crate::report::bench::comparison::change_name;
use crate::report::bench::{use_line, verdict_lines, why_line};

/// The row as one JSON object, with a line end: `{"type":"row","kind","variant","units","bytes","operations","others_busy_cpus",
/// "times":[{"device","place","lanes","ms","low_ms","high_ms","confidence","runs","outliers","drift","units_per_s","ratio_to_cpu",
/// "ratio_to_thread","phases_ms":{…},"cold":{…},"limit":{…}}]}`.
///
/// # Errors
/// None that can come up: its figures are finite.
pub fn bench_json(row: &Row) -> serde_json::Result<String> {
    let times: Vec<Value> = row.cells.iter().map(|cell| time(row, cell)).collect();
    line(&json!({
        "type": "row",
        "kind": row.kind,
        "variant": row.variant,
        "units": row.units,
        "bytes": row.bytes,
        "operations": row.operations,
        "others_busy_cpus": row.others_busy_cpus,
        "times": times,
    }))
}

fn time(row: &Row, cell: &Cell) -> Value {
    let device = if cell.place == Place::Thread { "cpu".to_owned() } else { cell.place.to_string() };
    json!({
        "device": device,
        "place": cell.place,
        "lanes": cell.lanes,
        "ms": cell.median_ms,
        "low_ms": cell.low_ms,
        "high_ms": cell.high_ms,
        "confidence": cell.confidence,
        "runs": cell.runs.len(),
        "outliers": cell.outliers,
        "drift": cell.drift,
        "units_per_s": row.units_per_s(cell),
        "ratio_to_cpu": row.ratio_to_cpu(cell),
        "ratio_to_thread": row.ratio_to_thread(cell),
        "phases_ms": {
            "waiting": cell.phase_ms(|run| run.waiting_ms),
            "setup": cell.phase_ms(|run| run.setup_ms),
            "upload": cell.phase_ms(|run| run.upload_ms),
            "compute": cell.phase_ms(|run| run.compute_ms),
            "readback": cell.phase_ms(|run| run.readback_ms),
        },
        "cold": cell.cold,
        "limit": cell.limit,
    })
}

/// What the rows of a variant come to: `{"type":"verdict","kind","variant","use","why","choice":{…},"parallel":{…},
/// "challenges":[…],"text":[…]}`; `use`, `why` and `text` are sentences.
///
/// # Errors
/// None that can come up.
pub fn verdict_json(verdict: &Verdict, machine: &Machine) -> serde_json::Result<String> {
    line(&json!({
        "type": "verdict",
        "kind": verdict.kind,
        "variant": verdict.variant,
        "use": use_line(verdict, &machine.devices),
        "why": why_line(verdict, &machine.devices),
        "choice": verdict.choice,
        "parallel": verdict.parallel,
        "challenges": verdict.challenges,
        "text": verdict_lines(verdict, &machine.devices),
    }))
}

/// The machine: `{"type":"machine","machine":{…},"ceilings":[…]}`.
///
/// # Errors
/// None that can come up.
pub fn machine_json(machine: &Machine, ceilings: &[Ceiling]) -> serde_json::Result<String> {
    line(&json!({"type": "machine", "machine": machine, "ceilings": ceilings}))
}

/// A job file: `{"type":"file","file","jobs","without_gpu","without_cpu","over_budget","runs":[…],"regret_ms","regret"}`.
///
/// # Errors
/// None that can come up.
pub fn file_json(found: &FileComparison) -> serde_json::Result<String> {
    let (ms, share) = found.regret().unzip();
    line(&json!({
        "type": "file",
        "file": found.file,
        "jobs": found.jobs,
        "without_gpu": found.without_gpu,
        "without_cpu": found.without_cpu,
        "over_budget": found.over_budget,
        "runs": found.runs,
        "regret_ms": ms,
        "regret": share,
    }))
}

/// A comparison: `{"type":"comparison","max_regression","regressions","too_busy_to_tell","rows":[{"kind","variant","units","place","lanes",
/// "old_ms","new_ms","again_ms","p","others_busy_cpus":[then,now],"change"}],"only_old":[…],"only_new":[…],"shifts":[{"place","bound",
/// "times","together","times_ratio","probe","probe_ratio","machine_ratio"}],"warnings":[…]}`; `lanes` are threads of the CPU, not of a job file.
///
/// # Errors
/// None that can come up.
pub fn comparison_json(found: &Comparison, max_regression: f64) -> serde_json::Result<String> {
    let key = |key: &crate::bench::Key| {
        let lanes = if let At::Place(_, lanes) = key.at { Some(lanes) } else { None };
        let place = key.at.to_string();
        json!({"kind": key.kind, "variant": key.variant, "units": key.units, "place": place, "lanes": lanes})
    };
    let shifts = found.shifts.iter().map(|shift| {
        let (probe, ratio) = match shift.probe {
            Said::Nothing => ("nothing", None),
            Said::Unsteady => ("unsteady", None),
            Said::Ratio(ratio) => ("steady", Some(ratio)),
        };
        json!({
            "place": shift.place,
            "bound": shift.bound,
            "times": shift.times,
            "together": shift.together,
            "times_ratio": shift.times_ratio,
            "probe": probe,
            "probe_ratio": ratio,
            "machine_ratio": shift.machine_ratio(),
        })
    });
    let rows: Vec<Value> = found
        .compared
        .iter()
        .map(|row| {
            let mut object = key(&row.key);
            object["old_ms"] = json!(row.old_ms);
            object["new_ms"] = json!(row.new_ms);
            object["again_ms"] = json!(row.again_ms);
            object["p"] = json!(row.p);
            object["others_busy_cpus"] = json!(row.others_busy_cpus);
            object["change"] = json!(change_name(row.change));
            object
        })
        .collect();
    line(&json!({
        "type": "comparison",
        "max_regression": max_regression,
        "regressions": found.regressions(),
        "too_busy_to_tell": found.is_too_busy_to_tell(),
        "rows": rows,
        "only_old": found.only_old.iter().map(key).collect::<Vec<_>>(),
        "only_new": found.only_new.iter().map(key).collect::<Vec<_>>(),
        "shifts": shifts.collect::<Vec<_>>(),
        "warnings": found.warnings,
    }))
}

fn line(object: &Value) -> serde_json::Result<String> {
    Ok(serde_json::to_string(object)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    #[test]
    fn every_line_is_an_object_that_says_what_it_is() {
        let report = examples::report();
        let comparison = Comparison::of(&report, &report, 0.1).unwrap();
        let lines = [
            machine_json(&report.machine, &report.ceilings),
            bench_json(&report.rows[1]),
            verdict_json(&report.verdicts[0], &report.machine),
            file_json(&report.files[0]),
            comparison_json(&comparison, 0.1),
        ];
        let parsed = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        let types: Vec<&str> = parsed.iter().map(|line| line["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["machine", "row", "verdict", "file", "comparison"]);
        let [_, row, verdict, file, comparison] = parsed;
        assert_eq!((&row["times"][0]["device"], &row["times"][0]["lanes"]), (&json!("cpu"), &json!(1)));
        assert_eq!(row["times"][2]["ratio_to_cpu"], 4.0);
        assert_eq!(verdict["challenges"][0]["fresh"], json!({"from": 100_000}));
        assert!(verdict["use"].as_str().unwrap().ends_with("; gpu:0 from there; 1 thread slower"), "{verdict}");
        assert_eq!(verdict["choice"]["segments"][1]["place"], "gpu:0");
        assert_eq!(comparison["regressions"], 0);
        assert!((file["regret"].as_f64().unwrap() - 0.05).abs() < 1e-9);
    }
}
