//! What tests of formats share: values as doubles, and files as they come out of accidents.

use std::ops::Range;

use crate::input::{Scratch, Source, Values};
use crate::random::SplitMix64;

/// The values of a range, of whatever type the source has.
pub(in crate::input) fn read_as_f64(source: &dyn Source, range: Range<u64>) -> Vec<f64> {
    let mut scratch = Scratch::default();
    let found: Vec<f64> = match source.read(range.clone(), &mut scratch).unwrap() {
        Values::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Values::F64(values) => values.to_vec(),
        Values::I32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Values::U32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Values::I64(values) => values.iter().map(|value| *value as f64).collect(),
        other => panic!("{}", other.dtype()),
    };
    assert_eq!(found.len() as u64, range.end - range.start);
    found
}

/// The same file so many times, each time with one to four other bytes from `first` on; one in ten cut short.
pub(in crate::input) fn damaged(file: &[u8], first: usize, seed: u64, times: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut random = SplitMix64(seed);
    let mut below = move |limit: usize| (random.next_u64() % limit as u64) as usize;
    (0..times).map(move |round| {
        let mut damaged = file.to_vec();
        for _ in 0..1 + round % 4 {
            let at = first + below(damaged.len() - first);
            damaged[at] = match below(3) {
                0 => 0xff,
                1 => 0,
                _ => damaged[at] ^ 1 << below(8),
            };
        }
        if round % 10 == 0 {
            damaged.truncate(below(damaged.len()));
        }
        damaged
    })
}
