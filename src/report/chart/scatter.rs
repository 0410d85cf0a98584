//! Points on two axes of the same kind: what was predicted against what came.

use std::collections::BTreeMap;

use super::colours::{hue, marker};
use super::figure::{About, DataTable, Figure};
use super::lines::{Point, Series};
use super::plot::{Axis, Key, Plot, WIDTH, legend, nothing};
use super::svg::Svg;

/// Points against the diagonal on which both are the same. Both axes are logarithmic.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// What it says of itself.
    pub about: About,
    /// Along the bottom.
    pub x: Axis,
    /// Along the left.
    pub y: Axis,
    /// The points of each group; intervals are not drawn.
    pub groups: Vec<Series>,
    /// Within this factor of the diagonal is shaded; 0 for no shade.
    pub within: f64,
}

/// Of more points than this, those that lie together are drawn as one.
const SINGLE_MAX: usize = 1500;

/// How large a cell is in which points lie together.
const CELL: f64 = 5.0;

impl Scatter {
    /// The picture, however many points there are.
    pub fn draw(&self) -> Figure {
        let mut svg = Svg::default();
        let entries = self.groups.iter().enumerate().map(|(at, group)| (group.name.as_str(), Key::Mark, at));
        let top = legend(&mut svg, &self.about.id, entries, 0.0);
        let all = || self.groups.iter().flat_map(|group| group.points.iter().filter(|point| self.holds(point)));
        // Both axes alike, so that the diagonal is one.
        let values = || all().flat_map(|point| [point.x, point.y]);
        let height = match Plot::draw(&mut svg, [&self.x, &self.y], values(), values(), top, 420.0) {
            Some(plot) => {
                self.diagonal(&mut svg, &plot);
                let single = all().count() <= SINGLE_MAX;
                for (at, group) in self.groups.iter().enumerate() {
                    if single {
                        self.points(&mut svg, &plot, at, group)
                    } else {
                        self.cells(&mut svg, &plot, at, group)
                    }
                }
                plot.end()
            }
            None => {
                svg = Svg::default();
                nothing(&mut svg, "nothing was predicted")
            }
        };
        self.about.figure([WIDTH, height], svg, self.table())
    }

    fn holds(&self, point: &Point) -> bool {
        self.x.holds(point.x) && self.y.holds(point.y)
    }

    fn diagonal(&self, svg: &mut Svg, plot: &Plot) {
        let (low, high) = plot.x.range();
        let at = |x: f64, y: f64| format!("{:.1} {:.1}", plot.x.place(x), plot.y.place(y));
        let factor = self.within;
        if factor > 1.0 && low * factor < high {
            let corners = [
                at(low, low),
                at(low, low * factor),
                at(high / factor, high),
                at(high, high),
                at(high, high / factor),
                at(low * factor, low),
            ];
            svg.path("band", &format!("M{}z", corners.join("L")), "");
        }
        svg.path("edge", &format!("M{}L{}", at(low, low), at(high, high)), "");
    }

    fn points(&self, svg: &mut Svg, plot: &Plot, at: usize, group: &Series) {
        for point in group.points.iter().filter(|point| self.holds(point)) {
            let (x, y) = (self.x.unit.show(point.x), self.y.unit.show(point.y));
            let tip = format!("{}: {} {x}, {} {y}", group.name, self.x.label, self.y.label);
            marker(svg, at, (plot.x.place(point.x), plot.y.place(point.y)), "mark", &tip);
        }
    }

    /// Points that lie in one cell are a square, the larger the more they are.
    fn cells(&self, svg: &mut Svg, plot: &Plot, at: usize, group: &Series) {
        let mut cells: BTreeMap<(i32, i32), u64> = BTreeMap::new();
        for point in group.points.iter().filter(|point| self.holds(point)) {
            let cell = |place: f64| (place / CELL).floor() as i32;
            *cells.entry((cell(plot.x.place(point.x)), cell(plot.y.place(point.y)))).or_default() += 1;
        }
        let most = cells.values().max().copied().unwrap_or(1) as f64;
        let class = format!("cell {}", hue(at));
        for ((column, row), count) in cells {
            let share = (count as f64).ln_1p() / most.ln_1p();
            let size = 1.4 + (CELL - 1.4) * share;
            let middle = |cell: i32| (f64::from(cell) + 0.5) * CELL - size / 2.0;
            let tip = format!("{}: {count}", group.name);
            svg.rect(&class, [middle(column), middle(row), size, size], &tip);
        }
    }

    /// By group and decade of what was expected.
    fn table(&self) -> DataTable {
        let mut table =
            DataTable::new(["group", &format!("{} from", self.x.label), "points", "median ratio", "within band"]);
        for group in &self.groups {
            let mut decades: BTreeMap<i32, Vec<f64>> = BTreeMap::new();
            for point in group.points.iter().filter(|point| self.holds(point)) {
                decades.entry(point.x.log10().floor() as i32).or_default().push(point.y / point.x);
            }
            for (decade, mut ratios) in decades {
                ratios.sort_by(f64::total_cmp);
                let within = ratios.iter().filter(|ratio| (1.0 / self.within..=self.within).contains(*ratio)).count();
                let from = self.x.unit.show(10_f64.powi(decade));
                let ratio = super::Unit::Ratio.show(ratios[ratios.len() / 2]);
                table.row([group.name.clone(), from, ratios.len().to_string(), ratio, within.to_string()]);
            }
        }
        let left_out = self.groups.iter().flat_map(|group| &group.points).filter(|point| !self.holds(point)).count();
        if left_out > 0 {
            table.note = format!("{left_out} points without a place on the axes were left out.");
        }
        table
    }
}
