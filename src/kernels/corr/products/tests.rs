use super::*;
use crate::kernels::corr::scale::MASK;
use crate::random::SplitMix64;

/// Panels of numbers of 52 bits, among them the greatest and 0.
fn panels(count: usize, rows: usize, seed: u64) -> Panels {
    let mut random = SplitMix64(seed);
    let mut panels = Panels::new(count);
    panels.set_rows(rows);
    for panel in 0..count {
        for row in panels.panel_mut(panel) {
            row.0 = std::array::from_fn(|_| match random.next_u64() % 8 {
                0 => MASK,
                1 => 0,
                _ => random.next_u64() & MASK,
            });
        }
    }
    panels
}

fn units() -> Vec<Unit> {
    let mut units = vec![Unit::Portable];
    if Unit::of(Isa::detect()) != Unit::Portable {
        units.push(Unit::of(Isa::detect()));
    }
    units
}

#[test]
fn every_unit_gives_the_halves_of_the_products_that_wide_integers_give() {
    for (count, second, rows) in [(1, 0, 1), (3, 0, 7), (4, 0, 256), (8, 0, 33), (2, 3, 100), (5, 1, 1), (4, 0, 0)] {
        let tiles = Arc::new(Tiles::all(count, second));
        let (high, low) = (panels(count + second, rows, 1), panels(count + second, rows, 2));
        for unit in units() {
            let mut short = Products::empty(count + second, &tiles, Width::Short);
            let mut long = Products::empty(count + second, &tiles, Width::Long);
            for _ in 0..3 {
                short.add_short(unit, &high, &tiles);
                long.add_long(unit, &high, &low, &tiles);
            }
            for (tile, (a, b)) in tiles.pairs().enumerate() {
                for (i, j) in (0..LANES).flat_map(|i| (0..LANES).map(move |j| (i, j))) {
                    let (mut expected, mut top, mut rest) = (0, 0, 0);
                    for row in 0..rows {
                        let halves = |panel: usize, lane: usize| {
                            [&high, &low].map(|panels| u128::from(panels.panel(panel)[row].0[lane]))
                        };
                        let ([x, x_low], [y, y_low]) = (halves(a, i), halves(b, j));
                        expected += x * y / (1 << 52);
                        top += x * y / (1 << 52);
                        rest += x * y % (1 << 52) + x * y_low / (1 << 52) + x_low * y / (1 << 52);
                    }
                    let place = format!("{unit:?}, {count} and {second} panels, {rows} rows, tile {tile}, {i} {j}");
                    assert_eq!(short.planes[tile].get(i, j), 3 * expected, "{place}");
                    assert_eq!(long.planes[tile].get(i, j), 3 * top, "{place}");
                    assert_eq!(long.planes[tiles.len() + tile].get(i, j), 3 * rest, "{place}");
                }
            }
            for (column, (short, long)) in short.columns.iter().zip(&long.columns).enumerate() {
                let numbers = |panels: &Panels| -> Vec<u128> {
                    panels.panel(column / LANES).iter().map(|row| row.0[column % LANES].into()).collect()
                };
                let (x, low) = (numbers(&high), numbers(&low));
                assert_eq!(short.sum, 3 * x.iter().sum::<u128>());
                assert_eq!((long.sum, long.sum_low), (short.sum, 3 * low.iter().sum::<u128>()));
                assert_eq!(short.square_high, 3 * x.iter().map(|x| (x * x) >> 52).sum::<u128>());
                assert_eq!(short.square_low, 3 * x.iter().map(|x| (x * x) & u128::from(MASK)).sum::<u128>());
                assert_eq!(short.bits, x.iter().fold(0, |bits, x| bits | *x as u64));
                let cross = x.iter().zip(&low).map(|(x, low)| 2 * ((x * low) >> 52)).sum::<u128>();
                assert_eq!((long.square_high, long.square_low), (short.square_high, short.square_low + 3 * cross));
            }
        }
    }
}

#[test]
fn sums_of_64_bits_carry_into_the_next_word() {
    let mut plane = Plane::zeroed();
    for _ in 0..3 {
        add_block(&mut plane, &[Lanes([u64::MAX; LANES]); LANES]);
    }
    assert_eq!(plane.get(7, 3), 3 * u128::from(u64::MAX));
    let other = plane;
    plane.merge(&other);
    plane.add(7, 3, 5);
    assert_eq!((plane.get(7, 3), plane.get(0, 0)), (6 * u128::from(u64::MAX) + 5, 6 * u128::from(u64::MAX)));
}

#[test]
fn tiles_are_found_where_they_stand() {
    for tiles in [Tiles::all(4, 0), Tiles::all(3, 2), Tiles::of(vec![(0, 1..2), (0, 3..5), (2, 2..3)])] {
        for (number, (first, second)) in tiles.pairs().enumerate() {
            assert_eq!(tiles.find(first, second), Some(number));
        }
        assert_eq!(tiles.pairs().count(), tiles.len());
    }
    assert_eq!(Tiles::of(vec![(0, 1..2), (0, 3..5)]).find(0, 2), None);
}
