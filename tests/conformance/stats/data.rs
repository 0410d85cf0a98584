//! Values for `stats` to stumble over.

use super::oracle::Element;
use crate::random::Random;

/// Makes so many values.
pub type Maker<T> = fn(&mut Random, usize) -> Vec<T>;

/// An element type with its datasets.
pub trait Hostile: Element {
    /// Each with its name.
    const DATASETS: &'static [(&'static str, Maker<Self>)];
    /// Any element at all, NaN and infinities too.
    fn any(random: &mut Random) -> Self;
    /// The greatest finite one.
    const GREATEST: Self;
}

fn times<T>(n: usize, make: impl FnMut(usize) -> T) -> Vec<T> {
    (0..n).map(make).collect()
}

/// A small integer, often 0, so that values repeat.
fn small(random: &mut Random) -> i32 {
    random.below(21) as i32 - 10
}

macro_rules! float {
    ($float:ident, $bits:ident, $exponent_mask:expr) => {
        impl Hostile for $float {
            const DATASETS: &'static [(&'static str, Maker<Self>)] = &[
                ("any bits", |random, n| times(n, |_| Self::any(random))),
                ("finite, of every exponent", |random, n| times(n, |_| finite(random))),
                ("near 1e8", |random, n| times(n, |_| 1e8 + random.below(1000) as $float)),
                ("evenly in 0..1", |random, n| times(n, |_| random.unit() as $float)),
                ("around 0, as a bell", |random, n| {
                    times(n, |_| ((0..6).map(|_| random.unit()).sum::<f64>() - 3.0) as $float)
                }),
                ("cancelling but for the least", |random, n| {
                    let mut values = times(n / 2, |_| finite(random));
                    values.extend(values.clone().into_iter().map(|value: $float| -value));
                    values.resize(n, $float::from_bits(1));
                    random.shuffle(&mut values);
                    values
                }),
                ("subnormal", |random, n| times(n, |_| $float::from_bits(random.next() as $bits & !($exponent_mask)))),
                ("extremes", |random, n| {
                    const EXTREMES: [$float; 10] = [
                        $float::MAX,
                        $float::MIN,
                        $float::MAX.next_down(),
                        $float::MIN_POSITIVE,
                        -$float::MIN_POSITIVE,
                        $float::from_bits(1),
                        -$float::from_bits(1),
                        0.0,
                        -0.0,
                        1.0,
                    ];
                    times(n, |_| *random.pick(&EXTREMES))
                }),
                ("the greatest and a few small", |random, n| {
                    times(n, |_| if random.below(50) == 0 { small(random) as $float } else { $float::MAX })
                }),
                ("NaN and numbers", |random, n| {
                    times(n, |_| match random.below(4) {
                        0 => $float::from_bits($exponent_mask | random.next() as $bits | 1),
                        1 => $float::NAN,
                        _ => small(random) as $float,
                    })
                }),
                ("infinities and numbers", |random, n| {
                    times(n, |_| match random.below(5) {
                        0 => $float::INFINITY,
                        1 => $float::NEG_INFINITY,
                        _ => small(random) as $float,
                    })
                }),
                ("one infinity", |random, n| {
                    let at = random.below(n.max(1) as u64) as usize;
                    times(n, |i| if i == at { $float::INFINITY } else { finite(random) })
                }),
                ("nothing but NaN", |_, n| vec![-$float::NAN; n]),
                ("nothing but -inf", |_, n| vec![$float::NEG_INFINITY; n]),
                ("zeros of both signs", |random, n| times(n, |_| if random.below(2) == 0 { 0.0 } else { -0.0 })),
                ("nothing but -0", |_, n| vec![-0.0; n]),
                ("all the same", |_, n| vec![0.1; n]),
                ("of a few exponents, others every 1500 values", |random, n| {
                    let (mut low, mut width) = (0, 1);
                    times(n, |i| {
                        if i % 1500 == 0 {
                            width = *random.pick(&[1, 10, 30, 100, 300]);
                            low = random.below(<$float>::EXPONENTS);
                        }
                        let exponent = low + random.below(width);
                        with_exponent(random, exponent.min(<$float>::EXPONENTS - 1))
                    })
                }),
                ("of one exponent but for a few outliers", |random, n| {
                    let usual = random.below(<$float>::EXPONENTS);
                    times(n, |_| {
                        let exponent = if random.below(700) == 0 { random.below(<$float>::EXPONENTS) } else { usual };
                        with_exponent(random, exponent)
                    })
                }),
                ("near the ends of the range of exponents", |random, n| {
                    let top = random.below(2) == 0;
                    times(n, |_| {
                        let exponent = random.below(20);
                        with_exponent(random, if top { <$float>::EXPONENTS - 1 - exponent } else { exponent })
                    })
                }),
                ("ascending", |_, n| times(n, |i| i as $float * 0.25 - 100.0)),
                ("small and whole", |random, n| times(n, |_| small(random) as $float)),
            ];

            const GREATEST: Self = $float::MAX;

            fn any(random: &mut Random) -> Self {
                $float::from_bits((random.next() ^ random.next() >> 32) as $bits)
            }
        }

        impl Finite for $float {
            const EXPONENTS: u64 = ($exponent_mask >> ($float::MANTISSA_DIGITS - 1)) as u64;

            fn with_exponent(random: &mut Random, exponent: u64) -> Self {
                let bits = random.next() as $bits & !($exponent_mask);
                $float::from_bits(bits | (exponent as $bits) << ($float::MANTISSA_DIGITS - 1))
            }

            fn finite(random: &mut Random) -> Self {
                loop {
                    let value = Self::any(random);
                    if value.is_finite() {
                        return value;
                    }
                }
            }
        }
    };
}

trait Finite {
    /// How many biased exponents finite values have.
    const EXPONENTS: u64;
    /// A value of either sign with this biased exponent.
    fn with_exponent(random: &mut Random, exponent: u64) -> Self;
    fn finite(random: &mut Random) -> Self;
}

fn finite<T: Finite>(random: &mut Random) -> T {
    T::finite(random)
}

fn with_exponent<T: Finite>(random: &mut Random, exponent: u64) -> T {
    T::with_exponent(random, exponent)
}

float!(f32, u32, 0x7f80_0000u32);
float!(f64, u64, 0x7ff0_0000_0000_0000u64);

macro_rules! integer {
    ($($integer:ident),*) => {$(
        impl Hostile for $integer {
            const DATASETS: &'static [(&'static str, Maker<Self>)] = &[
                ("any", |random, n| times(n, |_| Self::any(random))),
                ("small", |random, n| times(n, |_| random.below(100) as $integer)),
                ("of every magnitude", |random, n| {
                    times(n, |_| Self::any(random) >> random.below($integer::BITS.into()))
                }),
                ("extremes", |random, n| {
                    const EXTREMES: [$integer; 6] =
                        [$integer::MIN, $integer::MIN + 1, 0, 1, $integer::MAX - 1, $integer::MAX];
                    times(n, |_| *random.pick(&EXTREMES))
                }),
                ("cancelling", |random, n| {
                    let mut values = times(n / 2, |_| Self::any(random));
                    values.extend(values.clone().into_iter().map(|value: $integer| !value));
                    values.resize(n, 1);
                    random.shuffle(&mut values);
                    values
                }),
                ("nothing but the greatest", |_, n| vec![$integer::MAX; n]),
                ("nothing but the least", |_, n| vec![$integer::MIN; n]),
                ("near the greatest", |random, n| times(n, |_| $integer::MAX - random.below(5000) as $integer)),
                ("ascending", |_, n| times(n, |i| i as $integer)),
                ("all the same", |_, n| vec![7; n]),
            ];

            const GREATEST: Self = $integer::MAX;

            fn any(random: &mut Random) -> Self {
                random.next() as $integer
            }
        }
    )*};
}
integer!(i32, i64, u32, u64);
