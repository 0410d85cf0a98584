//! The fields of a `corr` job in a job file.

use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny};
use serde_json::value::RawValue;

use crate::input::{Format, Header, InputSpec, Location};
use crate::job::JobParams;
use crate::kernels::corr::{CorrInput, CorrParams, Table, output};
use crate::kernels::fields::{JsonColumn, OneOrMore, Written};

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
    path: Option<PathBuf>,
    values: Option<Vec<Vec<Cell>>>,
    with: Option<PathBuf>,
    output: Option<PathBuf>,
    column: Option<OneOrMore<JsonColumn>>,
    with_column: Option<OneOrMore<JsonColumn>>,
    header: Option<Written<Header>>,
    na: Option<OneOrMore<String>>,
    format: Option<Written<Format>>,
    var: Option<String>,
    with_var: Option<String>,
}

/// A number, rounded correctly, or null for a missing one.
struct Cell(f64);

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let is_number = raw.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        match raw.parse::<f64>() {
            _ if raw == "null" => Ok(Self(f64::NAN)),
            Ok(value) if is_number && value.is_finite() => Ok(Self(value)),
            _ => Err(D::Error::custom(format!("{raw:.40} among `values`: use numbers that fit f64, or null"))),
        }
    }
}

fn params(line: Line) -> Result<CorrParams, serde_json::Error> {
    if let Some(output) = &line.output {
        output::check_name(output).map_err(Error::custom)?;
    }
    let reader_options = [
        ("column", line.column.is_some()),
        ("header", line.header.is_some()),
        ("na", line.na.is_some()),
        ("format", line.format.is_some()),
        ("var", line.var.is_some()),
    ];
    if line.with_column.is_some() && line.with.is_none() {
        return Err(Error::custom("`with_column` says which columns of `with`: give that too, or leave it out"));
    }
    if line.with_var.is_some() && line.with.is_none() {
        return Err(Error::custom("`with_var` says which variable of `with`: give that too, or leave it out"));
    }
    let format = line.format.map(|format| format.0);
    let header = line.header.map_or(Header::Auto, |header| header.0);
    let na = line.na.map_or_else(Vec::new, |words| words.0);
    let spec = |path, columns: Option<OneOrMore<JsonColumn>>, var| {
        let columns = columns.map(|columns| columns.0.into_iter().map(|column| column.0).collect());
        InputSpec { format, columns, header, na: na.clone(), var, ..InputSpec::new(Location::Path(path)) }
    };
    let input = match (line.path, line.values) {
        (Some(path), None) => CorrInput::File(spec(path, line.column, line.var)),
        (None, Some(rows)) => {
            if let Some((name, _)) = reader_options.into_iter().find(|(_, given)| *given) {
                return Err(Error::custom(format!("`{name}` does not apply to `values`: leave it out")));
            }
            CorrInput::Here(table(&rows)?)
        }
        (None, None) => return Err(Error::custom("no input: give one of `path`, `values`")),
        _ => return Err(Error::custom("more than one input: give one of `path`, `values`")),
    };
    let with = line.with.map(|path| CorrInput::File(spec(path, line.with_column, line.with_var)));
    Ok(CorrParams { input, with, output: line.output })
}

/// The table of these rows; null is a missing value.
fn table(rows: &[Vec<Cell>]) -> Result<Table, serde_json::Error> {
    let width = rows.first().map_or(0, Vec::len);
    if width == 0 {
        return Err(Error::custom("`values` are rows, lists of as many numbers each: one row of one number at least"));
    }
    if let Some((number, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != width) {
        return Err(Error::custom(format!(
            "row {number} of `values` has {} numbers, but row 0 has {width}: give every row as many",
            row.len()
        )));
    }
    let values = rows.iter().flatten().map(|value| value.0).collect();
    Table::of_rows(values, width).map_err(|error| Error::custom(error.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        parse(line).expect_err("it is malformed").to_string()
    }

    #[test]
    fn every_field_reaches_its_place() {
        let line = r#"{"id":"a","kind":"corr","device":"cpu","path":"t.csv","with":"u.csv","output":"o.npy",
                       "column":["x",2],"with_column":"y","header":"yes","na":"-","format":"csv","var":"v","with_var":"w"}"#;
        let text = format!("{:?}", parse(line).unwrap());
        for part in [
            "t.csv",
            "u.csv",
            "o.npy",
            "Name(\"x\"), Index(2)",
            "Name(\"y\")",
            "header: Yes",
            "\"-\"",
            "Some(Csv)",
            "Some(\"v\")",
            "Some(\"w\")",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, says) in [
            (r#"{"kind":"corr"}"#, "no input"),
            (r#"{"path":"a.npy","values":[[1]]}"#, "more than one input"),
            (r#"{"values":[]}"#, "one row of one number at least"),
            (r#"{"values":[[1,2],[3]]}"#, "row 1 of `values` has 1 numbers, but row 0 has 2"),
            (r#"{"values":[[1,"x"]]}"#, "\"x\" among `values`"),
            (r#"{"values":[[1,1e999]]}"#, "1e999 among `values`"),
            (r#"{"values":[[1,2]],"na":"x"}"#, "`na` does not apply to `values`"),
            (r#"{"path":"a.npy","output":"a.txt"}"#, "a.txt: is neither called .npy nor .csv"),
            (r#"{"path":"a.csv","with_column":"x"}"#, "`with_column` says which columns of `with`"),
            (r#"{"path":"a.nc","with_var":"x"}"#, "`with_var` says which variable of `with`"),
            (r#"{"path":"a.npy","format":"xls"}"#, "unknown format `xls`"),
            (r#"{"path":"a.npy","colum":"x"}"#, "unknown field `colum`"),
        ] {
            assert!(error(line).contains(says), "{line}: {}", error(line));
        }
    }
}
