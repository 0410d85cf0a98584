//! Where an axis has its marks, and what stands there.

use crate::report::figures;

/// What the figures along an axis mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Times in milliseconds: `12.3 ms`.
    Ms,
    /// Sizes in bytes: `1.50 GiB`.
    Bytes,
    /// Whole things: `1,234,567`.
    Count,
    /// So many a second: `812 M/s`.
    PerSecond,
    /// So many bytes a second: `12.3 GB/s`.
    BytesPerSecond,
    /// How many times as much: `1.25x`.
    Ratio,
    /// A share of one: `12.5 %`.
    Share,
    /// A bare number.
    Number,
}

impl Unit {
    /// A value as it is shown in a table.
    pub fn show(self, value: f64) -> String {
        if !value.is_finite() {
            return "-".to_owned();
        }
        match self {
            Self::Ms => figures::time_ms(value),
            Self::Bytes => figures::bytes(value.max(0.0).round() as u64),
            Self::Count if value.fract() == 0.0 || value >= 1e6 => figures::whole(value.max(0.0).round() as u64),
            Self::PerSecond => figures::rate(value),
            Self::BytesPerSecond => figures::rate(value).replace("/s", "B/s"),
            Self::Ratio => format!("{}x", number(value)),
            Self::Share => format!("{} %", number(value * 100.0)),
            Self::Count | Self::Number => number(value),
        }
    }

    /// A value as it stands at a mark: round, so without zeros at its end.
    pub(super) fn mark(self, value: f64) -> String {
        let text = match self {
            // Sizes of problems go far.
            Self::Count | Self::Number if value >= 1e6 => figures::rate(value).replace("/s", "").trim_end().to_owned(),
            _ => self.show(value),
        };
        let text = text.strip_suffix(" 0 s").or_else(|| text.strip_suffix(" 0 min")).unwrap_or(&text);
        // The figure comes first, its unit after it.
        let end = text.find(|c: char| !c.is_ascii_digit() && !",.".contains(c)).unwrap_or(text.len());
        let (figure, unit) = text.split_at(end);
        let figure = if figure.contains('.') { figure.trim_end_matches('0').trim_end_matches('.') } else { figure };
        format!("{figure}{unit}")
    }
}

fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e6).contains(&size) => format!("{value:.2e}"),
        _ if size >= 99.95 => format!("{value:.0}"),
        _ if size >= 9.995 => format!("{value:.1}"),
        _ if size >= 0.995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// At most about `most` marks from `low` to `high` on an axis with even steps.
pub(super) fn even(unit: Unit, low: f64, high: f64, most: usize) -> Vec<f64> {
    let least = (high - low) / most.max(1) as f64;
    if !(least > 0.0 && least.is_finite()) {
        return vec![low];
    }
    let step = match unit {
        Unit::Ms if least >= 10_000.0 => long_step(least),
        Unit::Bytes if least >= 1.0 => {
            let scale = 1024_f64.powf(least.log(1024.0).floor());
            // After 500 KiB comes 1 MiB.
            let step = one_two_five(least / scale);
            if step >= 1000.0 { 1024.0 * scale } else { step * scale }
        }
        Unit::Count => one_two_five(least).max(1.0),
        _ => one_two_five(least),
    };
    let first = (low / step).ceil();
    // A thousandth of a step is how far rounding may have come.
    (0..).map(|at| (first + f64::from(at)) * step).take_while(|mark| *mark <= high + step * 1e-3).collect()
}

/// The least of 1, 2, 5, 10, 20, … that is as large.
fn one_two_five(least: f64) -> f64 {
    let scale = 10_f64.powf(least.log10().floor());
    let lead = least / scale;
    let steps = [1.0, 2.0, 5.0, 10.0];
    steps.into_iter().find(|step| *step >= lead * (1.0 - 1e-9)).unwrap_or(10.0) * scale
}

/// A step of seconds, minutes, hours or days.
fn long_step(least_ms: f64) -> f64 {
    const MIN: f64 = 60e3;
    const HOUR: f64 = 3.6e6;
    const DAY: f64 = 8.64e7;
    let steps = [
        10e3,
        20e3,
        30e3,
        MIN,
        2.0 * MIN,
        5.0 * MIN,
        10.0 * MIN,
        20.0 * MIN,
        30.0 * MIN,
        HOUR,
        2.0 * HOUR,
        3.0 * HOUR,
        6.0 * HOUR,
        12.0 * HOUR,
    ];
    steps.into_iter().find(|step| *step >= least_ms).unwrap_or_else(|| one_two_five((least_ms / DAY).max(1.0)) * DAY)
}

/// At most about `most` marks from `low` to `high`, both above 0, on a logarithmic axis.
pub(super) fn decades(unit: Unit, low: f64, high: f64, most: usize) -> Vec<f64> {
    if !(low > 0.0 && high >= low && high.is_finite()) {
        return Vec::new();
    }
    if unit == Unit::Ms && high > 200e3 {
        return long_decades(low, high);
    }
    let base: f64 = if unit == Unit::Bytes { 1024.0 } else { 10.0 };
    let between: &[f64] = if unit == Unit::Bytes { &[1.0, 4.0, 16.0, 64.0, 256.0] } else { &[1.0, 2.0, 5.0] };
    let (first, last) = ((low.log(base) - 1e-9).floor() as i32, (high.log(base) + 1e-9).floor() as i32);
    let within = |mark: &f64| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(mark);
    let every = |steps: &[f64], stride: usize| -> Vec<f64> {
        let powers = (first..=last).filter(|power| power.rem_euclid(stride as i32) == 0);
        powers.flat_map(|power| steps.iter().map(move |step| step * base.powi(power))).filter(within).collect()
    };
    let fine = every(between, 1);
    if fine.len() <= most {
        return fine;
    }
    (1..).map(|stride| every(&[1.0], stride)).find(|marks| marks.len() <= most.max(1)).unwrap_or_default()
}

/// Decades of seconds, then minutes, hours and days as people count them.
fn long_decades(low: f64, high: f64) -> Vec<f64> {
    let short = (-6..=4).map(|power| 10_f64.powi(power));
    let long = [60e3, 600e3, 3.6e6, 3.6e7, 8.64e7 * 5.0, 8.64e7 * 50.0, 8.64e7 * 500.0];
    let marks: Vec<f64> = short.chain(long).filter(|mark| (low..=high).contains(mark)).collect();
    let stride = marks.len().div_ceil(9).max(1);
    marks.into_iter().step_by(stride).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(unit: Unit, marks: &[f64]) -> String {
        marks.iter().map(|&mark| unit.mark(mark)).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn even_marks_are_round_in_their_unit() {
        let shown = |unit, low, high| marks(unit, &even(unit, low, high, 6));
        assert_eq!(shown(Unit::Ms, 0.0, 950.0), "0 ms | 200 ms | 400 ms | 600 ms | 800 ms");
        assert_eq!(shown(Unit::Ms, 0.0, 2600.0), "0 ms | 500 ms | 1 s | 1.5 s | 2 s | 2.5 s");
        assert_eq!(shown(Unit::Ms, 0.0, 4.0 * 60e3), "0 ms | 60 s | 2 min | 3 min | 4 min");
        assert_eq!(shown(Unit::Ms, 0.0, 30.0 * 3.6e6), "0 ms | 6 h | 12 h | 18 h | 24 h | 30 h");
        assert_eq!(shown(Unit::Bytes, 0.0, 3.2e9), "0 B | 1 GiB | 2 GiB");
        assert_eq!(shown(Unit::Bytes, 0.0, 900.0 * 1024.0), "0 B | 200 KiB | 400 KiB | 600 KiB | 800 KiB");
        assert_eq!(shown(Unit::Count, 0.0, 3.0), "0 | 1 | 2 | 3");
        assert_eq!(shown(Unit::Count, 0.0, 1e7), "0 | 2 M | 4 M | 6 M | 8 M | 10 M");
        assert_eq!(shown(Unit::Share, 0.0, 1.0), "0 % | 20 % | 40 % | 60 % | 80 % | 100 %");
        assert_eq!(even(Unit::Ms, 5.0, 5.0, 6), [5.0], "an axis of no length has one mark");
    }

    #[test]
    fn logarithmic_marks_are_decades_as_many_as_there_is_room_for() {
        let shown = |unit, low, high, most| marks(unit, &decades(unit, low, high, most));
        assert_eq!(shown(Unit::Ms, 0.01, 1000.0, 8), "10 us | 100 us | 1 ms | 10 ms | 100 ms | 1 s");
        assert_eq!(shown(Unit::Ms, 0.9, 25.0, 8), "1 ms | 2 ms | 5 ms | 10 ms | 20 ms");
        assert_eq!(shown(Unit::Count, 1.0, 1e12, 5), "1 | 1,000 | 1 M | 1 G | 1 T");
        assert_eq!(shown(Unit::Bytes, 1e3, 1e10, 6), "1 KiB | 1 MiB | 1 GiB");
        assert_eq!(
            shown(Unit::Ms, 100.0, 8e6, 8),
            "100 ms | 1 s | 10 s | 60 s | 10 min | 60 min",
            "people count long times in minutes and hours"
        );
        assert!(decades(Unit::Ms, 0.0, 1.0, 8).is_empty(), "there is no mark for 0");
    }

    #[test]
    fn a_mark_never_lies_outside_its_axis() {
        for unit in [Unit::Ms, Unit::Bytes, Unit::Count, Unit::PerSecond, Unit::Ratio, Unit::Share, Unit::Number] {
            for power in -6..12 {
                for lead in [1.0, 1.7, 3.3, 9.9] {
                    let high = lead * 10_f64.powi(power);
                    for most in [2, 5, 9] {
                        let even = even(unit, 0.0, high, most);
                        assert!(
                            even.iter().all(|mark| (0.0..=high * 1.002).contains(mark)),
                            "{unit:?} {high}: {even:?}"
                        );
                        assert!(!even.is_empty() && even.len() <= most + 1, "{unit:?} {high} {most}: {even:?}");
                        let decades = decades(unit, high * 1e-3, high, most);
                        assert!(decades.iter().all(|mark| (high * 0.999e-3..=high * 1.001).contains(mark)));
                        assert!(decades.is_sorted());
                    }
                }
            }
        }
    }

    #[test]
    fn values_are_shown_as_everywhere_else() {
        assert_eq!(Unit::Ms.show(12.34), "12.3 ms");
        assert_eq!(Unit::Bytes.show(1536.0), "1.50 KiB");
        assert_eq!(Unit::BytesPerSecond.show(12.3e9), "12.3 GB/s");
        assert_eq!(Unit::Ratio.show(1.25), "1.25x");
        assert_eq!(Unit::Share.show(0.125), "12.5 %");
        assert_eq!(Unit::Count.show(1234.0), "1,234");
        assert_eq!(Unit::Number.show(f64::NAN), "-");
    }
}
