//! What a job of factors asks for, and how a line of a job file says it.

use std::num::NonZero;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny};
use serde_json::value::RawValue;

use crate::job::{BindContext, Bound, IntegerError, JobError, JobParams, KindParams, json_integer, parse_unsigned};
use crate::tasks::factor::FactorTask;

/// A number to factor: 1 to 2^128 - 1.
///
/// ```
/// use tandem::runner::{Job, Runner};
/// use tandem::tasks::factor::{FactorAnswer, FactorParams, PrimePower};
///
/// let runner = Runner::builder().model(tandem::model::Location::Nowhere).build()?;
/// let outcome = runner.submit(Job::from(FactorParams::new(1_000_003 * 8)?)).wait();
/// let factors = &outcome.answer::<FactorAnswer>()?.factors;
/// assert_eq!(factors[..], [PrimePower { prime: 2, exponent: 3 }, PrimePower { prime: 1_000_003, exponent: 1 }]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FactorParams {
    n: NonZero<u128>,
}

impl FactorParams {
    /// Asks for the factors of `n`.
    ///
    /// # Errors
    /// Of 0, which every number divides.
    pub fn new(n: u128) -> Result<Self, JobError> {
        let n =
            NonZero::new(n).ok_or_else(|| JobError::bad_input(format!("0 has no factorisation: {WHAT_TO_WRITE}")))?;
        Ok(Self { n })
    }

    /// Asks for the factors of the number that a text stands for; see [`parse_unsigned`] for its forms.
    ///
    /// # Errors
    /// Where it is no whole number from 1 to 2^128 - 1.
    pub fn parse(text: &str) -> Result<Self, JobError> {
        let n = parse_unsigned(text.as_bytes()).map_err(|error| {
            let text = json_integer::excerpt(text);
            JobError::bad_input(match error {
                IntegerError::Negative => format!("`{text}` is negative: {WHAT_TO_WRITE}"),
                IntegerError::TooHigh => {
                    format!("`{text}` is above {} (2^128 - 1), the greatest number that is factored", u128::MAX)
                }
                _ => format!("`{text}` {error}"),
            })
        })?;
        Self::new(n)
    }

    /// The number.
    pub fn n(&self) -> u128 {
        self.n.get()
    }
}

const WHAT_TO_WRITE: &str = "write a number from 1 to 340282366920938463463374607431768211455 (2^128 - 1)";

impl KindParams for FactorParams {
    const KIND: &'static str = super::KIND.name;
}

impl JobParams for FactorParams {
    fn in_memory(&self) -> bool {
        true
    }

    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Task(Box::new(FactorTask(self.n()))))
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
    n: NumberField,
}

struct NumberField(FactorParams);

impl<'de> Deserialize<'de> for NumberField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&RawValue>::deserialize(deserializer)?;
        let params = json_integer::text(value)
            .and_then(|text| FactorParams::parse(&text).map_err(|error| error.message))
            .map_err(|error| D::Error::custom(format!("`n`: {error}")))?;
        Ok(Self(params))
    }
}

/// Parses a line of a job file.
///
/// # Errors
/// Where it is malformed, or its number has no factors to find.
pub(super) fn parse(text: &str) -> Result<FactorParams, serde_json::Error> {
    serde_json::from_str::<Line>(text).map(|line| line.n.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_notation_and_never_rounded() {
        for (n, expected) in [
            ("12", 12),
            ("\"12\"", 12),
            ("1e10", 10_000_000_000),
            ("\"10_000\"", 10_000),
            ("2.5e1", 25),
            ("9007199254740993", 9_007_199_254_740_993),
            ("340282366920938463463374607431768211455", u128::MAX),
            ("\"3.40282366920938463463374607431768211455e38\"", u128::MAX),
            ("170141183460469231731687303715884105728", 1 << 127),
        ] {
            let line = format!(r#"{{"id":"a","kind":"factor","device":"cpu","n":{n}}}"#);
            assert_eq!(parse(&line).unwrap().n(), expected, "{n}");
        }
    }

    #[test]
    fn what_has_no_factors_is_refused_with_the_limits() {
        for (line, part) in [
            (r#"{"n":0}"#, "0 has no factorisation: write a number from 1 to 340282366920938463463374607431768211455"),
            (r#"{"n":"-0"}"#, "0 has no factorisation"),
            (r#"{"n":-5}"#, "`-5` is negative: write a number from 1"),
            (r#"{"n":"-1e99"}"#, "`-1e99` is negative"),
            (
                r#"{"n":340282366920938463463374607431768211456}"#,
                "`340282366920938463463374607431768211456` is above 340282366920938463463374607431768211455 (2^128 - 1)",
            ),
            (r#"{"n":1e400}"#, "`1e400` is above"),
            (r#"{"n":2.5}"#, "`2.5` is not a whole number"),
            (r#"{"n":"x"}"#, "`x` is not an integer: use digits"),
            (r#"{"n":""}"#, "`` is empty"),
            (r#"{"n":[1]}"#, "`[1]` is not an integer: write a number, or a string with one"),
            (r#"{"n":null}"#, "`null` is not an integer"),
            (r#"{"kind":"factor"}"#, "missing field `n`"),
            (r#"{"n":1,"n":2}"#, "duplicate field `n`"),
            (r#"{"n":1,"m":2}"#, "unknown field `m`"),
        ] {
            let message = parse(line).unwrap_err().to_string();
            assert!(message.contains(part), "{line}: {message}");
        }
        let long = parse(&format!("{{\"n\":\"{}\"}}", "9".repeat(5000))).unwrap_err().to_string();
        assert!(long.contains("…` is above") && long.len() < 300, "{long}");
    }
}
