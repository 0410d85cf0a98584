//! The fields of a `stats` job in a job file.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny};
use serde_json::value::RawValue;

use crate::exact::Decimal;
use crate::input::{DType, Format, Header, InMemory, InputSpec, Location, Outside, Voi, VoiFunction, VoiWindow};
use crate::job::JobParams;
use crate::kernels::fields::{JsonColumn, OneOrMore, Written, shorten};
use crate::kernels::stats::{
    AlongAxes, Axis, Histogram, Layout, MAX_QUANTILES, MomentsUpTo, Quantile, SUPPORTED, StatsInput, StatsParams,
    StatsRequest, axis,
};

/// Parses a line of a job file.
pub(super) fn parse(text: &str) -> Result<Box<dyn JobParams>, serde_json::Error> {
    Ok(Box::new(params(serde_json::from_str(text)?)?))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    #[serde(rename = "device")]
    _device: Option<IgnoredAny>,
    file: Option<PathBuf>,
    files: Option<Vec<PathBuf>>,
    together: Option<bool>,
    values: Option<JsonValues>,
    #[serde(default)]
    quantiles: JsonQuantiles,
    histogram: Option<JsonHistogram>,
    ddof: Option<u32>,
    moments: Option<Written<MomentsUpTo>>,
    missing: Option<Written<Decimal>>,
    dtype: Option<Written<Named<DType>>>,
    offset: Option<u64>,
    column: Option<OneOrMore<JsonColumn>>,
    header: Option<Written<Header>>,
    na: Option<OneOrMore<String>>,
    format: Option<Written<Format>>,
    var: Option<String>,
    window: Option<JsonVoi>,
    outside: Option<Written<Outside>>,
    axis: Option<JsonAxes>,
    output: Option<PathBuf>,
}

fn params(line: Line) -> Result<StatsParams, serde_json::Error> {
    let request = StatsRequest {
        ddof: line.ddof.unwrap_or(1),
        moments: line.moments.map_or_else(MomentsUpTo::default, |moments| moments.0),
        quantiles: line.quantiles.0,
        histogram: line.histogram.map(|histogram| histogram.0),
        missing: line.missing.map(|missing| missing.0),
    };
    let along = line.axis.map(|axes| AlongAxes { axes: axes.into_axes(), output: line.output.clone() });
    if let Some(along) = &along {
        request.check_along_axes().map_err(Error::custom)?;
        if along.axes.is_empty() {
            return Err(Error::custom("`axis` is an empty list: name an axis at least"));
        }
    }
    let reader_options = [
        ("dtype", line.dtype.is_some()),
        ("offset", line.offset.is_some()),
        ("column", line.column.is_some()),
        ("header", line.header.is_some()),
        ("na", line.na.is_some()),
        ("format", line.format.is_some()),
        ("var", line.var.is_some()),
        ("window", line.window.is_some()),
        ("outside", line.outside.is_some()),
        ("together", line.together.is_some()),
        ("axis", along.is_some()),
    ];
    if line.outside.is_some() && line.window.is_none() {
        return Err(Error::custom("`outside` is of values outside a `window`: give that too, or leave it out"));
    }
    if let Some(output) = &line.output {
        if along.is_none() {
            return Err(Error::custom("`output` is for the arrays of `axis`: give that too, or leave it out"));
        }
        axis::check_name(output).map_err(Error::custom)?;
    }
    let paths = match (line.file, line.files, line.values) {
        (Some(file), None, None) => vec![file],
        (None, Some(files), None) => {
            if files.is_empty() {
                return Err(Error::custom("`files` is empty: name a file at least"));
            }
            if line.together != Some(true) {
                return Err(Error::custom(
                    "`files` are one dataset: say so with \"together\":true, or write a job for each `file`",
                ));
            }
            files
        }
        (None, None, Some(values)) => {
            if let Some((name, _)) = reader_options.into_iter().find(|(_, given)| *given) {
                return Err(Error::custom(format!("`{name}` does not apply to `values`: leave it out")));
            }
            return Ok(StatsParams {
                input: StatsInput::Here(Arc::new(InMemory::new("values", values.0))),
                request,
                along: None,
            });
        }
        (None, None, None) => return Err(Error::custom("no input: give one of `file`, `files`, `values`")),
        _ => return Err(Error::custom("more than one input: give one of `file`, `files`, `values`")),
    };
    let spec = InputSpec {
        location: Location::Stdin,
        format: line.format.map(|format| format.0),
        dtype: line.dtype.map(|dtype| dtype.0.0),
        offset: line.offset,
        columns: line.column.map(|columns| columns.0.into_iter().map(|column| column.0).collect()),
        header: line.header.map_or(Header::Auto, |header| header.0),
        na: line.na.map_or_else(Vec::new, |words| words.0),
        var: line.var,
        window: line.window.map(|window| window.0),
        outside: line.outside.map(|outside| outside.0),
    };
    let specs = paths.into_iter().map(|path| InputSpec { location: Location::Path(path), ..spec.clone() });
    Ok(StatsParams { input: StatsInput::Files(specs.collect()), request, along })
}

/// An element type by its name.
struct Named<T>(T);

impl FromStr for Named<DType> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        DType::from_name(text).filter(|dtype| Layout::of(*dtype).is_some()).map(Named).ok_or_else(|| {
            let names = SUPPORTED.map(|layout| layout.dtype.name()).join(", ");
            format!("no element type of stats: use one of {names}")
        })
    }
}

/// A finite number that fits an `f64`, correctly rounded.
fn number<E: Error>(raw: &str) -> Result<f64, E> {
    let value: f64 = raw.parse().map_err(|_| E::custom(format!("`{}` is not a number", shorten(raw))))?;
    if value.is_infinite() {
        return Err(E::custom(format!("`{}` is too large for f64: an infinity is written \"Infinity\"", shorten(raw))));
    }
    Ok(value)
}

struct JsonNumber(f64);

impl<'de> Deserialize<'de> for JsonNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if !raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Err(Error::custom(format!("`{}` is not a number", shorten(raw))));
        }
        number(raw).map(Self)
    }
}

/// One of `values`: a number, null, or a word for what JSON has no number for.
struct JsonValue(f64);

impl<'de> Deserialize<'de> for JsonValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Ok(Self(match raw {
            "null" | "\"NaN\"" => f64::NAN,
            "\"Infinity\"" => f64::INFINITY,
            "\"-Infinity\"" => f64::NEG_INFINITY,
            raw if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => number(raw)?,
            raw => {
                let raw = shorten(raw);
                return Err(Error::custom(format!(
                    "{raw} among `values`: use numbers, null, \"NaN\", \"Infinity\" or \"-Infinity\""
                )));
            }
        }))
    }
}

struct JsonValues(Vec<f64>);

impl<'de> Deserialize<'de> for JsonValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = JsonValues;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of numbers")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<JsonValues, A::Error> {
                let mut values = Vec::new();
                while let Some(JsonValue(value)) = list.next_element()? {
                    values.push(value);
                }
                Ok(JsonValues(values))
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

/// A window by its center and width, or that of the file.
struct JsonVoi(Voi);

impl<'de> Deserialize<'de> for JsonVoi {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged, expecting = r#"a window is "file", or an object such as {"center":40,"width":400}"#)]
        enum Fields {
            Word(Word),
            Window(Window),
        }
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Word {
            File,
        }
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Window {
            center: f64,
            width: f64,
            function: Option<String>,
        }
        match Fields::deserialize(deserializer)? {
            Fields::Word(Word::File) => Ok(Self(Voi::OfFile)),
            Fields::Window(Window { center, width, function }) => {
                let function = function.map_or(Ok(VoiFunction::default()), |function| function.parse());
                let function = function.map_err(Error::custom)?;
                VoiWindow::new(center, width, function).map(|window| Self(Voi::Given(window))).map_err(Error::custom)
            }
        }
    }
}

/// An axis by its number or its name, or several.
#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "`axis` is a number or a name, or a list of such")]
enum JsonAxes {
    One(JsonAxis),
    More(Vec<JsonAxis>),
}

#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "an axis is its number, or the name of its dimension")]
enum JsonAxis {
    Number(i64),
    Name(String),
}

impl JsonAxes {
    fn into_axes(self) -> Vec<Axis> {
        let axes = match self {
            Self::One(axis) => vec![axis],
            Self::More(axes) => axes,
        };
        let axis = |axis| match axis {
            JsonAxis::Number(number) => Axis::Number(number),
            JsonAxis::Name(name) => Axis::Name(name),
        };
        axes.into_iter().map(axis).collect()
    }
}

#[derive(Default)]
struct JsonQuantiles(Vec<Quantile>);

impl<'de> Deserialize<'de> for JsonQuantiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let quantiles: Vec<Written<Quantile>> = Vec::deserialize(deserializer)?;
        if quantiles.len() > MAX_QUANTILES {
            return Err(Error::custom(format!("{} quantiles: at most {MAX_QUANTILES}", quantiles.len())));
        }
        Ok(Self(quantiles.into_iter().map(|quantile| quantile.0).collect()))
    }
}

struct JsonHistogram(Histogram);

impl<'de> Deserialize<'de> for JsonHistogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields, expecting = r#"an object such as {"bins":100} or {"bins":20,"lo":-1,"hi":1}"#)]
        struct Fields {
            bins: u32,
            lo: Option<JsonNumber>,
            hi: Option<JsonNumber>,
        }
        let fields = Fields::deserialize(deserializer)?;
        let range = match (fields.lo, fields.hi) {
            (None, None) => None,
            (Some(lo), Some(hi)) => Some((lo.0, hi.0)),
            _ => return Err(Error::custom("a histogram's range needs both `lo` and `hi`, or neither")),
        };
        Histogram::new(fields.bins, range).map(Self).map_err(Error::custom)
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
