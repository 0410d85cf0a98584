//! What a job of Fibonacci terms asks for, and how a line of a job file says it.

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny};
use serde_json::value::RawValue;

use crate::job::{BindContext, Bound, IntegerError, JobError, JobParams, KindParams, json_integer, parse_unsigned};
use crate::tasks::fibonacci::FibonacciTask;

/// The greatest index: its term has 20,898,764 digits.
pub const INDEX_MAX: u64 = 100_000_000;

/// The greatest sum of the indices of one job: their terms have about 105 million digits, which are all in memory at the end.
pub const INDEX_SUM_MAX: u64 = 500_000_000;

/// Indices of terms of the Fibonacci sequence.
///
/// ```
/// use tandem::runner::{Job, Runner};
/// use tandem::tasks::fibonacci::{FibonacciAnswer, FibonacciParams};
///
/// let runner = Runner::builder().model(tandem::model::Location::Nowhere).build()?;
/// let outcome = runner.submit(Job::from(FibonacciParams::new(vec![10, 100])?)).wait();
/// assert_eq!(outcome.answer::<FibonacciAnswer>()?.terms[1].value, "354224848179261915075");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FibonacciParams {
    indices: Vec<u64>,
}

impl FibonacciParams {
    /// Asks for the terms of these indices, in this order.
    ///
    /// # Errors
    /// Where one is above [`INDEX_MAX`], or all together are above [`INDEX_SUM_MAX`].
    pub fn new(indices: Vec<u64>) -> Result<Self, JobError> {
        if let Some(above) = indices.iter().find(|&&n| n > INDEX_MAX) {
            return Err(JobError::bad_input(too_high(above)));
        }
        // No sum of a list that fits in memory passes 128 bits.
        let sum: u128 = indices.iter().map(|&n| u128::from(n)).sum();
        if sum > INDEX_SUM_MAX.into() {
            return Err(JobError::bad_input(format!(
                "the indices add up to {sum}, above {INDEX_SUM_MAX}: their terms would fill the memory, so ask for them in \
                 several jobs"
            )));
        }
        Ok(Self { indices })
    }

    /// The indices.
    pub fn indices(&self) -> &[u64] {
        &self.indices
    }
}

/// The index that a text stands for; see [`parse_unsigned`] for its forms.
///
/// # Errors
/// Where it is none.
pub(super) fn index(text: &str) -> Result<u64, String> {
    let excerpt = json_integer::excerpt(text);
    match parse_unsigned(text.as_bytes()) {
        Ok(n) => u64::try_from(n).ok().filter(|&n| n <= INDEX_MAX).ok_or_else(|| too_high(&excerpt)),
        Err(IntegerError::TooHigh) => Err(too_high(&excerpt)),
        Err(IntegerError::Negative) => Err(format!("`{excerpt}` is negative: indices are from 0 to {INDEX_MAX}")),
        Err(error) => Err(format!("`{excerpt}` {error}")),
    }
}

fn too_high(index: &(impl std::fmt::Display + ?Sized)) -> String {
    format!("the index {index} is above {INDEX_MAX}, whose term has 20898764 digits already")
}

impl KindParams for FibonacciParams {
    const KIND: &'static str = super::KIND.name;
}

impl JobParams for FibonacciParams {
    fn in_memory(&self) -> bool {
        true
    }

    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Task(Box::new(FibonacciTask(self.indices.clone()))))
    }
}

/// A line of a job file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    #[serde(rename = "device")]
    _device: Option<IgnoredAny>,
    n: IndicesField,
}

/// One index, or a list of them.
struct IndicesField(FibonacciParams);

impl<'de> Deserialize<'de> for IndicesField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        indices(<&RawValue>::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

fn indices(value: &RawValue) -> Result<FibonacciParams, String> {
    let one = |value| index(&json_integer::text(value)?);
    let indices = if value.get().starts_with('[') {
        let elements: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|error| format!("`n`: {error}"))?;
        let place = |(place, element)| one(element).map_err(|error| format!("n[{place}]: {error}"));
        elements.into_iter().enumerate().map(place).collect::<Result<_, _>>()?
    } else {
        vec![one(value).map_err(|error| format!("`n`: {error}"))?]
    };
    FibonacciParams::new(indices).map_err(|error| format!("`n`: {error}"))
}

/// Parses a line of a job file.
///
/// # Errors
/// Where it is malformed, or beyond the limits.
pub(super) fn parse(text: &str) -> Result<FibonacciParams, serde_json::Error> {
    serde_json::from_str::<Line>(text).map(|line| line.n.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_index_and_lists_are_read_in_every_notation() {
        for (n, expected) in [
            ("100", &[100][..]),
            ("\"1_000\"", &[1000]),
            ("1e8", &[INDEX_MAX]),
            ("[10, \"1e2\", 0, 1e1, 10]", &[10, 100, 0, 10, 10]),
            ("[]", &[]),
        ] {
            let line = format!(r#"{{"id":"a","kind":"fibonacci","device":"cpu","n":{n}}}"#);
            assert_eq!(parse(&line).unwrap().indices(), expected, "{n}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_the_limit() {
        for (line, part) in [
            (r#"{"n":-5}"#, "`-5` is negative: indices are from 0 to 100000000"),
            (r#"{"n":[1,-5]}"#, "n[1]: `-5` is negative"),
            (r#"{"n":[1,100000001]}"#, "n[1]: the index 100000001 is above 100000000, whose term has"),
            (r#"{"n":1e400}"#, "the index 1e400 is above 100000000"),
            (r#"{"n":2.5}"#, "`2.5` is not a whole number"),
            (r#"{"n":[1,"x"]}"#, "n[1]: `x` is not an integer"),
            (r#"{"n":[[1]]}"#, "n[0]: `[1]` is not an integer"),
            (r#"{"n":{}}"#, "`{}` is not an integer"),
            (r#"{"n":[1e8,1e8,1e8,1e8,1e8,1]}"#, "the indices add up to 500000001, above 500000000"),
            (r#"{"kind":"fibonacci"}"#, "missing field `n`"),
            (r#"{"n":1,"m":2}"#, "unknown field `m`"),
        ] {
            let message = parse(line).unwrap_err().to_string();
            assert!(message.contains(part), "{line}: {message}");
        }
        assert!(FibonacciParams::new(vec![u64::MAX]).is_err());
    }
}
