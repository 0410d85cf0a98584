//! Charts as SVG: for a page, each with its data beneath it as a table, or as a file by itself. Pure, without script or network,
//! readable on light and dark, and told apart without colour.
//!
//! A chart is a plain value; `draw` makes a [`Figure`] of it.
//!
//! ```
//! use tandem::report::Page;
//! use tandem::report::chart::{About, Axis, Band, LineChart, Point, Series, Unit};
//!
//! let cpu = Series { name: "cpu".to_owned(), points: vec![Point::at(1e3, 0.1), Point::at(1e6, 90.0)] };
//! let gpu = Series { name: "gpu:0".to_owned(), points: vec![Point::at(1e3, 2.0), Point::at(1e6, 4.0)] };
//! let chart = LineChart {
//!     about: About::new("time", "Time against size", "Lower is faster."),
//!     x: Axis::log("size", Unit::Count),
//!     y: Axis::log("time", Unit::Ms),
//!     series: vec![cpu, gpu],
//!     bands: vec![Band { from: 2e4, to: 5e4, label: "gpu wins from here".to_owned() }],
//! };
//! let figure = chart.draw();
//! assert!(figure.svg_file().starts_with("<?xml"));
//! let mut page = Page::new("A benchmark", "What was measured.");
//! page.section("Time");
//! page.figure(&figure);
//! assert!(page.finish().starts_with("<!DOCTYPE html>"));
//! ```

mod bars;
mod colours;
mod figure;
mod gantt;
mod lines;
mod plot;
mod roofline;
mod scatter;
mod steps;
mod svg;
#[cfg(test)]
mod tests;
mod ticks;

pub use bars::{BarChart, StackedBars};
pub use colours::style_sheet;
pub use figure::{About, DataTable, Figure};
pub use gantt::{Gantt, GanttSpan};
pub use lines::{Band, LineChart, Point, Series};
pub use plot::Axis;
pub use roofline::{Achieved, Ceiling, Roofline};
pub use scatter::Scatter;
pub use steps::{Level, StepChart};
pub use svg::Escaped;
pub use ticks::Unit;
