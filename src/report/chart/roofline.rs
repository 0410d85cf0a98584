//! The roofline of Williams, Waterman and Patterson (<https://doi.org/10.1145/1498765.1498785>): how fast work runs against how
//! much it computes on each byte, under what the device can at most.

use super::colours::{marker, stroke};
use super::figure::{About, DataTable, Figure};
use super::plot::{Axis, Key, Plot, WIDTH, legend, nothing};
use super::svg::{Anchor, Svg, wide};
use super::ticks::Unit;

/// So far apart are the points of two devices drawn that lie on each other.
const APART: f64 = 8.0;
/// From one line of names to the next.
const LINE: f64 = 13.0;

/// What a device can at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceiling {
    /// The device.
    pub name: String,
    /// How fast it moves bytes.
    pub bytes_per_s: f64,
    /// How fast it computes.
    pub ops_per_s: f64,
}

impl Ceiling {
    /// How fast work of this intensity can run.
    pub fn at(&self, ops_per_byte: f64) -> f64 {
        (self.bytes_per_s * ops_per_byte).min(self.ops_per_s)
    }
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Achieved {
    /// What ran, the same for all devices.
    pub name: String,
    /// The place of its device in [`Roofline::ceilings`].
    pub ceiling: usize,
    /// How much it computes on each byte.
    pub ops_per_byte: f64,
    /// How fast that ran.
    pub ops_per_s: f64,
}

/// What was achieved under what could be.
#[derive(Clone, Debug, PartialEq)]
pub struct Roofline {
    /// What it says of itself.
    pub about: About,
    /// What an operation is: `integer operations`.
    pub operations: String,
    /// The devices.
    pub ceilings: Vec<Ceiling>,
    /// What ran.
    pub points: Vec<Achieved>,
}

impl Roofline {
    /// The picture.
    pub fn draw(&self) -> Figure {
        let mut svg = Svg::default();
        let x = Axis::log(format!("{} per byte", self.operations), Unit::Number);
        let y = Axis::log(format!("{} per second", self.operations), Unit::PerSecond);
        let entries = self.ceilings.iter().enumerate().map(|(at, ceiling)| (ceiling.name.as_str(), Key::Line, at));
        let top = legend(&mut svg, &self.about.id, entries, 0.0);
        let points = || self.points.iter().filter(|point| x.holds(point.ops_per_byte) && y.holds(point.ops_per_s));
        // The ridge of each device, and some of both its slopes.
        let ridges = self.ceilings.iter().map(|ceiling| ceiling.ops_per_s / ceiling.bytes_per_s);
        let xs: Vec<f64> = points()
            .map(|point| point.ops_per_byte)
            .flat_map(|value| [value / 1.5, value * 1.5])
            .chain(ridges.flat_map(|ridge| [ridge / 4.0, ridge * 4.0]))
            .filter(|value| x.holds(*value))
            .collect();
        let (least, most) = xs.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(*v), high.max(*v)));
        let ys = points()
            .map(|point| point.ops_per_s)
            .chain(self.ceilings.iter().flat_map(|ceiling| [ceiling.at(least), ceiling.at(most)]));
        let plot = Plot::draw(&mut svg, [&x, &y], xs.iter().copied(), ys, top, 320.0);
        let height = match plot {
            Some(plot) => {
                for (at, ceiling) in self.ceilings.iter().enumerate() {
                    let (low, high) = plot.x.range();
                    let ridge = (ceiling.ops_per_s / ceiling.bytes_per_s).clamp(low, high);
                    let corners = [low, ridge, high].map(|x| (plot.x.place(x), plot.y.place(ceiling.at(x))));
                    svg.polyline(&stroke(at), corners);
                }
                let middle = (self.ceilings.len() as f64 - 1.0) / 2.0;
                let placed: Vec<(&Achieved, (f64, f64))> = points()
                    .map(|point| {
                        let beside = (point.ceiling as f64 - middle) * APART;
                        (point, (plot.x.place(point.ops_per_byte) + beside, plot.y.place(point.ops_per_s)))
                    })
                    .collect();
                names(&mut svg, &plot, &placed);
                for &(point, place) in &placed {
                    marker(&mut svg, point.ceiling, place, "mark", &self.tip(point));
                }
                plot.end()
            }
            None => {
                svg = Svg::default();
                nothing(&mut svg, "nothing was measured")
            }
        };
        self.about.figure([WIDTH, height], svg, self.table())
    }

    /// How much of what its device can at most a point achieves, 0 to 1.
    fn share(&self, point: &Achieved) -> f64 {
        self.ceilings.get(point.ceiling).map_or(f64::NAN, |ceiling| point.ops_per_s / ceiling.at(point.ops_per_byte))
    }

    fn tip(&self, point: &Achieved) -> String {
        let device = self.ceilings.get(point.ceiling).map_or("", |ceiling| &ceiling.name);
        let (rate, share) = (Unit::PerSecond.show(point.ops_per_s), Unit::Share.show(self.share(point)));
        format!("{}, {device}: {rate}, {share} of the ceiling", point.name)
    }

    fn table(&self) -> DataTable {
        let mut table = DataTable::new(["what", "device", "per byte", "achieved", "ceiling", "share"]);
        for point in &self.points {
            let ceiling = self.ceilings.get(point.ceiling);
            table.row([
                point.name.clone(),
                ceiling.map_or_else(String::new, |ceiling| ceiling.name.clone()),
                Unit::Number.show(point.ops_per_byte),
                Unit::PerSecond.show(point.ops_per_s),
                Unit::PerSecond.show(ceiling.map_or(f64::NAN, |ceiling| ceiling.at(point.ops_per_byte))),
                Unit::Share.show(self.share(point)),
            ]);
        }
        let ceiling = |ceiling: &Ceiling| {
            let (bytes, ops) =
                (Unit::BytesPerSecond.show(ceiling.bytes_per_s), Unit::PerSecond.show(ceiling.ops_per_s));
            format!("{}: {bytes}, {ops}.", ceiling.name)
        };
        table.note = self.ceilings.iter().map(ceiling).collect::<Vec<_>>().join(" ");
        table
    }
}

/// Writes what ran beside the fastest of its points, where there is room; moved up or down, with a line to the point, where another name
/// or point is in the way. A name without room is in the table all the same.
fn names(svg: &mut Svg, plot: &Plot, points: &[(&Achieved, (f64, f64))]) {
    let mut fastest: Vec<(&str, (f64, f64))> = Vec::new();
    for &(point, place) in points {
        match fastest.iter_mut().find(|(name, _)| *name == point.name) {
            Some((_, best)) if best.1 <= place.1 => {}
            Some((_, best)) => *best = place,
            None => fastest.push((&point.name, place)),
        }
    }
    fastest.sort_by(|a, b| a.1.1.total_cmp(&b.1.1));
    // Points are obstacles, too.
    let mut taken: Vec<[f64; 4]> = points.iter().map(|(_, (x, y))| [x - 5.0, x + 5.0, y - 5.0, y + 5.0]).collect();
    for (name, (x, y)) in fastest {
        let (gap, room) = (APART + 8.0, wide(name));
        let is_right = x + gap + room <= plot.right;
        let (low, high) = if is_right { (x + gap, x + gap + room) } else { (x - gap - room, x - gap) };
        let is_free = |&middle: &f64| {
            let (top, bottom) = (middle - LINE / 2.0, middle + LINE / 2.0);
            let meets = |[a, b, c, d]: &[f64; 4]| *a < high && *b > low && *c < bottom && *d > top;
            low >= plot.left && top >= plot.top && bottom <= plot.bottom && !taken.iter().any(meets)
        };
        let steps =
            (0..24).map(|step: i32| y + f64::from(if step % 2 == 0 { step / 2 } else { -(step + 1) / 2 }) * LINE / 2.0);
        let Some(middle) = steps.into_iter().find(is_free) else { continue };
        taken.push([low, high, middle - LINE / 2.0, middle + LINE / 2.0]);
        let (near, anchor) = if is_right { (low, Anchor::Start) } else { (high, Anchor::End) };
        if (middle - y).abs() > LINE / 2.0 {
            let beside = if is_right { -2.0 } else { 2.0 };
            svg.line("axis", (x, y), (near + beside, middle));
        }
        svg.text("soft", (near, middle + 4.0), anchor, name);
    }
}
