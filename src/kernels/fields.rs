//! Forms of fields that the kernels' lines in a job file share.

use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

use crate::input::ColumnRef;

/// What is written in a string, or as a number: parsed from its own text, so that no digit is lost.
pub(super) struct Written<T>(pub T);

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

/// A column by name or by number.
pub(super) struct JsonColumn(pub ColumnRef);

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
pub(super) struct OneOrMore<T>(pub Vec<T>);

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

/// At most 40 characters of what a user wrote, for a message.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
