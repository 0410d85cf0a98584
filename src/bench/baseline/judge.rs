//! What has become of a time. Pure.

use serde::{Deserialize, Serialize};

use super::shift::Shift;
use super::time::{At, Time};
use crate::bench::Place;
use crate::bench::statistics::{median, slower_p};

/// How often chance alone may call anything at all slower, over the whole comparison.
pub(super) const LEVEL: f64 = 0.05;

/// What two runs of one program differ by, however short they are, in milliseconds: it wakes a thread or two, and how long that
/// takes depends on which cores sleep.
pub(in crate::bench) const WAKING_MS: f64 = 0.02;

/// How long threads that were woken together may share one CPU while another sleeps, in milliseconds: before a system moves a thread that
/// has just run (Linux: `sched_migration_cost`). Where one run finds them apart and the next one together, that is how it stays.
const TOGETHER_MS: f64 = 0.5;

/// How long a thread that shares a CPU may wait for each of the others that want it: a turn of a usual scheduler. In a job of
/// less than that, one turn more or less is most of its time.
const TURN_MS: f64 = 3.0;

/// Others that want less than this many CPUs are no company.
pub const BUSY_MIN: f64 = 0.5;

/// Where threads have to share CPUs with others, times of one program differ by as much from session to session, besides what fair
/// shares explain.
const CROWDED: f64 = 0.25;

/// What all times of a place are slower by together is laid to others up to so many times what fair shares explain: beyond that it is
/// the program, however busy the machine.
const COMMON_MAX: f64 = 4.0;

/// What has become of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Slower by more than is allowed, and not by chance; also in a second round, where there was one.
    Regressed,
    /// It was so at first, and not when it was measured again.
    NotAgain,
    /// Slower by more than is allowed, but others wanted the CPUs too, then or now, so that it cannot be told whether that is why.
    Busy,
    /// Slower by more than is allowed, and no more so than the machine itself.
    AsMachine,
    /// Slower not by chance, but by no more than is allowed.
    SlowerWithin,
    /// Chance explains the difference.
    Same,
    /// Faster not by chance, but by no more than a regression would be allowed.
    FasterWithin,
    /// Faster by more than that, and not by chance.
    Faster,
    /// Slower by more than is allowed, but with so few runs that even the clearest difference could be chance.
    TooFewRuns,
}

/// The chance of the clearest of all differences: every run of one above every run of the other.
pub(super) fn clearest_p(old: usize, new: usize) -> f64 {
    (1..=new).fold(1.0, |orders, i| orders * i as f64 / (old + i) as f64)
}

/// How many want each CPU, one at least, where others are company.
fn crowding(time: &Time) -> f64 {
    let [wanted, cpus] = time.wanted_cpus;
    let others = time.others_busy_cpus.filter(|busy| *busy >= BUSY_MIN).unwrap_or(0.0);
    ((wanted + others) / cpus.max(1.0)).max((wanted / cpus.max(1.0)).max(1.0))
}

/// Whether it had to share CPUs with others.
fn is_crowded(time: &Time) -> bool {
    let [wanted, cpus] = time.wanted_cpus;
    time.others_busy_cpus.is_some_and(|busy| busy >= BUSY_MIN && wanted + busy > cpus)
}

/// The runs of a time as they are held against each other, in milliseconds.
pub(super) struct Pair {
    pub old: Vec<f64>,
    pub new: Vec<f64>,
    /// The new ones without what the machine is slower by...
    pub if_slower: Vec<f64>,
    /// ...and without what it is faster by: a shift never makes a claim stronger.
    pub if_faster: Vec<f64>,
    /// What the machine itself is slower by, and what it is slower by because of others as well.
    machine: f64,
    /// How many times as long it takes at least, where it is slower not because of others.
    margin: f64,
    /// What two times differ by for no reason of theirs, in milliseconds, on an idle machine, and with what others add to that.
    idle_floor_ms: f64,
    floor_ms: f64,
}

impl Pair {
    /// `together` says of places what their times have moved by together.
    pub fn new(old: &Time, new: &Time, shifts: &[Shift], together: &[(Place, f64)]) -> Self {
        let is_its = |shift: &&Shift| {
            let is_here = matches!(new.key.at, At::Place(place, _) if place == shift.place);
            is_here && old.bound == new.bound && new.bound == shift.bound
        };
        let machine = shifts.iter().find(is_its).map_or(1.0, Shift::machine_ratio);
        let is_crowded = is_crowded(old) || is_crowded(new);
        // With others at work nobody can tell what nearly all times of a place are slower by from what the program is.
        let is_here = |place: &Place| matches!(new.key.at, At::Place(here, _) if here == *place);
        let shares = crowding(new) / crowding(old);
        let together = together.iter().find(|(place, _)| is_crowded && is_here(place));
        let common = together.map_or(1.0, |(_, ratio)| ratio.min(COMMON_MAX * shares.max(1.0)));
        let turns_ms = (crowding(new).max(crowding(old)) - 1.0) * TURN_MS;
        let idle_floor_ms = if new.wanted_cpus[0] > 1.0 { TOGETHER_MS } else { WAKING_MS };
        let without = |ratio: f64| new.runs_ms.iter().map(|ms| ms / ratio).collect();
        Self {
            old: old.runs_ms.clone(),
            new: new.runs_ms.clone(),
            if_slower: without(machine.max(shares).max(common).max(1.0)),
            if_faster: without(machine.min(shares).min(1.0)),
            machine: machine.max(1.0),
            margin: if is_crowded { 1.0 + CROWDED } else { 1.0 },
            idle_floor_ms,
            floor_ms: idle_floor_ms + if is_crowded { turns_ms } else { 0.0 },
        }
    }

    /// Whether it is slower by more than is allowed, chance aside. Where others were at work, the least of its runs has to be as well: what
    /// they do only adds to a time, and it adds to all runs in different measure.
    pub fn is_over(&self, max_regression: f64) -> bool {
        let least = |runs_ms: &[f64]| runs_ms.iter().copied().fold(f64::INFINITY, f64::min);
        let is_crowded = self.margin > 1.0;
        let (old, new) = (median(&self.old), median(&self.if_slower));
        is_over(old * self.margin, new, max_regression)
            && new - old > self.floor_ms
            && (!is_crowded || is_over(least(&self.old), least(&self.new), max_regression))
    }

    /// What has become of it, by the chances that it is no slower and no faster, among so many comparisons.
    pub fn change(&self, (slower, faster): (f64, f64), max_regression: f64, comparisons: usize) -> Change {
        let [old, new, if_faster] = [&self.old, &self.new, &self.if_faster].map(|ms| median(ms));
        let over = |less: f64, more: f64| is_over(less, more, max_regression);
        let few = clearest_p(self.old.len(), self.new.len()) * comparisons as f64 > LEVEL;
        let regressed = self.is_over(max_regression);
        // What is taken off may leave too little for a claim; without it there is one.
        let at_all = || {
            over(old, new)
                && new - old > self.idle_floor_ms
                && slower_p(&self.old, &self.new) * comparisons as f64 <= LEVEL
        };
        if slower <= LEVEL && regressed {
            Change::Regressed
        } else if regressed && few {
            Change::TooFewRuns
        } else if !regressed && at_all() {
            if over(old, new / self.machine) { Change::Busy } else { Change::AsMachine }
        } else if slower <= LEVEL && median(&self.if_slower) > old {
            Change::SlowerWithin
        } else if faster <= LEVEL && if_faster < old {
            if over(if_faster, old) { Change::Faster } else { Change::FasterWithin }
        } else {
            Change::Same
        }
    }

    /// What becomes of one that seemed to have regressed, by a second round against the same baseline and the chance there that it is
    /// no slower.
    pub fn confirmed(&self, slower: f64, max_regression: f64) -> Change {
        if slower <= LEVEL && self.is_over(max_regression) {
            Change::Regressed
        } else if self.margin > 1.0 {
            Change::Busy
        } else {
            Change::NotAgain
        }
    }
}

fn is_over(less: f64, more: f64, max_regression: f64) -> bool {
    more > less * (1.0 + max_regression) && more - less > WAKING_MS
}
