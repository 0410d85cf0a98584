//! Picking the keys that lie in one of a few ranges out of many, by comparison with the bounds of each.

use crate::kernels::Isa;
use crate::kernels::stats::KeyRange;

/// The most ranges that keys are compared with.
pub(super) const RANGES_MAX: usize = 16;

/// The bounds of some ranges; those that are not used hold no key.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    ranges: usize,
    least: [u64; RANGES_MAX],
    greatest: [u64; RANGES_MAX],
}

impl Bounds {
    /// Those of these ranges; `None` where there are none or too many.
    pub(super) fn new(ranges: &[KeyRange]) -> Option<Self> {
        if ranges.is_empty() {
            return None;
        }
        let mut bounds = Self { ranges: ranges.len(), least: [u64::MAX; RANGES_MAX], greatest: [0; RANGES_MAX] };
        for (i, range) in ranges.iter().enumerate() {
            *bounds.least.get_mut(i)? = range.least;
            bounds.greatest[i] = range.greatest;
        }
        Some(bounds)
    }
}

/// Writes the keys that lie in a range to the beginning of `picked`, in their order, and gives how many they are. Where
/// `begun` is there, adds to it how many keys are at least the least one of each range. `picked` has room for eight keys more
/// than there are.
#[inline(always)]
pub(super) fn pick(
    isa: Isa,
    bounds: &Bounds,
    keys: &[u64],
    picked: &mut [u64],
    begun: Option<&mut [u64; RANGES_MAX]>,
) -> usize {
    assert!(picked.len() >= keys.len() + 8);
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => {
            // SAFETY: whoever folds uses the instruction sets of this machine only, and there is room as asserted.
            unsafe {
                match bounds.ranges {
                    0..=1 => avx512::pick::<1>(bounds, keys, picked, begun),
                    2 => avx512::pick::<2>(bounds, keys, picked, begun),
                    3..=5 => avx512::pick::<5>(bounds, keys, picked, begun),
                    6..=10 => avx512::pick::<10>(bounds, keys, picked, begun),
                    _ => avx512::pick::<RANGES_MAX>(bounds, keys, picked, begun),
                }
            }
        }
        _ => pick_here(bounds, keys, picked, begun),
    }
}

#[inline(always)]
fn pick_here(bounds: &Bounds, keys: &[u64], picked: &mut [u64], mut begun: Option<&mut [u64; RANGES_MAX]>) -> usize {
    const STEP: usize = 64;
    let mut len = 0;
    for step in keys.chunks(STEP) {
        let mut within = [0u64; STEP];
        for range in 0..bounds.ranges {
            let (least, greatest) = (bounds.least[range], bounds.greatest[range]);
            let mut at_least = 0;
            for (key, within) in step.iter().zip(&mut within) {
                let begins = u64::from(*key >= least);
                at_least += begins;
                *within |= begins & u64::from(*key <= greatest);
            }
            if let Some(begun) = &mut begun {
                begun[range] += at_least;
            }
        }
        for (key, within) in step.iter().zip(within) {
            picked[len] = *key;
            len += within as usize;
        }
    }
    len
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{Bounds, RANGES_MAX, pick_here};

    /// [`super::pick`], with `RANGES` comparisons; at least as many as there are ranges.
    ///
    /// # Safety
    /// The machine has AVX-512 F, DQ, BW and VL, and `picked` is eight longer than `keys`.
    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,popcnt")]
    pub(super) unsafe fn pick<const RANGES: usize>(
        bounds: &Bounds,
        keys: &[u64],
        picked: &mut [u64],
        begun: Option<&mut [u64; RANGES_MAX]>,
    ) -> usize {
        match begun {
            Some(begun) => {
                let (mut len, mut sums) = (0, [_mm512_setzero_si512(); RANGES]);
                let steps = keys.chunks_exact(8);
                let rest = steps.remainder();
                for step in steps {
                    // SAFETY: a step is eight keys.
                    let key = unsafe { _mm512_loadu_si512(step.as_ptr().cast()) };
                    let mut within = 0;
                    for (range, sum) in sums.iter_mut().enumerate() {
                        let begins = _mm512_cmpge_epu64_mask(key, _mm512_set1_epi64(bounds.least[range] as i64));
                        let greatest = _mm512_set1_epi64(bounds.greatest[range] as i64);
                        within |= _mm512_mask_cmple_epu64_mask(begins, key, greatest);
                        *sum = _mm512_mask_sub_epi64(*sum, begins, *sum, _mm512_set1_epi64(-1));
                    }
                    // SAFETY: no more than the keys so far were picked, and there is room for eight more.
                    unsafe { put(picked, &mut len, key, within) };
                }
                for (begun, sum) in begun.iter_mut().zip(sums).take(bounds.ranges) {
                    *begun += _mm512_reduce_add_epi64(sum) as u64;
                }
                len + pick_here(bounds, rest, &mut picked[len..], Some(begun))
            }
            None => {
                let mut len = 0;
                let steps = keys.chunks_exact(8);
                let rest = steps.remainder();
                for step in steps {
                    // SAFETY: as above.
                    let key = unsafe { _mm512_loadu_si512(step.as_ptr().cast()) };
                    let mut within = 0;
                    for range in 0..RANGES {
                        let begins = _mm512_cmpge_epu64_mask(key, _mm512_set1_epi64(bounds.least[range] as i64));
                        let greatest = _mm512_set1_epi64(bounds.greatest[range] as i64);
                        within |= _mm512_mask_cmple_epu64_mask(begins, key, greatest);
                    }
                    // SAFETY: as above.
                    unsafe { put(picked, &mut len, key, within) };
                }
                len + pick_here(bounds, rest, &mut picked[len..], None)
            }
        }
    }

    /// Appends the lanes of `within` to what was picked.
    ///
    /// # Safety
    /// As [`pick`]; and `picked` has room for eight keys after the first `len`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,popcnt")]
    unsafe fn put(picked: &mut [u64], len: &mut usize, key: __m512i, within: __mmask8) {
        // Packed in a register first: packing into memory is slow on some machines.
        let packed = _mm512_maskz_compress_epi64(within, key);
        // SAFETY: the caller vouches for the room.
        unsafe { _mm512_storeu_si512(picked.as_mut_ptr().add(*len).cast(), packed) };
        *len += within.count_ones() as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::stats::Digits;
    use crate::kernels::stats::tests::every_isa;
    use crate::random::SplitMix64;

    #[test]
    fn every_instruction_set_picks_the_keys_that_lie_in_a_range() {
        let mut random = SplitMix64(3);
        for ranges in 1..=RANGES_MAX {
            let mut ends: Vec<u64> = (0..2 * ranges).map(|_| random.next_u64() >> 40).collect();
            ends.extend([0, u64::MAX >> 40]);
            ends.sort_unstable();
            ends.dedup();
            let pairs = ends.chunks_exact(2).take(ranges).map(|pair| (pair[0], pair[1]));
            let digits = Digits::new(pairs, 8, true, None);
            let bounds = Bounds::new(&digits.ranges).unwrap();
            for len in [0, 1, 7, 8, 9, 100, 1023] {
                let mut keys: Vec<u64> = (0..len).map(|_| random.next_u64() >> 40).collect();
                keys.iter_mut().zip(&ends).for_each(|(key, end)| *key = *end);
                let within = |key: &u64| digits.ranges.iter().any(|range| (range.least..=range.greatest).contains(key));
                let expected: Vec<u64> = keys.iter().copied().filter(within).collect();
                for isa in every_isa() {
                    for counted in [false, true] {
                        let (mut picked, mut begun) = (vec![7; keys.len() + 8], [0; RANGES_MAX]);
                        let found = pick(isa, &bounds, &keys, &mut picked, counted.then_some(&mut begun));
                        assert_eq!(picked[..found], expected, "{ranges} ranges, {len} keys, {}", isa.name());
                        for (range, begun) in digits.ranges.iter().zip(begun).filter(|_| counted) {
                            assert_eq!(begun, keys.iter().filter(|key| **key >= range.least).count() as u64);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn more_ranges_than_are_compared_have_no_bounds() {
        let digits = Digits::new((0..=RANGES_MAX as u64).map(|i| (2 * i, 2 * i)), 8, false, None);
        assert!(Bounds::new(&digits.ranges).is_none());
        assert!(Bounds::new(&digits.ranges[1..]).is_some());
    }
}
