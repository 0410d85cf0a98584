//! Figures for people: times, bytes, counts, rates, in three digits and a unit.

use std::time::Duration;

/// Three significant digits: `1.23`, `12.3`, `123`, `1230`.
fn three_digits(value: f64) -> String {
    match value.abs() {
        // What would round up to the next power of ten counts as there already.
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A time in milliseconds: `850 ns`, `12.3 us`, `1.20 ms`, `2.50 s`, `3 min 20 s`, `2 h 5 min`, `8 days`.
pub fn time_ms(ms: f64) -> String {
    if !ms.is_finite() {
        return "-".to_owned();
    }
    match ms.max(0.0) {
        0.0 => "0 ms".to_owned(),
        ms if ms < 0.000_999_5 => format!("{:.0} ns", ms * 1e6),
        ms if ms < 0.999_5 => format!("{} us", three_digits(ms * 1e3)),
        ms if ms < 999.5 => format!("{} ms", three_digits(ms)),
        ms if ms < 119_950.0 => format!("{} s", three_digits(ms / 1e3)),
        ms => {
            let s = (ms / 1e3).round();
            if s < 7200.0 {
                format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0)
            } else {
                let min = (s / 60.0).round();
                let (hours, days) = (min / 60.0, min / 1440.0);
                match days {
                    days if days < 2.0 => format!("{:.0} h {:.0} min", hours.floor(), min % 60.0),
                    days if days < 730.0 => format!("{days:.0} days"),
                    days => format!("{} years", whole((days / 365.25).round() as u64)),
                }
            }
        }
    }
}

/// The same of a duration.
pub fn time(duration: Duration) -> String {
    time_ms(duration.as_secs_f64() * 1e3)
}

/// A size in bytes: `512 B`, `1.50 GiB`.
pub fn bytes(count: u64) -> String {
    if count < 1024 {
        return format!("{count} B");
    }
    let (mut value, mut unit) = (count as f64, 0);
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    value /= 1024.0;
    while value >= 1023.5 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(value), units[unit])
}

/// A whole number in groups of three: `1,234,567`.
pub fn whole(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A rate: `812 M/s`, `1.20 G/s`.
pub fn rate(per_second: f64) -> String {
    if !per_second.is_finite() || per_second < 0.0 {
        return "-".to_owned();
    }
    let (mut value, mut prefix) = (per_second, 0);
    let prefixes = ["", "k", "M", "G", "T", "P"];
    while value >= 999.5 && prefix + 1 < prefixes.len() {
        value /= 1000.0;
        prefix += 1;
    }
    format!("{} {}/s", three_digits(value), prefixes[prefix])
}

/// `1 job`, `2 jobs`, `1,000 jobs`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", whole(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_the_unit_that_fits() {
        for (ms, expected) in [
            (0.0, "0 ms"),
            (0.000_85, "850 ns"),
            (0.001, "1.00 us"),
            (0.012_34, "12.3 us"),
            (0.999_4, "999 us"),
            (0.999_6, "1.00 ms"),
            (9.996, "10.0 ms"),
            (1.2, "1.20 ms"),
            (999.6, "1.00 s"),
            (2_500.0, "2.50 s"),
            (119_900.0, "120 s"),
            (200_000.0, "3 min 20 s"),
            (7_500_000.0, "2 h 5 min"),
            (200.0 * 3.6e6, "8 days"),
            (4.2e7 * 3.6e6, "4,791 years"),
            (-1.0, "0 ms"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(time_ms(ms), expected, "{ms}");
        }
    }

    #[test]
    fn sizes_counts_and_rates_carry_their_units() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.50 KiB");
        assert_eq!(bytes(1 << 30), "1.00 GiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(whole(0), "0");
        assert_eq!(whole(999), "999");
        assert_eq!(whole(1_234_567), "1,234,567");
        assert_eq!(whole(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(rate(812.4e6), "812 M/s");
        assert_eq!(rate(999.9e6), "1.00 G/s");
        assert_eq!(counted(1, "job", "jobs"), "1 job");
        assert_eq!(counted(1000, "job", "jobs"), "1,000 jobs");
    }
}
