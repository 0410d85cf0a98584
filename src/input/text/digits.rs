//! Decimal digits, eight at a time in a word: which of the bytes are digits, and what they are worth, by a few operations on all eight
//! (D. Lemire, Quickly parsing eight digits, 2018).

/// How many bytes from the start of a number [`number`] looks at: three words.
pub(super) const REACH_BYTES: usize = 24;

const ONES: u64 = 0x0101_0101_0101_0101;

/// The number whose digits `text` begins with, and how many they are; `None` where there are none, or more than a `u64` holds, or more
/// than twenty.
#[inline(always)]
pub(super) fn number(text: &[u8; REACH_BYTES]) -> Option<(u64, usize)> {
    let (first, len) = word(text, 0);
    if len < 8 {
        return (len > 0).then_some((first, len));
    }
    let (second, more) = word(text, 8);
    let value = first * POWERS_OF_TEN[more] + second;
    if more < 8 {
        return Some((value, 8 + more));
    }
    let (third, more) = word(text, 16);
    match more {
        // Nineteen digits always fit.
        ..4 => Some((value * POWERS_OF_TEN[more] + third, 16 + more)),
        4 => Some((value.checked_mul(POWERS_OF_TEN[4])?.checked_add(third)?, 20)),
        _ => None,
    }
}

const POWERS_OF_TEN: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The value of the digits that stand at `at`, up to eight of them, and how many they are.
#[inline(always)]
fn word(text: &[u8; REACH_BYTES], at: usize) -> (u64, usize) {
    let bytes: [u8; 8] = text[at..at + 8].try_into().expect("eight bytes");
    // The first character is the lowest byte. A digit is now 0 to 9.
    let digits = u64::from_le_bytes(bytes) ^ (ONES * u64::from(b'0'));
    // The top bit of a byte above 9 is set by adding 118, or already; a carry spoils only bytes after such a one.
    let others = (digits.wrapping_add(ONES * 0x76) | digits) & (ONES * 0x80);
    let len = others.trailing_zeros() as usize / 8;
    // The last digit becomes the top byte, and zeros come before the first.
    let digits = if len == 8 { digits } else { (digits << (56 - 8 * len)) << 8 };
    (eight_digits(digits), len)
}

/// The number whose eight digits are the bytes, the first the lowest.
#[inline(always)]
fn eight_digits(digits: u64) -> u64 {
    // Pairs of digits in every second byte, then fours, then eight.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    let first = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let second = (pairs >> 16 & PAIRS).wrapping_mul(1 + (10_000 << 32));
    first.wrapping_add(second) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(text: &[u8]) -> &[u8; REACH_BYTES] {
        text.first_chunk().expect("it is long enough")
    }

    #[track_caller]
    fn check(text: &str) {
        for after in ["\n", "\r\n", " ", "/", ":", "\0", "\u{b0}", "\u{ff}", "x", "e5", ".", "-", "_"] {
            let padded = format!("{text}{after}{}", "9".repeat(REACH_BYTES));
            let expected = text.parse().ok().filter(|_| text.len() <= 20).map(|value: u64| (value, text.len()));
            assert_eq!(number(start(padded.as_bytes())), expected, "{padded:?}");
        }
    }

    #[test]
    fn digits_of_every_length_have_the_value_that_the_standard_library_gives() {
        for len in 1..=22 {
            for digit in ["0", "1", "5", "9"] {
                check(&digit.repeat(len));
            }
            check(&"12345678901234567890123"[..len]);
        }
        for edge in ["18446744073709551615", "18446744073709551616", "18446744073709551620", "00000000000000000007"] {
            check(edge);
        }
        check("");
    }

    #[test]
    fn every_byte_that_is_no_digit_ends_a_number() {
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
            for len in 0..=20 {
                // What follows must not matter, a carry least of all.
                for next in [b'0', b'9', 0, 0xff, byte] {
                    let mut text = vec![b'1'; len];
                    text.push(byte);
                    text.resize(len + 1 + REACH_BYTES, next);
                    let ones = (0..len).fold(0_u64, |ones, _| ones * 10 + 1);
                    assert_eq!(number(start(&text)), (len > 0).then_some((ones, len)), "{byte} after {len} digits");
                }
            }
        }
    }

    #[test]
    fn random_digits_have_their_value() {
        let seed = 6;
        let mut random = crate::random::SplitMix64(seed);
        for _ in 0..100_000 {
            check_one(random.next_u64() >> (random.next_u64() % 64), seed);
        }
    }

    fn check_one(value: u64, seed: u64) {
        let text = value.to_string();
        let padded = format!("{text}\n{}", "7".repeat(REACH_BYTES));
        assert_eq!(number(start(padded.as_bytes())), Some((value, text.len())), "seed {seed}");
    }
}
