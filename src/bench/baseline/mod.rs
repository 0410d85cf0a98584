//! A benchmark against an earlier one: what has become slower. Pure.

mod judge;
mod shift;
mod time;

pub(in crate::bench) use judge::WAKING_MS;
pub use judge::{BUSY_MIN, Change};
pub use shift::{Said, Shift};
pub use time::{At, Key, Scope};

use crate::bench::statistics::{holm, median, slower_p};
use crate::bench::{Bound, Place, Report, SCHEMA};
use judge::Pair;
#[cfg(test)]
use judge::clearest_p;
use shift::slower_together;
use time::{Time, times, times_again};

/// A time that both reports have.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// What it is the time of.
    pub key: Key,
    /// The medians then and now, in milliseconds.
    pub old_ms: f64,
    /// See there.
    pub new_ms: f64,
    /// The chance of such a slowdown, or where it is faster of such a gain, corrected for the number of comparisons and, where the
    /// machine has moved, for that.
    pub p: f64,
    /// The median of the second round, in milliseconds, where there was one.
    pub again_ms: Option<f64>,
    /// CPUs that others wanted then and now, where the system tells.
    pub others_busy_cpus: [Option<f64>; 2],
    /// What has become of it.
    pub change: Change,
}

impl Compared {
    /// Becomes what it says against two baselines at once: the weaker of the two claims, or the one that is closer to no change.
    fn agree(&mut self, other: Self) {
        let claims = |row: &Self| match row.change {
            Change::Regressed | Change::Faster => 2,
            Change::SlowerWithin | Change::FasterWithin | Change::NotAgain | Change::Busy | Change::AsMachine => 1,
            Change::Same | Change::TooFewRuns => 0,
        };
        let change = |row: &Self| (row.new_ms / row.old_ms).ln();
        // Slower than one session and faster than another.
        let disagree = (change(self) > 0.0) != (change(&other) > 0.0);
        if (claims(&other), change(&other).abs()) < (claims(self), change(self).abs()) {
            *self = other;
        }
        if disagree && matches!(self.change, Change::Regressed | Change::Faster) {
            self.change = Change::Same;
        }
    }
}

/// A benchmark against an earlier one.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Times of both.
    pub compared: Vec<Compared>,
    /// What only the earlier one has.
    pub only_old: Vec<Key>,
    /// What only the later one has.
    pub only_new: Vec<Key>,
    /// How the times of each place have moved together.
    pub shifts: Vec<Shift>,
    /// Why the two may not be comparable.
    pub warnings: Vec<String>,
}

/// Why reports cannot be compared at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomparable {
    /// Another format.
    #[error("it has schema {found}, and this tandem reads schema {SCHEMA}: make it anew with this version")]
    Schema {
        /// The number that it has.
        found: u64,
    },
    /// Nothing is the same.
    #[error("the two have no row in common: run the same kinds and sizes (--sizes) in the same places (--devices)")]
    NothingInCommon,
}

impl Comparison {
    /// Compares `new` with `old`; a time has regressed where its median has grown by a share of more than `max_regression` and by
    /// more than waking a thread takes, and the runs themselves lie higher than chance would put them. That is judged by the
    /// one-sided test of Mann and Whitney on the raw runs, since timings are no normal distribution, and corrected by Holm's
    /// method, so that a comparison of hundreds of unchanged times raises a false alarm no more often than once in twenty. What
    /// the machine itself is slower by is taken off the new runs first, as far as [`Shift`] knows of it, and what others have taken of
    /// the CPUs; what it is faster by, before anything counts as faster. What seems to have regressed and was measured again
    /// ([`Report::again`]) has to be found again.
    ///
    /// # Errors
    /// Where the two cannot be compared.
    pub fn of(old: &Report, new: &Report, max_regression: f64) -> Result<Self, Incomparable> {
        if old.schema != SCHEMA {
            return Err(Incomparable::Schema { found: old.schema.into() });
        }
        let (before, after) = (times(old), times(new));
        let only = |times: &[Time], others: &[Time]| -> Vec<Key> {
            let is_alone = |key: &&Key| !others.iter().any(|other| other.key == **key);
            times.iter().map(|time| &time.key).filter(is_alone).cloned().collect()
        };
        let both: Vec<(&Time, &Time)> =
            after.iter().filter_map(|new| Some((before.iter().find(|old| old.key == new.key)?, new))).collect();
        if both.is_empty() {
            return Err(Incomparable::NothingInCommon);
        }
        let shifts = shifts(&both, old, new);
        let together = together(&both);
        let pairs: Vec<Pair> = both.iter().map(|(old, new)| Pair::new(old, new, &shifts, &together)).collect();
        let slower = holm(&pairs.iter().map(|pair| slower_p(&pair.old, &pair.if_slower)).collect::<Vec<_>>());
        let faster = holm(&pairs.iter().map(|pair| slower_p(&pair.if_faster, &pair.old)).collect::<Vec<_>>());
        let compared = both.iter().zip(&pairs).zip(slower.into_iter().zip(faster));
        let compared = compared.map(|(((old, new), pair), chances)| {
            let (old_ms, new_ms) = (median(&old.runs_ms), median(&new.runs_ms));
            let (slower, faster) = chances;
            Compared {
                key: new.key.clone(),
                old_ms,
                new_ms,
                p: if new_ms >= old_ms { slower } else { faster },
                again_ms: None,
                others_busy_cpus: [old.others_busy_cpus, new.others_busy_cpus],
                change: pair.change(chances, max_regression, both.len()),
            }
        });
        let mut compared: Vec<Compared> = compared.collect();
        let pair = |old: &Time, new: &Time| Pair::new(old, new, &shifts, &together);
        confirm(&mut compared, &before, &times_again(new), &pair, max_regression);
        Ok(Self {
            compared,
            only_old: only(&before, &after),
            only_new: only(&after, &before),
            shifts,
            warnings: warnings(old, new),
        })
    }

    /// Compares `new` with several earlier ones, and says of each time the least that all of them agree on: what has regressed against
    /// one session alone is the session.
    ///
    /// # Errors
    /// Where it cannot be compared with one of them, or there is none.
    pub fn of_each(olds: &[Report], new: &Report, max_regression: f64) -> Result<Self, Incomparable> {
        let mut found = olds.iter().map(|old| Self::of(old, new, max_regression));
        let mut all = found.next().ok_or(Incomparable::NothingInCommon)??;
        for found in found {
            all.join(found?);
        }
        Ok(all)
    }

    fn join(&mut self, other: Self) {
        for row in other.compared {
            match self.compared.iter_mut().find(|known| known.key == row.key) {
                Some(known) => known.agree(row),
                None => self.compared.push(row),
            }
        }
        let is_compared = |key: &Key| self.compared.iter().any(|row| row.key == *key);
        self.only_old.extend(other.only_old.into_iter().filter(|key| !self.only_old.contains(key)).collect::<Vec<_>>());
        self.only_old.retain(|key| !is_compared(key));
        self.only_new.retain(|key| !is_compared(key));
        self.shifts.extend(other.shifts);
        self.warnings
            .extend(other.warnings.into_iter().filter(|text| !self.warnings.contains(text)).collect::<Vec<_>>());
    }

    /// What seems to have regressed and was not measured again.
    pub fn suspects(&self) -> impl Iterator<Item = &Key> {
        let suspects = self.compared.iter().filter(|row| row.change == Change::Regressed && row.again_ms.is_none());
        suspects.map(|row| &row.key)
    }

    /// Whether what seems slower cannot be judged, since others wanted the CPUs too.
    pub fn is_too_busy_to_tell(&self) -> bool {
        self.compared.iter().any(|row| row.change == Change::Busy)
    }

    /// How many times have regressed.
    pub fn regressions(&self) -> usize {
        self.compared.iter().filter(|row| row.change == Change::Regressed).count()
    }
}

/// Judges anew what seems to have regressed, by its second round where there was one.
fn confirm(
    compared: &mut [Compared],
    before: &[Time],
    again: &[Time],
    pair: &dyn Fn(&Time, &Time) -> Pair,
    max_regression: f64,
) {
    let suspects = compared.iter_mut().filter(|row| row.change == Change::Regressed);
    let found: Vec<(&mut Compared, Pair)> = suspects
        .filter_map(|row| {
            let of = |times: &'_ [Time]| times.iter().position(|time| time.key == row.key);
            let (old, new) = (&before[of(before)?], &again[of(again)?]);
            Some((row, pair(old, new)))
        })
        .collect();
    let chances = holm(&found.iter().map(|(_, pair)| slower_p(&pair.old, &pair.if_slower)).collect::<Vec<_>>());
    for ((row, pair), slower) in found.into_iter().zip(chances) {
        row.again_ms = Some(median(&pair.new));
        row.change = pair.confirmed(slower, max_regression);
    }
}

/// What the times of each place have moved by together, where nearly all are slower.
fn together(both: &[(&Time, &Time)]) -> Vec<(Place, f64)> {
    let place = |time: &Time| if let At::Place(place, _) = time.key.at { Some(place) } else { None };
    let mut places: Vec<Place> = both.iter().filter_map(|(_, new)| place(new)).collect();
    places.sort_unstable();
    places.dedup();
    let of = |at: Place| {
        let its = both.iter().filter(|(_, new)| place(new) == Some(at));
        let medians: Vec<(f64, f64)> = its.map(|(old, new)| (median(&old.runs_ms), median(&new.runs_ms))).collect();
        Some((at, slower_together(&medians)?))
    };
    places.into_iter().filter_map(of).collect()
}

/// How the times of each place that one thing bounds have moved.
fn shifts(both: &[(&Time, &Time)], old: &Report, new: &Report) -> Vec<Shift> {
    let group = |(old, new): &(&Time, &Time)| -> Option<(Place, Option<Bound>)> {
        let At::Place(place, _) = new.key.at else { return None };
        Some((place, new.bound.filter(|_| old.bound == new.bound)))
    };
    let mut groups: Vec<(Place, Option<Bound>)> = Vec::new();
    for found in both.iter().filter_map(group) {
        if !groups.contains(&found) {
            groups.push(found);
        }
    }
    let of = |at: (Place, Option<Bound>)| {
        let its = both.iter().filter(|pair| group(pair) == Some(at));
        let medians: Vec<(f64, f64)> = its.map(|(old, new)| (median(&old.runs_ms), median(&new.runs_ms))).collect();
        Shift::of(at.0, at.1, &medians, old, new)
    };
    groups.into_iter().filter_map(of).collect()
}

fn warnings(old: &Report, new: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    for device in &new.machine.devices {
        match old.machine.devices.iter().find(|other| other.device == device.device) {
            Some(other) if other.name != device.name => warnings.push(format!(
                "{} is another device: `{}` then, `{}` now, so that differences say nothing about the program",
                device.device, other.name, device.name
            )),
            Some(other) if other.driver != device.driver => warnings.push(format!(
                "{} has another driver: `{}` then, `{}` now",
                device.device, other.driver, device.driver
            )),
            _ => {}
        }
    }
    if old.machine.threads != new.machine.threads {
        warnings.push(format!("{} threads then, {} now", old.machine.threads, new.machine.threads));
    }
    if old.optimised != new.optimised {
        let built = |optimised| if optimised { "with" } else { "without" };
        let (then, now) = (built(old.optimised), built(new.optimised));
        warnings.push(format!("built {then} optimisation then, {now} now"));
    }
    warnings
}

#[cfg(test)]
mod tests;
