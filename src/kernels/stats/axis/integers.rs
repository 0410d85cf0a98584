//! Integers: their sums and squares are integers already.

use crate::exact::Wide;
use crate::kernels::on_isa::on_isa;
use crate::kernels::stats::Number;
use crate::kernels::stats::axis::cell::Cell;
use crate::kernels::stats::axis::lanes::{Block, Cellular, LANES, Setting};

/// What a block comes to, lane by lane: `S` holds the sum of as many elements as a block has of a cell, `H` those of the halves of
/// their squares.
struct Sums<T, S, H> {
    kept: [u32; LANES],
    min: [T; LANES],
    max: [T; LANES],
    sum: [S; LANES],
    low: [H; LANES],
    high: [H; LANES],
}

macro_rules! integer {
    ($integer:ty, $magnitude:expr, $square:ty, $sum:ty, $half:ty) => {
        impl Cellular for $integer {
            type Group = ();

            fn add((): &mut (), block: Block<'_, Self>, first: usize, cells: &mut [Cell], setting: &Setting) {
                const HALF: u32 = <$square>::BITS / 2;

                /// `missing` is left out where `SOME_MISSING`.
                #[inline(always)]
                fn sums<const SOME_MISSING: bool>(
                    block: Block<'_, $integer>,
                    first: usize,
                    missing: $integer,
                ) -> Sums<$integer, $sum, $half> {
                    let mut sum: [$sum; LANES] = [0; LANES];
                    let (mut low, mut high): ([$half; LANES], [$half; LANES]) = ([0; LANES], [0; LANES]);
                    let (mut min, mut max) = ([<$integer>::MAX; LANES], [<$integer>::MIN; LANES]);
                    let mut kept = [0_u32; LANES];
                    for row in block.group::<LANES>(first) {
                        for lane in 0..LANES {
                            let value = row[lane];
                            let keep = !SOME_MISSING || value != missing;
                            let taken = if keep { value } else { 0 };
                            kept[lane] += u32::from(keep);
                            min[lane] = min[lane].min(if keep { value } else { <$integer>::MAX });
                            max[lane] = max[lane].max(if keep { value } else { <$integer>::MIN });
                            sum[lane] += <$sum>::from(taken);
                            let magnitude = <$square>::from($magnitude(taken));
                            let square = magnitude * magnitude;
                            low[lane] += <$half>::from(square & ((1 << HALF) - 1));
                            high[lane] += <$half>::from(square >> HALF);
                        }
                    }
                    Sums { kept, min, max, sum, low, high }
                }

                // The keys that count as missing are that of one integer.
                let found = match setting.missing {
                    Some((key, _)) => {
                        let missing = Self::from_key(key);
                        on_isa!(setting.isa, sums::<true>(block, first, missing))
                    }
                    None => on_isa!(setting.isa, sums::<false>(block, first, 0)),
                };
                let rows = block.rows() as u64;
                for (lane, cell) in cells.iter_mut().enumerate() {
                    let kept = u64::from(found.kept[lane]);
                    cell.count += kept;
                    cell.nan_count += rows - kept;
                    if kept == 0 {
                        continue;
                    }
                    cell.take_in_extremes(found.min[lane].key(), found.max[lane].key());
                    let mut squares = Wide::ZERO;
                    squares.add(found.low[lane] as i128, 0);
                    squares.add(found.high[lane] as i128, HALF);
                    cell.add_sums(found.sum[lane].into(), &squares, 0, &setting.layout);
                }
            }

            fn finish((): &mut (), _: &mut [Cell], _: &Setting) {}
        }
    };
}
integer!(i32, i32::unsigned_abs, u64, i64, u64);
integer!(u32, std::convert::identity::<u32>, u64, i64, u64);
integer!(i64, i64::unsigned_abs, u128, i128, u128);
integer!(u64, std::convert::identity::<u64>, u128, i128, u128);
