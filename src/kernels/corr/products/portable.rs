//! The products on any processor.

use bytemuck::Zeroable;

use super::{Plane, Tiles, add_block};
use crate::kernels::corr::panels::{LANES, Lanes, Panels};
use crate::kernels::corr::scale::{BITS, MASK};

pub(super) fn add_short(panels: &Panels, tiles: &Tiles, planes: &mut [Plane]) {
    for ((first, second), plane) in tiles.pairs().zip(planes) {
        let mut sums = [Lanes::zeroed(); LANES];
        for (a, b) in panels.panel(first).iter().zip(panels.panel(second)) {
            // So shifted, the high half of a product of 52 bits is that of one of 64.
            let a = a.0.map(|a| a << (64 - BITS));
            for (sums, b) in sums.iter_mut().zip(b.0) {
                for (sum, a) in sums.0.iter_mut().zip(a) {
                    *sum += high_half(a, b);
                }
            }
        }
        add_block(plane, &sums);
    }
}

pub(super) fn add_long(panels: [&Panels; 2], tiles: &Tiles, planes: [&mut [Plane]; 2]) {
    let [high, low] = panels;
    let [tops, rests] = planes;
    for (((first, second), top), rest) in tiles.pairs().zip(tops).zip(rests) {
        let (mut top_sums, mut rest_sums) = ([Lanes::zeroed(); LANES], [Lanes::zeroed(); LANES]);
        let rows = high.panel(first).iter().zip(low.panel(first)).zip(high.panel(second).iter().zip(low.panel(second)));
        for ((a_high, a_low), (b_high, b_low)) in rows {
            for j in 0..LANES {
                for i in 0..LANES {
                    let [top, rest] = long_product([a_high.0[i], a_low.0[i]], [b_high.0[j], b_low.0[j]]);
                    top_sums[j].0[i] += top;
                    rest_sums[j].0[i] += rest;
                }
            }
        }
        add_block(top, &top_sums);
        add_block(rest, &rest_sums);
    }
}

#[inline(always)]
fn high_half(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// What of the product of two long numbers, given as halves, is added to both sums.
#[inline(always)]
pub(super) fn long_product(a: [u64; 2], b: [u64; 2]) -> [u64; 2] {
    let product = u128::from(a[0]) * u128::from(b[0]);
    let cross = |x: u64, y: u64| high_half(x << (64 - BITS), y);
    [(product >> BITS) as u64, (product as u64 & MASK) + cross(a[0], b[1]) + cross(a[1], b[0])]
}
