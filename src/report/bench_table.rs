//! Rows of `tandem bench` and `tandem calibrate`.

use serde_json::json;

use crate::bench::{BreakEven, Row};
use crate::device::DeviceId;
use crate::report::Style;
use crate::report::figures::{rate, time_ms, whole};
use crate::report::table::{Align, line};

const WIDTHS: [usize; 7] = [8, 9, 13, 14, 9, 9, 9];
const ALIGNS: [Align; 7] =
    [Align::Left, Align::Left, Align::Right, Align::Left, Align::Right, Align::Right, Align::Right];

/// The head of the table.
pub fn bench_head(style: Style) -> String {
    let head = ["kind", "variant", "units", "device", "took", "units/s", "to cpu"];
    style.faint(&line(&head, &WIDTHS, &ALIGNS)) + "\n"
}

/// A line for each device; `to cpu` is how many times as fast as the CPU at its best it is.
pub fn bench_row(row: &Row) -> String {
    let lines = row.times.iter().enumerate().map(|(i, time)| {
        let device = match (time.device, time.lanes) {
            (DeviceId::Cpu, 1) => "cpu, 1 thread".to_owned(),
            (DeviceId::Cpu, lanes) => format!("cpu, {lanes} threads"),
            (gpu, _) => gpu.to_string(),
        };
        let ratio = row.ratio_to_cpu(time.ms).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x"));
        let (kind, variant, units) =
            if i == 0 { (row.kind, row.variant, whole(row.units)) } else { ("", "", String::new()) };
        let cells = [kind, variant, &units, &device, &time_ms(time.ms), &rate(per_second(row, time.ms)), &ratio];
        line(&cells, &WIDTHS, &ALIGNS) + "\n"
    });
    lines.collect()
}

fn per_second(row: &Row, ms: f64) -> f64 {
    row.units as f64 / ms * 1e3
}

/// The row as one JSON object, with a line end.
///
/// # Errors
/// None that can come up: its figures are finite.
pub fn bench_json(row: &Row) -> serde_json::Result<String> {
    let times: Vec<_> = row
        .times
        .iter()
        .map(|time| {
            json!({
                "device": time.device.to_string(),
                "lanes": time.lanes,
                "ms": time.ms,
                "units_per_s": per_second(row, time.ms),
                "ratio_to_cpu": row.ratio_to_cpu(time.ms),
            })
        })
        .collect();
    let object =
        json!({"kind": row.kind, "variant": row.variant, "units": row.units, "bytes": row.bytes, "times": times});
    Ok(serde_json::to_string(&object)? + "\n")
}

/// The break-even size of a variant in words, one line.
pub fn break_even(kind: &str, variant: &str, found: BreakEven) -> String {
    let words = match found {
        BreakEven::From(units) => format!("a gpu pays from about {} units on", whole(units)),
        BreakEven::Always => "a gpu pays at every size measured".to_owned(),
        BreakEven::Never => "no gpu pays at any size measured".to_owned(),
        BreakEven::NoGpu => "there is no gpu to compare with".to_owned(),
    };
    format!("{kind} {variant}: {words}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Time;

    #[test]
    fn a_row_has_a_line_for_each_device_under_one_head() {
        let times = [(DeviceId::Cpu, 1, 4.0), (DeviceId::Cpu, 8, 1.0), (DeviceId::Gpu(0), 1, 0.5)];
        let times = times.map(|(device, lanes, ms)| Time { device, lanes, ms }).to_vec();
        let row = Row { kind: "stats", variant: "f32", units: 1_000_000, bytes: 4e6, times };
        assert_eq!(
            bench_head(Style::PLAIN) + &bench_row(&row),
            "\
kind      variant            units  device               took    units/s     to cpu
stats     f32            1,000,000  cpu, 1 thread     4.00 ms    250 M/s      0.25x
                                    cpu, 8 threads    1.00 ms   1.00 G/s      1.00x
                                    gpu:0              500 us   2.00 G/s      2.00x
"
        );
        let parsed: serde_json::Value = serde_json::from_str(&bench_json(&row).unwrap()).unwrap();
        assert_eq!(parsed["times"][2]["ratio_to_cpu"], 2.0);
        assert_eq!(
            break_even("stats", "f32", BreakEven::From(40_000)),
            "stats f32: a gpu pays from about 40,000 units on\n"
        );
    }
}
