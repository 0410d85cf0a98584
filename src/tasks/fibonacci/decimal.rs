//! Decimal digits of long integers, by halves: division by a power of ten of half the length, then both parts in turn (Knuth,
//! "The Art of Computer Programming", volume 2, section 4.4). As fast as num-bigint's own, which cannot be cancelled.

use num_bigint::BigUint;
use num_integer::Integer;

use crate::job::JobError;
use crate::tasks::fibonacci::Check;

/// Parts of up to so many digits are left to num-bigint.
const PART_DIGITS: u32 = 2000;

/// The decimal digits of `value`.
///
/// # Errors
/// Those of `check`.
pub(super) fn digits(value: &BigUint, check: &Check<'_>) -> Result<String, JobError> {
    // 2^10 is above 10^3.
    if value.bits() / 10 * 3 < u64::from(PART_DIGITS) {
        return Ok(value.to_string());
    }
    let mut powers = vec![BigUint::from(10u8).pow(PART_DIGITS)];
    while let Some(last) = powers.last()
        && last.bits() * 2 <= value.bits() + 1
    {
        check()?;
        let square = last * last;
        powers.push(square);
    }
    let mut digits = String::new();
    push(value, &powers, &mut digits, check)?;
    Ok(digits)
}

/// Appends the digits of `value`, which is below the square of the last power, with zeros before them unless they are the
/// first.
fn push(value: &BigUint, powers: &[BigUint], digits: &mut String, check: &Check<'_>) -> Result<(), JobError> {
    let Some((power, lower)) = powers.split_last() else {
        let part = value.to_string();
        if !digits.is_empty() {
            digits.extend(std::iter::repeat_n('0', PART_DIGITS as usize - part.len()));
        }
        digits.push_str(&part);
        return Ok(());
    };
    if digits.is_empty() && value < power {
        return push(value, lower, digits, check);
    }
    check()?;
    let (quotient, remainder) = value.div_rem(power);
    push(&quotient, lower, digits, check)?;
    push(&remainder, lower, digits, check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_that_the_crate_gives() {
        let ten = BigUint::from(10u8);
        for len in [0, 1, 1999, 2000, 2001, 3999, 4000, 4001, 8000, 16_000, 16_001, 40_000] {
            let power = ten.pow(len);
            for value in [power.clone(), &power - 1u8, &power + 1u8, &power * 7u8 - &power / 3u8, &power << 5] {
                assert!(digits(&value, &|| Ok(())).unwrap() == value.to_string(), "about 10^{len}");
            }
        }
        assert_eq!(digits(&BigUint::ZERO, &|| Ok(())).unwrap(), "0");
    }
}
