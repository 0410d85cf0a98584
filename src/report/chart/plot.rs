//! The frame of a chart with two axes: what is where, the marks, the grid, the legend.

use super::colours::{hue, marker, pattern, stroke};
use super::svg::{Anchor, Svg, wide};
use super::ticks::{Unit, decades, even};

/// How wide every picture is, in its own units; a page scales it.
pub(super) const WIDTH: f64 = 760.0;

/// An axis as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it shows.
    pub label: String,
    /// What its figures mean.
    pub unit: Unit,
    /// Whether equal steps are equal factors. Only values above 0 have a place on it then.
    pub log: bool,
}

impl Axis {
    /// An axis of even steps.
    pub fn even(label: impl Into<String>, unit: Unit) -> Self {
        Self { label: label.into(), unit, log: false }
    }

    /// An axis of even factors.
    pub fn log(label: impl Into<String>, unit: Unit) -> Self {
        Self { label: label.into(), unit, log: true }
    }

    /// Whether a value has a place on it.
    pub(super) fn holds(&self, value: f64) -> bool {
        value.is_finite() && (!self.log || value > 0.0)
    }

    /// From where to where it goes, to hold these values.
    fn range(&self, values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
        let held = values.filter(|value| self.holds(*value));
        let (low, high) = held.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            return None;
        }
        Some(match self.log {
            // Some air, so that nothing lies on the edge, and a decade at least half.
            true if high / low < 3.0 => (low / 2.0, high * 2.0),
            true => (low / 1.25, high * 1.25),
            false if high <= 0.0 => (low.min(0.0), 1.0),
            false => (low.min(0.0), high * 1.05),
        })
    }
}

/// A value's place along an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    log: bool,
    from: f64,
    to: f64,
}

impl Scale {
    /// Where a value is drawn; what lies outside is drawn at the edge.
    pub fn place(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    pub fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }
}

/// The frame of a chart.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    pub x: Scale,
    pub y: Scale,
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// What a legend shows beside a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A line with a marker.
    Line,
    /// A marker.
    Mark,
    /// An area, hatched.
    Area,
    /// A line of a limit.
    Limit,
}

/// Draws a legend from `top` on; returns where it ends. `id` is the picture's, whose patterns are shown.
pub(super) fn legend<'a>(
    svg: &mut Svg,
    id: &str,
    entries: impl IntoIterator<Item = (&'a str, Key, usize)>,
    top: f64,
) -> f64 {
    let (mut x, mut y) = (12.0, top + 14.0);
    let mut any = false;
    for (name, key, series) in entries {
        any = true;
        let room = (wide(name) + 44.0).min(WIDTH - 24.0);
        if x > 12.0 && x + room > WIDTH - 8.0 {
            (x, y) = (12.0, y + 20.0);
        }
        let middle = y - 4.0;
        match key {
            Key::Line => {
                svg.line(&stroke(series), (x, middle), (x + 26.0, middle));
                marker(svg, series, (x + 13.0, middle), "mark", "");
            }
            Key::Mark => marker(svg, series, (x + 13.0, middle), "mark", ""),
            Key::Area => {
                write!(svg, r#"<rect x="{}" y="{}" width="26" height="12" fill="url(#{id}-p{series})"/>"#, x, y - 10.0);
            }
            Key::Limit => svg.line("limit", (x, middle), (x + 26.0, middle)),
        }
        svg.text_within("label", (x + 32.0, y), Anchor::Start, name, WIDTH - 60.0);
        x += room + 8.0;
    }
    if any { y + 10.0 } else { top }
}

/// Defines the patterns of so many series.
pub(super) fn patterns(svg: &mut Svg, id: &str, series: usize) {
    svg.0.push_str("<defs>");
    (0..series).for_each(|series| pattern(svg, id, series));
    svg.0.push_str("</defs>");
}

/// What stands where there is nothing to draw; how high that is.
pub(super) fn nothing(svg: &mut Svg, why: &str) -> f64 {
    svg.rect("row", [12.0, 8.0, WIDTH - 24.0, 64.0], "");
    svg.text("soft", (WIDTH / 2.0, 44.0), Anchor::Middle, why);
    80.0
}

impl Plot {
    /// Draws the frame for these values, from `top` on, `height` high inside; `None` where no value has a place.
    pub fn draw(
        svg: &mut Svg,
        [x_axis, y_axis]: [&Axis; 2],
        xs: impl Iterator<Item = f64>,
        ys: impl Iterator<Item = f64>,
        top: f64,
        height: f64,
    ) -> Option<Self> {
        let (xs, ys) = (x_axis.range(xs)?, y_axis.range(ys)?);
        // A time line ends where the run does.
        let xs = if x_axis.log { xs } else { (xs.0, xs.1 / 1.05) };
        let marks = |axis: &Axis, (low, high): (f64, f64), most| {
            if axis.log { decades(axis.unit, low, high, most) } else { even(axis.unit, low, high, most) }
        };
        let y_marks = marks(y_axis, ys, 7);
        let widest = y_marks.iter().map(|&mark| wide(&y_axis.unit.mark(mark))).fold(0.0, f64::max);
        let (left, right) = (widest + 40.0, WIDTH - 24.0);
        let (top, bottom) = (top + 10.0, top + 10.0 + height);
        let scale = |(low, high), log, from, to| Scale { low, high, log, from, to };
        let plot = Self {
            x: scale(xs, x_axis.log, left, right),
            y: scale(ys, y_axis.log, bottom, top),
            left,
            right,
            top,
            bottom,
        };
        for mark in y_marks {
            let y = plot.y.place(mark);
            svg.line("grid", (left, y), (right, y));
            svg.text("soft", (left - 7.0, y + 4.0), Anchor::End, &y_axis.unit.mark(mark));
        }
        plot.x_marks(svg, x_axis, true);
        let middle = (top + bottom) / 2.0;
        write!(svg, r#"<g transform="translate(15 {middle:.0}) rotate(-90)">"#);
        svg.text_within("label", (0.0, 0.0), Anchor::Middle, &y_axis.label, height + 30.0);
        svg.0.push_str("</g>");
        Some(plot)
    }

    /// A frame for rows along a time axis from 0 to `high`.
    pub fn rows(svg: &mut Svg, axis: &Axis, high: f64, left: f64, top: f64, height: f64) -> Self {
        let high = if high > 0.0 && high.is_finite() { high } else { 1.0 };
        let right = WIDTH - 24.0;
        let x = Scale { low: 0.0, high, log: false, from: left, to: right };
        let y = Scale { low: 0.0, high: 1.0, log: false, from: top + height, to: top };
        let plot = Self { x, y, left, right, top, bottom: top + height };
        plot.x_marks(svg, axis, true);
        plot
    }

    fn x_marks(&self, svg: &mut Svg, axis: &Axis, grid: bool) {
        let (low, high) = self.x.range();
        let marks = if axis.log { decades(axis.unit, low, high, 9) } else { even(axis.unit, low, high, 8) };
        let mut free_from = f64::NEG_INFINITY;
        for mark in marks {
            let x = self.x.place(mark);
            if grid {
                svg.line("grid", (x, self.top), (x, self.bottom));
            }
            let text = axis.unit.mark(mark);
            let half = wide(&text) / 2.0;
            // Labels that would touch their neighbour are left out; their grid line stays.
            if x - half < free_from {
                continue;
            }
            free_from = x + half + 6.0;
            // The last one stays inside the picture.
            let at = x.min(WIDTH - 4.0 - half);
            svg.text("soft", (at, self.bottom + 17.0), Anchor::Middle, &text);
        }
        svg.line("axis", (self.left, self.bottom), (self.right, self.bottom));
        let middle = (self.left + self.right) / 2.0;
        svg.text_within("label", (middle, self.bottom + 36.0), Anchor::Middle, &axis.label, self.right - self.left);
    }

    /// How high a picture is that ends with this frame.
    pub fn end(&self) -> f64 {
        self.bottom + 46.0
    }

    /// A shaded part of the axis along the bottom, with its name at the top.
    pub fn band(&self, svg: &mut Svg, [from, to]: [f64; 2], label: &str, above: f64) {
        let (low, high) = self.x.range();
        if !(from.is_finite() && to.is_finite()) || to < low || from > high {
            return;
        }
        let (x1, x2) = (self.x.place(from), self.x.place(to));
        let width = (x2 - x1).max(1.0);
        svg.rect("band", [x1, self.top, width, self.bottom - self.top], label);
        svg.line("edge", (x1, self.top), (x1, self.bottom));
        svg.line("edge", (x1 + width, self.top), (x1 + width, self.bottom));
        // Above it in the middle, but inside the frame.
        let room = self.right - self.left;
        let half = (wide(label) / 2.0).min(room / 2.0);
        let middle = (x1 + width / 2.0).clamp(self.left + half, self.right - half);
        svg.text_within("label", (middle, self.top - 4.0 - above), Anchor::Middle, label, room);
    }

    /// A level of the axis along the left.
    pub fn limit(&self, svg: &mut Svg, value: f64) {
        let y = self.y.place(value);
        svg.line("limit", (self.left, y), (self.right, y));
    }
}

/// The class of dense points and areas of a series.
pub(super) fn area_class(series: usize) -> String {
    format!("area {}", hue(series))
}
