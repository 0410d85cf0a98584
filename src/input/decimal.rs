//! Decimal numbers, correctly rounded.

/// Powers of ten that an `f64` holds exactly, as far as a number of 19 digits needs them.
const POWERS_OF_TEN: [f64; 20] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19];

/// The nearest `f64` to the decimal `text`; `nan`, `inf` and `infinity`, signed or not, in any case, are themselves. `None`
/// where it is none of these.
///
/// Most decimals are a whole number below 2^53 divided by a small power of ten: both are exact, so one division rounds
/// correctly (W. Clinger, How to read floating point numbers accurately, 1990). The standard library reads the others.
#[inline]
pub(crate) fn number(text: &[u8]) -> Option<f64> {
    const EXACT_MAX: u64 = 1 << 53;
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
    if digits.len() > 20 || !(1..=19).contains(&digit_count) || significand > EXACT_MAX {
        return any_number(text);
    }
    let fraction_digits = point.map_or(0, |point| digit_count - point);
    let magnitude = significand as f64 / POWERS_OF_TEN[fraction_digits];
    Some(if is_negative { -magnitude } else { magnitude })
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
        }
    }
}
