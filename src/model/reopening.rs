//! When a device that costs much to open is opened all the same, to see whether it still does.

use serde::{Deserialize, Serialize};

/// Opening a device is due again after this many runs elsewhere; twice as many after each opening that found nothing new,
/// and after a single one where the last opening contradicted what was believed.
const AFTER_RUNS: u32 = 4;
/// The number of doublings of that.
const CALM_MAX: u32 = 6;
/// The part of the time of runs elsewhere that openings may cost, summed over all of them.
const SHARE: f64 = 0.02;
/// No more than this is saved up, so that openings never come in a row.
const CREDIT_MS_MAX: f64 = 1_000.0;

/// What decides whether a closed device may be opened in order to learn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Reopening {
    /// Runs elsewhere since it was last opened.
    #[serde(default)]
    runs: u32,
    /// What opening it may cost by now; below 0 where the last one cost more than was saved up.
    #[serde(default)]
    credit_ms: f64,
    /// Openings in a row that found nothing new; none where the last one did.
    #[serde(default)]
    calm: Option<u32>,
}

impl Reopening {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Drops what no run of ours could have written.
    pub(super) fn restore(&mut self) {
        if !self.credit_ms.is_finite() {
            *self = Self::default();
        }
    }

    /// Something took so long on other devices.
    pub(super) fn ran_elsewhere(&mut self, ms: f64) {
        self.runs = self.runs.saturating_add(1);
        self.credit_ms = (self.credit_ms + ms * SHARE).min(CREDIT_MS_MAX);
    }

    /// It was opened, which took so long and was expected to take `expected_ms`; only where it was opened to learn does
    /// that count against what may be spent.
    pub(super) fn opened(&mut self, ms: f64, expected_ms: Option<f64>, explored: bool) {
        let news = expected_ms.is_some_and(|was| ms > was * 1.5 || ms * 1.5 < was);
        self.calm = match self.calm {
            _ if news => None,
            Some(calm) if explored => Some((calm + 1).min(CALM_MAX)),
            calm => Some(calm.unwrap_or(0)),
        };
        self.runs = 0;
        if explored {
            self.credit_ms -= ms;
        }
    }

    /// Whether opening it is due and may cost `price_ms`.
    pub(super) fn is_due(&self, price_ms: f64) -> bool {
        let after = self.calm.map_or(1, |calm| AFTER_RUNS << calm.min(CALM_MAX));
        self.runs >= after && self.credit_ms >= price_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of a second each elsewhere until opening for 200 ms is due.
    fn runs_until_due(reopening: &mut Reopening) -> u32 {
        (0..1_000_000)
            .find(|_| {
                let due = reopening.is_due(200.0);
                if !due {
                    reopening.ran_elsewhere(1_000.0);
                }
                due
            })
            .expect("it is due some day")
    }

    #[test]
    fn openings_cost_a_bounded_part_of_the_time_however_long_they_take() {
        for setup_ms in [200.0, 3_000.0, 60_000.0] {
            let mut reopening = Reopening::default();
            reopening.opened(setup_ms, None, false);
            let (mut elsewhere_ms, mut openings) = (0.0, 0);
            for _ in 0..20 {
                elsewhere_ms += f64::from(runs_until_due(&mut reopening)) * 1_000.0;
                reopening.opened(setup_ms, Some(setup_ms), true);
                openings += 1;
            }
            let spent_ms = setup_ms * f64::from(openings);
            // The last one is paid for by what comes after it.
            assert!(spent_ms <= elsewhere_ms * SHARE + setup_ms, "{setup_ms}: {spent_ms} ms in {elsewhere_ms} ms");
        }
    }

    #[test]
    fn what_contradicts_the_belief_is_looked_at_again_soon_and_what_confirms_it_less_and_less() {
        let mut reopening = Reopening::default();
        reopening.opened(60_000.0, None, false);
        reopening.credit_ms = CREDIT_MS_MAX;
        assert_eq!(runs_until_due(&mut reopening), 4);
        reopening.opened(200.0, Some(60_000.0), true);
        assert_eq!(runs_until_due(&mut reopening), 1);
        for runs in [4, 8, 16] {
            reopening.credit_ms = CREDIT_MS_MAX;
            reopening.opened(200.0, Some(200.0), true);
            assert_eq!(runs_until_due(&mut reopening), runs);
        }
    }
}
