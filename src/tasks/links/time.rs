//! How long a page may take.

use std::time::Duration;

use crate::job::parse_duration;
use crate::tasks::links::MAX_TIMEOUT;

/// The time that a page is given, as people write times.
///
/// # Errors
/// Where it is none, or out of bounds.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    check(time).map(|()| time)
}

/// Whether a page may be given this time.
///
/// # Errors
/// What to give instead.
pub(super) fn check(time: Duration) -> Result<(), String> {
    if (Duration::from_millis(1)..=MAX_TIMEOUT).contains(&time) {
        return Ok(());
    }
    Err(format!("{} for a page: give it 1 ms to {}", shown(time), shown(MAX_TIMEOUT)))
}

/// A time as it is written in messages.
pub(super) fn shown(time: Duration) -> String {
    if time.subsec_nanos() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_secs_f64() * 1e3) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_page_has_bounds() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1h"), Ok(MAX_TIMEOUT));
        assert!(parse("soon").unwrap_err().contains("`soon` is no time: write it as in"));
        assert_eq!(parse("2h").unwrap_err(), "7200 s for a page: give it 1 ms to 3600 s");
        assert_eq!(parse("0.0005s").unwrap_err(), "0.5 ms for a page: give it 1 ms to 3600 s");
    }
}
