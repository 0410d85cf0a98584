//! The products with AVX-512 IFMA: one instruction multiplies eight pairs of 52 bits and adds a half of each product.

use std::arch::x86_64::*;

use bytemuck::Zeroable;

use super::columns::BlockSums;
use super::{Plane, Tiles};
use crate::kernels::corr::panels::{LANES, Lanes, Panels};

/// First panels that share what is loaded of a second one: with eight sums each, 24 of the 32 registers.
const SHORT_GROUP: usize = 3;

/// Adds the high halves of the products of every pair of columns of every tile.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")]
pub(super) fn add_short(panels: &Panels, tiles: &Tiles, planes: &mut [Plane]) {
    let runs: Vec<_> = tiles.runs().collect();
    for group in runs.chunks(SHORT_GROUP) {
        let from = group.iter().map(|(_, (_, run))| run.start).min().unwrap_or(0);
        let to = group.iter().map(|(_, (_, run))| run.end).max().unwrap_or(0);
        for second in from..to {
            let b = panels.panel(second);
            // Those of the group that have this tile: all but near the diagonal, or where some tiles are asked for alone.
            let mut firsts = [(b, 0); SHORT_GROUP];
            let mut count = 0;
            for (start, (first, run)) in group {
                if run.contains(&second) {
                    firsts[count] = (panels.panel(*first), start + second - run.start);
                    count += 1;
                }
            }
            match count {
                3 => short_tiles::<3>([firsts[0], firsts[1], firsts[2]], b, planes),
                2 => short_tiles::<2>([firsts[0], firsts[1]], b, planes),
                1 => short_tiles::<1>([firsts[0]], b, planes),
                _ => {}
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")]
#[inline]
fn short_tiles<const N: usize>(firsts: [(&[Lanes], usize); N], b: &[Lanes], planes: &mut [Plane]) {
    let mut sums = [[_mm512_setzero_si512(); LANES]; N];
    let rows = b.len();
    let firsts_rows = firsts.map(|(rows, _)| rows);
    assert!(firsts_rows.iter().all(|first| first.len() == rows), "panels of a block have as many rows");
    for row in 0..rows {
        let mut a = [_mm512_setzero_si512(); N];
        for n in 0..N {
            // SAFETY: every first panel has as many rows as the second.
            a[n] = load(unsafe { firsts_rows[n].get_unchecked(row) });
        }
        for (j, b) in b[row].0.iter().enumerate() {
            let b = _mm512_set1_epi64(*b as i64);
            for n in 0..N {
                sums[n][j] = _mm512_madd52hi_epu64(sums[n][j], a[n], b);
            }
        }
    }
    for n in 0..N {
        add(&mut planes[firsts[n].1], &sums[n]);
    }
}

/// Adds both sums of the products of long numbers.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")]
pub(super) fn add_long(panels: [&Panels; 2], tiles: &Tiles, planes: [&mut [Plane]; 2]) {
    let [tops, rests] = planes;
    for (tile, (first, second)) in tiles.pairs().enumerate() {
        let [a_high, a_low] = panels.map(|panels| panels.panel(first));
        let [b_high, b_low] = panels.map(|panels| panels.panel(second));
        let mut top = [_mm512_setzero_si512(); LANES];
        let mut rest = top;
        for (((a_high, a_low), b_high), b_low) in a_high.iter().zip(a_low).zip(b_high).zip(b_low) {
            let (a_high, a_low) = (load(a_high), load(a_low));
            for j in 0..LANES {
                let (b_high, b_low) = (_mm512_set1_epi64(b_high.0[j] as i64), _mm512_set1_epi64(b_low.0[j] as i64));
                top[j] = _mm512_madd52hi_epu64(top[j], a_high, b_high);
                let mut sum = _mm512_madd52lo_epu64(rest[j], a_high, b_high);
                sum = _mm512_madd52hi_epu64(sum, a_high, b_low);
                rest[j] = _mm512_madd52hi_epu64(sum, a_low, b_high);
            }
        }
        add(&mut tops[tile], &top);
        add(&mut rests[tile], &rest);
    }
}

/// The sums of the columns of a block.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512ifma")]
pub(super) fn short_block(rows: &[Lanes]) -> BlockSums {
    let mut sums = [_mm512_setzero_si512(); LANES];
    for row in rows {
        let x = load(row);
        sums[0] = _mm512_add_epi64(sums[0], x);
        sums[1] = _mm512_madd52hi_epu64(sums[1], x, x);
        sums[2] = _mm512_madd52lo_epu64(sums[2], x, x);
        sums[3] = _mm512_or_si512(sums[3], x);
    }
    let [sum, square_high, square_low, bits, ..] = stored(&sums).map(|lanes| lanes.0);
    BlockSums { sum, square_high, square_low, bits }
}

/// Adds what a block came to in 64 bits.
#[target_feature(enable = "avx512f")]
#[inline]
fn add(plane: &mut Plane, sums: &[__m512i; LANES]) {
    for ((low, high), sum) in plane.low.iter_mut().zip(&mut plane.high).zip(sums) {
        let (low, high) = (low.as_mut_ptr().cast(), high.as_mut_ptr().cast());
        // SAFETY: both have eight lanes of 64 bits, and these are the only borrows of them.
        unsafe {
            let total = _mm512_add_epi64(_mm512_loadu_si512(low), *sum);
            _mm512_storeu_si512(low, total);
            let carry = _mm512_cmplt_epu64_mask(total, *sum);
            let top = _mm512_loadu_si512(high);
            _mm512_storeu_si512(high, _mm512_mask_add_epi64(top, carry, top, _mm512_set1_epi64(1)));
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(row: &Lanes) -> __m512i {
    // SAFETY: `Lanes` are 64 bytes, aligned to 64.
    unsafe { _mm512_load_si512(std::ptr::from_ref(row).cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn stored(registers: &[__m512i; LANES]) -> [Lanes; LANES] {
    let mut rows = [Lanes::zeroed(); LANES];
    for (row, register) in rows.iter_mut().zip(registers) {
        // SAFETY: as in `load`.
        unsafe { _mm512_store_si512(std::ptr::from_mut(row).cast(), *register) };
    }
    rows
}
