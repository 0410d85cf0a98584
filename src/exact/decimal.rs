//! Decimals as people write them, kept exactly.

use num_bigint::{BigInt, BigUint};
use num_traits::pow;

/// A decimal number, exactly as written: `0.1` is one tenth.
///
/// Its size is bounded, so that hostile text (`1e999999999`) costs nothing: at most [`Decimal::MAX_DIGITS`] digits, and an
/// exponent of at most as much either way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    text: String,
    digits: BigInt,
    exp10: i32,
}

/// Why text is no [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// It is not a decimal number.
    #[error("not a decimal number")]
    Malformed,
    /// It has more digits, or a larger exponent, than are supported.
    #[error("more than {} digits or places", Decimal::MAX_DIGITS)]
    TooLong,
}

impl Decimal {
    /// The most digits, and the largest exponent.
    pub const MAX_DIGITS: usize = 2000;

    /// Its exact value as numerator and denominator.
    pub fn to_ratio(&self) -> (BigInt, BigUint) {
        let power = pow(BigUint::from(10u32), self.exp10.unsigned_abs() as usize);
        if self.exp10 < 0 { (self.digits.clone(), power) } else { (&self.digits * BigInt::from(power), 1u32.into()) }
    }

    /// Its exact value, if it is whole.
    pub fn to_integer(&self) -> Option<BigInt> {
        let (numerator, denominator) = self.to_ratio();
        let denominator = BigInt::from(denominator);
        (&numerator % &denominator == BigInt::ZERO).then(|| numerator / denominator)
    }

    /// The nearest `f64`; an infinity where it is too large.
    pub fn to_f64(&self) -> f64 {
        self.text.parse().expect("checked when it was parsed")
    }

    /// The nearest `f32`, rounded once; an infinity where it is too large.
    pub fn to_f32(&self) -> f32 {
        self.text.parse().expect("checked when it was parsed")
    }

    /// The number as it was written, but for what JSON does not allow (`.5`, `+1`, `007`).
    pub fn as_json(&self) -> &str {
        &self.text
    }
}

impl std::str::FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
            None => (unsigned, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return Err(DecimalError::Malformed);
        }
        let exponent = match exponent {
            None => 0,
            Some(exponent) => {
                let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                if unsigned.is_empty() || !all_digits(unsigned) {
                    return Err(DecimalError::Malformed);
                }
                exponent.parse::<i32>().map_err(|_| DecimalError::TooLong)?
            }
        };
        let max = Self::MAX_DIGITS as i32;
        if whole.len() + fraction.len() > Self::MAX_DIGITS || !(-max..=max).contains(&exponent) {
            return Err(DecimalError::TooLong);
        }
        let magnitude =
            BigUint::parse_bytes(format!("{whole}{fraction}").as_bytes(), 10).ok_or(DecimalError::Malformed)?;
        let digits = if negative { -BigInt::from(magnitude) } else { BigInt::from(magnitude) };
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            whole => whole,
        };
        let mut text = format!("{}{whole}", if negative { "-" } else { "" });
        if !fraction.is_empty() {
            text += &format!(".{fraction}");
        }
        if exponent != 0 {
            text += &format!("e{exponent}");
        }
        Ok(Self { text, digits, exp10: exponent - fraction.len() as i32 })
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(text: &str) -> (BigInt, BigUint) {
        text.parse::<Decimal>().unwrap().to_ratio()
    }

    #[test]
    fn what_is_written_is_what_is_meant() {
        assert_eq!(ratio("0.1"), (1.into(), 10u32.into()));
        assert_eq!(ratio("-12.50e-1"), ((-1250).into(), 1000u32.into()));
        assert_eq!(ratio("1e-3"), (1.into(), 1000u32.into()));
        assert_eq!(ratio("1E+3"), (1000.into(), 1u32.into()));
        assert_eq!(ratio(".5"), (5.into(), 10u32.into()));
        assert_eq!(ratio("5."), (5.into(), 1u32.into()));
    }

    #[test]
    fn the_json_form_is_json_and_keeps_what_was_written() {
        for (written, json) in
            [("0.50", "0.50"), (".5", "0.5"), ("+1", "1"), ("007", "7"), ("5.", "5"), ("1E-03", "1e-3"), ("-0", "-0")]
        {
            let decimal: Decimal = written.parse().unwrap();
            assert_eq!(decimal.as_json(), json);
            serde_json::from_str::<serde_json::Number>(json).unwrap();
        }
    }

    #[test]
    fn text_that_is_no_decimal_is_refused() {
        for text in ["", ".", "-", "e5", "1e", "1e+", "0x10", "1_0", "nan", "inf", "1.2.3", "--1", " 1", "١", "1e٣"] {
            assert_eq!(text.parse::<Decimal>(), Err(DecimalError::Malformed), "{text:?}");
        }
        for text in ["1e99999999999999", "1e-2001", "1e2001", &"1".repeat(2001)] {
            assert_eq!(text.parse::<Decimal>(), Err(DecimalError::TooLong), "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_are_recognised_however_they_are_written() {
        let whole = |text: &str| text.parse::<Decimal>().unwrap().to_integer();
        assert_eq!(whole("-9999"), Some((-9999).into()));
        assert_eq!(whole("1.50e1"), Some(15.into()));
        assert_eq!(whole("1.5"), None);
    }

    #[test]
    fn floats_are_rounded_once() {
        // Just above the middle of two f32: through f64 it would fall on the middle and round down, to even.
        let decimal: Decimal = "1.00000005960464477540".parse().unwrap();
        assert_eq!(decimal.to_f32(), 1.000_000_1);
        assert_eq!(decimal.to_f64() as f32, 1.0);
    }
}
