//! Lines of a job file, and what is refused of them.

use super::*;
use crate::input::ColumnRef;

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
        (r#"{"values":[],"window":"file"}"#, "`window` does not apply"),
        (r#"{"file":"a","outside":"clip"}"#, "`outside` is of values outside a `window`"),
        (r#"{"file":"a","window":"wide"}"#, "a window is \"file\", or an object"),
        (r#"{"file":"a","window":{"center":1}}"#, "a window is \"file\", or an object"),
        (r#"{"file":"a","window":{"center":1,"width":0.5}}"#, "the width is 1 at least"),
        (r#"{"file":"a","window":{"center":1,"width":5,"function":"sigmoid"}}"#, "linear_exact"),
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
