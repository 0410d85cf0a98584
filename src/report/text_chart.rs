//! Small charts in text, for a terminal.

use std::fmt::Write;

use crate::report::chart::Unit;
use crate::report::style::visible;
use crate::report::table::cut;

/// How a chart in text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextStyle {
    /// So many columns, at most.
    pub width: usize,
    /// Whether only ASCII may be used; blocks and dots of Unicode are finer.
    pub ascii: bool,
}

impl Default for TextStyle {
    fn default() -> Self {
        Self { width: 80, ascii: false }
    }
}

/// Columns of a bar at least, however narrow the terminal.
const BAR_MIN: usize = 4;

const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// A bar for each label, the longest as long as there is room for; with what it is in figures. Lines end with a line end.
pub fn text_bars(bars: &[(String, f64)], unit: Unit, style: TextStyle) -> String {
    let shown: Vec<(String, String)> =
        bars.iter().map(|(label, value)| (visible(label).into_owned(), unit.show(*value))).collect();
    let widest = |of: &dyn Fn(&(String, String)) -> usize| shown.iter().map(of).max().unwrap_or(0);
    let figures = widest(&|(_, figure)| figure.chars().count());
    let labels =
        widest(&|(label, _)| label.chars().count()).min(style.width.saturating_sub(figures + BAR_MIN + 4).max(8));
    let room = style.width.saturating_sub(labels + figures + 4).max(BAR_MIN);
    let most = bars.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let mut text = String::new();
    for ((label, figure), (_, value)) in shown.iter().zip(bars) {
        let share = if most > 0.0 && value.is_finite() { (value / most).clamp(0.0, 1.0) } else { 0.0 };
        let bar = bar(share * room as f64, style.ascii);
        let _ = writeln!(text, "{:<labels$}  {figure:>figures$}  {bar}", cut(label, labels));
    }
    // Where a bar is empty, nothing follows its figure.
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A bar of so many columns; what is there at all is seen.
fn bar(columns: f64, ascii: bool) -> String {
    if columns <= 0.0 {
        return String::new();
    }
    if ascii {
        return "#".repeat((columns.round() as usize).max(1));
    }
    let eighths = ((columns * 8.0).round() as usize).max(1);
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8 - 1]);
    }
    bar
}

/// An axis of a line chart in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextAxis {
    /// What its figures mean.
    pub unit: Unit,
    /// Whether equal steps are equal factors.
    pub log: bool,
}

/// Lines through points, `height` rows high: a letter marks each series, `*` where several meet, and a legend stands beneath.
/// Empty where no point has a place.
pub fn text_lines(
    series: &[(String, Vec<(f64, f64)>)],
    [x_axis, y_axis]: [TextAxis; 2],
    height: usize,
    style: TextStyle,
) -> String {
    let place = |axis: TextAxis, value: f64| if axis.log { value.ln() } else { value };
    let placed: Vec<Vec<(f64, f64)>> = series
        .iter()
        .map(|(_, points)| {
            let points = points.iter().map(|(x, y)| (place(x_axis, *x), place(y_axis, *y)));
            points.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
        })
        .collect();
    let range = |of: &dyn Fn(&(f64, f64)) -> f64| {
        placed
            .iter()
            .flatten()
            .map(of)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (xs, ys) = (range(&|point| point.0), range(&|point| point.1));
    if xs.0 > xs.1 {
        return String::new();
    }
    let value = |axis: TextAxis, place: f64| axis.unit.show(if axis.log { place.exp() } else { place });
    let (low, high) = (value(y_axis, ys.0), value(y_axis, ys.1));
    let margin = low.chars().count().max(high.chars().count());
    let height = height.max(3);
    let width = style.width.saturating_sub(margin + 3).max(12);
    let mut cells = vec![vec![' '; width]; height];
    for (at, points) in placed.iter().enumerate() {
        trace(&mut cells, points, xs, ys, letter(at), if style.ascii { '.' } else { '·' });
    }
    let mut text = String::new();
    let rule = if style.ascii { '|' } else { '│' };
    for (row, cells) in cells.iter().enumerate() {
        let label = if row == 0 {
            &high
        } else if row + 1 == height {
            &low
        } else {
            ""
        };
        let line: String = cells.iter().collect();
        let _ = writeln!(text, "{}", format!("{label:>margin$} {rule}{line}").trim_end());
    }
    let (corner, dash) = if style.ascii { ("+", "-") } else { ("└", "─") };
    let _ = writeln!(text, "{:margin$} {corner}{}", "", dash.repeat(width));
    let (from, to) = (value(x_axis, xs.0), value(x_axis, xs.1));
    let between = width.saturating_sub(from.chars().count() + to.chars().count());
    let _ = writeln!(text, "{:margin$}  {from}{:between$}{to}", "", "");
    for (at, (name, _)) in series.iter().enumerate() {
        let _ = writeln!(text, "{:margin$}  {} {}", "", letter(at), cut(&visible(name), width.saturating_sub(2)));
    }
    text
}

fn letter(series: usize) -> char {
    char::from(b'a' + (series % 26) as u8)
}

/// Draws a line: its letter at its points, dots between them.
fn trace(cells: &mut [Vec<char>], points: &[(f64, f64)], xs: (f64, f64), ys: (f64, f64), mark: char, dot: char) {
    let (height, width) = (cells.len(), cells[0].len());
    let scale = |value: f64, (low, high): (f64, f64), most: usize| {
        if high > low { (value - low) / (high - low) * (most - 1) as f64 } else { (most - 1) as f64 / 2.0 }
    };
    let at = |(x, y): (f64, f64)| (scale(x, xs, width), (height - 1) as f64 - scale(y, ys, height));
    for pair in points.windows(2) {
        let ((x1, y1), (x2, y2)) = (at(pair[0]), at(pair[1]));
        let steps = (x2 - x1).abs().max((y2 - y1).abs()).ceil().max(1.0) as usize;
        for step in 0..=steps {
            let share = step as f64 / steps as f64;
            let (column, row) = ((x1 + (x2 - x1) * share).round(), (y1 + (y2 - y1) * share).round());
            let cell = &mut cells[row as usize][column as usize];
            if *cell == ' ' {
                *cell = dot;
            }
        }
    }
    for point in points {
        let (column, row) = at(*point);
        let cell = &mut cells[row.round() as usize][column.round() as usize];
        *cell = if *cell == ' ' || *cell == dot || *cell == mark { mark } else { '*' };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(values: &[(&str, f64)]) -> Vec<(String, f64)> {
        values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn bars_are_as_long_as_their_share_of_the_longest() {
        let bars = named(&[("cpu, 1 thread", 40.0), ("gpu:0", 10.0), ("none", 0.0), ("lost", f64::NAN)]);
        let style = TextStyle { width: 40, ascii: false };
        assert_eq!(
            text_bars(&bars, Unit::Ms, style),
            "\
cpu, 1 thread  40.0 ms  ████████████████
gpu:0          10.0 ms  ████
none              0 ms
lost                 -
"
        );
        let ascii = text_bars(&bars, Unit::Ms, TextStyle { ascii: true, ..style });
        assert!(ascii.is_ascii() && ascii.contains("10.0 ms  ####\n"), "{ascii}");
    }

    #[test]
    fn no_line_is_wider_than_asked_and_nothing_panics_where_there_is_no_room() {
        let bars =
            named(&[("a label that is much longer than there is room for on such a screen", 3.0), ("\u{1b}[2J", 1e-9)]);
        for width in [0, 1, 10, 20, 24, 40, 80, 200] {
            for ascii in [false, true] {
                let text = text_bars(&bars, Unit::Ms, TextStyle { width, ascii });
                assert!(!text.contains('\u{1b}'));
                if width >= 30 {
                    assert!(text.lines().all(|line| line.chars().count() <= width), "{width}\n{text}");
                }
            }
        }
        assert_eq!(text_bars(&[], Unit::Ms, TextStyle::default()), "");
    }

    #[test]
    fn lines_cross_where_their_values_do() {
        let series = vec![
            ("cpu".to_owned(), vec![(1.0, 1.0), (10.0, 10.0), (100.0, 100.0)]),
            ("gpu:0".to_owned(), vec![(1.0, 10.0), (10.0, 10.0), (100.0, 10.0)]),
        ];
        let axis = |unit| TextAxis { unit, log: true };
        let style = TextStyle { width: 26, ascii: true };
        let text = text_lines(&series, [axis(Unit::Count), axis(Unit::Ms)], 5, style);
        assert_eq!(
            text,
            " 100 ms |              .a
        |          ....
        |b.......*......b
        |   ....
1.00 ms |a..
        +----------------
         1            100
         a cpu
         b gpu:0
"
        );
    }

    #[test]
    fn points_without_a_place_are_left_out() {
        let axis = TextAxis { unit: Unit::Ms, log: true };
        let one = |x, y| vec![("a".to_owned(), vec![(x, y)])];
        assert_eq!(text_lines(&one(0.0, 1.0), [axis; 2], 5, TextStyle::default()), "");
        assert_eq!(text_lines(&[], [axis; 2], 5, TextStyle::default()), "");
        assert!(text_lines(&one(5.0, 1.0), [axis; 2], 5, TextStyle::default()).contains('a'));
    }
}
