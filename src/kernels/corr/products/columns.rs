//! The sums of each column for itself.

use super::Unit;
use super::portable::long_product;
use crate::kernels::corr::panels::{LANES, Lanes, Panels};
use crate::kernels::corr::scale::{BITS, MASK};

/// What a column comes to: of short numbers `x`, or of long ones `2^52 x + low`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnSums {
    /// Of `x`.
    pub sum: u128,
    /// Of `low`; of short numbers 0.
    pub sum_low: u128,
    /// Of the squares, above their 52 low bits.
    pub square_high: u128,
    /// Of those low bits; of long numbers, of what else their products add there.
    pub square_low: u128,
    /// All bits that any `x` has set, and of long numbers, anything.
    pub bits: u64,
}

impl ColumnSums {
    pub fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.sum_low += other.sum_low;
        self.square_high += other.square_high;
        self.square_low += other.square_low;
        self.bits |= other.bits;
    }
}

/// What a block of a panel of short numbers comes to, in 64 bits.
#[derive(Clone, Copy, Default)]
pub(super) struct BlockSums {
    pub sum: [u64; LANES],
    pub square_high: [u64; LANES],
    pub square_low: [u64; LANES],
    pub bits: [u64; LANES],
}

pub(super) fn add_short(unit: Unit, panels: &Panels, columns: &mut [ColumnSums]) {
    for (panel, columns) in columns.chunks_exact_mut(LANES).enumerate() {
        let rows = panels.panel(panel);
        let sums = match unit {
            Unit::Portable => short_block(rows),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Unit::of` has found the instructions.
            Unit::Ifma => unsafe { super::ifma::short_block(rows) },
        };
        for (lane, column) in columns.iter_mut().enumerate() {
            column.merge(&ColumnSums {
                sum: sums.sum[lane].into(),
                sum_low: 0,
                square_high: sums.square_high[lane].into(),
                square_low: sums.square_low[lane].into(),
                bits: sums.bits[lane],
            });
        }
    }
}

fn short_block(rows: &[Lanes]) -> BlockSums {
    let mut sums = BlockSums::default();
    for row in rows {
        for lane in 0..LANES {
            let x = row.0[lane];
            let square = u128::from(x) * u128::from(x);
            sums.sum[lane] += x;
            sums.square_high[lane] += (square >> BITS) as u64;
            sums.square_low[lane] += square as u64 & MASK;
            sums.bits[lane] |= x;
        }
    }
    sums
}

pub(super) fn add_long(high: &Panels, low: &Panels, columns: &mut [ColumnSums]) {
    for (panel, columns) in columns.chunks_exact_mut(LANES).enumerate() {
        for (high, low) in high.panel(panel).iter().zip(low.panel(panel)) {
            for (lane, column) in columns.iter_mut().enumerate() {
                let number = [high.0[lane], low.0[lane]];
                let [top, rest] = long_product(number, number);
                column.sum += u128::from(number[0]);
                column.sum_low += u128::from(number[1]);
                column.square_high += u128::from(top);
                column.square_low += u128::from(rest);
            }
        }
    }
}
