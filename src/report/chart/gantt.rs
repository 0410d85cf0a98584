//! Who worked on what from when to when. Of more spans than can be told apart, each column of a row shows how much of its time
//! was work, and which.

use std::fmt::Write;

use super::colours::{HUES, hue};
use super::figure::{About, DataTable, Figure};
use super::plot::{Axis, Key, Plot, WIDTH, legend, nothing, patterns};
use super::svg::{Anchor, At, Escaped, Svg, wide};
use super::ticks::Unit;

/// Work without a break. Those of one track do not overlap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GanttSpan {
    /// The place of its track.
    pub track: usize,
    /// When it began, in milliseconds.
    pub begin_ms: f64,
    /// When it ended, in milliseconds.
    pub end_ms: f64,
    /// The place of what it was in [`Gantt::categories`].
    pub category: usize,
}

/// Tracks with spans.
pub struct Gantt<'a> {
    /// What it says of itself.
    pub about: About,
    /// The names of those who worked.
    pub tracks: Vec<String>,
    /// The names of what they did.
    pub categories: Vec<String>,
    /// What they did, in any order; asked for several times.
    pub spans: &'a dyn Fn() -> Box<dyn Iterator<Item = GanttSpan> + 'a>,
    /// What is shown of a span, by its place, where a pointer rests.
    pub tip: &'a dyn Fn(usize) -> String,
    /// When all of it ended, in milliseconds.
    pub end_ms: f64,
}

/// Of more spans than this, columns are drawn.
const SINGLE_MAX: usize = 2000;

/// Columns of all rows together.
const CELLS_MAX: usize = 24_000;

/// Rows: more tracks than this share some.
const ROWS_MAX: usize = 96;

/// Steps in which the share of work in a column is told apart.
const LEVELS: f64 = 7.0;

/// One row of the picture: a track, or some that share it.
struct Row {
    name: String,
    tracks: std::ops::Range<usize>,
}

/// What a track did in all.
#[derive(Clone, Copy, Default)]
struct Sum {
    spans: u64,
    busy_ms: f64,
}

impl Gantt<'_> {
    /// The picture, however many spans there are.
    pub fn draw(&self) -> Figure {
        let mut svg = Svg::default();
        let mut sums = vec![Sum::default(); self.tracks.len()];
        let mut count = 0;
        for span in (self.spans)().filter(|span| span.track < self.tracks.len()) {
            let sum = &mut sums[span.track];
            sum.spans += 1;
            sum.busy_ms += (span.end_ms - span.begin_ms).max(0.0);
            count += 1;
        }
        let table = self.table(&sums);
        if count == 0 || self.end_ms <= 0.0 {
            let height = nothing(&mut svg, "nothing was recorded");
            return self.about.figure([WIDTH, height], svg, table);
        }
        let id = &self.about.id;
        patterns(&mut svg, id, self.categories.len().min(HUES));
        let entries = self.categories.iter().take(HUES).enumerate().map(|(at, name)| (name.as_str(), Key::Area, at));
        let top = legend(&mut svg, id, entries, 0.0) + 4.0;
        let rows = self.rows();
        let step = if rows.len() > 40 { 12.0 } else { 20.0 };
        let names = rows.iter().map(|row| wide(&row.name)).fold(0.0, f64::max);
        let left = (names + 24.0).min(WIDTH * 0.3);
        let height = rows.len() as f64 * step + 4.0;
        let plot = Plot::rows(&mut svg, &Axis::even("time", Unit::Ms), self.end_ms, left, top, height);
        for (at, row) in rows.iter().enumerate() {
            let y = top + 2.0 + at as f64 * step;
            svg.rect("row", [left, y + 1.0, plot.right - left, step - 2.0], "");
            if step > 14.0 || at % 2 == 0 {
                svg.text_within("label", (left - 8.0, y + step / 2.0 + 4.0), Anchor::End, &row.name, left - 16.0);
            }
        }
        let place = Place { top: top + 2.0, step };
        if count <= SINGLE_MAX && rows.len() == self.tracks.len() {
            self.single(&mut svg, &plot, place);
        } else {
            self.columns(&mut svg, &plot, place, &rows, &sums);
        }
        self.about.figure([WIDTH, plot.end()], svg, table)
    }

    /// Each track is a row, or so many after each other share one.
    fn rows(&self) -> Vec<Row> {
        let share = self.tracks.len().div_ceil(ROWS_MAX).max(1);
        let begins = (0..self.tracks.len()).step_by(share);
        begins
            .map(|begin| {
                let tracks = begin..(begin + share).min(self.tracks.len());
                let (first, last) = (&self.tracks[begin], &self.tracks[tracks.end - 1]);
                let name = if tracks.len() == 1 { first.clone() } else { format!("{first} to {last}") };
                Row { name, tracks }
            })
            .collect()
    }

    fn category(&self, span: &GanttSpan) -> usize {
        // The last colour is of all that have none of their own.
        span.category.min(HUES - 1)
    }

    fn single(&self, svg: &mut Svg, plot: &Plot, place: Place) {
        let id = &self.about.id;
        for (at, span) in (self.spans)().enumerate().filter(|(_, span)| span.track < self.tracks.len()) {
            let (from, to) = (plot.x.place(span.begin_ms), plot.x.place(span.end_ms));
            let y = place.top + span.track as f64 * place.step + 2.0;
            let (width, height) = ((to - from).max(0.5), place.step - 4.0);
            write!(svg, r#"<rect class="span" x="{}" y="{}" width="{}" "#, At(from), At(y), At(width));
            write!(svg, r#"height="{}" fill="url(#{id}-p{})">"#, At(height), self.category(&span));
            write!(svg, "<title>{}</title></rect>", Escaped(&(self.tip)(at)));
        }
    }

    /// How much of each column of each row was work of which kind; shown by the strength of the colour.
    fn columns(&self, svg: &mut Svg, plot: &Plot, place: Place, rows: &[Row], sums: &[Sum]) {
        let columns = (CELLS_MAX / rows.len()).clamp(100, ((plot.right - plot.left) * 2.0) as usize);
        let busy = self.busy(rows, columns);
        let width = (plot.right - plot.left) / columns as f64;
        for (at, row) in rows.iter().enumerate() {
            let y = place.top + at as f64 * place.step + 2.0;
            let sum = sums[row.tracks.clone()].iter().fold(Sum::default(), |sum, track| Sum {
                spans: sum.spans + track.spans,
                busy_ms: sum.busy_ms + track.busy_ms,
            });
            let share = sum.busy_ms / self.end_ms / row.tracks.len() as f64;
            let tip = format!("{}: {} spans, busy {}", row.name, sum.spans, Unit::Share.show(share));
            write!(svg, r#"<g class="lane"><title>{}</title>"#, Escaped(&tip));
            for (class, data) in runs(
                &busy[at],
                columns,
                row.tracks.len() as f64,
                |column| (plot.left + column as f64 * width, y),
                place.step - 4.0,
                width,
            ) {
                svg.path(&class, &data, "");
            }
            svg.0.push_str("</g>");
        }
    }

    /// For each row the share of each column that was work, by category.
    fn busy(&self, rows: &[Row], columns: usize) -> Vec<Vec<[f32; HUES]>> {
        let share = rows.first().map_or(1, |row| row.tracks.len());
        let mut busy = vec![vec![[0.0; HUES]; columns]; rows.len()];
        let per_ms = columns as f64 / self.end_ms;
        for span in (self.spans)().filter(|span| span.track < self.tracks.len()) {
            let row = &mut busy[span.track / share];
            let category = self.category(&span);
            let from = (span.begin_ms * per_ms).clamp(0.0, columns as f64);
            let to = (span.end_ms * per_ms).clamp(from, columns as f64);
            let last = (to.ceil() as usize).min(columns);
            for (column, cell) in row.iter_mut().enumerate().take(last).skip(from as usize) {
                let part = to.min(column as f64 + 1.0) - from.max(column as f64);
                cell[category] += part.max(0.0) as f32;
            }
        }
        busy
    }

    fn table(&self, sums: &[Sum]) -> DataTable {
        let mut table = DataTable::new(["track", "spans", "busy", "share of the time"]);
        for (name, sum) in self.tracks.iter().zip(sums) {
            let share = if self.end_ms > 0.0 { sum.busy_ms / self.end_ms } else { 0.0 };
            table.row([name.clone(), sum.spans.to_string(), Unit::Ms.show(sum.busy_ms), Unit::Share.show(share)]);
        }
        table
    }
}

#[derive(Clone, Copy)]
struct Place {
    top: f64,
    step: f64,
}

/// The columns of a row as paths, one for each look; columns beside each other that look alike are one rectangle.
fn runs(
    cells: &[[f32; HUES]],
    columns: usize,
    tracks: f64,
    place: impl Fn(usize) -> (f64, f64),
    height: f64,
    width: f64,
) -> Vec<(String, String)> {
    let look = |cell: &[f32; HUES]| {
        let sum: f32 = cell.iter().sum();
        let most = (0..HUES).max_by(|a, b| cell[*a].total_cmp(&cell[*b])).unwrap_or(0);
        let level = (f64::from(sum) / tracks * LEVELS).ceil().clamp(0.0, LEVELS) as usize;
        (level, most)
    };
    let mut paths: std::collections::BTreeMap<(usize, usize), String> = std::collections::BTreeMap::new();
    let mut column = 0;
    while column < columns {
        let found = look(&cells[column]);
        let end = (column..columns).find(|next| look(&cells[*next]) != found).unwrap_or(columns);
        if found.0 > 0 {
            let (x, y) = place(column);
            let (x, y, wide) = (At(x), At(y), At((end - column) as f64 * width));
            let _ = write!(paths.entry(found).or_default(), "M{x} {y}h{wide}v{}h-{wide}z", At(height));
        }
        column = end;
    }
    let class = |(level, category): (usize, usize)| format!("dense {} o{level}", hue(category));
    paths.into_iter().map(|(look, data)| (class(look), data)).collect()
}
