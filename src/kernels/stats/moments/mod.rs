//! Gathering [`Moments`] on the CPU.

#[cfg(target_arch = "x86_64")]
mod digits;
mod exponent_bins;
pub(super) mod float;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod integer;
mod magnitudes;
mod powers;
pub(super) mod window;

use crate::kernels::Isa;
use crate::kernels::stats::Moments;
use crate::kernels::stats::number::Number;

use exponent_bins::ExponentBins;
use float::{FloatRoom, Floats};
use powers::{PowerBins, Powered};

/// Moments of one chunk as they are gathered, block by block.
pub(super) struct Gathering<'a, T: Gather> {
    isa: Isa,
    #[cfg(target_arch = "x86_64")]
    ifma: bool,
    missing: Option<(u64, u64)>,
    moments: &'a mut Moments,
    room: T::Room,
    powers: PowerBins,
}

impl<'a, T: Gather> Gathering<'a, T> {
    pub(super) fn new(isa: Isa, missing: Option<(u64, u64)>, moments: &'a mut Moments) -> Self {
        // Whoever folds may ask for any instruction set; what is used is never wider than the machine's.
        let isa = isa.min(Isa::detect());
        Self {
            isa,
            #[cfg(target_arch = "x86_64")]
            ifma: isa == Isa::Avx512 && ifma::is_available(),
            missing,
            moments,
            room: T::Room::default(),
            powers: PowerBins::default(),
        }
    }

    pub(super) fn add(&mut self, block: &[T]) {
        T::gather(self, block);
        if self.moments.higher.is_some() {
            self.powers.add_block(self.missing, block);
        }
    }

    pub(super) fn finish(mut self) {
        if let Some(higher) = &mut self.moments.higher {
            self.powers.drain(higher);
        }
        T::finish(self);
    }
}

/// An element type whose moments can be gathered.
pub(super) trait Gather: Powered {
    /// What is kept between blocks.
    type Room: Default;
    fn gather(gathering: &mut Gathering<'_, Self>, block: &[Self]);
    fn finish(gathering: Gathering<'_, Self>);
}

macro_rules! float {
    ($float:ty) => {
        impl Gather for $float {
            type Room = FloatRoom<Self>;
            fn gather(gathering: &mut Gathering<'_, Self>, block: &[Self]) {
                floats(gathering).add(block);
            }
            fn finish(mut gathering: Gathering<'_, Self>) {
                floats(&mut gathering).finish();
            }
        }
    };
}
float!(f32);
float!(f64);

fn floats<'a, T: Gather<Room = FloatRoom<T>> + float::Float>(gathering: &'a mut Gathering<'_, T>) -> Floats<'a, T> {
    Floats {
        isa: gathering.isa,
        #[cfg(target_arch = "x86_64")]
        ifma: gathering.ifma,
        // Both zeros equal each other, so one float stands for all that count as missing.
        missing: gathering.missing.map(|(key, _)| T::from_key(key)),
        moments: gathering.moments,
        room: &mut gathering.room,
    }
}

macro_rules! integer {
    ($($integer:ty => $gather:ident),*) => {$(
        impl Gather for $integer {
            type Room = ();
            fn gather(gathering: &mut Gathering<'_, Self>, block: &[Self]) {
                // The key that counts as missing is that of one integer.
                let missing = gathering.missing.map(|(key, _)| Self::from_key(key));
                integer::$gather(gathering.isa, gathering.moments, missing, block);
            }
            fn finish(_: Gathering<'_, Self>) {}
        }
    )*};
}
integer!(i32 => gather_32, u32 => gather_32, i64 => gather_64, u64 => gather_64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::stats::tests::every_isa;
    use crate::random::SplitMix64;

    /// With and without the multiplication of integers of 52 bits, where there is any.
    fn gathered<T: Gather>(
        isa: Isa,
        missing: Option<(u64, u64)>,
        blocks: impl Iterator<Item = Vec<T>> + Clone,
    ) -> Moments {
        let with = gathered_so(isa, true, missing, blocks.clone());
        assert_eq!(gathered_so(isa, false, missing, blocks), with, "{} without IFMA", isa.name());
        with
    }

    fn gathered_so<T: Gather>(
        isa: Isa,
        ifma: bool,
        missing: Option<(u64, u64)>,
        blocks: impl Iterator<Item = Vec<T>>,
    ) -> Moments {
        let mut moments = Moments::empty(&T::LAYOUT);
        let mut gathering = Gathering::<T>::new(isa, missing, &mut moments);
        #[cfg(target_arch = "x86_64")]
        {
            gathering.ifma &= ifma;
        }
        blocks.for_each(|block| gathering.add(&block));
        gathering.finish();
        moments
    }

    /// Gathers 40,000 values in blocks, on every instruction set, and compares with the same values one by one.
    fn check<T: Gather>(name: &str, missing: Option<T>, value: impl Fn(u64, usize) -> T) {
        let mut bits = SplitMix64(7);
        let values: Vec<T> = (0..40_000).map(|i| value(bits.next_u64(), i)).collect();
        let missing = missing.map(|missing| (missing.key(), missing.key()));
        let one_by_one = gathered(Isa::Portable, missing, values.iter().map(|value| vec![*value]));
        for isa in every_isa() {
            for block in [1 << 15, 5000] {
                let blocks = gathered(isa, missing, values.chunks(block).map(<[T]>::to_vec));
                assert_eq!(blocks, one_by_one, "{name}, {}, blocks of {block}", isa.name());
            }
        }
        let fewer = gathered(Isa::detect(), missing, values[1..].chunks(1 << 15).map(<[T]>::to_vec));
        assert_ne!(fewer, one_by_one, "{name} without its first value");
    }

    /// A float of a random sign and significand with an exponent of `octaves` below `top`.
    fn float(bits: u64, top: i32, octaves: u64) -> f64 {
        let exponent = (top - (bits >> 53) as i32 % octaves as i32 + 1023) as u64;
        f64::from_bits(bits << 63 | exponent << 52 | bits & ((1 << 52) - 1))
    }

    #[test]
    fn blocks_come_to_what_their_elements_come_to() {
        for (top, octaves) in
            [(0, 1), (0, 20), (0, 30), (60, 70), (0, 120), (120, 240), (499, 20), (700, 5), (-600, 40), (1000, 2000)]
        {
            let name = format!("{octaves} octaves below 2^{top}");
            check::<f64>(&name, None, |bits, _| float(bits, top, octaves));
            if (-100..=120).contains(&top) && octaves <= 240 {
                check::<f32>(&name, None, |bits, _| float(bits, top, octaves) as f32);
            }
        }
        check::<f64>("any bits", None, |bits, _| f64::from_bits(bits));
        check::<f32>("any bits", None, |bits, _| f32::from_bits(bits as u32));
        check::<i32>("any bits", None, |bits, _| bits as i32);
        check::<i64>("any bits", None, |bits, _| bits as i64);
        check::<u32>("any bits", None, |bits, _| bits as u32);
        check::<u64>("any bits", None, |bits, _| bits);
    }

    #[test]
    fn stretches_of_one_kind_may_follow_upon_stretches_of_another() {
        let kind = |bits: u64, i: usize| match i / 5000 {
            0 => float(bits, 0, 10),
            1 => float(bits, 200, 10),
            2 => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0][bits as usize % 4],
            3 => float(bits, 0, 100),
            4 => 0.0,
            5 => float(bits, 3, if bits.is_multiple_of(1000) { 50 } else { 5 }),
            6 => float(bits, 0, if bits.is_multiple_of(1000) { 1000 } else { 5 }),
            _ => -9999.0,
        };
        check::<f64>("stretches", None, kind);
        check::<f64>("stretches, some missing", Some(-9999.0), kind);
        check::<f32>("stretches", None, |bits, i| kind(bits, i) as f32);
        check::<f32>("stretches, some missing", Some(-9999.0), |bits, i| kind(bits, i) as f32);
        let whole =
            |bits: u64, i: usize| if i > 30_000 || bits.is_multiple_of(3) { -9999 } else { (bits >> 40) as i64 };
        check::<i64>("sentinels", Some(-9999), whole);
        check::<i32>("sentinels", Some(-9999), |bits, i| whole(bits, i) as i32);
        check::<u64>("sentinels", Some(5), |bits, _| bits % 7);
        check::<u32>("sentinels", Some(5), |bits, _| (bits % 7) as u32);
    }

    #[test]
    fn zeros_keep_their_order_wherever_they_stand() {
        for i in [1, 5000, 39_999] {
            for (zero, others) in [(-0.0, 0.0), (0.0, -0.0), (-0.0, 1.0), (0.0, -1.0)] {
                check::<f64>("zeros", None, |_, at| if at == i || at == 0 { zero } else { others });
                check::<f32>("zeros", None, |_, at| if at == i || at == 0 { zero as f32 } else { others as f32 });
            }
        }
    }
}
