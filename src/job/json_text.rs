//! Text in JSON: a string, or what else is plain text as it is written, so that no number loses a digit.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::value::RawValue;

use crate::job::shorten;

/// A string; a number, `true` or `false` as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text(pub String);

/// A string; any other value as its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextOrJson(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?;
        match value.get().as_bytes().first() {
            Some(b'{' | b'[' | b'n') => {
                let got = shorten(value.get());
                Err(D::Error::custom(format!("expected a string, a number, true or false, got `{got}`")))
            }
            _ => text(value).map(Self),
        }
    }
}

impl<'de> Deserialize<'de> for TextOrJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(<&RawValue>::deserialize(deserializer)?).map(Self)
    }
}

fn text<E: Error>(value: &RawValue) -> Result<String, E> {
    match value.get() {
        string if string.starts_with('"') => {
            serde_json::from_str::<Cow<'_, str>>(string).map(Cow::into_owned).map_err(E::custom)
        }
        other => Ok(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_string_is_text_as_it_is_written() {
        let list: Vec<Text> = serde_json::from_str(r#"["a\nb", 18446744073709551617, 1.50, -0, true]"#).unwrap();
        let list: Vec<String> = list.into_iter().map(|text| text.0).collect();
        assert_eq!(list, ["a\nb", "18446744073709551617", "1.50", "-0", "true"]);
        for wrong in ["[null]", "[[1]]", r#"[{"a":1}]"#] {
            let error = serde_json::from_str::<Vec<Text>>(wrong).unwrap_err().to_string();
            assert!(error.starts_with("expected a string, a number, true or false, got `"), "{error}");
        }
        let json: Vec<TextOrJson> = serde_json::from_str(r#"["a", {"b": [1.50]}, null]"#).unwrap();
        assert_eq!(json.into_iter().map(|text| text.0).collect::<Vec<_>>(), ["a", r#"{"b": [1.50]}"#, "null"]);
    }
}
