//! Lines through points, on axes of even steps or even factors, with whiskers and shaded bands.

use super::colours::{hue, marker, stroke};
use super::figure::{About, DataTable, Figure};
use super::plot::{Axis, Key, Plot, WIDTH, legend, nothing};
use super::svg::Svg;

/// A point, with what it may as well be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Along the bottom.
    pub x: f64,
    /// Along the left.
    pub y: f64,
    /// The interval of `y`, from low to high, where it is known.
    pub interval: Option<(f64, f64)>,
}

impl Point {
    /// A point without an interval.
    pub const fn at(x: f64, y: f64) -> Self {
        Self { x, y, interval: None }
    }
}

/// Points of one thing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// By `x`.
    pub points: Vec<Point>,
}

/// A shaded part of the axis along the bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// From where.
    pub from: f64,
    /// To where; the same for a line.
    pub to: f64,
    /// What is there.
    pub label: String,
}

/// Lines through points.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    /// What it says of itself.
    pub about: About,
    /// Along the bottom.
    pub x: Axis,
    /// Along the left.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
    /// Shaded parts: where one choice begins to pay.
    pub bands: Vec<Band>,
}

/// How high a name of a band is.
const BAND_NAME: f64 = 15.0;

impl LineChart {
    /// The picture. Points that have no place on their axes (0 on a logarithmic one) are left out; the table has them.
    pub fn draw(&self) -> Figure {
        let mut svg = Svg::default();
        let entries = self.series.iter().enumerate().map(|(at, series)| (series.name.as_str(), Key::Line, at));
        let top = legend(&mut svg, &self.about.id, entries, 0.0);
        let drawn = || {
            let points = self.series.iter().flat_map(|series| &series.points);
            points.filter(|point| self.x.holds(point.x) && self.y.holds(point.y))
        };
        let ys = drawn().flat_map(|point| {
            let (low, high) = point.interval.unwrap_or((point.y, point.y));
            [point.y, low, high]
        });
        // The names of bands stand above the frame, one above the other.
        let top = top + BAND_NAME * self.bands.len() as f64;
        let plot = Plot::draw(&mut svg, [&self.x, &self.y], drawn().map(|point| point.x), ys, top, 320.0);
        let height = match plot {
            Some(plot) => {
                for (above, band) in self.bands.iter().enumerate() {
                    plot.band(&mut svg, [band.from, band.to], &band.label, above as f64 * BAND_NAME);
                }
                self.series.iter().enumerate().for_each(|(at, series)| self.line(&mut svg, &plot, at, series));
                plot.end()
            }
            None => {
                svg = Svg::default();
                nothing(&mut svg, "nothing was measured")
            }
        };
        self.about.figure([WIDTH, height], svg, self.table())
    }

    fn line(&self, svg: &mut Svg, plot: &Plot, at: usize, series: &Series) {
        let points = || series.points.iter().filter(|point| self.x.holds(point.x) && self.y.holds(point.y));
        let place = |point: &Point| (plot.x.place(point.x), plot.y.place(point.y));
        svg.polyline(&stroke(at), points().map(place));
        for point in points() {
            let (x, y) = place(point);
            let mut tip = format!("{}: {} at {}", series.name, self.y.unit.show(point.y), self.x.unit.show(point.x));
            if let Some((low, high)) = point.interval.filter(|(low, high)| self.y.holds(*low) && self.y.holds(*high)) {
                let (low_y, high_y) = (plot.y.place(low), plot.y.place(high));
                let class = format!("thin {}", hue(at));
                svg.line(&class, (x, low_y), (x, high_y));
                [low_y, high_y].iter().for_each(|&end| svg.line(&class, (x - 3.5, end), (x + 3.5, end)));
                tip += &format!(" ({} to {})", self.y.unit.show(low), self.y.unit.show(high));
            }
            marker(svg, at, (x, y), "mark", &tip);
        }
    }

    fn table(&self) -> DataTable {
        let mut table = DataTable::new([self.x.label.as_str(), "series", &self.y.label, "interval"]);
        for series in &self.series {
            for point in &series.points {
                let interval = |(low, high)| format!("{} to {}", self.y.unit.show(low), self.y.unit.show(high));
                let interval = point.interval.map_or_else(String::new, interval);
                table.row([self.x.unit.show(point.x), series.name.clone(), self.y.unit.show(point.y), interval]);
            }
        }
        let band = |band: &Band| {
            let (from, to) = (self.x.unit.show(band.from), self.x.unit.show(band.to));
            if from == to { format!("{}: at {from}.", band.label) } else { format!("{}: {from} to {to}.", band.label) }
        };
        table.note = self.bands.iter().map(band).collect::<Vec<_>>().join(" ");
        table
    }
}
