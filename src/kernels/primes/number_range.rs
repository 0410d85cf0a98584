//! A range of numbers as people write it: `A..B` (end excluded), `A..=B`.

use crate::job::{IntegerError, parse_integer};

/// The numbers from `start` on, below `end`, which is at most 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NumberRange {
    start: u128,
    end: u128,
}

/// The greatest end of a range, excluded: 2^64.
const LIMIT: i128 = 1 << 64;

impl NumberRange {
    /// The numbers of `start..end`.
    ///
    /// # Errors
    /// Where an end lies outside 0..=2^64, or the start after the end.
    pub fn new(start: i128, end: i128) -> Result<Self, String> {
        for (which, value) in [("start", start), ("end", end)] {
            if !(0..=LIMIT).contains(&value) {
                return Err(outside(which, value));
            }
        }
        if start > end {
            return Err(format!("the range {start}..{end} ends before it starts: swap its ends"));
        }
        Ok(Self { start: start.unsigned_abs(), end: end.unsigned_abs() })
    }

    /// Parses `A..B` (end excluded) or `A..=B`, where B may be 2^64 too, which is no prime; see [`parse_integer`] for the numbers.
    ///
    /// # Errors
    /// Where it is none, with what is wrong and how a range is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((start, end)) = text.split_once("..") else {
            return Err(format!("`{text}` is no range: write A..B (end excluded) or A..=B, as in 0..1e10"));
        };
        let (inclusive, end) = match end.strip_prefix('=') {
            Some(end) => (true, end),
            None => (false, end),
        };
        let integer = |which: &str, text: &str| {
            parse_integer(text.trim().as_bytes()).map_err(|error| match error {
                IntegerError::TooHigh | IntegerError::TooLow => outside(which, text.trim()),
                _ => format!("the {which} of the range, `{text}`, {error}"),
            })
        };
        let (start, end) = (integer("start", start)?, integer("end", end)?);
        if !inclusive {
            return Self::new(start, end);
        }
        if start > end {
            return Err(format!("the range {start}..={end} ends before it starts: swap its ends"));
        }
        // 2^64 is no prime: a range with it is the range without it.
        Self::new(start, if end < LIMIT { end + 1 } else { end })
    }

    /// The first number, where there is one.
    pub fn start(&self) -> u128 {
        self.start
    }

    /// The first number after the range, at most 2^64.
    pub fn end(&self) -> u128 {
        self.end
    }

    /// How many numbers it has.
    pub fn len(&self) -> u128 {
        self.end - self.start
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether `number` is in it.
    pub fn contains(&self, number: u64) -> bool {
        (self.start..self.end).contains(&u128::from(number))
    }
}

fn outside(which: &str, value: impl std::fmt::Display) -> String {
    let excluded = if which == "end" { ", which itself is never in it" } else { "" };
    format!("the {which} of a range, {value}, must lie from 0 to 18446744073709551616 (2^64){excluded}")
}

impl std::fmt::Display for NumberRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<(u128, u128), &str>) {
        let found = NumberRange::parse(text);
        match (&found, expect) {
            (Ok(range), Ok(ends)) => assert_eq!((range.start(), range.end()), ends, "{text}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            _ => panic!("{text}: {found:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn ranges_are_read_with_their_end_excluded_or_included() {
        check("0..1e10", Ok((0, 10_000_000_000)));
        check("10_000..=10_006", Ok((10_000, 10_007)));
        check("5..5", Ok((5, 5)));
        check("5..=5", Ok((5, 6)));
        check("0 .. 7", Ok((0, 7)));
        check("18446744073709551557..18446744073709551616", Ok(((1 << 64) - 59, 1 << 64)));
        check("0..=18446744073709551615", Ok((0, 1 << 64)));
        check("7..=18446744073709551616", Ok((7, 1 << 64)));
        check("18446744073709551616..=18446744073709551616", Ok((1 << 64, 1 << 64)));
        check("18446744073709551616..18446744073709551616", Ok((1 << 64, 1 << 64)));
    }

    #[test]
    fn what_is_no_range_says_why() {
        check("7", Err("`7` is no range"));
        check("..7", Err("the start of the range, ``, is empty"));
        check("7..", Err("the end of the range, ``, is empty"));
        check("7..x", Err("the end of the range, `x`, is not an integer"));
        check("1...7", Err("is not an integer"));
        check("7..6", Err("ends before it starts"));
        check("7..=6", Err("ends before it starts"));
        check("-1..6", Err("must lie from 0"));
        check("0..18446744073709551617", Err("must lie from 0"));
        check("0..=18446744073709551617", Err("must lie from 0 to 18446744073709551616 (2^64)"));
        check("0..-1e400", Err("the end of a range, -1e400, must lie from 0"));
        check("0..2.5", Err("is not a whole number"));
        check("0..1e40", Err("the end of a range, 1e40, must lie from 0 to 18446744073709551616 (2^64), which"));
    }
}
