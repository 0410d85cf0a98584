//! What is asked of the data, whatever the data is.

use crate::exact::{Decimal, DecimalError};
use crate::kernels::fields::shorten;
use crate::kernels::stats::answer::text_of_f64;

/// The most quantiles that one job may ask for.
pub const MAX_QUANTILES: usize = 10_000;

/// The most bins of a histogram.
pub const MAX_BINS: u32 = 1_000_000;

/// What a `stats` job asks of its data.
#[derive(Clone, Debug, PartialEq)]
pub struct StatsRequest {
    /// What variance and standard deviation subtract from the count: 1 for a sample, 0 for a whole population.
    pub ddof: u32,
    /// Up to which moment there are statistics.
    pub moments: MomentsUpTo,
    /// The quantiles, in the order in which they are answered; at most [`MAX_QUANTILES`].
    pub quantiles: Vec<Quantile>,
    /// The histogram, if there is to be one.
    pub histogram: Option<Histogram>,
    /// A number that stands for a missing value: elements equal to it count as NaN.
    pub missing: Option<Decimal>,
}

impl Default for StatsRequest {
    fn default() -> Self {
        Self { ddof: 1, moments: MomentsUpTo::default(), quantiles: Vec::new(), histogram: None, missing: None }
    }
}

impl StatsRequest {
    /// Whether all of this can be asked along axes.
    ///
    /// # Errors
    /// What cannot, as the fields of a job file are called.
    pub(super) fn check_along_axes(&self) -> Result<(), String> {
        let asked = [
            ("quantiles", !self.quantiles.is_empty()),
            ("histogram", self.histogram.is_some()),
            ("moments", self.moments != MomentsUpTo::Variance),
        ];
        match asked.into_iter().find(|(_, asked)| *asked) {
            Some((name, _)) => {
                Err(format!("`{name}` is of whole arrays and does not go with `axis`: leave one of them out"))
            }
            None => Ok(()),
        }
    }
}

/// Up to which moment there are statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MomentsUpTo {
    /// The second: mean, variance and standard deviation.
    #[default]
    Variance,
    /// The fourth: skewness and kurtosis, too. Such jobs run on CPUs only.
    Kurtosis,
}

impl std::str::FromStr for MomentsUpTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "2" => Ok(Self::Variance),
            "4" => Ok(Self::Kurtosis),
            _ => Err(format!(
                "moments `{}`: use 2 (up to variance and std), or 4 (skewness and kurtosis too)",
                shorten(text)
            )),
        }
    }
}

/// A quantile: a decimal from 0 to 1, exactly as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quantile(Decimal);

impl Quantile {
    /// The decimal.
    pub fn decimal(&self) -> &Decimal {
        &self.0
    }
}

impl std::str::FromStr for Quantile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let decimal: Decimal = text.parse().map_err(|error| match error {
            DecimalError::Malformed => {
                format!("quantile `{}` is not a number: use decimals from 0 to 1, as in 0.5", shorten(text))
            }
            DecimalError::TooLong => format!("quantile `{}` has {error}: use a shorter decimal", shorten(text)),
        })?;
        let (numerator, denominator) = decimal.to_ratio();
        if numerator.sign() == num_bigint::Sign::Minus || numerator.magnitude() > &denominator {
            return Err(format!(
                "quantile `{}` is outside 0 to 1: the median is 0.5, the 99th percentile 0.99",
                shorten(text)
            ));
        }
        Ok(Self(decimal))
    }
}

/// The bins of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Histogram {
    bins: u32,
    range: Option<(f64, f64)>,
}

impl Histogram {
    /// `bins` bins of equal width over `range`, or, where there is none, from the least to the greatest value of the data.
    ///
    /// # Errors
    /// Where the number of bins is 0 or above [`MAX_BINS`], or the range is not one of finite numbers, ascending.
    pub fn new(bins: u32, range: Option<(f64, f64)>) -> Result<Self, String> {
        if !(1..=MAX_BINS).contains(&bins) {
            return Err(format!("a histogram of {bins} bins: use 1 to {MAX_BINS}"));
        }
        if let Some((lo, hi)) = range {
            let range = || format!("a histogram over {}..{}", text_of_f64(lo), text_of_f64(hi));
            if !lo.is_finite() || !hi.is_finite() {
                return Err(format!("{}: both ends must be finite numbers that fit f64", range()));
            }
            if lo >= hi {
                return Err(format!("{}: the first end must be below the second", range()));
            }
        }
        Ok(Self { bins, range })
    }

    /// The number of bins.
    pub fn bins(&self) -> u32 {
        self.bins
    }

    /// The range, where it was given.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.range
    }

    /// The same bins over `window`, where no range was given and the window is one.
    pub(super) fn or_over(self, window: (f64, f64)) -> Self {
        match Self::new(self.bins, Some(window)) {
            Ok(over) if self.range.is_none() => over,
            _ => self,
        }
    }
}

/// `BINS` or `BINS:LO..HI`.
impl std::str::FromStr for Histogram {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("histogram `{}` is not BINS or BINS:LO..HI, as in 100 or 20:-1..1", shorten(text));
        let (bins, range) = match text.split_once(':') {
            None => (text, None),
            Some((bins, range)) => {
                let (lo, hi) = range.split_once("..").ok_or_else(wrong)?;
                let end = |text: &str| match text.parse::<Decimal>().map_err(|_| wrong())?.to_f64() {
                    end if end.is_finite() => Ok(end),
                    _ => Err(format!("end `{}` of a histogram's range is too large for f64", shorten(text))),
                };
                (bins, Some((end(lo)?, end(hi)?)))
            }
        };
        if bins.is_empty() || !bins.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let number = bins.parse().map_err(|_| format!("a histogram of {} bins: use 1 to {MAX_BINS}", shorten(bins)))?;
        Self::new(number, range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_decimals_from_0_to_1() {
        for text in ["0", "1", "0.5", "1e-3", ".25", "1.0", "10e-1", "-0"] {
            text.parse::<Quantile>().unwrap();
        }
        for (text, says) in [
            ("1.0000000000000000000000001", "outside 0 to 1"),
            ("-1e-300", "outside 0 to 1"),
            ("50%", "not a number"),
            ("nan", "not a number"),
            ("", "not a number"),
            ("1e-99999999999", "shorter"),
        ] {
            let error = text.parse::<Quantile>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn histograms_are_bins_and_a_range() {
        assert_eq!("10".parse(), Histogram::new(10, None));
        assert_eq!("10:-1..2.5e1".parse(), Histogram::new(10, Some((-1.0, 25.0))));
        assert_eq!("10:.5..1.".parse(), Histogram::new(10, Some((0.5, 1.0))));
        for (text, says) in [
            ("0", "use 1 to"),
            ("99999999999999999999", "of 99999999999999999999 bins: use 1 to"),
            ("10:1..1", "below the second"),
            ("10:2..1", "below the second"),
            ("10:0..1e999", "end `1e999` of"),
            ("2:1e308..1e309", "end `1e309` of"),
            ("2:1e308..-1e308", "over 1e308..-1e308:"),
            ("10:0..nan", "not BINS"),
            ("10:0", "not BINS"),
            ("", "not BINS"),
            (":0..1", "not BINS"),
            ("-5", "not BINS"),
        ] {
            let error = text.parse::<Histogram>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
