//! Horizontal bars, of one part or of several.

use super::figure::{About, DataTable, Figure};
use super::plot::{Axis, Key, Plot, WIDTH, legend, nothing, patterns};
use super::svg::{Anchor, At, Escaped, Svg, wide};
use super::ticks::Unit;

/// Bars made of parts, one beneath the other: times by phase.
#[derive(Clone, Debug, PartialEq)]
pub struct StackedBars {
    /// What it says of itself.
    pub about: About,
    /// What the length of a bar is.
    pub label: String,
    /// In what.
    pub unit: Unit,
    /// The names of the parts.
    pub parts: Vec<String>,
    /// The name of each bar and its parts, as many as there are names.
    pub rows: Vec<(String, Vec<f64>)>,
}

impl StackedBars {
    /// The picture. Parts below 0 and parts that are no number count as 0; the table shows them.
    pub fn draw(&self) -> Figure {
        let mut svg = Svg::default();
        let id = &self.about.id;
        let parts: Vec<&str> = self.parts.iter().map(String::as_str).collect();
        patterns(&mut svg, id, parts.len());
        let entries = parts.iter().enumerate().map(|(at, part)| (*part, Key::Area, at));
        let top = if parts.len() > 1 { legend(&mut svg, id, entries, 0.0) } else { 0.0 };
        let height = bars(&mut svg, self, &parts, top, &[]);
        let mut table = DataTable::new(std::iter::once("").chain(parts.iter().copied()).chain(["all"]));
        for (name, values) in &self.rows {
            let cells = values.iter().map(|value| self.unit.show(*value));
            let sum = self.unit.show(values.iter().copied().map(length).sum());
            table.row(std::iter::once(name.clone()).chain(cells).chain([sum]));
        }
        self.about.figure([WIDTH, height], svg, table)
    }
}

/// One bar for each thing.
#[derive(Clone, Debug, PartialEq)]
pub struct BarChart {
    /// What it says of itself.
    pub about: About,
    /// What the length of a bar is.
    pub label: String,
    /// In what.
    pub unit: Unit,
    /// The name of each bar and its value.
    pub bars: Vec<(String, f64)>,
    /// Between what each value lies, as many as there are bars; empty where that is not known.
    pub intervals: Vec<(f64, f64)>,
}

impl BarChart {
    /// The picture.
    pub fn draw(&self) -> Figure {
        let rows: Vec<_> = self.bars.iter().map(|(name, value)| (name.clone(), vec![*value])).collect();
        let Self { about, label, unit, .. } = self;
        let parts = vec![label.clone()];
        let stacked = StackedBars { about: about.clone(), label: label.clone(), unit: *unit, parts, rows };
        let mut svg = Svg::default();
        patterns(&mut svg, &about.id, 1);
        let height = bars(&mut svg, &stacked, &[label], 0.0, &self.intervals);
        about.figure([WIDTH, height], svg, self.table())
    }

    fn table(&self) -> DataTable {
        let head = ["", self.label.as_str(), "interval"];
        let mut table = DataTable::new(head.into_iter().take(if self.intervals.is_empty() { 2 } else { 3 }));
        for (at, (name, value)) in self.bars.iter().enumerate() {
            let interval = self.intervals.get(at);
            let interval = interval.map(|(low, high)| format!("{} to {}", self.unit.show(*low), self.unit.show(*high)));
            table.row([name.clone(), self.unit.show(*value)].into_iter().chain(interval));
        }
        table
    }
}

fn length(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

const ROW: f64 = 26.0;

fn bars(svg: &mut Svg, chart: &StackedBars, parts: &[&str], top: f64, intervals: &[(f64, f64)]) -> f64 {
    if chart.rows.is_empty() {
        *svg = Svg::default();
        return nothing(svg, "nothing was measured");
    }
    let sum = |values: &[f64]| values.iter().copied().map(length).sum::<f64>();
    let most = chart.rows.iter().map(|(_, values)| sum(values));
    let most = most.chain(intervals.iter().map(|(_, high)| length(*high))).fold(0.0, f64::max);
    let names = chart.rows.iter().map(|(name, _)| wide(name)).fold(0.0, f64::max);
    let left = (names + 24.0).min(WIDTH * 0.35);
    let totals = chart.rows.iter().map(|(_, values)| wide(&chart.unit.show(sum(values)))).fold(0.0, f64::max);
    let axis = Axis::even(chart.label.clone(), chart.unit);
    let (top, rows_height) = (top + 8.0, chart.rows.len() as f64 * ROW + 6.0);
    // The sums stand behind the bars.
    let room = (WIDTH - 24.0 - left) / (WIDTH - 24.0 - left - totals - 10.0).max(1.0);
    let plot = Plot::rows(svg, &axis, most * room, left, top, rows_height);
    for (row, (name, values)) in chart.rows.iter().enumerate() {
        let y = top + 6.0 + row as f64 * ROW;
        svg.text_within("label", (left - 8.0, y + 14.0), Anchor::End, name, left - 16.0);
        let mut before = 0.0;
        for (part, value) in values.iter().enumerate().map(|(part, value)| (part, length(*value))) {
            if value <= 0.0 {
                continue;
            }
            let (from, to) = (plot.x.place(before), plot.x.place(before + value));
            before += value;
            let tip = match parts.get(part) {
                Some(part_name) if parts.len() > 1 => format!("{name}, {part_name}: {}", chart.unit.show(value)),
                _ => format!("{name}: {}", chart.unit.show(value)),
            };
            let width = (to - from).max(0.4);
            write!(svg, r#"<rect class="bar" x="{}" y="{}" width="{}" height="19" "#, At(from), At(y), At(width));
            write!(svg, r#"fill="url(#{}-p{part})"><title>{}</title></rect>"#, chart.about.id, Escaped(&tip));
        }
        let mut end = plot.x.place(before);
        if let Some(&(low, high)) = intervals.get(row) {
            let [from, to] = [low, high].map(|edge| plot.x.place(length(edge)));
            svg.line("whisker", (from, y + 9.5), (to, y + 9.5));
            [from, to].iter().for_each(|&edge| svg.line("whisker", (edge, y + 5.5), (edge, y + 13.5)));
            end = end.max(to);
        }
        svg.text("soft", (end + 6.0, y + 14.0), Anchor::Start, &chart.unit.show(before));
    }
    plot.end()
}
