//! Small charts in text of what a variant's rows show.

use crate::bench::{DeviceDescription, Place, Row};
use crate::report::bench::place_name;
use crate::report::chart::Unit;
use crate::report::{TextAxis, TextStyle, text_bars, text_lines};

/// Rows of a line chart.
const HEIGHT: usize = 9;
/// With fewer sizes, lines show nothing that the table does not.
const SIZES_MIN: usize = 3;

/// Time against size in every place, both by factors, and the times of the largest size as bars: shorter is faster.
pub fn bench_charts(rows: &[Row], devices: &[DeviceDescription], style: TextStyle) -> String {
    let Some(largest) = rows.last() else { return String::new() };
    let mut text = String::new();
    if rows.len() >= SIZES_MIN {
        let axes = [TextAxis { unit: Unit::Count, log: true }, TextAxis { unit: Unit::Ms, log: true }];
        let lines: Vec<(String, Vec<(f64, f64)>)> =
            places(rows).into_iter().map(|place| (series_name(rows, place, devices), points(rows, place))).collect();
        text += &text_lines(&lines, axes, HEIGHT, style);
    }
    let bars: Vec<(String, f64)> =
        largest.cells.iter().map(|cell| (place_name(cell, devices), cell.median_ms)).collect();
    text + &text_bars(&bars, Unit::Ms, style)
}

/// Every place that any row has, in their order.
pub(super) fn places(rows: &[Row]) -> Vec<Place> {
    let mut places: Vec<Place> = rows.iter().flat_map(|row| row.cells.iter().map(|cell| cell.place)).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// What a place is called over all rows.
pub(super) fn series_name(rows: &[Row], place: Place, devices: &[DeviceDescription]) -> String {
    let cell = rows.iter().find_map(|row| row.cell(place));
    cell.map_or_else(|| place.to_string(), |cell| place_name(cell, devices))
}

fn points(rows: &[Row], place: Place) -> Vec<(f64, f64)> {
    rows.iter().filter_map(|row| Some((row.units as f64, row.cell(place)?.median_ms))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    #[test]
    fn the_largest_size_is_shown_as_bars_and_several_sizes_as_lines() {
        let mut report = examples::report();
        let style = TextStyle { width: 60, ascii: true };
        let devices = &report.machine.devices;
        let bars = bench_charts(&report.rows, devices, style);
        assert_eq!(bars.lines().count(), 3, "{bars}");
        let lengths: Vec<usize> = bars.lines().map(|line| line.matches('#').count()).collect();
        assert!(lengths[0] > 3 * lengths[1] && lengths[1] > 3 * lengths[2] && lengths[2] > 0, "{bars}");
        let middle = examples::row("stats", "f32", 100_000, &[(Place::Thread, 0.4), (Place::Gpu(0), 0.1)]);
        report.rows.insert(1, middle);
        let charts = bench_charts(&report.rows, devices, style);
        assert!(charts.lines().count() > HEIGHT + 3, "{charts}");
        assert!(charts.lines().all(|line| line.chars().count() <= 60), "{charts}");
        assert_eq!(bench_charts(&[], devices, style), "");
    }
}
