//! Small bar charts in text.

use crate::bench::{DeviceDescription, Row};
use crate::report::bench::place_name;
use crate::report::figures::time_ms;
use crate::report::{Style, visible};

/// What bars are drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Blocks of Unicode, an eighth of a cell exact.
    Blocks,
    /// Number signs, for terminals that show nothing else.
    Ascii,
}

/// The narrowest and the widest bar, in cells.
const CELLS: std::ops::RangeInclusive<usize> = 8..=48;

/// A bar for each value, as long as its share of the greatest, each line no wider than `width` where names leave room for that;
/// after it its value as `shown`. Values that are none have no bar.
pub fn bars(
    values: &[(String, f64)],
    shown: impl Fn(f64) -> String,
    width: usize,
    glyphs: Glyphs,
    style: Style,
) -> String {
    let names: Vec<_> = values.iter().map(|(name, _)| visible(name)).collect();
    let texts: Vec<String> = values.iter().map(|(_, value)| shown(*value)).collect();
    let longest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or(0);
    let name_width = longest(&mut names.iter().map(|name| name.chars().count()));
    let text_width = longest(&mut texts.iter().map(|text| text.chars().count()));
    // Two spaces before each, and between.
    let cells = width.saturating_sub(name_width + text_width + 6).clamp(*CELLS.start(), *CELLS.end());
    let greatest = values.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let lines = values.iter().zip(names.iter().zip(&texts)).map(|((_, value), (name, text))| {
        let share = if greatest > 0.0 && value.is_finite() { (value / greatest).clamp(0.0, 1.0) } else { 0.0 };
        let drawn = bar(share, cells, glyphs);
        let padding = " ".repeat(cells - drawn.chars().count());
        format!("  {name:<name_width$}  {}{padding}  {text}\n", style.good(&drawn))
    });
    lines.collect()
}

fn bar(share: f64, cells: usize, glyphs: Glyphs) -> String {
    match glyphs {
        // Something is not nothing.
        Glyphs::Ascii => "#".repeat(((share * cells as f64).round() as usize).max(usize::from(share > 0.0))),
        Glyphs::Blocks => {
            const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
            let eighths = ((share * cells as f64 * 8.0).round() as usize).max(usize::from(share > 0.0));
            "█".repeat(eighths / 8) + PARTS[eighths % 8]
        }
    }
}

/// The medians of a row, as bars: shorter is faster.
pub fn row_bars(row: &Row, devices: &[DeviceDescription], width: usize, glyphs: Glyphs, style: Style) -> String {
    let values: Vec<(String, f64)> = row.cells.iter().map(|cell| (place_name(cell, devices), cell.median_ms)).collect();
    bars(&values, time_ms, width, glyphs, style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drawn(values: &[(&str, f64)], width: usize, glyphs: Glyphs) -> String {
        let values: Vec<(String, f64)> = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        bars(&values, time_ms, width, glyphs, Style::PLAIN)
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let values = [("cpu", 8.0), ("gpu:0", 2.0), ("none", 0.0), ("little", 0.001)];
        assert_eq!(
            drawn(&values, 35, Glyphs::Ascii),
            "  cpu     ################  8.00 ms
  gpu:0   ####              2.00 ms
  none                      0 ms
  little  #                 1.00 us
"
        );
        assert_eq!(
            drawn(&[("a", 8.0), ("b", 3.25)], 22, Glyphs::Blocks),
            "  a  ████████  8.00 ms\n  b  ███▎      3.25 ms\n"
        );
    }

    proptest! {
        #[test]
        fn lines_keep_to_the_width(values in prop::collection::vec(0.0..1e5_f64, 1..6), width in 40_usize..200) {
            let named: Vec<(String, f64)> = values.iter().map(|value| ("gpu:0".to_owned(), *value)).collect();
            for glyphs in [Glyphs::Ascii, Glyphs::Blocks] {
                for line in bars(&named, time_ms, width, glyphs, Style::PLAIN).lines() {
                    prop_assert!(line.chars().count() <= width, "{line}");
                }
            }
        }
    }
}
