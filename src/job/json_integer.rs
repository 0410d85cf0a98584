//! Integers in JSON, by their text: a number or a string with one, so that nothing is rounded on the way.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The text of the integer that a JSON value stands for; what it is worth is for a parser of integers to say.
///
/// # Errors
/// Where it is neither a number nor a string.
pub(crate) fn text(value: &RawValue) -> Result<Cow<'_, str>, String> {
    let text = value.get();
    match text.as_bytes() {
        [b'"', ..] => {
            serde_json::from_str::<Quoted<'_>>(text).map(|quoted| quoted.0).map_err(|error| error.to_string())
        }
        [b'-' | b'0'..=b'9', ..] => Ok(Cow::Borrowed(text)),
        _ => Err(format!("`{}` is not an integer: write a number, or a string with one", excerpt(text))),
    }
}

#[derive(Deserialize)]
struct Quoted<'a>(#[serde(borrow)] Cow<'a, str>);

/// The start of a text that may be of any length.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(60) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}
