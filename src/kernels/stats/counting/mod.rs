//! A step of a selection over one chunk, on the CPU: counting the cells that keys lie in, or listing the keys.
//!
//! Elements become keys a span at a time, in vectors. Where ranges are few, the keys that lie in one are then picked out by
//! comparison, in vectors too, so that only those cost more.

mod pick;

use crate::kernels::Isa;
use crate::kernels::on_isa::on_isa;
use crate::kernels::stats::number::Number;
use crate::kernels::stats::{DigitCounts, Digits};

use pick::{Bounds, RANGES_MAX, pick};

/// Elements a span.
const SPAN: usize = 1024;

/// A step of a selection over one chunk.
pub(super) struct Counting<'a, T> {
    isa: Isa,
    digits: &'a Digits,
    missing: Option<T>,
    way: Way,
    /// Elements that are NaN or missing. They were taken for the key 0.
    skipped: u64,
    /// Elements that are not.
    values: u64,
    /// Of each range, how many keys are at least its least one.
    begun: [u64; RANGES_MAX],
    counts: &'a mut DigitCounts,
}

/// How the ranges of keys are found.
enum Way {
    /// There is one range, and it holds every key.
    Whole,
    /// By comparison with all of them.
    Few(Box<Bounds>),
    /// By search.
    Many,
}

impl<'a, T: Number> Counting<'a, T> {
    pub(super) fn new(isa: Isa, digits: &'a Digits, missing: Option<(u64, u64)>, counts: &'a mut DigitCounts) -> Self {
        let way = match &digits.ranges[..] {
            [range] if range.least == 0 && range.greatest >= T::LAYOUT.max_key() => Way::Whole,
            ranges => Bounds::new(ranges).map_or(Way::Many, |bounds| Way::Few(Box::new(bounds))),
        };
        Self {
            isa: isa.min(Isa::detect()),
            digits,
            // Both zeros equal each other, so one element stands for all that count as missing.
            missing: missing.map(|(key, _)| T::from_key(key)),
            way,
            skipped: 0,
            values: 0,
            begun: [0; RANGES_MAX],
            counts,
        }
    }

    pub(super) fn add(&mut self, block: &[T]) {
        on_isa!(self.isa, self.add_here(block));
    }

    #[inline(always)]
    fn add_here(&mut self, block: &[T]) {
        let digits = self.digits;
        let (mut keys, mut picked, mut cells) = ([0; SPAN], [0; SPAN + 8], [0; SPAN]);
        for span in block.chunks(SPAN) {
            let keys = &mut keys[..span.len()];
            let skipped = match self.missing {
                None => to_keys::<T, false>(span, span[0], keys),
                Some(missing) => to_keys::<T, true>(span, missing, keys),
            };
            self.skipped += skipped;
            self.values += span.len() as u64 - skipped;
            let keys = match &self.way {
                Way::Few(bounds) => {
                    let begun = self.digits.between.then_some(&mut self.begun);
                    let len = pick(self.isa, bounds, keys, &mut picked, begun);
                    &picked[..len]
                }
                Way::Whole | Way::Many => &*keys,
            };
            match &mut *self.counts {
                DigitCounts::Listed(list, digits) => {
                    let from = list.len();
                    match self.way {
                        Way::Many => list.extend(keys.iter().filter(|key| digits.index_of(**key).is_some())),
                        _ => list.extend_from_slice(keys),
                    }
                    if digits.index_of(0).is_some() {
                        remove_zeros(list, from, skipped);
                    }
                }
                DigitCounts::Counted(table) => match &self.way {
                    Way::Whole => {
                        let shift = self.digits.ranges[0].shift;
                        for key in keys {
                            table[(key >> shift) as usize] += 1;
                        }
                    }
                    Way::Few(_) => {
                        let cells = &mut cells[..keys.len()];
                        cells_of(digits, keys, cells);
                        for cell in cells {
                            table[*cell as usize] += 1;
                        }
                    }
                    Way::Many => {
                        for index in keys.iter().filter_map(|key| self.digits.index_of(*key)) {
                            table[index] += 1;
                        }
                    }
                },
            }
        }
    }

    pub(super) fn finish(self) {
        let DigitCounts::Counted(table) = self.counts else { return };
        let digits = self.digits;
        if let Way::Few(_) = self.way
            && digits.between
        {
            // What begins with a range or after it, less what lies in it or begins with the next.
            let between = digits.between_at();
            let all = self.values + self.skipped;
            table[between] += all - self.begun[0];
            for (i, range) in digits.ranges.iter().enumerate() {
                let within: u64 = table[range.at..range.at + range.cells()].iter().sum();
                let next = if i + 1 < digits.ranges.len() { self.begun[i + 1] } else { 0 };
                table[between + i + 1] += self.begun[i] - next - within;
            }
        }
        if let Some(index) = digits.index_of(0) {
            table[index] -= self.skipped;
        }
    }
}

/// The keys of a span, 0 for what is NaN or missing; gives how many those are.
#[inline(always)]
#[allow(clippy::eq_op)]
fn to_keys<T: Number, const MISSING: bool>(span: &[T], missing: T, keys: &mut [u64]) -> u64 {
    let mut skipped = 0;
    for (value, into) in span.iter().zip(keys) {
        // A NaN alone among numbers does not equal itself.
        let skip = (*value != *value) | (MISSING & (*value == missing));
        *into = if skip { 0 } else { value.key() };
        skipped += u64::from(skip);
    }
    skipped
}

/// Where each of some keys, all of which lie in a range, is counted.
#[inline(always)]
fn cells_of(digits: &Digits, keys: &[u64], cells: &mut [u64]) {
    for range in &*digits.ranges {
        // Of the ranges that begin at a key or before it, the last one remains.
        for (key, cell) in keys.iter().zip(&mut *cells) {
            let within = (range.at as u64).wrapping_add(key.wrapping_sub(range.least) >> range.shift);
            *cell = if *key >= range.least { within } else { *cell };
        }
    }
}

/// Removes so many zeros from what was listed from a place on.
fn remove_zeros(list: &mut Vec<u64>, from: usize, mut zeros: u64) {
    let mut at = from;
    while zeros > 0 && at < list.len() {
        if list[at] == 0 {
            list.swap_remove(at);
            zeros -= 1;
        } else {
            at += 1;
        }
    }
}
