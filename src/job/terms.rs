//! What a job asks of the run, whatever its kind: which jobs it waits for, how long it may take, how often it is tried.

use std::ops::Range;
use std::time::Duration;

/// The greatest and, negated, the least priority.
pub const PRIORITY_MAX: i32 = 1000;

/// What a job asks of the run. What it leaves out is the run's to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The places in the run of the jobs that have to succeed before it begins; all of them lie before its own.
    pub after: Vec<Range<u64>>,
    /// Jobs of higher priority begin first; 0 if left out.
    pub priority: i32,
    /// How long it may take from its begin, queueing not counted.
    pub timeout: Option<Duration>,
    /// How often it is tried again where it failed of something that can pass.
    pub retries: Option<u32>,
    /// How much memory it needs, in bytes; where left out, tandem finds out by itself.
    pub memory_bytes: Option<u64>,
}

impl Terms {
    /// Whose turn it is: the greatest comes first. Of one priority, what goes on with work that others have begun comes before what
    /// begins anew: a chain of jobs ends early, and all its stages are busy.
    pub(crate) fn turn(&self) -> i32 {
        2 * self.priority + i32::from(!self.after.is_empty())
    }
}

/// The longest time that somebody can ask for: added to any clock, it is a time still.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

/// A duration as people write it: `30s`, `500ms`, `2m`, `1.5h`, `1d`, or seconds without a unit; none of 0.
///
/// # Errors
/// What to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_wait(text)?;
    if duration.is_zero() {
        return Err("a time of 0 leaves no job any: leave it out where there is to be no limit".to_owned());
    }
    Ok(duration)
}

/// A duration as with [`parse_duration`]; of 0, too, where that means not to wait at all.
pub(crate) fn parse_wait(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{}` is no time: write it as in 500ms, 30s, 10m, 1.5h", crate::job::shorten(text));
    let number_len = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = text.split_at(number_len);
    let seconds_per_unit = match unit.trim() {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let duration = Duration::try_from_secs_f64(number * seconds_per_unit).map_err(|_| wrong())?;
    if duration > LONGEST {
        let text = crate::job::shorten(text);
        return Err(format!("`{text}` is more than a hundred years: leave it out where there is to be no limit"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_a_unit() {
        for (text, ms) in
            [("500ms", 500), ("30s", 30_000), ("30", 30_000), ("1.5h", 5_400_000), ("2 m", 120_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-5s", "5 parsecs", "1e3", "..s", "99999999999999999999d"] {
            assert!(parse_duration(text).unwrap_err().contains("is no time"), "{text}");
        }
        assert_eq!(parse_duration("36500d"), Ok(Duration::from_secs(36_500 * 86_400)));
        for text in ["36601d", "18446744073709549568s", "17000000000000000000"] {
            assert!(parse_duration(text).unwrap_err().contains("hundred years"), "{text}");
        }
        for none in ["0", "0s", "0.0m"] {
            assert!(parse_duration(none).unwrap_err().contains("leave it out"));
            assert_eq!(parse_wait(none), Ok(Duration::ZERO), "{none}");
        }
        assert!(parse_wait("soon").unwrap_err().contains("is no time"));
    }
}
