//! The answer of `stats`: typed for library users, JSON for programs, aligned text for people.

use std::io::{self, Write};
use std::sync::Arc;

use crate::exact::Decimal;
use crate::input::{DType, LeftOut};
use crate::kernels::Answer;
use crate::kernels::stats::Scalar;

/// The statistics of every column.
#[derive(Clone, Debug, PartialEq)]
pub struct StatsAnswer {
    /// One a column.
    pub columns: Vec<ColumnStats>,
    /// Whether the input was a table of columns: then the JSON is `{"columns":[…]}`, else it is that of the one column.
    pub table: bool,
    /// Columns of the table that are not of numbers: in the JSON `"left_out":[{"name","line","cell"}]` where there are any.
    pub left_out: Vec<LeftOut>,
}

/// The statistics of a column: over its values, which are the elements that are neither NaN nor missing.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnStats {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The type of its elements.
    pub dtype: DType,
    /// How many values there are, infinities included.
    pub count: u64,
    /// How many elements are NaN or missing.
    pub nan_count: u64,
    /// The least value; -0 lies below +0. `None` where there is none.
    pub min: Option<Scalar>,
    /// The greatest value.
    pub max: Option<Scalar>,
    /// The sum: whole for integers, else the nearest `f64` to the exact sum.
    pub sum: Scalar,
    /// The nearest `f64` to the exact mean; `None` where there is no value.
    pub mean: Option<f64>,
    /// The nearest `f64` to the exact variance; `None` where `ddof` is not below `count`.
    pub variance: Option<f64>,
    /// The nearest `f64` to the square root of the exact variance.
    pub std: Option<f64>,
    /// What variance and standard deviation subtract from the count.
    pub ddof: u32,
    /// Skewness and kurtosis, where they were asked for.
    pub higher: Option<HigherMoments>,
    /// The quantiles, in the order in which they were asked for.
    pub quantiles: Vec<QuantileValue>,
    /// The histogram, where one was asked for.
    pub histogram: Option<HistogramCounts>,
}

/// Skewness and kurtosis of the values, taken as a whole population: neither depends on `ddof`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HigherMoments {
    /// The nearest `f64` to the third central moment over the variance to the power of 3/2; NaN where the variance is 0 or a value
    /// is infinite, `None` where there is no value.
    pub skewness: Option<f64>,
    /// The nearest `f64` to the fourth central moment over the square of the variance, less 3; NaN and `None` likewise.
    pub kurtosis: Option<f64>,
}

/// A quantile and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantileValue {
    /// The quantile as it was written.
    pub q: Decimal,
    /// An element itself, or the interpolation between two, rounded once; `None` where there is no value.
    pub value: Option<Scalar>,
}

/// A histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramCounts {
    /// The edges, ascending, one more than there are bins. Bin `i` holds the values from edge `i` on and below edge
    /// `i + 1`; the last bin holds those on its upper edge too.
    pub edges: Arc<[f64]>,
    /// How many values lie in each bin.
    pub counts: Vec<u64>,
    /// How many lie below the first edge.
    pub below: u64,
    /// How many lie above the last edge.
    pub above: u64,
}

impl Answer for StatsAnswer {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        if let (false, [column]) = (self.table, self.columns.as_slice()) {
            out.write_all(b"{")?;
            column.write_json_fields(out)?;
            return out.write_all(b"}");
        }
        out.write_all(b"{\"columns\":[")?;
        for (i, column) in self.columns.iter().enumerate() {
            out.write_all(if i == 0 { b"{\"name\":" } else { b",{\"name\":" })?;
            serde_json::to_writer(&mut *out, &column.name)?;
            out.write_all(b",")?;
            column.write_json_fields(out)?;
            out.write_all(b"}")?;
        }
        out.write_all(b"]")?;
        if !self.left_out.is_empty() {
            let left_out: Vec<_> = self
                .left_out
                .iter()
                .map(|LeftOut { name, line, cell }| serde_json::json!({"name": name, "line": line, "cell": cell}))
                .collect();
            out.write_all(b",\"left_out\":")?;
            serde_json::to_writer(&mut *out, &left_out)?;
        }
        out.write_all(b"}")
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for (i, column) in self.columns.iter().enumerate() {
            if i > 0 {
                writeln!(out)?;
            }
            if self.table {
                writeln!(out, "{}", column.name.as_deref().unwrap_or("(no name)").escape_debug())?;
            }
            column.write_text(out)?;
        }
        for (i, LeftOut { name, line, cell }) in self.left_out.iter().enumerate() {
            let gap = if i == 0 { "\n" } else { "" };
            writeln!(
                out,
                "{gap}left out: {}, since line {line} has `{}`, no number",
                name.escape_debug(),
                cell.escape_debug()
            )?;
        }
        Ok(())
    }

    fn summary(&self) -> String {
        match self.columns.as_slice() {
            [column] => {
                let [mean, std] = [column.mean, column.std].map(|value| value.map_or("none".to_owned(), in_short));
                format!("count {}, mean {mean}, std {} {std}", column.count, column.divisor())
            }
            columns => {
                format!("{} columns, {} rows", columns.len(), columns.first().map_or(0, |c| c.count + c.nan_count))
            }
        }
    }
}

impl ColumnStats {
    /// By what variance and standard deviation divide: `(n-1)`.
    fn divisor(&self) -> String {
        if self.ddof == 0 { "(n)".to_owned() } else { format!("(n-{})", self.ddof) }
    }

    fn write_json_fields(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "\"count\":{},\"nan_count\":{}", self.count, self.nan_count)?;
        for (name, value) in [("min", self.min), ("max", self.max), ("sum", Some(self.sum))] {
            write!(out, ",\"{name}\":")?;
            match value {
                Some(Scalar::Integer(integer)) => write!(out, "\"{integer}\"")?,
                value => write_json_scalar(out, value)?,
            }
        }
        for (name, value) in [("mean", self.mean), ("variance", self.variance), ("std", self.std)] {
            write!(out, ",\"{name}\":")?;
            write_json_scalar(out, value.map(Scalar::F64))?;
        }
        write!(out, ",\"ddof\":{}", self.ddof)?;
        if let Some(higher) = self.higher {
            for (name, value) in [("skewness", higher.skewness), ("kurtosis", higher.kurtosis)] {
                write!(out, ",\"{name}\":")?;
                write_json_scalar(out, value.map(Scalar::F64))?;
            }
        }
        if !self.quantiles.is_empty() {
            out.write_all(b",\"quantiles\":[")?;
            for (i, quantile) in self.quantiles.iter().enumerate() {
                let comma = if i == 0 { "" } else { "," };
                write!(out, "{comma}{{\"q\":{},\"value\":", quantile.q.as_json())?;
                write_json_scalar(out, quantile.value)?;
                out.write_all(b"}")?;
            }
            out.write_all(b"]")?;
        }
        let Some(histogram) = &self.histogram else { return Ok(()) };
        out.write_all(b",\"histogram\":{\"edges\":[")?;
        for (i, edge) in histogram.edges.iter().enumerate() {
            out.write_all(if i == 0 { b"" } else { b"," })?;
            write_json_scalar(out, Some(Scalar::F64(*edge)))?;
        }
        out.write_all(b"],\"counts\":[")?;
        for (i, count) in histogram.counts.iter().enumerate() {
            write!(out, "{}{count}", if i == 0 { "" } else { "," })?;
        }
        write!(out, "],\"below\":{},\"above\":{}}}", histogram.below, histogram.above)
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = vec![
            ("count".to_owned(), self.count.to_string()),
            ("nan_count".to_owned(), self.nan_count.to_string()),
            ("min".to_owned(), text_of(self.min)),
            ("max".to_owned(), text_of(self.max)),
            ("sum".to_owned(), text_of(Some(self.sum))),
            ("mean".to_owned(), text_of(self.mean.map(Scalar::F64))),
            (format!("variance {}", self.divisor()), text_of(self.variance.map(Scalar::F64))),
            (format!("std {}", self.divisor()), text_of(self.std.map(Scalar::F64))),
        ];
        if let Some(higher) = self.higher {
            rows.push(("skewness".to_owned(), text_of(higher.skewness.map(Scalar::F64))));
            rows.push(("kurtosis".to_owned(), text_of(higher.kurtosis.map(Scalar::F64))));
        }
        for quantile in &self.quantiles {
            rows.push((format!("quantile {}", quantile.q), text_of(quantile.value)));
        }
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &rows {
            writeln!(out, "{name:<width$}  {value}")?;
        }
        self.histogram.as_ref().map_or(Ok(()), |histogram| histogram.write_text(out))
    }
}

impl HistogramCounts {
    /// One row a bin, with a bar as long as its count is to the largest.
    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        const BAR_WIDTH: u128 = 40;
        let edges: Vec<String> = self.edges.iter().map(|edge| text_of_f64(*edge)).collect();
        let edge_width = edges.iter().map(String::len).max().unwrap_or(0);
        let largest = self.counts.iter().copied().max().unwrap_or(0).max(1);
        let count_width =
            [largest, self.below, self.above].map(|count| count.to_string().len()).into_iter().max().unwrap_or(0);
        writeln!(out, "histogram")?;
        let outside = |out: &mut dyn Write, name: &str, count: u64| {
            let width = 2 * edge_width + 4;
            if count == 0 { Ok(()) } else { writeln!(out, "  {name:<width$}  {count:>count_width$}") }
        };
        outside(out, "below", self.below)?;
        for (i, count) in self.counts.iter().enumerate() {
            let close = if i + 1 == self.counts.len() { ']' } else { ')' };
            let bar = "#".repeat((u128::from(*count) * BAR_WIDTH).div_ceil(largest.into()) as usize);
            let row = format!(
                "  [{:>edge_width$}, {:>edge_width$}{close}  {count:>count_width$}  {bar}",
                edges[i],
                edges[i + 1]
            );
            writeln!(out, "{}", row.trim_end())?;
        }
        outside(out, "above", self.above)
    }
}

/// A number as JSON: integers with all their digits, floats as the shortest decimal that reads back as the same `f64`, what
/// JSON has no number for as `"NaN"`, `"Infinity"`, `"-Infinity"`. An `f32` is widened first: readers of JSON take numbers
/// for `f64`, and the mean of one value is to be that value.
pub(super) fn write_json_scalar(out: &mut dyn Write, value: Option<Scalar>) -> io::Result<()> {
    match value.map(|scalar| (scalar, scalar.to_f64())) {
        None => out.write_all(b"null"),
        Some((Scalar::Integer(integer), _)) => write!(out, "{integer}"),
        Some((_, float)) if float.is_finite() => out.write_all(ryu::Buffer::new().format_finite(float).as_bytes()),
        Some((_, float)) => write!(out, "\"{}\"", not_finite(float)),
    }
}

fn not_finite(float: f64) -> &'static str {
    match float {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

fn text_of(value: Option<Scalar>) -> String {
    match value {
        None => "none".to_owned(),
        Some(Scalar::Integer(integer)) => integer.to_string(),
        Some(float) => text_of_f64(float.to_f64()),
    }
}

/// A number in at most six digits, for where there is room for no more.
fn in_short(float: f64) -> String {
    let rounded = format!("{float:.5e}").parse().unwrap_or(float);
    text_of_f64(rounded)
}

/// The shortest decimal that reads back as the same number, in scientific notation where it would need many zeros.
pub(super) fn text_of_f64(float: f64) -> String {
    match float {
        float if !float.is_finite() => not_finite(float).to_owned(),
        float if float == 0.0 || (1e-5..1e17).contains(&float.abs()) => float.to_string(),
        float => format!("{float:e}"),
    }
}
