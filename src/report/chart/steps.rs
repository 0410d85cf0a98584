//! What holds until it changes, over time: memory, the length of a queue.

use super::colours::{HUES, stroke};
use super::figure::{About, DataTable, Figure};
use super::plot::{Axis, Key, Plot, WIDTH, area_class, legend, nothing};
use super::svg::{At, Svg};
use super::ticks::Unit;

/// A level over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Level {
    /// Its name in the legend.
    pub name: String,
    /// From when on, in milliseconds, it is what; by time.
    pub changes: Vec<(f64, f64)>,
}

/// Levels over time, and what they are to stay below.
#[derive(Clone, Debug, PartialEq)]
pub struct StepChart {
    /// What it says of itself.
    pub about: About,
    /// What the level is.
    pub label: String,
    /// In what.
    pub unit: Unit,
    /// The levels.
    pub levels: Vec<Level>,
    /// What the levels are to stay below, and its name; drawn where it lies within twice the greatest of them, so that it does not
    /// flatten them.
    pub limit: Option<(String, f64)>,
    /// When it ends, in milliseconds.
    pub end_ms: f64,
}

/// Columns in which changes are told apart; of those in one, the first, the least, the greatest and the last are drawn.
const COLUMNS: f64 = 1300.0;

impl StepChart {
    /// The picture, however many changes there are.
    pub fn draw(&self) -> Figure {
        let mut svg = Svg::default();
        let (x, y) = (Axis::even("time", Unit::Ms), Axis::even(self.label.clone(), self.unit));
        let most = self.levels.iter().flat_map(|level| &level.changes).map(|(_, value)| *value).fold(0.0, f64::max);
        let limit = self.limit.as_ref().filter(|(_, level)| y.holds(*level) && *level <= 2.0 * most);
        let entries = self.levels.iter().enumerate().map(|(at, level)| (level.name.as_str(), Key::Line, at % HUES));
        // One level alone is named by the axis.
        let entries = entries.filter(|_| self.levels.len() > 1 || limit.is_some());
        let entries = entries.chain(limit.map(|(name, _)| (name.as_str(), Key::Limit, 0)));
        let top = legend(&mut svg, &self.about.id, entries, 0.0);
        let thin: Vec<Vec<(f64, f64)>> = self.levels.iter().map(|level| thinned(&level.changes, self.end_ms)).collect();
        let ys = thin.iter().flatten().map(|(_, value)| *value).chain(limit.map(|(_, level)| *level));
        let any = thin.iter().any(|changes| !changes.is_empty());
        let xs = [0.0, self.end_ms].into_iter().filter(|_| any);
        let height = match Plot::draw(&mut svg, [&x, &y], xs, ys, top, 180.0) {
            Some(plot) => {
                thin.iter().enumerate().for_each(|(at, changes)| area(&mut svg, &plot, at, changes, self.end_ms));
                if let Some((_, level)) = limit {
                    plot.limit(&mut svg, *level);
                }
                plot.end()
            }
            None => {
                svg = Svg::default();
                nothing(&mut svg, "nothing was recorded")
            }
        };
        self.about.figure([WIDTH, height], svg, self.table())
    }

    /// By twentieths of the time: a change at a time is of no use to who listens to it.
    fn table(&self) -> DataTable {
        const PARTS: usize = 20;
        let columns =
            self.levels.iter().flat_map(|level| [format!("{}, mean", level.name), format!("{}, most", level.name)]);
        let mut table = DataTable::new(std::iter::once("until".to_owned()).chain(columns));
        let parts = if self.end_ms > 0.0 { PARTS } else { 0 };
        let mut cursors: Vec<(usize, f64)> = vec![(0, 0.0); self.levels.len()];
        for part in 0..parts {
            let from = self.end_ms * part as f64 / PARTS as f64;
            let to = self.end_ms * (part + 1) as f64 / PARTS as f64;
            let cells = self.levels.iter().zip(&mut cursors).flat_map(|(level, cursor)| {
                let (mean, most) = within(&level.changes, cursor, from, to);
                [self.unit.show(mean), self.unit.show(most)]
            });
            let cells: Vec<_> = std::iter::once(Unit::Ms.show(to)).chain(cells).collect();
            table.row(cells);
        }
        if let Some((name, level)) = &self.limit {
            table.note = format!("{name}: {}.", self.unit.show(*level));
        }
        table
    }
}

/// The mean and the greatest of a level from one time to another; the cursor is at what comes next, and what holds.
fn within(changes: &[(f64, f64)], (next, level): &mut (usize, f64), from: f64, to: f64) -> (f64, f64) {
    let (mut area, mut at) = (0.0, from);
    // What changed at the very begin has not been what it was before.
    while let Some((_, value)) = changes.get(*next).filter(|(when, _)| *when <= from) {
        (*level, *next) = (*value, *next + 1);
    }
    let mut most = *level;
    while let Some((when, value)) = changes.get(*next).filter(|(when, _)| *when < to) {
        area += *level * (when - at);
        (at, *level, *next) = (*when, *value, *next + 1);
        most = most.max(*value);
    }
    area += *level * (to - at);
    (area / (to - from), most)
}

/// As few changes as draw the same picture: of those within a column the first, the least, the greatest and the last.
fn thinned(changes: &[(f64, f64)], end: f64) -> Vec<(f64, f64)> {
    if changes.len() as f64 <= COLUMNS || end <= 0.0 {
        return changes.to_vec();
    }
    let column = |(when, _): &(f64, f64)| (when / end * COLUMNS) as u64;
    let mut thin = Vec::new();
    for group in changes.chunk_by(|a, b| column(a) == column(b)) {
        let by_level = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let extremes = [group.first(), group.iter().min_by(by_level), group.iter().max_by(by_level), group.last()];
        let mut kept: Vec<(f64, f64)> = extremes.into_iter().flatten().copied().collect();
        kept.sort_by(|a, b| a.0.total_cmp(&b.0));
        kept.dedup();
        thin.extend(kept);
    }
    thin
}

fn area(svg: &mut Svg, plot: &Plot, series: usize, changes: &[(f64, f64)], end_ms: f64) {
    let mut corners = Vec::with_capacity(changes.len() * 2 + 2);
    let mut level = 0.0;
    for (when, value) in changes {
        let x = plot.x.place(*when);
        corners.push((x, plot.y.place(level)));
        corners.push((x, plot.y.place(*value)));
        level = *value;
    }
    corners.push((plot.x.place(end_ms), plot.y.place(level)));
    let base = plot.y.place(0.0);
    let (first, last) = (corners[0].0, corners[corners.len() - 1].0);
    write!(svg, r#"<polygon class="{}" points="{},{}"#, area_class(series), At(first), At(base));
    corners.iter().for_each(|(x, y)| write!(svg, " {},{}", At(*x), At(*y)));
    write!(svg, " {},{}\"/>", At(last), At(base));
    svg.polyline(&stroke(series).replace("line ", "thin "), corners);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_weighs_levels_by_how_long_they_held() {
        let changes = [(0.0, 4.0), (5.0, 10.0), (6.0, 0.0), (10.0, 2.0)];
        let mut cursor = (0, 0.0);
        assert_eq!(within(&changes, &mut cursor, 0.0, 10.0), ((4.0 * 5.0 + 10.0) / 10.0, 10.0));
        assert_eq!(within(&changes, &mut cursor, 10.0, 20.0), (2.0, 2.0));
    }

    #[test]
    fn thinning_keeps_the_extremes() {
        let changes: Vec<(f64, f64)> = (0..200_000).map(|at| (f64::from(at), f64::from(at * 7919 % 1000))).collect();
        let thin = thinned(&changes, 200_000.0);
        assert!(thin.len() <= 4 * 1301, "{}", thin.len());
        let most = |list: &[(f64, f64)]| list.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        assert_eq!(most(&thin), most(&changes));
        assert_eq!(thin.last(), changes.last());
        assert!(thin.is_sorted_by(|a, b| a.0 <= b.0));
    }
}
