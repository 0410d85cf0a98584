//! Times as people write them: `30s`, `500ms`, `1.5m`, or a number of seconds.

use std::time::Duration;

use crate::job::parse_duration;

/// Parses a time of at least a millisecond and at most `longest`.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub(super) fn parse(text: &str, longest: Duration) -> Result<Duration, String> {
    of_seconds(parse_duration(text)?.as_secs_f64(), longest)
}

/// The time of so many seconds.
///
/// # Errors
/// Where it is out of bounds.
pub(super) fn of_seconds(seconds: f64, longest: Duration) -> Result<Duration, String> {
    if seconds.is_nan() || seconds < 1e-3 {
        return Err(format!("{seconds} s is too short: give at least 1ms"));
    }
    if seconds > longest.as_secs_f64() {
        return Err(format!("{seconds} s is too long: give at most {}s", longest.as_secs()));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A time as it is written in messages.
pub(super) fn shown(time: Duration) -> String {
    if time.subsec_nanos() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_secs_f64() * 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn times_are_read_with_and_without_units() {
        for (text, ms) in
            [("30s", 30_000), ("500ms", 500), ("30", 30_000), ("0.25", 250), ("1.5m", 90_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse(text, HOUR), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_how_to_write_one() {
        for text in ["", "s", "-1s", "1.2.3s", "é", "inf", "NaN", "1e3"] {
            assert!(parse(text, HOUR).unwrap_err().contains("is no time: write it as in"), "{text}");
        }
        assert!(parse("0.0001", HOUR).unwrap_err().contains("too short"));
        assert!(parse("2h", HOUR).unwrap_err().contains("at most 3600s"));
        assert!(of_seconds(f64::NAN, HOUR).is_err() && of_seconds(f64::INFINITY, HOUR).is_err());
    }

    #[test]
    fn times_are_shown_with_their_unit() {
        assert_eq!(shown(Duration::from_secs(30)), "30 s");
        assert_eq!(shown(Duration::from_millis(1500)), "1500 ms");
    }
}
