//! Decimal numbers, correctly rounded.

use crate::exact::Reciprocal;

/// Powers of ten that a word holds.
const POWERS_OF_TEN: [u64; 20] = {
    let mut powers = [1u64; 20];
    let mut i = 1;
    while i < 20 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// To divide by each.
const RECIPROCALS: [Reciprocal; 20] = {
    let Some(one) = Reciprocal::of(1) else { unreachable!() };
    let mut reciprocals = [one; 20];
    let mut i = 1;
    while i < 20 {
        if let Some(reciprocal) = Reciprocal::of(POWERS_OF_TEN[i]) {
            reciprocals[i] = reciprocal;
        }
        i += 1;
    }
    reciprocals
};

/// The same as floats, all of them exact: 10^19 is 5^19 * 2^19, and 5^19 is below 2^53.
const FLOAT_POWERS_OF_TEN: [f64; 20] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19];

/// Digits that a word holds, whatever they are.
const DIGITS_MAX: usize = 19;

/// The nearest `f64` to the decimal `text`; `nan`, `inf` and `infinity`, signed or not, in any case, are themselves. `None`
/// where it is none of these.
#[inline]
pub(crate) fn number(text: &[u8]) -> Option<f64> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut significand = 0_u64;
    let mut digit_count = 0_usize;
    let mut point: Option<usize> = None;
    for &byte in digits.get(..20).unwrap_or(digits) {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            significand = significand.wrapping_mul(10).wrapping_add(u64::from(digit));
            digit_count += 1;
        } else if byte == b'.' && point.is_none() {
            point = Some(digit_count);
        } else {
            return any_number(text);
        }
    }
    if digits.len() > 20 || !(1..=DIGITS_MAX).contains(&digit_count) {
        return any_number(text);
    }
    let fraction_digits = point.map_or(0, |point| digit_count - point);
    let magnitude = scaled(significand, -(fraction_digits as i32))?;
    Some(if is_negative { -magnitude } else { magnitude })
}

/// How many bytes [`leading`] looks at, at most.
pub(crate) const LEADING_BYTES: usize = 48;

/// The decimal at the start of `text`, [`LEADING_BYTES`] or more, and how many bytes it is long; `None` where it is written in a way that [`number`]
/// should look at. What follows it may make something else of it: the caller sees to that.
#[inline(always)]
pub(crate) fn leading(text: &[u8; LEADING_BYTES]) -> Option<(f64, usize)> {
    let is_negative = text[0] == b'-';
    let start = usize::from(is_negative);
    let (mut significand, whole_digits) = digits(text, start, 0)?;
    let mut at = start + whole_digits;
    let mut digit_count = whole_digits;
    let mut power = 0;
    if text[at] == b'.' {
        let (with_fraction, fraction_digits) = digits(text, at + 1, significand)?;
        significand = with_fraction;
        digit_count += fraction_digits;
        power = -(fraction_digits as i32);
        at += 1 + fraction_digits;
    }
    if !(1..=DIGITS_MAX).contains(&digit_count) {
        return None;
    }
    if text[at] | 0x20 == b'e' {
        let sign = text[at + 1];
        let from = at + 1 + usize::from(sign == b'-' || sign == b'+');
        let (exponent, exponent_digits) = digits(text, from, 0)?;
        if !(1..=3).contains(&exponent_digits) {
            return None;
        }
        power += if sign == b'-' { -(exponent as i32) } else { exponent as i32 };
        at = from + exponent_digits;
    }
    let magnitude = scaled(significand, power)?;
    Some((if is_negative { -magnitude } else { magnitude }, at))
}

/// Goes on reading a whole number, `before` so far, at `from`; gives how many digits it found. `None` where there are 16 or more.
#[inline(always)]
fn digits(text: &[u8; LEADING_BYTES], from: usize, before: u64) -> Option<(u64, usize)> {
    let (first, count) = digits_of_word(word_at(text, from)?);
    let value = before.wrapping_mul(POWERS_OF_TEN[count]).wrapping_add(first);
    if count < 8 {
        return Some((value, count));
    }
    let (second, more) = digits_of_word(word_at(text, from + 8)?);
    let value = value.wrapping_mul(POWERS_OF_TEN[more]).wrapping_add(second);
    if more < 8 {
        return Some((value, 8 + more));
    }
    let (third, more) = digits_of_word(word_at(text, from + 16)?);
    (more < 8).then(|| (value.wrapping_mul(POWERS_OF_TEN[more]).wrapping_add(third), 16 + more))
}

#[inline(always)]
fn word_at(text: &[u8; LEADING_BYTES], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(text.get(at..at + 8)?.try_into().ok()?))
}

/// The whole number that the digits at the start of eight bytes make, the first one in the lowest byte, and how many they are.
#[inline(always)]
fn digits_of_word(word: u64) -> (u64, usize) {
    // A digit leaves 0 to 9, and adding 0x76 does not reach the top bit.
    let less_zeros = word ^ 0x3030_3030_3030_3030;
    let others = (less_zeros.wrapping_add(0x7676_7676_7676_7676) | less_zeros) & 0x8080_8080_8080_8080;
    let count = others.trailing_zeros() as usize / 8;
    if count == 0 {
        return (0, 0);
    }
    // Zeros before the digits change nothing. Neighbours go together, three times.
    let digits = less_zeros << (64 - 8 * count);
    let pairs = (digits & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(10 * 256 + 1) >> 8;
    let fours = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(100 * 65536 + 1) >> 16;
    let eight = (fours & 0x0000_ffff_0000_ffff).wrapping_mul(10_000 * (1 << 32) + 1) >> 32;
    (eight, count)
}

/// `significand * 10^power`, rounded once; `None` where the power is none that a word holds.
///
/// A whole number up to 2^53 times or by a small power of ten is an operation of two exact numbers, which rounds correctly (W.
/// Clinger, How to read floating point numbers accurately, 1990).
#[inline(always)]
fn scaled(significand: u64, power: i32) -> Option<f64> {
    const EXACT_MAX: u64 = 1 << 53;
    let at = power.unsigned_abs() as usize;
    let ten = *FLOAT_POWERS_OF_TEN.get(at)?;
    Some(match (significand <= EXACT_MAX, power < 0) {
        (true, true) => significand as i64 as f64 / ten,
        (true, false) => significand as i64 as f64 * ten,
        (false, true) => divided(significand, at),
        (false, false) => (u128::from(significand) * u128::from(POWERS_OF_TEN[at])) as f64,
    })
}

/// `significand / 10^power`, rounded once, for a significand of 54 bits or more. The quotient of integers has 62 or more, and whether there was a
/// remainder goes into the lowest, so that rounding it is rounding the exact one.
fn divided(significand: u64, power: usize) -> f64 {
    let by = RECIPROCALS[power];
    let up = significand.leading_zeros();
    let dividend = significand << up;
    let (quotient, rest) = by.divide(dividend >> 1, dividend << 63);
    // Far from the ends of the range, so that this is exact.
    let exponent = by.up as i32 - up as i32 - 63;
    (quotient | u64::from(rest != 0)) as f64 * f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cold]
fn any_number(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // One NaN, whatever sign it was written with.
    Some(if value.is_nan() { f64::NAN } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let expected: Option<f64> = text.parse().ok();
        assert_eq!(number(text.as_bytes()).map(f64::to_bits), expected.map(f64::to_bits), "{text:?}");
        check_leading(text);
    }

    /// Whatever follows, a number that is found at the start and all of it is the same.
    fn check_leading(text: &str) {
        for after in [",", "\n", "\r", "/:;", " 9"] {
            let mut padded = [b'7'; LEADING_BYTES];
            let len = (text.len() + after.len()).min(LEADING_BYTES);
            padded[..len].copy_from_slice(&[text.as_bytes(), after.as_bytes()].concat()[..len]);
            if let Some((value, bytes)) = leading(&padded)
                && bytes == text.len()
            {
                assert_eq!(Some(value.to_bits()), text.parse().ok().map(f64::to_bits), "{text:?} before {after:?}");
            }
        }
    }

    #[test]
    fn usual_numbers_are_read_at_the_start_of_a_text() {
        for (text, bytes) in [
            ("0,", 1),
            ("-0.0,", 4),
            ("12345678,", 8),
            ("1234567812345678.123\n", 20),
            ("0.1234567890123456789,", 0),
            ("0.123456789012345678,", 20),
            ("1.234567890123456789e+00,", 24),
            ("-9.5E-07\r", 8),
            ("5.,", 2),
            (".5,", 2),
            ("1e400,", 0),
            ("1e,", 0),
            (".,", 0),
            ("-,", 0),
            ("nan,", 0),
            (" 1,", 0),
        ] {
            let mut padded = [b'1'; LEADING_BYTES];
            padded[..text.len()].copy_from_slice(text.as_bytes());
            let expected = (bytes > 0).then(|| (text[..bytes].parse::<f64>().unwrap().to_bits(), bytes));
            assert_eq!(leading(&padded).map(|(value, bytes)| (value.to_bits(), bytes)), expected, "{text:?}");
        }
        assert_eq!(leading(&[b'1'; LEADING_BYTES]), None, "longer than any word");
    }

    #[test]
    fn quotients_half_way_between_two_numbers_are_rounded_to_the_even_one() {
        // (2^53 + odd) / 2 and the like, written out, with a digit more and less at the end.
        for text in [
            "4503599627370496.5",
            "4503599627370497.5",
            "9007199254740993.0",
            "9007199254740993.1",
            "9007199254740992.9",
            "18014398509481990",
            "18014398509481986.0",
            "1125899906842624.125",
            "1125899906842624.375",
            "562949953421312.0625",
            "562949953421312.1875",
            "9007199254740993e1",
            "9223372036854775807e19",
            "9999999999999999999e-19",
            "9999999999999999999e19",
        ] {
            check(text);
        }
    }

    #[test]
    fn every_notation_is_read_as_the_standard_library_reads_it() {
        for text in [
            "0",
            "-0",
            "00.500",
            ".5",
            "5.",
            ".",
            "",
            "-",
            "-.",
            "+1.5",
            "1e5",
            "1E-400",
            "1e999",
            "9007199254740991",
            "9007199254740992",
            "9007199254740993",
            "9007199254740992.5",
            "1234567890123456789",
            "12345678901234567890",
            "0.1234567890123456789",
            ".9007199254740991",
            "123456789012345678901234567890",
            "1.2.3",
            "1,5",
            "0x10",
            "1_0",
            "inf",
            "-Infinity",
            "NaN",
            "nan",
            "abc",
            "１",
            "0000000000000000000.1",
            "0.0000000000000000001",
            "0.00000000000000000001",
        ] {
            check(text);
        }
        assert_eq!(number(b"-nan").map(f64::to_bits), Some(f64::NAN.to_bits()));
        assert_eq!(number(b"\xff"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]
        #[test]
        fn decimals_have_the_bits_that_the_standard_library_gives(text in "-?[0-9]{0,20}\\.?[0-9]{0,20}(e-?[0-9]{1,3})?") {
            let expected: Option<f64> = text.parse().ok();
            prop_assert_eq!(number(text.as_bytes()).map(f64::to_bits), expected.map(f64::to_bits), "{}", text);
            check_leading(&text);
        }

        #[test]
        fn numbers_written_in_full_are_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            for text in [format!("{value}"), format!("{value:e}"), format!("{value:.18e}"), format!("{:.3}", value % 1e6)] {
                check_leading(&text);
            }
        }

        #[test]
        fn words_by_powers_of_ten_are_rounded_as_the_standard_library_does(significand: u64, power in -19..20i32) {
            let text = format!("{significand}e{power}");
            prop_assert_eq!(scaled(significand, power).map(f64::to_bits), text.parse().ok().map(f64::to_bits), "{}", text);
        }
    }
}
