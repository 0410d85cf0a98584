//! Integers as people write them: `97`, `-5`, `10_000`, `1e10`, `2.5e3`. One parser for arguments, job files and text
//! files; it goes by the decimal text alone, so nothing is ever rounded.

/// Why a text is no integer. The message goes on after the quoted text: `` `abc` is not an integer ``.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IntegerError {
    /// There is nothing.
    #[error("is empty: an integer was expected")]
    Empty,
    /// It is not the decimal notation of any number that tandem reads.
    #[error("is not an integer: use digits, as in 97, -5, 10_000 or 1e10")]
    Malformed,
    /// It is a number with a fraction: `2.5`, `1e-3`.
    #[error("is not a whole number")]
    Fraction,
    /// It is an integer below -2^127.
    #[error("is below -2^127 (about -1.7e38), the least integer that is read")]
    TooLow,
    /// It is an integer below 0, where only those from 0 on are read.
    #[error("is negative: numbers from 0 on are read")]
    Negative,
    /// It is an integer of 2^127 or above, or of 2^128 where none is negative; the message names the limit of everything that integers are read for.
    #[error("is above 18446744073709551615 (2^64 - 1), the greatest integer that is taken")]
    TooHigh,
}

/// Parses an integer: an optional sign, digits, and optionally a fraction and an exponent, as long as the value is a whole
/// number. A `_` may stand between two digits. Spaces are not trimmed.
///
/// ```
/// use tandem::job::parse_integer;
/// assert_eq!(parse_integer(b"-10_000"), Ok(-10_000));
/// assert_eq!(parse_integer(b"2.5e3"), Ok(2500));
/// assert!(parse_integer(b"2.5").is_err());
/// ```
///
/// # Errors
/// See [`IntegerError`].
pub fn parse_integer(text: &[u8]) -> Result<i128, IntegerError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    // Nineteen digits always fit a u64: nearly every number ends here.
    if (1..=19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
        let value = digits.iter().fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0'));
        return Ok(if negative { -i128::from(value) } else { i128::from(value) });
    }
    if text.is_empty() {
        return Err(IntegerError::Empty);
    }
    let magnitude = parse_magnitude(digits)?;
    let value = magnitude.and_then(|magnitude| {
        if negative { 0i128.checked_sub_unsigned(magnitude) } else { i128::try_from(magnitude).ok() }
    });
    value.ok_or(if negative { IntegerError::TooLow } else { IntegerError::TooHigh })
}

/// Parses an integer from 0 to 2^128 - 1, in the notations of [`parse_integer`].
///
/// ```
/// use tandem::job::{IntegerError, parse_unsigned};
/// assert_eq!(parse_unsigned(b"3e38"), Ok(300_000_000_000_000_000_000_000_000_000_000_000_000));
/// assert_eq!(parse_unsigned(b"-5"), Err(IntegerError::Negative));
/// ```
///
/// # Errors
/// See [`IntegerError`].
pub fn parse_unsigned(text: &[u8]) -> Result<u128, IntegerError> {
    let (negative, digits) = match text {
        [] => return Err(IntegerError::Empty),
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    match parse_magnitude(digits)? {
        Some(0) => Ok(0),
        _ if negative => Err(IntegerError::Negative),
        magnitude => magnitude.ok_or(IntegerError::TooHigh),
    }
}

/// The value of a decimal without its sign; `None` where it passes `u128`.
fn parse_magnitude(text: &[u8]) -> Result<Option<u128>, IntegerError> {
    let mut decimal = Decimal::default();
    let mut rest = decimal.digits(text)?;
    if let [b'.', fraction @ ..] = rest {
        let whole_digits = decimal.count;
        rest = decimal.digits(fraction)?;
        decimal.fraction_digits = decimal.count - whole_digits;
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', exponent @ ..] => parse_exponent(exponent)?,
        _ => return Err(IntegerError::Malformed),
    };
    decimal.value(exponent)
}

/// An exponent, held to ±2^62, which no shift by the digits of a text can bring back into range.
fn parse_exponent(text: &[u8]) -> Result<i64, IntegerError> {
    const LIMIT: i64 = 1 << 62;
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(IntegerError::Malformed);
    }
    let value = digits
        .iter()
        .fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(LIMIT));
    Ok(if negative { -value } else { value })
}

/// Digits as they are read: `significand * 10^zeros`, the significand ending in a digit that is not 0.
#[derive(Default)]
struct Decimal {
    significand: u128,
    overflowed: bool,
    zeros: i64,
    count: i64,
    fraction_digits: i64,
}

impl Decimal {
    /// Takes digits with `_` between them from the start of `text`, at least one; gives what follows.
    fn digits<'a>(&mut self, text: &'a [u8]) -> Result<&'a [u8], IntegerError> {
        let mut at = 0;
        loop {
            match text.get(at) {
                Some(digit @ b'0'..=b'9') => self.push(digit - b'0'),
                _ => return Err(IntegerError::Malformed),
            }
            at += 1;
            match text.get(at) {
                Some(b'_') => at += 1,
                Some(b'0'..=b'9') => {}
                _ => return Ok(&text[at..]),
            }
        }
    }

    fn push(&mut self, digit: u8) {
        self.count += 1;
        if digit == 0 {
            self.zeros += i64::from(self.significand != 0 || self.overflowed);
            return;
        }
        let shifted = power_of_ten(self.zeros + 1).and_then(|power| self.significand.checked_mul(power));
        match shifted.and_then(|shifted| shifted.checked_add(u128::from(digit))) {
            Some(significand) => self.significand = significand,
            None => self.overflowed = true,
        }
        self.zeros = 0;
    }

    fn value(&self, exponent: i64) -> Result<Option<u128>, IntegerError> {
        if self.significand == 0 {
            return Ok(Some(0));
        }
        let zeros = exponent + self.zeros - self.fraction_digits;
        if zeros < 0 {
            return Err(IntegerError::Fraction);
        }
        if self.overflowed {
            return Ok(None);
        }
        Ok(power_of_ten(zeros).and_then(|power| self.significand.checked_mul(power)))
    }
}

fn power_of_ten(exponent: i64) -> Option<u128> {
    10u128.checked_pow(u32::try_from(exponent).ok()?)
}

/// A whole number within bounds, for an argument of the command line.
///
/// # Errors
/// What to write instead.
#[cfg(feature = "cli")]
pub(crate) fn parse_bounded(text: &str, bounds: std::ops::RangeInclusive<u64>) -> Result<u64, String> {
    let number = parse_integer(text.as_bytes()).ok().and_then(|number| u64::try_from(number).ok());
    number
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| format!("write a whole number from {} to {}", bounds.start(), bounds.end()))
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<i128, IntegerError>) {
        assert_eq!(parse_integer(text.as_bytes()), expect, "{text:?}");
    }

    #[test]
    fn whole_numbers_are_read_in_every_notation() {
        check("0", Ok(0));
        check("-0", Ok(0));
        check("+97", Ok(97));
        check("-5", Ok(-5));
        check("007", Ok(7));
        check("10_000", Ok(10_000));
        check("1_0_0", Ok(100));
        check("1e10", Ok(10_000_000_000));
        check("1E+10", Ok(10_000_000_000));
        check("2.5e3", Ok(2500));
        check("97.0", Ok(97));
        check("1000e-3", Ok(1));
        check("1_000.500_0e3", Ok(1_000_500));
        check("0.000_001e6", Ok(1));
        check("0e999999999999999999999", Ok(0));
        check("0.0e-999999999999999999999", Ok(0));
        check("18446744073709551615", Ok(i128::from(u64::MAX)));
        check("18446744073709551616", Ok(1 << 64));
        check("1.8446744073709551616e19", Ok(1 << 64));
        check("170141183460469231731687303715884105727", Ok(i128::MAX));
        check("-170141183460469231731687303715884105728", Ok(i128::MIN));
        let zeros = "0".repeat(5000);
        check(&format!("{zeros}12"), Ok(12));
        check(&format!("12.{zeros}"), Ok(12));
        check(&format!("12{zeros}e-5000"), Ok(12));
        check(&format!("0.{zeros}12e5002"), Ok(12));
    }

    #[test]
    fn what_is_not_a_whole_number_is_refused() {
        for text in ["2.5", "1e-1", "97.000001", "-12345678901234567890.1", "0.1e0"] {
            check(text, Err(IntegerError::Fraction));
        }
        let long = "1".repeat(60);
        check(&format!("{long}e-1"), Err(IntegerError::Fraction));
        check(&format!("{long}.5"), Err(IntegerError::Fraction));
        check(&format!("{long}e-999999999999999999999"), Err(IntegerError::Fraction));
    }

    #[test]
    fn what_passes_the_limits_is_refused_by_its_side() {
        check("170141183460469231731687303715884105728", Err(IntegerError::TooHigh));
        check("-170141183460469231731687303715884105729", Err(IntegerError::TooLow));
        check("1e39", Err(IntegerError::TooHigh));
        check("-1e999999999999999999999", Err(IntegerError::TooLow));
        check(&"9".repeat(10_000), Err(IntegerError::TooHigh));
        check(&format!("1{}1", "0".repeat(5000)), Err(IntegerError::TooHigh));
        check(&format!("{}e-30", "1".repeat(30) + &"0".repeat(60)), Err(IntegerError::TooHigh));
    }

    #[test]
    fn anything_else_is_malformed() {
        check("", Err(IntegerError::Empty));
        for text in [
            "-",
            "+",
            "--5",
            "+-5",
            "_1",
            "1_",
            "1__0",
            "-_1",
            ".5e1",
            "5.e1",
            "1._0",
            "1_.0",
            "1e",
            "1e+",
            "1e1_0",
            "e5",
            "1e5.0",
            "0x10",
            "1 000",
            " 1",
            "1 ",
            "1,000",
            "nan",
            "inf",
            "１",
            "\u{2212}5",
            "1\0",
            "12345678901234567890x",
        ] {
            check(text, Err(IntegerError::Malformed));
        }
    }

    #[test]
    fn unsigned_numbers_reach_2_to_the_128() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("+1_000", Ok(1000)),
            ("1e38", Ok(10u128.pow(38))),
            ("340282366920938463463374607431768211455", Ok(u128::MAX)),
            ("340282366920938463463374607431768211456", Err(IntegerError::TooHigh)),
            ("1e39", Err(IntegerError::TooHigh)),
            ("-1", Err(IntegerError::Negative)),
            ("-1e999999999999999999999", Err(IntegerError::Negative)),
            ("-2.5", Err(IntegerError::Fraction)),
            ("", Err(IntegerError::Empty)),
            ("-", Err(IntegerError::Malformed)),
            ("--1", Err(IntegerError::Malformed)),
        ] {
            assert_eq!(parse_unsigned(text.as_bytes()), expected, "{text:?}");
        }
    }

    /// The same grammar, read the slow way: all digits into a big integer, then scaled.
    fn oracle(negative: bool, whole: &str, fraction: &str, exponent: i32) -> Result<i128, IntegerError> {
        let digits: BigInt = format!("{whole}{fraction}").replace('_', "").parse().unwrap();
        let shift = exponent - fraction.replace('_', "").len() as i32;
        let ten = BigInt::from(10);
        let power = ten.pow(shift.unsigned_abs());
        let value = if shift >= 0 {
            digits * power
        } else if &digits % &power == BigInt::ZERO {
            digits / power
        } else {
            return Err(IntegerError::Fraction);
        };
        let value = if negative { -value } else { value };
        i128::try_from(value).map_err(|_| if negative { IntegerError::TooLow } else { IntegerError::TooHigh })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn every_decimal_has_the_value_that_big_integers_give(
            negative: bool,
            whole in "[0-9]{1,45}|[0-9](_[0-9]){0,25}|[1-9]0{0,60}",
            fraction in "|[0-9]{1,12}|[0-9]0{0,20}",
            exponent in -50i32..60,
        ) {
            let sign = if negative { "-" } else { "" };
            let point = if fraction.is_empty() { "" } else { "." };
            let text = format!("{sign}{whole}{point}{fraction}e{exponent}");
            prop_assert_eq!(parse_integer(text.as_bytes()), oracle(negative, &whole, &fraction, exponent), "{}", text);
            if exponent == 0 {
                let plain = format!("{sign}{whole}{point}{fraction}");
                prop_assert_eq!(parse_integer(plain.as_bytes()), oracle(negative, &whole, &fraction, 0), "{}", plain);
            }
        }

        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(proptest::sample::select(b"0123456789_.eE+-x".to_vec()), 0..40)) {
            let _ = parse_integer(&text);
        }
    }
}
