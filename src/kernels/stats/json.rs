//! The fields of a `stats` job in a job file.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny};
use serde_json::value::RawValue;

use crate::exact::Decimal;
use crate::input::{ColumnRef, DType, Format, Header, InMemory, InputSpec, Location};
use crate::job::JobParams;
use crate::kernels::stats::request::shorten;
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
    axis: Option<OneOrMore<Written<Axis>>>,
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
    let along = line
        .axis
        .map(|axes| AlongAxes { axes: axes.0.into_iter().map(|axis| axis.0).collect(), output: line.output.clone() });
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
        ("together", line.together.is_some()),
        ("axis", along.is_some()),
    ];
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
    };
    let specs = paths.into_iter().map(|path| InputSpec { location: Location::Path(path), ..spec.clone() });
    Ok(StatsParams { input: StatsInput::Files(specs.collect()), request, along })
}

/// What is written in a string, or as a number: parsed from its own text, so that no digit is lost.
struct Written<T>(T);

impl<'de, T: FromStr<Err: std::fmt::Display>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let unquoted =
            if raw.starts_with('"') { serde_json::from_str(raw).map_err(Error::custom)? } else { raw.to_owned() };
        let short = shorten(&unquoted);
        let parsed = unquoted.parse().map_err(|error: T::Err| match error.to_string() {
            // Most errors quote what they are about.
            error if error.contains(&format!("`{short}`")) => Error::custom(error),
            error => Error::custom(format!("`{short}`: {error}")),
        })?;
        Ok(Self(parsed))
    }
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

/// A column by name or by number.
struct JsonColumn(ColumnRef);

impl<'de> Deserialize<'de> for JsonColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged, expecting = "a column is its name, or its number from 0")]
        enum Form {
            Index(usize),
            Name(String),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Index(index) => ColumnRef::Index(index),
            Form::Name(name) => ColumnRef::Name(name),
        }))
    }
}

/// A thing, or a list of such things.
struct OneOrMore<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(
            untagged,
            expecting = "one or a list of them is expected: strings, or, for columns, names or numbers from 0"
        )]
        enum Form<T> {
            One(T),
            More(Vec<T>),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::One(one) => vec![one],
            Form::More(more) => more,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<StatsParams, String> {
        serde_json::from_str(text).and_then(params).map_err(|error| error.to_string())
    }

    fn specs(text: &str) -> Vec<InputSpec> {
        match parsed(text).unwrap().input {
            StatsInput::Files(specs) => specs,
            StatsInput::Here(_) => panic!("files"),
        }
    }

    #[test]
    fn every_field_reaches_its_place() {
        let text = r#"{"id":"a","kind":"stats","device":"cpu","file":"t.csv","quantiles":[0.50,"1e-3"],"ddof":0,"moments":4,
            "histogram":{"bins":10,"lo":-1,"hi":1e1},"missing":-9999,"column":["temp",3],"header":"no","na":"x","format":"csv"}"#;
        let request = parsed(text).unwrap().request;
        assert_eq!((request.ddof, request.moments), (0, MomentsUpTo::Kurtosis));
        assert_eq!(request.quantiles[0].decimal().as_json(), "0.50");
        assert_eq!(request.quantiles[1].decimal().as_json(), "1e-3");
        assert_eq!(request.histogram, Histogram::new(10, Some((-1.0, 10.0))).ok());
        assert_eq!(request.missing.unwrap().as_json(), "-9999");
        let spec = &specs(text)[0];
        assert_eq!(spec.location, Location::Path("t.csv".into()));
        assert_eq!(spec.columns, Some(vec![ColumnRef::Name("temp".into()), ColumnRef::Index(3)]));
        assert_eq!((spec.header, spec.format, &spec.na), (Header::No, Some(Format::Csv), &vec!["x".to_owned()]));
        let specs = specs(r#"{"files":["a.raw","b.raw"],"together":true,"dtype":"f32","offset":8}"#);
        assert_eq!((specs.len(), specs[1].dtype, specs[1].offset), (2, Some(DType::F32), Some(8)));
        assert_eq!(parsed(r#"{"values":[]}"#).unwrap().request, StatsRequest::default());
    }

    #[test]
    fn values_are_rounded_once_and_words_stand_for_what_json_lacks() {
        let text = r#"{"values":[1.5, 2, null,"NaN","Infinity","-Infinity",-0.0,9007199254740993.0000001,5e-324]}"#;
        let StatsInput::Here(source) = parsed(text).unwrap().input else { panic!("values") };
        let mut scratch = crate::input::Scratch::default();
        let crate::input::Values::F64(values) = source.read(0..9, &mut scratch).unwrap() else { panic!("f64") };
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        assert_eq!(bits(values), bits(&[1.5, 2.0, nan, nan, inf, -inf, -0.0, 9007199254740994.0, 5e-324]));
    }

    #[test]
    fn what_makes_no_job_is_refused_with_its_reason() {
        for (text, says) in [
            (r#"{}"#, "no input"),
            (r#"{"file":"a","values":[]}"#, "more than one input"),
            (r#"{"files":["a","b"]}"#, "together"),
            (r#"{"files":[],"together":true}"#, "empty"),
            (r#"{"values":[1,true]}"#, "true among `values`"),
            (r#"{"values":[1,[2]]}"#, "[2] among `values`"),
            (r#"{"values":["nan"]}"#, "among `values`"),
            (r#"{"values":[1e999]}"#, "too large"),
            (r#"{"values":3}"#, "list of numbers"),
            (r#"{"values":[],"dtype":"f32"}"#, "`dtype` does not apply"),
            (r#"{"values":[],"quantiles":[1.5]}"#, "outside 0 to 1"),
            (r#"{"values":[],"quantiles":["median"]}"#, "not a number"),
            (r#"{"values":[],"quantiles":[null]}"#, "not a number"),
            (r#"{"values":[],"histogram":{"bins":0}}"#, "use 1 to"),
            (r#"{"values":[],"histogram":{"bins":5,"lo":0}}"#, "both `lo` and `hi`"),
            (r#"{"values":[],"histogram":{"bins":5,"lo":2,"hi":1}}"#, "below the second"),
            (r#"{"values":[],"histogram":{"bins":5,"low":2}}"#, "unknown field `low`"),
            (r#"{"values":[],"ddof":-1}"#, "invalid value"),
            (r#"{"values":[],"moments":3}"#, "use 2"),
            (r#"{"values":[],"missing":"none"}"#, "not a decimal number"),
            (r#"{"values":[],"bins":3}"#, "unknown field `bins`"),
            (r#"{"values":[],"axis":0}"#, "`axis` does not apply"),
            (r#"{"file":"a.npy","axis":[]}"#, "empty list"),
            (r#"{"file":"a.npy","axis":[0],"quantiles":[0.5]}"#, "`quantiles` is of whole arrays"),
            (r#"{"file":"a.npy","axis":0,"output":"a.csv"}"#, "neither called .npz nor .npy"),
            (r#"{"file":"a.npy","output":"a.npz"}"#, "`output` is for the arrays of `axis`"),
            (r#"{"file":"a","dtype":"f16"}"#, "no element type of stats: use one of f32"),
            (r#"{"file":"a","dtype":"i8"}"#, "`i8`: no element type of stats"),
            (r#"{"file":"a","header":"maybe"}"#, "auto, yes or no"),
            (r#"{"file":"a","column":1.5}"#, "a list"),
            (r#"{"file":"a","format":"xml"}"#, "npy, csv"),
        ] {
            let error = parsed(text).map(|_| ()).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn axes_are_one_or_several_by_number_or_name() {
        let text = format!("{:?}", parsed(r#"{"file":"a.nc","axis":[0,"lat",-1],"output":"o.npy"}"#).unwrap().along);
        for part in ["[Number(0), Name(\"lat\"), Number(-1)]", "Some(\"o.npy\")"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let one = format!("{:?}", parsed(r#"{"file":"a.nc","axis":"time"}"#).unwrap().along);
        assert!(one.contains("[Name(\"time\")]"), "{one}");
    }

    #[test]
    fn an_error_in_a_field_names_its_column() {
        let error = parsed(r#"{"values":[1,2,"x"]}"#).map(|_| ()).unwrap_err();
        assert!(error.contains("line 1 column 1"), "{error}");
    }
}
