//! Gathering [`Moments`] on the CPU.

mod exponent_bins;
mod simple;

use crate::kernels::Isa;
use crate::kernels::stats::Moments;
use crate::kernels::stats::number::Number;

use exponent_bins::ExponentBins;

/// Moments of one chunk as they are gathered, block by block.
pub(super) struct Gathering<'a, T: Gather> {
    #[allow(dead_code)]
    isa: Isa,
    missing: Option<(u64, u64)>,
    moments: &'a mut Moments,
    room: T::Room,
}

impl<'a, T: Gather> Gathering<'a, T> {
    pub(super) fn new(isa: Isa, missing: Option<(u64, u64)>, moments: &'a mut Moments) -> Self {
        Self { isa, missing, moments, room: T::Room::default() }
    }

    pub(super) fn add(&mut self, block: &[T]) {
        T::gather(self, block);
    }

    pub(super) fn finish(self) {
        T::finish(self);
    }
}

/// An element type whose moments can be gathered.
pub(super) trait Gather: Number {
    /// What is kept between blocks.
    type Room: Default;
    fn gather(gathering: &mut Gathering<'_, Self>, block: &[Self]);
    fn finish(gathering: Gathering<'_, Self>);
}

macro_rules! float {
    ($float:ty) => {
        impl Gather for $float {
            type Room = ExponentBins;
            fn gather(gathering: &mut Gathering<'_, Self>, block: &[Self]) {
                simple::gather_floats(gathering.moments, &mut gathering.room, gathering.missing, block);
            }
            fn finish(mut gathering: Gathering<'_, Self>) {
                gathering.room.drain(gathering.moments);
            }
        }
    };
}
float!(f32);
float!(f64);

macro_rules! integer {
    ($($integer:ty),*) => {$(
        impl Gather for $integer {
            type Room = ();
            fn gather(gathering: &mut Gathering<'_, Self>, block: &[Self]) {
                simple::gather_integers(gathering.moments, gathering.missing, block);
            }
            fn finish(_: Gathering<'_, Self>) {}
        }
    )*};
}
integer!(i32, i64, u32, u64);
