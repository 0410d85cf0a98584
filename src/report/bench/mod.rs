//! What `tandem bench` and `tandem calibrate` found: rows as they come, what follows from them, and whole reports as files.

mod charts;
mod comparison;
mod csv;
mod files;
mod guide;
mod html;
mod json;
mod machine;
mod markdown;
mod rows;
mod words;

pub use charts::bench_charts;
pub use comparison::comparison_text;
pub use csv::bench_csv;
pub use files::{file_text, mode_words};
pub use guide::{guide_text, unit_line, use_line, why_line};
pub use html::bench_html;
pub use json::{bench_json, comparison_json, file_json, machine_json, verdict_json};
pub use machine::bench_machine_text;
pub use markdown::bench_markdown;
pub use rows::{bench_head, bench_row};
pub use words::verdict_lines;

use crate::bench::{Cell, DeviceDescription, Place};
use crate::report::figures::whole;

/// What a row calls a place: `cpu, 8 threads`, `gpu:0 software`.
fn place_name(cell: &Cell, devices: &[DeviceDescription]) -> String {
    place_with_lanes(cell.place, cell.lanes, devices)
}

fn place_with_lanes(place: Place, lanes: u32, devices: &[DeviceDescription]) -> String {
    match (place, lanes) {
        (Place::Thread, _) | (Place::Cpu, 1) => "cpu, 1 thread".to_owned(),
        (Place::Cpu, lanes) => format!("cpu, {lanes} threads"),
        (place, _) if is_software(place, devices) => format!("{place} software"),
        (place, _) => place.to_string(),
    }
}

/// Whether a place is a GPU in name only.
fn is_software(place: Place, devices: &[DeviceDescription]) -> bool {
    place.is_gpu() && devices.iter().any(|device| device.software && device.device == place.to_string())
}

/// A share in per cent, with as many digits as it has meaning: `0.83 %`, `8.3 %`, `83 %`, `830 %`.
fn percent(share: f64) -> String {
    match (share * 100.0).abs() {
        size if size < 0.995 => format!("{:.2} %", share * 100.0),
        size if size < 9.95 => format!("{:.1} %", share * 100.0),
        _ => format!("{:.0} %", share * 100.0),
    }
}

/// A size that was interpolated, to two digits: it is not known better.
fn roughly(units: u64) -> String {
    let step = 10_u64.pow(units.max(1).ilog10().saturating_sub(1));
    whole((units + step / 2) / step * step)
}

/// How far the interval of a median reaches, as a share of it.
fn spread(cell: &Cell) -> f64 {
    (cell.high_ms - cell.median_ms).max(cell.median_ms - cell.low_ms) / cell.median_ms
}
